//! A's INVITE on its way to B.

use crate::node::{Node, PHONE_A, PHONE_B, SDP, TRUNK_A, TRUNK_B, further, pairs};

const LINES: &str = "s: Lunch\r\nX-Vendor: 1\r\nIdentity: e30.e30.sig;info=<https://x/y>\r\nDate: Fri, 25 Sep 2015 19:12:25 GMT\r\n\
                     p-charging-vector: icid-value=abc;icid-generated-at=10.1.0.1\r\nCall-Info: <https://x/me.png>;purpose=icon\r\n\
                     a: *;+sip.video\r\nUser-to-User: 56a390f3;encoding=hex\r\nX-Vendor: 2\r\nContent-Language: de\r\n";

#[test]
fn what_is_for_others_than_us_passes_in_order() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls(LINES);
    assert_eq!(
        pairs(&further(&node.invite())),
        [
            ("Subject", "Lunch"),
            ("X-Vendor", "1"),
            ("Identity", "e30.e30.sig;info=<https://x/y>"),
            ("Date", "Fri, 25 Sep 2015 19:12:25 GMT"),
            ("P-Charging-Vector", "icid-value=abc;icid-generated-at=10.1.0.1"),
            ("Call-Info", "<https://x/me.png>;purpose=icon"),
            ("Accept-Contact", "*;+sip.video"),
            ("User-to-User", "56a390f3;encoding=hex"),
            ("X-Vendor", "2"),
        ]
    );
    node.a_asks("CANCEL", "");
    node.b_says("487 Request Terminated", "", "text/plain", b"");
    node.wait(40_000);
    assert_eq!(node.records[0].icid.as_deref(), Some("abc"));
}

#[test]
fn who_is_not_trusted_asserts_nothing() {
    let mut node = Node::new(PHONE_A, TRUNK_B, |_| ());
    node.calls("P-Asserted-Identity: <sip:boss@example.com>\r\nP-Charging-Vector: icid-value=abc\r\nX-Vendor: 1\r\nDiversion: <sip:x@y>\r\n\
                HISTORY-INFO: <sip:x@y>;index=1\r\np-new: 1\r\n");
    assert_eq!(pairs(&further(&node.invite())), [("X-Vendor", "1")]);
    node.a_asks("CANCEL", "");
    node.b_says("487 Request Terminated", "", "text/plain", b"");
    node.wait(40_000);
    assert_eq!(
        (node.records[0].icid.as_deref(), node.records[0].from.as_str()),
        (None, "sip:alice@example.com")
    );
}

#[test]
fn other_parts_of_the_body_pass_around_our_offer() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    let body = format!(
        "--b\r\nContent-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\n\x01\x00\x7f\r\n\
         --b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <here@a>\r\n\r\n\
         <presence/>\r\n--b--\r\n"
    );
    node.calls_with(
        "Geolocation: <cid:here@a>\r\nMIME-Version: 1.0\r\n",
        "multipart/mixed;boundary=b",
        body.as_bytes(),
    );
    let invite = node.invite();
    assert_eq!(pairs(&further(&invite)), [("Geolocation", "<cid:here@a>")]);
    let text = String::from_utf8_lossy(invite.body()).into_owned();
    let at = |piece: &str| text.find(piece).unwrap_or_else(|| panic!("{piece} is missing: {text}"));
    assert!(
        at("\r\n\r\n\x01\x00\x7f\r\n") < at("m=audio") && at("m=audio") < at("Content-ID: <here@a>\r\n\r\n<presence/>")
    );
    // The offer is ours, from our address.
    let sdp = String::from_utf8_lossy(invite.sdp().unwrap()).into_owned();
    assert!(sdp.contains("10.9.9.9") && !text.contains("10.0.0.1"), "{text}");
    node.b_answers("");
    assert_eq!(node.to_a(200).len(), 1);
}

#[test]
fn nothing_that_came_by_the_wire_makes_another_header() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls("X-Fold: a\r\n Route: <sip:evil>\r\nSubject: \\\r\n\tVia: x\r\n");
    let invite = node.invite();
    assert_eq!(invite.headers("Via").count(), 1);
    assert_eq!(invite.headers("Route").count(), 0);
    let text = String::from_utf8(invite.to_bytes().to_vec()).unwrap();
    assert!(text.contains("X-Fold: a Route: <sip:evil>\r\n"), "{text}");
    assert!(
        !text.contains('\r') || text.split("\r\n").all(|line| !line.contains('\r')),
        "{text}"
    );
}
