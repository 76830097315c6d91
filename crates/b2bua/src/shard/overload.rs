//! New calls that are turned away, before anything else is done for them.

use std::time::{Duration, Instant};

use segue_call::{Now, StoreReply};
use segue_policy::Profile;
use segue_sip::Peer;
use segue_sip_wire::{Message, Method};

use super::{CallKey, Shard, ShardOutput};
use crate::{Refusal, emergency, overload::Verdict};

/// Requests turned away that are told in full, a second; the rest are counted, as telling them takes longer than refusing.
const TOLD_A_SECOND: u32 = 20;
/// Seconds that peers are asked to wait, spread so that they do not come back together.
const RETRY_AFTER_S: std::ops::RangeInclusive<u64> = 1..=4;

/// How many were told in this second.
#[derive(Debug, Default)]
pub(super) struct Telling {
    second: Option<Instant>,
    told: u32,
}

impl Telling {
    fn tells(&mut self, now: Instant) -> bool {
        let over = |second| now.saturating_duration_since(second) >= Duration::from_secs(1);
        if self.second.is_none_or(over) {
            (self.second, self.told) = (Some(now), 0);
        }
        self.told = self.told.saturating_add(1);
        self.told <= TOLD_A_SECOND
    }
}

impl Shard {
    /// The message that is given next has waited so long since it arrived, and so many wait behind it.
    pub fn waited(&mut self, now: Instant, wait: Duration, depth: usize) {
        self.overload.waited(now, wait, depth);
    }

    /// Answers a request that would begin something new for which there is no room. Whether it has done so.
    pub(super) fn turns_away(&mut self, now: Now, peer: Peer, request: &Message, profile: &Profile) -> bool {
        if self.closing || !begins(request) || emergency::of(request, profile).is_some() {
            return false;
        }
        let Some(key) = self.endpoint.fingerprint(request) else {
            return false;
        };
        let calls_max = (profile.calls_max > 0).then_some(profile.calls_max);
        let source = peer.remote.ip();
        let account = (profile.name.as_str(), calls_max);
        let Err(verdict) = self.overload.lets_in(now.mono, key, source, account) else {
            return false;
        };
        self.turn_away(now, peer, request, key, verdict);
        true
    }

    /// The same for a REGISTER, which takes no place: the server's load and how often its source comes count.
    pub(super) fn turns_away_registration(&mut self, now: Now, peer: Peer, request: &Message) -> bool {
        let Some(key) = self.endpoint.fingerprint(request) else {
            return false;
        };
        let Err(verdict) = self.overload.lets_register(now.mono, key, peer.remote.ip()) else {
            return false;
        };
        self.turn_away(now, peer, request, key, verdict);
        true
    }

    pub(super) fn turn_away(&mut self, now: Now, peer: Peer, request: &Message, key: u64, verdict: Verdict) {
        let headers = match verdict.status {
            503 => {
                let spread = RETRY_AFTER_S
                    .end()
                    .saturating_sub(*RETRY_AFTER_S.start())
                    .saturating_add(1);
                let seconds = RETRY_AFTER_S.start().saturating_add(key % spread);
                vec![("Retry-After", seconds.to_string())]
            }
            403 => vec![
                // RFC 6432: a response may say the cause of Q.850; 21 is "call rejected".
                ("Reason", format!("Q.850;cause=21;text=\"{}\"", verdict.text)),
                ("Warning", format!("399 segue \"{}\"", verdict.text)),
            ],
            _ => vec![("Warning", format!("399 segue \"{}\"", verdict.text))],
        };
        self.endpoint.turn_away(peer, request, verdict.status, &headers);
        if self.telling_refusals.tells(now.mono) {
            let refusal = Refusal::of(now.wall, &peer, request, Some(verdict.status));
            self.refuse(refusal.because(verdict.why, verdict.admit));
        } else {
            self.outputs.push_back(ShardOutput::RefusedUntold(verdict.status));
        }
    }

    /// What the store says of a call's subscriber; if that has as many calls as it may, the call hears so instead.
    pub(super) fn counted(&mut self, key: CallKey, reply: StoreReply) -> StoreReply {
        let StoreReply::Found(lookup) = &reply else {
            return reply;
        };
        let entry = self.calls.get_mut(&key).filter(|entry| entry.emergency.is_none());
        let seat = entry.and_then(|entry| entry.seat.as_mut());
        let full = seat.and_then(|seat| self.overload.calls(seat, &lookup.plan.mailbox));
        match full {
            Some(calls_max) => StoreReply::TooManyCalls { calls_max },
            None => reply,
        }
    }

    /// A caller that has a final response waits no longer.
    pub(super) fn note_answer(&mut self, now: Now, key: CallKey) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        if let Some(seat) = entry.seat.as_mut()
            && !entry.call.is_early()
        {
            self.overload.ledger.answered(seat);
        }
        if let Some(account) = &entry.account
            && entry.call.is_answered()
        {
            self.overload.accounts.answered(account, key, now.mono);
        }
    }
}

/// An INVITE or REGISTER outside any dialog.
fn begins(request: &Message) -> bool {
    let new = matches!(request.method(), Some(Method::Invite | Method::Register));
    new && request.to().is_ok_and(|to| to.tag().is_none())
}
