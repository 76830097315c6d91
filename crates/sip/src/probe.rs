//! Whether one server lives, by what it says to OPTIONS: a state machine without clock and socket.
//!
//! A server is taken to live until so many pings in a row have failed, and to be down until so many have been answered: one lost
//! datagram sends no call another way, and a server that comes and goes is not believed at once. Any answer says that SIP is spoken
//! there, also 404 or 483: only 408 and 503 say that it is not served (RFC 3263 §4.3). 503 with Retry-After asks for a pause
//! (RFC 3261 §21.5.4), in which it is not even pinged.

#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

/// How a server is pinged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pinging {
    /// Between two pings, on the average; zero: never.
    pub every: Duration,
    /// How long an answer is waited for.
    pub wait: Duration,
    /// Answers in a row that bring it back.
    pub up_after: u32,
    /// Failures in a row after which it is down.
    pub down_after: u32,
}

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It answers.
    Up,
    /// It has said nothing yet, or is not asked.
    Unchecked,
    /// It has asked for a pause.
    Suspended,
    /// It does not answer.
    Down,
}

impl Condition {
    /// For people, events and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Up => "up",
            Condition::Unchecked => "unchecked",
            Condition::Suspended => "suspended",
            Condition::Down => "down",
        }
    }
}

/// What a ping came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A final response, after this long.
    Status(u16, Duration),
    /// None in time.
    Silence,
    /// It could not be sent.
    Unreachable,
}

/// The last answer, or that there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: Instant,
    /// What.
    pub seen: Seen,
}

/// The condition has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: Condition,
    /// Now.
    pub to: Condition,
}

/// What is known of one server, and when it is asked next.
#[derive(Debug)]
pub struct Probe {
    pinging: Pinging,
    condition: Condition,
    since: Instant,
    /// The next ping; while one is on its way the end of waiting.
    due: Option<Instant>,
    asked: Option<Instant>,
    failures: u32,
    answers: u32,
    last: Option<Answer>,
    rng: StdRng,
}

impl Probe {
    /// A server of which nothing is known. It is asked within a second, so that those of many trunks are not asked at once.
    #[must_use]
    pub fn new(now: Instant, pinging: Pinging, seed: u64) -> Probe {
        let mut probe = Probe {
            pinging,
            condition: Condition::Unchecked,
            since: now,
            due: None,
            asked: None,
            failures: 0,
            answers: 0,
            last: None,
            rng: StdRng::seed_from_u64(seed),
        };
        if !pinging.every.is_zero() {
            let within = pinging.every.min(Duration::from_secs(1));
            probe.due = Some(later(now, probe.share(within)));
        }
        probe
    }

    /// What is known.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// What the last ping came to.
    #[must_use]
    pub fn last(&self) -> Option<Answer> {
        self.last
    }

    /// How it is pinged.
    #[must_use]
    pub fn pinging(&self) -> Pinging {
        self.pinging
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The moment of `poll_timeout` has come. `Ok(true)`: ping it now and say what comes of it; `Err`: the ping under way is given up.
    ///
    /// # Errors
    /// The ping that was sent last has had no answer in time; what has changed by that.
    pub fn due(&mut self, now: Instant) -> Result<bool, Option<Change>> {
        if self.due.is_none_or(|due| due > now) {
            return Ok(false);
        }
        if self.asked.is_some() {
            return Err(self.seen(now, Seen::Silence));
        }
        if self.condition == Condition::Suspended {
            // The pause is over.
            self.change(now, Condition::Unchecked);
        }
        if self.pinging.every.is_zero() {
            self.due = None;
            return Ok(false);
        }
        self.asked = Some(now);
        self.due = Some(later(now, self.pinging.wait));
        Ok(true)
    }

    /// The ping under way came to this.
    pub fn seen(&mut self, now: Instant, seen: Seen) -> Option<Change> {
        self.last = Some(Answer { at: now, seen });
        let asked = self.asked.take().unwrap_or(now);
        self.ask_after(now, asked);
        match seen {
            Seen::Status(408 | 503, _) | Seen::Silence | Seen::Unreachable => {
                self.answers = 0;
                self.failures = self.failures.saturating_add(1);
                if self.failures >= self.pinging.down_after {
                    return self.change(now, Condition::Down);
                }
                None
            }
            Seen::Status(..) => {
                self.failures = 0;
                self.answers = self.answers.saturating_add(1);
                match self.condition {
                    Condition::Down if self.answers < self.pinging.up_after => None,
                    _ => self.change(now, Condition::Up),
                }
            }
        }
    }

    /// It has asked for a pause, by its answer to a ping or to a call. One that is down stays so.
    pub fn pauses(&mut self, now: Instant, wait: Duration) -> Option<Change> {
        let until = later(now, wait);
        self.asked = None;
        self.due = Some(self.due.map_or(until, |due| due.max(until)));
        match self.condition {
            Condition::Down => None,
            _ => self.change(now, Condition::Suspended),
        }
    }

    /// It is to be asked at once, if it is ever.
    pub fn again(&mut self, now: Instant) {
        if self.asked.is_none() && !self.pinging.every.is_zero() {
            self.due = Some(now);
        }
    }

    /// When a server that gets no calls may be asked again, or is.
    #[must_use]
    pub fn again_in(&self, now: Instant) -> Option<Duration> {
        Some(self.due?.saturating_duration_since(now))
    }

    fn change(&mut self, now: Instant, to: Condition) -> Option<Change> {
        let from = self.condition;
        if from == to {
            return None;
        }
        (self.condition, self.since) = (to, now);
        Some(Change { from, to })
    }

    /// Ask again an interval after the last time, a tenth more or less: many servers are not asked in step.
    fn ask_after(&mut self, now: Instant, asked: Instant) {
        let every = self.pinging.every;
        let tenth = every.checked_div(10).unwrap_or_default();
        let share = self.share(tenth.saturating_mul(2));
        let next = later(asked, every.saturating_sub(tenth).saturating_add(share));
        self.due = (!every.is_zero()).then_some(next.max(now));
    }

    /// A random share of a time.
    fn share(&mut self, of: Duration) -> Duration {
        let us = u64::try_from(of.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.rng.next_u64().checked_rem(us).unwrap_or_default())
    }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);
    const QUICK: Duration = Duration::from_millis(12);

