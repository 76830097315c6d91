//! Our own registration with a provider (RFC 3261 §10.2), as its client: when REGISTER is sent, and what its answers mean. A state
//! machine without clock and socket; which server is asked, and credentials, are others' (§22.2, RFC 3263 §4.3).

#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

/// The first wait after a failure; each one in a row doubles it (as RFC 5626 §4.5 has it) …
const BACK_OFF: Duration = Duration::from_secs(15);
/// … up to this.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// Who is refused for good asks again so much later: what was wrong may have been mended there.
const REFUSED_FOR: Duration = Duration::from_secs(3_600);
/// The longest Retry-After that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// The longest interval that a Min-Expires may ask for, seconds: a week.
const MIN_EXPIRES_MAX: u32 = 604_800;
/// A registration of up to this is said again at its half, a longer one at nine tenths.
const SHORT: Duration = Duration::from_secs(600);

/// Where a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not been answered yet.
    Registering,
    /// The provider knows where we are.
    Registered,
    /// It does not, and is asked again.
    Failing,
    /// It will not have us: it is asked again much later.
    Refused,
    /// We have left.
    Left,
}

impl Standing {
    /// For people, events and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Registering => "registering",
            Standing::Registered => "registered",
            Standing::Failing => "failing",
            Standing::Refused => "refused",
            Standing::Left => "left",
        }
    }
}

/// What a REGISTER came to, at the last server that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: so long it lasts.
    Granted(Duration),
    /// 423: no shorter than this, seconds (§10.3 step 6).
    TooBrief(Option<u32>),
    /// Another refusal, and its Retry-After.
    Refused(u16, Option<Duration>),
    /// No server answered.
    Silence,
}

/// The client's side of one registration.
#[derive(Debug)]
pub struct Enrolment {
    wanted_s: u32,
    asks_s: u32,
    standing: Standing,
    since: Instant,
    /// The next REGISTER.
    due: Option<Instant>,
    /// Until when the provider knows us.
    until: Option<Instant>,
    asking: bool,
    leaving: bool,
    /// 423 has been answered once since the last success.
    raised: bool,
    failures: u32,
    rng: StdRng,
}

impl Enrolment {
    /// One that begins within a second, so that those of many trunks are not said at once. `wanted_s`: how long each is to last.
    #[must_use]
    pub fn new(now: Instant, wanted_s: u32, seed: u64) -> Enrolment {
        let mut enrolment = Enrolment {
            wanted_s,
            asks_s: wanted_s,
            standing: Standing::Registering,
            since: now,
            due: None,
            until: None,
            asking: false,
            leaving: false,
            raised: false,
            failures: 0,
            rng: StdRng::seed_from_u64(seed),
        };
        enrolment.due = Some(later(now, enrolment.share(Duration::from_secs(1))));
        enrolment
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Until when the provider knows us; `None`: it does not.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// When the next REGISTER is due; `None`: one is on its way, or none will be.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.due.filter(|_| !self.asking)
    }

