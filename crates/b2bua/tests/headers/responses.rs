//! What B says in its responses, as A gets it.

use segue_sip_wire::Message;

use crate::node::{Node, PHONE_A, PHONE_B, SDP, TAKES_PARTS, TRUNK_A, TRUNK_B, further, pairs};

const LINES: &str = "x-vendor: 1\r\nAlert-Info: <urn:alert:service:call-waiting>\r\np-asserted-identity: \"Bob\" <sip:bob@b.example>\r\n\
                     P-Charging-Vector: icid-value=b\r\nFeature-Caps: *;+g.3gpp.x\r\nCall-Info: <https://b/me.png>;purpose=icon\r\n\
                     Record-Route: <sip:10.1.0.9;lr>\r\nServer: Phone\r\nX-Vendor: 2\r\n";

const ALL: [(&str, &str); 7] = [
    ("x-vendor", "1"),
    ("Alert-Info", "<urn:alert:service:call-waiting>"),
    ("P-Asserted-Identity", "\"Bob\" <sip:bob@b.example>"),
    ("P-Charging-Vector", "icid-value=b"),
    ("Feature-Caps", "*;+g.3gpp.x"),
    ("Call-Info", "<https://b/me.png>;purpose=icon"),
    ("X-Vendor", "2"),
];

/// What ISUP says in a response, beside a description or alone.
const ISUP: &[u8] = b"\x06\x01\x00\x7f";

fn mixed(sdp: &str) -> Vec<u8> {
    let head = b"--b\r\nContent-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\n";
    let sdp = format!("\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n");
    [&head[..], ISUP, sdp.as_bytes()].concat()
}

fn said(message: &Message) -> Vec<(String, String)> {
    further(message)
}

#[test]
fn ringing_and_answer_pass_with_all_that_trusted_sides_say() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls("");
    node.b_says("180 Ringing", LINES, "text/plain", b"");
    node.b_answers(LINES);
    for status in [180, 200] {
        let response = &node.to_a(status)[0];
        assert_eq!(pairs(&said(response)), ALL, "{status}");
        assert_eq!(
            response.headers("Contact").collect::<Vec<_>>(),
            ["<sip:segue@10.0.0.1:5060>"]
        );
        assert_eq!(response.headers("Via").count(), 1);
        assert!(
            response
                .header("Server")
                .is_some_and(|server| server.starts_with("Segue/"))
        );
    }
}

#[test]
fn each_provisional_response_that_says_something_else_is_told() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls("");
    for lines in ["X-Step: 1\r\n", "X-Step: 1\r\n", "X-Step: 2\r\n", ""] {
        node.b_says("180 Ringing", lines, "text/plain", b"");
    }
    node.b_says("181 Call Is Being Forwarded", "X-Step: 3\r\n", "text/plain", b"");
    let steps = |status| {
        let all = node.to_a(status);
        let steps = all.iter().map(|r| r.header("X-Step").unwrap_or_default().to_owned());
        steps.collect::<Vec<_>>()
    };
    assert_eq!(
        (steps(180), steps(181)),
        (vec!["1".to_owned(), "2".to_owned()], vec!["3".to_owned()])
    );
    // However many come.
    for n in 4..40 {
        node.b_says("183 Session Progress", &format!("X-Step: {n}\r\n"), "text/plain", b"");
    }
    assert!(node.to_a(183).len() < 10);
}

#[test]
fn at_trust_edges_a_callee_asserts_nothing_and_stays_unknown_where_it_wants_to() {
    let names = |a, b, lines: &str| {
        let mut node = Node::new(a, b, |_| ());
        node.calls("");
        node.b_says("180 Ringing", lines, "text/plain", b"");
        node.b_answers(lines);
        let [ringing, answer] = [180, 200].map(|status| {
            let all = said(&node.to_a(status)[0]);
            all.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        });
        assert_eq!(ringing, answer);
        answer
    };
    let unasserted = ["x-vendor", "Alert-Info", "Call-Info", "X-Vendor"];
    assert_eq!(names(TRUNK_A, PHONE_B, LINES), unasserted);
    assert_eq!(names(PHONE_A, PHONE_B, LINES), unasserted);
    let leaving = ["x-vendor", "Alert-Info", "P-Asserted-Identity", "Call-Info", "X-Vendor"];
    assert_eq!(names(PHONE_A, TRUNK_B, LINES), leaving);
    let private = format!("{LINES}Privacy: id\r\n");
    let nobody = ["x-vendor", "Alert-Info", "X-Vendor", "Privacy"];
    assert_eq!(names(PHONE_A, TRUNK_B, &private), nobody);
    assert_eq!(
        names(TRUNK_A, TRUNK_B, &private).len(),
        8,
        "within the trust domain it goes on"
    );
}

