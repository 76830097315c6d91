//! A node between a caller and the servers of trunks, which answer OPTIONS unless they are dead.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, Shard, ShardOutput, TrunkSetup, TrunkStatus};
use segue_call::{MediaAction, MediaEvent, Now, Ports, StoreAction, StoreReply};
use segue_policy::{NextHop, NextHops, Profile, Trunk, TrunkServer, UnknownCallee};
use segue_records::{CallRecord, Happening, UnixMs};
use segue_sip::{Account, Candidate, Place, Protocol};
use segue_sip_wire::{DigestAlgorithm, Message, Method};

use crate::shard::{config, peer};

const X: &str = "10.0.0.254:5060";
const ANN: &str = "10.1.0.1:5060";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A server answers a ping so many milliseconds later.
pub const PINGED: u64 = 7;

pub struct Node {
    pub shard: Shard,
    now: Now,
    profile: Profile,
    /// They say nothing.
    pub dead: BTreeSet<SocketAddr>,
    /// What the others say to OPTIONS; 200 where nothing is said here.
    pub pong: BTreeMap<SocketAddr, (u16, &'static str)>,
    pongs: Vec<(Instant, SocketAddr, Message)>,
    /// To servers: INVITEs since this was asked last, and all.
    fresh: Vec<SocketAddr>,
    invites: Vec<(SocketAddr, Message)>,
    /// To the caller.
    to_a: Vec<Message>,
    records: Vec<CallRecord>,
    /// Events of trunks.
    pub told: Vec<String>,
    /// Names that were looked up.
    pub located: Vec<String>,
    place: Option<Place>,
    /// REGISTERs that no answer was given to, each once.
    pub registers: Vec<(SocketAddr, Message)>,
    registered: Vec<String>,
    /// Who was sought among the subscribers.
    pub sought: Vec<String>,
}

pub fn trunk(name: &str, servers: &[&str]) -> Trunk {
    let server = |(order, uri): (usize, &&str)| TrunkServer {
        uri: uri.parse().unwrap(),
        order: u16::try_from(order).unwrap(),
        weight: 0,
    };
    Trunk {
        name: name.to_owned(),
        servers: servers.iter().enumerate().map(server).collect(),
        ..Trunk::default()
    }
}

pub fn hops(all: &[&str]) -> NextHops {
    let all: Vec<NextHop> = all.iter().map(|hop| hop.parse().unwrap()).collect();
    all.try_into().unwrap()
}

pub fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    message.header(name).unwrap_or_else(|| panic!("no {name}"))
}

fn setups(trunks: &[Trunk], account: Option<&Arc<Account>>) -> Vec<TrunkSetup> {
    let setup = |trunk: &Trunk| TrunkSetup {
        trunk: trunk.clone(),
        account: account.cloned(),
    };
    trunks.iter().map(setup).collect()
}

impl Node {
    /// Its profile goes on to the trunk `main`, after `change`.
    pub fn new(trunks: &[Trunk], change: impl FnOnce(&mut Profile)) -> Node {
        Node::made(setups(trunks, None), change)
    }

    /// The same with credentials for that realm.
    pub fn with_account(trunks: &[Trunk], realm: &str) -> Node {
        let account = Account {
            realm: realm.to_owned(),
            username: "us".to_owned(),
            secret: "secret".to_owned(),
            algorithms: vec![DigestAlgorithm::Md5],
            tls_only: false,
        };
        Node::made(setups(trunks, Some(&Arc::new(account))), |_| {})
    }

    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    pub fn made(trunks: Vec<TrunkSetup>, change: impl FnOnce(&mut Profile)) -> Node {
        let mut profile = Profile {
            name: "carrier".into(),
            sources: vec!["10.1.0.0/16".parse().unwrap()],
            unknown_callee: UnknownCallee::Forward,
            next_hop: Some("trunk:main".parse().unwrap()),
            destinations: vec!["*".parse().unwrap()],
            session_expires_s: 0,
            ..Profile::default()
        };
        change(&mut profile);
        // Whose servers are providers, where a trunk names it.
        let provider = Profile {
            name: "provider".into(),
            country_code: profile.country_code.clone(),
            ..Profile::default()
        };
        let admission = Admission::new(vec![Arc::new(profile.clone()), Arc::new(provider)]).with_trunks(trunks);
        let mut node = Node {
            shard: Shard::new(config(&[X], admission)),
            now: Now {
                mono: Instant::now(),
                wall: UnixMs(1_700_000_000_000),
            },
            profile,
            dead: BTreeSet::new(),
            pong: BTreeMap::new(),
            pongs: Vec::new(),
            fresh: Vec::new(),
            invites: Vec::new(),
            to_a: Vec::new(),
            records: Vec::new(),
            told: Vec::new(),
            located: Vec::new(),
            place: None,
            registers: Vec::new(),
            registered: Vec::new(),
            sought: Vec::new(),
        };
        node.shard.handle_timeout(node.now);
        node.perform();
        node
    }

    pub fn reload(&mut self, trunks: &[Trunk]) {
        self.reload_with(setups(trunks, None));
    }

