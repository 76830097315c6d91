//! The packet cache: one elementary stream of a clip as RTP payloads without headers, ready to be paced.
//!
//! A file is `magic "SGC1"`, a little-endian header of five `u32` (clock rate, loop length in µs, loop length in clock units,
//! number of entries, payload bytes), the entries of 16 bytes each, then the payload bytes. Entries are in sending order.
#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;

const MAGIC: &[u8; 4] = b"SGC1";
const HEADER_LEN: usize = 24;
const ENTRY_LEN: usize = 16;

/// One packet of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When it is sent, microseconds from the clip's start.
    pub time_us: u32,
    /// RTP timestamp offset from the clip's start, in clock-rate units.
    pub rtp_time: u32,
    /// Where its payload begins.
    pub offset: u32,
    /// Payload length in bytes.
    pub len: u16,
    /// Bit 0: first packet of a key frame (H.264: its SPS); bit 1: last packet of a frame (RTP marker, video); bit 2: first packet
    /// of a VP8 frame, whose payload is without descriptor.
    pub flags: u16,
}

impl Entry {
    /// Whether a key frame begins here.
    pub fn starts_key_frame(&self) -> bool {
        self.flags & KEY_FRAME != 0
    }

    /// Whether a VP8 frame begins here.
    pub fn starts_frame(&self) -> bool {
        self.flags & START_OF_FRAME != 0
    }

    /// Whether a frame ends here.
    pub fn ends_frame(&self) -> bool {
        self.flags & END_OF_FRAME != 0
    }
}

/// First packet of a VP8 frame.
pub const START_OF_FRAME: u16 = 4;
/// First packet of a key frame.
pub const KEY_FRAME: u16 = 1;
/// Last packet of a frame.
pub const END_OF_FRAME: u16 = 2;

/// A parsed cache; cheap to clone. Made by [`Cache::parse`] or a [`CacheBuilder`], which both prove that every entry lies
/// within the payload and the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Length of one loop, microseconds.
    pub loop_us: u32,
    /// Length of one loop, clock-rate units.
    pub loop_rtp: u32,
    /// The packets.
    pub entries: Arc<[Entry]>,
    /// All payloads.
    pub payload: Arc<[u8]>,
}

/// A cache file that is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CacheError {
    /// Not our magic.
    #[error("not a packet cache")]
    Magic,
    /// Shorter than it says, or an entry points outside.
    #[error("damaged packet cache: {0}")]
    Damaged(&'static str),
}

