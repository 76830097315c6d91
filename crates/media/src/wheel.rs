//! A timer wheel of 1 ms: many sessions wait for their next packet, and the thread wakes once for all that are due.

use std::time::{Duration, Instant};

/// Slots; a timer further away comes round early and is put back.
const SLOTS: u64 = 1_024;
const WORDS: usize = SLOTS as usize / 64;

/// The wheel. A session has one timer; setting it anew leaves the old one in the wheel, to be ignored.
#[derive(Debug)]
pub struct Wheel {
    start: Instant,
    /// Tick up to which (exclusive) all were taken.
    now: u64,
    slots: Vec<Vec<Timer>>,
    /// A bit for each slot that holds a timer, ignored ones included.
    filled: [u64; WORDS],
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
            filled: [0; WORDS],
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
            self.mark(tick, true);
        }
    }

    /// Moves all timers of ticks up to `at` into `due`. One that is not due yet was further away than the wheel: set it again.
    pub fn take_due(&mut self, at: Instant, due: &mut Vec<Timer>) {
        let micros = at.saturating_duration_since(self.start).as_micros() as u64;
        let end = (micros / 1_000).saturating_add(1);
        // One turn empties every slot, however long the thread was away.
        let turn_end = end.min(self.now.saturating_add(SLOTS));
        while let Some(tick) = self.first_filled().filter(|tick| *tick < turn_end) {
            if let Some(slot) = self.slots.get_mut((tick % SLOTS) as usize) {
                due.append(slot);
            }
            self.mark(tick, false);
        }
        self.now = self.now.max(end);
    }

    /// When to look again; `None` while nothing waits.
    pub fn next(&self) -> Option<Instant> {
        self.first_filled().map(|tick| self.start + Duration::from_millis(tick))
    }

    fn mark(&mut self, tick: u64, filled: bool) {
        let slot = tick % SLOTS;
        if let Some(word) = self.filled.get_mut((slot / 64) as usize) {
            let bit = 1 << (slot % 64);
            *word = if filled { *word | bit } else { *word & !bit };
        }
    }

    /// The nearest tick from now on whose slot holds a timer.
    fn first_filled(&self) -> Option<u64> {
        let start = self.now % SLOTS;
        let (first, skipped) = ((start / 64) as usize, start % 64);
        // The word of `now` is looked at twice: its later bits first, its earlier ones, a turn away, last.
        (0..=WORDS).find_map(|n| {
            let index = (first + n) % WORDS;
            let word = *self.filled.get(index)?;
            let later = u64::MAX << skipped;
            let word = match n {
                0 => word & later,
                WORDS => word & !later,
                _ => word,
            };
            let slot = (word != 0).then(|| index as u64 * 64 + u64::from(word.trailing_zeros()))?;
            Some(self.now + (slot + SLOTS - start) % SLOTS)
        })
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

    #[test]
    fn the_next_timer_is_found_wherever_the_wheel_stands() {
        let start = Instant::now();
        for turned in [0, 1, 63, 64, 1_000, 1_023, 1_024, 5_000] {
            for ahead in [1, 2, 62, 63, 64, 65, 500, 1_000, 1_022] {
                let mut wheel = Wheel::new(start);
                due(&mut wheel, start + ms(turned));
                let tick = turned + ahead;
                wheel.set(Timer { id: 1, tick });
                assert_eq!(wheel.next(), Some(start + ms(tick)), "{turned} + {ahead}");
                assert!(due(&mut wheel, start + ms(tick - 1)).is_empty());
                assert_eq!(due(&mut wheel, start + ms(tick)), [1]);
                assert_eq!(wheel.next(), None);
            }
        }
    }
}
