//! The built-in beep: what a caller sees and hears before a recording.

use std::path::Path;

use gstreamer as gst;
use segue_media::worker::Outcome;

use crate::card;
use crate::decode::SAMPLES_A_MS;
use crate::encode::{Encoder, FRAME_MS};
use crate::error::JobError;
use crate::prepare::{Source, assemble};
use crate::serve::Steps;

/// Frames of the card, as long as the tone: the recorder starts when the beep is over, and callers speak when they hear that it is.
/// The picture stays while the recording runs.
const FRAMES: u64 = 10;
/// The tone, milliseconds.
const TONE_MS: u32 = 400;
const TONE_HZ: f64 = 1400.0;
/// Rising and falling edge of the tone, milliseconds, so that it does not click.
const EDGE_MS: f64 = 5.0;

/// Prepares the beep.
pub(crate) fn prepare(out_dir: &Path, steps: &mut Steps) -> Result<Outcome, JobError> {
    let frame = gst::Buffer::from_mut_slice(card::recording());
    let mut encoder = Encoder::start()?;
    for done in 0..FRAMES {
        steps.at(done, FRAMES);
        encoder.push(&frame)?;
    }
    assemble(
        Source {
            video: Some(encoder),
            audio: Some(tone()),
            poster: Some(frame),
        },
        out_dir,
    )
}

fn tone() -> Vec<i16> {
    let samples = u32::try_from(FRAMES * FRAME_MS * SAMPLES_A_MS).unwrap_or(TONE_MS * 48);
    let sample = |n: u32| {
        let ms = f64::from(n) / 48.0;
        let edge = (ms.min(f64::from(TONE_MS) - ms) / EDGE_MS).clamp(0.0, 1.0);
        let value = (ms / 1000.0 * TONE_HZ * std::f64::consts::TAU).sin() * edge * 9000.0;
        // Within ±9000 by construction.
        #[allow(clippy::cast_possible_truncation)]
        let value = value as i16;
        value
    };
    (0..samples).map(sample).collect()
}
