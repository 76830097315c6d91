//! How loud a G.711 packet is, and what silence looks like in it (ITU-T G.711).

use segue_sdp::Codec;

/// Samples, and so bytes, of 20 ms.
const PACKET_SAMPLES: u32 = 160;

const ULAW_SILENCE: [u8; PACKET_SAMPLES as usize] = [0xff; PACKET_SAMPLES as usize];
const ALAW_SILENCE: [u8; PACKET_SAMPLES as usize] = [0xd5; PACKET_SAMPLES as usize];

/// 20 ms of silence; nothing for video.
pub fn silence(codec: Codec) -> &'static [u8] {
    match codec {
        Codec::Pcmu => &ULAW_SILENCE,
        Codec::Pcma => &ALAW_SILENCE,
        Codec::G722 | Codec::Opus | Codec::Amr(_) | Codec::Vp8 | Codec::H264 { .. } | Codec::Foreign { .. } => &[],
    }
}

/// Mean absolute amplitude below which a packet is silence: about -48 dBFS, above the noise of a quiet room.
const QUIET: u32 = 100;

/// Whether a packet holds speech rather than silence. Video does.
pub fn is_loud(codec: Codec, payload: &[u8]) -> bool {
    let table = match codec {
        Codec::Pcmu => &ULAW,
        Codec::Pcma => &ALAW,
        Codec::G722 | Codec::Opus | Codec::Amr(_) | Codec::Vp8 | Codec::H264 { .. } | Codec::Foreign { .. } => {
            return true;
        }
    };
    // At most 65,535 samples of 32,767 each.
    let sum: u32 = payload
        .iter()
        .filter_map(|&byte| table.get(usize::from(byte)))
        .map(|&amplitude| u32::from(amplitude))
        .sum();
    let count = payload.len() as u32;
    count > 0 && sum / count >= QUIET
}

/// Whether the two are the two laws.
pub fn is_law_of(one: Codec, other: Codec) -> bool {
    matches!((one, other), (Codec::Pcmu, Codec::Pcma) | (Codec::Pcma, Codec::Pcmu))
}

/// The bytes of one law as the other says them, where the two are those: sample by sample the nearest value.
pub fn transcode(from: Codec, to: Codec, payload: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let table = match (from, to) {
        (Codec::Pcmu, Codec::Pcma) => &ULAW_TO_ALAW,
        (Codec::Pcma, Codec::Pcmu) => &ALAW_TO_ULAW,
        _ => return None,
    };
    if out.len() < payload.len() {
        out.resize(payload.len(), 0);
    }
    for (made, byte) in out.iter_mut().zip(payload) {
        *made = table.get(usize::from(*byte)).copied()?;
    }
    Some(payload.len())
}

static ULAW_TO_ALAW: [u8; 256] = nearest(&amplitudes(true), &amplitudes(false));
static ALAW_TO_ULAW: [u8; 256] = nearest(&amplitudes(false), &amplitudes(true));

/// For each code of one law that of the other with the nearest amplitude and the same sign, which both have in the highest bit.
#[allow(clippy::indexing_slicing)] // Both run over the arrays' own length, at compile time.
const fn nearest(from: &[u16; 256], to: &[u16; 256]) -> [u8; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        let sign = code & 0x80;
        let mut best = sign;
        let mut candidate = sign;
        while candidate < sign + 0x80 {
            if to[candidate].abs_diff(from[code]) < to[best].abs_diff(from[code]) {
                best = candidate;
            }
            candidate += 1;
        }
        table[code] = best as u8;
        code += 1;
    }
    table
}

static ULAW: [u16; 256] = amplitudes(true);
static ALAW: [u16; 256] = amplitudes(false);

/// Absolute 16-bit amplitude of each code.
#[allow(clippy::indexing_slicing)] // `code` runs over the array's own length, at compile time.
const fn amplitudes(ulaw: bool) -> [u16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        let byte = code as u8;
        table[code] = if ulaw {
            let bits = !byte;
            let mantissa = ((bits & 0x0f) as u16) << 3;
            ((mantissa + 0x84) << ((bits & 0x70) >> 4)) - 0x84
        } else {
            let bits = byte ^ 0x55;
            let segment = (bits & 0x70) >> 4;
            let mantissa = ((bits & 0x0f) as u16) << 4;
            match segment {
                0 => mantissa + 8,
                _ => (mantissa + 0x108) << (segment - 1),
            }
        };
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_quiet_in_both_laws() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            assert!(!is_loud(codec, silence(codec)));
            assert_eq!(silence(codec).len(), 160);
        }
    }

    #[test]
    fn full_scale_is_loud_in_both_laws() {
        assert!(is_loud(Codec::Pcmu, &[0x80; 160]));
        assert!(is_loud(Codec::Pcma, &[0xaa; 160]));
        assert_eq!((ULAW[0x80], ALAW[0xaa]), (32_124, 32_256));
    }

    #[test]
    fn a_low_hiss_is_still_silence() {
        let hiss: Vec<u8> = (0..160).map(|i| if i % 2 == 0 { 0xfb } else { 0x7b }).collect();
        assert!(!is_loud(Codec::Pcmu, &hiss));
    }

    #[test]
    fn the_one_law_becomes_the_other_by_the_nearest_value() {
        let mut out = Vec::new();
        let all: Vec<u8> = (0..=255).collect();
        let len = transcode(Codec::Pcmu, Codec::Pcma, &all, &mut out).unwrap();
        let there = out[..len].to_vec();
        // Silence is silence, full scale stays so, the sign stays.
        assert_eq!((there[0xff], there[0x7f]), (0xd5, 0x55));
        assert_eq!((there[0x80], there[0x00]), (0xaa, 0x2a));
        let mut back = Vec::new();
        transcode(Codec::Pcma, Codec::Pcmu, &there, &mut back).unwrap();
        for (code, again) in all.iter().zip(&back) {
            let (one, other) = (ULAW[usize::from(*code)], ULAW[usize::from(*again)]);
            // G.711 table 3 and 4: no more than the steps of both laws there.
            assert!(one.abs_diff(other) <= 16 + one / 16, "{code}: {one} became {other}");
            assert_eq!(code & 0x80, again & 0x80);
        }
        assert_eq!(transcode(Codec::Pcmu, Codec::Pcmu, &all, &mut out), None);
        assert_eq!(transcode(Codec::Pcmu, Codec::G722, &all, &mut out), None);
    }

    #[test]
    fn an_empty_packet_is_silence() {
        assert!(!is_loud(Codec::Pcmu, &[]));
    }
}
