//! Prepared streams as packet cache files.

use std::path::Path;

use segue_mailbox::RenditionProfile;
use segue_media::amr::{Band, Packing};
use segue_media::cache::{CacheBuilder, END_OF_FRAME, KEY_FRAME, START_OF_FRAME};
use segue_media::worker::Rendition;

use crate::decode::SAMPLES_A_MS;
use crate::encode::{FRAME_MS, Picture, Wanted};
use crate::error::JobError;
use crate::g711::Law;
use crate::voices::{self, Voices};
use crate::{h264, vp8};

/// Samples of a G.711 packet, one byte each.
const NARROW_SAMPLES: usize = 160;
/// A G.722 packet: half a byte a sample at 16 kHz.
const G722_BYTES: usize = 160;
const PACKET_MS: u64 = 20;
/// RTP clock of video.
const VIDEO_HZ: u32 = 90_000;
/// A slice limit is an encoder's aim; up to this a NAL unit still goes out whole in packetization-mode 0.
const SINGLE_UNIT_MAX: usize = 1300;

/// Writes every rendition of the sound of a loop of `loop_ms` (a multiple of 20), given at 48 kHz: sound is cut or filled with silence.
pub(crate) fn audio(
    samples: &[i16],
    loop_ms: u64,
    wanted: &Wanted,
    out_dir: &Path,
) -> Result<Vec<Rendition>, JobError> {
    let length = usize::try_from(loop_ms.saturating_mul(SAMPLES_A_MS)).unwrap_or(usize::MAX);
    let mut samples = samples.get(..length).unwrap_or(samples).to_vec();
    samples.resize(length, 0);
    let packets = usize::try_from(loop_ms / PACKET_MS).unwrap_or(usize::MAX);
    let Voices {
        narrow,
        g722,
        opus,
        amr,
    } = voices::encode(&samples, packets, wanted)?;
    let g711 = |law: Law| {
        let narrow = narrow.chunks(NARROW_SAMPLES);
        narrow.map(move |packet| packet.iter().map(|sample| law.encode(*sample)).collect::<Vec<u8>>())
    };
    let wide = g722.chunks(G722_BYTES).map(<[u8]>::to_vec);
    let mut made = vec![
        sound(RenditionProfile::Pcmu, 8_000, loop_ms, g711(Law::Mu), out_dir)?,
        sound(RenditionProfile::Pcma, 8_000, loop_ms, g711(Law::A), out_dir)?,
        // Twice the samples of its clock (RFC 3551 §4.5.2).
        sound(RenditionProfile::G722, 8_000, loop_ms, wide, out_dir)?,
        sound(RenditionProfile::Opus, 48_000, loop_ms, opus.into_iter(), out_dir)?,
    ];
    for voice in &amr {
        let wide = voice.band == Band::Wide;
        for (profile, form) in RenditionProfile::of_amr(wide).filter(|(_, form)| form.mode == voice.mode) {
            let packing = match form.octet_aligned {
                true => Packing::OctetAligned,
                false => Packing::BandwidthEfficient,
            };
            let payloads = voice
                .frames
                .iter()
                .map(|frame| crate::amr::payload(voice.band, packing, frame));
            let payloads: Vec<Vec<u8>> = payloads.collect::<Result<_, _>>()?;
            let clock_rate = voice.band.clock_rate();
            made.push(sound(profile, clock_rate, loop_ms, payloads.into_iter(), out_dir)?);
        }
    }
    let wanted =
        |made: &Rendition| RenditionProfile::from_name(&made.profile).is_some_and(|profile| wanted.has(profile));
    made.retain(wanted);
    Ok(made)
}

/// Writes packets of 20 ms each.
fn sound(
    profile: RenditionProfile,
    clock_rate: u32,
    loop_ms: u64,
    packets: impl Iterator<Item = Vec<u8>>,
    out_dir: &Path,
) -> Result<Rendition, JobError> {
    let mut builder = Builder::new(clock_rate, loop_ms);
    for (time_ms, packet) in (0..).step_by(20).zip(packets) {
        builder.packet(time_ms, &packet, 0)?;
    }
    builder.write(profile, None, out_dir)
}

/// Writes VP8 frames cut into payloads, without payload descriptors: the numbers in those are the call's.
pub(crate) fn vp8(
    pictures: &[Picture],
    profile: RenditionProfile,
    loop_ms: u64,
    out_dir: &Path,
) -> Result<Rendition, JobError> {
    let mut builder = Builder::new(VIDEO_HZ, loop_ms);
    for (time_ms, picture) in (0..).step_by(usize::try_from(FRAME_MS).unwrap_or(40)).zip(pictures) {
        let frame = picture.units.concat();
        let pieces: Vec<&[u8]> = frame.chunks(vp8::PIECE_MAX).collect();
        let last = pieces.len().saturating_sub(1);
        for (index, piece) in pieces.into_iter().enumerate() {
            let start = match (index, picture.key) {
                (0, true) => START_OF_FRAME | KEY_FRAME,
                (0, false) => START_OF_FRAME,
                _ => 0,
            };
            let end = if index == last { END_OF_FRAME } else { 0 };
            builder.packet(time_ms, piece, start | end)?;
        }
    }
    builder.write(profile, None, out_dir)
}

