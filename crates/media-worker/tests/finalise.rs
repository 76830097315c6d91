//! Spools become files that play: what a network does to packets must not be seen in them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::*;
use segue_mailbox::Kind;
use segue_media::spool::RecordKind;
use segue_media::worker::Outcome;
use segue_tests::browser;
use segue_tests::movie::{self, Movie};
use segue_tests::picture::Colour;

const SECONDS: u32 = 5;

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

fn audio() -> Vec<Sent> {
    packets(&cache(prepared(), "pcmu"), AUDIO)
}

fn video() -> Vec<Sent> {
    packets(&cache(prepared(), "h264-360-1"), VIDEO)
}

/// A finalised recording and where it is.
struct Recording {
    folder: tempfile::TempDir,
    file: PathBuf,
    duration_ms: u64,
    has_video: bool,
    poster: Option<PathBuf>,
    media_type: String,
}

fn try_finalise(kind: Kind, fmtp: Option<&str>, sent: Vec<Sent>) -> Result<Recording, (bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("a.spool");
    write_spool(&spool, kind, fmtp, sent);
    match Worker::start().finalise(&spool, folder.path()) {
        Outcome::Recording {
            file,
            media_type,
            poster,
            duration_ms,
            has_video,
        } => Ok(Recording {
            file: folder.path().join(file),
            poster: poster.map(|name| folder.path().join(name)),
            folder,
            duration_ms,
            has_video,
            media_type,
        }),
        Outcome::Failed { refused, why } => Err((refused, why)),
        other => panic!("{other:?}"),
    }
}

fn finalise(kind: Kind, sent: Vec<Sent>) -> Recording {
    try_finalise(kind, None, sent).unwrap()
}

/// Every mark is seen and heard, and none is off by more than `apart_ms`.
#[track_caller]
fn assert_together(movie: &Movie, marks_min: usize, apart_ms: f64) {
    let apart = movie.picture_after_sound_ms(Colour::White, 2000);
    assert!(apart.len() >= marks_min, "{apart:?}");
    assert!(apart.iter().all(|ms| ms.abs() <= apart_ms), "{apart:?}");
}

fn assert_index_first(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let at = |name: &[u8]| bytes.windows(4).position(|four| four == name).unwrap();
    assert!(at(b"moov") < at(b"mdat"));
}

#[test]
fn a_clean_recording_is_whole_and_in_step() {
    let sent = [audio(), video()].concat();
    let recording = finalise(Kind::Video, sent);
    assert!(recording.has_video);
    assert_eq!(
        (recording.duration_ms, recording.media_type.as_str()),
        (5000, "video/mp4")
    );
    assert_index_first(&recording.file);
    let movie = Movie::decode(&recording.file);
    assert_eq!(movie.frames.len(), 125);
    assert!(
        movie.sound.duration_ms().abs_diff(5000) <= 40,
        "{}",
        movie.sound.duration_ms()
    );
    assert_together(&movie, 4, 45.0);
    // The very beginning is there: players leave out what an Opus header tells them to.
    assert_eq!(
        (movie.sound.tone_at(10, 40), movie.sound.tone_at(410, 180)),
        (Some(440), Some(2000))
    );
    assert_eq!(colour_of(&recording.poster.unwrap()), Some(Colour::Blue));
    let line = movie::ffprobe_line(&recording.file);
    assert!(
        line.contains("h264") && line.contains("opus") && line.contains("48000"),
        "{line}"
    );
    assert!(!recording.folder.path().join("faststart.tmp").exists());
}

#[test]
fn sender_reports_keep_the_step_that_the_network_lost() {
    let late = Sender { delay_ms: 300, ..VIDEO };
    let (sound, picture) = (cache(prepared(), "pcmu"), cache(prepared(), "h264-360-1"));
    let without = [audio(), packets(&picture, late)].concat();
    let with = [without.clone(), reports(&sound, AUDIO), reports(&picture, late)].concat();
    let recording = finalise(Kind::Video, with);
    assert_together(&Movie::decode(&recording.file), 4, 45.0);
    // The same packets without reports show what the reports are for.
    let apart = Movie::decode(&finalise(Kind::Video, without).file).picture_after_sound_ms(Colour::White, 2000);
    assert!(apart.iter().all(|ms| (200.0..400.0).contains(ms)), "{apart:?}");
}

