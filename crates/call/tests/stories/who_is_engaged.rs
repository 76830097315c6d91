//! A callee that is in a call already, and whose phones a call engages.

use segue_policy::{ClipChoice, OnMissed, Outcome, Then, Why};
use segue_records::{CallResult, RuleRecord};

use crate::stage::{Setup, Stage, clip};

fn engaged(missed: Option<Outcome>) -> Stage {
    let lookup = Setup::default().lookup(|lookup| {
        lookup.plan.engage(1);
        let on = |outcome| OnMissed {
            why: Why::Busy,
            place: 3,
            outcome,
        };
        lookup.plan.decided.missed = missed.into_iter().map(on).collect();
        lookup.named = vec![clip(9, "away", 2_000)];
    });
    lookup.call()
}

#[test]
fn a_callee_that_is_in_a_call_is_busy_at_once_without_a_hold() {
    let mut s = engaged(None);
    assert_eq!(s.a().got(), ["200 sdp"], "no hold");
    s.a().acks();
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(486)));
    assert_eq!(
        (record.invited_at, record.hold_asked_ms, record.legs.len()),
        (None, None, 1)
    );
    assert!(
        record
            .why
            .starts_with("The callee was in a call already, and takes no more"),
        "{}",
        record.why
    );
}

#[test]
fn the_rule_for_busy_acts() {
    let told = |record: segue_records::CallRecord| record.rules.iter().map(RuleRecord::told).collect::<Vec<_>>();
    let mut s = engaged(Some(Outcome {
        then: Some(Then::Forward("sip:deputy@192.0.2.9".into())),
        ..Outcome::default()
    }));
    s.run_ms(100);
    assert_eq!(s.engages(), "Nobody", "the deputy rings");
    s.b().answers();
    s.run_ms(1);
    assert_eq!(
        (s.phase(), s.engages()),
        (segue_records::PhaseName::Bridged, "Nobody".into())
    );
    s.operator_hangs_up();
    assert_eq!(told(s.finish()), ["3 forward (busy)"]);
    let mut s = engaged(Some(Outcome {
        then: Some(Then::HangUp),
        ..Outcome::default()
    }));
    assert_eq!(s.a().got(), ["486"]);
    assert_eq!(told(s.finish()), ["3 hang-up (busy)"]);
    let mut s = engaged(Some(Outcome {
        greeting: Some(ClipChoice::Clip("away".into())),
        ..Outcome::default()
    }));
    assert_eq!(s.a().got(), ["200 sdp"]);
    s.operator_hangs_up();
    assert_eq!(told(s.finish()), ["3 greeting (busy)"]);
}

#[test]
fn a_call_engages_its_callee_from_the_hold_to_the_end_of_the_bridge() {
    let mut s = Setup::default().call();
    assert_eq!(s.engages(), "All", "it is about to ring");
    s.run_ms(6_100);
    assert_eq!(s.engages(), "All", "it rings");
    s.b().answers();
    s.run_ms(1);
    assert_eq!(s.engages(), "sip:bob@192.0.2.2:5070");
    s.a().hangs_up();
    assert_eq!(s.engages(), "Nobody");
}

#[test]
fn who_is_with_the_mailbox_or_elsewhere_engages_nobody() {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b().refuses(486, "");
    assert_eq!(s.engages(), "Nobody");
    let mut setup = Setup::default();
    setup.profile.redirect_targets = vec!["192.0.2.0/24".parse().unwrap()];
    let mut s = setup.call();
    s.run_ms(6_100);
    s.target(1).redirects(302, &[("sip:deputy@192.0.2.8", 500)]);
    s.run_ms(1);
    s.target(2).answers();
    s.run_ms(1);
    assert_eq!(
        (s.phase(), s.engages()),
        (segue_records::PhaseName::Bridged, "Nobody".into())
    );
}
