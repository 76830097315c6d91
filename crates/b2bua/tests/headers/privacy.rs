//! Who calls, as it is told and kept.

use crate::node::{Node, PHONE_A, PHONE_B, TRUNK_A, TRUNK_B};

const REAL: &str = "P-Asserted-Identity: \"Real Name\" <sip:real@example.net>\r\nPrivacy: id\r\n";
const NOBODY: &str = "sip:anonymous@anonymous.invalid";

/// The caller leaves a message; nobody answers.
fn leaves_a_message(node: &mut Node) {
    node.b_says("486 Busy Here", "", "text/plain", b"");
    node.a_asks("ACK", "");
    node.wait(1_000);
    node.a_asks("BYE", "");
    node.wait(40_000);
}

fn from_of(node: &Node) -> (Option<String>, String) {
    let from = node.invite().from().unwrap();
    (from.display, from.uri.to_string())
}

#[test]
fn who_wants_privacy_is_nobody_to_phone_message_record_and_events() {
    for a in [TRUNK_A, PHONE_A] {
        let mut node = Node::new(a, PHONE_B, |_| ());
        node.calls(REAL);
        assert_eq!(from_of(&node), (Some("Anonymous".into()), NOBODY.into()));
        let invite = String::from_utf8(node.invite().to_bytes().to_vec())
            .unwrap()
            .to_ascii_lowercase();
        for known in ["real", "alice", "example.com", "example.net"] {
            assert!(!invite.contains(known), "{known}: {invite}");
        }
        assert_eq!(node.invite().header("Privacy"), Some("id"));
        leaves_a_message(&mut node);
        let recording = &node.recordings[0];
        assert_eq!(
            (recording.from.as_str(), recording.from_name.as_deref()),
            (NOBODY, Some("Anonymous"))
        );
        assert_eq!(node.reserved_for, [NOBODY]);
        assert_eq!(node.callers_told, [NOBODY]);
    }
}

#[test]
fn an_anonymous_from_is_kept_as_it_came() {
    let mut node = Node::new(TRUNK_A, PHONE_B, |_| ());
    node.calls(&format!("From: \"Anonym\" <{NOBODY}>;tag=a\r\n{REAL}"));
    assert_eq!(from_of(&node), (Some("Anonym".into()), NOBODY.into()));
}

#[test]
fn within_the_trust_domain_identity_and_wish_go_on() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls(REAL);
    assert_eq!(from_of(&node), (Some("Alice".into()), "sip:alice@example.com".into()));
    let invite = node.invite();
    assert_eq!(
        invite.header("P-Asserted-Identity"),
        Some("\"Real Name\" <sip:real@example.net>")
    );
    assert_eq!(invite.header("Privacy"), Some("id"));
    // Here it is kept by nobody's name all the same.
    leaves_a_message(&mut node);
    assert_eq!(node.recordings[0].from, NOBODY);
}

#[test]
fn whom_a_trusted_side_asserts_is_shown() {
    let mut node = Node::new(TRUNK_A, PHONE_B, |_| ());
    node.calls("P-Asserted-Identity: \"Real Name\" <sip:real@example.net;user=phone>\r\n");
    // Without a wish for privacy others may hear it (RFC 3325 §7).
    assert!(node.invite().header("P-Asserted-Identity").is_some());
    assert_eq!(from_of(&node), (Some("Alice".into()), "sip:alice@example.com".into()));
    leaves_a_message(&mut node);
    let recording = &node.recordings[0];
    assert_eq!(
        (recording.from.as_str(), recording.from_name.as_deref()),
        ("sip:real@example.net", Some("Real Name"))
    );
    assert_eq!(node.callers_told, ["sip:real@example.net"]);
}

#[test]
fn who_is_not_trusted_is_shown_by_from() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls("P-Asserted-Identity: <sip:boss@example.net>\r\nP-Preferred-Identity: <sip:boss@example.net>\r\n");
    assert!(node.invite().header("P-Asserted-Identity").is_none());
    leaves_a_message(&mut node);
    let recording = &node.recordings[0];
    assert_eq!(
        (recording.from.as_str(), recording.from_name.as_deref()),
        ("sip:alice@example.com", Some("Alice"))
    );
}
