//! All chance in a run comes from its seed, one stream of numbers for each that throws.

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Milliseconds, in the unit of [`Time`].
pub const MS: Time = 1_000;
/// Seconds, in the unit of [`Time`].
pub const S: Time = 1_000 * MS;

/// Virtual time since the run began, microseconds.
pub type Time = u64;

pub struct Dice(StdRng);

impl Dice {
    /// The stream of `who` under this seed.
    pub fn new(seed: u64, who: u64) -> Dice {
        Dice(StdRng::seed_from_u64(
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ who.wrapping_mul(0xD1B5_4A32_D192_ED03),
        ))
    }

    /// True in `percent` of 100 throws.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// `from` to `to`, both included.
    pub fn between(&mut self, from: Time, to: Time) -> Time {
        self.0.random_range(from..=to.max(from))
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())].clone()
    }

    /// One of these, by weight.
    pub fn weigh<T: Clone>(&mut self, from: &[(u32, T)]) -> T {
        let mut left = self.0.random_range(0..from.iter().map(|(weight, _)| weight).sum());
        for (weight, what) in from {
            if left < *weight {
                return what.clone();
            }
            left -= weight;
        }
        unreachable!("the weights were summed")
    }

    /// `Some` in `percent` of 100 throws.
    pub fn maybe<T>(&mut self, percent: u32, what: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        self.chance(percent).then(|| what(self))
    }
}
