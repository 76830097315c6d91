//! VP8 in SDP: what a receiver can take (RFC 7741 §6.1).
#![deny(clippy::arithmetic_side_effects)]

use crate::{Codec, Format, h264::parameter};

/// What it takes to receive a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Need {
    /// Width in macroblocks of 16 pixels.
    pub width_macroblocks: u32,
    /// Height in macroblocks.
    pub height_macroblocks: u32,
    /// Frames a second.
    pub frame_rate: u32,
}

/// Whether a receiver that announced `format` can take a stream that needs `need`. Who gives no limit has none.
///
/// `max-fs` bounds the frame's area and, at the square root of eight times that, each of its sides.
pub fn vp8_receives(format: &Format, need: Vp8Need) -> bool {
    if format.codec != Codec::Vp8 {
        return false;
    }
    let fmtp = format.fmtp.as_deref().unwrap_or_default();
    let limit = |name| parameter(fmtp, name).and_then(|value| value.parse::<u32>().ok());
    let small_enough = limit("max-fs").is_none_or(|most| {
        let side = most.saturating_mul(8).isqrt();
        let area = need.width_macroblocks.saturating_mul(need.height_macroblocks);
        area <= most && need.width_macroblocks <= side && need.height_macroblocks <= side
    });
    small_enough && limit("max-fr").is_none_or(|most| need.frame_rate <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const W640: Vp8Need = Vp8Need {
        width_macroblocks: 40,
        height_macroblocks: 23,
        frame_rate: 25,
    };

    fn format(fmtp: Option<&str>) -> Format {
        Format {
            payload_type: 98,
            codec: Codec::Vp8,
            fmtp: fmtp.map(str::to_owned),
        }
    }

    #[test]
    fn without_limits_everything_is_taken() {
        assert!(vp8_receives(&format(None), W640));
        assert!(vp8_receives(&format(Some("x-google-start-bitrate=300")), W640));
    }

    #[test]
    fn area_side_and_rate_bound() {
        assert!(vp8_receives(&format(Some("max-fr=25; max-fs=920")), W640));
        assert!(!vp8_receives(&format(Some("max-fs=919")), W640));
        assert!(!vp8_receives(&format(Some("max-fs=3600;max-fr=15")), W640));
        let long = Vp8Need {
            width_macroblocks: 100,
            height_macroblocks: 2,
            frame_rate: 25,
        };
        assert!(
            !vp8_receives(&format(Some("max-fs=1000")), long),
            "a side beyond sqrt(8000)"
        );
    }

    #[test]
    fn another_codec_is_not_received() {
        let h264 = Format {
            codec: Codec::Pcmu,
            ..format(None)
        };
        assert!(!vp8_receives(&h264, W640));
    }
}
