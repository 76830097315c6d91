//! Opus packets without decoding them: how long they are, whether they hold speech, and what silence looks like (RFC 6716).
#![deny(clippy::arithmetic_side_effects)]

/// 20 ms of silence: CELT, fullband, mono, its silence flag set (§4.3).
pub const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// Most frames of a packet: 120 ms of 2.5 ms each (§3.2.5).
const FRAMES_MAX: usize = 48;

/// Whether a packet holds anything but silence.
///
/// Frames of at most one byte are discontinuous transmission (§3.1). Speech modes say for each 20 ms whether a voice is active, in the
/// first bits of the frame, "without the overhead of using the range decoder" (§4.2.3). The music mode says digital silence alone, so
/// there a quiet room counts as sound. A packet that cannot be read counts as sound, too.
pub fn is_loud(payload: &[u8]) -> bool {
    let Some((&toc, rest)) = payload.split_first() else {
        return false;
    };
    let judge = |frame: &[u8]| is_frame_loud(toc, frame);
    match toc & 0x03 {
        0 => judge(rest),
        1 => rest
            .split_at_checked(rest.len() / 2)
            .is_none_or(|(one, other)| judge(one) || judge(other)),
        2 => match length(rest).and_then(|(len, rest)| rest.split_at_checked(len)) {
            Some((one, other)) => judge(one) || judge(other),
            None => true,
        },
        _ => any_of_many(rest, &judge).unwrap_or(true),
    }
}

/// How long a packet sounds, samples at 48 kHz; `None` when it is empty or longer than the 120 ms that are allowed (§3.1, §3.2.5).
pub fn duration(payload: &[u8]) -> Option<u32> {
    let (&toc, rest) = payload.split_first()?;
    let config = toc >> 3;
    let frame: u32 = match (config, config & 3) {
        (0..=11, 3) => 2_880,
        (0..=11, 2) => 1_920,
        (0..=15, 1 | 3) => 960,
        (0..=15, _) => 480,
        (_, shift) => 120u32.wrapping_shl(shift.into()),
    };
    let frames = match toc & 0x03 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3f),
    };
    Some(frame.saturating_mul(frames)).filter(|samples| (1..=5_760).contains(samples))
}

/// Whether a packet carries two channels.
pub fn is_stereo(payload: &[u8]) -> bool {
    payload.first().is_some_and(|toc| toc & 0x04 != 0)
}

/// The longest packet of silence that is no longer than so many samples at 48 kHz, and how long it is; `None` below 2.5 ms.
pub fn silence_within(samples: u32) -> Option<([u8; 3], u32)> {
    let [_, flag, rest] = SILENCE;
    let lengths = [(0xf8, 960), (0xf0, 480), (0xe8, 240), (0xe0, 120)];
    let (toc, length) = lengths.into_iter().find(|(_, length)| *length <= samples)?;
    Some(([toc, flag, rest], length))
}

/// A packet with a count of frames (§3.2.5); `None` when it is broken.
fn any_of_many(rest: &[u8], judge: &dyn Fn(&[u8]) -> bool) -> Option<bool> {
    let (&head, mut rest) = rest.split_first()?;
    let count = usize::from(head & 0x3f);
    if count == 0 || count > FRAMES_MAX {
        return None;
    }
    if head & 0x40 != 0 {
        let mut padding = 0usize;
        loop {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            padding = padding.saturating_add(if byte == 255 { 254 } else { byte.into() });
            if byte != 255 {
                break;
            }
        }
        rest = rest.get(..rest.len().checked_sub(padding)?)?;
    }
    if head & 0x80 == 0 {
        let each = rest.len().checked_div(count)?;
        return Some(each == 0 || rest.chunks_exact(each).any(judge)).map(|loud| loud && each > 0);
    }
    let mut lengths = [0usize; FRAMES_MAX];
    let (all_but_last, _) = lengths.split_at_mut(count.saturating_sub(1));
    for len in all_but_last.iter_mut() {
        (*len, rest) = length(rest)?;
    }
    for len in all_but_last {
        let (frame, after) = rest.split_at_checked(*len)?;
        rest = after;
        if judge(frame) {
            return Some(true);
        }
    }
    Some(judge(rest))
}

