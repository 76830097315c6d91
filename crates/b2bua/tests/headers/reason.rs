//! Why a side ends what it does, as the other side hears it (RFC 3326).

use crate::node::{Node, PHONE_A, PHONE_B};

const MANY: &str =
    "Reason: SIP;cause=200;text=\"Call completed elsewhere\", FreeSWITCH;cause=1\r\nreason: Q.850;cause=26\r\n";

#[test]
fn a_caller_whose_call_was_completed_elsewhere_says_so_to_the_callee() {
    for (lines, expected) in [
        (MANY, "SIP;cause=200;text=\"Call completed elsewhere\", Q.850;cause=26"),
        (
            "Reason: FreeSWITCH;cause=1\r\n",
            "SIP;cause=487;text=\"Caller hung up\"",
        ),
        ("", "SIP;cause=487;text=\"Caller hung up\""),
    ] {
        let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
        node.calls("");
        node.b_says("180 Ringing", "", "text/plain", b"");
        node.a_asks("CANCEL", lines);
        let cancel = node.to_b("CANCEL").pop().unwrap();
        assert_eq!(cancel.headers("Reason").collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn a_bye_goes_on_with_the_reasons_that_are_known() {
    for (lines, expected) in [
        (
            "Reason: Q.850;cause=31, SIP;cause=480\r\nReason: X;cause=1\r\n",
            "Q.850;cause=31, SIP;cause=480",
        ),
        ("Reason: X;cause=1\r\n", "Q.850;cause=16;text=\"Normal call clearing\""),
    ] {
        let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
        node.calls("");
        node.b_answers("");
        node.a_asks("BYE", lines);
        let bye = node.to_b("BYE").pop().unwrap();
        assert_eq!(bye.headers("Reason").collect::<Vec<_>>(), [expected]);
    }
}
