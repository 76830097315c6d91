//! What the sides of a bridge say to each other within their dialogs.

use crate::node::{Node, PHONE_A, PHONE_B, SDP, TAKES_PARTS, TRUNK_A, TRUNK_B, further, pairs};

const LINES: &str = "x-vendor: 1\r\nUser-to-User: 56a3;encoding=hex\r\nP-Charging-Vector: icid-value=x\r\nRoute: <sip:10.0.0.1:5060;lr>\r\n\
                     Record-Route: <sip:9.9.9.9;lr>\r\nUser-Agent: Phone\r\nX-Vendor: 2\r\n";

const PASSED: [(&str, &str); 3] = [
    ("x-vendor", "1"),
    ("User-to-User", "56a3;encoding=hex"),
    ("X-Vendor", "2"),
];

/// REL.
const ISUP: &[u8] = b"\x0c\x02\x00\x02\x80\x90";
const ISUP_LINES: &str =
    "Content-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n";

fn bridged(a: &'static str, b: &'static str) -> Node {
    let mut node = Node::new(a, b, |_| ());
    node.calls(TAKES_PARTS);
    node.b_answers("");
    node
}

#[test]
fn who_asked_for_privacy_in_its_invite_stays_unknown_for_the_dialog() {
    for (privacy, named) in [("", true), ("Privacy: id\r\n", false)] {
        let mut node = Node::new(TRUNK_A, PHONE_B, |_| ());
        node.calls(privacy);
        node.b_answers("");
        let lines = "X-1: 1\r\nP-Asserted-Identity: <sip:real@a>\r\n";
        let sdp = SDP
            .replace("o=- 1 1", "o=- 1 2")
            .replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
        let offered = format!("{lines}Content-Type: application/sdp\r\n");
        node.a_asks_with("INVITE", &offered, sdp.as_bytes());
        node.b_says_to("488 Not Acceptable Here", "INVITE", "", b"");
        node.a_asks_with("BYE", lines, b"");
        let [_, offer] = node.to_b("INVITE").try_into().unwrap();
        let [bye] = node.to_b("BYE").try_into().unwrap();
        for said in [offer, bye] {
            let asserted = said.header("P-Asserted-Identity").is_some();
            assert_eq!((said.header("X-1"), asserted), (Some("1"), named), "{privacy}");
        }
    }
}

#[test]
fn a_bye_passes_with_its_body_both_ways() {
    let lines = format!("{LINES}{ISUP_LINES}");
    for from_a in [true, false] {
        let mut node = bridged(PHONE_A, PHONE_B);
        let mut byes = match from_a {
            true => {
                node.a_asks_with("BYE", &lines, ISUP);
                node.to_b("BYE")
            }
            false => {
                node.b_asks_with("BYE", &lines, ISUP);
                node.asked_of_a("BYE")
            }
        };
        let bye = byes.pop().unwrap();
        assert!(byes.is_empty());
        let all = further(&bye);
        let ours = ("Reason", "Q.850;cause=16;text=\"Normal call clearing\"");
        let disposition = ("Content-Disposition", "signal;handling=optional");
        assert_eq!(
            pairs(&all),
            [&[ours][..], &PASSED, &[disposition]].concat(),
            "what P- says is not heard of phones"
        );
        assert_eq!((bye.body(), bye.headers("Route").count()), (ISUP, 0));
    }
}

#[test]
fn a_new_offer_and_its_answer_pass_with_what_they_say() {
    let hold = SDP
        .replace("o=- 1 1", "o=- 1 2")
        .replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    let held = SDP
        .replace("o=- 1 1", "o=- 1 2")
        .replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n");
    let sdp = "Content-Type: application/sdp\r\n";
    let mut node = bridged(TRUNK_A, TRUNK_B);
    node.a_asks_with(
        "INVITE",
        &format!("{LINES}P-Asserted-Identity: <sip:new@a>\r\n{sdp}"),
        hold.as_bytes(),
    );
    let [_, offer] = node.to_b("INVITE").try_into().unwrap();
    let icid = ("P-Charging-Vector", "icid-value=x");
    let expected = [
        PASSED[0],
        PASSED[1],
        icid,
        PASSED[2],
        ("P-Asserted-Identity", "<sip:new@a>"),
    ];
    assert_eq!(pairs(&further(&offer)), expected);
    node.b_says_to(
        "200 OK",
        "INVITE",
        &format!("X-Answer: 1\r\nP-Asserted-Identity: <sip:b2@b>\r\n{sdp}"),
        held.as_bytes(),
    );
    let answer = node.to_a(200).pop().unwrap();
    let said = further(&answer);
    let said = pairs(&said).into_iter().filter(|(name, _)| *name != "Record-Route");
    let expected = [("X-Answer", "1"), ("P-Asserted-Identity", "<sip:b2@b>")];
    assert_eq!(said.collect::<Vec<_>>(), expected);
    // A's own, as in every response to it.
    assert_eq!(answer.headers("Record-Route").collect::<Vec<_>>(), ["<sip:9.9.9.9;lr>"]);
}

