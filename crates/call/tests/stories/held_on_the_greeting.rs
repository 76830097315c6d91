//! The greeting in place of the clip: it plays while A is held and while B rings; who has heard all of it goes on to the beep.

use segue_call::{MediaEvent, Source};
use segue_policy::HoldOn;
use segue_records::{CallResult, UnixMs};

use crate::stage::{PACKET_MS, Setup};

fn on_greeting() -> Setup {
    Setup::default().lookup(|l| l.plan.hold_on = HoldOn::Greeting)
}

#[test]
fn it_loops_until_b_answers() {
    let mut s = on_greeting().call();
    s.run_ms(PACKET_MS + 5_998);
    assert!(s.b().got().is_empty(), "not before the hold is over");
    s.run_ms(10);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.b().answers();
    s.a().acks();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(s.media_did()[2], "play greeting looping");
    assert_eq!((record.hold_asked_ms, record.hold_ms), (Some(6_000), Some(6_000)));
    assert_eq!(record.first_media_at, Some(UnixMs(1_700_000_000_002)));
    assert_eq!(record.result, CallResult::Answered);
}

#[test]
fn who_has_heard_it_goes_on_to_the_beep() {
    let mut s = on_greeting().call();
    s.run_ms(7_000);
    s.b().refuses(486, "Busy Here");
    let played: Vec<String> = s
        .media_did()
        .into_iter()
        .filter(|did| did.starts_with("play"))
        .collect();
    assert_eq!(played, ["play greeting looping", "play beep"]);
    s.a().acks();
    s.run_ms(5_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn who_has_not_hears_it_from_its_start() {
    let mut s = on_greeting().lookup(|l| l.plan.hold_ms = 0).call();
    s.run_ms(1_000);
    s.b().refuses(486, "Busy Here");
    let played: Vec<String> = s
        .media_did()
        .into_iter()
        .filter(|did| did.starts_with("play"))
        .collect();
    assert_eq!(played, ["play greeting looping", "play greeting"]);
    s.a().acks();
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Greeted);
}

#[test]
fn star_lets_it_come_to_its_end() {
    let mut s = on_greeting().call();
    s.press('*');
    s.run_ms(20_000);
    s.a().cancels();
    assert_eq!(s.finish().hold_ms, Some(8_000), "a greeting of 4 s, a hold of 6 s");
}

#[test]
fn without_a_greeting_the_clip_plays_and_what_fails_holds_nobody() {
    let mut s = on_greeting().lookup(|l| l.greeting = None).call();
    s.run_ms(100);
    assert_eq!(s.media_did()[2], "play clip looping");
    s.a().cancels();
    s.finish();

    let mut s = on_greeting().call();
    s.run_ms(1_000);
    let (source, why) = (Source::Greeting, "gone".to_owned());
    s.media(MediaEvent::PlayFailed { source, why });
    s.run_ms(10);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.a().cancels();
    s.finish();
}
