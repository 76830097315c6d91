//! What A's network asserts of the caller is fresh for a minute (RFC 8224): no hold keeps it from B for longer.

use segue_call::{LegAction, Output};
use segue_records::CallResult;

use crate::stage::{Setup, Stage};

fn invited_at(stage: &Stage) -> Option<u64> {
    let invite =
        |(at, output): &(u64, Output)| matches!(output, Output::Leg(_, LegAction::Invite { .. })).then_some(*at);
    stage.times().iter().find_map(invite)
}

/// A hold of 6 s, a clip of 10 s.
fn story(fresh_ms: u64) -> Stage {
    let setup = Setup {
        fresh_ms: Some(fresh_ms),
        ..Setup::default()
    };
    setup.call()
}

#[test]
fn a_hold_ends_while_it_is_fresh() {
    let mut s = story(4_000);
    s.run_ms(10_000);
    assert_eq!(invited_at(&s), Some(4_000));
    s.a().cancels();
    let record = s.finish();
    assert_eq!(
        (record.hold_asked_ms, record.result),
        (Some(6_000), CallResult::Abandoned)
    );
    assert!(record.hold_ms.unwrap() < 4_000);
}

#[test]
fn so_does_a_prolonged_one() {
    let mut s = story(7_000);
    s.run_ms(1_000);
    s.press('*');
    s.run_ms(20_000);
    assert_eq!(invited_at(&s), Some(7_000), "the clip would have ended at 10 s");
    s.a().cancels();
    let record = s.finish();
    assert_eq!(record.hold_asked_ms, record.hold_ms, "as long as it was prolonged");
}

#[test]
fn where_it_stays_fresh_for_longer_the_hold_is_the_planned_one() {
    let mut s = story(50_000);
    s.run_ms(20_000);
    assert!(invited_at(&s).unwrap() > 6_000);
    s.a().cancels();
    assert_eq!(s.finish().hold_ms, Some(6_000));
}
