//! A timer wheel of 1 ms: many sessions wait for their next packet, and the thread wakes once for all that are due.

use std::time::{Duration, Instant};

/// Slots; a timer further away comes round early and is put back.
const SLOTS: u64 = 1_024;

/// The wheel. A session has one timer; setting it anew leaves the old one in the wheel, to be ignored.
#[derive(Debug)]
pub struct Wheel {
    start: Instant,
    /// Tick up to which (exclusive) all were taken.
    now: u64,
    slots: Vec<Vec<Timer>>,
    /// Timers in the wheel, ignored ones included.
    len: usize,
}

/// A timer in the wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// Whose.
    pub id: usize,
    /// When, in ticks.
    pub tick: u64,
}

impl Wheel {
    pub fn new(start: Instant) -> Wheel {
        Wheel {
            start,
            now: 0,
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            len: 0,
        }
    }

    /// The first tick that is not before `at`.
    pub fn tick_of(&self, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.start).as_micros() as u64;
        micros.div_ceil(1_000).max(self.now)
    }

    /// Sets a timer.
    pub fn set(&mut self, timer: Timer) {
        let tick = timer.tick.clamp(self.now, self.now.saturating_add(SLOTS - 1));
        if let Some(slot) = self.slots.get_mut((tick % SLOTS) as usize) {
            slot.push(timer);
            self.len = self.len.saturating_add(1);
        }
    }

    /// Moves all timers of ticks up to `at` into `due`. One that is not due yet was further away than the wheel: set it again.
    pub fn take_due(&mut self, at: Instant, due: &mut Vec<Timer>) {
        let micros = at.saturating_duration_since(self.start).as_micros() as u64;
        let end = (micros / 1_000).saturating_add(1);
        // One turn empties every slot, however long the thread was away.
        for tick in self.now..end.min(self.now.saturating_add(SLOTS)) {
            if let Some(slot) = self.slots.get_mut((tick % SLOTS) as usize) {
                self.len = self.len.saturating_sub(slot.len());
                due.append(slot);
            }
        }
        self.now = self.now.max(end);
    }

    /// When to look again; `None` while nothing waits.
    pub fn next(&self) -> Option<Instant> {
        if self.len == 0 {
            return None;
        }
        (self.now..self.now.saturating_add(SLOTS))
            .find(|tick| {
                self.slots
                    .get((tick % SLOTS) as usize)
                    .is_some_and(|slot| !slot.is_empty())
            })
            .map(|tick| self.start + Duration::from_millis(tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn due(wheel: &mut Wheel, at: Instant) -> Vec<usize> {
        let mut timers = Vec::new();
        wheel.take_due(at, &mut timers);
        timers.iter().map(|timer| timer.id).collect()
    }

    #[test]
    fn a_timer_comes_in_its_millisecond_and_not_before() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let tick = wheel.tick_of(start + Duration::from_micros(4_200));
        wheel.set(Timer { id: 7, tick });
        assert_eq!(wheel.next(), Some(start + ms(5)));
        assert!(due(&mut wheel, start + ms(4)).is_empty());
        assert_eq!(due(&mut wheel, start + ms(5)), [7]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_timer_in_the_past_is_due_at_once() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        due(&mut wheel, start + ms(100));
        let tick = wheel.tick_of(start);
        wheel.set(Timer { id: 1, tick });
        assert_eq!(due(&mut wheel, start + ms(101)), [1]);
    }

    #[test]
    fn one_further_than_the_wheel_comes_early_to_be_set_again() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let tick = wheel.tick_of(start + ms(30_000));
        wheel.set(Timer { id: 1, tick });
        let mut timers = Vec::new();
        wheel.take_due(start + ms(1_023), &mut timers);
        assert_eq!(timers, [Timer { id: 1, tick: 30_000 }]);
    }

    #[test]
    fn a_thread_that_was_away_long_gets_each_timer_once() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for id in 0..10 {
            wheel.set(Timer {
                id,
                tick: id as u64 * 100,
            });
        }
        assert_eq!(due(&mut wheel, start + ms(60_000)).len(), 10);
        assert!(due(&mut wheel, start + ms(61_000)).is_empty());
    }
}
