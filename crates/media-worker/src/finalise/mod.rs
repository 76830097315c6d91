//! A spool becomes a file that browsers play: H.264 in MP4 with its index first, VP8 in WebM, both copied; sound as Opus, copied where
//! it came so.
#![deny(clippy::arithmetic_side_effects)]

mod audio;
mod clock;
mod join;
mod mux;
mod opus_header;
mod receive;
mod video;
mod vp8;

use std::path::Path;

use segue_mailbox::{RecordingManifest, StreamInfo};
use segue_media::spool::{RecordKind, SpoolReader};
use segue_media::worker::Outcome;

use self::audio::Sound;
use self::receive::Stream;
use self::video::Picture;
use crate::encode::Coding;
use crate::error::JobError;
use crate::poster;
use crate::serve::Steps;

/// Nanoseconds of a millisecond.
const MS: i64 = 1_000_000;
/// The poster is the first key frame from here on: cameras begin dark.
const POSTER_FROM_NS: i64 = 500 * MS;
/// Key frames tried for the poster.
const POSTER_TRIES: usize = 4;
/// How long the last frame is shown at least.
const LAST_FRAME_NS: i64 = 40 * MS;

/// Streams of a spool that are decoded; a caller that changes its codec more often is silent from there on.
const STREAMS_MAX: usize = 16;

/// Sound and picture on one timeline that begins at zero.
struct Recording {
    audio: Option<Sound>,
    /// How the pictures are coded.
    coding: Coding,
    /// In decoding order; empty without picture.
    pictures: Vec<Picture>,
    end_ns: i64,
}

/// Finalises a spool.
pub(crate) fn finalise(spool: &Path, out_dir: &Path, steps: &mut Steps) -> Result<Outcome, JobError> {
    let (infos, streams) = read(spool)?;
    steps.at(1, 10);
    let recording = assemble(&infos, &streams)?;
    steps.at(2, 10);
    let has_video = !recording.pictures.is_empty();
    let file = mux::write(&recording, out_dir)?;
    steps.at(9, 10);
    Ok(Outcome::Recording {
        file,
        media_type: mux::media_type(&recording).to_owned(),
        poster: poster_of(&recording, out_dir),
        duration_ms: u64::try_from(recording.end_ns / MS).unwrap_or(0),
        has_video,
    })
}

/// The streams of a spool; one that went on in another codec is one more.
fn read(spool: &Path) -> Result<(Vec<StreamInfo>, Vec<Stream>), JobError> {
    let mut reader = SpoolReader::open(spool)?;
    let first = reader.next().filter(|record| record.kind == RecordKind::Meta);
    let manifest: RecordingManifest = first
        .and_then(|record| serde_json::from_slice(&record.packet).ok())
        .ok_or_else(|| JobError::refused("the spool does not begin with a manifest"))?;
    let mut infos = manifest.streams;
    let mut streams: Vec<Stream> = infos.iter().map(Stream::new).collect();
    for record in reader {
        if record.kind == RecordKind::Meta {
            if let Ok(mut info) = serde_json::from_slice::<StreamInfo>(&record.packet) {
                if infos.len() >= STREAMS_MAX {
                    // Known by nobody: silence.
                    info.encoding.clear();
                }
                streams.push(Stream::new(&info));
                infos.push(info);
            }
            continue;
        }
        let index = infos.iter().rposition(|info| info.stream == record.stream);
        let Some(stream) = index.and_then(|index| streams.get_mut(index)) else {
            continue;
        };
        match record.kind {
            RecordKind::Rtp => stream.rtp(record.arrival_ns, &record.packet),
            RecordKind::Rtcp => stream.rtcp(&record.packet),
            RecordKind::Meta => {}
        }
    }
    if streams.iter().all(Stream::is_empty) {
        return Err(JobError::refused("the spool has no media packets"));
    }
    Ok((infos, streams))
}

fn assemble(infos: &[StreamInfo], streams: &[Stream]) -> Result<Recording, JobError> {
    let timed = clock::place(streams);
    let named = |name: &str| {
        let mut tracks = infos.iter().zip(&timed);
        tracks.find(|(info, _)| info.encoding.eq_ignore_ascii_case(name))
    };
    let sounds = infos.iter().zip(&timed);
    let sounds = sounds.filter_map(|(info, track)| {
        let sound = Sound::of(track, &info.encoding, info.fmtp.as_deref()).transpose()?;
        Some(sound.map(|sound| (track.begins_ns(), sound)))
    });
    let audio = join::join(sounds.collect::<Result<_, _>>()?)?;
    let (coding, pictures) = match (named("H264"), named("VP8")) {
        (Some((info, track)), _) => (
            Coding::H264,
            video::pictures(track, info.fmtp.as_deref().unwrap_or_default()),
        ),
        (None, Some((_, track))) => (Coding::Vp8, vp8::pictures(track)),
        (None, None) => (Coding::H264, Vec::new()),
    };
    if audio.is_none() && pictures.is_empty() {
        return Err(JobError::failed("nothing in the spool can be decoded"));
    }
    let audio_end = audio.as_ref().map_or(0, Sound::length_ns);
    let video_end = pictures
        .last()
        .map_or(0, |last| last.time_ns.saturating_add(LAST_FRAME_NS));
    Ok(Recording {
        audio,
        coding,
        pictures,
        end_ns: audio_end.max(video_end),
    })
}

/// The first key frame that decodes, past the camera's dark beginning if there is one. A recording without a poster is still one.
fn poster_of(recording: &Recording, out_dir: &Path) -> Option<String> {
    let keys = || recording.pictures.iter().filter(|picture| picture.key);
    let late = keys().filter(|picture| picture.time_ns >= POSTER_FROM_NS);
    late.chain(keys()).take(POSTER_TRIES).find_map(|picture| {
        poster::from_key_frame(recording.coding, mux::bytes(recording.coding, picture), out_dir)
            .inspect_err(|error| eprintln!("media-worker: no poster from a key frame: {error}"))
            .ok()
    })
}
