//! A callee's side that asks for credentials asks us: whatever becomes of that, its challenge is not the caller's.

use crate::node::{Node, PHONE_A, PHONE_B, SDP, TRUNK_A, TRUNK_B};

const ASKS: &str = "WWW-Authenticate: Digest realm=\"theirs\", nonce=\"n\"\r\nProxy-Authenticate: Digest realm=\"theirs\", nonce=\"n\"\r\n";

#[test]
fn a_caller_without_a_mailbox_hears_403_with_the_realm_and_no_challenge() {
    for (status, reason) in [
        ("401 Unauthorized", "SIP;cause=401;text=\"Unauthorized\""),
        (
            "407 Proxy Authentication Required",
            "SIP;cause=407;text=\"Proxy Authentication Required\"",
        ),
    ] {
        let mut node = Node::new(TRUNK_A, TRUNK_B, |profile| {
            profile.next_hop = Some(TRUNK_B.parse().unwrap());
            profile.emergency_numbers = vec!["112".into()];
        });
        // A call that goes on as it came, without any mailbox.
        node.asks_for("sip:112@example.com", "", "application/sdp", SDP.as_bytes());
        node.b_says(status, ASKS, "text/plain", b"");
        let told = node.to_a(403).pop().unwrap();
        assert_eq!(told.headers("Reason").collect::<Vec<_>>(), [reason]);
        assert_eq!(
            told.headers("Warning").collect::<Vec<_>>(),
            ["399 segue \"The next server asks us for credentials of the realm theirs\""]
        );
        assert_eq!(
            (told.header("WWW-Authenticate"), told.header("Proxy-Authenticate")),
            (None, None)
        );
        assert!(node.to_a(401).is_empty() && node.to_a(407).is_empty());
        node.a_asks("ACK", "");
        node.wait(40_000);
        let record = node.records.pop().unwrap();
        assert!(record.why.contains("asks for credentials"), "{}", record.why);
    }
}

#[test]
fn a_caller_with_a_mailbox_goes_there_as_after_any_failure() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls("");
    node.b_says("401 Unauthorized", ASKS, "text/plain", b"");
    assert_eq!(node.to_a(200).len(), 1, "the mailbox answers");
    assert!(node.to_a(401).is_empty() && node.to_a(403).is_empty());
}

#[test]
fn nor_is_one_to_a_new_offer() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls("");
    node.b_answers("");
    node.a_offers();
    node.b_says("401 Unauthorized", ASKS, "text/plain", b"");
    let told = node.to_a(488).pop().unwrap();
    assert_eq!(told.header("WWW-Authenticate"), None);
}
