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
    fn an_empty_packet_is_silence() {
        assert!(!is_loud(Codec::Pcmu, &[]));
    }
}
