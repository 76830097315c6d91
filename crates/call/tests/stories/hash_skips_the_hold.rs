//! `#` ends the hold at once; other keys do not.

use segue_records::CallResult;

use crate::stage::{PACKET_MS, Setup};

#[test]
fn b_is_invited_at_the_key() {
    let mut s = Setup::default().call();
    s.run_ms(PACKET_MS + 2_000);
    for key in ['1', '9', '0'] {
        s.press(key);
    }
    s.run_ms(100);
    assert!(s.b().got().is_empty());
    s.press('#');
    s.run_ms(0);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.press('#');
    s.b().answers();
    s.b().hangs_up();
    let record = s.finish();
    assert_eq!(s.b().got(), ["INVITE"], "invited once");
    assert_eq!((record.hold_asked_ms, record.hold_ms), (Some(6_000), Some(2_101)));
    assert_eq!(record.result, CallResult::Answered);
}

#[test]
fn before_the_prack_a_key_does_nothing() {
    let mut s = Setup {
        supports_100rel: true,
        ..Setup::default()
    }
    .call();
    s.press('#');
    s.run_ms(100);
    assert!(s.b().got().is_empty());
    s.a().cancels();
    s.finish();
}
