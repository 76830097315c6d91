//! The spool: what a recorder wrote while the call went on. Append-only; a reader stops at the first bad record.
//!
//! One file a recording. Record: `u16 length` of the packet, `u8 kind`, `u8 stream`, `u64 arrival ns` since the recording began,
//! the packet, `u32 CRC32C` over all before it; little-endian. The first record is `Meta` with the manifest (JSON), the last of a
//! recording that ended in order is `Meta` with the end (JSON).

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// An RTP packet as received.
    Rtp,
    /// An RTCP compound packet as received.
    Rtcp,
    /// JSON: manifest or end.
    Meta,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it holds.
    pub kind: RecordKind,
    /// Which stream of the manifest.
    pub stream: u8,
    /// Arrival, nanoseconds since the recording began.
    pub arrival_ns: u64,
    /// The packet.
    pub packet: Vec<u8>,
}