    struct Server {
        now: Instant,
        probe: Probe,
    }

    impl Server {
        #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
        fn new(every: Duration, seed: u64) -> Server {
            let pinging = Pinging {
                every,
                wait: Duration::from_secs(4),
                up_after: 2,
                down_after: 3,
            };
            let now = Instant::now();
            Server {
                now,
                probe: Probe::new(now, pinging, seed),
            }
        }

        /// Goes on to the next ping; how long that took.
        fn pinged(&mut self) -> Duration {
            let due = self.probe.poll_timeout().unwrap();
            let waited = due.saturating_duration_since(self.now);
            self.now = due;
            assert_eq!(self.probe.due(due), Ok(true));
            waited
        }

        fn says(&mut self, status: u16) -> Option<(Condition, Condition)> {
            self.pinged();
            self.now = later(self.now, QUICK);
            let change = self.probe.seen(self.now, Seen::Status(status, QUICK));
            change.map(|change| (change.from, change.to))
        }

        fn is_silent(&mut self) -> Option<(Condition, Condition)> {
            self.pinged();
            self.now = self.probe.poll_timeout().unwrap();
            let change = self.probe.due(self.now).unwrap_err();
            change.map(|change| (change.from, change.to))
        }
    }

    #[test]
    fn it_is_down_after_so_many_failures_and_up_after_so_many_answers() {
        let mut server = Server::new(EVERY, 1);
        assert_eq!(server.says(200), Some((Condition::Unchecked, Condition::Up)));
        assert_eq!([server.is_silent(), server.says(408)], [None, None]);
        assert_eq!(server.says(200), None, "two in a row are not three");
        assert_eq!([server.is_silent(), server.says(503)], [None, None]);
        assert_eq!(server.is_silent(), Some((Condition::Up, Condition::Down)));
        let since = server.probe.since();
        assert_eq!(
            [server.is_silent(), server.says(200), server.is_silent()],
            [None, None, None]
        );
        assert_eq!(server.probe.since(), since);
        assert_eq!(server.says(200), None);
        assert_eq!(server.says(404), Some((Condition::Down, Condition::Up)));
        let last = server.probe.last().unwrap();
        assert_eq!((last.at, last.seen), (server.now, Seen::Status(404, QUICK)));
    }

    #[test]
    fn whatever_it_says_but_408_and_503_it_lives() {
        for status in [200, 302, 401, 404, 405, 407, 481, 483, 486, 500, 501, 504, 603] {
            let mut server = Server::new(EVERY, 1);
            assert_eq!(
                server.says(status),
                Some((Condition::Unchecked, Condition::Up)),
                "{status}"
            );
        }
    }

    #[test]
    fn one_of_which_nothing_was_ever_heard_goes_down_too() {
        let mut server = Server::new(EVERY, 1);
        assert_eq!([server.is_silent(), server.is_silent()], [None, None]);
        assert_eq!(server.is_silent(), Some((Condition::Unchecked, Condition::Down)));
        server.pinged();
        assert_eq!(server.probe.seen(server.now, Seen::Unreachable), None);
    }

    #[test]
    fn pings_keep_their_interval_and_are_not_in_step() {
        let mut waits = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let mut server = Server::new(EVERY, seed);
            assert!(server.pinged() <= Duration::from_secs(1), "the first at once");
            let asked = server.now;
            server.now = later(server.now, QUICK);
            server.probe.seen(server.now, Seen::Status(200, QUICK));
            server.pinged();
            let between = server.now.saturating_duration_since(asked);
            assert!((27..=33).contains(&between.as_secs()), "{between:?}");
            waits.insert(between.as_millis());
        }
        assert!(waits.len() > 15, "{waits:?}");
    }

    #[test]
    fn a_pause_is_kept_and_then_it_is_asked() {
        let mut server = Server::new(EVERY, 1);
        server.says(200);
        let change = server.probe.pauses(server.now, Duration::from_secs(120)).unwrap();
        assert_eq!((change.from, change.to), (Condition::Up, Condition::Suspended));
        assert_eq!(server.probe.again_in(server.now), Some(Duration::from_secs(120)));
        assert!(server.pinged() >= Duration::from_secs(120));
        let change = server.probe.seen(server.now, Seen::Status(200, QUICK)).unwrap();
        assert_eq!((change.from, change.to), (Condition::Unchecked, Condition::Up));
    }

    #[test]
    fn one_that_is_never_pinged_is_suspended_and_then_unknown_again() {
        let mut server = Server::new(Duration::ZERO, 1);
        assert_eq!(server.probe.poll_timeout(), None);
        server.probe.pauses(server.now, Duration::from_secs(5));
        assert_eq!(server.probe.condition(), Condition::Suspended);
        server.now = server.probe.poll_timeout().unwrap();
        assert_eq!(server.probe.due(server.now), Ok(false));
        assert_eq!(
            (server.probe.condition(), server.probe.poll_timeout()),
            (Condition::Unchecked, None)
        );
    }
}