#[test]
fn reordered_and_doubled_packets_leave_no_trace() {
    let mut sent = [audio(), video()].concat();
    sent.sort_by_key(|sent| sent.arrival_ms);
    for n in (0..sent.len() - 4).step_by(5) {
        sent.swap(n, n + 3);
        let (first, second) = (sent[n].arrival_ms, sent[n + 3].arrival_ms);
        (sent[n].arrival_ms, sent[n + 3].arrival_ms) = (second, first);
    }
    let doubled = sent.iter().step_by(3).cloned().collect();
    let movie = Movie::decode(&finalise(Kind::Video, [sent, doubled].concat()).file);
    assert_eq!(movie.frames.len(), 125);
    assert_together(&movie, 4, 65.0);
}

#[test]
fn after_a_loss_the_picture_stands_until_the_next_key_frame() {
    let mut pictures = video();
    // Frame 30 loses its first packet: key frames are 25 and 50.
    let rtp = 77_000u32 + 30 * 3600;
    let lost = pictures
        .iter()
        .position(|sent| sent.packet[4..8] == rtp.to_be_bytes())
        .unwrap();
    pictures.remove(lost);
    let recording = finalise(Kind::Video, [audio(), pictures].concat());
    let movie = Movie::decode(&recording.file);
    let times: Vec<u32> = movie.frames.iter().map(|(ms, _)| (ms / 40.0).round() as u32).collect();
    let expected: Vec<u32> = (0..30).chain(50..125).collect();
    assert_eq!(times, expected);
    assert_eq!(recording.duration_ms, 5000);
}

#[test]
fn lost_sound_is_silence_of_the_same_length() {
    let mut sound = audio();
    // 0.4 to 0.6 s of the second second is a tone; its middle goes.
    sound.drain(74..76);
    let movie = Movie::decode(&finalise(Kind::Audio, sound).file);
    assert!(movie.sound.duration_ms().abs_diff(5000) <= 40);
    assert_eq!(movie.sound.tone_at(1420, 40), Some(2000));
    assert_eq!(movie.sound.tone_at(1492, 20), None);
    assert_eq!(movie.sound.tone_at(1540, 40), Some(2000));
}

#[test]
fn a_picture_that_begins_late_stands_from_the_beginning_and_stays_in_step() {
    let from_second_key = |sent: &Sent| sent.packet[4..8] >= (77_000u32 + 20 * 3600).to_be_bytes()[..];
    let pictures: Vec<Sent> = video().into_iter().filter(from_second_key).collect();
    let movie = Movie::decode(&finalise(Kind::Video, [audio(), pictures].concat()).file);
    assert_eq!(movie.frames[0].0, 0.0);
    assert!((movie.frames[1].0 - 26.0 * 40.0).abs() < 2.0, "{:?}", movie.frames[1]);
    assert_together(&movie, 3, 45.0);
}

#[test]
fn a_spool_cut_in_the_middle_plays_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("a.spool");
    write_spool(&spool, Kind::Video, None, [audio(), video()].concat());
    let bytes = std::fs::read(&spool).unwrap();
    std::fs::write(&spool, &bytes[..bytes.len() / 2]).unwrap();
    let Outcome::Recording { file, duration_ms, .. } = Worker::start().finalise(&spool, folder.path()) else {
        panic!()
    };
    assert!((1500..4000).contains(&duration_ms), "{duration_ms}");
    let movie = Movie::decode(&folder.path().join(file));
    assert!(movie.sound.duration_ms().abs_diff(duration_ms) <= 40);
    assert_together(&movie, 1, 45.0);
}

