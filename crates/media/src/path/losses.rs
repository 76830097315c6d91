//! When packets were lost: few stretches, however long the call and however bad its road. Nothing is done here for a packet that comes
//! in its turn, and room is made once, at the first loss.
#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, Instant};

/// Stretches that are kept of one stream.
pub const LOSSES_MAX: usize = 64;
/// Losses within so long are one stretch, as long as there is room for all.
const TOGETHER: Duration = Duration::from_secs(1);

/// Packets that never came within a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// What came before it came then.
    pub from: Instant,
    /// What came after it came then.
    pub until: Instant,
    /// How many are missing.
    pub packets: u32,
}

/// The losses of one stream, in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    kept: Vec<Loss>,
    /// How often the time that counts as together was doubled.
    doubled: u32,
}

impl Losses {
    /// So many are missing between two moments.
    pub fn note(&mut self, from: Instant, until: Instant, packets: u32) {
        if packets == 0 {
            return;
        }
        let new = Loss { from, until, packets };
        if self.joins_last(&new) {
            return;
        }
        if self.kept.is_empty() {
            self.kept.reserve_exact(LOSSES_MAX);
        }
        while self.kept.len() >= LOSSES_MAX {
            self.thin();
        }
        self.kept.push(new);
    }

    /// One that was missing came late: most likely of the last.
    pub fn came_late(&mut self) {
        let Some(last) = self.kept.last_mut() else { return };
        last.packets = last.packets.saturating_sub(1);
        if last.packets == 0 {
            self.kept.pop();
        }
    }

    /// What is known.
    pub fn all(&self) -> &[Loss] {
        &self.kept
    }

    fn joins_last(&mut self, new: &Loss) -> bool {
        let together = self.together();
        match self.kept.last_mut() {
            Some(last) if last.spans(new) <= together => {
                last.take(new);
                true
            }
            _ => false,
        }
    }

    /// Twice as long counts as together from now on.
    fn thin(&mut self) {
        self.doubled = self.doubled.saturating_add(1);
        let together = self.together();
        self.kept.dedup_by(|later, earlier| {
            // However long they are, in the end there is room.
            let joins = earlier.spans(later) <= together;
            if joins {
                earlier.take(later);
            }
            joins
        });
    }

    fn together(&self) -> Duration {
        let times = 1_u32.checked_shl(self.doubled).unwrap_or(u32::MAX);
        TOGETHER.saturating_mul(times)
    }
}

impl Loss {
    fn spans(&self, later: &Loss) -> Duration {
        later.until.saturating_duration_since(self.from)
    }

    fn take(&mut self, later: &Loss) {
        self.until = later.until;
        self.packets = self.packets.saturating_add(later.packets);
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn losses_are_kept_where_they_were_and_those_within_a_second_together() {
        let start = Instant::now();
        let mut losses = Losses::default();
        for (from, packets) in [(1_000, 1), (1_200, 2), (1_900, 1), (7_000, 3)] {
            losses.note(start + MS * from, start + MS * (from + 40), packets);
        }
        let told: Vec<_> = losses
            .all()
            .iter()
            .map(|loss| {
                (
                    (loss.from - start).as_millis(),
                    (loss.until - start).as_millis(),
                    loss.packets,
                )
            })
            .collect();
        assert_eq!(told, [(1_000, 1_940, 4), (7_000, 7_040, 3)]);
        losses.came_late();
        losses.came_late();
        assert_eq!(losses.all()[1].packets, 1);
        losses.came_late();
        assert_eq!(losses.all().len(), 1, "all of the last have come");
    }

    #[test]
    fn a_bad_road_for_a_day_takes_no_more_room_and_loses_no_count() {
        let start = Instant::now();
        let mut losses = Losses::default();
        let mut room = 0;
        for second in 0..86_400_u32 {
            let from = start + Duration::from_millis(u64::from(second) * 1_000 + 500);
            losses.note(from, from + MS * 60, 2);
            assert!(losses.all().len() <= LOSSES_MAX);
            room = losses.kept.capacity();
        }
        assert_eq!(room, LOSSES_MAX, "room is made once");
        let all = losses.all();
        assert_eq!(all.iter().map(|loss| loss.packets).sum::<u32>(), 2 * 86_400);
        assert!(all.len() > LOSSES_MAX / 4, "{} still tell when", all.len());
        assert!(all.is_sorted_by_key(|loss| loss.from) && all.windows(2).all(|two| two[0].until <= two[1].from));
        assert_eq!(all[0].from, start + MS * 500);
    }
}
