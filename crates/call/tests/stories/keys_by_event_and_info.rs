//! A key means the same by telephone-event and by INFO, counts once when a phone tells it both ways, and reaches the other side of
//! a bridge in the way that side agreed on.

use segue_call::MediaEvent;
use segue_records::CallResult;

use crate::stage::{A, AUDIO, B, PACKET_MS, Setup, Stage, sdp};

const AUDIO_WITHOUT_EVENTS: &str = "m=audio 4000 RTP/AVP 0 8\r\n";

/// A call that B has answered with this SDP.
fn bridged(setup: Setup, answer: &str) -> Stage {
    let mut s = setup.call();
    s.run_ms(7_000);
    s.b().answers_with(Some(sdp(answer)));
    s.a().acks();
    s.run_ms(100);
    s
}

fn keys(did: Vec<String>) -> Vec<String> {
    did.into_iter().filter(|action| action.starts_with("key ")).collect()
}

#[test]
fn hash_by_info_ends_the_hold() {
    let mut s = Setup::default().call();
    s.run_ms(PACKET_MS + 2_000);
    s.a().presses('1');
    assert!(s.b().got().is_empty());
    s.a().presses('#');
    s.run_ms(0);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.a().cancels();
    let record = s.finish();
    assert_eq!(record.hold_ms, Some(2_001));
}

#[test]
fn hash_by_info_ends_greeting_and_recording() {
    let mut s = Setup::default().call();
    s.run_ms(7_000);
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    s.run_ms(500);
    s.a().presses('#');
    assert_eq!(s.media_did().last().unwrap(), "play beep");
    s.run_ms(5_000);
    s.a().presses('#');
    let record = s.finish();
    assert_eq!(record.result, CallResult::Message);
    assert!(record.why.ends_with("ended by #."), "{}", record.why);
}

#[test]
fn one_press_told_both_ways_skips_one_thing() {
    let mut s = Setup::default().call();
    s.run_ms(7_000);
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    s.run_ms(500);
    // The event begins the press; the INFO comes as it ends, while the beep plays, and must not end what comes after.
    s.press('#');
    s.run_ms(1_100);
    s.a().presses('#');
    s.run_ms(3_000);
    assert_eq!(s.phase(), segue_records::PhaseName::Recording);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn between_events_the_packet_path_carries_and_info_becomes_an_event() {
    let mut s = bridged(Setup::default(), AUDIO);
    s.press('5');
    s.media(MediaEvent::Dtmf { leg: B, key: '6' });
    assert!(keys(s.media_did()).is_empty());
    s.run_ms(2_000);
    s.a().presses('7');
    s.b().presses('8');
    assert_eq!(keys(s.media_did()), ["key 7 120 to b", "key 8 120 to a"]);
    assert!(keys(s.b().got()).is_empty() && keys(s.a().got()).is_empty());
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_side_without_events_gets_an_info() {
    let mut s = bridged(Setup::default(), AUDIO_WITHOUT_EVENTS);
    s.press('5');
    s.run_ms(2_000);
    s.a().presses('6');
    s.run_ms(2_000);
    // Told both ways it is passed on once.
    s.a().presses('7');
    s.press('7');
    assert_eq!(keys(s.b().got()), ["key 5 160", "key 6 120", "key 7 120"]);
    s.b().presses('9');
    assert_eq!(keys(s.media_did()), ["key 9 120 to a"]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn before_the_bridge_no_key_reaches_b() {
    let mut s = Setup::default().call();
    s.run_ms(7_000);
    s.b().rings();
    s.a().presses('5');
    s.press('6');
    assert_eq!(s.b().got(), ["INVITE"]);
    s.media(MediaEvent::Dtmf { leg: A, key: '#' });
    s.b().answers();
    s.a().acks();
    assert!(keys(s.b().got()).is_empty() && keys(s.media_did()).is_empty());
    s.b().hangs_up();
    s.finish();
}
