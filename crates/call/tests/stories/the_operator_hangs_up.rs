//! The operator ends a call that is not answered yet.

use segue_records::CallResult;

use crate::stage::Setup;

#[test]
fn while_held_and_while_ringing() {
    for ms in [1_000, 7_000] {
        let mut s = Setup::default().call();
        s.run_ms(ms);
        s.operator_hangs_up();
        assert_eq!(s.a().got(), ["183 sdp", "480"]);
        let record = s.finish();
        assert_eq!((record.result, record.cause), (CallResult::Rejected, Some(480)));
    }
}

#[test]
fn during_the_greeting() {
    let mut s = Setup::default().call();
    s.run_ms(27_000);
    s.operator_hangs_up();
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp", "BYE"]);
    assert_eq!(s.finish().result, CallResult::Greeted);
}
