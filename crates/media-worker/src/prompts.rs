//! The spoken prompts of a language, and the pictures that go with them: each is encoded in a row, and cut out where it stands. What
//! is said in parts is as loud throughout, and nothing is started two hundred times.

use std::path::Path;

use gstreamer as gst;
use segue_mailbox::RenditionProfile;
use segue_media::worker::{Outcome, Span};

use crate::decode::{self, SAMPLES_A_MS};
use crate::encode::{Encoder, FRAME_MS, Picture, Wanted};
use crate::error::JobError;
use crate::letters::glyph;
use crate::serve::Steps;
use crate::{caches, card, loudness};

/// The longest prompt, milliseconds.
const LONGEST_MS: u64 = 30_000;
/// Quieter than this at either end is cut: parts of a sentence follow one another.
const QUIET: u16 = 300;
/// What stays of it before and after the sound, samples.
const BEFORE: usize = 20 * 48;
const AFTER: usize = 80 * 48;
/// Sounds begin and end with whole packets, milliseconds.
const PACKET_MS: usize = 20;
const PACKET_SAMPLES: usize = PACKET_MS * 48;
/// Frames from one picture to the next: encoders then begin each with a key frame.
const PICTURE_FRAMES: usize = 25;

/// Prepares the sounds (file names in `dir`) and the pictures (their lines).
pub(crate) fn prepare(
    dir: &Path,
    sounds: &[String],
    pictures: &[Vec<String>],
    out_dir: &Path,
    steps: &mut Steps,
) -> Result<Outcome, JobError> {
    let total = u64::try_from(sounds.len()).unwrap_or(u64::MAX).saturating_mul(2);
    let mut all: Vec<i16> = Vec::new();
    let mut spans = Vec::new();
    for (done, name) in (0..).zip(sounds) {
        steps.at(done, total);
        let sound = read(&dir.join(name)).map_err(|error| JobError {
            why: format!("the prompt {name}: {error}"),
            ..error
        })?;
        let start = all.len();
        all.extend_from_slice(&sound);
        all.resize(all.len().next_multiple_of(PACKET_SAMPLES), 0);
        spans.push(span(start, all.len())?);
    }
    let samples = loudness::normalised(all)?;
    let length_ms = u64::try_from(samples.len()).unwrap_or(0) / SAMPLES_A_MS;
    let mut renditions = caches::audio(&samples, length_ms, &Wanted::default(), out_dir)?;
    let mut stills = Vec::new();
    if !pictures.is_empty() {
        let mut encoder = Encoder::start()?;
        for lines in pictures {
            let frame = gst::Buffer::from_mut_slice(card::text(&letters(lines)?));
            let start_ms = u32::try_from(encoder.pushed().saturating_mul(FRAME_MS)).unwrap_or(u32::MAX);
            for _ in 0..PICTURE_FRAMES {
                encoder.push(&frame)?;
            }
            stills.push(Span {
                start_ms,
                length_ms: u32::try_from(FRAME_MS).unwrap_or(u32::MAX),
            });
        }
        let length_ms = encoder.pushed().saturating_mul(FRAME_MS);
        let encoded = encoder.finish()?;
        encoded.iter().try_for_each(|stream| begin_with_key_frames(stream))?;
        let [large, small, vp8_large, vp8_small] = encoded;
        let large_modes = (RenditionProfile::H264W640Mode1, RenditionProfile::H264W640Mode0);
        let small_modes = (RenditionProfile::H264W320Mode1, RenditionProfile::H264W320Mode0);
        renditions.extend(caches::h264(&large, large_modes, length_ms, out_dir)?);
        renditions.extend(caches::h264(&small, small_modes, length_ms, out_dir)?);
        renditions.push(caches::vp8(&vp8_large, RenditionProfile::Vp8W640, length_ms, out_dir)?);
        renditions.push(caches::vp8(&vp8_small, RenditionProfile::Vp8W320, length_ms, out_dir)?);
    }
    Ok(Outcome::Prompts {
        sounds: spans,
        pictures: stills,
        renditions,
    })
}

