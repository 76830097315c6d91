//! The peers themselves, without Segue between: when one of these fails, nothing that `interop` says counts.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use segue_tests::{
    browser,
    movie::{Movie, has_video},
    phone::{A, Answers, B, Codecs, Phone},
    picture::Colour,
    segue::sample,
};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn two_phones_see_and_hear_each_other() {
    expect_a_call(Codecs::USUAL);
}

#[test]
fn two_phones_of_vp8_and_opus_see_and_hear_each_other() {
    expect_a_call(Codecs::OPUS_VP8);
}

#[test]
fn two_phones_of_vp8_and_g722_see_and_hear_each_other() {
    expect_a_call(Codecs::G722_VP8);
}

fn expect_a_call(codecs: Codecs) {
    let folder = tempfile::tempdir().unwrap();
    let mut a = Phone::start_with(folder.path(), A, Answers::OnCommand, codecs);
    let mut b = Phone::start_with(folder.path(), B, Answers::AtOnce, codecs);
    let began = Instant::now();
    a.dial(&b.uri());
    a.expect_event("CALL_ESTABLISHED", began, SOON);
    a.expect_sees(Colour::Blue, SOON);
    b.expect_sees(Colour::Red, SOON);
    a.expect_hears(B.tone_hz, SOON);
    b.expect_hears(A.tone_hz, SOON);
    a.show(Colour::White);
    a.sound(2000);
    b.expect_sees(Colour::White, SOON);
    b.expect_hears(2000, SOON);
    a.hang_up();
    b.expect_event("CALL_CLOSED", began, SOON);
}

#[test]
fn the_callers_sample_is_red_and_440_hz() {
    let movie = Movie::decode(&sample("party-a.mp4"));
    assert!(movie.share_of(Colour::Red) > 0.99, "{:?}", movie.frames);
    assert!(movie.sound.share_of(440, 200) > 0.95, "{:?}", movie.sound.tones());
    assert!(has_video(&sample("party-a.mp4")) && !has_video(&sample("party-a.wav")));
}

#[test]
fn a_picture_that_comes_60_ms_before_its_sound_is_measured_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("apart.mp4");
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=red:size=320x180:rate=25:duration=4",
            "-f",
            "lavfi",
            "-i",
        ])
        .arg("aevalsrc=0.3*sin(2*PI*t*if(between(t\\,1.06\\,2)\\,2000\\,440)):s=48000:d=4")
        .args([
            "-vf",
            "drawbox=color=white:t=fill:enable=between(t\\,1\\,2)",
            "-c:v",
            "libx264",
            "-bf",
            "0",
            "-c:a",
            "aac",
        ])
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    let apart = Movie::decode(&file).picture_after_sound_ms(Colour::White, 2000);
    assert_eq!(apart.len(), 1);
    assert!((apart[0] + 60.0).abs() < 10.0, "{apart:?}");
}

#[test]
fn the_browser_plays_the_callers_sample() {
    let folder = tempfile::tempdir().unwrap();
    let screenshot = folder.path().join("shot.png");
    let played = browser::play(&sample("party-a.mp4"), 1.0, &screenshot);
    assert!(played.current_time >= 1.0 && played.error.is_empty(), "{played:?}");
    assert_eq!(played.size, (640, 360));
    assert!((9.5..10.5).contains(&played.duration), "{played:?}");
    assert_eq!(Colour::of_file(&screenshot), Some(Colour::Red));
}

#[test]
fn the_browser_says_so_when_it_cannot_play_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let screenshot = folder.path().join("shot.png");
    let played = browser::play(Path::new("/dev/null"), 1.0, &screenshot);
    assert!(played.current_time == 0.0 && !played.error.is_empty(), "{played:?}");
}
