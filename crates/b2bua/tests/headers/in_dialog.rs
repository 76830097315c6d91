//! What the sides of a bridge say to each other within their dialogs.

use crate::node::{Node, PHONE_A, PHONE_B, SDP, TRUNK_A, TRUNK_B, further, pairs};

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
    node.calls("");
    node.b_answers("");
    node
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
