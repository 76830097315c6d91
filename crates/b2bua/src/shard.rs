//! One signalling shard, sans-IO: an endpoint, the calls on it, and the way between them.
//!
//! `handle_*` takes input, `poll_*` gives output. Everything an input causes is done before `handle_*` returns.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_call::{
    CallConfig, Input, KeySecret, LegEvent, LegId, MediaAction, MediaEvent, Now, Operator, Output, StoreAction,
    StoreReply, Towards,
};
use segue_records::Happening;
use segue_registrar::Registrar;
use segue_sip::{Endpoint, Event, Guard, Peer, Served, SessionId};
use segue_sip_wire::{Message, Method, ParseError};

mod accounts;
mod beginning;
mod busy;
mod ending;
mod hearing;
mod interval;
mod keeping_open;
mod legs;
mod lines;
mod live;
mod missed;
mod mwi;
mod options;
mod overload;
mod proof;
mod registering;
mod serving;
mod texts;
mod trunks;
mod ways;
mod words;

pub(crate) use busy::Engaged;
pub use texts::{Text, TextKey, TextOutcome};
pub(crate) use trunks::Ways;
pub use words::{CallKey, ShardConfig, ShardOutput, ShardStats};

use crate::{
    Admission, Refusal, TrunkSetup,
    challenge::Asked,
    emergency,
    entry::Entry,
    identity::Present,
    keep_alive::KeepAlive,
    overload::{Limits, Overload},
    own::Own,
    registrations::Directory,
    translate,
    trunks::Trunks,
};

/// One signalling shard.
pub struct Shard {
    endpoint: Endpoint,
    call_config: Arc<CallConfig>,
    admission: Admission,
    rng: StdRng,
    /// Makes a secret for each call, of which the keys of its SRTP come.
    key_rng: Option<StdRng>,
    /// Makes identifiers of refused requests, apart: strangers do not change those of calls.
    refusal_rng: StdRng,
    guard: Guard,
    /// Who has proven to send the request that is handled now.
    proven: Option<String>,
    directory: Directory,
    registrar: Registrar,
    keep_alive: KeepAlive,
    calls: BTreeMap<CallKey, Entry>,
    /// The calls in which subscribers are, or have been.
    engaged: BTreeMap<String, BTreeSet<CallKey>>,
    sessions: BTreeMap<SessionId, (CallKey, LegId)>,
    /// Earliest timer of each call that has one.
    due: BTreeSet<(Instant, CallKey)>,
    next_call: u64,
    /// Set by `close`: no call begins any more.
    closing: bool,
    own: Own,
    present: Present,
    /// Events of legs that the endpoint has never known.
    said_here: VecDeque<(CallKey, LegId, LegEvent)>,
    outputs: VecDeque<ShardOutput>,
    overload: Overload,
    telling_refusals: overload::Telling,
    telling: mwi::Telling,
    asked: Asked,
    trials: options::Trials,
    trunks: Trunks,
    /// Those that commands have added.
    kept_trunks: Vec<TrunkSetup>,
    texts: texts::Texts,
    stats: ShardStats,
}

impl Shard {
    /// A shard without calls. `handle_timeout` is wanted once at its start.
    pub fn new(mut config: ShardConfig) -> Shard {
        let own = Own::of(&config.endpoint.sockets);
        config.endpoint.ask_options = true;
        let trunks = Trunks::new(config.admission.trunks(), config.endpoint.t1, !config.seed);
        let mut key_rng = config.secret.map(|KeySecret(secret)| StdRng::from_seed(secret));
        let mut nonce_key = [0; 32];
        match &mut key_rng {
            Some(rng) => rng.fill_bytes(&mut nonce_key),
            None => StdRng::seed_from_u64(config.seed.rotate_left(32)).fill_bytes(&mut nonce_key),
        }
        Shard {
            endpoint: Endpoint::new(config.endpoint),
            call_config: config.call,
            admission: config.admission,
            rng: StdRng::seed_from_u64(config.seed),
            key_rng,
            refusal_rng: StdRng::seed_from_u64(config.seed ^ u64::MAX),
            guard: Guard::new(nonce_key),
            proven: None,
            directory: Directory::default(),
            registrar: Registrar::new(config.limits.registrations),
            keep_alive: KeepAlive::default(),
            calls: BTreeMap::new(),
            engaged: BTreeMap::new(),
            sessions: BTreeMap::new(),
            due: BTreeSet::new(),
            next_call: 1,
            closing: false,
            own,
            present: Present::default(),
            said_here: VecDeque::new(),
            outputs: VecDeque::new(),
            overload: Overload::new(config.limits),
            telling_refusals: overload::Telling::default(),
            telling: mwi::Telling::default(),
            asked: Asked::default(),
            trials: options::Trials::default(),
            trunks,
            kept_trunks: Vec::new(),
            texts: texts::Texts::default(),
            stats: ShardStats::default(),
        }
    }

