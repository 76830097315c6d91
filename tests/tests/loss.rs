//! A real softphone over a bad road: what Segue records of it is whole, and what it sees of the clip goes on.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use segue_tests::{
    impair::POOR,
    movie::{self, Movie},
    phone::{A, Answers, B, Codecs, Phone},
    picture::Colour,
    road::Road,
    segue::{Segue, sample},
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(8);
const MARK_HZ: u32 = 2000;
/// Pictures are 40 ms apart; longer than this one stands only where others are missing.
const STANDS_MS: f64 = 100.0;

/// A caller, a road and a server.
struct House {
    // Last things first: the folder goes when those that write to it are gone.
    a: Phone,
    _b: Phone,
    road: Road,
    segue: Segue,
    folder: tempfile::TempDir,
    /// Ticks a second of the timestamps of A's sound.
    sound_clock_hz: u32,
}

impl House {
    fn new(codecs: Codecs, seed: u64) -> House {
        let folder = tempfile::tempdir().unwrap();
        let segue = Segue::start(&folder.path().join("segue"));
        let road = Road::open(segue.sip_udp(), POOR, seed);
        let a = Phone::start_with(folder.path(), A, Answers::OnCommand, codecs);
        let b = Phone::start_with(folder.path(), B, Answers::OnCommand, codecs);
        segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
        let options = ["--clip", "green", "--hold", "1s", "--no-answer", "1s"];
        segue.cli(&[&["subscriber", "add", "b", "--target", &b.uri()][..], &options].concat());
        House {
            a,
            _b: b,
            road,
            segue,
            folder,
            sound_clock_hz: codecs.audio.clock_hz(),
        }
    }

    /// A sees the clip, leaves a message with so many marks in time, and hangs up.
    fn leave_marks(&mut self, marks: u32) -> Instant {
        let a = &mut self.a;
        let dialled = a.dial(&self.road.uri("b"));
        a.expect_sees(Colour::Green, SOON);
        a.expect_event("CALL_ESTABLISHED", dialled, Duration::from_secs(15));
        thread::sleep(Duration::from_millis(1500));
        for _ in 0..marks {
            a.mark(Colour::White, MARK_HZ);
            thread::sleep(Duration::from_millis(700));
            a.mark(Colour::Red, A.tone_hz);
            thread::sleep(Duration::from_millis(700));
        }
        a.hang_up();
        dialled
    }

    /// The message that was left in the call, and the call's record.
    fn message(&self, dialled: Instant) -> (std::path::PathBuf, Value) {
        let call_id = self.a.call_id(dialled);
        for (what, state) in [("message", "committed"), ("call", "ended")] {
            let which = ["wait", what, "--sip-call-id", &call_id];
            self.segue
                .cli(&[&which[..], &["--state", state, "--timeout", "30s"]].concat());
        }
        let messages = self.segue.rows(&["message", "list", "b"]);
        let id = messages[0]["id"].as_str().unwrap();
        let (file, _) = self.segue.export(id, self.folder.path());
        let calls = self.segue.rows(&["call", "list"]);
        let call = self.segue.cli(&["call", "show", calls[0]["id"].as_str().unwrap()]);
        (file, call)
    }
}

