//! A clip, greeting or beep that fails does not fail the call.

use segue_call::Source;
use segue_records::{CallResult, PhaseName};

use crate::stage::Setup;

#[test]
fn without_its_clip_b_is_invited_at_once() {
    let mut s = Setup {
        unplayable: vec![Source::Clip],
        ..Setup::default()
    }
    .call();
    s.run_ms(10);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.b().answers();
    s.b().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.hold_asked_ms, record.hold_ms),
        (CallResult::Answered, Some(6_000), Some(0))
    );
    assert!(
        record.why.ends_with("(the clip was not played: clip gone)."),
        "{}",
        record.why
    );
}

#[test]
fn without_greeting_and_beep_the_recorder_still_runs() {
    let mut s = Setup {
        unplayable: vec![Source::Greeting, Source::Beep],
        ..Setup::default()
    }
    .call();
    s.run_ms(26_100);
    assert_eq!(s.phase(), PhaseName::Recording);
    s.run_ms(2_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}