    /// A message arrived. Requests outside any dialog need a profile that admits them; from anybody else they get no answer.
    pub fn handle_message(&mut self, now: Now, peer: Peer, message: Message) {
        self.proven = None;
        self.endpoint.set_served(Served::default());
        if message.is_request() && !self.endpoint.belongs(&message) {
            let profile = self.profile_of(&peer, &message);
            self.endpoint.set_served(options::served(profile.as_deref().ok()));
            match profile {
                Ok(profile) if self.registers(now, &peer, &message, &profile) => return,
                Ok(profile) if self.subscribes(now, &peer, &message, &profile) => return,
                Ok(profile) if self.is_unproven(now, &peer, &message, &profile) => return,
                Ok(profile) if self.turns_away(now, peer, &message, &profile) => return,
                Ok(profile) if self.turns_account_away(now, peer, &message, &profile) => return,
                Ok(_) => {}
                Err((why, admit)) => {
                    self.stats.unknown_source = self.stats.unknown_source.saturating_add(1);
                    self.refuse(Refusal::of(now.wall, &peer, &message, None).because(why, admit));
                    return;
                }
            }
        }
        let is_invite = message.method() == Some(&Method::Invite);
        let profile = is_invite.then(|| self.profile_of(&peer, &message).ok()).flatten();
        let nat = profile.as_ref().is_some_and(|profile| profile.nat);
        let urgent = profile.is_some_and(|profile| emergency::of(&message, &profile).is_some());
        self.endpoint.handle_message_of(now.mono, peer, message, urgent, nat);
        self.pump(now);
    }

    /// Bytes arrived that are no SIP message: 400 where an answer is possible and the source is known, else dropped.
    pub fn handle_unparsable(&mut self, now: Now, peer: Peer, error: &ParseError) {
        self.stats.unparsable = self.stats.unparsable.saturating_add(1);
        match self.admission.profile_for(&peer) {
            Ok(_) => {
                self.endpoint.handle_unparsable(now.mono, peer, error);
                self.pump(now);
                self.refuse(Refusal::of_unreadable(now.wall, &peer, error, true));
            }
            Err((why, admit)) => {
                self.refuse(Refusal::of_unreadable(now.wall, &peer, error, false).because(why, admit));
            }
        }
    }

    /// A transmit could not be sent.
    pub fn handle_transport_error(&mut self, now: Now, transmit_id: u64) {
        self.endpoint.handle_transport_error(now.mono, transmit_id);
        self.pump(now);
    }

    /// Something happened on the packet path of a call.
    pub fn handle_media(&mut self, now: Now, key: CallKey, event: MediaEvent) {
        if let (Some(entry), Some(switched)) = (self.calls.get(&key), translate::switched(&event)) {
            self.outputs.push_back(ShardOutput::Event(entry.event(now, switched)));
        }
        self.feed(now, key, Input::Media(event));
        self.pump(now);
    }

    /// The store answered.
    pub fn handle_store(&mut self, now: Now, key: CallKey, reply: StoreReply) {
        let reply = self.admits_call_back(now, key, reply);
        let reply = self.reached(now, key, reply);
        let Some(reply) = self.tried(now, key, reply) else {
            return self.pump(now);
        };
        self.know_mailbox(key, &reply);
        self.ask_for_targets(key, &reply);
        if let StoreReply::Reserved {
            mailbox, message_id, ..
        } = &reply
        {
            let (mailbox, message_id) = (mailbox.clone(), message_id.clone());
            match self.calls.get_mut(&key) {
                Some(entry) => entry.place = Some((mailbox, message_id)),
                None => self.outputs.push_back(ShardOutput::Release { mailbox, message_id }),
            }
        }
        let reply = self.counted(key, reply);
        self.feed(now, key, Input::Store(reply));
        self.pump(now);
    }

