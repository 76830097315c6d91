//! One INVITE by two ways (RFC 3261 §8.2.2.2), and others that are refused unasked.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip::Protocol;

#[test]
fn the_second_gets_482_even_when_repeated_and_the_first_goes_on() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "one", None, ""));
    let first = script.say(&request("INVITE", 1, "two", None, ""));
    let second = script.say(&request("INVITE", 1, "two", None, ""));
    assert_eq!(
        (statuses(&first), to_tag(&first[0])),
        (vec!["482 INVITE".to_owned()], to_tag(&second[0]))
    );
    // Another call from there is another call.
    assert_eq!(
        statuses(&script.say(&request("INVITE", 2, "three", None, ""))),
        ["100 INVITE"]
    );
    assert_eq!(script.told(), ["Incoming", "Refused", "Incoming"]);
}

#[test]
fn what_cannot_be_served_is_refused_with_its_status() {
    let cases = [
        ("unknown method", request("DANCE", 1, "x", None, ""), "501 DANCE"),
        ("not ours", request("REGISTER", 1, "x", None, ""), "405 REGISTER"),
        ("known, only in a dialog", request("BYE", 1, "x", None, ""), "481 BYE"),
        ("no such dialog", request("BYE", 1, "x", Some("nobody"), ""), "481 BYE"),
        (
            "no such dialog either",
            request("INVITE", 1, "x", Some("nobody"), ""),
            "481 INVITE",
        ),
        (
            "unknown extension",
            request("INVITE", 1, "x", None, "Require: 100rel, foo\r\n"),
            "420 INVITE",
        ),
        ("no such INVITE", request("CANCEL", 1, "x", None, ""), "481 CANCEL"),
        ("ping", request("OPTIONS", 1, "x", None, ""), "200 OPTIONS"),
        (
            "out of hops",
            request("INVITE", 1, "x", None, "").replace("Max-Forwards: 70", "Max-Forwards: 0"),
            "483 INVITE",
        ),
        (
            "no contact",
            request("INVITE", 1, "x", None, "").replace("Contact:", "X-Contact:"),
            "400 INVITE",
        ),
        (
            "letter box",
            request("INVITE", 1, "x", None, "").replace("INVITE sip:bob@127.0.0.2", "INVITE mailto:bob@127.0.0.2"),
            "416 INVITE",
        ),
        (
            "other body",
            request("INVITE", 1, "x", None, "Content-Type: text/plain\r\n")
                .replace("Length: 0\r\n\r\n", "Length: 2\r\n\r\nhi"),
            "415 INVITE",
        ),
        (
            "packed body",
            request(
                "INVITE",
                1,
                "x",
                None,
                "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n",
            )
            .replace("Length: 0\r\n\r\n", "Length: 2\r\n\r\nhi"),
            "415 INVITE",
        ),
    ];
    for (what, text, answer) in cases {
        let mut script = Script::default();
        let said = script.say(&text);
        assert_eq!(statuses(&said), [answer], "{what}");
        let told: &[&str] = if answer.starts_with("200") { &[] } else { &["Refused"] };
        assert_eq!(script.told(), told, "{what}");
        assert_eq!(
            (script.endpoint.transaction_count(), script.endpoint.timer_count()),
            (0, 0),
            "{what}"
        );
        match answer.get(..3) {
            Some("405" | "501" | "200") => assert!(said[0].has_token("Allow", "PRACK"), "{what}"),
            Some("420") => assert_eq!(said[0].header("Unsupported"), Some("foo")),
            _ => {}
        }
    }
    assert_eq!(
        Script::default().say(&request("ACK", 1, "x", Some("nobody"), "")).len(),
        0,
        "an ACK gets no answer"
    );
}

#[test]
fn more_sessions_than_allowed_get_503_and_the_living_ones_go_on() {
    let mut script = Script::of(endpoint_with(B, 1, &[Protocol::Udp], 1));
    script.say(&request("INVITE", 1, "one", None, ""));
    let more = script.say(&request("INVITE", 1, "two", None, "").replace("call1", "call2"));
    assert_eq!(statuses(&more), ["503 INVITE"]);
    assert!(more[0].header("Retry-After").is_some());
    assert_eq!(
        statuses(&script.say(&request("CANCEL", 1, "one", None, ""))),
        ["200 CANCEL", "487 INVITE"]
    );
}

#[test]
fn the_response_goes_to_the_source_and_rport_asks_for_its_port() {
    let invite = request("OPTIONS", 1, "x", None, "");
    for (via, port) in [
        ("127.0.0.1:7777", 7777),
        ("127.0.0.1:7777;rport", 5060),
        ("example.com", 5060),
    ] {
        let mut script = Script::default();
        let text = invite.replace("127.0.0.1:5060;branch", &format!("{via};branch"));
        let message = segue_sip_wire::Message::parse_datagram(text.as_bytes()).unwrap();
        script.endpoint.handle_message(script.now, script.peer, message);
        let sent = script.endpoint.poll_transmit().unwrap();
        assert_eq!(sent.peer.remote.to_string(), format!("127.0.0.1:{port}"), "{via}");
        assert_eq!(sent.peer.local, addr(B));
    }
}

#[test]
fn a_merged_copy_that_comes_again_after_the_call_has_ended_begins_no_second_call() {
    let mut script = Script::default();
    script.say(&request("INVITE", 1, "one", None, ""));
    let refused = script.say(&request("INVITE", 1, "two", None, ""));
    let cancelled = script.say(&request("CANCEL", 1, "one", None, ""));
    let tag = to_tag(cancelled.last().unwrap());
    script.say(&request("ACK", 1, "one", Some(&tag), ""));
    // The first INVITE's transaction is forgotten T4 after its ACK; the second's 482 was lost.
    script.wait(PATIENCE - std::time::Duration::from_secs(2));
    let again = script.say(&request("INVITE", 1, "two", None, ""));
    assert_eq!(again[0].to_bytes(), refused[0].to_bytes());
    assert_eq!(script.told(), ["Incoming", "Refused", "Cancelled", "Terminated"]);
    script.wait(PATIENCE);
    assert_eq!(
        (script.endpoint.transaction_count(), script.endpoint.timer_count()),
        (0, 0)
    );
}
