//! When a notice that failed is tried again: after a pause that doubles, up to an hour, a quarter more or less, so that those which failed
//! together do not come back together.

use std::time::Duration;

/// The pause after the first attempt.
pub const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest, also where a receiver asks for more.
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// The pause after attempt number `attempt`, counted from 1. `asked`: the least that the receiver wants. `random` is any number.
pub fn pause(first: Duration, attempt: u32, asked: Option<Duration>, random: u64) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    let pause = doubled.min(PAUSE_MAX);
    let half = pause / 2;
    let share = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    let jittered = (pause - pause / 4).saturating_add(Duration::from_millis(random % share));
    jittered.max(asked.unwrap_or_default().min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_a_quarter_more_or_less() {
        for (attempt, seconds) in [
            (1, 30.0),
            (2, 60.0),
            (3, 120.0),
            (7, 1_920.0),
            (8, 3_600.0),
            (4_000, 3_600.0),
        ] {
            let mut seen = std::collections::BTreeSet::new();
            for random in 0..200_u64 {
                let pause = pause(FIRST_PAUSE, attempt, None, random.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                let share = pause.as_secs_f64() / seconds;
                assert!((0.75..=1.26).contains(&share), "{attempt}: {pause:?}");
                seen.insert(pause);
            }
            assert!(seen.len() > 100, "{attempt}: not all at the same moment");
        }
    }

    #[test]
    fn a_receiver_is_given_the_time_that_it_asks_for_up_to_an_hour() {
        let asked = |seconds| pause(FIRST_PAUSE, 1, Some(Duration::from_secs(seconds)), 0);
        assert_eq!(asked(120), Duration::from_secs(120));
        assert_eq!(asked(1), Duration::from_millis(22_500));
        assert_eq!(asked(1_000_000), Duration::from_secs(3_600));
    }
}
