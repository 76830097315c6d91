//! A callee without a clip, and one whose clip plays while it rings.

use segue_records::{CallResult, PhaseName};

use crate::stage::Setup;

#[test]
fn without_a_clip_b_is_invited_at_once_and_its_ringing_passed_on() {
    let mut s = Setup::default().lookup(|l| l.clip = None).call();
    assert_eq!(s.b().got(), ["INVITE"]);
    assert!(s.a().got().is_empty());
    s.b().progresses(182);
    s.b().rings();
    s.b().rings();
    assert_eq!(s.a().got(), ["182", "180"], "the phone makes its own ringing tone");
    s.b().answers();
    assert_eq!(s.a().got(), ["182", "180", "200 sdp"]);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!((record.first_media_at, record.hold_ms), (None, None));
    assert_eq!(
        s.media_did(),
        [
            "open a",
            "configure a",
            "open b",
            "configure b",
            "bridge b",
            "close b",
            "close"
        ]
    );
}

#[test]
fn a_hold_of_zero_plays_the_clip_while_b_rings() {
    let mut s = Setup::default().lookup(|l| l.plan.hold_ms = 0).call();
    assert_eq!(s.a().got(), ["183 sdp"]);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.run_ms(100);
    assert_eq!(s.phase(), PhaseName::Ringing);
    s.a().cancels();
    let record = s.finish();
    assert_eq!((record.hold_asked_ms, record.hold_ms), (Some(0), Some(0)));
    assert!(record.first_media_at.is_some());
    assert_eq!(record.result, CallResult::Abandoned);
}

#[test]
fn a_hold_of_zero_still_waits_for_the_prack() {
    let setup = Setup {
        supports_100rel: true,
        ..Setup::default()
    };
    let mut s = setup.lookup(|l| l.plan.hold_ms = 0).call();
    s.run_ms(1_000);
    assert!(s.b().got().is_empty());
    s.a().pracks();
    s.run_ms(1);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.a().cancels();
    s.finish();
}
