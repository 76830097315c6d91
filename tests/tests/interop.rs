//! Real softphones through Segue: what arrived is decoded, by picture and tone.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use segue_tests::{
    browser,
    movie::{Movie, expect_seeks, ffprobe_line, has_video},
    phone::{A, Answers, B, Codecs, Phone},
    picture::Colour,
    segue::{Segue, sample},
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);
/// Tones of the clip, the greeting and a mark in time (media/README.md).
const CLIP_HZ: u32 = 880;
const GREETING_HZ: u32 = 660;
const MARK_HZ: u32 = 2000;

/// A caller, a callee and a server between.
struct House {
    a: Phone,
    b: Phone,
    segue: Segue,
    // Last: its files go when the others are gone.
    folder: tempfile::TempDir,
}

impl House {
    fn new(b_answers: Answers) -> House {
        House::with_codecs(b_answers, Codecs::USUAL, Codecs::USUAL)
    }

    /// A house whose caller and callee know these codecs alone.
    fn with_codecs(b_answers: Answers, of_a: Codecs, of_b: Codecs) -> House {
        let folder = tempfile::tempdir().unwrap();
        let segue = Segue::start(&folder.path().join("segue"));
        let a = Phone::start_with(folder.path(), A, Answers::OnCommand, of_a);
        let b = Phone::start_with(folder.path(), B, b_answers, of_b);
        segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
        segue.cli(&["clip", "add", "yellow", sample("greeting.mp4").to_str().unwrap()]);
        House { a, b, segue, folder }
    }

    /// Makes B a subscriber with these options.
    fn subscribe(&self, options: &[&str]) {
        let target = self.b.uri();
        let mut args = vec!["subscriber", "add", "b", "--target", target.as_str()];
        args.extend(options);
        self.segue.cli(&args);
    }

    fn dial(&mut self) -> Instant {
        self.a.dial(&self.segue.uri("b"))
    }

    /// A and B see and hear each other.
    fn expect_bridged(&mut self) {
        self.a.expect_sees(Colour::Blue, SOON);
        self.b.expect_sees(Colour::Red, SOON);
        self.a.expect_hears(B.tone_hz, SOON);
        self.b.expect_hears(A.tone_hz, SOON);
        // It is their present picture and sound, not a stored one.
        self.a.show(Colour::White);
        self.a.sound(MARK_HZ);
        self.b.expect_sees(Colour::White, SOON);
        self.b.expect_hears(MARK_HZ, SOON);
    }

    /// A leaves marks in time in its message: picture and tone change at one moment. Then it hangs up.
    fn leave_marks(&mut self) {
        std::thread::sleep(Duration::from_millis(1500));
        for _ in 0..4 {
            self.a.mark(Colour::White, MARK_HZ);
            std::thread::sleep(Duration::from_millis(700));
            self.a.mark(Colour::Red, A.tone_hz);
            std::thread::sleep(Duration::from_millis(700));
        }
        self.a.hang_up();
    }

    /// The record of the call that A began at `dialled`, once it has ended.
    fn record(&self, dialled: Instant) -> Value {
        let call_id = self.a.call_id(dialled);
        self.segue.cli(&[
            "wait",
            "call",
            "--sip-call-id",
            &call_id,
            "--state",
            "ended",
            "--timeout",
            "15s",
        ]);
        let calls = self.segue.rows(&["call", "list"]);
        let row = calls.iter().find(|row| row["sip_call_id"] == call_id.as_str());
        row.unwrap_or_else(|| panic!("no call {call_id} in {calls:?}")).clone()
    }

