//! Two endpoints, `a` who calls and `b` who is called, in virtual time; and a hand-written peer for what no proper one would say.

#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_sip::{
    Endpoint, EndpointConfig, Event, FlowId, LadderEntry, Local, Outgoing, Peer, Progress, Protocol, SessionId,
    SessionInterval,
};
use segue_sip_wire::{Message, Parts};

pub const A: usize = 0;
pub const B: usize = 1;
/// 64·T1.
pub const PATIENCE: Duration = Duration::from_secs(32);

pub fn addr(agent: usize) -> SocketAddr {
    format!("127.0.0.{}:5060", agent + 1).parse().unwrap()
}

pub fn sdp(text: &str) -> Arc<[u8]> {
    Arc::from(format!("v=0\r\ns={text}\r\n").as_bytes())
}

pub fn endpoint(agent: usize, seed: u64) -> Endpoint {
    endpoint_with(agent, seed, &[Protocol::Udp, Protocol::Tcp], 20_000)
}

pub fn endpoint_with(agent: usize, seed: u64, protocols: &[Protocol], sessions_max: usize) -> Endpoint {
    let local = |protocol: &Protocol| Local {
        protocol: *protocol,
        bind: addr(agent),
        advertise: addr(agent).to_string(),
    };
    Endpoint::new(EndpointConfig {
        seed: seed * 2 + agent as u64,
        sockets: protocols.iter().map(local).collect(),
        sessions_max,
        ..EndpointConfig::default()
    })
}

/// What happens to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Deliver,
    Lose,
    /// In milliseconds.
    Delay(u64),
    Double,
    /// The transport reports that it cannot be sent.
    Refuse,
}

pub type Judge = Box<dyn FnMut(usize, &Message) -> Fate>;

