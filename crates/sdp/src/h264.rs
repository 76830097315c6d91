//! H.264 in SDP: `profile-level-id`, levels, and what a receiver can take (RFC 6184 §8.1, §8.2.2).
#![deny(clippy::arithmetic_side_effects)]

use crate::{Codec, Format};

/// What is inferred when `profile-level-id` is absent: Baseline, level 1 (RFC 6184 §8.1).
pub(crate) const DEFAULT_PROFILE_LEVEL_ID: [u8; 3] = [0x42, 0x00, 0x0a];

/// What it takes to receive a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H264Need {
    /// The mode its packets need: 1 when it has FU-A or STAP-A, 0 when it is single NAL units only.
    pub packetization_mode: u8,
    /// `level_idc` of the stream: 30 for level 3.0.
    pub level_idc: u8,
    /// Frame size in macroblocks.
    pub frame_macroblocks: u32,
    /// Macroblocks a second.
    pub macroblocks_per_second: u32,
}

/// Whether a receiver that announced `format` can take a constrained baseline stream that needs `need`.
///
/// Every profile that phones announce (Baseline, Main, Extended, High) decodes constrained baseline. A receiver below the level may
/// still have raised it by `max-recv-level`, or size and rate by `max-fs` and `max-mbps`.
pub fn h264_receives(format: &Format, need: H264Need) -> bool {
    let Codec::H264 {
        packetization_mode,
        profile_level_id,
    } = format.codec
    else {
        return false;
    };
    if need.packetization_mode > packetization_mode || !matches!(profile_level_id[0], 66 | 77 | 88 | 100) {
        return false;
    }
    let fmtp = format.fmtp.as_deref().unwrap_or_default();
    let wanted = u16::from(need.level_idc).saturating_mul(10);
    if level(profile_level_id) >= wanted {
        return true;
    }
    // max-recv-level counts only where the levels may differ by direction.
    if parameter(fmtp, "level-asymmetry-allowed").is_some_and(|v| v.trim() == "1")
        && let Some([_, idc]) = parameter(fmtp, "max-recv-level").and_then(hex::<2>)
        && u16::from(idc).saturating_mul(10) >= wanted
    {
        return true;
    }
    let at_least = |name, least: u32| {
        parameter(fmtp, name)
            .and_then(|v| v.trim().parse::<u32>().ok())
            .is_some_and(|v| v >= least)
    };
    at_least("max-fs", need.frame_macroblocks) && at_least("max-mbps", need.macroblocks_per_second)
}

/// The level in hundredths: 300 for level 3.0, 105 for 1b, which lies between 1.0 and 1.1.
pub(crate) fn level([profile_idc, constraints, level_idc]: [u8; 3]) -> u16 {
    let constraint_set3 = constraints & 0x10 != 0;
    match level_idc {
        9 => 105,
        11 if constraint_set3 && matches!(profile_idc, 66 | 77 | 88) => 105,
        idc => u16::from(idc).saturating_mul(10),
    }
}

/// The codec of an `a=rtpmap:… H264/90000` with this fmtp; `None` for interleaved mode and for broken parameters.
pub(crate) fn codec(fmtp: Option<&str>) -> Option<Codec> {
    let fmtp = fmtp.unwrap_or_default();
    let packetization_mode = match parameter(fmtp, "packetization-mode").map(str::trim) {
        None | Some("0") => 0,
        Some("1") => 1,
        Some(_) => return None,
    };
    let profile_level_id = match parameter(fmtp, "profile-level-id") {
        None => DEFAULT_PROFILE_LEVEL_ID,
        Some(value) => hex::<3>(value)?,
    };
    Some(Codec::H264 {
        packetization_mode,
        profile_level_id,
    })
}

/// Whether two formats are one configuration: same mode and same profile, level aside (RFC 6184 §8.2.2).
pub(crate) fn same_configuration(a: Codec, b: Codec) -> bool {
    match (a, b) {
        (
            Codec::H264 {
                packetization_mode: mode_a,
                profile_level_id: [profile_a, constraints_a, _],
            },
            Codec::H264 {
                packetization_mode: mode_b,
                profile_level_id: [profile_b, constraints_b, _],
            },
        ) => {
            // Of the constraints only set 0 and 1 tell constrained from plain baseline; set 3 may be part of the level.
            mode_a == mode_b && profile_a == profile_b && constraints_a & 0x40 == constraints_b & 0x40
        }
        (a, b) => a == b,
    }
}

/// A parameter of an fmtp value by its name, names without regard to case.
pub(crate) fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.trim();
    if text.len() != N.saturating_mul(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let number = u32::from_str_radix(text, 16).ok()?;
    let bytes = number.to_be_bytes();
    bytes.get(4usize.saturating_sub(N)..)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const W640: H264Need = H264Need {
        packetization_mode: 1,
        level_idc: 30,
        frame_macroblocks: 920,
        macroblocks_per_second: 23_000,
    };

    fn format(fmtp: &str) -> Format {
        Format {
            payload_type: 97,
            codec: codec(Some(fmtp)).unwrap(),
            fmtp: Some(fmtp.into()),
        }
    }

    #[test]
    fn level_1b_lies_between_1_0_and_1_1() {
        assert!(level([0x42, 0x00, 10]) < level([0x42, 0x10, 11]));
        assert!(level([0x42, 0x10, 11]) < level([0x42, 0x00, 11]));
        assert_eq!(level([100, 0, 9]), level([0x42, 0xf0, 11]));
        assert!(
            level([100, 0x10, 11]) > level([100, 0, 9]),
            "set 3 means 1b only for profiles 66, 77, 88"
        );
    }

    #[test]
    fn level_decides_what_a_receiver_takes() {
        assert!(h264_receives(
            &format("profile-level-id=42e01e;packetization-mode=1"),
            W640
        ));
        assert!(h264_receives(
            &format("profile-level-id=64001f; packetization-mode=1"),
            W640
        ));
        assert!(!h264_receives(
            &format("profile-level-id=42e014;packetization-mode=1"),
            W640
        ));
        assert!(
            !h264_receives(&format("profile-level-id=42e01f"), W640),
            "mode 0 cannot take FU-A"
        );
    }

    #[test]
    fn raised_capabilities_count() {
        let raised = "profile-level-id=42800d;packetization-mode=1;max-fs=3600;max-mbps=108000";
        assert!(h264_receives(&format(raised), W640));
        let asymmetric = "profile-level-id=42e00b;packetization-mode=1;level-asymmetry-allowed=1;max-recv-level=e01f";
        assert!(h264_receives(&format(asymmetric), W640));
        let symmetric = "profile-level-id=42e00b;packetization-mode=1;max-recv-level=e01f";
        assert!(!h264_receives(&format(symmetric), W640));
    }

    #[test]
    fn absent_parameters_mean_baseline_level_1_mode_0() {
        assert_eq!(
            codec(None),
            Some(Codec::H264 {
                packetization_mode: 0,
                profile_level_id: DEFAULT_PROFILE_LEVEL_ID
            })
        );
        assert_eq!(codec(Some("packetization-mode=2;profile-level-id=42e01f")), None);
        assert_eq!(codec(Some("profile-level-id=42e0")), None);
        assert_eq!(codec(Some("profile-level-id=+2e01f")), None);
    }
}
