//! The spool: what a recorder wrote while the call went on. Append-only; a reader stops at the first bad record.
//!
//! One file a recording. Record: `u16 length` of the packet, `u8 kind`, `u8 stream`, `u64 arrival ns` since the recording began,
//! the packet, `u32 CRC32C` over all before it; little-endian. The first record is `Meta` with the manifest (JSON), the last of a
//! recording that ended in order is `Meta` with the end (JSON).
#![deny(clippy::arithmetic_side_effects)]

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

/// The `stream` byte of audio records.
pub const AUDIO_STREAM: u8 = 0;
/// The `stream` byte of video records.
pub const VIDEO_STREAM: u8 = 1;

/// Bytes of a record before its packet.
pub const HEAD_LEN: usize = 12;
const CRC_LEN: usize = 4;

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

impl RecordKind {
    fn to_byte(self) -> u8 {
        match self {
            RecordKind::Rtp => 0,
            RecordKind::Rtcp => 1,
            RecordKind::Meta => 2,
        }
    }

    fn from_byte(byte: u8) -> Option<RecordKind> {
        match byte {
            0 => Some(RecordKind::Rtp),
            1 => Some(RecordKind::Rtcp),
            2 => Some(RecordKind::Meta),
            _ => None,
        }
    }
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

/// A packet that a record cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a spool record holds at most 65,535 bytes")]
pub struct TooLong;

/// A record without its checksum: 12 bytes, then the packet. [`append`] makes whole ones.
pub(crate) fn head(kind: RecordKind, stream: u8, arrival_ns: u64, len: u16) -> [u8; HEAD_LEN] {
    let ([l0, l1], [a, b, c, d, e, f, g, h]) = (len.to_le_bytes(), arrival_ns.to_le_bytes());
    [l0, l1, kind.to_byte(), stream, a, b, c, d, e, f, g, h]
}

/// Appends one record to `out`.
///
/// # Errors
/// [`TooLong`] for a packet beyond 65,535 bytes; `out` is unchanged.
pub fn append(out: &mut Vec<u8>, kind: RecordKind, stream: u8, arrival_ns: u64, packet: &[u8]) -> Result<(), TooLong> {
    let head = head(
        kind,
        stream,
        arrival_ns,
        u16::try_from(packet.len()).map_err(|_| TooLong)?,
    );
    out.extend_from_slice(&head);
    out.extend_from_slice(packet);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), packet);
    out.extend_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// Reads the records of a spool in order. Ends at the end of the file or at the first record that is cut, has a wrong checksum
/// or an unknown kind; [`SpoolReader::good_bytes`] tells how far the file is sound.
#[derive(Debug)]
pub struct SpoolReader<R> {
    from: R,
    good_bytes: u64,
    ended: Option<End>,
}

/// Why a spool reader stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The file ended after a whole record.
    OfFile,
    /// A record was cut, damaged or unknown.
    BadRecord,
    /// The file could not be read further.
    ReadError(io::ErrorKind),
}

impl SpoolReader<BufReader<File>> {
    /// Opens a spool file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<SpoolReader<BufReader<File>>> {
        Ok(SpoolReader::new(BufReader::with_capacity(1 << 16, File::open(path)?)))
    }
}

impl<R: Read> SpoolReader<R> {
    /// Reads from `from`.
    pub fn new(from: R) -> SpoolReader<R> {
        SpoolReader {
            from,
            good_bytes: 0,
            ended: None,
        }
    }

    /// Length of all records read so far, bytes.
    pub fn good_bytes(&self) -> u64 {
        self.good_bytes
    }

    /// Why it stopped; `None` while there may be more.
    pub fn ended(&self) -> Option<End> {
        self.ended
    }

