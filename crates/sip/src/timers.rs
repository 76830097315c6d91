//! Timers by key: setting one again moves it, and equal moments fire in the order of their keys.

#![deny(clippy::arithmetic_side_effects)]

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Instant,
};

/// A set of timers, one a key.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    due: BTreeSet<(Instant, K)>,
    at: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Self {
        Self {
            due: BTreeSet::new(),
            at: BTreeMap::new(),
        }
    }

    /// Starts or moves a timer.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        if let Some(before) = self.at.insert(key, at) {
            self.due.remove(&(before, key));
        }
        self.due.insert((at, key));
    }

    /// Stops a timer, if it runs.
    pub(crate) fn stop(&mut self, key: K) {
        if let Some(at) = self.at.remove(&key) {
            self.due.remove(&(at, key));
        }
    }

    /// Stops all timers in a range of keys.
    pub(crate) fn stop_range(&mut self, keys: RangeInclusive<K>) {
        while let Some((&key, &at)) = self.at.range(keys.clone()).next() {
            self.at.remove(&key);
            self.due.remove(&(at, key));
        }
    }

    /// The next timer that is due, removed.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.at.remove(&key);
        Some(key)
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fires_in_order_of_time_then_key_and_only_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        timers.set(3, at(10));
        timers.set(1, at(20));
        timers.set(2, at(10));
        timers.set(4, at(5));
        timers.stop(4);
        timers.set(1, at(30));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(25)), Some(2));
        assert_eq!(timers.pop(at(25)), Some(3));
        assert_eq!(timers.pop(at(25)), None);
        timers.set(7, at(40));
        timers.stop_range(1..=5);
        assert_eq!(timers.pop(at(100)), Some(7));
        assert_eq!((timers.pop(at(100)), timers.len(), timers.next()), (None, 0, None));
    }
}
