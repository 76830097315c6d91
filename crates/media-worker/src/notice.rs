//! The built-in notice that a mailbox is full: a card, and a voice where espeak-ng is installed. Elsewhere three falling tones,
//! twice, tell callers without a picture that they are not to speak.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gstreamer as gst;
use segue_media::worker::Outcome;

use crate::decode;
use crate::encode::Encoder;
use crate::error::JobError;
use crate::prepare::{Source, assemble};
use crate::serve::Steps;
use crate::{card, loudness};

/// What is said.
const WORDS: &str =
    "The mailbox of the person you are calling is full. No message can be left now. Please try again later. Goodbye.";
/// Longest speech, milliseconds, and how long the speaker may take for it.
const SPEECH_MS_MAX: u64 = 20_000;
const SPEAKER_LIMIT: Duration = Duration::from_secs(20);
/// The tones, Hz; each is followed by a pause as long as itself. None is the beep's: nobody shall take this for one.
const TONES_HZ: [f64; 6] = [740.0, 587.0, 494.0, 740.0, 587.0, 494.0];
const TONE_SAMPLES: u32 = 48 * 330;
/// Rising and falling edge of a tone, samples, so that it does not click.
const EDGE_SAMPLES: u32 = 480;

/// Prepares the notice.
pub(crate) fn prepare(out_dir: &Path, steps: &mut Steps) -> Result<Outcome, JobError> {
    let audio = match spoken(out_dir) {
        Ok(speech) => speech,
        Err(error) => {
            eprintln!("media-worker: the notice of a full mailbox has tones in place of a voice: {error}");
            tones()
        }
    };
    steps.at(1, 2);
    let frame = gst::Buffer::from_mut_slice(card::full());
    let mut encoder = Encoder::start()?;
    // It is held as long as the sound.
    encoder.push(&frame)?;
    assemble(
        Source {
            video: Some(encoder),
            audio: Some(loudness::normalised(audio)?),
            poster: Some(frame),
        },
        out_dir,
    )
}

fn spoken(out_dir: &Path) -> Result<Vec<i16>, JobError> {
    let file = out_dir.join("notice.wav");
    let mut speaker = Command::new("espeak-ng")
        .args(["-v", "en", "-s", "150", "-w"])
        .args([file.as_os_str(), WORDS.as_ref()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| JobError::failed(format!("espeak-ng: {error}")))?;
    let until = Instant::now() + SPEAKER_LIMIT;
    let status = loop {
        match speaker.try_wait()? {
            Some(status) => break status,
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            None => {
                speaker.kill()?;
                break speaker.wait()?;
            }
        }
    };
    if !status.success() {
        return Err(JobError::failed(format!("espeak-ng: {status}")));
    }
    let speech = decode::decode(&file, SPEECH_MS_MAX, &mut |_| Ok(()))?.audio;
    std::fs::remove_file(&file)?;
    speech
        .filter(|samples| !samples.is_empty())
        .ok_or_else(|| JobError::failed("espeak-ng said nothing"))
}

fn tones() -> Vec<i16> {
    let tone = |hz: f64| {
        let sample = move |n: u32| {
            let edge = f64::from(n.min(TONE_SAMPLES - n).min(EDGE_SAMPLES)) / f64::from(EDGE_SAMPLES);
            let value = (f64::from(n) / 48_000.0 * hz * std::f64::consts::TAU).sin() * edge * 9_000.0;
            // Within ±9000 by construction.
            #[allow(clippy::cast_possible_truncation)]
            let value = value as i16;
            value
        };
        let silence = (0..TONE_SAMPLES).map(|_| 0);
        (0..TONE_SAMPLES).map(sample).chain(silence)
    };
    TONES_HZ.into_iter().flat_map(tone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tones_fall_and_are_not_the_beep() {
        let tones = tones();
        assert_eq!(tones.len(), 12 * usize::try_from(TONE_SAMPLES).unwrap());
        // Twice as many crossings of zero as periods.
        let hz = |nth: usize| {
            let tone = tones.chunks(TONE_SAMPLES as usize).nth(2 * nth).unwrap();
            let crossings = tone.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
            crossings as f64 / 2.0 / 0.33
        };
        for (nth, asked) in TONES_HZ.into_iter().enumerate() {
            assert!((hz(nth) - asked).abs() < 12.0, "{} for {asked}", hz(nth));
        }
    }
}
