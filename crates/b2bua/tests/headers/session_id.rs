//! Session-ID (RFC 7989) on whatever we send.

use crate::node::{Node, PHONE_A, PHONE_B};

const A: &str = "ab30317f1a784dc48ff824d0d3715d86";
const B: &str = "47755a9de7794ba387653f2099600ef2";

/// Start word and Session-ID of all that has been sent, but repetitions.
fn all(node: &Node) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (to, message) in &node.post {
        let whom = if to == PHONE_A { "to A" } else { "to B" };
        let what = message
            .method()
            .map_or_else(|| message.status().unwrap().to_string(), ToString::to_string);
        let said = (
            format!("{what} {whom}"),
            message.header("Session-ID").unwrap_or("none").to_owned(),
        );
        if all.last() != Some(&said) {
            all.push(said);
        }
    }
    all
}

fn expected(said: &[(&str, &str, &str)]) -> Vec<(String, String)> {
    let nil = "0".repeat(32);
    let word = |word: &str| if word.is_empty() { nil.clone() } else { word.to_owned() };
    let line = |(what, local, remote): &(&str, &str, &str)| {
        ((*what).to_owned(), format!("{};remote={}", word(local), word(remote)))
    };
    said.iter().map(line).collect()
}

#[test]
fn every_message_of_a_call_names_both_ends() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    let from_a = format!("Session-ID: {A};remote={}\r\n", "0".repeat(32));
    let from_b = format!("Session-ID: {B};remote={A}\r\n");
    node.calls(&from_a);
    node.b_says("180 Ringing", &from_b, "text/plain", b"");
    node.b_answers(&from_b);
    node.a_asks("INFO", &from_a);
    node.a_asks("BYE", &from_a);
    assert_eq!(
        all(&node),
        expected(&[
            ("100 to A", "", A),
            ("INVITE to B", A, ""),
            ("180 to A", B, A),
            ("ACK to B", A, B),
            ("200 to A", B, A),
            ("BYE to B", A, B),
        ]),
        "the 200 to INVITE, INFO and BYE alike"
    );
}

#[test]
fn a_cancel_says_what_its_invite_said() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls(&format!("Session-ID: {A};remote={}\r\n", "0".repeat(32)));
    node.b_says(
        "180 Ringing",
        &format!("Session-ID: {B};remote={A}\r\n"),
        "text/plain",
        b"",
    );
    node.a_asks("CANCEL", &format!("Session-ID: {A};remote={}\r\n", "0".repeat(32)));
    let cancel = node.to_b("CANCEL").pop().unwrap();
    assert_eq!(cancel.header("Session-ID"), node.invite().header("Session-ID"));
    assert_eq!(
        node.to_a(487)[0].header("Session-ID"),
        Some(format!("{B};remote={A}").as_str())
    );
}

#[test]
fn who_is_refused_without_a_session_is_told_by_nobody() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.a_asks_afresh("SUBSCRIBE", &format!("Session-ID: {A};remote={}\r\n", "0".repeat(32)));
    let (_, refused) = &node.post[0];
    assert!(refused.status().is_some_and(|status| status >= 400));
    assert_eq!(
        refused.header("Session-ID"),
        Some(format!("{};remote={A}", "0".repeat(32)).as_str())
    );
}
