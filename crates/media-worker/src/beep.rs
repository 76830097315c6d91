//! The built-in beep: what a caller sees and hears before a recording. Drawn here, so that it needs no file and no font.

use std::path::Path;

use gstreamer as gst;
use segue_media::worker::Outcome;

use crate::encode::{Encoder, FRAME_MS, HEIGHT, WIDTH};
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

/// Luma and chroma (BT.601) of what is drawn.
const GREY: [u8; 3] = [126, 128, 128];
const RED: [u8; 3] = [81, 90, 240];
const WHITE: [u8; 3] = [235, 128, 128];

const WORD: &str = "RECORDING";
/// Pixels of a dot of a letter.
const DOT: u32 = 8;
/// Where the word begins: a letter is 5 dots wide and 7 high, with one dot between.
const WORD_LEFT: u32 = (WIDTH - (9 * 6 - 1) * DOT) / 2;
const WORD_TOP: u32 = 230;
const CIRCLE: (u32, u32, u32) = (WIDTH / 2, 130, 60);

/// Prepares the beep.
pub(crate) fn prepare(out_dir: &Path, steps: &mut Steps) -> Result<Outcome, JobError> {
    let frame = gst::Buffer::from_mut_slice(card());
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
    let samples = u32::try_from(FRAMES * FRAME_MS).unwrap_or(TONE_MS) * 8;
    let sample = |n: u32| {
        let ms = f64::from(n) / 8.0;
        let edge = (ms.min(f64::from(TONE_MS) - ms) / EDGE_MS).clamp(0.0, 1.0);
        let value = (ms / 1000.0 * TONE_HZ * std::f64::consts::TAU).sin() * edge * 9000.0;
        // Within ±9000 by construction.
        #[allow(clippy::cast_possible_truncation)]
        let value = value as i16;
        value
    };
    (0..samples).map(sample).collect()
}

/// An I420 frame: grey, a red dot, the word.
fn card() -> Vec<u8> {
    let mut planes = Vec::new();
    for (plane, step) in [(0, 1), (1, 2), (2, 2)] {
        for y in (0..HEIGHT).step_by(step) {
            planes.extend(
                (0..WIDTH)
                    .step_by(step)
                    .map(|x| paint(x, y).get(plane).copied().unwrap_or(128)),
            );
        }
    }
    planes
}

fn paint(x: u32, y: u32) -> [u8; 3] {
    let (middle_x, middle_y, radius) = CIRCLE;
    if x.abs_diff(middle_x).pow(2) + y.abs_diff(middle_y).pow(2) < radius.pow(2) {
        RED
    } else if in_word(x, y) {
        WHITE
    } else {
        GREY
    }
}

fn in_word(x: u32, y: u32) -> bool {
    let (Some(x), Some(y)) = (x.checked_sub(WORD_LEFT), y.checked_sub(WORD_TOP)) else {
        return false;
    };
    let (column, row) = (x / DOT % 6, y / DOT);
    let Some(letter) = usize::try_from(x / DOT / 6)
        .ok()
        .and_then(|index| WORD.chars().nth(index))
    else {
        return false;
    };
    let Some(dots) = usize::try_from(row)
        .ok()
        .and_then(|row| glyph(letter).get(row).copied())
    else {
        return false;
    };
    column < 5 && dots >> (4 - column) & 1 == 1
}

/// Rows of a 5x7 letter, the leftmost dot in bit 4.
fn glyph(letter: char) -> [u8; 7] {
    match letter {
        'R' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
        'E' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
        'C' => [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
        'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        'N' => [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001],
        'G' => [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b10001, 0b01111],
        _ => [0; 7],
    }
}
