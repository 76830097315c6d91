//! Whose message is being handled: what it has for others goes along with what the call says because of it.

use segue_call::{Now, Said};
use segue_sip::Event;

use super::{CallKey, Shard};
use crate::{
    challenge,
    heard::{What, message_of},
};

impl Shard {
    /// Before an event is handled. What its message has for the other side.
    pub(super) fn hear(&mut self, now: Now, event: &Event) -> Said {
        let Some((session, what, message)) = message_of(event) else {
            return Said::default();
        };
        let known = self.sessions.get(&session).copied();
        let Some((entry, leg)) = known.and_then(|(key, leg)| Some((self.calls.get_mut(&key)?, leg))) else {
            return Said::default();
        };
        let mut said = entry.hear(leg, what, message);
        // Whom a challenge asks is us: its caller hears of whose realm, the log what would answer it.
        if what == What::Refusal && message.status().is_some_and(challenge::is_one) {
            said.headers.push(("Warning".to_owned(), challenge::warning(message)));
            if let Some(leg) = entry.legs.get(&leg) {
                let profile = leg.profile.as_ref().map(|profile| profile.name.as_str());
                self.asked.note(now.mono, message, &leg.target, profile);
            }
        }
        said
    }

    /// After it has been handled.
    pub(super) fn unhear(&mut self, key: CallKey) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.heard = None;
        }
    }
}
