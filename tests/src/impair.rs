//! What a bad network does to datagrams, the same for the same seed: it loses, doubles, delays and reorders them.
//!
//! [`Impairer`] only decides, in no time at all, for tests in virtual time. [`crate::road::Road`] does it to real sockets.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// How bad a network is. Shares are 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Impairment {
    /// Share of datagrams that never arrive.
    pub lost: f64,
    /// Share of those that arrive which arrive twice.
    pub doubled: f64,
    /// Share of those that arrive which are held back by `held_back_ms` and so overtaken by others.
    pub held_back: f64,
    /// How long those are held back.
    pub held_back_ms: u64,
    /// What every datagram takes at least.
    pub delay_ms: u64,
    /// What it may take longer, evenly spread.
    pub jitter_ms: u64,
}

/// Loss and reordering as a mobile phone at the edge of its cell has them.
pub const POOR: Impairment = Impairment {
    lost: 0.02,
    doubled: 0.01,
    held_back: 0.03,
    held_back_ms: 30,
    delay_ms: 20,
    jitter_ms: 10,
};

/// Decides what becomes of one datagram after the other.
#[derive(Debug)]
pub struct Impairer {
    how: Impairment,
    rng: StdRng,
}

impl Impairer {
    /// A network that is this bad.
    pub fn new(how: Impairment, seed: u64) -> Impairer {
        Impairer {
            how,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// After which times the next datagram arrives: not at all, once, or twice.
    pub fn arrivals(&mut self) -> impl Iterator<Item = Duration> + use<> {
        // Each datagram draws the same number of times, so that one rule does not shift what the next one draws.
        let [lost, doubled, held_back] = std::array::from_fn(|_| self.rng.random::<f64>());
        let jitter: [f64; 2] = std::array::from_fn(|_| self.rng.random());
        let how = self.how;
        let copies = match (lost < how.lost, doubled < how.doubled) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        let held_back_ms = if held_back < how.held_back { how.held_back_ms } else { 0 };
        jitter.into_iter().take(copies).map(move |jitter| {
            Duration::from_millis(how.delay_ms + held_back_ms)
                + Duration::from_micros((jitter * how.jitter_ms as f64 * 1e3) as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(how: Impairment, seed: u64) -> Vec<Vec<Duration>> {
        let mut impairer = Impairer::new(how, seed);
        (0..10_000).map(|_| impairer.arrivals().collect()).collect()
    }

    #[test]
    fn a_seed_says_it_all() {
        assert_eq!(fates(POOR, 1), fates(POOR, 1));
        assert_ne!(fates(POOR, 1), fates(POOR, 2));
    }

    #[test]
    fn it_is_as_bad_as_it_was_told_to_be() {
        let fates = fates(POOR, 3);
        let share =
            |which: &dyn Fn(&Vec<Duration>) -> bool| fates.iter().filter(|fate| which(fate)).count() as f64 / 1e4;
        assert!((share(&|fate| fate.is_empty()) - 0.02).abs() < 0.005);
        assert!((share(&|fate| fate.len() == 2) - 0.01).abs() < 0.004);
        let held = Duration::from_millis(POOR.delay_ms + POOR.held_back_ms);
        assert!((share(&|fate| fate.first().is_some_and(|after| *after >= held)) - 0.03).abs() < 0.006);
        let all = fates.iter().flatten();
        assert!(all.clone().min().unwrap().as_millis() >= 20 && all.max().unwrap().as_millis() <= 60);
    }

    #[test]
    fn a_good_network_changes_nothing() {
        assert!(
            fates(Impairment::default(), 4)
                .iter()
                .all(|fate| fate[..] == [Duration::ZERO])
        );
    }
}
