//! Prompts of a language become rows of sounds and pictures: each is found where the worker says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::*;
use segue_media::cache::Cache;
use segue_media::worker::{Job, Outcome};
use segue_tests::sound::Sound;

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|line| (*line).to_owned()).collect()
}

/// What a part of a G.711 cache sounds like.
fn heard(part: &Cache, folder: &std::path::Path) -> Sound {
    let (raw, wav) = (folder.join("part.raw"), folder.join("part.wav"));
    let bytes: Vec<u8> = part
        .entries
        .iter()
        .flat_map(|entry| part.payload_of(entry).to_vec())
        .collect();
    std::fs::write(&raw, bytes).unwrap();
    let input = text(&raw);
    ffmpeg(
        &[
            "-f",
            "mulaw",
            "-ar",
            "8000",
            "-ac",
            "1",
            "-i",
            &input,
            "-c:a",
            "pcm_s16le",
            "-bitexact",
        ],
        &wav,
    );
    Sound::read_wav(&wav)
}

#[test]
fn sounds_and_pictures_are_found_where_they_are_said_to_stand() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    // Silence around a sound is no part of a sentence.
    for (name, hz, padding) in [("low", 440, "0.0"), ("high", 1_000, "0.7")] {
        let tone =
            format!("sine=frequency={hz}:duration=0.5:sample_rate=48000,adelay=700:all=1,apad=pad_dur={padding}");
        ffmpeg(
            &["-f", "lavfi", "-i", &tone],
            &folder.path().join(format!("{name}.wav")),
        );
    }
    let out = common::folder(folder.path(), "out");
    let job = |sounds: &[&str], pictures: &[&[&str]]| Job::PreparePrompts {
        dir: text(folder.path()),
        sounds: lines(sounds),
        pictures: pictures.iter().map(|picture| lines(picture)).collect(),
        out_dir: text(&out),
    };
    let (_, outcome) = worker.run(job(
        &["low.wav", "high.wav"],
        &[&["1  Video", "2  Voice"], &["One moment"]],
    ));
    let Outcome::Prompts {
        sounds,
        pictures,
        renditions,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(renditions.len(), 20);
    for span in &sounds {
        assert!((500..=640).contains(&span.length_ms), "{sounds:?}");
        assert!(span.start_ms % 20 == 0 && span.length_ms % 20 == 0, "{sounds:?}");
    }
    let row = cache(&out, "pcmu");
    for (span, hz) in sounds.iter().zip([440_u32, 1_000]) {
        let part = row.part(span.start_ms * 1_000, span.length_ms * 1_000).unwrap();
        let tone = heard(&part, &out).tone_at(100, 300);
        assert!(tone.is_some_and(|tone| tone.abs_diff(hz) < 30), "{tone:?} for {hz}");
    }
    // Each picture stands alone: one key frame, of text on a ground that is not black.
    let mut drawn = Vec::new();
    for (number, span) in pictures.iter().enumerate() {
        let part = |profile: &str| {
            let part = cache(&out, profile)
                .part(span.start_ms * 1_000, span.length_ms * 1_000)
                .unwrap();
            assert!(part.entries[0].starts_key_frame(), "{profile} {number}");
            assert_eq!(part.entries.iter().filter(|entry| entry.ends_frame()).count(), 1);
            part
        };
        let h264 = part("h264-360-1");
        let mut stream = Vec::new();
        for entry in h264.entries.iter() {
            stream.extend([0, 0, 0, 1]);
            stream.extend(h264.payload_of(entry));
        }
        let vp8 = part("vp8-180");
        let (one, other) = (out.join(format!("{number}.h264")), out.join(format!("{number}.ivf")));
        std::fs::write(&one, stream).unwrap();
        std::fs::write(&other, ivf(&[vp8_frames(&vp8)[0].1.clone()])).unwrap();
        for file in [one, other] {
            let grey = file.with_extension("gray");
            ffmpeg(
                &[
                    "-i",
                    &text(&file),
                    "-frames:v",
                    "1",
                    "-pix_fmt",
                    "gray",
                    "-f",
                    "rawvideo",
                ],
                &grey,
            );
            let pixels = std::fs::read(&grey).unwrap();
            let (white, black) = pixels.iter().fold((0, 0), |(white, black), pixel| {
                (white + usize::from(*pixel > 200), black + usize::from(*pixel < 24))
            });
            assert!(
                white * 200 > pixels.len(),
                "{}: {white} of {}",
                file.display(),
                pixels.len()
            );
            assert!(
                black * 200 < pixels.len(),
                "{}: {black} of {}",
                file.display(),
                pixels.len()
            );
            drawn.push(white);
        }
    }
    assert_ne!(drawn[0], drawn[2], "two pictures");
    let (_, refused) = worker.run(job(&["low.wav", "none.wav"], &[]));
    assert!(
        matches!(&refused, Outcome::Failed { refused: true, why } if why.contains("none.wav")),
        "{refused:?}"
    );
}
