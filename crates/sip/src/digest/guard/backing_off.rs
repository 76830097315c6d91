//! Who guesses passwords waits longer and longer.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Wrong credentials of a source for one user, and for all, before it has to wait.
const FREE: (u32, u32) = (3, 10);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(64);
/// One failure of a source is forgotten each time that so many seconds have gone by since its last: behind a proxy all phones are one source,
/// and one with an old password must not lock out the others.
const FADES_AFTER_S: u64 = 60;
/// A source that has not failed for this long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Sources and their users that are remembered.
const KEPT_MAX: usize = 4_096;
/// Characters of a user name that are remembered.
const NAME_MAX: usize = 64;

/// Failures of each source, and of each of its users: a stranger must not lock others out.
#[derive(Debug, Default)]
pub struct BackingOff(BTreeMap<(IpAddr, Option<String>), Failures>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    /// How many count still, of a source for all its users.
    fn faded(self, now: Instant) -> u32 {
        let periods = now
            .saturating_duration_since(self.last)
            .as_secs()
            .checked_div(FADES_AFTER_S);
        self.count
            .saturating_sub(u32::try_from(periods.unwrap_or_default()).unwrap_or(u32::MAX))
    }
}

impl BackingOff {
    /// How long this source must wait before credentials of this user are looked at.
    pub fn wait(&self, now: Instant, source: IpAddr, user: &str) -> Option<Duration> {
        let of = |key: &(IpAddr, Option<String>), free: u32| {
            let failures = self.0.get(key)?;
            let count = if key.1.is_some() {
                failures.count
            } else {
                failures.faded(now)
            };
            let over = count.checked_sub(free)?;
            let wait = Duration::from_secs(1_u64.checked_shl(over).unwrap_or(u64::MAX)).min(WAIT_MAX);
            wait.checked_sub(now.saturating_duration_since(failures.last))
                .filter(|left| !left.is_zero())
        };
        of(&(source, Some(cut(user))), FREE.0).max(of(&(source, None), FREE.1))
    }

    /// Credentials of this user were wrong.
    pub fn failed(&mut self, now: Instant, source: IpAddr, user: &str) {
        for key in [(source, Some(cut(user))), (source, None)] {
            if !self.0.contains_key(&key) && self.0.len() >= KEPT_MAX {
                self.0
                    .retain(|_, failures| now.saturating_duration_since(failures.last) < FORGOTTEN_AFTER);
            }
            if !self.0.contains_key(&key) && self.0.len() >= KEPT_MAX {
                self.0.pop_first();
            }
            let of_all = key.1.is_none();
            let failures = self.0.entry(key).or_insert(Failures { count: 0, last: now });
            if now.saturating_duration_since(failures.last) >= FORGOTTEN_AFTER {
                failures.count = 0;
            }
            if of_all {
                failures.count = failures.faded(now);
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
        }
    }

    /// The user's own failures are forgiven; those of the source for others are not.
    pub fn proven(&mut self, source: IpAddr, user: &str) {
        self.0.remove(&(source, Some(cut(user))));
    }
}

fn cut(user: &str) -> String {
    user.chars().take(NAME_MAX).collect()
}
