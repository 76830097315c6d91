//! OPTIONS for a user: "the response code chosen MUST be the same that would have been chosen had the request been an INVITE"
//! (RFC 3261 §11.2). So a call is tried: as soon as it would be refused, or would begin for its caller, its word is the answer.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::Rng;
use segue_call::{Call, Input, LegAction, LegId, MediaAction, Now, Output, StoreAction, StoreReply};
use segue_policy::Profile;
use segue_sip::{Peer, Served};
use segue_sip_wire::Message;

use super::{CallKey, Shard, ShardOutput};
use crate::{emergency, translate};

/// Questions that may wait for the store at a time …
const PENDING_MAX: usize = 32;
/// … how long each may, and how many there may be a second. What is more gets 503: who asks is to ask later.
const PENDING_FOR: Duration = Duration::from_secs(5);
const A_SECOND: u32 = 50;

/// The questions that wait.
#[derive(Debug, Default)]
pub(super) struct Trials {
    pending: BTreeMap<CallKey, Trial>,
    second: Option<Instant>,
    asked: u32,
}

#[derive(Debug)]
struct Trial {
    call: Call,
    peer: Peer,
    request: Arc<Message>,
    profile: Arc<Profile>,
    began: Instant,
    /// Of the request, that one that comes again is no second question.
    fingerprint: Option<u64>,
}

impl Trials {
    fn takes(&mut self, now: Instant) -> bool {
        let age = |since: Instant| now.saturating_duration_since(since);
        if self.second.is_none_or(|second| age(second) >= Duration::from_secs(1)) {
            (self.second, self.asked) = (Some(now), 0);
        }
        self.asked = self.asked.saturating_add(1);
        self.pending.retain(|_, trial| age(trial.began) < PENDING_FOR);
        self.asked <= A_SECOND && self.pending.len() < PENDING_MAX
    }

    fn knows(&self, fingerprint: Option<u64>) -> bool {
        let same = |trial: &Trial| trial.fingerprint == fingerprint;
        fingerprint.is_some() && self.pending.values().any(same)
    }
}

impl Shard {
    /// Somebody asks what an INVITE would get. Its source is admitted, and has proven itself where it must.
    pub(super) fn try_call(&mut self, now: Now, peer: Peer, request: &Arc<Message>) {
        let Ok(profile) = self.profile_of(&peer, request) else {
            return;
        };
        // A provider asks whether we live where we have registered.
        if self.is_our_contact(request) {
            return self.tell_options(peer, request, 200);
        }
        let fingerprint = self.endpoint.fingerprint(request);
        if self.trials.knows(fingerprint) {
            return;
        }
        let calls_max = (profile.calls_max > 0).then_some(profile.calls_max);
        let account = (profile.name.as_str(), calls_max);
        if let Some(status) = self.overload.would_refuse(now.mono, peer.remote.ip(), account) {
            return self.tell_options(peer, request, status);
        }
        if self.account_is_full(now, &profile).is_some() {
            return self.tell_options(peer, request, 403);
        }
        if !self.trials.takes(now.mono) {
            return self.tell_options(peer, request, 503);
        }
        let Some(mut incoming) = translate::incoming(now, request, &peer, Arc::clone(&profile)) else {
            return self.tell_options(peer, request, 400);
        };
        self.came_by(&peer, request, &mut incoming);
        self.own.tell(&mut incoming);
        incoming.emergency = emergency::called(request, &profile);
        // What its INVITE will say of that nobody knows yet.
        incoming.supports_100rel = true;
        incoming.further.secret = self.key_secret();
        let (config, seed) = (Arc::clone(&self.call_config), self.refusal_rng.next_u64());
        let made = catch_unwind(AssertUnwindSafe(|| Call::incoming(incoming, config, now, seed)));
        let Ok(call) = made else {
            self.stats.panics = self.stats.panics.saturating_add(1);
            return self.tell_options(peer, request, 500);
        };
        let key = CallKey(self.next_call);
        self.next_call = self.next_call.wrapping_add(1);
        let trial = Trial {
            call,
            peer,
            request: Arc::clone(request),
            profile,
            began: now.mono,
            fingerprint,
        };
        self.go_on_trying(key, trial);
    }

    /// The store's answer, if it is one to such a question; else it is given back.
    pub(super) fn tried(&mut self, now: Now, key: CallKey, reply: StoreReply) -> Option<StoreReply> {
        let Some(mut trial) = self.trials.pending.remove(&key) else {
            return Some(reply);
        };
        let reply = match &reply {
            StoreReply::Found(lookup) => match self.overload.subscriber_is_full(&lookup.plan.mailbox) {
                Some(calls_max) => StoreReply::TooManyCalls { calls_max },
                None => reply,
            },
            _ => reply,
        };
        let handled = catch_unwind(AssertUnwindSafe(|| trial.call.handle(Input::Store(reply), now)));
        match handled {
            Ok(()) => self.go_on_trying(key, trial),
            Err(_) => {
                self.stats.panics = self.stats.panics.saturating_add(1);
                self.tell_options(trial.peer, &trial.request, 500);
            }
        }
        None
    }

    /// Answers as soon as that is known; nothing else that the call would do is done.
    fn go_on_trying(&mut self, key: CallKey, mut trial: Trial) {
        let (mut status, mut ask) = (None, None);
        while let Some(output) = trial.call.poll_output() {
            match output {
                Output::Leg(LegId::A, LegAction::Refuse(info)) => {
                    status.get_or_insert(info.status);
                }
                Output::Media(MediaAction::Open { leg: LegId::A, .. }) => {
                    status.get_or_insert(200);
                }
                Output::Store(action @ StoreAction::Lookup { .. }) => ask = Some(action),
                _ => {}
            }
        }
        match (status, ask) {
            (None, Some(action)) => {
                let profile = Arc::clone(&trial.profile);
                self.outputs.push_back(ShardOutput::Store(key, action, profile));
                self.trials.pending.insert(key, trial);
            }
            (status, _) => self.tell_options(trial.peer, &trial.request, status.unwrap_or(500)),
        }
    }

    fn tell_options(&mut self, peer: Peer, request: &Message, status: u16) {
        let profile = self.admission.profile_for(&peer);
        self.endpoint.set_served(served(profile.as_deref().ok()));
        let later = [("Retry-After", "5".to_owned())];
        let headers = if status == 503 { &later[..] } else { &[] };
        self.endpoint.answer_options(peer, request, status, headers);
    }
}

/// What peers of a profile may send beside calls.
pub(super) fn served(profile: Option<&Profile>) -> Served {
    match profile.filter(|profile| profile.registrar) {
        None => Served::Calls,
        Some(profile) if profile.mwi.takes_subscriptions() => Served::Subscriptions,
        Some(_) => Served::Registrations,
    }
}
