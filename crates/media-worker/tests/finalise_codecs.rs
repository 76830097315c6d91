//! Messages in VP8, Opus, G.722, AMR and AMR-WB: copied where a browser plays them so, in step, and really playing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::*;
use segue_mailbox::Kind;
use segue_media::worker::Outcome;
use segue_tests::browser;
use segue_tests::movie::{self, Movie};
use segue_tests::picture::Colour;

const SECONDS: u32 = 4;

/// Prepared marks in time, made once for all tests here.
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

struct Recording {
    folder: tempfile::TempDir,
    file: PathBuf,
    media_type: String,
    poster: Option<PathBuf>,
}

/// Finalises what a caller sent in these codecs; `late_ms` is what the network holds the picture up.
fn finalise(sound: &str, picture: Option<&str>, late_ms: u64, keep: impl Fn(usize) -> bool) -> Recording {
    finalise_of(prepared(), sound, picture, late_ms, keep)
}

/// Of another clip than the marks.
fn finalise_of(
    prepared: &Path,
    sound: &str,
    picture: Option<&str>,
    late_ms: u64,
    keep: impl Fn(usize) -> bool,
) -> Recording {
    let folder = tempfile::tempdir().unwrap();
    let (profile, encoding, fmtp) = voice(sound);
    let heard = cache(prepared, &profile);
    let audio = packets(&heard, AUDIO).into_iter().enumerate();
    let mut sent: Vec<Sent> = audio.filter(|(n, _)| keep(*n)).map(|(_, sent)| sent).collect();
    sent.extend(reports(&heard, AUDIO));
    let late = Sender {
        delay_ms: late_ms,
        ..VIDEO
    };
    match picture {
        Some("VP8") => {
            let seen = cache(prepared, "vp8-360");
            sent.extend(vp8_packets(&seen, late));
            sent.extend(reports(&seen, late));
        }
        Some("H264") => {
            let seen = cache(prepared, "h264-360-1");
            sent.extend(packets(&seen, late));
            sent.extend(reports(&seen, late));
        }
        _ => {}
    }
    let kind = if picture.is_some() { Kind::Video } else { Kind::Audio };
    let mut manifest = manifest(kind, None);
    manifest.streams[0].encoding = encoding;
    manifest.streams[0].fmtp = fmtp;
    manifest.streams[0].clock_rate = heard.clock_rate;
    if let (Some(stream), Some(picture)) = (manifest.streams.get_mut(1), picture) {
        stream.encoding = picture.to_owned();
    }
    let spool = folder.path().join("a.spool");
    std::fs::write(&spool, spool_of(&manifest, sent, None)).unwrap();
    match Worker::start().finalise(&spool, folder.path()) {
        Outcome::Recording {
            file,
            media_type,
            poster,
            ..
        } => Recording {
            file: folder.path().join(file),
            poster: poster.map(|name| folder.path().join(name)),
            folder,
            media_type,
        },
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_in_step(recording: &Recording) {
    let movie = Movie::decode(&recording.file);
    let apart = movie.picture_after_sound_ms(Colour::White, 2000);
    assert!(apart.len() >= 3, "{apart:?}");
    assert!(apart.iter().all(|ms| ms.abs() <= 60.0), "{apart:?}");
    assert_eq!(movie.sound.tone_at(1_100, 200), Some(440));
    assert_eq!(colour_of(recording.poster.as_ref().unwrap()), Some(Colour::Blue));
}

/// The payloads of a stream in a file, by ffmpeg.
fn copied(file: &Path, stream: &str, format: &str) -> Vec<u8> {
    let raw = file.with_extension("raw");
    ffmpeg(&["-i", &text(file), "-map", stream, "-c", "copy", "-f", format], &raw);
    std::fs::read(raw).unwrap()
}

#[test]
fn vp8_and_opus_are_copied_into_webm_that_a_browser_plays() {
    let recording = finalise("opus", Some("VP8"), 300, |_| true);
    assert_eq!(recording.media_type, "video/webm");
    assert!(recording.file.to_string_lossy().ends_with(".webm"));
    let line = movie::ffprobe_line(&recording.file);
    assert!(
        line.contains("vp8") && line.contains("opus") && line.contains("640"),
        "{line}"
    );
    assert_in_step(&recording);
    let opus: Vec<u8> = cache(prepared(), "opus").payload.to_vec();
    assert!(
        copied(&recording.file, "0:a", "data").starts_with(&opus[..2_000]),
        "not encoded again"
    );
    let vp8: Vec<u8> = cache(prepared(), "vp8-360").payload.to_vec();
    assert!(
        copied(&recording.file, "0:v", "data").starts_with(&vp8[..2_000]),
        "not encoded again"
    );
    let seen = browser::play(&recording.file, 3.0, &recording.folder.path().join("seen.png"));
    assert_eq!((seen.error.as_str(), seen.size), ("", (640, 360)), "{seen:?}");
    assert!(
        seen.current_time >= 3.0 && (seen.duration - 4.0).abs() < 0.1,
        "{seen:?}"
    );
}

#[test]
fn a_player_that_seeks_in_a_webm_begins_with_a_key_frame() {
    let recording = finalise("opus", Some("VP8"), 0, |_| true);
    let sent = vp8_frames(&cache(prepared(), "vp8-360"));
    let keys: Vec<bool> = sent.iter().map(|(key, _)| *key).collect();
    assert_eq!(movie::key_frames(&recording.file), keys, "as the caller sent them");
    // White, right after it, and where only a key frame far back helps; all between two key frames, which are a second apart.
    movie::expect_seeks(&recording.file, &[0.01, 1.45, 1.61, 2.97, 3.5]);
}

#[test]
fn vp8_with_g711_gets_opus_and_h264_keeps_the_callers_opus() {
    let recording = finalise("PCMU", Some("VP8"), 0, |_| true);
    assert_eq!(recording.media_type, "video/webm");
    let line = movie::ffprobe_line(&recording.file);
    assert!(line.contains("vp8") && line.contains("opus"), "{line}");
    assert_in_step(&recording);
    let recording = finalise("opus", Some("H264"), 200, |_| true);
    assert_eq!(recording.media_type, "video/mp4");
    let line = movie::ffprobe_line(&recording.file);
    assert!(line.contains("h264") && line.contains("opus"), "{line}");
    assert_in_step(&recording);
    let opus: Vec<u8> = cache(prepared(), "opus").payload.to_vec();
    assert!(
        copied(&recording.file, "0:a", "data").starts_with(&opus[..2_000]),
        "not encoded again"
    );
    let seen = browser::play(&recording.file, 3.0, &recording.folder.path().join("seen.png"));
    assert_eq!((seen.error.as_str(), seen.size), ("", (640, 360)), "{seen:?}");
}

#[test]
fn h264_with_g722_gets_opus() {
    let recording = finalise("G722", Some("H264"), 0, |_| true);
    assert_eq!(recording.media_type, "video/mp4");
    assert_in_step(&recording);
}

#[test]
fn amr_in_either_packing_gets_opus_and_stays_in_step() {
    for (sound, picture) in [
        ("amr-12.2-be", "H264"),
        ("amr-wb-12.65-oa", "H264"),
        ("amr-wb-12.65-be", "VP8"),
    ] {
        let recording = finalise(sound, Some(picture), 200, |_| true);
        let line = movie::ffprobe_line(&recording.file);
        assert!(line.contains("opus"), "{sound}: {line}");
        assert_in_step(&recording);
    }
}

#[test]
fn what_is_said_in_amr_is_as_loud_as_in_g711() {
    // Noise in syllables: AMR is made for speech, of which a pure tone has nothing.
    let speech = "anoisesrc=color=pink:d=4:seed=7:r=48000,highpass=f=200,lowpass=f=3000,tremolo=f=4:d=0.9";
    let clip = tempfile::tempdir().unwrap();
    let input = clip.path().join("speech.wav");
    ffmpeg(&["-f", "lavfi", "-i", speech], &input);
    let outcome = Worker::start().prepare(&input, clip.path());
    assert!(matches!(outcome, Outcome::Clip { .. }), "{outcome:?}");
    let level = |sound| {
        let movie = Movie::decode(&finalise_of(clip.path(), sound, None, 0, |_| true).file);
        assert!(movie.sound.duration_ms().abs_diff(4_000) <= 60, "{sound}");
        movie.sound.level_at(0, 4_000)
    };
    let reference = level("PCMU");
    for sound in ["amr-12.2-oa", "amr-12.2-be", "amr-wb-12.65-oa", "amr-wb-12.65-be"] {
        let is = level(sound);
        println!("{sound}: {is:.1} dBFS, PCMU {reference:.1}");
        assert!(
            (is - reference).abs() < 3.5,
            "{sound}: {is:.1} dBFS, PCMU {reference:.1}"
        );
    }
}

#[test]
fn a_caller_who_changes_its_codec_while_it_speaks_is_heard_in_all_of_them_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let seen = cache(prepared(), "h264-360-1");
    let mut sent = packets(&seen, VIDEO);
    sent.extend(reports(&seen, VIDEO));
    // Each change comes between two packets; the source stays, its clock and its numbers do not.
    for (n, (sound, payload_type)) in [("PCMU", 0), ("opus", 111), ("amr-wb-12.65-oa", 96)]
        .into_iter()
        .enumerate()
    {
        let (profile, encoding, fmtp) = voice(sound);
        let heard = cache(prepared(), &profile);
        let spoken = [0..1_390, 1_390..2_790, 2_790..9_999][n].clone();
        let sender = Sender {
            payload_type,
            first_rtp: AUDIO.first_rtp.wrapping_mul(n as u32 + 1),
            ..AUDIO
        };
        if n > 0 {
            let info = segue_mailbox::StreamInfo {
                stream: AUDIO.stream,
                payload_type,
                encoding,
                clock_rate: heard.clock_rate,
                fmtp,
            };
            sent.push(Sent {
                stream: AUDIO.stream,
                kind: segue_media::spool::RecordKind::Meta,
                arrival_ms: spoken.start,
                packet: serde_json::to_vec(&info).unwrap(),
            });
        }
        let own = packets(&heard, sender).into_iter().chain(reports(&heard, sender));
        sent.extend(own.filter(|sent| spoken.contains(&sent.arrival_ms)));
    }
    let spool = folder.path().join("a.spool");
    std::fs::write(&spool, spool_of(&manifest(Kind::Video, None), sent, None)).unwrap();
    let Outcome::Recording { file, .. } = Worker::start().finalise(&spool, folder.path()) else {
        panic!("no recording")
    };
    let movie = Movie::decode(&folder.path().join(file));
    assert!(movie.sound.duration_ms().abs_diff(4_000) <= 60);
    // Marks of 2 kHz begin at 0.4 s of each second: in PCMU, Opus, Opus and AMR-WB.
    let tones = [1_000, 1_450, 1_650, 2_000, 2_450, 2_650, 3_000, 3_450, 3_650].map(|at| movie.sound.tone_at(at, 100));
    let expected = [440, 2_000, 440, 440, 2_000, 440, 440, 2_000, 440].map(Some);
    assert_eq!(tones, expected);
    let apart = movie.picture_after_sound_ms(Colour::White, 2000);
    assert!(apart.len() == 4 && apart.iter().all(|ms| ms.abs() <= 60.0), "{apart:?}");
}

#[test]
fn voice_alone_is_an_mp4_that_a_browser_plays_with_holes_where_nothing_came() {
    for sound in ["opus", "G722", "amr-7.4-oa", "amr-wb-12.65-be"] {
        // Half a second is lost in the middle.
        let recording = finalise(sound, None, 0, |n| !(60..85).contains(&n));
        assert_eq!((recording.media_type.as_str(), &recording.poster), ("audio/mp4", &None));
        let line = movie::ffprobe_line(&recording.file);
        assert!(line.contains("opus"), "{line}");
        let movie = Movie::decode(&recording.file);
        assert!(movie.sound.duration_ms().abs_diff(4_000) <= 60, "{sound}");
        let tones = [100, 1_300, 1_850, 3_000].map(|at| movie.sound.tone_at(at, 100));
        assert_eq!(tones, [Some(440), None, Some(440), Some(440)], "{sound}");
        let heard = browser::play(&recording.file, 3.0, &recording.folder.path().join("heard.png"));
        assert_eq!(heard.error, "", "{heard:?}");
        assert!(
            heard.current_time >= 3.0 && (heard.duration - 4.0).abs() < 0.1,
            "{heard:?}"
        );
    }
}
