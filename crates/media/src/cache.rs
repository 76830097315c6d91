//! The packet cache: one elementary stream of a clip as RTP payloads without headers, ready to be paced.
//!
//! A file is `magic "SGC1"`, a little-endian header, the entries, then the payload bytes. Entries are in sending order.

use std::sync::Arc;

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
    /// Bit 0: first packet of a key frame (its SPS); bit 1: last packet of a frame (RTP marker, video).
    pub flags: u16,
}

/// First packet of a key frame.
pub const KEY_FRAME: u16 = 1;
/// Last packet of a frame.
pub const END_OF_FRAME: u16 = 2;

/// A parsed cache; cheap to clone.
#[derive(Debug, Clone)]
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
