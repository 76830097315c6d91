//! A file becomes a clip: packet caches in every rendition, and a poster.

use std::path::Path;

use gstreamer as gst;
use segue_mailbox::RenditionProfile;
use segue_media::worker::Outcome;

use crate::decode::{self, Decoded, SAMPLES_A_MS};
use crate::encode::{Encoder, FRAME_MS, Wanted, raw_caps};
use crate::error::JobError;
use crate::serve::Steps;
use crate::{caches, card, loudness, poster};

/// Codecs leave a little sound past the last frame; that much is cut rather than a still picture added.
const OVERHANG_MS: u64 = 100;
/// Which frame becomes the poster: one second in, past fades from black.
const POSTER_FRAME: u64 = 25;

/// What a clip is made of.
pub(crate) struct Source {
    /// The encoder with all frames pushed; `None` without picture.
    pub video: Option<Encoder>,
    /// 48 kHz mono; `None` without sound.
    pub audio: Option<Vec<i16>>,
    /// The frame for the poster.
    pub poster: Option<gst::Buffer>,
}

/// Prepares a clip from any file that GStreamer reads.
pub(crate) fn clip(input: &Path, out_dir: &Path, longest_ms: u64, steps: &mut Steps) -> Result<Outcome, JobError> {
    clip_in(input, out_dir, longest_ms, Wanted::default(), steps)
}

/// The same in some renditions alone, and with no poster.
pub(crate) fn clip_in(
    input: &Path,
    out_dir: &Path,
    longest_ms: u64,
    wanted: Wanted,
    steps: &mut Steps,
) -> Result<Outcome, JobError> {
    if !input.is_file() {
        return Err(JobError::refused(format!("{} is not a file", input.display())));
    }
    let mut encoder: Option<Encoder> = None;
    let mut still = None;
    let Decoded { audio, frames } = decode::decode(input, longest_ms, &mut |frame| {
        if !wanted.has_video() {
            return Ok(());
        }
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            None => encoder.insert(Encoder::start_for(&wanted)?),
        };
        steps.at(encoder.pushed(), frame.expected);
        if encoder.pushed() <= POSTER_FRAME {
            still = Some(frame.picture.clone());
        }
        encoder.push(&frame.picture)
    })?;
    let audio = audio
        .filter(|samples| !samples.is_empty())
        .map(loudness::normalised)
        .transpose()?;
    match (&audio, frames) {
        (None, None | Some(0)) => return Err(JobError::refused("neither sound nor picture in this file")),
        (None, Some(1)) => return Err(JobError::refused("a still picture is no clip")),
        _ => {}
    }
    // A caller with video sees a card rather than nothing. It is no poster: that would say the clip has a picture.
    let video = match encoder {
        Some(encoder) => Some(encoder),
        None if !wanted.has_video() => None,
        None => {
            let mut encoder = Encoder::start_for(&wanted)?;
            encoder.push(&gst::Buffer::from_mut_slice(card::sound()))?;
            Some(encoder)
        }
    };
    assemble_in(
        Source {
            video,
            audio,
            poster: still,
        },
        &wanted,
        out_dir,
    )
}

/// Brings sound and picture to one length and writes everything.
pub(crate) fn assemble(source: Source, out_dir: &Path) -> Result<Outcome, JobError> {
    assemble_in(source, &Wanted::default(), out_dir)
}

fn assemble_in(source: Source, wanted: &Wanted, out_dir: &Path) -> Result<Outcome, JobError> {
    let Source { video, audio, poster } = source;
    let video_ms = video
        .as_ref()
        .map_or(0, |encoder| encoder.pushed().saturating_mul(FRAME_MS));
    let audio_ms = audio
        .as_ref()
        .map_or(0, |samples| u64::try_from(samples.len()).unwrap_or(0) / SAMPLES_A_MS);
    let overhangs = video.is_some() && audio_ms > video_ms && audio_ms - video_ms <= OVERHANG_MS;
    let duration_ms = if overhangs {
        video_ms
    } else {
        caches::whole(audio_ms.max(video_ms), video.is_some())
    };
    let mut renditions = Vec::new();
    if let Some(samples) = &audio {
        renditions.extend(caches::audio(samples, duration_ms, wanted, out_dir)?);
    }
    let mut poster_file = None;
    if let Some(mut encoder) = video {
        encoder.pad_to(duration_ms / FRAME_MS)?;
        let [large, small, vp8_large, vp8_small] = encoder.finish()?;
        let large_modes = (RenditionProfile::H264W640Mode1, RenditionProfile::H264W640Mode0);
        let small_modes = (RenditionProfile::H264W320Mode1, RenditionProfile::H264W320Mode0);
        for (pictures, modes) in [(&large, large_modes), (&small, small_modes)] {
            if !pictures.is_empty() {
                renditions.extend(caches::h264(pictures, modes, duration_ms, out_dir)?);
            }
        }
        let vp8 = [
            (&vp8_large, RenditionProfile::Vp8W640),
            (&vp8_small, RenditionProfile::Vp8W320),
        ];
        for (pictures, profile) in vp8 {
            if !pictures.is_empty() {
                renditions.push(caches::vp8(pictures, profile, duration_ms, out_dir)?);
            }
        }
        poster_file = poster
            .map(|frame| poster::from_frame(&frame, &raw_caps(), out_dir))
            .transpose()?;
    }
    Ok(Outcome::Clip {
        duration_ms,
        renditions,
        poster: poster_file,
    })
}
