//! The end of a server, as providers are told of it.

use std::time::{Duration, Instant};

use super::{Performer, now};

/// How long they are waited for: a server that is stopped stops.
const WAIT: Duration = Duration::from_secs(3);

impl Performer {
    /// Takes back what was registered with providers: no new calls are taken.
    pub(super) fn leave_providers(&mut self) {
        if self.leaves_until.is_none() {
            self.leaves_until = Some(Instant::now() + WAIT);
            self.shard.leave_providers(now());
        }
    }

    /// When they are waited for no longer.
    pub(super) fn leaving_due(&self) -> Option<Instant> {
        let until = self.leaves_until.filter(|_| self.shard.is_leaving())?;
        (Instant::now() < until).then_some(until)
    }

    /// Whether nothing is left to be done, once the server is to end.
    pub(super) fn has_ended(&self) -> bool {
        let waits = self.leaves_until.is_some_and(|until| Instant::now() < until);
        self.shard.call_count() == 0 && !(waits && self.shard.is_leaving())
    }
}
