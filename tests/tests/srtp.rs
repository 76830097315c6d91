//! Softphones that know SRTP alone, and others: what arrived is decoded.

use std::time::{Duration, Instant};

use segue_tests::{
    movie::Movie,
    phone::{A, Answers, B, Codecs, Phone},
    picture::Colour,
    segue::{Segue, sample},
};

const SOON: Duration = Duration::from_secs(5);
const CLIP_HZ: u32 = 880;

fn segue(folder: &std::path::Path, target: &Phone, options: &[&str]) -> Segue {
    let segue = Segue::start(&folder.join("segue"));
    segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
    let target = target.uri();
    let args = ["subscriber", "add", "b", "--target", target.as_str(), "--clip", "green"];
    segue.cli(&[&args[..], options].concat());
    segue
}

#[test]
fn early_video_is_seen_over_srtp_and_the_bridge_goes_to_a_phone_without() {
    let folder = tempfile::tempdir().unwrap();
    let mut a = Phone::start_with_srtp(folder.path(), A, Answers::OnCommand, Codecs::USUAL);
    let mut b = Phone::start(folder.path(), B, Answers::AtOnce);
    let segue = segue(folder.path(), &b, &["--hold", "2s"]);
    let dialled = a.dial(&segue.uri("b"));
    a.expect_sees(Colour::Green, SOON);
    a.expect_hears(CLIP_HZ, SOON);
    assert!(!a.had_event("CALL_ESTABLISHED", dialled), "it is early media");
    // B refuses SRTP and is asked again.
    b.expect_called(dialled, SOON);
    a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    a.expect_sees(Colour::Blue, SOON);
    b.expect_sees(Colour::Red, SOON);
    a.expect_hears(B.tone_hz, SOON);
    b.expect_hears(A.tone_hz, SOON);
    let call_id = a.call_id(dialled);
    a.hang_up();
    b.expect_event("CALL_CLOSED", dialled, SOON);
    segue.cli(&[
        "wait",
        "call",
        "--sip-call-id",
        &call_id,
        "--state",
        "ended",
        "--timeout",
        "15s",
    ]);
    let calls = segue.rows(&["call", "list"]);
    let call = calls.iter().find(|row| row["sip_call_id"] == call_id.as_str()).unwrap();
    assert_eq!(call["result"], "answered", "{call}");
    let shown = segue.cli(&["call", "show", call["id"].as_str().unwrap()]).to_string();
    assert!(shown.contains("488") && !shown.contains("inline"), "{shown}");
    assert!(!segue.log_text().contains("inline:"), "no key is in the log");
}

#[test]
fn a_message_left_over_srtp_plays() {
    let folder = tempfile::tempdir().unwrap();
    let mut a = Phone::start_with_srtp(folder.path(), A, Answers::OnCommand, Codecs::OPUS_VP8);
    let b = Phone::start_with_srtp(folder.path(), B, Answers::OnCommand, Codecs::OPUS_VP8);
    let segue = segue(folder.path(), &b, &["--hold", "1s", "--no-answer", "1s"]);
    let dialled = a.dial(&segue.uri("b"));
    a.expect_sees(Colour::Green, SOON);
    b.expect_called(dialled, SOON);
    a.expect_event("CALL_ESTABLISHED", dialled, Duration::from_secs(10));
    std::thread::sleep(Duration::from_secs(3));
    let call_id = a.call_id(dialled);
    a.hang_up();
    let began = Instant::now();
    segue.cli(&[
        "wait",
        "message",
        "--sip-call-id",
        &call_id,
        "--state",
        "committed",
        "--timeout",
        "30s",
    ]);
    let messages = segue.rows(&["message", "list", "b"]);
    let (file, _) = segue.export(messages[0]["id"].as_str().unwrap(), folder.path());
    let movie = Movie::decode(&file);
    assert!(movie.share_of(Colour::Red) > 0.9, "{:?}", movie.frames);
    assert!(movie.sound.share_of(A.tone_hz, 0) > 0.8, "{:?}", movie.sound.tones());
    assert!(
        movie.sound.duration_ms() > 2_000,
        "{} ms after {:?}",
        movie.sound.duration_ms(),
        began.elapsed()
    );
}
