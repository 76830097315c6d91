//! A day in the office: one shard, a store on the disk, phones and callers, the network between them, and the server's ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, CallKey, Limits, Shard, ShardConfig, ShardOutput};
use segue_call::{CallConfig, LegId, MediaEvent, Now, StoreReply};
use segue_records::{CallRecord, Happening, UnixMs};
use segue_sip::{EndpointConfig, Local, Protocol};
use segue_sip_wire::DigestAlgorithm;

use super::{
    busy::Busy,
    desk::Desk,
    device::{Device, PASSWORD},
    lamps::Lamps,
    pins::Pins,
    provider::{self, Provider},
    roll::Roll,
    setup::{From, Setup, Stop, TEAM, name},
    visits::Visit,
};
use crate::{
    caller::Caller,
    credentials,
    dice::{Dice, MS, S, Time},
    media_model::{Fires, MediaModel},
    network::Network,
    observer::Marks,
    phone::{Phone, X},
    wire::Msg,
};

/// No run lasts longer.
const END: Time = 3_600 * S;
/// Unix time at the start of each run.
const WALL: i64 = 1_700_000_000_000;
/// How long an orderly end takes at most.
const LAST_WORDS: Time = 3 * S;

pub(super) enum Pending {
    ToShard(SocketAddr, Protocol, u64, Vec<u8>),
    ToPhone(SocketAddr, Protocol, Msg),
    /// Of one life of the server, as the next ones.
    TransportError(u32, u64),
    Fires(u32, CallKey, Fires),
    Media(u32, CallKey, MediaEvent),
    Store(u32, CallKey, StoreReply),
    Deposit(u32, CallKey, String, bool),
    Count(u32, String),
    Key(usize, char),
    Deed(usize),
    Stop(usize),
    Down(u32, Time),
    Up,
    /// A command removes the outside line.
    Unline,
    Look,
}

pub struct World {
    pub setup: Setup,
    pub now: Time,
    pub shard: Shard,
    pub callers: Vec<Caller>,
    pub devices: Vec<Device>,
    pub media: MediaModel,
    pub desk: Desk,
    pub roll: Roll,
    pub lamps: Lamps,
    pub pins: Pins,
    pub provider: Option<Provider>,
    pub busy: Busy,
    pub marks: Marks,
    pub records: Vec<(u32, CallRecord)>,
    /// Requests that came, by branch and method: when, in which life of the server, and whether they were answered.
    pub asked: BTreeMap<(String, String), (Time, u32, bool)>,
    /// The server's lives, and whether this one has begun and not ended.
    pub life: u32,
    pub is_up: bool,
    pub up_since: Time,
    pub keys: BTreeMap<CallKey, String>,
    pub dice: Dice,
    pub visits: BTreeMap<CallKey, Visit>,
    starting: Option<String>,
    wrong: Option<String>,
    lines: Vec<String>,
    pub(super) said: BTreeSet<String>,
    pub(super) network: Network,
    base: Instant,
    queue: BTreeMap<(Time, u64), Pending>,
    order: u64,
    media_line: BTreeMap<CallKey, Time>,
}