    /// Whether nothing has failed since the last success.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        self.failures == 0
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.next(), self.until].into_iter().flatten().min()
    }

    /// Whether nothing will come of it any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.standing == Standing::Left
    }

    /// The moment of `poll_timeout` has come: whether the registration has run out without being said again.
    pub fn has_expired(&mut self, now: Instant) -> bool {
        if self.until.is_none_or(|until| until > now) {
            return false;
        }
        self.until = None;
        if self.standing == Standing::Registered {
            self.stand(now, Standing::Failing);
            return true;
        }
        false
    }

    /// Whether a REGISTER is to be sent now: the seconds that it asks for, 0 to leave. What comes of it is told by `heard`.
    pub fn ask(&mut self, now: Instant) -> Option<u32> {
        if self.asking || self.due.is_none_or(|due| due > now) {
            return None;
        }
        (self.asking, self.due) = (true, None);
        Some(if self.leaving { 0 } else { self.asks_s })
    }

    /// What the REGISTER came to. Whether that is another standing than before.
    pub fn heard(&mut self, now: Instant, verdict: Verdict) -> bool {
        self.asking = false;
        if self.leaving {
            // Whatever was said: it runs out there by itself. One that was on its way when we left is taken back.
            return match verdict {
                Verdict::Granted(time) if !time.is_zero() => {
                    self.due = Some(now);
                    false
                }
                _ => self.go(now),
            };
        }
        match verdict {
            Verdict::Granted(time) if !time.is_zero() => {
                (self.failures, self.raised) = (0, false);
                self.until = Some(later(now, time));
                self.due = Some(later(now, self.refresh_after(time)));
                self.stand(now, Standing::Registered)
            }
            // "the UAC MAY retry the registration with [an interval] equal to or greater than … Min-Expires" (§10.2.8).
            Verdict::TooBrief(Some(least)) if !self.raised && least > self.asks_s && least <= MIN_EXPIRES_MAX => {
                (self.asks_s, self.raised, self.due) = (least, true, Some(now));
                false
            }
            // What no asking again changes: the provider does not know us, or does not believe us.
            Verdict::Refused(401 | 403 | 404 | 407 | 410 | 604, _) => {
                self.until = None;
                self.due = Some(later(now, REFUSED_FOR));
                self.stand(now, Standing::Refused)
            }
            Verdict::Granted(_) | Verdict::TooBrief(_) => self.fails(now, None),
            Verdict::Refused(_, retry_after) => self.fails(now, retry_after),
            Verdict::Silence => self.fails(now, None),
        }
    }

    /// It is to be said again at once: where it was said is no longer there, or somebody asks for it.
    pub fn again(&mut self, now: Instant) {
        if !self.leaving && !self.asking {
            self.due = Some(now);
        }
    }

    /// It is to be taken back (§10.2.2). Whether there is something to take back.
    pub fn leave(&mut self, now: Instant) -> bool {
        if self.is_over() {
            return false;
        }
        self.leaving = true;
        if self.until.is_none() && !self.asking {
            self.go(now);
            return false;
        }
        self.due = Some(now);
        true
    }

    fn fails(&mut self, now: Instant, retry_after: Option<Duration>) -> bool {
        let doubled = 1_u32.checked_shl(self.failures.min(8)).unwrap_or(1);
        self.failures = self.failures.saturating_add(1);
        let wait = BACK_OFF.saturating_mul(doubled).min(BACK_OFF_MAX);
        // Many who failed at once do not come back at once.
        let half = wait.checked_div(2).unwrap_or_default();
        let wait = half.saturating_add(self.share(half));
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.due = Some(later(now, wait.max(asked)));
        // One that still holds does so, however its refresh went.
        if self.until.is_some_and(|until| until > now) && self.standing == Standing::Registered {
            return false;
        }
        self.until = None;
        self.stand(now, Standing::Failing)
    }

    fn go(&mut self, now: Instant) -> bool {
        (self.due, self.until) = (None, None);
        self.stand(now, Standing::Left)
    }

    /// A twentieth of it earlier or not: those of many are not said in step.
    fn refresh_after(&mut self, time: Duration) -> Duration {
        let share = if time <= SHORT { 5 } else { 9 };
        let after = time.checked_div(10).unwrap_or_default().saturating_mul(share);
        let twentieth = time.checked_div(20).unwrap_or_default();
        after.saturating_sub(self.share(twentieth))
    }

    fn stand(&mut self, now: Instant, standing: Standing) -> bool {
        let is_new = self.standing != standing;
        if is_new {
            (self.standing, self.since) = (standing, now);
        }
        // What was raised holds for this provider; what was wanted is less than that.
        self.asks_s = self.asks_s.max(self.wanted_s);
        is_new
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

    struct Line {
        now: Instant,
        enrolment: Enrolment,
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    impl Line {
        #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
        fn new(seed: u64) -> Line {
            let now = Instant::now();
            let enrolment = Enrolment::new(now, 3_600, seed);
            Line { now, enrolment }
        }

        /// Goes on to the next REGISTER: how long that took, and what it asks for.
        fn asks(&mut self) -> (u64, u32) {
            let due = self.enrolment.next().unwrap();
            let waited = due.saturating_duration_since(self.now).as_secs();
            self.now = self.now.max(due);
            self.enrolment.has_expired(self.now);
            (waited, self.enrolment.ask(self.now).unwrap())
        }

        fn hears(&mut self, verdict: Verdict) -> Standing {
            self.enrolment.heard(self.now, verdict);
            self.enrolment.standing()
        }
    }

    #[test]
    fn it_is_said_again_before_it_runs_out_short_ones_at_half() {
        for seed in 0..20 {
            let mut line = Line::new(seed);
            assert_eq!(line.asks(), (0, 3_600), "within a second");
            assert!(line.enrolment.ask(line.now).is_none(), "one at a time");
            assert_eq!(line.hears(Verdict::Granted(HOUR)), Standing::Registered);
            assert!((3_060..=3_240).contains(&line.asks().0));
            line.hears(Verdict::Granted(Duration::from_secs(60)));
            assert!((27..=30).contains(&line.asks().0));
            assert_eq!(line.enrolment.standing(), Standing::Registered);
        }
    }

    #[test]
    fn failures_back_off_and_one_that_holds_still_holds() {
        let mut line = Line::new(1);
        line.asks();
        line.hears(Verdict::Granted(Duration::from_secs(120)));
        line.asks();
        // Half of it is left.
        assert_eq!(line.hears(Verdict::Silence), Standing::Registered);
        assert!((7..=15).contains(&line.asks().0));
        assert_eq!(line.hears(Verdict::Refused(500, None)), Standing::Registered);
        assert!((15..=30).contains(&line.asks().0));
        line.hears(Verdict::Refused(500, None));
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(line.asks().0);
            assert_eq!(line.hears(Verdict::Silence), Standing::Failing);
        }
        assert!((30..=60).contains(&waits[0]), "{waits:?}");
        assert!((150..=300).contains(&waits[5]), "{waits:?}");
        line.asks();
        assert_eq!(line.hears(Verdict::Granted(HOUR)), Standing::Registered);
        line.asks();
        line.hears(Verdict::Silence);
        assert!(line.asks().0 <= 15, "from the beginning again");
    }

    #[test]
    fn it_is_lost_at_the_moment_at_which_it_runs_out() {
        let mut line = Line::new(1);
        line.asks();
        line.hears(Verdict::Granted(Duration::from_secs(60)));
        line.asks();
        let until = line.enrolment.poll_timeout().unwrap();
        assert!(!line.enrolment.has_expired(until - Duration::from_millis(1)));
        assert!(line.enrolment.has_expired(until));
        assert_eq!(line.enrolment.standing(), Standing::Failing);
        assert!(!line.enrolment.has_expired(until));
    }

    #[test]
    fn a_retry_after_is_kept_and_not_believed_without_end() {
        let mut line = Line::new(1);
        line.asks();
        line.hears(Verdict::Refused(503, Some(Duration::from_secs(400))));
        assert_eq!(line.asks().0, 400);
        line.hears(Verdict::Refused(503, Some(Duration::from_secs(1_000_000))));
        assert_eq!(line.asks().0, 3_600);
    }

    #[test]
    fn a_longer_time_is_asked_for_once_where_the_provider_wants_that() {
        let mut line = Line::new(1);
        line.asks();
        line.hears(Verdict::TooBrief(Some(7_200)));
        assert_eq!(line.asks(), (0, 7_200));
        // It says so again: that is no answer.
        assert_eq!(line.hears(Verdict::TooBrief(Some(9_000))), Standing::Failing);
        assert!(line.asks().0 >= 7);
        for least in [None, Some(10), Some(u32::MAX)] {
            let mut line = Line::new(2);
            line.asks();
            assert_eq!(line.hears(Verdict::TooBrief(least)), Standing::Failing, "{least:?}");
        }
    }

    #[test]
    fn who_is_refused_asks_no_more_for_an_hour() {
        for status in [401, 403, 404, 407] {
            let mut line = Line::new(1);
            line.asks();
            assert_eq!(line.hears(Verdict::Refused(status, None)), Standing::Refused);
            assert_eq!(line.asks().0, 3_600);
            assert_eq!(line.hears(Verdict::Granted(HOUR)), Standing::Registered);
        }
        let mut line = Line::new(1);
        line.asks();
        line.hears(Verdict::Refused(403, None));
        line.enrolment.again(line.now);
        assert_eq!(line.asks().0, 0, "unless somebody asks for it");
    }

    #[test]
    fn what_was_registered_is_taken_back_and_what_was_not_is_left() {
        let mut line = Line::new(1);
        assert!(!line.enrolment.leave(line.now) && line.enrolment.is_over());

        let mut line = Line::new(1);
        line.asks();
        line.hears(Verdict::Granted(HOUR));
        assert!(line.enrolment.leave(line.now));
        assert_eq!(line.asks(), (0, 0));
        assert_eq!(line.hears(Verdict::Granted(Duration::ZERO)), Standing::Left);
        assert_eq!(
            (line.enrolment.poll_timeout(), line.enrolment.ask(line.now)),
            (None, None)
        );

        // One is on its way: it is taken back once it is there.
        let mut line = Line::new(1);
        line.asks();
        assert!(line.enrolment.leave(line.now));
        line.hears(Verdict::Granted(HOUR));
        assert_eq!(line.asks(), (0, 0));
        assert_eq!(line.hears(Verdict::Silence), Standing::Left);
    }
}
