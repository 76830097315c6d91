//! A real softphone over a bad road: what Segue records of it is whole, and what it sees of the clip goes on.

use std::{thread, time::Duration};

use segue_tests::{
    impair::POOR,
    movie::Movie,
    phone::{A, Answers, B, Phone},
    picture::Colour,
    road::Road,
    segue::{Segue, sample},
};

const SOON: Duration = Duration::from_secs(8);
const MARK_HZ: u32 = 2000;

#[test]
fn a_message_left_over_a_bad_road_is_whole_and_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    let road = Road::open(segue.sip_udp(), POOR, 11);
    let mut a = Phone::start(folder.path(), A, Answers::OnCommand);
    let b = Phone::start(folder.path(), B, Answers::OnCommand);
    segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
    let options = ["--clip", "green", "--hold", "1s", "--no-answer", "1s"];
    segue.cli(&[&["subscriber", "add", "b", "--target", &b.uri()][..], &options].concat());
    let dialled = a.dial(&road.uri("b"));
    a.expect_sees(Colour::Green, SOON);
    a.expect_event("CALL_ESTABLISHED", dialled, Duration::from_secs(15));
    thread::sleep(Duration::from_millis(1500));
    for _ in 0..9 {
        a.show(Colour::White);
        a.sound(MARK_HZ);
        thread::sleep(Duration::from_millis(700));
        a.show(Colour::Red);
        a.sound(A.tone_hz);
        thread::sleep(Duration::from_millis(700));
    }
    a.hang_up();
    let call_id = a.call_id(dialled);
    let wait = |what: &str, state: &str| {
        segue.cli(&[
            "wait",
            what,
            "--sip-call-id",
            &call_id,
            "--state",
            state,
            "--timeout",
            "30s",
        ]);
    };
    wait("message", "committed");
    wait("call", "ended");
    let messages = segue.rows(&["message", "list", "b"]);
    let id = messages[0]["id"].as_str().unwrap();
    let file = folder.path().join("message.mp4");
    segue.cli(&["message", "export", id, file.to_str().unwrap()]);

    let (carried, lost) = road.counts();
    assert!(lost * 200 > carried, "{lost} of {carried} packets were lost");
    // Panics when a decoder complains.
    let movie = Movie::decode(&file);
    assert!(movie.share_of(Colour::Red) + movie.share_of(Colour::White) > 0.95);
    let mut apart = movie.picture_after_sound_ms(Colour::White, MARK_HZ);
    apart.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    println!("{lost} of {carried} lost; picture after sound, ms: {apart:?}");
    // Single marks suffer when their own packets are lost; most do not.
    assert!(apart.len() >= 4 && apart[apart.len() / 2].abs() <= 80.0, "{apart:?}");

    // The record has counted it, on both ways.
    let calls = segue.rows(&["call", "list"]);
    let call = segue.cli(&["call", "show", calls[0]["id"].as_str().unwrap()]);
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
    assert!(
        (40..200).contains(&count("audio", "rtt_ms")),
        "there and back takes 40 ms and more: {media:?}"
    );
}
