//! Walks through a packet cache: which packet is due when, over the loop's end, and where the last key frame lies.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use crate::cache::{Cache, Entry};

/// Plays one kind of a source.
#[derive(Debug, Clone)]
pub struct Player {
    cache: Cache,
    cursor: Cursor,
}

/// Where in its cache a player is.
#[derive(Debug, Clone)]
pub struct Cursor {
    looping: bool,
    /// When this lap began.
    lap_start: Instant,
    /// RTP timestamp of this lap's beginning.
    lap_rtp: u32,
    index: usize,
    /// Entries of the key frame that was begun last.
    key_frame: Range<usize>,
    /// Sequence number of the last packet sent, and how many left in a row up to it: one entry of the cache each.
    trail: Option<(u16, usize)>,
    /// The picture was repeated: what follows up to the next key frame would not fit it.
    wait_for_key_frame: bool,
}

/// A packet whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Which packet.
    pub entry: Entry,
    /// When it was due.
    pub at: Instant,
    /// Its RTP timestamp.
    pub rtp: u32,
}

impl Player {
    /// Begins at `start`, at the RTP timestamp `rtp`.
    pub fn new(cache: Cache, start: Instant, rtp: u32, looping: bool) -> Player {
        let cursor = Cursor {
            looping,
            lap_start: start,
            lap_rtp: rtp,
            index: 0,
            key_frame: key_frame_at(&cache, 0),
            trail: None,
            wait_for_key_frame: false,
        };
        Player { cache, cursor }
    }

    /// When the next packet is due; `None` at the end.
    pub fn due(&self) -> Option<Instant> {
        self.cursor.due(&self.cache)
    }

    /// When the present lap ends.
    pub fn lap_end(&self) -> Instant {
        self.cursor.lap_end(&self.cache)
    }

    /// The RTP timestamp of that moment.
    pub fn lap_end_rtp(&self) -> u32 {
        self.cursor.lap_rtp.wrapping_add(self.cache.loop_rtp)
    }

    /// The cache, and the cursor that walks through it.
    pub fn parts(&mut self) -> (&Cache, &mut Cursor) {
        (&self.cache, &mut self.cursor)
    }

    /// The last key frame is being sent again: skip to the next one, whose pictures fit.
    pub fn skip_to_key_frame(&mut self) {
        // In the middle of a key frame its rest still comes.
        self.cursor.wait_for_key_frame = !self.cursor.key_frame.contains(&self.cursor.index)
            && self.cache.entries.iter().any(Entry::starts_key_frame);
    }

    /// The picture that stays.
    pub fn still(&self) -> Still {
        Still {
            cache: self.cache.clone(),
            key_frame: self.cursor.key_frame.clone(),
        }
    }
}

impl Cursor {
    /// The next packet, when it is due.
    pub fn take_due(&mut self, cache: &Cache, now: Instant) -> Option<Due> {
        // Each turn leaves an entry behind, and something waited for comes within a lap: two laps are enough.
        for _ in 0..cache.entries.len().saturating_mul(2) {
            let entry = *cache.entries.get(self.index)?;
            let at = self.due(cache).filter(|at| *at <= now)?;
            let due = Due {
                entry,
                at,
                rtp: self.lap_rtp.wrapping_add(entry.rtp_time),
            };
            if entry.starts_key_frame() {
                self.key_frame = key_frame_at(cache, self.index);
                self.wait_for_key_frame = false;
            }
            self.advance(cache);
            if !self.wait_for_key_frame {
                return Some(due);
            }
            self.trail = None;
        }
        None
    }

    /// The packet of the last `take_due` left under this sequence number.
    pub fn sent(&mut self, sequence: u16) {
        let in_row = self.trail.filter(|(last, _)| last.wrapping_add(1) == sequence);
        self.trail = Some((sequence, in_row.map_or(0, |(_, count)| count).saturating_add(1)));
    }

    /// A packet that was sent, with its RTP timestamp; `None` when it is too long ago.
    pub fn sent_under(&self, cache: &Cache, sequence: u16) -> Option<(Entry, u32)> {
        let (last, count) = self.trail?;
        let back = usize::from(last.wrapping_sub(sequence));
        let len = cache.entries.len();
        if back >= count.min(len) {
            return None;
        }
        let back = back.saturating_add(1);
        let (at, lap_rtp) = match self.index.checked_sub(back) {
            Some(at) => (at, self.lap_rtp),
            // In the lap before.
            None => (
                self.index.saturating_add(len).checked_sub(back)?,
                self.lap_rtp.wrapping_sub(cache.loop_rtp),
            ),
        };
        let entry = *cache.entries.get(at)?;
        Some((entry, lap_rtp.wrapping_add(entry.rtp_time)))
    }

    fn due(&self, cache: &Cache) -> Option<Instant> {
        let entry = cache.entries.get(self.index)?;
        Some(self.lap_start + Duration::from_micros(entry.time_us.into()))
    }

    fn lap_end(&self, cache: &Cache) -> Instant {
        self.lap_start + Duration::from_micros(cache.loop_us.into())
    }

    fn advance(&mut self, cache: &Cache) {
        self.index = self.index.saturating_add(1);
        if self.looping && self.index >= cache.entries.len() {
            self.index = 0;
            self.lap_start = self.lap_end(cache);
            self.lap_rtp = self.lap_rtp.wrapping_add(cache.loop_rtp);
        }
    }
}

/// One packet's part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'p> {
    /// Without RTP header.
    pub payload: &'p [u8],
    /// VP8: the frame's first.
    pub starts_frame: bool,
    /// The frame's last.
    pub ends_frame: bool,
}

