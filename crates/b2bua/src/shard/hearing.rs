//! Whose message is being handled: what it has for others goes along with what the call says because of it.

use segue_call::Said;
use segue_sip::Event;

use super::{CallKey, Shard};
use crate::heard::message_of;

impl Shard {
    /// Before an event is handled. What its message has for the other side.
    pub(super) fn hear(&mut self, event: &Event) -> Said {
        let Some((session, what, message)) = message_of(event) else {
            return Said::default();
        };
        let known = self.sessions.get(&session).copied();
        let entry = known.and_then(|(key, leg)| Some((self.calls.get_mut(&key)?, leg)));
        entry.map_or_else(Said::default, |(entry, leg)| entry.hear(leg, what, message))
    }

    /// After it has been handled.
    pub(super) fn unhear(&mut self, key: CallKey) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.heard = None;
        }
    }
}