#[test]
fn what_a_refused_offer_was_told_passes() {
    let hold = SDP
        .replace("o=- 1 1", "o=- 1 2")
        .replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    let mut node = bridged(PHONE_A, PHONE_B);
    node.b_asks_with(
        "INVITE",
        &format!("{LINES}Content-Type: application/sdp\r\n"),
        hold.as_bytes(),
    );
    let offer = node.asked_of_a("INVITE").pop().unwrap();
    assert_eq!(pairs(&further(&offer)), PASSED);
    node.a_says(
        "488 Not Acceptable Here",
        "INVITE",
        "Warning: 304 a \"No\"\r\nX-Why: 1\r\nContact: <sip:evil>\r\n",
        b"",
    );
    let to_b = node
        .post
        .iter()
        .filter(|(to, message)| to == PHONE_B && message.status() == Some(488));
    let refusal = to_b.map(|(_, message)| message.clone()).next().unwrap();
    let said = further(&refusal);
    assert_eq!(pairs(&said)[1..], [("Warning", "304 a \"No\""), ("X-Why", "1")]);
    assert_eq!(refusal.headers("Contact").count(), 0);
}

/// Asks by INFO, each way; what the other side got of it.
fn asked(node: &mut Node, from_a: bool, lines: &str, body: &[u8]) -> Vec<segue_sip_wire::Message> {
    match from_a {
        true => {
            node.a_asks_with("INFO", lines, body);
            node.to_b("INFO")
        }
        false => {
            node.b_asks_with("INFO", lines, body);
            node.asked_of_a("INFO")
        }
    }
}

/// The answers to INFO that a side got.
fn answers(node: &Node, whom: &str) -> Vec<segue_sip_wire::Message> {
    let infos = node.post.iter().filter(|(to, message)| {
        to == whom && message.status().is_some() && message.cseq().unwrap().method.to_string() == "INFO"
    });
    infos.map(|(_, message)| message.clone()).collect()
}

#[test]
fn an_info_passes_both_ways_with_its_body_and_so_does_its_answer() {
    let lines = format!(
        "{LINES}Info-Package: g.3gpp.x\r\nContent-Type: application/x+json\r\nContent-Disposition: Info-Package\r\n"
    );
    for from_a in [true, false] {
        let mut node = bridged(TRUNK_A, TRUNK_B);
        let (asker, body) = (if from_a { TRUNK_A } else { TRUNK_B }, b"{\"a\":\x01\x00}");
        let infos = asked(&mut node, from_a, &lines, body);
        assert_eq!(infos.len(), 1);
        let expected = [
            PASSED[0],
            PASSED[1],
            ("P-Charging-Vector", "icid-value=x"),
            PASSED[2],
            ("Info-Package", "g.3gpp.x"),
            ("Content-Disposition", "Info-Package"),
        ];
        assert_eq!(pairs(&further(&infos[0])), expected);
        assert_eq!(
            (infos[0].content_type(), infos[0].body()),
            (Some("application/x+json"), &body[..])
        );
        assert_eq!(infos[0].headers("Route").count(), 0);
        assert!(answers(&node, asker).is_empty(), "it is asked first");
        let answer = "X-Answer: 1\r\nContent-Type: text/plain\r\n";
        match from_a {
            true => node.b_says_to("202 Accepted", "INFO", answer, b"yes"),
            false => node.a_says("202 Accepted", "INFO", answer, b"yes"),
        }
        let [answer] = answers(&node, asker).try_into().unwrap();
        assert_eq!((answer.status(), answer.body()), (Some(202), &b"yes"[..]));
        assert_eq!(answer.header("X-Answer"), Some("1"));
    }
}

#[test]
fn what_is_of_the_other_leg_alone_is_told_as_a_fault_of_that_side() {
    for (status, told, warned) in [
        ("469 Bad Info Package", 469, None),
        ("415 Unsupported Media Type", 415, None),
        (
            "407 Proxy Authentication Required",
            500,
            Some("399 segue \"The other side says 407\""),
        ),
        ("483 Too Many Hops", 500, Some("399 segue \"The other side says 483\"")),
        (
            "302 Moved Temporarily",
            500,
            Some("399 segue \"The other side says 302\""),
        ),
    ] {
        let mut node = bridged(PHONE_A, PHONE_B);
        asked(&mut node, true, "Content-Type: text/plain\r\n", b"x");
        node.b_says_to(status, "INFO", "Recv-Info: y\r\nAccept: text/x\r\n", b"");
        let [answer] = answers(&node, PHONE_A).try_into().unwrap();
        assert_eq!((answer.status(), answer.header("Warning")), (Some(told), warned));
        // What is taken instead.
        assert_eq!(answer.header("Recv-Info"), (told == 469).then_some("y"));
        assert_eq!(answer.header("Accept"), (told == 415).then_some("text/x"));
        let to_other = answer.headers("Contact").any(|contact| contact.contains("10.2.0.2"));
        assert!(!to_other, "{status}");
    }
    let mut node = bridged(PHONE_A, PHONE_B);
    asked(&mut node, true, "Content-Type: text/plain\r\n", b"x");
    for _ in 0..80 {
        node.wait(500);
    }
    let [answer] = answers(&node, PHONE_A).try_into().unwrap();
    assert_eq!(answer.status(), Some(504));
}

