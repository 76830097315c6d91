//! Sound: samples or Opus packets where their time says, silence where nothing came.
#![deny(clippy::arithmetic_side_effects)]

use segue_media::amr::{self, Amr, Band, Frame, Payload};
use segue_media::opus;

use super::MS;
use super::clock::{TimedRun, Track};
use super::receive::Packet;
use crate::error::JobError;
use crate::g711::Law;
use crate::g722;

/// Clock units a millisecond of G.711 and G.722, a byte each.
const BYTES_MS: i64 = 8;
/// Samples a millisecond of Opus.
const OPUS_MS: i64 = 48;
/// What a packet's time may lie past its arrival before it is not believed.
const AHEAD_NS_MAX: i64 = 10_000 * MS;
/// Packets may come this much closer together than they last before one is left out: clocks round.
const OVERLAP_MAX: i64 = 10 * OPUS_MS;

/// The whole track.
#[derive(Debug)]
pub(super) enum Sound {
    /// Mono, decoded.
    Samples {
        /// Samples a second: 8000 or 16000.
        rate: u32,
        samples: Vec<i16>,
    },
    /// As it came, holes filled.
    Opus {
        /// Each with its length in samples at 48 kHz; they follow each other from time zero.
        packets: Vec<(Vec<u8>, u32)>,
        is_stereo: bool,
    },
}

impl Sound {
    /// The sound of a track by its RTP encoding name and parameters; `None` for one that is not known or without a packet.
    pub fn of(track: &Track, encoding: &str, fmtp: Option<&str>) -> Result<Option<Sound>, JobError> {
        let sound = if let Some(law) = Law::named(encoding) {
            let samples = timeline(track, 0, |byte| law.decode(byte));
            Sound::Samples { rate: 8_000, samples }
        } else if encoding.eq_ignore_ascii_case("G722") {
            let [silence, ..] = segue_media::g722::SILENCE;
            let bytes = timeline(track, silence, |byte| byte);
            let samples = if bytes.is_empty() {
                Vec::new()
            } else {
                g722::decode(&bytes)?
            };
            Sound::Samples { rate: 16_000, samples }
        } else if encoding.eq_ignore_ascii_case("opus") {
            opus_packets(track)
        } else if let Some(amr) = amr_named(encoding, fmtp) {
            let frames = amr_frames(track, amr);
            let samples = if frames.is_empty() {
                Vec::new()
            } else {
                crate::amr::decode(amr.band, &frames)?
            };
            Sound::Samples {
                rate: amr.band.clock_rate(),
                samples,
            }
        } else {
            return Ok(None);
        };
        Ok(Some(sound).filter(|sound| sound.length_ns() > 0))
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        match self {
            Sound::Samples { rate, .. } => *rate,
            Sound::Opus { .. } => 48_000,
        }
    }

    /// How long it is, nanoseconds.
    pub fn length_ns(&self) -> i64 {
        let samples = match self {
            Sound::Samples { samples, .. } => i64::try_from(samples.len()).unwrap_or(i64::MAX),
            Sound::Opus { packets, .. } => packets.iter().map(|(_, length)| i64::from(*length)).sum(),
        };
        let a_second = samples.saturating_mul(1_000 * MS);
        a_second.checked_div(self.rate().into()).unwrap_or(0)
    }
}

/// Whether a packet's time is to be believed.
fn is_timely(run: &TimedRun, packet: &Packet) -> bool {
    run.time_ns(packet).saturating_sub(packet.arrival_ns) <= AHEAD_NS_MAX
}

/// Bytes of a codec with one a clock unit, each as `decoded`, on the recording's timeline.
fn timeline<T: Copy>(track: &Track, silence: T, decoded: impl Fn(u8) -> T) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for run in &track.runs {
        for packet in run.packets.iter().filter(|packet| is_timely(run, packet)) {
            // Rounding once a run keeps its packets seamless.
            let unit = MS / BYTES_MS;
            let first = run.zero_ns.saturating_add(unit / 2).div_euclid(unit);
            let Ok(at) = usize::try_from(first.saturating_add(packet.rtp)) else {
                continue;
            };
            let end = at.saturating_add(packet.payload.len());
            if all.len() < end {
                all.resize(end, silence);
            }
            let place = all.get_mut(at..end).unwrap_or_default();
            for (place, byte) in place.iter_mut().zip(&packet.payload) {
                *place = decoded(*byte);
            }
        }
    }
    all
}

fn amr_named(encoding: &str, fmtp: Option<&str>) -> Option<Amr> {
    let named = |name| encoding.eq_ignore_ascii_case(name);
    let band = match (named("AMR"), named("AMR-WB")) {
        (true, _) => Band::Narrow,
        (_, true) => Band::Wide,
        _ => return None,
    };
    Amr::read(band, fmtp)
}

