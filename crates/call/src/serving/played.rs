//! What of a message was played: what is skipped is not heard, and what is played twice counts once.

/// Parts of a message, apart from each other and in order: from and to, milliseconds from its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Played(Vec<(u64, u64)>);

impl Played {
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
#[allow(clippy::unwrap_used, reason = "tests")]
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
}