/// The message decodes, is A's picture, and its marks are seen and heard together.
#[track_caller]
fn expect_whole_and_in_step(house: &House, file: &Path, marks_min: usize) {
    let (carried, lost) = house.road.counts();
    assert!(lost * 200 > carried, "{lost} of {carried} packets were lost");
    // Panics when a decoder complains.
    let movie = Movie::decode(file);
    assert!(movie.share_of(Colour::Red) + movie.share_of(Colour::White) > 0.95);
    let mut marks = movie.marks(Colour::White, MARK_HZ);
    let asked = house.road.key_frames_asked();
    // A recording is placed by the median of its reports: what the phone's own sound falls behind meanwhile, on a busy machine,
    // stays in it.
    let behind_ms = house.road.sound_behind_ms(house.sound_clock_hz);
    println!("{lost} of {carried} lost, {asked} key frames asked; A's sound fell behind by {behind_ms} ms; {marks:?}");
    let apart_max_ms = 80.0 + behind_ms.max(0.0);
    marks.sort_by(|a, b| a.apart_ms.abs().total_cmp(&b.apart_ms.abs()));
    let middle = marks.get(marks.len() / 2).map(|mark| mark.apart_ms.abs());
    assert!(
        marks.len() >= marks_min && middle.is_some_and(|apart| apart <= apart_max_ms),
        "{behind_ms} ms behind: {marks:?}"
    );
    // A picture that stands until the next key frame turns late. Where none is missing, all turn in time, but for one that
    // the phone itself or a busy machine may have held up.
    let whole = marks.iter().filter(|mark| mark.stood_ms < STANDS_MS);
    let late = whole.filter(|mark| mark.apart_ms.abs() > apart_max_ms).count();
    assert!(late <= 1, "{marks:?}");
    // One is asked for when the recording begins, others when packets are lost.
    assert!(asked >= 3, "{asked} key frames were asked for");
}

#[test]
fn a_message_left_over_a_bad_road_is_whole_and_in_step() {
    let mut house = House::new(Codecs::USUAL, 11);
    let dialled = house.leave_marks(9);
    let (file, call) = house.message(dialled);
    expect_whole_and_in_step(&house, &file, 4);

    // The record has counted it, on both ways.
    let media = call["legs"][0]["media"].as_array().unwrap();
    let count = |kind: &str, what: &str| {
        let stream = media.iter().find(|stream| stream["kind"] == kind);
        stream.and_then(|stream| stream[what].as_u64()).unwrap_or(0)
    };
    assert!(count("audio", "lost") > 0 && count("audio", "late") > 0, "{media:?}");
    assert!(
        count("audio", "received") > 400 && count("video", "received") > 100,
        "{media:?}"
    );
    // And when: in stretches of a second or so, within the call, as many as are counted in all but for a few at its end.
    let began = call["started_at"].as_str().unwrap().to_owned();
    let ended = call["ended_at"].as_str().unwrap().to_owned();
    for kind in ["audio", "video"] {
        let stream = media.iter().find(|stream| stream["kind"] == kind).unwrap();
        let losses = stream["losses"]
            .as_array()
            .unwrap_or_else(|| panic!("{kind}: {media:?}"));
        let text = |loss: &Value, end: &str| loss[end].as_str().unwrap().to_owned();
        for loss in losses {
            let (from, until) = (text(loss, "from"), text(loss, "until"));
            assert!(began <= from && from <= until && until <= ended, "{kind}: {loss}");
        }
        let sum: u64 = losses.iter().map(|loss| loss["packets"].as_u64().unwrap()).sum();
        assert!(sum.abs_diff(count(kind, "lost")) <= 2, "{kind}: {sum} of {media:?}");
    }
    assert!(
        (40..200).contains(&count("audio", "rtt_ms")),
        "there and back takes 40 ms and more: {media:?}"
    );
}

#[test]
fn messages_in_vp8_with_opus_and_with_g722_are_whole_and_in_step_too() {
    // One after the other: two phones that make pictures on one machine keep each other from their sound.
    for (codecs, seed) in [(Codecs::OPUS_VP8, 12), (Codecs::G722_VP8, 13)] {
        let mut house = House::new(codecs, seed);
        let dialled = house.leave_marks(9);
        let (file, _) = house.message(dialled);
        let line = movie::ffprobe_line(&file);
        assert!(["webm", "vp8", "opus"].iter().all(|name| line.contains(name)), "{line}");
        expect_whole_and_in_step(&house, &file, 4);
        movie::expect_seeks(&file, &[2.5, 6.0]);
    }
}
