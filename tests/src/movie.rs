//! A recorded message, decoded: what was seen and heard at which presentation time.

use std::{path::Path, process::Command};

use crate::{picture::Colour, sound::Sound};

/// A decoded file.
#[derive(Debug)]
pub struct Movie {
    /// Presentation time in milliseconds and mean colour of each picture.
    pub frames: Vec<(f64, Colour)>,
    /// Its sound from presentation time 0 on, 8 kHz.
    pub sound: Sound,
}

/// A mark in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// How much later the picture turns than the tone, milliseconds; negative: earlier.
    pub apart_ms: f64,
    /// How long the picture before had stood: long where pictures are missing.
    pub stood_ms: f64,
}

impl Movie {
    /// Decodes all of a file; panics when a decoder complains.
    pub fn decode(path: &Path) -> Movie {
        let times = run(
            "ffprobe",
            &[
                "-select_streams",
                "v:0",
                "-show_entries",
                "frame=pts_time",
                "-of",
                "csv=p=0",
            ],
            path,
        );
        let times = String::from_utf8_lossy(&times).into_owned();
        let times = times
            .split_whitespace()
            .filter_map(|line| line.trim_matches(',').parse::<f64>().ok());
        // By the file's own clock: at the rate that is guessed for it two pictures of a phone that films unevenly would be one.
        let pixels = if has_video(path) {
            decode(
                path,
                &[
                    "-map",
                    "0:v:0",
                    "-vf",
                    "scale=1:1:flags=area",
                    "-fps_mode",
                    "passthrough",
                    "-enc_time_base",
                    "-1",
                    "-f",
                    "rawvideo",
                    "-pix_fmt",
                    "rgb24",
                ],
            )
        } else {
            Vec::new()
        };
        let colours = pixels
            .chunks_exact(3)
            .map(|pixel| Colour::of([pixel[0], pixel[1], pixel[2]]));
        // `first_pts=0` keeps the sound's start where the file presents it.
        let pcm = decode(
            path,
            &[
                "-map",
                "0:a:0",
                "-af",
                "aresample=8000:async=1:first_pts=0",
                "-ac",
                "1",
                "-f",
                "s16le",
            ],
        );
        Movie {
            frames: times.map(|seconds| seconds * 1000.0).zip(colours).collect(),
            sound: Sound::from_bytes(8000, &pcm),
        }
    }

    /// The share of pictures that have this colour, 0 to 1.
    pub fn share_of(&self, colour: Colour) -> f64 {
        self.frames.iter().filter(|(_, seen)| *seen == colour).count() as f64 / self.frames.len().max(1) as f64
    }

    /// How much later than the tone `hz` the picture turns to `colour`, for each time both do, milliseconds; negative:
    /// earlier. Times further apart than 500 ms are no pair.
    pub fn picture_after_sound_ms(&self, colour: Colour, hz: u32) -> Vec<f64> {
        self.marks(colour, hz).into_iter().map(|mark| mark.apart_ms).collect()
    }

    /// The times when the tone turns to `hz` and the picture to `colour`, as [`Movie::picture_after_sound_ms`] pairs them.
    pub fn marks(&self, colour: Colour, hz: u32) -> Vec<Mark> {
        let seen = self
            .frames
            .windows(2)
            .filter(|pair| pair[0].1 != colour && pair[1].1 == colour)
            .map(|pair| (pair[1].0, pair[1].0 - pair[0].0));
        let mut heard = Vec::new();
        let mut before = None;
        for at_ms in (0..self.sound.duration_ms().saturating_sub(20)).step_by(2) {
            // The tone is called begun when it fills most of a 20 ms window: half a window after its true start.
            let now = self.sound.tone_at(at_ms, 20);
            if now == Some(hz) && before != Some(hz) {
                heard.push(at_ms as f64 + 5.0);
            }
            if now.is_some() {
                before = now;
            }
        }
        seen.filter_map(|(seen, stood_ms)| {
            let apart_ms = heard
                .iter()
                .map(|heard| seen - heard)
                .min_by(|a, b| a.abs().total_cmp(&b.abs()))?;
            (apart_ms.abs() < 500.0).then_some(Mark { apart_ms, stood_ms })
        })
        .collect()
    }
}

/// Duration, container and codecs in one line, by ffprobe.
pub fn ffprobe_line(path: &Path) -> String {
    let output = run(
        "ffprobe",
        &[
            "-show_entries",
            "format=format_name,duration,size:stream=codec_name,width,height,sample_rate",
            "-of",
            "compact=nk=0:p=0",
        ],
        path,
    );
    let text = String::from_utf8_lossy(&output);
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .collect::<Vec<_>>()
        .join("  ")
}

/// Which pictures of a file a player takes for key frames, by what its container says.
pub fn key_frames(path: &Path) -> Vec<bool> {
    let flags = run(
        "ffprobe",
        &[
            "-select_streams",
            "v:0",
            "-show_entries",
            "packet=flags",
            "-of",
            "csv=p=0",
        ],
        path,
    );
    let lines = String::from_utf8_lossy(&flags).into_owned();
    lines.split_whitespace().map(|flags| flags.starts_with('K')).collect()
}

/// Panics unless a player that goes to each of these seconds sees there what it sees when it plays from the beginning.
#[track_caller]
pub fn expect_seeks(path: &Path, to_seconds: &[f64]) {
    let one = ["-map", "0:v:0", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24"];
    for seconds in to_seconds.iter().map(f64::to_string) {
        let from_here = format!("select='gte(t,{seconds})'");
        let played = decode_with(&[], path, &[&["-vf", from_here.as_str()], &one[..]].concat());
        let sought = decode_with(&["-ss", &seconds], path, &one);
        assert!(!played.is_empty(), "no picture after {seconds} s");
        assert!(played == sought, "{}: another picture at {seconds} s", path.display());
    }
}

/// Does the file have pictures?
pub fn has_video(path: &Path) -> bool {
    let output = run(
        "ffprobe",
        &[
            "-select_streams",
            "v:0",
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
        ],
        path,
    );
    !output.trim_ascii().is_empty()
}

/// One of ffmpeg's tools on `path`; panics when it complains.
fn run(tool: &str, args: &[&str], path: &Path) -> Vec<u8> {
    let output = Command::new(tool)
        .args(["-v", "error"])
        .args(args)
        .arg(path)
        .output()
        .expect("ffmpeg's tools run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{tool} {}: {said}",
        path.display()
    );
    output.stdout
}

/// Decodes one stream of `path` to standard output; panics when the decoder complains.
fn decode(path: &Path, args: &[&str]) -> Vec<u8> {
    decode_with(&[], path, args)
}

/// The same, with options of how to read it.
fn decode_with(reading: &[&str], path: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(reading)
        .arg("-i")
        .arg(path)
        .args(args)
        .arg("-")
        .output()
        .expect("ffmpeg runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "ffmpeg {}: {said}",
        path.display()
    );
    output.stdout
}