    pub fn reload_with(&mut self, trunks: Vec<TrunkSetup>) {
        let admission = Admission::new(vec![Arc::new(self.profile.clone())]).with_trunks(trunks);
        let made = config(&[X], admission);
        self.shard.reload(self.now, made.call, made.admission, made.limits);
        self.shard.handle_timeout(self.now);
        self.perform();
    }

    /// So many seconds go by.
    pub fn run_s(&mut self, seconds: u64) {
        let until = self.now.mono + Duration::from_secs(seconds);
        loop {
            let pong = self.pongs.iter().map(|(at, ..)| *at).min();
            let next = [self.shard.poll_timeout(), pong].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.pass_to(next.max(self.now.mono));
            if let Some(at) = self.pongs.iter().position(|(at, ..)| *at <= self.now.mono) {
                let (_, server, options) = self.pongs.remove(at);
                let (status, more) = self.pong.get(&server).copied().unwrap_or((200, ""));
                self.respond(server, &options, status, more);
            }
            self.shard.handle_timeout(self.now);
            self.perform();
        }
        self.pass_to(until);
    }

    fn pass_to(&mut self, to: Instant) {
        let passed = to.saturating_duration_since(self.now.mono).as_millis();
        self.now.wall.0 += i64::try_from(passed).unwrap();
        self.now.mono = to;
    }