impl Cache {
    /// Reads a cache file.
    ///
    /// # Errors
    /// [`CacheError`] when the bytes are no cache or any part of it contradicts another.
    pub fn parse(bytes: &[u8]) -> Result<Cache, CacheError> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(CacheError::Magic)?;
        if magic != MAGIC {
            return Err(CacheError::Magic);
        }
        let mut rest = rest;
        let mut header = || take_u32(&mut rest).ok_or(CacheError::Damaged("short header"));
        let (clock_rate, loop_us, loop_rtp) = (header()?, header()?, header()?);
        let (count, payload_len) = (header()? as usize, header()? as usize);
        let entries_len = count
            .checked_mul(ENTRY_LEN)
            .ok_or(CacheError::Damaged("too many entries"))?;
        let (mut entry_bytes, payload) = rest
            .split_at_checked(entries_len)
            .ok_or(CacheError::Damaged("short entries"))?;
        if payload.len() != payload_len {
            return Err(CacheError::Damaged("payload length"));
        }
        let mut entries = Vec::with_capacity(count);
        while let Some(entry) = take_entry(&mut entry_bytes) {
            entries.push(entry);
        }
        Cache {
            clock_rate,
            loop_us,
            loop_rtp,
            entries: entries.into(),
            payload: payload.into(),
        }
        .checked()
    }

    /// The file's bytes; [`Cache::parse`] reads them back.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries_len = self.entries.len().saturating_mul(ENTRY_LEN);
        let mut out = Vec::with_capacity(
            HEADER_LEN
                .saturating_add(entries_len)
                .saturating_add(self.payload.len()),
        );
        out.extend_from_slice(MAGIC);
        let (count, payload_len) = (self.entries.len() as u32, self.payload.len() as u32);
        for word in [self.clock_rate, self.loop_us, self.loop_rtp, count, payload_len] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for entry in self.entries.iter() {
            out.extend_from_slice(&entry.time_us.to_le_bytes());
            out.extend_from_slice(&entry.rtp_time.to_le_bytes());
            out.extend_from_slice(&entry.offset.to_le_bytes());
            out.extend_from_slice(&entry.len.to_le_bytes());
            out.extend_from_slice(&entry.flags.to_le_bytes());
        }
        out.extend_from_slice(&self.payload);
        out
    }

    /// The payload of an entry; empty for an entry of another cache.
    pub fn payload_of(&self, entry: &Entry) -> &[u8] {
        let start = entry.offset as usize;
        self.payload
            .get(start..start.saturating_add(entry.len.into()))
            .unwrap_or_default()
    }

    /// A part of it, from `start_us` on and as long as `loop_us`, with the same payload. Its clock begins at zero.
    ///
    /// # Errors
    /// [`CacheError::Damaged`] when nothing is there.
    pub fn part(&self, start_us: u32, loop_us: u32) -> Result<Cache, CacheError> {
        let units = |us: u32| {
            let units = u64::from(us).saturating_mul(u64::from(self.clock_rate)) / 1_000_000;
            u32::try_from(units).unwrap_or(u32::MAX)
        };
        let start_rtp = units(start_us);
        let end_us = start_us.saturating_add(loop_us);
        let entries = self.entries.iter();
        let entries = entries
            .filter(|entry| (start_us..end_us).contains(&entry.time_us))
            .map(|entry| Entry {
                time_us: entry.time_us.saturating_sub(start_us),
                rtp_time: entry.rtp_time.saturating_sub(start_rtp),
                ..*entry
            });
        Cache {
            clock_rate: self.clock_rate,
            loop_us,
            loop_rtp: units(loop_us),
            entries: entries.collect(),
            payload: Arc::clone(&self.payload),
        }
        .checked()
    }

    /// When the last key frame at or before a moment begins, microseconds from the start; `None` without pictures.
    pub fn key_frame_before(&self, at_us: u32) -> Option<u32> {
        let key_frames = self.entries.iter().filter(|entry| entry.starts_key_frame());
        key_frames
            .map(|entry| entry.time_us)
            .take_while(|time_us| *time_us <= at_us)
            .last()
    }

    /// The rest from a moment on, as [`Cache::part`]; `None`: nothing is left.
    pub fn since(&self, at_us: u32) -> Option<Cache> {
        let left_us = self.loop_us.checked_sub(at_us)?;
        self.part(at_us, left_us).ok()
    }

    fn checked(self) -> Result<Cache, CacheError> {
        if self.clock_rate == 0 || self.loop_us == 0 || self.loop_rtp == 0 {
            return Err(CacheError::Damaged("a clock or loop of zero"));
        }
        if self.entries.is_empty() {
            return Err(CacheError::Damaged("no packets"));
        }
        let mut last_us = 0;
        for entry in self.entries.iter() {
            let end = u64::from(entry.offset).saturating_add(entry.len.into());
            if entry.len == 0 || end > self.payload.len() as u64 {
                return Err(CacheError::Damaged("an entry points outside the payload"));
            }
            if entry.time_us < last_us || entry.time_us > self.loop_us {
                return Err(CacheError::Damaged("entries out of order"));
            }
            last_us = entry.time_us;
        }
        Ok(self)
    }
}

/// Collects packets in sending order into a [`Cache`].
#[derive(Debug, Default)]
pub struct CacheBuilder {
    entries: Vec<Entry>,
    payload: Vec<u8>,
}

impl CacheBuilder {
    /// An empty one.
    pub fn new() -> CacheBuilder {
        CacheBuilder::default()
    }

    /// Adds one packet: when it is sent (µs), its RTP time (clock units), both from the clip's start; its payload without RTP
    /// header; [`KEY_FRAME`] and [`END_OF_FRAME`].
    ///
    /// # Errors
    /// [`CacheError::Damaged`] for a payload beyond 65,535 bytes or a cache beyond 4 GiB.
    pub fn push(&mut self, time_us: u32, rtp_time: u32, payload: &[u8], flags: u16) -> Result<(), CacheError> {
        let len = u16::try_from(payload.len()).map_err(|_| CacheError::Damaged("a packet beyond 65,535 bytes"))?;
        let offset = u32::try_from(self.payload.len()).map_err(|_| CacheError::Damaged("a cache beyond 4 GiB"))?;
        self.payload.extend_from_slice(payload);
        self.entries.push(Entry {
            time_us,
            rtp_time,
            offset,
            len,
            flags,
        });
        Ok(())
    }

    /// The cache, with the length of one loop in microseconds and in clock units.
    ///
    /// # Errors
    /// [`CacheError::Damaged`] when it is empty, out of order, or longer than its loop.
    pub fn finish(self, clock_rate: u32, loop_us: u32, loop_rtp: u32) -> Result<Cache, CacheError> {
        u32::try_from(self.payload.len()).map_err(|_| CacheError::Damaged("a cache beyond 4 GiB"))?;
        Cache {
            clock_rate,
            loop_us,
            loop_rtp,
            entries: self.entries.into(),
            payload: self.payload.into(),
        }
        .checked()
    }
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*head))
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(u16::from_le_bytes(*head))
}

