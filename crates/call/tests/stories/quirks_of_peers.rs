//! Peers that are not as the RFCs have them, and what a profile or the call does for them.

use segue_records::CallResult;

use crate::stage::{PACKET_MS, Setup};

#[test]
fn a_phone_that_plays_its_own_tone_at_a_180_hears_183_while_its_callee_rings() {
    for reliable in [false, true] {
        let setup = Setup {
            supports_100rel: reliable,
            ..Setup::default()
        };
        let mut s = setup.call();
        if reliable {
            s.a().pracks();
        }
        s.run_ms(PACKET_MS + 6_000);
        s.b().rings();
        s.b().answers();
        let heard = s.a().got();
        assert!(heard.iter().all(|said| !said.starts_with("180")), "{heard:?}");
        // After a reliable one no other: it would have no SDP, and there are phones that stop their streams at such a one.
        let expected = if reliable { 1 } else { 2 };
        assert_eq!(
            heard.iter().filter(|said| said.starts_with("183")).count(),
            expected,
            "{heard:?}"
        );
        s.a().acks();
        s.b().hangs_up();
        assert_eq!(s.finish().result, CallResult::Answered);
    }
}