/// Writes an encoded size for packetization-mode 1 and, where every NAL unit fits a packet, mode 0. Equal packets share a file.
pub(crate) fn h264(
    pictures: &[Picture],
    (mode1, mode0): (RenditionProfile, RenditionProfile),
    loop_ms: u64,
    out_dir: &Path,
) -> Result<Vec<Rendition>, JobError> {
    let largest = pictures
        .iter()
        .flat_map(|picture| &picture.units)
        .map(Vec::len)
        .max()
        .unwrap_or(0);
    let single = largest <= SINGLE_UNIT_MAX;
    let mut builder = Builder::new(VIDEO_HZ, loop_ms);
    for (time_ms, picture) in (0..).step_by(usize::try_from(FRAME_MS).unwrap_or(40)).zip(pictures) {
        let payloads: Vec<Vec<u8>> = if single {
            picture.units.clone()
        } else {
            picture.units.iter().flat_map(|unit| h264::fragments(unit)).collect()
        };
        let last = payloads.len().saturating_sub(1);
        for (index, payload) in payloads.iter().enumerate() {
            let key = if picture.key && index == 0 { KEY_FRAME } else { 0 };
            let end = if index == last { END_OF_FRAME } else { 0 };
            builder.packet(time_ms, payload, key | end)?;
        }
    }
    let level = pictures
        .iter()
        .flat_map(|picture| &picture.units)
        .find(|unit| h264::nal_type(unit) == h264::SPS)
        .and_then(|sps| sps.get(1..4)?.first_chunk().copied())
        .ok_or_else(|| JobError::failed("the encoder gave no parameter sets"))?;
    let first = builder.write(mode1, Some(level), out_dir)?;
    let second = single.then(|| name_of(mode0)).transpose()?;
    let second = second.map(|profile| Rendition {
        profile,
        ..first.clone()
    });
    Ok(std::iter::once(first).chain(second).collect())
}

/// The serde name of a profile.
fn name_of(profile: RenditionProfile) -> Result<String, JobError> {
    match serde_json::to_value(profile) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        other => Err(JobError::failed(format!("a rendition profile has no name: {other:?}"))),
    }
}

/// Packets at milliseconds; the cache wants microseconds and clock units.
struct Builder {
    clock_rate: u32,
    loop_ms: u64,
    packets: CacheBuilder,
}

impl Builder {
    fn new(clock_rate: u32, loop_ms: u64) -> Builder {
        Builder {
            clock_rate,
            loop_ms,
            packets: CacheBuilder::new(),
        }
    }

    fn packet(&mut self, time_ms: u64, payload: &[u8], flags: u16) -> Result<(), JobError> {
        let (time_us, rtp_time) = self.clocks(time_ms)?;
        self.packets
            .push(time_us, rtp_time, payload, flags)
            .map_err(|error| JobError::refused(error.to_string()))
    }

    /// A time as microseconds and as clock units.
    fn clocks(&self, time_ms: u64) -> Result<(u32, u32), JobError> {
        let in_unit = |per_second: u32| {
            u32::try_from(time_ms.saturating_mul(u64::from(per_second)) / 1000)
                .map_err(|_| JobError::refused("too long for a packet cache"))
        };
        Ok((in_unit(1_000_000)?, in_unit(self.clock_rate)?))
    }

    fn write(self, profile: RenditionProfile, level: Option<[u8; 3]>, out_dir: &Path) -> Result<Rendition, JobError> {
        let profile = name_of(profile)?;
        let (loop_us, loop_rtp) = self.clocks(self.loop_ms)?;
        let cache = self.packets.finish(self.clock_rate, loop_us, loop_rtp);
        let cache = cache.map_err(|error| JobError::failed(error.to_string()))?;
        let file = format!("{profile}.cache");
        std::fs::write(out_dir.join(&file), cache.to_bytes())?;
        Ok(Rendition {
            profile,
            file,
            profile_level_id: level,
        })
    }
}

/// Rounds up to whole audio packets, or to whole frames where there is a picture.
pub(crate) fn whole(ms: u64, has_video: bool) -> u64 {
    ms.next_multiple_of(if has_video { FRAME_MS } else { PACKET_MS })
}