pub struct Net {
    pub start: Instant,
    pub now: Instant,
    pub endpoints: [Endpoint; 2],
    pub events: [Vec<Event>; 2],
    pub ladders: [BTreeMap<SessionId, Vec<LadderEntry>>; 2],
    /// All that was sent: by whom, when, what.
    pub sent: Vec<(usize, Duration, Message, Protocol)>,
    pub judge: Judge,
    flying: BTreeMap<(Instant, u64), (usize, Peer, Bytes)>,
    counter: u64,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Self::of([endpoint(A, seed), endpoint(B, seed)])
    }

    pub fn of(endpoints: [Endpoint; 2]) -> Self {
        let now = Instant::now();
        Self {
            start: now,
            now,
            endpoints,
            events: Default::default(),
            ladders: Default::default(),
            sent: Vec::new(),
            judge: Box::new(|_, _| Fate::Deliver),
            flying: BTreeMap::new(),
            counter: 0,
        }
    }

    /// Everything is lost, doubled, delayed and so overtaken at random.
    pub fn rough(seed: u64, loss: u32, double: u32, delay_ms: u64) -> Self {
        let mut net = Self::new(seed);
        let mut rng = StdRng::seed_from_u64(seed);
        net.judge = Box::new(move |_, _| match rng.next_u32() % 100 {
            n if n < loss => Fate::Lose,
            n if n < loss + double => Fate::Double,
            _ => Fate::Delay(rng.next_u64() % (delay_ms + 1)),
        });
        net
    }

    /// Carries what the endpoints have to say.
    pub fn pump(&mut self) {
        for from in [A, B] {
            loop {
                let mut idle = true;
                while let Some(transmit) = self.endpoints[from].poll_transmit() {
                    idle = false;
                    let message = match Message::parse_datagram(&transmit.bytes) {
                        Ok(message) => message,
                        // A 400 repeats what was wrong.
                        Err(_) if transmit.bytes.starts_with(b"SIP/2.0 4") => continue,
                        Err(error) => panic!("{error}: {:?}", transmit.bytes),
                    };
                    let fate = (self.judge)(from, &message);
                    self.sent
                        .push((from, self.now - self.start, message, transmit.peer.protocol));
                    let to = if transmit.peer.remote.ip() == addr(A).ip() {
                        A
                    } else {
                        B
                    };
                    let tcp = transmit.peer.protocol == Protocol::Tcp;
                    let peer = Peer {
                        protocol: transmit.peer.protocol,
                        local: addr(to),
                        remote: addr(from),
                        flow: tcp.then_some(FlowId(1)),
                    };
                    let mut fly = |ms: u64| {
                        self.counter += 1;
                        let at = self.now + Duration::from_millis(ms);
                        self.flying
                            .insert((at, self.counter), (to, peer, transmit.bytes.clone()));
                    };
                    match fate {
                        Fate::Deliver => fly(1),
                        Fate::Delay(ms) => fly(1 + ms),
                        Fate::Double => {
                            fly(1);
                            fly(30);
                        }
                        Fate::Lose => {}
                        Fate::Refuse => self.endpoints[from].handle_transport_error(self.now, transmit.id),
                    }
                }
                while let Some(event) = self.endpoints[from].poll_event() {
                    idle = false;
                    if let Event::Terminated { session } = event {
                        let ladder = self.endpoints[from].take_ladder(session);
                        self.ladders[from].insert(session, ladder);
                    }
                    self.events[from].push(event);
                }
                if idle {
                    break;
                }
            }
        }
    }

    /// The next thing, not later than `until`. False: nothing is left to do by then.
    pub fn step(&mut self, until: Instant) -> bool {
        self.pump();
        let timer = |net: &Self, agent: usize| net.endpoints[agent].poll_timeout().map(|at| (at, agent));
        let message = self.flying.keys().next().copied();
        let timer = [timer(self, A), timer(self, B)].into_iter().flatten().min();
        match (message, timer) {
            (Some(key), timer) if key.0 <= until && timer.is_none_or(|(at, _)| key.0 <= at) => {
                let (to, peer, bytes) = self.flying.remove(&key).unwrap();
                self.now = self.now.max(key.0);
                let message = Message::parse_datagram(&bytes).unwrap();
                self.endpoints[to].handle_message(self.now, peer, message);
            }
            (_, Some((at, agent))) if at <= until => {
                self.now = self.now.max(at);
                self.endpoints[agent].handle_timeout(self.now);
            }
            _ => return false,
        }
        self.pump();
        true
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    pub fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    pub fn outgoing(&self) -> Outgoing {
        Outgoing {
            urgent: false,
            has_other_way: false,
            back_to: None,
            target: "sip:bob@127.0.0.2".parse().unwrap(),
            to: None,
            route: Vec::new(),
            hop: None,
            from: "sip:alice@127.0.0.1".parse().unwrap(),
            from_name: Some("Alice \"A\"".to_owned()),
            sdp: sdp("offer"),
            max_forwards: 70,
            headers: vec![("Subject".to_owned(), "test".to_owned())],
            parts: Parts::default(),
            local: addr(A),
            candidates: Vec::new(),
            supported: vec!["100rel"],
            required: Vec::new(),
            session_uuid: None,
            interval: SessionInterval::default(),
        }
    }

    /// A calls B: both sessions, once the INVITE has arrived.
    pub fn call(&mut self) -> (SessionId, SessionId) {
        let outgoing = self.outgoing();
        self.call_with(outgoing)
    }

    pub fn call_with(&mut self, outgoing: Outgoing) -> (SessionId, SessionId) {
        let a = self.endpoints[A].invite(self.now, outgoing);
        self.run_ms(10);
        let b = self.events[B].iter().rev().find_map(|event| match event {
            Event::Incoming { session, .. } => Some(*session),
            _ => None,
        });
        (a, b.expect("the INVITE has arrived"))
    }

    pub fn progress(&mut self, b: SessionId, status: u16, reliable: bool, sdp: Option<Arc<[u8]>>) {
        self.endpoints[B]
            .progress(
                self.now,
                b,
                Progress {
                    status,
                    reliable,
                    sdp,
                    ..Progress::default()
                },
            )
            .unwrap();
        self.pump();
    }

    pub fn answer(&mut self, b: SessionId, sdp: Option<Arc<[u8]>>) {
        self.endpoints[B].answer(self.now, b, sdp).unwrap();
        self.pump();
    }

    /// A confirmed call.
    pub fn talk(&mut self) -> (SessionId, SessionId) {
        let (a, b) = self.call();
        self.answer(b, Some(sdp("answer")));
        self.run_ms(10);
        (a, b)
    }

    /// The names of an agent's events, in order.
    pub fn told(&self, agent: usize) -> Vec<String> {
        self.events[agent].iter().map(name).collect()
    }

    pub fn count(&self, agent: usize, event: &str) -> usize {
        self.told(agent).iter().filter(|name| *name == event).count()
    }

    /// How often an agent has sent what its summary in `line` says: `INVITE`, `200 INVITE`.
    pub fn sent_by(&self, agent: usize, line: &str) -> usize {
        self.sent
            .iter()
            .filter(|(from, _, message, _)| *from == agent && brief(message) == line)
            .count()
    }

    pub fn times(&self, agent: usize, line: &str) -> Vec<u128> {
        let of = self
            .sent
            .iter()
            .filter(|(from, _, message, _)| *from == agent && brief(message) == line);
        of.map(|(_, at, ..)| at.as_millis()).collect()
    }

    /// Nothing is left anywhere once everything had its time.
    pub fn assert_nothing_left(&mut self) {
        self.run(PATIENCE * 3);
        for (agent, endpoint) in self.endpoints.iter().enumerate() {
            let left = (
                endpoint.session_count(),
                endpoint.transaction_count(),
                endpoint.timer_count(),
            );
            assert_eq!(left, (0, 0, 0), "agent {agent}: {:?}", self.told(agent));
        }
    }
}