/// Frames as files store them, one each 20 ms; those that did not come, or came damaged, without data. Of a frame that came more than
/// once (RFC 4867 §4.1: redundancy) the highest mode counts.
fn amr_frames(track: &Track, amr: Amr) -> Vec<Vec<u8>> {
    let mut nothing = Vec::new();
    Frame::nothing().store(&mut nothing);
    let samples = i64::from(amr::frame_samples(amr.band));
    let frame_ns = 20 * MS;
    let mut all: Vec<Vec<u8>> = Vec::new();
    for run in &track.runs {
        // Rounding once a run keeps its packets seamless.
        let first = run.zero_ns.saturating_add(frame_ns / 2).div_euclid(frame_ns);
        for packet in run.packets.iter().filter(|packet| is_timely(run, packet)) {
            let Some(payload) = Payload::parse(amr, &packet.payload) else {
                continue;
            };
            let at = packet
                .rtp
                .saturating_add(samples / 2)
                .checked_div_euclid(samples)
                .unwrap_or(0);
            for (index, frame) in (0i64..).zip(payload.frames()) {
                let Ok(at) = usize::try_from(first.saturating_add(at).saturating_add(index)) else {
                    continue;
                };
                if frame.kind == amr::NO_DATA || !frame.intact {
                    continue;
                }
                if all.len() <= at {
                    all.resize(at.saturating_add(1), nothing.clone());
                }
                let mut stored = Vec::new();
                frame.store(&mut stored);
                if let Some(place) = all.get_mut(at)
                    && (place.len() < stored.len())
                {
                    *place = stored;
                }
            }
        }
    }
    all
}

fn opus_packets(track: &Track) -> Sound {
    let mut packets: Vec<(Vec<u8>, u32)> = Vec::new();
    let mut end = 0i64;
    let mut is_stereo = false;
    for run in &track.runs {
        for packet in run.packets.iter().filter(|packet| is_timely(run, packet)) {
            let Some(length) = opus::duration(&packet.payload) else {
                continue;
            };
            let at = run.time_ns(packet).saturating_mul(OPUS_MS).div_euclid(MS);
            if end.saturating_sub(at) > OVERLAP_MAX {
                continue;
            }
            // What the network lost, and what discontinuous transmission left out.
            while let Some((silence, length)) = opus::silence_within(u32::try_from(at.saturating_sub(end)).unwrap_or(0))
            {
                packets.push((silence.to_vec(), length));
                end = end.saturating_add(length.into());
            }
            is_stereo |= opus::is_stereo(&packet.payload);
            packets.push((packet.payload.clone(), length));
            end = end.saturating_add(length.into());
        }
    }
    Sound::Opus { packets, is_stereo }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    /// Packets of 20 ms at these times, milliseconds.
    fn track(times_ms: &[i64]) -> Track {
        let packet = |(seq, ms): (i64, &i64)| Packet {
            seq,
            rtp: ms * OPUS_MS,
            arrival_ns: ms * MS,
            marker: false,
            payload: vec![0x48, 0x80, 7],
        };
        let packets = (0..).zip(times_ms).map(packet).collect();
        Track {
            runs: vec![TimedRun {
                zero_ns: 0,
                clock_rate: 48_000,
                packets,
            }],
        }
    }

    #[test]
    fn opus_keeps_its_time_over_holes_and_leaves_out_what_overlaps() {
        let Some(Sound::Opus { packets, .. }) = Sound::of(&track(&[0, 20, 25, 100, 120]), "opus", None).unwrap() else {
            panic!("no Opus");
        };
        let lengths: Vec<u32> = packets.iter().map(|(_, length)| *length).collect();
        assert_eq!(lengths, [960; 7], "three of 20 ms fill the hole");
        let own: Vec<usize> = (0..)
            .zip(&packets)
            .filter(|(_, (p, _))| p[0] == 0x48)
            .map(|(n, _)| n)
            .collect();
        assert_eq!(own, [0, 1, 5, 6]);
    }

    #[test]
    fn a_frame_that_came_twice_counts_in_its_highest_mode_and_a_damaged_one_not_at_all() {
        let amr = amr_named("AMR", Some("octet-align=1")).unwrap();
        let frame = |mode: u8, intact: bool| {
            let bits = amr::frame_bits(Band::Narrow, mode).unwrap();
            [&[mode << 3 | u8::from(intact) << 2][..], &vec![0; bits.div_ceil(8)]].concat()
        };
        let payload = |frames: &[Vec<u8>]| {
            let mut out = vec![0; amr::PAYLOAD_MAX];
            let frames = frames.iter().map(|bytes| Frame::stored(Band::Narrow, bytes).unwrap());
            let len = amr::pack(amr.packing, 15, frames, &mut out).unwrap();
            out[..len].to_vec()
        };
        // 0: as it came. 1: first in a low mode, then in a high one, then low again. 2: damaged. 3: lost. 4: comfort noise.
        let packets = [
            (0, vec![frame(7, true), frame(0, true)]),
            (160, vec![frame(7, true), frame(4, false)]),
            (160, vec![frame(2, true)]),
            (640, vec![frame(8, true)]),
            (5, vec![]),
        ];
        let packet = |(rtp, frames): &(i64, Vec<Vec<u8>>)| Packet {
            seq: *rtp,
            rtp: *rtp,
            arrival_ns: 0,
            marker: false,
            payload: if frames.is_empty() { vec![0xf0] } else { payload(frames) },
        };
        let track = Track {
            runs: vec![TimedRun {
                zero_ns: 0,
                clock_rate: 8_000,
                packets: packets.iter().map(packet).collect(),
            }],
        };
        let kinds: Vec<u8> = amr_frames(&track, amr).iter().map(|frame| frame[0] >> 3).collect();
        assert_eq!(kinds, [7, 7, 15, 15, 8]);
    }

    #[test]
    fn what_is_not_known_or_empty_is_no_sound() {
        assert!(Sound::of(&track(&[0]), "speex", None).unwrap().is_none());
        assert!(Sound::of(&track(&[]), "opus", None).unwrap().is_none());
        assert!(Sound::of(&track(&[]), "PCMU", None).unwrap().is_none());
    }
}
