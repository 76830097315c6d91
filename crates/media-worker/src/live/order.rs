//! Packets of one source in the order in which they were sent. A hole is waited for as long as it may still be filled.
#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, Instant};

/// A packet that is missing is waited for so long.
const WAIT: Duration = Duration::from_millis(60);
/// And not while more than that are waiting behind it.
const WAITING_MAX: usize = 64;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This packet.
    Packet(Vec<u8>),
    /// Something that will not come any more.
    Lost,
}

/// Puts them in order.
#[derive(Debug, Default)]
pub(super) struct Order {
    expected: Option<u16>,
    /// By how far ahead of the expected one, nearest first.
    waiting: Vec<(u16, Instant, Vec<u8>)>,
}

impl Order {
    /// A packet has come. One that was there, or comes too late, is left out.
    pub fn put(&mut self, now: Instant, sequence: u16, packet: &[u8]) {
        let expected = *self.expected.get_or_insert(sequence);
        let ahead = |sequence: u16| sequence.wrapping_sub(expected);
        let is_late = ahead(sequence).cast_signed() < 0;
        if is_late || self.waiting.iter().any(|(known, ..)| *known == sequence) {
            return;
        }
        let place = self
            .waiting
            .partition_point(|(known, ..)| ahead(*known) < ahead(sequence));
        self.waiting.insert(place, (sequence, now, packet.to_vec()));
    }

    /// What comes next, if it is known yet.
    pub fn take(&mut self, now: Instant) -> Option<Next> {
        let expected = self.expected?;
        let (sequence, ..) = *self.waiting.first()?;
        if sequence == expected {
            self.expected = Some(expected.wrapping_add(1));
            let (.., packet) = self.waiting.remove(0);
            return Some(Next::Packet(packet));
        }
        let waited = |(_, since, _): &(u16, Instant, Vec<u8>)| now.saturating_duration_since(*since) >= WAIT;
        if self.waiting.len() <= WAITING_MAX && !self.waiting.iter().any(waited) {
            return None;
        }
        self.expected = Some(sequence);
        Some(Next::Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(order: &mut Order, now: Instant) -> Vec<Option<u8>> {
        let mut got = Vec::new();
        while let Some(next) = order.take(now) {
            got.push(match next {
                Next::Packet(packet) => Some(packet[0]),
                Next::Lost => None,
            });
        }
        got
    }

    #[test]
    fn what_comes_out_of_order_goes_on_in_order_and_nothing_goes_twice() {
        let (now, mut order) = (Instant::now(), Order::default());
        let mut got = Vec::new();
        for sequence in [65_534, 65_535, 1, 1, 0, 65_535, 2] {
            order.put(now, sequence, &[sequence as u8]);
            got.extend(all(&mut order, now));
        }
        assert_eq!(got, [254, 255, 0, 1, 2].map(Some));
    }

    #[test]
    fn a_hole_is_waited_for_a_while_and_told_once() {
        let (now, mut order) = (Instant::now(), Order::default());
        for sequence in [1, 4, 5] {
            order.put(now, sequence, &[sequence as u8]);
        }
        assert_eq!(all(&mut order, now), [Some(1)]);
        let later = now + WAIT;
        order.put(later, 6, &[6]);
        assert_eq!(all(&mut order, later), [None, Some(4), Some(5), Some(6)]);
        order.put(later, 2, &[2]);
        assert_eq!(all(&mut order, later), []);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (now, mut order) = (Instant::now(), Order::default());
        order.put(now, 1, &[1]);
        assert_eq!(all(&mut order, now).len(), 1);
        for sequence in 3..200 {
            order.put(now, sequence, &[0]);
            all(&mut order, now);
            assert!(order.waiting.len() <= WAITING_MAX + 1);
        }
    }
}
