//! G.711, both laws (ITU-T G.711), a sample at a time.
#![deny(clippy::arithmetic_side_effects)]

/// Which companding law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    /// PCMU.
    Mu,
    /// PCMA.
    A,
}

impl Law {
    /// By RTP encoding name (RFC 3551).
    pub fn named(encoding: &str) -> Option<Law> {
        if encoding.eq_ignore_ascii_case("PCMU") {
            Some(Law::Mu)
        } else if encoding.eq_ignore_ascii_case("PCMA") {
            Some(Law::A)
        } else {
            None
        }
    }

    /// A linear sample as one byte.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Law::Mu => mu_encode(sample),
            Law::A => a_encode(sample),
        }
    }

    /// One byte as a linear sample.
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            Law::Mu => mu_decode(byte),
            Law::A => a_decode(byte),
        }
    }
}

/// Added before the segment is looked for, so that segments begin at powers of two.
const MU_BIAS: i32 = 132;

fn mu_encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let size = i32::from(sample).abs().min(32_635).wrapping_add(MU_BIAS);
    // The position of the highest bit above bit 7 is the segment.
    let segment = 24u32.saturating_sub(size.leading_zeros());
    let step = size.wrapping_shr(segment.wrapping_add(3)) & 0x0f;
    !(sign | byte(segment << 4) | byte(step.cast_unsigned()))
}

fn mu_decode(code: u8) -> i16 {
    let code = !code;
    let segment = u32::from(code >> 4 & 7);
    let step = i32::from(code & 0x0f);
    let size = (step << 3)
        .wrapping_add(MU_BIAS)
        .wrapping_shl(segment)
        .wrapping_sub(MU_BIAS);
    signed(size, code & 0x80 != 0)
}

fn a_encode(sample: i16) -> u8 {
    // A-law has 13 bits; negative samples are mirrored without a double zero.
    let sample = i32::from(sample) >> 3;
    let (sign, size) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let segment = 27u32.saturating_sub(size.leading_zeros());
    let shift = segment.max(1);
    let step = size.wrapping_shr(shift) & 0x0f;
    (sign | byte(segment << 4) | byte(step.cast_unsigned())) ^ 0x55
}

fn a_decode(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = u32::from(code >> 4 & 7);
    let step = i32::from(code & 0x0f) << 4;
    let size = match segment {
        0 => step.wrapping_add(8),
        _ => step.wrapping_add(0x108).wrapping_shl(segment.wrapping_sub(1)),
    };
    signed(size, code & 0x80 == 0)
}

fn signed(size: i32, negative: bool) -> i16 {
    let value = if negative { size.wrapping_neg() } else { size };
    i16::try_from(value).unwrap_or(if negative { i16::MIN } else { i16::MAX })
}

fn byte(value: u32) -> u8 {
    u8::try_from(value & 0xff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes() {
        // ITU-T G.711 tables 1a and 2a: zero, the extremes, and the silence byte of each law.
        assert_eq!((Law::Mu.encode(0), Law::Mu.decode(0xff)), (0xff, 0));
        assert_eq!((Law::Mu.encode(i16::MAX), Law::Mu.decode(0x80)), (0x80, 32_124));
        assert_eq!((Law::Mu.encode(i16::MIN), Law::Mu.decode(0x00)), (0x00, -32_124));
        assert_eq!((Law::A.encode(0), Law::A.decode(0xd5)), (0xd5, 8));
        assert_eq!((Law::A.encode(i16::MAX), Law::A.decode(0xaa)), (0xaa, 32_256));
        assert_eq!((Law::A.encode(i16::MIN), Law::A.decode(0x2a)), (0x2a, -32_256));
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for code in 0..=255u8 {
            assert_eq!(Law::A.encode(Law::A.decode(code)), code, "A-law {code:#04x}");
            // µ-law has two zeros.
            if code != 0x7f {
                assert_eq!(Law::Mu.encode(Law::Mu.decode(code)), code, "µ-law {code:#04x}");
            }
        }
    }

    #[test]
    fn companding_keeps_the_size_within_its_step() {
        for law in [Law::Mu, Law::A] {
            for sample in (-32_000..32_000i16).step_by(37) {
                let heard = i32::from(law.decode(law.encode(sample)));
                let off = (heard - i32::from(sample)).abs();
                assert!(off <= i32::from(sample).abs() / 16 + 16, "{law:?} {sample} -> {heard}");
            }
        }
    }
}