    fn perform(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(transmit) => {
                    let message = Message::parse_datagram(&transmit.bytes).unwrap();
                    self.sent(transmit.peer.remote, message);
                }
                ShardOutput::Media(key, MediaAction::Open { leg, .. }) => {
                    let audio = 4_000 + u16::try_from(leg.0).unwrap() * 4;
                    let ports = Ports {
                        address: "10.9.9.9".parse().unwrap(),
                        audio,
                        video: audio + 2,
                    };
                    self.shard
                        .handle_media(self.now, key, MediaEvent::Opened { leg, ports });
                }
                ShardOutput::Store(key, StoreAction::Lookup { user, .. }, profile) => {
                    self.sought.push(format!("{user} by {}", profile.name));
                    self.shard.handle_store(self.now, key, StoreReply::NotFound);
                }
                ShardOutput::Event(event) => match event.what {
                    Happening::TrunkUp {
                        trunk,
                        server,
                        was,
                        why,
                        ..
                    } => self.told.push(format!("trunk.up {trunk} {server} {was}: {why}")),
                    Happening::TrunkDown {
                        trunk,
                        server,
                        state,
                        was,
                        why,
                    } => self
                        .told
                        .push(format!("trunk.down {trunk} {server} {state} after {was}: {why}")),
                    Happening::TrunkRegistered { trunk, server, .. } => {
                        self.told.push(format!("trunk.registered {trunk} {server}"));
                    }
                    Happening::TrunkUnregistered { trunk, state, why, .. } => {
                        self.told.push(format!("trunk.unregistered {trunk} {state}: {why}"));
                    }
                    _ => {}
                },
                ShardOutput::Locate { place, .. } => {
                    self.located.push(place.name().to_owned());
                    self.place = Some(place);
                }
                ShardOutput::Ended(_, record) => self.records.push(*record),
                _ => {}
            }
        }
    }

    fn sent(&mut self, to: SocketAddr, message: Message) {
        if to == ANN.parse().unwrap() {
            let is_refusal = message.status().is_some_and(|status| status >= 300);
            if is_refusal && header(&message, "CSeq").contains("INVITE") {
                let text = ack(&message);
                self.to_a.push(message);
                return self.hears(ANN, &text);
            }
            return self.to_a.push(message);
        }
        match message.method() {
            Some(Method::Options) if !self.dead.contains(&to) => {
                let at = self.now.mono + Duration::from_millis(PINGED);
                self.pongs.push((at, to, message));
            }
            Some(Method::Invite) => {
                let branch = message.top_via().unwrap().branch().map(str::to_owned);
                let again =
                    |(_, known): &(SocketAddr, Message)| known.top_via().unwrap().branch().map(str::to_owned) == branch;
                if !self.invites.iter().any(again) {
                    self.fresh.push(to);
                    self.invites.push((to, message));
                }
            }
            Some(Method::Register) => {
                let branch = message.top_via().unwrap().branch().unwrap().to_owned();
                if !self.registered.contains(&branch) {
                    self.registered.push(branch);
                    self.registers.push((to, message));
                }
            }
            Some(Method::Bye) => self.respond(to, &message, 200, ""),
            _ => {}
        }
    }

    pub fn respond(&mut self, server: SocketAddr, request: &Message, status: u16, more: &str) {
        let to = match header(request, "To") {
            to if to.contains(";tag=") => to.to_owned(),
            to => format!("{to};tag=b"),
        };
        let text = format!(
            "SIP/2.0 {status} {}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{server}>\r\n{more}",
            segue_sip_wire::phrase(status),
            header(request, "Via"),
            header(request, "From"),
            header(request, "Call-ID"),
            header(request, "CSeq"),
        );
        let body = match (request.method(), status) {
            (Some(Method::Invite), 200) => SDP,
            _ => "",
        };
        let text = match body {
            "" => format!("{text}Content-Length: 0\r\n\r\n"),
            body => format!(
                "{text}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        };
        self.hears(&server.to_string(), &text);
    }

    pub fn hears(&mut self, from: &str, text: &str) {
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard.handle_message(self.now, peer(X, from), message);
        self.perform();
    }

    /// Ann calls a number.
    pub fn calls(&mut self, number: u32) {
        self.calls_to(number, "sip:+4930123@segue.example");
    }

    pub fn calls_to(&mut self, number: u32, uri: &str) {
        self.calls_saying(number, uri, "");
    }

    /// The same with more headers.
    pub fn calls_saying(&mut self, number: u32, uri: &str, said: &str) {
        let more = format!(
            "{said}Contact: <sip:ann@{ANN}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        );
        self.fresh.clear();
        self.to_a.clear();
        self.hears(ANN, &from_ann("INVITE", uri, number, &more));
    }

    pub fn cancels(&mut self, number: u32) {
        let text = from_ann(
            "CANCEL",
            "sip:+4930123@segue.example",
            number,
            "Content-Length: 0\r\n\r\n",
        );
        self.hears(ANN, &text);
    }

    /// Where INVITEs went since the last call or question, each once.
    pub fn invited(&mut self) -> Vec<String> {
        std::mem::take(&mut self.fresh)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    pub fn last_invite(&self, server: &str) -> Message {
        let mut of = self.invites.iter().rev().filter(|(to, _)| to.to_string() == server);
        of.next().unwrap().1.clone()
    }

    pub fn refuses(&mut self, server: &str, status: u16, more: &str) {
        let invite = self.last_invite(server);
        self.respond(server.parse().unwrap(), &invite, status, more);
    }

    /// The callee takes the last call, and Ann has it: with this status.
    pub fn answer(&mut self, server: &str) -> u16 {
        self.refuses(server, 200, "");
        let answered = self.to_a.last().unwrap().clone();
        let number: u32 = header(&answered, "Call-ID").trim_start_matches('c').parse().unwrap();
        let text = from_ann_within("ACK", &answered, number, 1);
        self.hears(ANN, &text);
        answered.status().unwrap()
    }

    /// Ann ends the call that was answered last.
    pub fn hangs_up(&mut self) {
        let of = |message: &&Message| message.status() == Some(200) && header(message, "CSeq").contains("INVITE");
        let answered = self.to_a.iter().rev().find(of).unwrap().clone();
        let number: u32 = header(&answered, "Call-ID").trim_start_matches('c').parse().unwrap();
        self.hears(ANN, &from_ann_within("BYE", &answered, number, 2));
    }

    /// What Ann was told last.
    pub fn refused(&self) -> Message {
        self.to_a.last().unwrap().clone()
    }

    pub fn record(&self) -> &CallRecord {
        self.records.last().expect("a call has ended")
    }

    pub fn at(&self) -> Now {
        self.now
    }

    pub fn outputs(&mut self) {
        self.perform();
    }

    pub fn status(&mut self, name: &str) -> TrunkStatus {
        let all = self.shard.trunks(self.now);
        all.into_iter().find(|trunk| trunk.name == name).unwrap()
    }

    /// Address and state of each of its servers.
    pub fn states(&mut self, name: &str) -> Vec<(String, &'static str)> {
        let servers = self.status(name).servers.into_iter().map(|server| {
            let address = server.address.unwrap_or_default();
            (address.trim_end_matches("/UDP").to_owned(), server.condition.as_str())
        });
        servers.collect()
    }

    /// The name server says where the trunk's domain is.
    pub fn finds(&mut self, servers: &[&str]) {
        let of = |at: &&str| Candidate {
            protocol: Protocol::Udp,
            remote: at.parse().unwrap(),
        };
        let found: Vec<Candidate> = servers.iter().map(of).collect();
        let place = self.place.clone().unwrap();
        self.shard.handle_located(self.now, &place, &found);
        self.perform();
    }
}

fn from_ann(method: &str, uri: &str, number: u32, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ANN};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:ann@10.1.0.1>;tag=a{number}\r\nTo: <{uri}>\r\nCall-ID: c{number}\r\nCSeq: 1 {method}\r\n{more}"
    )
}

/// Of a refusal: with the branch of its INVITE.
fn ack(refusal: &Message) -> String {
    format!(
        "ACK sip:+4930123@segue.example SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\n\
         Content-Length: 0\r\n\r\n",
        header(refusal, "Via"),
        header(refusal, "From"),
        header(refusal, "To"),
        header(refusal, "Call-ID"),
    )
}

fn from_ann_within(method: &str, answered: &Message, number: u32, cseq: u32) -> String {
    format!(
        "{method} sip:segue@{X} SIP/2.0\r\nVia: SIP/2.0/UDP {ANN};branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\n\
         From: {}\r\nTo: {}\r\nCall-ID: c{number}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
        header(answered, "From"),
        header(answered, "To"),
    )
}
