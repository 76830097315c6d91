//! How much each account calls: who has proven who it is by digest.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use segue_call::Now;
use segue_policy::{AccountCaps, Zone};
use segue_store::Spent;

use crate::CallKey;

/// What an account has used up, and how much that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// So many calls at once.
    Calls(u32),
    /// So many new calls a minute.
    Rate(u32),
    /// So many minutes a day.
    Minutes(u32),
}

/// All accounts that have called today, and those that call. There are no more than users with a password. Pure: each `now` is the
/// caller's.
#[derive(Debug, Default)]
pub struct Accounts(BTreeMap<String, Account>);

#[derive(Debug, Default)]
struct Account {
    /// Each with the moment from which it counts, once it is answered.
    calls: BTreeMap<CallKey, Option<Instant>>,
    /// New calls that it may make at once, and when that was so.
    tokens: Option<(f64, Instant)>,
    /// The day by its clock.
    day: String,
    /// Calls that have ended, of that day.
    spent: Duration,
}

impl Accounts {
    /// What an account has used up already. It is counted as no call.
    pub fn used(&mut self, now: Now, account: &str, caps: AccountCaps, zone: &Zone) -> Option<Used> {
        let account = self.0.entry(account.to_owned()).or_default();
        account.turn_day(now, zone);
        let calls = u32::try_from(account.calls.len()).unwrap_or(u32::MAX);
        if let Some(cap) = caps.calls_at_once.filter(|cap| calls >= *cap) {
            return Some(Used::Calls(cap));
        }
        let allowed = |cap: u32| Duration::from_secs(u64::from(cap).saturating_mul(60));
        if let Some(cap) = caps
            .minutes_per_day
            .filter(|cap| account.spent_at(now.mono) >= allowed(*cap))
        {
            return Some(Used::Minutes(cap));
        }
        let cap = caps.calls_per_minute?;
        (account.tokens_at(now.mono, cap) < 1.0).then_some(Used::Rate(cap))
    }

    /// The same for a new call, which counts towards the calls of the minute where there is room for it.
    ///
    /// # Errors
    /// What is used up.
    pub fn room(&mut self, now: Now, account: &str, caps: AccountCaps, zone: &Zone) -> Result<(), Used> {
        if let Some(used) = self.used(now, account, caps, zone) {
            return Err(used);
        }
        if let (Some(account), Some(cap)) = (self.0.get_mut(account), caps.calls_per_minute) {
            account.tokens = Some((account.tokens_at(now.mono, cap) - 1.0, now.mono));
        }
        Ok(())
    }

    /// The same for a call within one that is counted already.
    ///
    /// # Errors
    /// What is used up.
    pub fn room_for_more(&mut self, now: Now, account: &str, caps: AccountCaps, zone: &Zone) -> Result<(), Used> {
        let calls_at_once = None;
        self.room(now, account, AccountCaps { calls_at_once, ..caps }, zone)
    }

    /// Counts a call.
    pub fn take(&mut self, account: &str, call: CallKey) {
        let account = self.0.entry(account.to_owned()).or_default();
        account.calls.insert(call, None);
    }

    /// Its minutes count from now on.
    pub fn answered(&mut self, account: &str, call: CallKey, now: Instant) {
        let since = self.0.get_mut(account).and_then(|account| account.calls.get_mut(&call));
        if let Some(since) = since {
            since.get_or_insert(now);
        }
    }