#[test]
fn a_body_of_an_info_is_bounded_as_others_are() {
    let large = [b'x'; 33 * 1024];
    let text = "Content-Type: text/plain\r\n";
    let mut node = bridged(PHONE_A, PHONE_B);
    assert!(asked(&mut node, true, text, &large).is_empty());
    assert_eq!(answers(&node, PHONE_A).pop().unwrap().status(), Some(413));
    assert_eq!(asked(&mut node, true, text, b"x").len(), 1);
    node.b_says_to("200 OK", "INFO", text, &large);
    let answer = answers(&node, PHONE_A).pop().unwrap();
    assert_eq!((answer.status(), answer.body().len()), (Some(200), 0));
}

#[test]
fn an_info_has_its_answer_whatever_becomes_of_the_call() {
    // The other side hangs up.
    let mut node = bridged(PHONE_A, PHONE_B);
    asked(&mut node, true, "Content-Type: text/plain\r\n", b"x");
    node.b_asks_with("BYE", "", b"");
    assert_eq!(answers(&node, PHONE_A).pop().unwrap().status(), Some(487));
    // It knows the dialog no more.
    let mut node = bridged(PHONE_A, PHONE_B);
    asked(&mut node, true, "Content-Type: text/plain\r\n", b"x");
    node.b_says_to("481 Call/Transaction Does Not Exist", "INFO", "", b"");
    assert_eq!(answers(&node, PHONE_A).pop().unwrap().status(), Some(487));
    assert_eq!(node.asked_of_a("BYE").len(), 1);
    // Too many at a time.
    let mut node = bridged(PHONE_A, PHONE_B);
    for _ in 0..20 {
        asked(&mut node, true, "Content-Type: text/plain\r\n", b"x");
    }
    let refused = answers(&node, PHONE_A);
    assert_eq!((refused.len(), node.to_b("INFO").len()), (4, 16));
    assert!(
        refused
            .iter()
            .all(|refused| refused.status() == Some(500) && refused.header("Retry-After").is_some())
    );
}

#[test]
fn before_there_is_another_side_an_info_is_refused_with_what_is_taken() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls("");
    node.b_says("180 Ringing", "", "text/plain", b"");
    node.a_asks_with("INFO", "Content-Type: text/plain\r\n", b"x");
    node.a_asks_with("INFO", "Info-Package: y\r\nContent-Type: text/plain\r\n", b"x");
    let statuses: Vec<_> = answers(&node, PHONE_A)
        .iter()
        .map(|answer| answer.status().unwrap())
        .collect();
    assert_eq!(statuses, [415, 469]);
    assert!(node.to_b("INFO").is_empty());
    // A description of a session belongs into no INFO.
    let mut node = bridged(PHONE_A, PHONE_B);
    node.a_asks_with("INFO", "Content-Type: application/sdp\r\n", SDP.as_bytes());
    assert_eq!(answers(&node, PHONE_A).pop().unwrap().status(), Some(415));
    // Nor is one to be sent on elsewhere, or told by MESSAGE, by us.
    for method in ["REFER", "MESSAGE"] {
        node.a_asks_with(method, "Refer-To: <sip:x@y>\r\nContent-Type: text/plain\r\n", b"x");
        let (_, refused) = node.post.last().unwrap();
        assert_eq!(refused.status(), Some(405));
        assert!(refused.header("Allow").is_some_and(|allow| allow.contains("INFO")));
    }
}

#[test]
fn what_a_side_says_of_itself_without_an_offer_is_told_to_the_other() {
    let mut node = Node::new(TRUNK_A, TRUNK_B, |_| ());
    node.calls("Allow: INVITE, UPDATE\r\n");
    node.b_answers("Allow: INVITE, UPDATE\r\n");
    node.b_asks_with("UPDATE", "P-Asserted-Identity: <sip:new@b>\r\n", b"");
    let [update] = node.asked_of_a("UPDATE").try_into().unwrap();
    assert_eq!(pairs(&further(&update)), [("P-Asserted-Identity", "<sip:new@b>")]);
    assert!(update.body().is_empty());
    node.a_says("200 OK", "UPDATE", "", b"");
    // One that only refreshes says nothing to the other.
    node.b_asks_with(
        "UPDATE",
        "Session-Expires: 1800;refresher=uac\r\nSupported: timer\r\n",
        b"",
    );
    assert_eq!(node.asked_of_a("UPDATE").len(), 1);
}

#[test]
fn packages_are_told_of_by_the_side_that_takes_them() {
    let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
    node.calls("Recv-Info: x\r\n");
    assert_eq!(node.invite().header("Recv-Info"), Some("x"));
    node.b_says("180 Ringing", "Recv-Info: y\r\n", "text/plain", b"");
    node.b_answers("Recv-Info: y\r\n");
    assert_eq!(node.to_a(180)[0].header("Recv-Info"), None, "we take none");
    assert_eq!(node.to_a(200)[0].header("Recv-Info"), Some("y"));
}