    /// A command for one call.
    pub fn handle_operator(&mut self, now: Now, key: CallKey, command: Operator) {
        self.feed(now, key, Input::Operator(command));
        self.pump(now);
    }

    /// The profiles in force.
    pub(crate) fn profiles(&self) -> Vec<Arc<segue_policy::Profile>> {
        self.admission.profiles().to_vec()
    }

    /// New settings, for calls that begin from now on; the others keep theirs.
    pub fn reload(&mut self, now: Now, call: Arc<CallConfig>, admission: Admission, limits: Limits) {
        self.call_config = call;
        self.admission = admission;
        self.set_trunks();
        self.admission.know(&self.directory);
        self.overload.set(limits);
        self.registrar.set_limits(limits.registrations);
        self.review_registrations(now);
    }

    /// `poll_timeout` is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.endpoint.handle_timeout(now.mono);
        self.tend_trunks(now);
        self.pump(now);
        let expired = self.registrar.handle_timeout(now.mono);
        self.note_registrations(now, expired);
        self.tend_mwi(now);
        self.ping_phones(now);
        while let Some(&(at, key)) = self.due.first() {
            if at > now.mono {
                break;
            }
            self.feed(now, key, Input::Timeout);
            self.pump(now);
            // A call that leaves a due timer standing would spin here: it is looked at again a millisecond later.
            if let Some(entry) = self.calls.get_mut(&key)
                && entry.due.is_some_and(|d| d <= now.mono)
            {
                self.due.remove(&(at, key));
                let later = now.mono + std::time::Duration::from_millis(1);
                entry.due = Some(later);
                self.due.insert((later, key));
            }
        }
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<ShardOutput> {
        if let Some(transmit) = self.endpoint.poll_transmit() {
            return Some(ShardOutput::Transmit(transmit));
        }
        self.outputs.pop_front()
    }