/// A sound without the silence around it.
fn read(file: &Path) -> Result<Vec<i16>, JobError> {
    if !file.is_file() {
        return Err(JobError::refused("there is no such file"));
    }
    let decoded = decode::decode(file, LONGEST_MS, &mut |_| Ok(()))?;
    let samples = decoded.audio.unwrap_or_default();
    let is_loud = |sample: &i16| sample.unsigned_abs() > QUIET;
    let (Some(first), Some(last)) = (samples.iter().position(is_loud), samples.iter().rposition(is_loud)) else {
        return Err(JobError::refused("there is no sound in it"));
    };
    let end = last.saturating_add(AFTER).min(samples.len());
    Ok(samples
        .get(first.saturating_sub(BEFORE)..end)
        .unwrap_or_default()
        .to_vec())
}

fn span(start: usize, end: usize) -> Result<Span, JobError> {
    let ms = |samples: usize| {
        u32::try_from(samples / (PACKET_SAMPLES / PACKET_MS)).map_err(|_| JobError::refused("too many prompts"))
    };
    Ok(Span {
        start_ms: ms(start)?,
        length_ms: ms(end.saturating_sub(start))?,
    })
}

/// The lines of a picture as they are drawn, in capitals.
fn letters(lines: &[String]) -> Result<Vec<Vec<char>>, JobError> {
    let refused = |why: String| JobError::refused(format!("the picture \"{}\": {why}", lines.join(" / ")));
    if lines.len() > card::TEXT_LINES_MAX {
        return Err(refused(format!("it has more than {} lines", card::TEXT_LINES_MAX)));
    }
    let mut drawn = Vec::new();
    for line in lines {
        let line: Vec<char> = line.to_uppercase().chars().collect();
        if line.len() > card::TEXT_LETTERS_MAX {
            return Err(refused(format!(
                "a line has more than {} letters",
                card::TEXT_LETTERS_MAX
            )));
        }
        if let Some(unknown) = line.iter().find(|letter| glyph(**letter).is_none()) {
            return Err(refused(format!("'{unknown}' cannot be drawn")));
        }
        drawn.push(line);
    }
    Ok(drawn)
}

/// Each picture must be there without the one before it.
fn begin_with_key_frames(stream: &[Picture]) -> Result<(), JobError> {
    match stream.iter().step_by(PICTURE_FRAMES).all(|picture| picture.key) {
        true => Ok(()),
        false => Err(JobError::failed("an encoder made no key frame where a picture begins")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_drawn_in_capitals_and_what_cannot_be_drawn_is_told() {
        let lines = |text: &[&str]| letters(&text.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        let drawn: Vec<String> = lines(&["1 Grüße", "2 end"])
            .unwrap()
            .iter()
            .map(|l| l.iter().collect())
            .collect();
        assert_eq!(drawn, ["1 GRÜSSE", "2 END"]);
        assert!(lines(&["a @ b"]).unwrap_err().why.contains("'@' cannot be drawn"));
        assert!(
            lines(&["x".repeat(26).as_str()])
                .unwrap_err()
                .why
                .contains("25 letters")
        );
        assert!(lines(&[""; 8]).unwrap_err().why.contains("7 lines"));
    }

    #[test]
    fn the_text_is_on_a_calm_ground_and_no_picture_is_black() {
        let card = card::text(&letters(&["1 Video".to_owned(), "2 Voice".to_owned()]).unwrap());
        let luma = &card[..640 * 360];
        let (white, ground) = luma.iter().fold((0, 0), |(w, g), y| match *y {
            235 => (w + 1, g),
            60 => (w, g + 1),
            other => panic!("luma {other}"),
        });
        assert!(white > 2_000 && ground > 200_000, "{white} white, {ground} ground");
    }
}
