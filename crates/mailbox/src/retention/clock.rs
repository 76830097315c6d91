//! Whether the wall clock may be trusted with ages.
//!
//! Ages are wall-clock times, which somebody may set; what they delete does not come back. So ages count only while the
//! wall clock has kept step with a clock that nobody sets.

/// A wall clock may be slewed by 500 ppm (adjtime), and two readings are not one moment.
const SLEW_PER_MILLION: u64 = 500;

/// Readings this close agree, milliseconds.
const TOLERANCE_MS: u64 = 1_000;

/// So long both must have agreed before ages count: after the start, and after a step that was taken back.
const AGREED_MS: u64 = 2 * 60 * 1000;

/// A step that stays is believed after this long: then it was the time before it that was wrong.
const BELIEVED_MS: u64 = 24 * 60 * 60 * 1000;

/// Watches both clocks. Readings are arguments: the monotonic one in milliseconds since whenever (it should go on while
/// the machine sleeps), the wall clock in Unix milliseconds.
#[derive(Debug, Clone, Default)]
pub struct ClockGuard {
    last: Option<Reading>,
    /// Since when both have agreed, monotonic.
    agreed_since_ms: Option<u64>,
    /// The last reading before a step that has not been taken back.
    before_step: Option<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    mono_ms: u64,
    wall_ms: i64,
}

impl Reading {
    /// Whether `later` is where this one's time has come to.
    fn leads_to(self, later: Reading) -> bool {
        let mono = later.mono_ms.saturating_sub(self.mono_ms);
        let wall = later.wall_ms.saturating_sub(self.wall_ms);
        let apart = wall.abs_diff(i64::try_from(mono).unwrap_or(i64::MAX));
        apart <= TOLERANCE_MS.saturating_add(mono.saturating_mul(SLEW_PER_MILLION) / 1_000_000)
    }
}

impl ClockGuard {
    /// Nothing is known yet.
    pub fn new() -> ClockGuard {
        ClockGuard::default()
    }

    /// Takes a reading of both clocks; says whether ages count now.
    pub fn observe(&mut self, mono_ms: u64, wall_ms: i64) -> bool {
        let now = Reading { mono_ms, wall_ms };
        let agrees = self.last.replace(now).map(|last| (last, last.leads_to(now)));
        if let Some((last, false)) = agrees {
            self.before_step.get_or_insert(last);
            self.agreed_since_ms = None;
        }
        let since_ms = *self.agreed_since_ms.get_or_insert(mono_ms);
        let agreed_ms = mono_ms.saturating_sub(since_ms);
        match self.before_step {
            Some(before) if before.leads_to(now) => {
                // Taken back: from here both are to agree for a while.
                self.before_step = None;
                self.agreed_since_ms = Some(mono_ms);
                false
            }
            Some(_) if agreed_ms < BELIEVED_MS => false,
            _ => {
                self.before_step = None;
                agreed_ms >= AGREED_MS
            }
        }
    }

    /// Whether ages do not count because the wall clock was set.
    pub fn stepped(&self) -> bool {
        self.before_step.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const HOUR: i64 = 3_600_000;
    const START: i64 = 1_700_000_000_000;

    /// Both clocks, a minute at a time; the wall clock is `offset` ahead.
    struct Clocks {
        guard: ClockGuard,
        mono_ms: u64,
        offset_ms: i64,
    }

    impl Clocks {
        fn new() -> Clocks {
            Clocks {
                guard: ClockGuard::new(),
                mono_ms: 5_000,
                offset_ms: START,
            }
        }

        fn minute(&mut self) -> bool {
            self.mono_ms += MINUTE;
            self.guard.observe(self.mono_ms, self.offset_ms + self.mono_ms as i64)
        }

        /// Minutes until ages count, at most `max`.
        fn minutes_until_it_counts(&mut self, max: u32) -> Option<u32> {
            (1..=max).find(|_| self.minute())
        }
    }

    #[test]
    fn ages_count_once_both_have_agreed_for_two_minutes_and_go_on_counting() {
        let mut clocks = Clocks::new();
        assert_eq!(clocks.minutes_until_it_counts(10), Some(3));
        assert!((0..10_000).all(|_| clocks.minute()));
    }

    #[test]
    fn a_step_pauses_until_it_is_taken_back_and_both_agree_again_for_a_while() {
        for step in [HOUR, -HOUR, 365 * 24 * HOUR] {
            let mut clocks = Clocks::new();
            clocks.minutes_until_it_counts(10).unwrap();
            clocks.offset_ms += step;
            assert_eq!(clocks.minutes_until_it_counts(600), None, "{step}");
            assert!(clocks.guard.stepped());
            clocks.offset_ms -= step;
            assert_eq!(clocks.minutes_until_it_counts(10), Some(3), "{step}");
            assert!(!clocks.guard.stepped());
        }
    }

    #[test]
    fn a_step_of_seconds_is_soon_within_what_slewing_explains() {
        let mut clocks = Clocks::new();
        clocks.minutes_until_it_counts(10).unwrap();
        clocks.offset_ms += 2_000;
        assert!(!clocks.minute());
        assert!(clocks.minutes_until_it_counts(60).is_some());
    }

    #[test]
    fn a_step_that_stays_is_believed_after_a_day() {
        let mut clocks = Clocks::new();
        clocks.minutes_until_it_counts(10).unwrap();
        clocks.offset_ms += HOUR;
        assert_eq!(clocks.minutes_until_it_counts(3_000), Some(24 * 60 + 1));
        assert!((0..100).all(|_| clocks.minute()));
    }

    #[test]
    fn a_clock_that_is_set_again_and_again_is_never_believed() {
        let mut clocks = Clocks::new();
        clocks.minutes_until_it_counts(10).unwrap();
        for _ in 0..5 {
            clocks.offset_ms += HOUR;
            assert_eq!(clocks.minutes_until_it_counts(20 * 60), None);
        }
    }

    #[test]
    fn slewing_and_late_readings_are_no_step() {
        let mut clocks = Clocks::new();
        clocks.minutes_until_it_counts(10).unwrap();
        for minute in 0..2_000_i64 {
            clocks.offset_ms += 29; // 483 ppm
            if minute % 100 == 0 {
                clocks.mono_ms += 10 * MINUTE; // the machine was busy, or slept
            }
            assert!(clocks.minute(), "minute {minute}");
        }
    }

    #[test]
    fn readings_of_any_value_are_taken() {
        let mut guard = ClockGuard::new();
        for (mono, wall) in [(u64::MAX, i64::MIN), (0, i64::MAX), (u64::MAX, 0), (1, i64::MIN)] {
            guard.observe(mono, wall);
        }
    }
}