    /// It has ended; what is to be kept, where it was answered.
    pub fn free(&mut self, now: Now, name: &str, call: CallKey, zone: &Zone) -> Option<Spent> {
        let account = self.0.get_mut(name)?;
        account.turn_day(now, zone);
        let since = account.calls.remove(&call)??;
        account.spent = account.spent.saturating_add(now.mono.saturating_duration_since(since));
        Some(Spent {
            account: name.to_owned(),
            day: account.day.clone(),
            ms: u64::try_from(account.spent.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// From before the start.
    pub fn restore(&mut self, spent: Spent) {
        let account = self.0.entry(spent.account).or_default();
        account.day = spent.day;
        account.spent = Duration::from_millis(spent.ms);
    }
}

impl Account {
    /// On another day nothing is spent yet, and calls that go on count from midnight.
    fn turn_day(&mut self, now: Now, zone: &Zone) {
        let local = zone.local(now.wall.0);
        let day = local.day();
        if day == self.day {
            return;
        }
        self.day = day;
        self.spent = Duration::ZERO;
        let midnight = now.mono.checked_sub(Duration::from_millis(local.since_midnight_ms()));
        if let Some(midnight) = midnight {
            for since in self.calls.values_mut().flatten() {
                *since = midnight.max(*since);
            }
        }
    }

    fn spent_at(&self, now: Instant) -> Duration {
        let running = self.calls.values().flatten();
        let running = running.map(|since| now.saturating_duration_since(*since));
        running.fold(self.spent, Duration::saturating_add)
    }

    fn tokens_at(&self, now: Instant, a_minute: u32) -> f64 {
        let most = f64::from(a_minute);
        let Some((tokens, at)) = self.tokens else { return most };
        (tokens + now.saturating_duration_since(at).as_secs_f64() / 60.0 * most).min(most)
    }
}

#[cfg(test)]
mod tests {
    use segue_records::UnixMs;

    use super::*;

    const MINUTE: u64 = 60;
    /// 2026-11-28 22:50 UTC.
    const EVENING: i64 = 1_795_906_200_000;

    fn at(start: Instant, seconds: u64) -> Now {
        Now {
            mono: start + Duration::from_secs(seconds),
            wall: UnixMs(EVENING + i64::try_from(seconds).unwrap() * 1_000),
        }
    }

    fn caps(set: fn(&mut AccountCaps)) -> AccountCaps {
        let mut caps = AccountCaps::default();
        set(&mut caps);
        caps
    }

    #[test]
    fn so_many_calls_at_once_and_one_that_ends_makes_room() {
        let (start, utc, mut all) = (Instant::now(), Zone::default(), Accounts::default());
        let caps = caps(|caps| caps.calls_at_once = Some(1));
        assert_eq!(all.room(at(start, 0), "bob", caps, &utc), Ok(()));
        all.take("bob", CallKey(1));
        assert_eq!(all.room(at(start, 1), "bob", caps, &utc), Err(Used::Calls(1)));
        assert_eq!(all.room(at(start, 1), "eve", caps, &utc), Ok(()));
        assert_eq!(all.free(at(start, 2), "bob", CallKey(1), &utc), None, "nobody answered");
        assert_eq!(all.room(at(start, 2), "bob", caps, &utc), Ok(()));
    }

    #[test]
    fn so_many_calls_a_minute_and_who_waits_may_call_again() {
        let (start, utc, mut all) = (Instant::now(), Zone::default(), Accounts::default());
        let caps = caps(|caps| caps.calls_per_minute = Some(2));
        for second in [0, 0] {
            assert_eq!(all.room(at(start, second), "bob", caps, &utc), Ok(()));
        }
        for second in [0, 10, 29] {
            assert_eq!(all.room(at(start, second), "bob", caps, &utc), Err(Used::Rate(2)));
        }
        assert_eq!(all.room(at(start, 30), "bob", caps, &utc), Ok(()));
        assert_eq!(all.room(at(start, 31), "bob", caps, &utc), Err(Used::Rate(2)));
    }

    #[test]
    fn minutes_count_from_the_answer_while_a_call_goes_on_and_after_a_restart() {
        let (start, utc, mut all) = (Instant::now(), Zone::default(), Accounts::default());
        let caps = caps(|caps| caps.minutes_per_day = Some(5));
        all.take("bob", CallKey(1));
        all.answered("bob", CallKey(1), at(start, 10).mono);
        all.answered("bob", CallKey(1), at(start, 99).mono);
        assert_eq!(all.room(at(start, 4 * MINUTE), "bob", caps, &utc), Ok(()));
        assert_eq!(
            all.room(at(start, 5 * MINUTE + 10), "bob", caps, &utc),
            Err(Used::Minutes(5))
        );
        let kept = all.free(at(start, 6 * MINUTE + 10), "bob", CallKey(1), &utc).unwrap();
        assert_eq!((kept.day.as_str(), kept.ms), ("2026-11-28", 360_000));
        let mut again = Accounts::default();
        again.restore(kept);
        assert_eq!(
            again.room(at(start, 7 * MINUTE), "bob", caps, &utc),
            Err(Used::Minutes(5))
        );
    }

    #[test]
    fn at_midnight_by_their_own_clock_the_day_begins_anew() {
        let (start, mut all) = (Instant::now(), Accounts::default());
        let caps = caps(|caps| caps.minutes_per_day = Some(15));
        let (utc, berlin) = (Zone::default(), Zone::try_from("Europe/Berlin".to_owned()).unwrap());
        let later = start + Duration::from_secs(86_400);
        for (name, zone) in [("bob", &utc), ("eve", &berlin)] {
            assert_eq!(all.room(at(later, 0), name, caps, zone), Ok(()));
            all.take(name, CallKey(1));
            all.answered(name, CallKey(1), at(later, 0).mono);
        }
        // In Berlin it is 00:06: six minutes of today. In UTC all sixteen are.
        let now = at(later, 16 * MINUTE);
        assert_eq!(all.room(now, "bob", caps, &utc), Err(Used::Minutes(15)));
        assert_eq!(all.room(now, "eve", caps, &berlin), Ok(()));
        let kept = all.free(now, "eve", CallKey(1), &berlin).unwrap();
        assert_eq!((kept.day.as_str(), kept.ms), ("2026-11-29", 6 * 60_000));
    }
}
