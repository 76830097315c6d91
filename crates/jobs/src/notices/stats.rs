//! How notices fared, counted since the start.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use segue_policy::Channel;

use super::Outcome;

/// Counters of attempts, by channel. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct NoticeStats(Arc<[Counters; 3]>);

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    again: AtomicU64,
    dead: AtomicU64,
}

impl NoticeStats {
    fn of(&self, channel: Channel) -> &Counters {
        let [mail, webhook, message] = &*self.0;
        match channel {
            Channel::Mail => mail,
            Channel::Webhook => webhook,
            Channel::Message => message,
        }
    }

    pub(super) fn count(&self, channel: Channel, outcome: &Outcome) {
        let counters = self.of(channel);
        let counter = match outcome {
            Outcome::Sent(_) => &counters.sent,
            Outcome::Again(..) => &counters.again,
            Outcome::Dead(_) => &counters.dead,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Notices that were delivered.
    pub fn sent(&self, channel: Channel) -> u64 {
        self.of(channel).sent.load(Relaxed)
    }

    /// Attempts that failed and are followed by another.
    pub fn again(&self, channel: Channel) -> u64 {
        self.of(channel).again.load(Relaxed)
    }

    /// Notices that were given up.
    pub fn dead(&self, channel: Channel) -> u64 {
        self.of(channel).dead.load(Relaxed)
    }
}
