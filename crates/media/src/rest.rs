//! When a busy media thread rests instead of waiting for the very next packet.
//!
//! Waking up costs more than carrying a packet. A thread that many packets a second come to sleeps half a millisecond after each
//! turn and then takes all that has come; one with a few calls is woken by each packet at once.

use std::time::{Duration, Instant};

/// The longest that a packet waits for the thread. A packet of sound stands for 20 ms, and timers are of 1 ms.
pub const REST: Duration = Duration::from_micros(500);
/// What comes is counted for so long: every stream of sound has sent once.
const WINDOW: Duration = Duration::from_millis(20);
/// Datagrams in a window from which on the thread rests: two in each rest, so that it spares half of the wake-ups. That is
/// 40 calls of sound.
const BUSY: usize = 80;

/// Watches how much comes.
#[derive(Debug)]
pub struct Rest {
    window_ends: Instant,
    taken: usize,
    is_due: bool,
}

impl Rest {
    /// A thread with nothing to do.
    pub fn new(now: Instant) -> Rest {
        Rest {
            window_ends: now + WINDOW,
            taken: 0,
            is_due: false,
        }
    }

    /// A turn took so many datagrams. How long to sleep before the next one, not past `next`, when something is due; `None`: wait
    /// for what comes.
    pub fn after(&mut self, now: Instant, taken: usize, next: Option<Instant>) -> Option<Duration> {
        self.taken = self.taken.saturating_add(taken);
        if now >= self.window_ends {
            self.is_due = self.taken >= BUSY;
            self.taken = 0;
            self.window_ends = now + WINDOW;
        }
        let until_next = next.map_or(REST, |next| next.saturating_duration_since(now));
        self.is_due.then(|| until_next.min(REST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_millis(1);

    /// How many of 100 turns of 1 ms, each with so many datagrams, are followed by a rest.
    fn rests(rest: &mut Rest, now: &mut Instant, taken: usize) -> usize {
        let turns = (0..100).map(|_| {
            *now += TURN;
            rest.after(*now, taken, None)
        });
        turns.flatten().count()
    }

    #[test]
    fn a_thread_with_little_to_carry_is_woken_by_each_packet() {
        let mut now = Instant::now();
        let mut rest = Rest::new(now);
        assert_eq!(rests(&mut rest, &mut now, 3), 0);
    }

    #[test]
    fn a_busy_thread_rests_until_less_comes() {
        let mut now = Instant::now();
        let mut rest = Rest::new(now);
        assert_eq!(rests(&mut rest, &mut now, 4), 81, "all but the first window");
        assert_eq!(rests(&mut rest, &mut now, 0), 19, "and no longer than one more");
    }

    #[test]
    fn packets_after_a_long_silence_do_not_make_one_busy_thread() {
        let mut now = Instant::now();
        let mut rest = Rest::new(now);
        now += Duration::from_secs(60);
        assert_eq!(rest.after(now, 3, None), None);
    }

    #[test]
    fn a_rest_ends_when_something_is_due() {
        let mut now = Instant::now();
        let mut rest = Rest::new(now);
        rests(&mut rest, &mut now, 10);
        let soon = now + Duration::from_micros(100);
        assert_eq!(rest.after(now, 10, Some(soon)), Some(Duration::from_micros(100)));
        assert_eq!(rest.after(now, 10, Some(now + TURN)), Some(REST));
        assert_eq!(rest.after(soon, 10, Some(now)), Some(Duration::ZERO), "overdue");
    }
}