fn take_entry(bytes: &mut &[u8]) -> Option<Entry> {
    Some(Entry {
        time_us: take_u32(bytes)?,
        rtp_time: take_u32(bytes)?,
        offset: take_u32(bytes)?,
        len: take_u16(bytes)?,
        flags: take_u16(bytes)?,
    })
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    fn two_frames() -> Cache {
        let mut builder = CacheBuilder::new();
        builder.push(0, 0, b"sps", KEY_FRAME).unwrap();
        builder.push(0, 0, b"idr", END_OF_FRAME).unwrap();
        builder.push(40_000, 3_600, b"p", END_OF_FRAME).unwrap();
        builder.finish(90_000, 80_000, 7_200).unwrap()
    }

    #[test]
    fn a_cache_survives_its_file() {
        let cache = two_frames();
        assert_eq!(Cache::parse(&cache.to_bytes()).unwrap(), cache);
        assert_eq!(cache.payload_of(&cache.entries[1]), b"idr");
    }

    #[test]
    fn a_part_has_a_clock_of_its_own_and_shares_the_payload() {
        let mut builder = CacheBuilder::new();
        for n in 0..10_u32 {
            builder.push(n * 20_000, n * 960, &[n as u8], 0).unwrap();
        }
        let whole = builder.finish(48_000, 200_000, 9_600).unwrap();
        let part = whole.part(60_000, 40_000).unwrap();
        let times: Vec<(u32, u32)> = part.entries.iter().map(|e| (e.time_us, e.rtp_time)).collect();
        assert_eq!(times, [(0, 0), (20_000, 960)]);
        assert_eq!((part.loop_us, part.loop_rtp), (40_000, 1_920));
        assert_eq!(part.payload_of(&part.entries[0]), [3]);
        assert!(Arc::ptr_eq(&part.payload, &whole.payload));
        assert!(whole.part(200_000, 20_000).is_err(), "nothing is there");
    }

    #[test]
    fn a_cache_cut_anywhere_is_refused() {
        let bytes = two_frames().to_bytes();
        for len in 0..bytes.len() {
            assert!(Cache::parse(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn an_entry_that_points_outside_is_refused() {
        let mut bytes = two_frames().to_bytes();
        bytes[HEADER_LEN + 8..HEADER_LEN + 12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(
            Cache::parse(&bytes),
            Err(CacheError::Damaged("an entry points outside the payload"))
        );
    }

    #[test]
    fn a_count_that_would_overflow_is_refused() {
        let mut bytes = two_frames().to_bytes();
        bytes[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Cache::parse(&bytes).is_err());
    }

    #[test]
    fn an_entry_beyond_the_loop_is_refused() {
        let mut builder = CacheBuilder::new();
        builder.push(90_000, 0, b"late", 0).unwrap();
        assert_eq!(
            builder.finish(8_000, 80_000, 640),
            Err(CacheError::Damaged("entries out of order"))
        );
    }

    #[test]
    fn the_rest_of_a_cache_begins_at_a_key_frame_with_its_clocks_at_zero() {
        let mut builder = CacheBuilder::new();
        for n in 0..50_u32 {
            let flags = if n % 25 == 0 {
                KEY_FRAME | END_OF_FRAME
            } else {
                END_OF_FRAME
            };
            builder.push(n * 40_000, n * 3_600, &[n as u8], flags).unwrap();
        }
        let cache = builder.finish(90_000, 2_000_000, 180_000).unwrap();
        assert_eq!(cache.key_frame_before(999_999), Some(0));
        assert_eq!(cache.key_frame_before(1_500_000), Some(1_000_000));
        let rest = cache.since(1_000_000).unwrap();
        assert_eq!(
            (rest.entries.len(), rest.loop_us, rest.loop_rtp),
            (25, 1_000_000, 90_000)
        );
        let (first, second) = (rest.entries[0], rest.entries[1]);
        assert_eq!(
            (first.time_us, first.rtp_time, rest.payload_of(&first)),
            (0, 0, &[25][..])
        );
        assert_eq!((second.time_us, second.rtp_time), (40_000, 3_600));
        assert_eq!(cache.since(0), Some(cache.clone()));
        for past in [1_990_000, 2_000_000, u32::MAX] {
            assert_eq!(cache.since(past), None);
        }
    }

    #[test]
    fn other_files_are_no_cache() {
        assert_eq!(Cache::parse(b"RIFF...."), Err(CacheError::Magic));
        assert_eq!(Cache::parse(b""), Err(CacheError::Magic));
    }
}