    /// When `handle_timeout` is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let call = self.due.first().map(|(at, _)| *at);
        let all = [
            self.endpoint.poll_timeout(),
            call,
            self.trunks.poll_timeout(),
            self.registrar.poll_timeout(),
            self.telling.waiting.poll_timeout(),
            self.keep_alive.poll_timeout(),
        ];
        all.into_iter().flatten().min()
    }

    /// Counters since the start.
    pub fn stats(&self) -> ShardStats {
        ShardStats {
            turned_away: self.overload.turned_away(),
            rate: self.overload.rate().map(|rate| rate as u64),
            early: self.overload.ledger.early().into(),
            registrations: self.registrar.total() as u64,
            subscriptions: self.telling.waiting.subscriptions() as u64,
            sip: self.endpoint.stats(),
            ..self.stats
        }
    }

    /// Whether this call lives.
    pub fn has(&self, key: CallKey) -> bool {
        self.calls.contains_key(&key)
    }

    /// Whether new callers are turned away, see [`Shard::close`].
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Calls alive now.
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// The SIP side, for what counts what is left.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Carries events from the endpoint, and our own, to their calls until there are none.
    fn pump(&mut self, now: Now) {
        loop {
            while let Some((key, leg, event)) = self.said_here.pop_front() {
                self.feed(now, key, Input::Leg(leg, event));
            }
            let Some(event) = self.endpoint.poll_event() else { break };
            let Some(event) = self.by_ways(now, event) else {
                continue;
            };
            if let Event::Incoming { session, invite, peer } = event {
                self.begin(now, session, &invite, peer);
                continue;
            }
            if self.is_of_a_text(now, &event) || self.is_of_no_call(now, &event) {
                continue;
            }
            let said = self.hear(now, &event);
            let Some((session, mut leg_event)) = translate::event(event, said) else {
                continue;
            };
            let ended = matches!(leg_event, LegEvent::Terminated);
            let Some((key, leg)) = self.sessions.get(&session).copied() else {
                continue;
            };
            if ended {
                self.keep_ladder(now, key, leg, session);
                self.sessions.remove(&session);
            }
            if let Some(entry) = self.calls.get_mut(&key) {
                if !entry.legs.get(&leg).is_some_and(|leg| leg.trusted) {
                    let Some(heard) = translate::at_trust_edge(leg_event) else {
                        continue;
                    };
                    leg_event = heard;
                }
                entry.ends.heard(&mut self.endpoint, &entry.legs, leg, &leg_event);
            }
            self.feed(now, key, Input::Leg(leg, leg_event));
            self.unhear(key);
        }
    }

    /// Gives one input to a call and performs what it says. A panic ends that call alone.
    fn feed(&mut self, now: Now, key: CallKey, input: Input) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let _in_call = entry.span.clone().entered();
        let handled = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            crate::faults::strike(&input);
            entry.call.handle(input, now);
        }));
        if handled.is_err() {
            self.abandon(now, key);
            return;
        }
        self.drain(now, key);
    }

    /// Performs a call's outputs, in order.
    fn drain(&mut self, now: Now, key: CallKey) {
        loop {
            let Some(entry) = self.calls.get_mut(&key) else { return };
            let output = match catch_unwind(AssertUnwindSafe(|| entry.call.poll_output())) {
                Ok(Some(output)) => output,
                Ok(None) => break,
                Err(_) => return self.abandon(now, key),
            };
            match output {
                Output::Leg(leg, action) => self.perform(now, key, leg, action),
                Output::Media(MediaAction::Open {
                    leg,
                    towards: Towards::Target(target),
                }) => self.lease(key, leg, target),
                // It has no ports yet, and will get none.
                Output::Media(MediaAction::CloseLeg { leg }) if entry.leasing.remove(&leg).is_some() => {}
                Output::Media(action) => {
                    if matches!(action, MediaAction::Record { .. }) {
                        entry.place = None;
                    }
                    self.outputs.push_back(ShardOutput::Media(key, action));
                }
                Output::Store(action) => {
                    if matches!(action, StoreAction::Release { .. }) {
                        entry.place = None;
                    }
                    let profile = Arc::clone(&entry.profile);
                    self.outputs.push_back(ShardOutput::Store(key, action, profile));
                }
                Output::Ended(record) => {
                    self.tell_changes(now, key);
                    return self.end(now, key, record);
                }
            }
        }
        self.tell_changes(now, key);
        self.reschedule(key);
    }

    /// Says that a call has come to another phase, or that its hold is prolonged.
    fn tell_changes(&mut self, now: Now, key: CallKey) {
        self.note_answer(now, key);
        let Some(entry) = self.calls.get_mut(&key) else { return };
        if !entry.prolonged
            && let Some(hold_ms) = entry.call.prolonged_to_ms()
        {
            entry.prolonged = true;
            let event = entry.event(now, Happening::CallProlonged { hold_ms });
            self.outputs.push_back(ShardOutput::Event(event));
        }
        for facts in entry.tell_called_back() {
            let event = entry.event(now, Happening::CallBack(facts));
            self.outputs.push_back(ShardOutput::Event(event));
        }
        let (phase, (before, since)) = (entry.call.phase(), entry.phase);
        if phase == before {
            return;
        }
        entry.phase = (phase, now.mono);
        let lasted = now.mono.saturating_duration_since(since).as_millis();
        let what = Happening::CallPhase {
            phase,
            before,
            lasted_ms: u64::try_from(lasted).unwrap_or(u64::MAX),
        };
        let event = entry.event(now, what);
        self.outputs.push_back(ShardOutput::Event(event));
    }

    /// Tells of a request that was dropped or refused.
    fn refuse(&mut self, mut refusal: Refusal) {
        let words = [self.refusal_rng.next_u64(), self.refusal_rng.next_u64()];
        refusal.nonce = u128::from(words[0]) << 64 | u128::from(words[1]);
        self.outputs.push_back(ShardOutput::Refused(Box::new(refusal)));
    }

    /// Keeps the timer index true.
    fn reschedule(&mut self, key: CallKey) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let due = entry.call.poll_timeout();
        if due == entry.due {
            return;
        }
        if let Some(old) = entry.due.take() {
            self.due.remove(&(old, key));
        }
        entry.due = due;
        if let Some(new) = due {
            self.due.insert((new, key));
        }
    }
}