/// A frame length of one or two bytes (§3.2.1).
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 252 {
        return Some((first.into(), rest));
    }
    let (&second, rest) = rest.split_first()?;
    Some((usize::from(second).saturating_mul(4).saturating_add(first.into()), rest))
}

fn is_frame_loud(toc: u8, frame: &[u8]) -> bool {
    let [first, second, ..] = *frame else {
        return false;
    };
    let config = toc >> 3;
    // Table 2: 0 to 11 SILK, 12 to 15 hybrid, from 16 on CELT.
    let voices: u32 = match config {
        0..=11 => match config & 3 {
            0 | 1 => 1,
            2 => 2,
            _ => 3,
        },
        12..=15 => 1,
        // The first symbol is the silence flag, of probability 1/32768: set when the first 15 bits are.
        _ => return first != 0xff || second < 0xfe,
    };
    // One flag for each 20 ms of the middle channel, its redundancy flag, then the same of the side channel.
    let flags = u8::MAX.wrapping_shl(8u32.saturating_sub(voices));
    let side = if toc & 0x04 != 0 {
        flags.wrapping_shr(voices.saturating_add(1))
    } else {
        0
    };
    first & (flags | side) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_in_every_mode() {
        for silent in [
            &SILENCE[..],
            &[],
            // Discontinuous transmission: no frame, or one of a byte.
            &[0x48],
            &[0x48, 0x80],
            // SILK wideband 20 ms without a voice; the redundancy flag is none.
            &[0x48, 0x40, 9, 9],
            // Stereo: neither channel.
            &[0x4c, 0x50, 9, 9],
            // Two frames of the same length, and of lengths said.
            &[0x49, 0x00, 9, 0x01, 9],
            &[0x4a, 2, 0x00, 9, 0x01, 9, 9],
            // Two frames, counted, with padding.
            &[0x4b, 0x42, 2, 0x00, 9, 0x01, 9, 0, 0],
            // Three, counted, of lengths said.
            &[0x4b, 0x83, 2, 0, 0x00, 9, 0x01, 9],
        ] {
            assert!(!is_loud(silent), "{silent:x?}");
        }
    }

    #[test]
    fn a_voice_in_any_frame_or_channel_is_heard() {
        for loud in [
            // CELT that is not digital silence.
            &[0xf8, 0xff, 0x00, 1][..],
            &[0xf8, 0x12, 0x34],
            &[0x48, 0x80, 9],
            // 60 ms: the third flag.
            &[0x58, 0x20, 9],
            // The side channel.
            &[0x4c, 0x20, 9],
            &[0x49, 0x00, 9, 0x80, 9],
            &[0x4a, 2, 0x80, 9, 0x01, 9, 9],
            &[0x4b, 0x83, 2, 0, 0x00, 9, 0x81, 9],
            // Hybrid.
            &[0x78, 0x80, 9],
        ] {
            assert!(is_loud(loud), "{loud:x?}");
        }
    }

    #[test]
    fn a_packet_says_how_long_it_is() {
        let of = |toc: u8, count: u8| duration(&[toc, count, 0]);
        assert_eq!(
            [0x00, 0x48, 0x58, 0x60, 0x78].map(|toc| of(toc, 0)),
            [480, 960, 2_880, 480, 960].map(Some)
        );
        assert_eq!([0x80, 0x98, 0xf8].map(|toc| of(toc, 0)), [120, 960, 960].map(Some));
        assert_eq!([of(0x49, 0), of(0xfb, 3)], [Some(1_920), Some(2_880)]);
        assert_eq!([of(0xfb, 0), of(0xfb, 7), duration(&[]), duration(&[0xfb])], [None; 4]);
        for samples in [120, 240, 480, 960] {
            let (packet, length) = silence_within(samples + 1).unwrap();
            assert_eq!(
                (duration(&packet), length, is_loud(&packet)),
                (Some(samples), samples, false)
            );
        }
        assert_eq!(silence_within(119), None);
    }

    #[test]
    fn what_cannot_be_read_counts_as_sound() {
        for broken in [
            &[0x4a, 9, 1][..],
            &[0x4b],
            &[0x4b, 0],
            &[0x4b, 0x41, 200],
            &[0x4b, 0x83, 250],
        ] {
            assert!(is_loud(broken), "{broken:x?}");
        }
    }
}