    fn read_record(&mut self) -> Result<Record, End> {
        let mut head = [0; HEAD_LEN];
        match fill(&mut self.from, &mut head)? {
            0 => return Err(End::OfFile),
            HEAD_LEN => {}
            _ => return Err(End::BadRecord),
        }
        let [l0, l1, kind, stream, arrival @ ..] = head;
        let mut packet = vec![0; u16::from_le_bytes([l0, l1]).into()];
        let mut crc = [0; CRC_LEN];
        if fill(&mut self.from, &mut packet)? != packet.len() || fill(&mut self.from, &mut crc)? != CRC_LEN {
            return Err(End::BadRecord);
        }
        if u32::from_le_bytes(crc) != crc32c::crc32c_append(crc32c::crc32c(&head), &packet) {
            return Err(End::BadRecord);
        }
        let kind = RecordKind::from_byte(kind).ok_or(End::BadRecord)?;
        let len = HEAD_LEN.saturating_add(packet.len()).saturating_add(CRC_LEN);
        self.good_bytes = self.good_bytes.saturating_add(len as u64);
        Ok(Record {
            kind,
            stream,
            arrival_ns: u64::from_le_bytes(arrival),
            packet,
        })
    }
}

impl<R: Read> Iterator for SpoolReader<R> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.ended.is_some() {
            return None;
        }
        match self.read_record() {
            Ok(record) => Some(record),
            Err(end) => {
                self.ended = Some(end);
                None
            }
        }
    }
}

/// Fills `buf` as far as the input reaches; how many bytes that were.
fn fill(from: &mut impl Read, buf: &mut [u8]) -> Result<usize, End> {
    let mut done = 0_usize;
    while let Some(rest @ [_, ..]) = buf.get_mut(done..) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(n) => done = done.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(End::ReadError(e.kind())),
        }
    }
    Ok(done)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    fn spool() -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, RecordKind::Meta, 0, 0, b"{}").unwrap();
        append(&mut out, RecordKind::Rtp, AUDIO_STREAM, 20_000_000, &[0x80, 0, 0, 1]).unwrap();
        append(&mut out, RecordKind::Rtcp, VIDEO_STREAM, 21_000_000, &[0x81; 8]).unwrap();
        out
    }

    #[test]
    fn records_come_back_in_order() {
        let bytes = spool();
        let mut reader = SpoolReader::new(&bytes[..]);
        let records: Vec<Record> = reader.by_ref().collect();
        assert_eq!(records.len(), 3);
        assert_eq!(
            records[1],
            Record {
                kind: RecordKind::Rtp,
                stream: 0,
                arrival_ns: 20_000_000,
                packet: vec![0x80, 0, 0, 1]
            }
        );
        assert_eq!(
            (reader.ended(), reader.good_bytes()),
            (Some(End::OfFile), bytes.len() as u64)
        );
    }

    #[test]
    fn a_spool_cut_anywhere_is_read_up_to_the_last_whole_record() {
        let bytes = spool();
        let ends = [18, 38, bytes.len()];
        for len in 0..bytes.len() {
            let mut reader = SpoolReader::new(&bytes[..len]);
            let whole = ends.iter().filter(|&&end| end <= len).count();
            assert_eq!(reader.by_ref().count(), whole, "cut at {len}");
        }
    }

    #[test]
    fn any_flipped_bit_stops_the_reader_at_its_record() {
        let bytes = spool();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let good = SpoolReader::new(&damaged[..]).count();
            assert!(good <= 2, "byte {at}");
        }
    }

    #[test]
    fn a_tail_of_zeros_is_no_record() {
        let mut bytes = spool();
        bytes.extend_from_slice(&[0; 4096]);
        let mut reader = SpoolReader::new(&bytes[..]);
        assert_eq!(reader.by_ref().count(), 3);
        assert_eq!(reader.ended(), Some(End::BadRecord));
    }

    #[test]
    fn a_packet_beyond_the_length_field_is_refused() {
        let mut out = Vec::new();
        assert_eq!(append(&mut out, RecordKind::Rtp, 0, 0, &vec![0; 65_536]), Err(TooLong));
        assert!(out.is_empty());
    }
}
