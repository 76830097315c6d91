//! CANCEL at each stage of the early phase.

use segue_policy::AnswerAt;
use segue_records::{CallResult, PhaseName};

use crate::stage::Setup;

#[test]
fn while_held_b_hears_nothing_of_it() {
    let mut s = Setup::default().call();
    s.run_ms(3_000);
    s.a().cancels();
    let record = s.finish();
    assert!(s.b().got().is_empty());
    assert_eq!(s.a().got(), ["183 sdp"], "sip has said 487");
    assert_eq!(
        (record.result, record.cause),
        (CallResult::AbandonedWhileHeld, Some(487))
    );
    assert_eq!((record.invited_at, record.hold_ms), (None, None));
    assert_eq!(record.phase_reached, PhaseName::Holding);
    assert_eq!(record.legs[0].status, Some(487));
}

#[test]
fn while_b_rings_b_is_cancelled() {
    let mut s = Setup::default().call();
    s.run_ms(7_000);
    s.b().rings();
    s.a().cancels();
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.b().got_reason().unwrap(), "SIP;cause=487;text=\"Caller hung up\"");
    assert!(!s.has_ended(), "B's leg is not gone yet");
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Abandoned, Some(487)));
    assert_eq!(record.legs[1].status, Some(487));
}

#[test]
fn a_200_that_crosses_the_cancel_gets_its_bye() {
    let mut s = Setup {
        b_crosses: true,
        ..Setup::default()
    }
    .call();
    s.run_ms(7_000);
    s.a().cancels();
    let record = s.finish();
    assert_eq!(s.b().got(), ["INVITE", "CANCEL", "BYE"]);
    assert_eq!(record.result, CallResult::Abandoned);
    assert_eq!(record.legs[1].status, Some(200));
}

#[test]
fn by_a_bye_in_the_early_dialog() {
    let mut s = Setup::default().call();
    s.run_ms(7_000);
    s.a().hangs_up();
    assert_eq!(s.a().got(), ["183 sdp"], "sip has said 487");
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    s.run_ms(100);
    assert!(s.has_ended());
}

#[test]
fn during_an_early_greeting() {
    let mut setup = Setup::default();
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = setup.call();
    s.run_ms(26_100);
    s.run_ms(1_000);
    s.a().cancels();
    let record = s.finish();
    assert_eq!(s.a().got(), ["183 sdp", "181 sdp"]);
    assert_eq!((record.result, record.answered_at), (CallResult::Greeted, None));
    assert_eq!(record.phase_reached, PhaseName::Greeting);
}

#[test]
fn before_the_callee_was_found() {
    let mut s = Setup {
        lookup_ms: 1_000,
        ..Setup::default()
    }
    .call();
    s.a().cancels();
    s.run_ms(2_000);
    let record = s.finish();
    assert!(s.media_did().is_empty() && s.a().got().is_empty());
    assert_eq!(
        (record.result, record.phase_reached),
        (CallResult::AbandonedWhileHeld, PhaseName::LookingUp)
    );
}