    /// The message of the call that A began at `dialled`, once it is committed, with its media type, and its exported
    /// file.
    fn message(&self, dialled: Instant) -> (Value, std::path::PathBuf) {
        let call_id = self.a.call_id(dialled);
        self.segue.cli(&[
            "wait",
            "message",
            "--sip-call-id",
            &call_id,
            "--state",
            "committed",
            "--timeout",
            "30s",
        ]);
        let messages = self.segue.rows(&["message", "list", "b"]);
        let row = messages.iter().find(|row| row["sip_call_id"] == call_id.as_str());
        let mut row = row
            .unwrap_or_else(|| panic!("no message of {call_id} in {messages:?}"))
            .clone();
        let (file, media_type) = self.segue.export(row["id"].as_str().unwrap(), self.folder.path());
        row["media_type"] = media_type.into();
        (row, file)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty());
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The message decodes, is A's picture and sound with its marks at one time, and lasts as long as its row says.
#[track_caller]
fn expect_marked(row: &Value, file: &Path) {
    let movie = Movie::decode(file);
    assert_eq!(
        movie.frames.first().map(|(_, colour)| *colour),
        Some(Colour::Red),
        "{}",
        ffprobe_line(file)
    );
    assert!(
        movie.share_of(Colour::Red) > 0.5,
        "red is {}",
        movie.share_of(Colour::Red)
    );
    assert!(movie.share_of(Colour::Red) + movie.share_of(Colour::White) > 0.95);
    assert!(movie.sound.share_of(A.tone_hz, 0) > 0.5, "{:?}", movie.sound.tones());
    let apart = movie.picture_after_sound_ms(Colour::White, MARK_HZ);
    assert!(apart.len() >= 3, "marks found: {apart:?}");
    assert!(
        median(apart.clone()).abs() <= 80.0,
        "picture after sound, ms: {apart:?}"
    );
    let stated_ms = row["duration_ms"].as_u64().unwrap();
    let heard_ms = movie.sound.duration_ms();
    assert!(
        stated_ms.abs_diff(heard_ms) < 500,
        "the row says {stated_ms} ms, its sound lasts {heard_ms} ms"
    );
}

#[test]
fn a_held_caller_sees_and_hears_the_clip_and_the_callee_knows_nothing() {
    let mut house = House::new(Answers::AtOnce);
    house.subscribe(&["--clip", "green", "--hold", "5s"]);
    let dialled = house.dial();
    house.a.expect_sees(Colour::Green, SOON);
    house.a.expect_hears(CLIP_HZ, SOON);
    assert!(
        dialled.elapsed() < Duration::from_secs(4),
        "the clip came late: {:?}",
        dialled.elapsed()
    );
    assert!(!house.b.was_called(dialled), "B was called while A was held");
    assert!(
        !house.a.had_event("CALL_ESTABLISHED", dialled),
        "A was answered while held"
    );
    let rung = house.b.expect_called(dialled, Duration::from_secs(6));
    assert!(
        rung - dialled >= Duration::from_millis(4950),
        "B was called {:?} after the dialling",
        rung - dialled
    );
    house.a.expect_sees(Colour::Blue, SOON);
    house.a.expect_hears(B.tone_hz, SOON);
    house.a.hang_up();
    let tones: Vec<u32> = house.a.heard().tones().into_iter().map(|(_, hz)| hz).collect();
    assert_eq!(tones, [CLIP_HZ, B.tone_hz]);
    let call = house.record(dialled);
    assert_eq!(
        (call["result"].as_str(), call["hold_asked_ms"].as_u64()),
        (Some("answered"), Some(5000)),
        "{call}"
    );
    let hold_ms = call["hold_ms"].as_u64().unwrap();
    assert!((5000..5100).contains(&hold_ms), "held {hold_ms} ms");
}

#[test]
fn bridged_parties_see_and_hear_each_other() {
    let mut house = House::new(Answers::OnCommand);
    house.subscribe(&["--clip", "green", "--hold", "1s"]);
    let dialled = house.dial();
    house.b.expect_called(dialled, SOON);
    // While B's phone rings the clip goes on.
    house.a.expect_sees(Colour::Green, SOON);
    house.b.answer();
    house.a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    house.expect_bridged();
    house.b.hang_up();
    house.a.expect_event("CALL_CLOSED", dialled, SOON);
    let call = house.record(dialled);
    assert_eq!(call["result"], "answered", "{call}");
    let switches = call["switches"].as_array().unwrap();
    for kind in ["audio", "video"] {
        let switch = switches
            .iter()
            .find(|switch| switch["to"] == "callee" && switch["kind"] == kind);
        let gap_ms = switch.unwrap_or_else(|| panic!("no {kind} switch to B: {call}"))["gap_ms"]
            .as_u64()
            .unwrap();
        assert!(gap_ms < 1000, "{kind} gap {gap_ms} ms");
    }
}

#[test]
fn an_unanswered_call_leaves_a_video_message_that_plays() {
    let mut house = House::new(Answers::OnCommand);
    house.subscribe(&[
        "--clip",
        "green",
        "--hold",
        "1s",
        "--no-answer",
        "1s",
        "--greeting",
        "yellow",
    ]);
    let dialled = house.dial();
    house.a.expect_sees(Colour::Green, SOON);
    house.a.expect_sees(Colour::Yellow, SOON);
    house.a.expect_hears(GREETING_HZ, SOON);
    house.b.expect_event("CALL_CLOSED", dialled, SOON);
    house
        .a
        .expect_event("CALL_ESTABLISHED", dialled, Duration::from_secs(10));
    house.a.expect_sees(Colour::Grey, SOON);
    house.leave_marks();
    let (row, file) = house.message(dialled);
    assert_eq!(
        (
            row["kind"].as_str(),
            row["state"].as_str(),
            row["media_state"].as_str(),
            row["interrupted"].as_bool()
        ),
        (Some("video"), Some("unheard"), Some("ready"), Some(false)),
        "{row}"
    );
    expect_marked(&row, &file);
    let played = browser::play(&file, 1.0, &house.folder.path().join("shot.png"));
    assert!(
        played.current_time >= 1.0 && played.error.is_empty() && played.size == (640, 360),
        "{played:?}"
    );
    let call = house.record(dialled);
    assert_eq!(
        (call["result"].as_str(), call["message_id"].as_str()),
        (Some("message"), row["id"].as_str()),
        "{call}"
    );
}

#[test]
fn a_caller_without_a_camera_hears_the_clip_and_leaves_a_voice_message() {
    expect_voice_message(Codecs::AUDIO_ONLY, Codecs::USUAL);
}

#[test]
fn a_caller_with_g722_alone_leaves_a_voice_message() {
    expect_voice_message(Codecs::G722_ONLY, Codecs::G722_VP8);
}

/// A caller without a camera hears the clip and leaves a message that plays: its tones, as long as they were.
fn expect_voice_message(of_a: Codecs, of_b: Codecs) {
    let mut house = House::with_codecs(Answers::OnCommand, of_a, of_b);
    house.subscribe(&["--clip", "green", "--hold", "1s", "--no-answer", "1s"]);
    let dialled = house.dial();
    house.a.expect_hears(CLIP_HZ, SOON);
    house
        .a
        .expect_event("CALL_ESTABLISHED", dialled, Duration::from_secs(10));
    std::thread::sleep(Duration::from_secs(2));
    house.a.sound(MARK_HZ);
    std::thread::sleep(Duration::from_secs(2));
    house.a.hang_up();
    let (row, file) = house.message(dialled);
    assert_eq!(
        (row["kind"].as_str(), row["media_state"].as_str()),
        (Some("audio"), Some("ready")),
        "{row}"
    );
    assert!(!has_video(&file));
    let movie = Movie::decode(&file);
    let tones: Vec<u32> = movie.sound.tones().into_iter().map(|(_, hz)| hz).collect();
    assert_eq!(tones, [A.tone_hz, MARK_HZ], "at their own pitch");
    let shares = [A.tone_hz, MARK_HZ].map(|hz| movie.sound.share_of(hz, 0));
    assert!(shares.iter().all(|share| (0.35..0.65).contains(share)), "{shares:?}");
    assert!(shares.iter().sum::<f64>() > 0.9, "{shares:?}");
    let (stated_ms, heard_ms) = (row["duration_ms"].as_u64().unwrap(), movie.sound.duration_ms());
    assert!(
        stated_ms.abs_diff(heard_ms) < 500 && (3_500..5_500).contains(&heard_ms),
        "the row says {stated_ms} ms, its sound lasts {heard_ms} ms"
    );
    let played = browser::play(&file, 1.0, &house.folder.path().join("shot.png"));
    assert!(played.current_time >= 1.0 && played.error.is_empty(), "{played:?}");
}

#[test]
fn the_hash_key_skips_the_rest_of_the_clip() {
    let mut house = House::new(Answers::AtOnce);
    house.subscribe(&["--clip", "green", "--hold", "15s"]);
    let dialled = house.dial();
    house.a.expect_hears(CLIP_HZ, SOON);
    house.a.press('#');
    house.b.expect_called(dialled, SOON);
    house.a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    house.a.expect_hears(B.tone_hz, SOON);
    house.a.hang_up();
    let call = house.record(dialled);
    assert!(call["hold_ms"].as_u64().unwrap() < 10_000, "{call}");
}

#[test]
fn phones_of_vp8_and_opus_see_and_hear_the_clip_and_then_each_other() {
    expect_clip_and_bridge(Codecs::OPUS_VP8);
}

#[test]
fn phones_of_vp8_and_g722_see_and_hear_the_clip_and_then_each_other() {
    expect_clip_and_bridge(Codecs::G722_VP8);
}

/// The clip comes early, then A and B are bridged, both with these codecs alone.
fn expect_clip_and_bridge(codecs: Codecs) {
    let mut house = House::with_codecs(Answers::OnCommand, codecs, codecs);
    house.subscribe(&["--clip", "green", "--hold", "1s"]);
    let dialled = house.dial();
    house.a.expect_sees(Colour::Green, SOON);
    house.a.expect_hears(CLIP_HZ, SOON);
    house.b.expect_called(dialled, SOON);
    assert!(
        !house.a.had_event("CALL_ESTABLISHED", dialled),
        "the clip was not early"
    );
    house.b.answer();
    house.a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    house.expect_bridged();
    house.b.hang_up();
    let call = house.record(dialled);
    assert_eq!(call["result"], "answered", "{call}");
}

#[test]
fn a_message_in_vp8_and_opus_is_a_webm_that_plays() {
    let mut house = House::with_codecs(Answers::OnCommand, Codecs::OPUS_VP8, Codecs::OPUS_VP8);
    house.subscribe(&["--clip", "green", "--hold", "1s", "--no-answer", "1s"]);
    let dialled = house.dial();
    house
        .a
        .expect_event("CALL_ESTABLISHED", dialled, Duration::from_secs(10));
    house.a.expect_sees(Colour::Grey, SOON);
    house.leave_marks();
    let (row, file) = house.message(dialled);
    assert_eq!(
        (row["kind"].as_str(), row["media_type"].as_str()),
        (Some("video"), Some("video/webm")),
        "{row}"
    );
    let line = ffprobe_line(&file);
    assert!(["webm", "vp8", "opus"].iter().all(|name| line.contains(name)), "{line}");
    expect_marked(&row, &file);
    expect_seeks(&file, &[1.5, 4.0]);
    let played = browser::play(&file, 1.0, &house.folder.path().join("shot.png"));
    assert!(
        played.current_time >= 1.0 && played.error.is_empty() && played.size == (640, 360),
        "{played:?}"
    );
}