fn shard(setup: &Setup, life: u32) -> Shard {
    let here: SocketAddr = X.parse().expect("an address");
    let socket = |protocol| Local {
        protocol,
        bind: here,
        advertise: X.to_owned(),
    };
    let seed = setup.seed ^ u64::from(life) << 32;
    let algorithms = match setup.seed % 2 {
        0 => [DigestAlgorithm::Md5, DigestAlgorithm::Sha256],
        _ => [DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
    };
    let mut shard = Shard::new(ShardConfig {
        endpoint: EndpointConfig {
            seed,
            sockets: vec![socket(Protocol::Udp), socket(Protocol::Tcp)],
            ..EndpointConfig::default()
        },
        call: Arc::new(CallConfig {
            record_min_ms: 1_000,
            record_max_ms: 20_000,
            record_silence_ms: 4_000,
            early_max_ms: 170_000,
        }),
        admission: Admission::new(vec![Arc::new(setup.profile.clone())])
            .with_secrets(vec![credentials::secrets(&algorithms)]),
        limits: Limits::default(),
        seed,
        secret: Some(segue_call::KeySecret([u8::try_from(life).expect("few lives"); 32])),
    });
    let listed = |of: &segue_policy::Subscriber| {
        let mut listed = credentials::listed(&of.user, PASSWORD);
        listed.numbers.clone_from(&of.numbers);
        let user = (0..setup.busy.len()).find(|user| name(*user) == of.user);
        listed.caps.busy_at = user.filter(|user| setup.busy[*user]).map(|_| 1);
        if of.user == TEAM {
            listed.members = setup.members.iter().map(|member| name(*member)).collect();
        }
        listed
    };
    shard.handle_directory(credentials::directory(setup.subscribers.iter().map(listed).collect()));
    shard
}

impl World {
    pub fn new(setup: Setup) -> World {
        let seed = setup.seed;
        let callers = setup.calls.iter().enumerate().map(|(i, call)| {
            let at = match call.from_line {
                true => provider::at(),
                false => format!("10.1.0.{}:5060", i + 1).parse().expect("an address"),
            };
            let dice = Dice::new(seed, 800 + i as u64);
            let phone = Phone::new(format!("a{i}"), at, call.script.protocol, dice);
            Caller::new(phone, call.script.clone(), call.to.clone(), at)
        });
        let devices = setup.devices.iter().enumerate();
        let devices = devices.map(|(i, script)| Device::new(seed, i, script.clone(), setup.day));
        let devices: Vec<Device> = devices.collect();
        let visitors = setup.visits.iter().enumerate().map(|(i, visit)| {
            let (user, at, protocol) = match visit.from {
                From::Device(device) => {
                    let device = &devices[device];
                    (device.user(), device.phone.address, device.phone.protocol)
                }
                From::Elsewhere(place) => {
                    let at = format!("10.8.0.{}:5060", place + 1).parse().expect("an address");
                    // It says that it is somebody: that is no proof.
                    (name(0), at, Protocol::Udp)
                }
            };
            let mut phone = Phone::new(user, at, protocol, Dice::new(seed, 900 + i as u64));
            phone.names_from(1_000_000 + 1_000 * i as u64);
            let mut script = visit.script.clone();
            script.protocol = protocol;
            let mut caller = Caller::new(phone, script, visit.to.to_owned(), at);
            caller.call_id = format!("visit-{i}");
            caller
        });
        let mut world = World {
            now: 0,
            shard: shard(&setup, 0),
            callers: callers.chain(visitors).collect(),
            devices,
            media: MediaModel::new(Dice::new(seed, 21)),
            desk: Desk::new(&setup),
            roll: Roll::default(),
            lamps: Lamps::new(setup.profile.mwi.takes_subscriptions()),
            pins: Pins::new(),
            provider: setup.provider.clone().map(|script| Provider::new(seed, script)),
            busy: Busy::default(),
            marks: Marks::new(),
            records: Vec::new(),
            asked: BTreeMap::new(),
            life: 0,
            is_up: true,
            up_since: 0,
            keys: BTreeMap::new(),
            dice: Dice::new(seed, 23),
            visits: BTreeMap::new(),
            starting: None,
            wrong: None,
            lines: Vec::new(),
            said: BTreeSet::new(),
            network: Network::by(Dice::new(seed, 22)),
            base: Instant::now(),
            queue: BTreeMap::new(),
            order: 0,
            media_line: BTreeMap::new(),
            setup,
        };
        for call in 0..world.callers.len() {
            let script = world.callers[call].script.clone();
            for (after, key) in script.keys {
                world.later(script.starts + after, Pending::Key(call, key));
            }
        }
        for at in 0..world.setup.deeds.len() {
            world.later(world.setup.deeds[at].0, Pending::Deed(at));
        }
        for at in 0..world.setup.stops.len() {
            world.later(world.setup.stops[at].0, Pending::Stop(at));
        }
        world.add_line();
        world.later(world.setup.day + 10 * S, Pending::Unline);
        let mut at = 0;
        while at < world.setup.day + 120 * S {
            at += 1_700 * MS;
            world.later(at, Pending::Look);
        }
        world
    }

    pub(super) fn later(&mut self, at: Time, what: Pending) {
        self.order += 1;
        self.queue.insert((at.max(self.now), self.order), what);
    }

    pub(super) fn instant(&self) -> Now {
        Now {
            mono: self.base + Duration::from_micros(self.now),
            wall: UnixMs(WALL + i64::try_from(self.now / MS).expect("a short run")),
        }
    }

    fn time(&self, at: Instant) -> Time {
        let since = at.saturating_duration_since(self.base).as_nanos();
        Time::try_from(since.div_ceil(1_000)).expect("a short run")
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        let (ms, us) = (self.now / MS, self.now % MS);
        self.lines.push(format!("{ms:>9}.{us:03} ms {}", what.into()));
    }

    pub fn ladder(&self) -> String {
        let mut out = format!("network: {}\n", self.network.describe());
        for (i, device) in self.setup.devices.iter().enumerate() {
            out += &format!("device {i}: {device:?}\n");
        }
        for (i, call) in self.setup.calls.iter().enumerate() {
            out += &format!("call {i}: {call:?}\n");
        }
        out + &self.lines.join("\n")
    }

    pub(super) fn mark(&mut self, mark: impl Into<String>) {
        self.marks.insert(mark.into());
    }

    /// Something is as it must not be.
    pub(super) fn must<T>(&mut self, outcome: Result<T, String>) -> Option<T> {
        match outcome {
            Ok(fine) => Some(fine),
            Err(why) => {
                self.note(format!("WRONG: {why}"));
                self.wrong.get_or_insert(why);
                None
            }
        }
    }

    /// Lives until nothing more can happen.
    pub fn run(&mut self) -> Result<(), String> {
        loop {
            self.carry();
            if let Some(why) = self.wrong.take() {
                return Err(why);
            }
            let shard = self.shard.poll_timeout().filter(|_| self.is_up).map(|at| self.time(at));
            let callers = self.callers.iter().filter_map(Caller::next_due);
            let provider = self.provider.iter().filter_map(Provider::next_due);
            let phones = callers
                .chain(provider)
                .chain(self.devices.iter().filter_map(Device::next_due))
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
            if queued == Some(next)
                && let Some((_, pending)) = self.queue.pop_first()
            {
                self.arrive(pending);
            } else if shard.is_some_and(|at| at <= self.now) {
                self.shard.handle_timeout(self.instant());
            } else {
                let now = self.now;
                self.callers.iter_mut().for_each(|a| a.tick(now));
                self.devices.iter_mut().for_each(|d| d.tick(now));
                self.provider.iter_mut().for_each(|p| p.tick(now));
            }
        }
    }

    /// Takes what phones and shard have to say onto its way.
    fn carry(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            if !self.is_up {
                continue;
            }
            match output {
                ShardOutput::Transmit(transmit) => self.transmit(transmit),
                ShardOutput::Media(key, action) => {
                    self.starts(key);
                    self.perform(key, action);
                }
                ShardOutput::Store(key, action, _) => {
                    self.starts(key);
                    self.store(key, action);
                }
                ShardOutput::Release { mailbox, message_id } => self.desk.release(&mailbox, &message_id),
                ShardOutput::Registrations(user, all) => {
                    self.note(format!("     {user} is registered {} times", all.len()));
                    self.desk.save(user, all);
                }
                ShardOutput::CountMessages(user) => self.count(user),
                ShardOutput::Event(told) => {
                    if matches!(told.what, Happening::CallStarted { .. }) {
                        self.starting = told.sip_call_id.clone();
                    }
                }
                ShardOutput::Refused(refusal) => self.note(format!("     refused {}: {}", refusal.source, refusal.why)),
                ShardOutput::Ended(key, record) => {
                    self.keys.remove(&key);
                    self.busy.ended(&record.sip_call_id);
                    if record.why.contains("and takes no more") {
                        self.mark("busy in a call of theirs");
                    }
                    if let Some(visit) = self.visits.remove(&key) {
                        let outcome = visit.ends(self.now);
                        self.must(outcome);
                    }
                    self.note(format!(
                        "     ENDED {} {:?} {:?}",
                        record.sip_call_id, record.result, record.why
                    ));
                    self.mark(format!("result {:?}", record.result));
                    self.records.push((self.life, *record));
                }
                ShardOutput::Resolve { place, .. } | ShardOutput::Locate { place, .. } => {
                    panic!("all phones have addresses: {place:?}")
                }
                ShardOutput::Spent(_)
                | ShardOutput::Missed(..)
                | ShardOutput::Texted(..)
                | ShardOutput::RefusedUntold(_) => {}
            }
        }
        for i in 0..self.callers.len() {
            let phone = &mut self.callers[i].phone;
            let (from, protocol, out) = (phone.address, phone.protocol, std::mem::take(&mut phone.out));
            if !self.is_dark(i) {
                for bytes in out {
                    self.said_by_phone(from, protocol, bytes);
                }
            }
        }
        let now = self.now;
        let out = self.provider.as_mut().map(|provider| provider.say(now));
        for bytes in out.unwrap_or_default() {
            let arrives = self.said_by_phone(provider::at(), Protocol::Udp, bytes.clone());
            if let Some(provider) = &mut self.provider {
                provider.reaches(&bytes, arrives);
            }
        }
        for i in 0..self.devices.len() {
            let device = &mut self.devices[i];
            let (from, protocol, out) = (device.phone.address, device.phone.protocol, device.say());
            for bytes in out {
                self.said_by_phone(from, protocol, bytes);
            }
        }
    }

    /// The line is begun with, or left.
    fn line_begins(&mut self) {
        if let Some(provider) = &mut self.provider {
            provider.since = self.now;
        }
    }

    /// The outside line, as a command has added it.
    fn add_line(&mut self) {
        self.line_begins();
        let (now, until) = (self.instant(), self.setup.day + 10 * S);
        if let Some(script) = self.setup.provider.as_ref().filter(|_| self.now < until) {
            self.shard.handle_trunks(now, vec![provider::trunk(script)]);
        }
    }

    /// The first that is wanted for a call follows its start.
    fn starts(&mut self, key: CallKey) {
        if let Some(call_id) = self.starting.take() {
            self.keys.insert(key, call_id);
        }
    }

    /// Which of the callers it is.
    pub(super) fn call_of(&self, key: CallKey) -> Option<usize> {
        let call_id = self.keys.get(&key)?;
        self.callers.iter().position(|a| a.call_id == *call_id)
    }

    pub(super) fn is_dark(&self, caller: usize) -> bool {
        self.callers[caller].dies_at().is_some_and(|at| at <= self.now)
    }

    /// A caller, which may be at a device.
    pub(super) fn caller_at(&self, address: SocketAddr, msg: &Msg) -> Option<usize> {
        let is_it = |a: &Caller| a.phone.address == address && a.call_id == msg.call_id();
        self.callers.iter().position(is_it)
    }

    pub(super) fn device_at(&self, address: SocketAddr) -> Option<usize> {
        self.devices
            .iter()
            .position(|d| d.phone.address == address && !d.is_off)
    }

    pub(super) fn stream(address: SocketAddr) -> u64 {
        let SocketAddr::V4(v4) = address else { return 0 };
        u64::from(u32::from(*v4.ip())) << 16 | u64::from(v4.port())
    }

    /// Whether it arrives.
    fn said_by_phone(&mut self, from: SocketAddr, protocol: Protocol, bytes: Vec<u8>) -> bool {
        let stream = Self::stream(from);
        let arrivals = self.network.arrivals(self.now, protocol, stream, false);
        if arrivals.is_empty() {
            self.note(format!("{from} --> LOST {}", Msg::read(&bytes).summary()));
        }
        let (flow, arrives) = (u64::from(self.life), !arrivals.is_empty());
        for at in arrivals {
            self.later(at, Pending::ToShard(from, protocol, flow, bytes.clone()));
        }
        arrives
    }

    fn arrive(&mut self, pending: Pending) {
        let (now, life) = (self.instant(), self.life);
        match pending {
            Pending::ToShard(from, protocol, flow, bytes) => self.hear(from, protocol, flow, &bytes),
            Pending::ToPhone(to, protocol, msg) => {
                let caller = self.caller_at(to, &msg);
                let is_call_of_line = to == provider::at() && caller.is_none();
                if let Some(caller) = caller.filter(|a| !self.is_dark(*a)) {
                    self.callers[caller].receive(self.now, &msg);
                } else if is_call_of_line && let Some(provider) = &mut self.provider {
                    let outcome = provider.receive(self.now, &msg);
                    if let Some(Some(mark)) = self.must(outcome) {
                        self.mark(mark);
                    }
                } else if let Some(device) = self.device_at(to) {
                    let device = &mut self.devices[device];
                    device.phone.protocol = protocol;
                    device.receive(self.now, &msg);
                }
            }
            Pending::Key(call, key) => {
                let found = self.keys.iter().find(|(_, of)| **of == self.callers[call].call_id);
                let of = found
                    .map(|(key, _)| *key)
                    .filter(|of| self.is_up && self.media.hears_keys(*of));
                if let Some(of) = of.filter(|_| !self.is_dark(call)) {
                    let event = MediaEvent::Dtmf { leg: LegId::A, key };
                    self.later(self.now, Pending::Media(life, of, event));
                }
            }
            Pending::Deed(at) => self.do_deed(at),
            Pending::Stop(at) => {
                let (_, how, away) = self.setup.stops[at];
                if !self.is_up {
                    return;
                }
                self.note(format!("     the server stops: {how:?}"));
                self.mark(format!("the server stopped: {how:?}"));
                match how {
                    Stop::Crash => self.go_down(away),
                    Stop::Orderly => {
                        self.shard.leave_providers(now);
                        self.line_begins();
                        self.shard.hang_up_all(now);
                        self.later(self.now + LAST_WORDS, Pending::Down(life, away));
                    }
                }
            }
            Pending::Down(of, away) if of == life => self.go_down(away),
            Pending::Up => self.go_up(),
            Pending::Unline if self.is_up => self.shard.handle_trunks(now, Vec::new()),
            Pending::Unline => {}
            Pending::Look => self.look(),
            _ if !self.is_up => {}
            Pending::TransportError(of, id) if of == life => self.shard.handle_transport_error(now, id),
            Pending::Fires(of, key, fires) if of == life => self.fire(key, fires),
            Pending::Media(of, key, event) if of == life => {
                self.note(format!("     {key:?} {event:?}"));
                if let Some(visit) = self.visits.get_mut(&key) {
                    visit.hears(self.now, &event);
                }
                self.shard.handle_media(now, key, event);
            }
            Pending::Deposit(of, key, id, urgent) if of == life => {
                let reply = self.deposit(&id, urgent);
                self.shard.handle_store(now, key, reply);
            }
            Pending::Store(of, key, reply) if of == life => {
                if let StoreReply::Reserved { message_id, .. } = &reply {
                    self.desk.places.reserved(message_id);
                }
                self.shard.handle_store(now, key, reply);
            }
            Pending::Count(of, user) if of == life => {
                let summary = self.desk.summary(&user);
                self.shard.handle_waiting(now, &user, summary);
            }
            // Of another life.
            _ => {}
        }
    }

    fn go_down(&mut self, away: Time) {
        self.is_up = false;
        self.life += 1;
        self.later(self.now + away, Pending::Up);
    }

    fn go_up(&mut self) {
        self.note("     the server is back");
        self.is_up = true;
        self.up_since = self.now;
        self.shard = shard(&self.setup, self.life);
        self.media = MediaModel::new(Dice::new(self.setup.seed, 30 + u64::from(self.life)));
        self.media_line.clear();
        self.keys.clear();
        self.visits.clear();
        self.starting = None;
        self.pins.restart();
        self.busy = Busy::default();
        self.lamps.restart();
        let now = self.instant();
        let kept = self.desk.restart(now.wall);
        self.shard.restore_registrations(now, kept);
        self.add_line();
        self.shard.handle_timeout(now);
        for id in self.desk.left() {
            self.deposit(&id, false);
            self.mark("a recording of before the crash became a message");
        }
    }

    /// Events of one call arrive in order, a little later.
    pub(super) fn tell(&mut self, key: CallKey, event: MediaEvent) {
        let line = self.media_line.entry(key).or_default();
        *line = (*line).max(self.now + self.dice.between(0, 2 * MS));
        let at = *line;
        self.later(at, Pending::Media(self.life, key, event));
    }
}