pub fn name(event: &Event) -> String {
    match event {
        Event::Provisional { response, .. } => format!("Provisional {}", response.status().unwrap()),
        Event::Failed { status, .. } => format!("Failed {status}"),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '{']).next().unwrap().to_owned()
        }
    }
}

pub fn brief(message: &Message) -> String {
    match message.status() {
        Some(status) => format!("{status} {}", message.cseq().unwrap().method),
        None => message.method().unwrap().to_string(),
    }
}

pub fn summaries(ladder: &[LadderEntry]) -> Vec<String> {
    ladder
        .iter()
        .map(|entry| format!("{} {}", if entry.out { ">" } else { "<" }, entry.summary))
        .collect()
}

/// One endpoint against a peer written by hand.
pub struct Script {
    pub now: Instant,
    pub endpoint: Endpoint,
    pub events: Vec<Event>,
    pub peer: Peer,
}

impl Default for Script {
    fn default() -> Self {
        Self::of(endpoint(B, 1))
    }
}

impl Script {
    pub fn of(endpoint: Endpoint) -> Self {
        let peer = Peer {
            protocol: Protocol::Udp,
            local: addr(B),
            remote: addr(A),
            flow: None,
        };
        Self {
            now: Instant::now(),
            endpoint,
            events: Vec::new(),
            peer,
        }
    }

    /// Gives it a message; what it says in return.
    pub fn say(&mut self, text: &str) -> Vec<Message> {
        let message = Message::parse_datagram(text.as_bytes()).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        self.endpoint.handle_message(self.now, self.peer, message);
        self.hear()
    }

    pub fn hear(&mut self) -> Vec<Message> {
        while let Some(event) = self.endpoint.poll_event() {
            self.events.push(event);
        }
        std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|transmit| Message::parse_datagram(&transmit.bytes).unwrap())
            .collect()
    }

    /// What it says during this time.
    pub fn wait(&mut self, time: Duration) -> Vec<Message> {
        let until = self.now + time;
        let mut heard = Vec::new();
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            heard.extend(self.hear());
        }
        self.now = until;
        heard
    }

    pub fn told(&self) -> Vec<String> {
        self.events.iter().map(name).collect()
    }

    pub fn session(&self) -> SessionId {
        let incoming = self.events.iter().rev().find_map(|event| match event {
            Event::Incoming { session, .. } => Some(*session),
            _ => None,
        });
        incoming.unwrap()
    }
}

/// A request of the hand-written peer. `more` are header lines, each with its line end.
pub fn request(method: &str, cseq: u32, branch: &str, to_tag: Option<&str>, more: &str) -> String {
    let to_tag = to_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    let cseq_method = method;
    format!(
        "{method} sip:bob@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@127.0.0.1>;tag=a1\r\nTo: <sip:bob@127.0.0.2>{to_tag}\r\nCall-ID: call1\r\n\
         CSeq: {cseq} {cseq_method}\r\nContact: <sip:alice@127.0.0.1:5060>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

pub fn statuses(messages: &[Message]) -> Vec<String> {
    messages.iter().map(brief).collect()
}

pub fn to_tag(message: &Message) -> String {
    message.to().unwrap().tag().unwrap().to_owned()
}
