//! The world of one run: a shard, its callers and callees, the network between them, packet path and store. One seed makes it,
//! one clock moves it.

pub mod carrier;
mod ladder;
mod setup;
mod sides;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, CallKey, Limits, Shard, ShardConfig, ShardOutput};
use segue_call::{CallConfig, LegId, MediaAction, MediaEvent, Now, Operator, StoreAction, StoreReply};
use segue_records::{CallRecord, UnixMs};
use segue_sip::{EndpointConfig, FlowId, Local, Peer, Protocol, Transmit};
use segue_sip_wire::Message;

use crate::{
    callee::{Callee, Reach},
    caller::Caller,
    dice::{Dice, MS, S, Time},
    media_model::{Fires, MediaModel},
    network::Network,
    phone::{Phone, X},
    store_model::{Kept, Ledger, Places},
    wire::{self, Msg},
};

pub use setup::{Scenario, Setup};

/// No run lasts longer than this, or something never ends.
const END: Time = 1_800 * S;
/// Unix time at the start of each run.
const WALL: i64 = 1_700_000_000_000;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    A(usize),
    B(usize),
    Stranger,
}

/// One thing that was seen at Segue's edge.
pub struct Entry {
    pub at: Time,
    pub what: Seen,
}

#[allow(clippy::large_enum_variant)] // A log of a test: most of it is media actions and bytes.
pub enum Seen {
    /// Bytes that Segue sent, whether anybody got them, or that it received.
    Wire {
        party: Party,
        out: bool,
        tcp: bool,
        arrives: usize,
        msg: Msg,
    },
    /// Bytes to Segue that the network lost.
    LostBefore {
        party: Party,
        msg: Msg,
    },
    /// The transport could not send to this party.
    Unsent {
        party: Party,
    },
    Media {
        call: usize,
        action: MediaAction,
    },
    Event {
        call: usize,
        event: MediaEvent,
    },
    Store {
        call: usize,
        action: StoreAction,
    },
    Reply {
        call: usize,
        reply: StoreReply,
    },
    Hangup {
        call: usize,
    },
    Ended {
        call: usize,
        record: Box<CallRecord>,
    },
    Refused {
        source: SocketAddr,
        why: String,
    },
}

/// What is on its way.
enum Pending {
    ToShard(Party, Protocol, Vec<u8>),
    ToPhone(Party, Protocol, Msg),
    TransportError(u64),
    Fires(CallKey, Fires),
    Media(CallKey, MediaEvent),
    Store(CallKey, StoreReply),
    Key(usize, char),
    HangUp(usize),
    Stranger,
}

pub struct World {
    pub setup: Setup,
    pub now: Time,
    pub shard: Shard,
    pub callers: Vec<Caller>,
    /// One for each call, then the further targets.
    pub callees: Vec<Callee>,
    /// The call that each callee is a target of.
    pub called_by: Vec<usize>,
    pub media: MediaModel,
    pub ledger: Ledger,
    pub places: Places,
    pub log: Vec<Entry>,
    /// The recording of each call.
    pub recordings: BTreeMap<usize, String>,
    /// When the last `Ended` or message came.
    pub last_told_at: Time,
    /// When the shard last had anything to keep.
    pub last_busy_at: Time,
    pub networks: (Network, Network),
    base: Instant,
    queue: BTreeMap<(Time, u64), Pending>,
    order: u64,
    dice: Dice,
    keys: BTreeMap<CallKey, usize>,
    /// When the last event of each call's packet path arrives.
    media_line: BTreeMap<CallKey, Time>,
}

