//! VP8 frames (RFC 6386) and how RTP carries them (RFC 7741).
#![deny(clippy::arithmetic_side_effects)]

/// Largest piece of a frame in a packet: with the longest payload descriptor it fits where H.264 payloads do.
pub(crate) const PIECE_MAX: usize = crate::h264::PAYLOAD_MAX.saturating_sub(6);

/// Whether a frame is a key frame: the lowest bit of its first byte is clear (RFC 6386 §9.1).
pub(crate) fn is_key_frame(frame: &[u8]) -> bool {
    frame.first().is_some_and(|tag| tag & 1 == 0)
}

/// Width and height of a key frame, pixels (RFC 6386 §9.1).
pub(crate) fn size(frame: &[u8]) -> Option<(u16, u16)> {
    let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *frame else {
        return None;
    };
    let pixels = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
    is_key_frame(frame).then(|| (pixels(w0, w1), pixels(h0, h1)))
}
