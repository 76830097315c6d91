//! Recordings that came over a bad network: no message is corrupt, lips and words stay together.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::*;
use segue_mailbox::Kind;
use segue_media::cache::{Cache, CacheBuilder, END_OF_FRAME, KEY_FRAME};
use segue_media::worker::Outcome;
use segue_tests::browser;
use segue_tests::impair::{Impairer, Impairment, POOR};
use segue_tests::movie::{self, Movie};
use segue_tests::picture::Colour;

const SECONDS: u32 = 8;
const SEEDS: std::ops::Range<u64> = 1..5;
/// What eyes and ears let pass, milliseconds.
const APART_MS_MAX: f64 = 80.0;
/// How long the network is a good one.
const GOOD_MS: u64 = 100;

/// Marks in time, prepared once: a key frame each second.
fn prepared() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let input = marks(folder.path(), SECONDS);
        let outcome = Worker::start().prepare(&input, folder.path());
        assert!(matches!(outcome, Outcome::Clip { .. }), "{outcome:?}");
        folder
    });
    folder.path()
}

/// The same marks in a picture full of noise, many packets each, from an encoder that never sends a key frame again.
fn without_key_frames() -> &'static Cache {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    CACHE.get_or_init(|| {
        let stream = prepared().join("noise.264");
        let input = text(&prepared().join("marks.mkv"));
        let x264 = "keyint=100000:crf=38:slice-max-size=1100:bframes=0:aud=1:repeat-headers=1";
        let noise = "scale=320:180,noise=alls=8:allf=t";
        let options = [
            "-i",
            &input,
            "-an",
            "-vf",
            noise,
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
        ];
        ffmpeg(
            &[&options[..], &["-x264-params", x264, "-pix_fmt", "yuv420p"]].concat(),
            &stream,
        );
        let bytes = std::fs::read(&stream).unwrap();
        let mut frames: Vec<Vec<&[u8]>> = Vec::new();
        for unit in units(&bytes) {
            match unit[0] & 0x1f {
                // An access unit delimiter begins each frame; it is not sent.
                9 => frames.push(Vec::new()),
                _ => frames.last_mut().unwrap().push(unit),
            }
        }
        assert_eq!(frames.len() as u32, 25 * SECONDS);
        let packets: usize = frames.iter().map(Vec::len).sum();
        println!("{} packets a frame", packets / frames.len());
        let mut builder = CacheBuilder::new();
        for (n, units) in (0u32..).zip(&frames) {
            for (at, unit) in units.iter().enumerate() {
                assert!(unit.len() <= 1200);
                let first = if at == 0 && n == 0 { KEY_FRAME } else { 0 };
                let last = if at + 1 == units.len() { END_OF_FRAME } else { 0 };
                builder.push(n * 40_000, n * 3_600, unit, first | last).unwrap();
            }
        }
        builder.finish(90_000, SECONDS * 1_000_000, SECONDS * 90_000).unwrap()
    })
}

fn units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..stream.len() - 3)
        .filter(|&at| stream[at..at + 3] == [0, 0, 1])
        .collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &stream[start + 3..end];
        let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
        &unit[..unit.len() - zeros]
    };
    starts.iter().zip(ends).map(unit).collect()
}

/// What is left of a stream behind a bad network, which is a good one at first: the recorder asks until a key frame has come whole.
fn behind(how: Impairment, seed: u64, sent: Vec<Sent>) -> Vec<Sent> {
    let mut impairer = Impairer::new(how, seed);
    let mut arrived = Vec::new();
    let (begin, rest): (Vec<Sent>, Vec<Sent>) = sent.into_iter().partition(|sent| sent.arrival_ms < GOOD_MS);
    let delay_ms = how.delay_ms;
    arrived.extend(begin.into_iter().map(|sent| Sent {
        arrival_ms: sent.arrival_ms + delay_ms,
        ..sent
    }));
    for sent in rest {
        for after in impairer.arrivals() {
            let arrival_ms = sent.arrival_ms + after.as_millis() as u64;
            arrived.push(Sent {
                arrival_ms,
                ..sent.clone()
            });
        }
    }
    arrived
}

/// What a caller sends.
#[derive(Clone, Copy)]
struct Codecs {
    sound: &'static str,
    picture: &'static str,
}

const USUAL: Codecs = Codecs {
    sound: "PCMU",
    picture: "H264",
};