#[test]
fn a_callee_that_asked_for_privacy_when_it_rang_stays_unknown_when_it_answers() {
    let mut node = Node::new(PHONE_A, TRUNK_B, |_| ());
    node.calls("");
    node.b_says("180 Ringing", "Privacy: id\r\n", "text/plain", b"");
    node.b_answers(LINES);
    let answer = &node.to_a(200)[0];
    assert_eq!(
        (answer.header("X-Vendor"), answer.header("P-Asserted-Identity")),
        (Some("1"), None)
    );
}

#[test]
fn a_refusal_of_who_is_no_subscriber_passes_with_its_body() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.plain = true;
    node.calls(TAKES_PARTS);
    let lines = format!(
        "{LINES}Reason: Q.850;cause=17, FreeSWITCH;cause=1\r\nWarning: 399 b \"Busy\"\r\nRetry-After: 30\r\n\
         Error-Info: <sip:busy@b>\r\nContent-Disposition: signal;handling=optional\r\n"
    );
    node.b_says("486 Busy Here", &lines, "application/isup;version=itu-t92+", ISUP);
    let refusal = &node.to_a(486)[0];
    let rest = [
        ("Warning", "399 b \"Busy\""),
        ("Retry-After", "30"),
        ("Error-Info", "<sip:busy@b>"),
        ("Reason", "Q.850;cause=17"),
        ("Content-Disposition", "signal;handling=optional"),
    ];
    assert_eq!(pairs(&said(refusal)), [&ALL[..], &rest].concat());
    assert_eq!(refusal.content_type(), Some("application/isup;version=itu-t92+"));
    assert_eq!(refusal.body(), ISUP);
}

#[test]
fn what_a_subscriber_refuses_with_is_for_the_mailbox_and_not_for_its_caller() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls("");
    node.b_says("486 Busy Here", "X-Vendor: 1\r\n", "text/plain", b"");
    node.wait(1_000);
    assert!(node.to_a(486).is_empty());
    let to_a = node.post.iter().filter(|(to, _)| to == TRUNK_A);
    assert!(to_a.clone().count() > 1, "it hears of the mailbox");
    assert!(to_a.clone().all(|(_, message)| message.header("X-Vendor").is_none()));
}

#[test]
fn other_parts_of_a_body_pass_around_our_answer() {
    for (accept, passes) in [("", false), ("Accept: application/sdp\r\n", false), (TAKES_PARTS, true)] {
        let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
        node.calls(accept);
        node.b_says("183 Session Progress", "", "application/isup;version=itu-t92+", ISUP);
        node.b_says("200 OK", "", "multipart/mixed;boundary=b", &mixed(SDP));
        let answer = &node.to_a(200)[0];
        let sdp = String::from_utf8_lossy(answer.sdp().unwrap()).into_owned();
        assert!(sdp.contains("10.9.9.9") && !sdp.contains("10.0.0.1"), "{sdp}");
        assert_eq!(answer.parts().len(), usize::from(passes));
        let early = node.to_a(183);
        let isup = early.iter().filter(|early| early.body() == ISUP);
        assert_eq!(isup.count(), usize::from(passes), "alone it is the body");
    }
}

#[test]
fn a_fork_that_has_lost_says_nothing_to_the_caller() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls("");
    node.b_says_as("one", "180 Ringing", "X-From: one\r\n", "text/plain", b"");
    node.b_says_as("two", "200 OK", "X-From: two\r\n", "application/sdp", SDP.as_bytes());
    node.b_says_as("one", "200 OK", "X-From: late\r\n", "application/sdp", SDP.as_bytes());
    node.b_says_as("one", "183 Session Progress", "X-From: later\r\n", "text/plain", b"");
    let to_a = node.post.iter().filter(|(to, _)| to == TRUNK_A);
    let from: Vec<_> = to_a.filter_map(|(_, message)| message.header("X-From")).collect();
    assert_eq!(from, ["one", "two"]);
}

#[test]
fn nothing_that_came_by_the_wire_makes_another_header_of_a_response() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls("");
    let lines = "X-Fold: a\r\n Contact: <sip:evil>\r\ns: \\\r\n\tVia: x\r\n";
    node.b_says("200 OK", lines, "application/sdp", SDP.as_bytes());
    let answer = &node.to_a(200)[0];
    let text = String::from_utf8(answer.to_bytes().to_vec()).unwrap();
    assert!(text.contains("X-Fold: a Contact: <sip:evil>\r\n"), "{text}");
    for (name, count) in [
        ("Via", 1),
        ("Call-ID", 1),
        ("Contact", 1),
        ("Route", 0),
        ("To", 1),
        ("Content-Length", 1),
    ] {
        assert_eq!(answer.headers(name).count(), count, "{name}: {text}");
    }
    assert!(text.split("\r\n").all(|line| !line.contains(['\r', '\n'])), "{text}");
}