impl World {
    pub fn new(setup: Setup) -> World {
        let seed = setup.seed;
        let here: SocketAddr = X.parse().expect("an address");
        let socket = |protocol| Local {
            protocol,
            bind: here,
            advertise: X.to_owned(),
        };
        let shard = Shard::new(ShardConfig {
            endpoint: EndpointConfig {
                seed,
                sockets: vec![socket(Protocol::Udp), socket(Protocol::Tcp)],
                ..EndpointConfig::default()
            },
            call: Arc::new(CallConfig {
                record_min_ms: 1_000,
                record_max_ms: setup.record_max_ms,
                record_silence_ms: 4_000,
                early_max_ms: 170_000,
            }),
            admission: Admission::new(vec![Arc::new(setup.profile.clone())]),
            limits: Limits::default(),
            seed,
            secret: Some(segue_call::KeySecret([7; 32])),
        });
        let (mut callers, mut callees) = (Vec::new(), Vec::new());
        for (i, scenario) in setup.scenarios.iter().enumerate() {
            let at = |net: &str| format!("10.{net}.0.{}:5060", i + 1).parse().expect("an address");
            let salt = 100 + 10 * i as u64;
            let mut a = Phone::new(
                format!("a{i}"),
                at("1"),
                scenario.caller.protocol,
                Dice::new(seed, salt),
            );
            let b = Phone::new(format!("b{i}"), at("2"), Protocol::Udp, Dice::new(seed, salt + 1));
            a.timers = scenario.caller.habits.timer.is_some();
            callers.push(Caller::new(a, scenario.caller.clone(), format!("b{i}"), b.address));
            callees.push(Callee::new(b, scenario.callee.clone()));
        }
        let mut called_by: Vec<usize> = (0..callees.len()).collect();
        for (i, scenario) in setup.scenarios.iter().enumerate() {
            for (moved, script) in scenario
                .more
                .iter()
                .map(|s| (false, s))
                .chain(scenario.moved.iter().map(|s| (true, s)))
            {
                let n = callees.len();
                let at = format!("10.2.0.{}:5060", n + 1).parse().expect("an address");
                let b = Phone::new(format!("b{i}t{n}"), at, Protocol::Udp, Dice::new(seed, 500 + n as u64));
                if moved {
                    // The one before sends the call here.
                    let before = if scenario.moved.first().is_some_and(|f| std::ptr::eq(f, script)) {
                        i
                    } else {
                        n - 1
                    };
                    callees[before].script.habits.moved_to = Some(format!("sip:{}@{}", b.user, b.address));
                }
                callees.push(Callee::new(b, script.clone()));
                called_by.push(i);
            }
        }
        let network = |salt| match setup.delay {
            Some(delay) => Network::smooth(delay),
            None => Network::by(Dice::new(seed, salt)),
        };
        let mut world = World {
            now: 0,
            shard,
            callers,
            callees,
            called_by,
            media: MediaModel::new(Dice::new(seed, 1)),
            ledger: Ledger::default(),
            places: Places::default(),
            log: Vec::new(),
            recordings: BTreeMap::new(),
            last_told_at: 0,
            last_busy_at: 0,
            networks: (network(2), network(3)),
            base: Instant::now(),
            queue: BTreeMap::new(),
            order: 0,
            dice: Dice::new(seed, 4),
            keys: BTreeMap::new(),
            media_line: BTreeMap::new(),
            setup,
        };
        world.schedule();
        world
    }

    fn schedule(&mut self) {
        for call in 0..self.setup.scenarios.len() {
            let scenario = self.setup.scenarios[call].clone();
            for (after, key) in scenario.caller.keys {
                self.later(scenario.caller.starts + after, Pending::Key(call, key));
            }
            if let Some(at) = scenario.operator {
                self.later(at, Pending::HangUp(call));
            }
        }
        if self.setup.stranger {
            self.later(S, Pending::Stranger);
        }
    }

    fn later(&mut self, at: Time, what: Pending) {
        self.order += 1;
        self.queue.insert((at.max(self.now), self.order), what);
    }

    /// A moment by the wall clock of this run.
    pub fn wall(&self, at: Time) -> UnixMs {
        UnixMs(WALL + i64::try_from(at / MS).expect("a short run"))
    }

    fn instant(&self) -> Now {
        Now {
            mono: self.base + Duration::from_micros(self.now),
            wall: self.wall(self.now),
        }
    }

    fn time(&self, at: Instant) -> Time {
        let since = at.saturating_duration_since(self.base).as_nanos();
        Time::try_from(since.div_ceil(1_000)).expect("a short run")
    }

    fn note(&mut self, what: Seen) {
        self.log.push(Entry { at: self.now, what });
    }

    /// Lives until nothing more can happen.
    pub fn run(&mut self) -> Result<(), String> {
        loop {
            self.carry();
            let shard = self.shard.poll_timeout().map(|at| self.time(at));
            let phones = self
                .callers
                .iter()
                .filter_map(Caller::next_due)
                .chain(self.callees.iter().filter_map(Callee::next_due))
                .min();
            let queued = self.queue.keys().next().map(|(at, _)| *at);
            let Some(next) = [shard, phones, queued].into_iter().flatten().min() else {
                return Ok(());
            };
            if next > END {
                return Err(format!(
                    "something never ends (shard {shard:?}, phones {phones:?}, on the way {queued:?})"
                ));
            }
            self.now = self.now.max(next);
            if shard.is_some() || self.shard.endpoint().transaction_count() > 0 {
                self.last_busy_at = self.now.min(shard.unwrap_or(self.now));
            }
            if queued == Some(next)
                && let Some((_, pending)) = self.queue.pop_first()
            {
                self.arrive(pending);
            } else if shard.is_some_and(|at| at <= self.now) {
                self.shard.handle_timeout(self.instant());
            } else {
                let now = self.now;
                self.callers.iter_mut().for_each(|a| a.tick(now));
                self.callees.iter_mut().for_each(|b| b.tick(now));
            }
        }
    }