#[test]
fn parameter_sets_announced_in_sdp_serve_a_sender_that_sends_none() {
    let is_set = |sent: &Sent| matches!(sent.packet[12] & 0x1f, 7 | 8);
    let (sets, pictures): (Vec<Sent>, Vec<Sent>) = video().into_iter().partition(is_set);
    // Sequence numbers must not show a gap where the sets were.
    let mut pictures = pictures;
    for (n, sent) in pictures.iter_mut().enumerate() {
        sent.packet[2..4].copy_from_slice(&(n as u16).to_be_bytes());
    }
    let fmtp = format!(
        "packetization-mode=1;sprop-parameter-sets={},{}",
        base64(&sets[0].packet[12..]),
        base64(&sets[1].packet[12..])
    );
    let sent = [audio(), pictures.clone()].concat();
    let movie = Movie::decode(&try_finalise(Kind::Video, Some(&fmtp), sent.clone()).unwrap().file);
    assert_eq!(movie.frames.len(), 125);
    // Without them nothing can be seen; the sound is kept.
    let recording = try_finalise(Kind::Video, None, sent).unwrap();
    assert!(!recording.has_video);
    assert_eq!(recording.media_type, "audio/mp4");
}

#[test]
fn a_sender_that_changes_its_size_is_one_film_still() {
    let small = packets(&cache(prepared(), "h264-180-1"), Sender { ssrc: 0xb1, ..VIDEO });
    let cut = 2000;
    let before = video().into_iter().filter(|sent| sent.arrival_ms < cut);
    let after = small.into_iter().filter(|sent| sent.arrival_ms >= cut);
    let recording = finalise(Kind::Video, [audio(), before.chain(after).collect()].concat());
    let movie = Movie::decode(&recording.file);
    assert!(movie.frames.len() >= 120, "{}", movie.frames.len());
    assert_together(&movie, 4, 85.0);
}

#[test]
fn sound_alone_is_an_mp4_too() {
    let recording = finalise(Kind::Audio, audio());
    assert_eq!(
        (
            recording.media_type.as_str(),
            recording.has_video,
            recording.duration_ms
        ),
        ("audio/mp4", false, 5000)
    );
    assert!(recording.poster.is_none());
    assert_index_first(&recording.file);
    assert_eq!(Movie::decode(&recording.file).sound.tone_at(2450, 100), Some(2000));
}

#[test]
fn a_browser_plays_what_was_heard_and_what_was_seen() {
    let recording = finalise(Kind::Video, [audio(), video()].concat());
    let seen = browser::play(&recording.file, 4.0, &recording.folder.path().join("seen.png"));
    assert_eq!((seen.error.as_str(), seen.size), ("", (640, 360)), "{seen:?}");
    assert!(
        seen.current_time >= 4.0 && (seen.duration - 5.0).abs() < 0.1,
        "{seen:?}"
    );
    let recording = finalise(Kind::Audio, audio());
    let heard = browser::play(&recording.file, 4.0, &recording.folder.path().join("heard.png"));
    assert_eq!(heard.error, "", "{heard:?}");
    assert!(
        heard.current_time >= 4.0 && (heard.duration - 5.0).abs() < 0.1,
        "{heard:?}"
    );
}

#[test]
fn a_spool_without_media_is_refused_and_without_a_key_frame_fails() {
    assert!(try_finalise(Kind::Video, None, Vec::new()).err().unwrap().0);
    let report = reports(&cache(prepared(), "pcmu"), AUDIO);
    assert!(try_finalise(Kind::Video, None, report).err().unwrap().0);
    let rtp = (77_000u32 + 125 * 3600).to_be_bytes();
    let no_key: Vec<Sent> = video()
        .into_iter()
        .filter(|sent| sent.packet[4..8] < rtp[..] && sent.packet[12] & 0x1f == 1)
        .collect();
    assert!(!try_finalise(Kind::Video, None, no_key).err().unwrap().0);
}

#[test]
fn rubbish_in_place_of_packets_does_no_harm() {
    let rubbish = |n: u64| Sent {
        stream: (n % 3) as u8,
        kind: if n.is_multiple_of(2) {
            RecordKind::Rtp
        } else {
            RecordKind::Rtcp
        },
        arrival_ms: n * 10,
        packet: (0..n % 90).map(|byte| (byte * n * 37 % 256) as u8).collect(),
    };
    let sent = [audio(), video(), (0..400).map(rubbish).collect()].concat();
    let movie = Movie::decode(&finalise(Kind::Video, sent).file);
    assert!(movie.frames.len() >= 100, "{}", movie.frames.len());
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        (0..=three.len())
            .map(|n| char::from(LETTERS[(bits >> (18 - 6 * n) & 63) as usize]))
            .collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