/// Sound and picture with their reports, each behind the same bad network.
fn recorded(how: Impairment, seed: u64, codecs: Codecs, picture: &Cache) -> (tempfile::TempDir, PathBuf) {
    let (profile, encoding, fmtp) = voice(codecs.sound);
    let sound = cache(prepared(), &profile);
    let of = |n: u64, sent| behind(how, seed * 10 + n, sent);
    let pictures = match codecs.picture {
        "VP8" => vp8_packets(picture, VIDEO),
        _ => packets(picture, VIDEO),
    };
    let sent = [
        of(0, packets(&sound, AUDIO)),
        of(1, pictures),
        of(2, reports(&sound, AUDIO)),
        of(3, reports(picture, VIDEO)),
    ];
    let mut manifest = manifest(Kind::Video, None);
    manifest.streams[0].encoding = encoding;
    manifest.streams[0].fmtp = fmtp;
    manifest.streams[0].clock_rate = sound.clock_rate;
    manifest.streams[1].encoding = codecs.picture.to_owned();
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("a.spool");
    std::fs::write(&spool, spool_of(&manifest, sent.concat(), None)).unwrap();
    let Outcome::Recording {
        file,
        has_video,
        duration_ms,
        ..
    } = Worker::start().finalise(&spool, folder.path())
    else {
        panic!("seed {seed}")
    };
    assert!(has_video, "seed {seed}");
    assert!(
        duration_ms.abs_diff(u64::from(SECONDS) * 1000) < 200,
        "seed {seed}: {duration_ms} ms"
    );
    let file = folder.path().join(file);
    (folder, file)
}

/// How far picture and sound of each mark are apart, over all seeds.
#[track_caller]
fn assert_in_step(how: Impairment, codecs: Codecs, picture: &Cache, seen_min: f64) {
    let mut apart = Vec::new();
    for seed in SEEDS {
        let (_folder, file) = recorded(how, seed, codecs, picture);
        // Panics when a decoder complains of anything.
        let movie = Movie::decode(&file);
        assert!(
            movie.share_of(Colour::Blue) + movie.share_of(Colour::White) > 0.99,
            "seed {seed}: a torn picture"
        );
        apart.extend(movie.picture_after_sound_ms(Colour::White, 2000));
    }
    apart.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (median, worst) = (apart[apart.len() / 2], apart[apart.len() - 1]);
    println!("{} marks, median {median:.0} ms, worst {worst:.0} ms", apart.len());
    let marks = SEEDS.count() as f64 * f64::from(SECONDS);
    assert!(
        apart.len() as f64 >= marks * seen_min,
        "{} of {marks} marks: {apart:?}",
        apart.len()
    );
    assert!(
        worst.abs() <= APART_MS_MAX && median.abs() <= APART_MS_MAX / 2.0,
        "{apart:?}"
    );
}

#[test]
fn two_percent_of_loss_and_reordering_leave_whole_messages_in_step() {
    assert_in_step(POOR, USUAL, &cache(prepared(), "h264-360-1"), 0.6);
}

#[test]
fn vp8_with_opus_g722_and_amr_wb_stay_in_step_too_and_are_sought_in() {
    let picture = cache(prepared(), "vp8-360");
    for sound in ["opus", "G722", "amr-wb-12.65-be"] {
        let codecs = Codecs { sound, picture: "VP8" };
        assert_in_step(POOR, codecs, &picture, 0.6);
    }
    let codecs = Codecs {
        sound: "opus",
        picture: "VP8",
    };
    let (_folder, file) = recorded(POOR, 7, codecs, &picture);
    movie::expect_seeks(&file, &[1.45, 3.61, 6.5]);
}

#[test]
fn five_percent_of_loss_does_not_part_picture_and_sound_either() {
    let how = Impairment {
        lost: 0.05,
        held_back: 0.1,
        ..POOR
    };
    assert_in_step(how, USUAL, &cache(prepared(), "h264-360-1"), 0.4);
}

#[test]
fn the_picture_of_a_sender_that_ignores_every_request_goes_on_smeared_and_decodes() {
    for seed in SEEDS {
        let (_folder, file) = recorded(POOR, seed, USUAL, without_key_frames());
        let movie = Movie::decode(&file);
        let moves = movie.frames.len() as u32 * 100 / (25 * SECONDS);
        assert!(moves >= 75, "seed {seed}: {moves} % of the pictures");
        let last = movie.frames.last().unwrap().0;
        assert!(
            last >= f64::from(SECONDS * 1000) - 500.0,
            "seed {seed}: it stands from {last} ms on"
        );
        assert!(movie.sound.duration_ms().abs_diff(u64::from(SECONDS) * 1000) < 200);
    }
}

#[test]
fn a_browser_plays_a_message_that_came_over_a_bad_network() {
    for picture in [&cache(prepared(), "h264-360-1"), without_key_frames()] {
        let (folder, file) = recorded(POOR, 7, USUAL, picture);
        let played = browser::play(&file, 6.0, &folder.path().join("shot.png"));
        assert!(played.error.is_empty() && played.current_time >= 6.0, "{played:?}");
    }
}
