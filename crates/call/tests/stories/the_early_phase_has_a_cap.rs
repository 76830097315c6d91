//! 170 s without an answer: whatever was going on, A is answered.

use segue_policy::AnswerAt;
use segue_records::CallResult;

use crate::stage::{Setup, clip};

#[test]
fn ringing_for_hours_ends_in_the_mailbox() {
    let mut s = Setup::default().lookup(|l| l.plan.no_answer_ms = 3_600_000).call();
    s.run_ms(169_990);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.run_ms(20);
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    s.run_ms(7_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn holding_for_hours_ends_in_the_mailbox() {
    let mut s = Setup::default().lookup(|l| l.plan.hold_ms = 3_600_000).call();
    s.run_ms(170_010);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    s.a().hangs_up();
    let record = s.finish();
    assert!(s.b().got().is_empty());
    assert_eq!(record.result, CallResult::Greeted);
}

#[test]
fn a_long_early_greeting_is_answered_in_its_midst() {
    let mut setup = Setup::default().lookup(|l| l.greeting = Some(clip(2, "sorry", 3_600_000)));
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = setup.call();
    s.run_ms(169_900);
    assert_eq!(s.a().got(), ["183 sdp", "181 sdp"]);
    s.run_ms(200);
    assert_eq!(s.a().got(), ["183 sdp", "181 sdp", "200 sdp"]);
    assert_eq!(s.media_did().last().unwrap(), "play greeting", "the greeting goes on");
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Greeted);
}

#[test]
fn a_store_that_never_answers_is_a_time_out() {
    let mut s = Setup {
        lookup_ms: 3_600_000,
        ..Setup::default()
    }
    .call();
    s.run_ms(170_010);
    assert_eq!(s.a().got(), ["504"]);
    assert_eq!(s.finish().result, CallResult::Failed);
}

#[test]
fn an_answer_that_is_never_acknowledged_is_a_time_out() {
    let mut s = Setup {
        supports_100rel: true,
        ..Setup::default()
    }
    .call();
    s.run_ms(170_010);
    assert_eq!(s.a().got(), ["183 reliable sdp", "504"]);
    assert_eq!(s.finish().result, CallResult::Failed);
}