    /// Takes what phones and shard have to say onto its way.
    fn carry(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(transmit) => self.transmit(transmit),
                ShardOutput::Media(key, action) => self.perform(key, action),
                ShardOutput::Store(key, action, _) => self.store(key, action),
                ShardOutput::Release { message_id, .. } => self.places.released(&message_id),
                ShardOutput::Resolve { place, .. } | ShardOutput::Locate { place, .. } => {
                    panic!("all callees have addresses: {place:?}")
                }
                ShardOutput::Refused(refusal) => self.note(Seen::Refused {
                    source: refusal.source,
                    why: refusal.why,
                }),
                ShardOutput::Registrations(..)
                | ShardOutput::Spent(_)
                | ShardOutput::CountMessages(_)
                | ShardOutput::Missed(..)
                | ShardOutput::Texted(..)
                | ShardOutput::RefusedUntold(_)
                | ShardOutput::Event(_) => {}
                ShardOutput::Ended(_, record) => {
                    let call = self.callers.iter().position(|a| a.call_id == record.sip_call_id);
                    let call = call.expect("a record of a call that was made");
                    self.last_told_at = self.now;
                    self.note(Seen::Ended { call, record });
                }
            }
        }
        for i in 0..self.callees.len() {
            if let Some(caller) = self.callers.get_mut(i) {
                let (out, protocol) = (std::mem::take(&mut caller.phone.out), caller.phone.protocol);
                for bytes in out {
                    self.said_by_phone(Party::A(i), protocol, bytes);
                }
            }
            let callee = &mut self.callees[i].phone;
            let (out, protocol) = (std::mem::take(&mut callee.out), callee.protocol);
            for bytes in out {
                self.said_by_phone(Party::B(i), protocol, bytes);
            }
        }
    }

    fn dark(&self, party: Party) -> bool {
        let since = match party {
            Party::A(i) => self.callers[i].dies_at(),
            Party::B(i) => self.callees[i].dies_at(),
            Party::Stranger => None,
        };
        since.is_some_and(|at| at <= self.now)
    }

    fn arrivals(&mut self, party: Party, protocol: Protocol, out: bool) -> Vec<Time> {
        match party {
            Party::A(i) => self.networks.0.arrivals(self.now, protocol, i as u64, out),
            Party::B(i) => self.networks.1.arrivals(self.now, protocol, i as u64, out),
            Party::Stranger => vec![self.now],
        }
    }

    fn said_by_phone(&mut self, party: Party, protocol: Protocol, bytes: Vec<u8>) {
        if self.dark(party) {
            return;
        }
        if let Party::B(i) = party
            && self.callees[i].answered_at == Some(self.now)
        {
            let now = self.now;
            self.callers[self.called_by[i]].callee_answers(now);
        }
        let arrivals = self.arrivals(party, protocol, false);
        if arrivals.is_empty() {
            self.note(Seen::LostBefore {
                party,
                msg: Msg::read(&bytes),
            });
        }
        for at in arrivals {
            self.later(at, Pending::ToShard(party, protocol, bytes.clone()));
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        let Transmit { peer, bytes, id, .. } = transmit;
        let msg = Msg::read(&bytes);
        let at = |phone: &Phone| phone.address == peer.remote;
        let caller = self.callers.iter().position(|a| at(&a.phone)).map(Party::A);
        let callee = self.callees.iter().position(|b| at(&b.phone)).map(Party::B);
        let party = caller.or(callee).unwrap_or(Party::Stranger);
        if let Party::B(i) = party {
            let script = &self.callees[i].script;
            if script.reach == Reach::Unreachable || (peer.protocol == Protocol::Tcp && script.no_tcp) {
                let at = self.now + self.networks.1.refusal();
                self.note(Seen::Unsent { party });
                return self.later(at, Pending::TransportError(id));
            }
        }
        let says_so = match party {
            Party::A(i) => self.callers[i].script.dies.is_some_and(|(_, says_so)| says_so),
            Party::B(i) => self.callees[i].script.dies.is_some_and(|(_, says_so)| says_so),
            Party::Stranger => false,
        };
        if says_so && self.dark(party) {
            let at = self.now + self.networks.1.refusal();
            self.later(at, Pending::TransportError(id));
        }
        let reached =
            !self.dark(party) && !matches!(party, Party::B(i) if self.callees[i].script.reach == Reach::Silent);
        let arrivals = if reached {
            self.arrivals(party, peer.protocol, true)
        } else {
            Vec::new()
        };
        self.note(Seen::Wire {
            party,
            out: true,
            tcp: peer.protocol == Protocol::Tcp,
            arrives: arrivals.len(),
            msg: msg.clone(),
        });
        for at in arrivals {
            self.later(at, Pending::ToPhone(party, peer.protocol, msg.clone()));
        }
    }

    fn arrive(&mut self, pending: Pending) {
        let now = self.instant();
        match pending {
            Pending::ToShard(party, protocol, bytes) => {
                let remote = match party {
                    Party::A(i) => self.callers[i].phone.address,
                    Party::B(i) => self.callees[i].phone.address,
                    Party::Stranger => "192.0.2.9:5060".parse().expect("an address"),
                };
                let flow = match party {
                    _ if protocol == Protocol::Udp => None,
                    Party::A(i) => Some(FlowId(1_000 + i as u64)),
                    Party::B(i) => Some(FlowId(2_000 + i as u64)),
                    Party::Stranger => None,
                };
                let peer = Peer {
                    protocol,
                    local: X.parse().expect("an address"),
                    remote,
                    flow,
                };
                let msg = Msg::read(&bytes);
                self.note(Seen::Wire {
                    party,
                    out: false,
                    tcp: protocol == Protocol::Tcp,
                    arrives: 1,
                    msg,
                });
                let message = Message::parse_datagram(&bytes)
                    .unwrap_or_else(|e| panic!("{}: {e:?}", String::from_utf8_lossy(&bytes)));
                self.last_told_at = self.now;
                self.shard.handle_message(now, peer, message);
            }
            Pending::ToPhone(party, protocol, msg) if !self.dark(party) => match party {
                Party::A(i) => self.callers[i].receive(self.now, &msg),
                Party::B(i) => {
                    self.callees[i].phone.protocol = protocol;
                    self.callees[i].receive(self.now, &msg);
                }
                Party::Stranger => {}
            },
            Pending::ToPhone(..) => {}
            Pending::TransportError(id) => {
                self.last_told_at = self.now;
                self.shard.handle_transport_error(now, id);
            }
            Pending::Fires(key, fires) => self.fire(key, fires),
            Pending::Media(key, event) => {
                if let Some(call) = self.keys.get(&key).copied() {
                    self.note(Seen::Event {
                        call,
                        event: event.clone(),
                    });
                }
                self.shard.handle_media(now, key, event);
            }
            Pending::Store(key, reply) => {
                if let StoreReply::Reserved { message_id, .. } = &reply {
                    self.places.reserved(message_id);
                }
                if let StoreReply::Deposited { message_id } = &reply {
                    self.places.deposited(message_id);
                    self.ledger.goes(message_id, Kept::Depositing, Kept::Deposited);
                }
                if let Some(call) = self.keys.get(&key).copied() {
                    self.note(Seen::Reply {
                        call,
                        reply: reply.clone(),
                    });
                }
                self.shard.handle_store(now, key, reply);
            }
            Pending::Key(call, key) => {
                let found = self.keys.iter().find(|(_, c)| **c == call).map(|(k, _)| *k);
                if let Some(of) = found.filter(|of| !self.dark(Party::A(call)) && self.media.hears_keys(*of)) {
                    self.later(self.now, Pending::Media(of, MediaEvent::Dtmf { leg: LegId::A, key }));
                }
            }
            Pending::HangUp(call) => {
                let found = self.keys.iter().find(|(_, c)| **c == call).map(|(k, _)| *k);
                if let Some(of) = found {
                    self.note(Seen::Hangup { call });
                    self.shard.handle_operator(now, of, Operator::HangUp);
                }
            }
            Pending::Stranger => {
                let text = format!(
                    "INVITE sip:b0@{X} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKstranger\r\nMax-Forwards: 70\r\n\
                     From: <sip:s@192.0.2.9>;tag=s\r\nTo: <sip:b0@{X}>\r\nCall-ID: stranger\r\nCSeq: 1 INVITE\r\n\
                     Contact: <sip:s@192.0.2.9:5060>\r\n"
                );
                self.later(
                    self.now,
                    Pending::ToShard(Party::Stranger, Protocol::Udp, wire::finish(text, None)),
                );
            }
        }
    }
}
