//! Puts the Opus header of an MP4 file right.
//!
//! GStreamer before 1.24 writes the numbers of the `dOps` box in the byte order of Ogg instead of MP4's (Opus in ISOBMFF §4.3.2). Players
//! then take the pre-skip of 312 samples for 14,337 and leave out the first 0.3 s.
#![deny(clippy::arithmetic_side_effects)]

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The index of the longest recording is far smaller.
const MOOV_MAX: u64 = 64 * 1024 * 1024;
/// `dOps`, version, channels; then pre-skip (2 bytes), input sample rate (4) and output gain (2).
const BEFORE_NUMBERS: usize = 6;

/// Corrects a file in place; one that is right already stays as it is.
pub(super) fn correct(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut at = 0u64;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        if file.read_exact(&mut head).is_err() {
            return Ok(());
        }
        let [s0, s1, s2, s3, name @ ..] = head;
        let size = u64::from(u32::from_be_bytes([s0, s1, s2, s3]));
        if &name == b"moov" {
            let mut moov = Vec::new();
            Read::by_ref(&mut file)
                .take(size.min(MOOV_MAX))
                .read_to_end(&mut moov)?;
            if let Some((offset, numbers)) = swapped(&moov) {
                let offset = u64::try_from(offset).unwrap_or(u64::MAX);
                file.seek(SeekFrom::Start(at.saturating_add(8).saturating_add(offset)))?;
                file.write_all(&numbers)?;
            }
            return Ok(());
        }
        // Sizes 0 and 1 are for boxes larger than any index before which it would stand.
        if size < 8 {
            return Ok(());
        }
        at = at.saturating_add(size);
    }
}

/// Where the numbers are and how they should read, when they are the wrong way round: the sample rate tells.
fn swapped(moov: &[u8]) -> Option<(usize, [u8; 8])> {
    let at = moov
        .windows(4)
        .position(|four| four == b"dOps")?
        .saturating_add(BEFORE_NUMBERS);
    let [p0, p1, r0, r1, r2, r3, g0, g1] = *moov.get(at..)?.first_chunk()?;
    let rate = u32::from_le_bytes([r0, r1, r2, r3]);
    (rate == 48_000).then_some((at, [p1, p0, r3, r2, r1, r0, g1, g0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_the_wrong_order_are_turned_and_right_ones_kept() {
        let wrong = b"....dOps\x00\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        assert_eq!(swapped(wrong), Some((10, [1, 0x38, 0, 0, 0xbb, 0x80, 0, 0])));
        let right = b"....dOps\x00\x01\x01\x38\x00\x00\xbb\x80\x00\x00\x00";
        assert_eq!(swapped(right), None);
        assert_eq!(swapped(b"....dOps\x00\x01\x38"), None);
    }
}
