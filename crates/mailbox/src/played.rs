//! What of a message was played, and whether that makes it heard: the one rule for phones and pages. What is skipped is not heard, and what is
//! played twice counts once.

use crate::heard_after_ms;

/// Parts of a message, apart from each other and in order: from and to, milliseconds from its start; at most [`Played::PARTS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Played(Vec<(u64, u64)>);

impl Played {
    /// Parts that are remembered. Past it the shortest is forgotten: less counts then, never more.
    pub const PARTS_MAX: usize = 64;

    /// The parts.
    pub fn parts(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Whether a message of this length has been heard thereby: 80 % of it, wherever.
    pub fn is_heard(&self, duration_ms: u64) -> bool {
        self.total() >= heard_after_ms(duration_ms)
    }

    /// Forgets what lies behind the end of a message of this length.
    pub fn within(mut self, duration_ms: u64) -> Played {
        self.0.retain_mut(|(from, to)| {
            *to = (*to).min(duration_ms);
            from < to
        });
        self
    }

    /// This part was played.
    pub fn add(&mut self, from_ms: u64, to_ms: u64) {
        if to_ms <= from_ms {
            return;
        }
        let (mut from, mut to) = (from_ms, to_ms);
        self.0.retain(|&(other_from, other_to)| {
            let touches = other_from <= to && from <= other_to;
            if touches {
                (from, to) = (from.min(other_from), to.max(other_to));
            }
            !touches
        });
        let at = self.0.partition_point(|&(other, _)| other < from);
        self.0.insert(at, (from, to));
        if self.0.len() > Self::PARTS_MAX {
            let shortest = self
                .0
                .iter()
                .enumerate()
                .min_by_key(|(_, (from, to))| to.saturating_sub(*from));
            if let Some((at, _)) = shortest {
                self.0.remove(at);
            }
        }
    }

    /// How much of it, milliseconds.
    pub fn total(&self) -> u64 {
        let parts = self.0.iter().map(|(from, to)| to.saturating_sub(*from));
        parts.fold(0, u64::saturating_add)
    }

    /// Up to where it has to be played from there, for so much of it to have been played in all.
    pub fn reaches(&self, wanted_ms: u64, from_ms: u64) -> u64 {
        let mut left = wanted_ms.saturating_sub(self.total());
        let mut at = from_ms;
        for &(from, to) in self.0.iter().filter(|&&(_, to)| to > from_ms) {
            let new = from.saturating_sub(at);
            if new >= left {
                break;
            }
            left = left.saturating_sub(new);
            at = at.max(to);
        }
        at.saturating_add(left)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn played(parts: &[(u64, u64)]) -> Played {
        let mut played = Played::default();
        for (from, to) in parts {
            played.add(*from, *to);
        }
        played
    }

    #[test]
    fn what_is_played_twice_counts_once() {
        assert_eq!(played(&[(0, 10), (5, 20), (20, 25)]), Played(vec![(0, 25)]));
        let apart = played(&[(30, 40), (0, 10), (50, 60)]);
        assert_eq!(
            (&apart, apart.total()),
            (&Played(vec![(0, 10), (30, 40), (50, 60)]), 30)
        );
        let mut whole = apart;
        whole.add(5, 55);
        assert_eq!(whole, Played(vec![(0, 60)]));
        assert_eq!(played(&[(7, 7), (9, 3)]), Played::default());
    }

    #[test]
    fn how_far_it_has_to_go_passes_over_what_was_played() {
        let apart = played(&[(0, 10), (30, 40)]);
        assert_eq!(apart.reaches(20, 0), 0, "that much was played already");
        assert_eq!(apart.reaches(25, 12), 17);
        assert_eq!(
            apart.reaches(45, 15),
            50,
            "15 to 30 are 15 of 25, 30 to 40 none, then 10"
        );
        assert_eq!(apart.reaches(30, 30), 50);
        assert_eq!(Played::default().reaches(80, 0), 80);
    }

    #[test]
    fn four_fifths_are_heard_wherever_they_are_and_the_end_alone_is_not() {
        assert!(!played(&[(9_500, 10_000)]).is_heard(10_000));
        assert!(!played(&[(0, 4_000), (6_001, 10_000)]).is_heard(10_000));
        assert!(played(&[(0, 4_000), (6_000, 10_000)]).is_heard(10_000));
        let made_up = played(&[(20_000, u64::MAX)]);
        assert!(made_up.is_heard(10_000) && !made_up.within(10_000).is_heard(10_000));
        assert_eq!(played(&[(5_000, 90_000)]).within(10_000).parts(), [(5_000, 10_000)]);
    }

    /// Numbers below `end` by a seed (splitmix64).
    fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed;
        move |end| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % end
        }
    }

    #[test]
    fn merging_is_what_a_plain_list_of_played_milliseconds_says_in_whatever_order() {
        for seed in 0..500 {
            let mut below = numbers(seed);
            let n = below(60);
            let mut parts: Vec<(u64, u64)> = (0..n).map(|_| (below(200), below(200))).collect();
            let merged = played(&parts);
            let plain = (0..200_u64).filter(|ms| parts.iter().any(|(from, to)| (from..to).contains(&ms)));
            assert_eq!(merged.total(), plain.count() as u64, "seed {seed}");
            for pair in merged.parts().windows(2) {
                assert!(pair[0].1 < pair[1].0, "seed {seed}: apart and in order");
            }
            parts.reverse();
            assert_eq!(played(&parts), merged, "seed {seed}");
        }
    }

    #[test]
    fn of_many_parts_few_are_kept_and_none_that_was_not_played() {
        for seed in 0..100 {
            let mut below = numbers(seed);
            let parts: Vec<(u64, u64)> = (0..300)
                .map(|_| {
                    let (from, long) = (below(100_000), below(300));
                    (from, from + long)
                })
                .collect();
            let merged = played(&parts);
            assert!(merged.parts().len() <= Played::PARTS_MAX, "seed {seed}");
            for &(from, to) in merged.parts() {
                let mut at = from;
                while let Some((_, end)) = parts.iter().find(|(a, b)| (a..b).contains(&&at)) {
                    at = *end;
                }
                assert!(at >= to, "seed {seed}: {from} to {to} was not all played");
            }
        }
    }
}