/// A key frame of a cache, for sending again.
#[derive(Debug, Clone)]
pub struct Still {
    cache: Cache,
    key_frame: Range<usize>,
}

impl Still {
    /// The first key frame of a cache.
    pub fn first_of(cache: &Cache) -> Still {
        let first = cache
            .entries
            .iter()
            .position(Entry::starts_key_frame)
            .unwrap_or_default();
        Still {
            cache: cache.clone(),
            key_frame: key_frame_at(cache, first),
        }
    }

    /// Its packets.
    pub fn packets(&self) -> impl Iterator<Item = Piece<'_>> {
        self.cache
            .entries
            .get(self.key_frame.clone())
            .unwrap_or_default()
            .iter()
            .map(|entry| Piece {
                payload: self.cache.payload_of(entry),
                starts_frame: entry.starts_frame(),
                ends_frame: entry.ends_frame(),
            })
    }
}

/// The entries of the frame that begins at `start`.
fn key_frame_at(cache: &Cache, start: usize) -> Range<usize> {
    let rest = cache.entries.get(start..).unwrap_or_default();
    let len = rest
        .iter()
        .position(Entry::ends_frame)
        .map_or(rest.len(), |last| last.saturating_add(1));
    start..start.saturating_add(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{CacheBuilder, END_OF_FRAME, KEY_FRAME};

    /// Ten frames of 40 ms, a key frame of two packets every five.
    fn video() -> Cache {
        let mut builder = CacheBuilder::new();
        for n in 0..10_u32 {
            let (us, rtp) = (n * 40_000, n * 3_600);
            if n % 5 == 0 {
                builder.push(us, rtp, &[0x67, n as u8], KEY_FRAME).unwrap();
                builder.push(us, rtp, &[0x65, n as u8], END_OF_FRAME).unwrap();
            } else {
                builder.push(us, rtp, &[0x41, n as u8], END_OF_FRAME).unwrap();
            }
        }
        builder.finish(90_000, 400_000, 36_000).unwrap()
    }

    fn take(player: &mut Player, now: Instant) -> Option<Due> {
        let (cache, cursor) = player.parts();
        cursor.take_due(cache, now)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn packets_come_at_their_time_and_not_before() {
        let start = Instant::now();
        let mut player = Player::new(video(), start, 1_000, false);
        assert_eq!(take(&mut player, start).unwrap().rtp, 1_000);
        assert!(take(&mut player, start).unwrap().entry.ends_frame());
        assert_eq!(take(&mut player, start + ms(39)), None);
        assert_eq!(player.due(), Some(start + ms(40)));
        assert_eq!(take(&mut player, start + ms(40)).unwrap().rtp, 4_600);
    }

    #[test]
    fn time_and_timestamps_go_on_over_the_loop() {
        let start = Instant::now();
        let mut player = Player::new(video(), start, 0, true);
        let all: Vec<Due> = std::iter::from_fn(|| take(&mut player, start + ms(1_000))).collect();
        assert_eq!(all.len(), 12 + 12 + 8);
        assert_eq!((all[12].at, all[12].rtp), (start + ms(400), 36_000));
        assert!(
            all.windows(2)
                .all(|two| two[0].rtp <= two[1].rtp && two[0].at <= two[1].at)
        );
    }

    #[test]
    fn without_looping_it_ends() {
        let start = Instant::now();
        let mut player = Player::new(video(), start, 0, false);
        assert_eq!(std::iter::from_fn(|| take(&mut player, start + ms(9_000))).count(), 12);
        assert_eq!(player.due(), None);
        assert_eq!(player.lap_end(), start + ms(400));
    }

    #[test]
    fn a_packet_is_found_by_its_number_over_the_loop_and_not_beyond_a_skip() {
        let start = Instant::now();
        let mut player = Player::new(video(), start, 0, true);
        let mut sent: Vec<Due> = Vec::new();
        while let Some(due) = take(&mut player, start + ms(500)) {
            player.parts().1.sent(65_530_u16.wrapping_add(sent.len() as u16));
            sent.push(due);
        }
        assert_eq!(sent.len(), 16);
        let found = |player: &mut Player, n: usize| {
            let (cache, cursor) = player.parts();
            cursor.sent_under(cache, 65_530_u16.wrapping_add(n as u16))
        };
        for (n, due) in sent.iter().enumerate().skip(4) {
            assert_eq!(found(&mut player, n), Some((due.entry, due.rtp)), "packet {n}");
        }
        assert_eq!(
            (found(&mut player, 3), found(&mut player, 16)),
            (None, None),
            "a lap is kept"
        );
        player.skip_to_key_frame();
        take(&mut player, start + ms(700));
        player.parts().1.sent(65_530_u16.wrapping_add(16));
        assert!(found(&mut player, 16).is_some());
        assert_eq!(found(&mut player, 15), None);
    }

    #[test]
    fn a_repeated_picture_holds_until_the_next_key_frame() {
        let start = Instant::now();
        let mut player = Player::new(video(), start, 0, false);
        while take(&mut player, start + ms(80)).is_some() {}
        player.skip_to_key_frame();
        let next = take(&mut player, start + ms(1_000)).unwrap();
        assert_eq!((next.entry.starts_key_frame(), next.at), (true, start + ms(200)));
    }

    #[test]
    fn the_picture_that_stays_is_the_last_key_frame() {
        let start = Instant::now();
        let mut player = Player::new(video(), start, 0, false);
        while take(&mut player, start + ms(9_000)).is_some() {}
        let still = player.still();
        let packets: Vec<_> = still.packets().map(|piece| (piece.payload, piece.ends_frame)).collect();
        assert_eq!(packets, [(&[0x67, 5][..], false), (&[0x65, 5][..], true)]);
    }
}
