//! A callee that says whatever it likes, in whatever spelling: nothing of it becomes a header of ours, or another dialog's.

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_sip_wire::Message;

use crate::node::{Node, PHONE_A, PHONE_B, SDP};

const NAMES: [&str; 24] = [
    "v",
    "Via",
    "Route",
    "Record-Route",
    "i",
    "Call-ID",
    "Max-Forwards",
    "Session-ID",
    "Require",
    "RSeq",
    "RAck",
    "k",
    "Server",
    "User-Agent",
    "Content-Disposition",
    "Content-Encoding",
    "e",
    "P-Asserted-Identity",
    "p-evil",
    "History-Info",
    "Privacy",
    "x-A",
    "Reason",
    "Warning",
];

const VALUES: [&str; 14] = [
    "<sip:evil@evil.example>;tag=evil",
    "SIP/2.0/UDP evil.example;branch=z9hG4bKevil",
    "a\r\n Via: SIP/2.0/UDP evil.example",
    "a\r\n\tContact: <sip:evil>",
    "\"",
    "\\",
    "%0d%0aVia: evil",
    "100rel",
    "1",
    "SIP;cause=200;text=\"a, b",
    "<sip:x?Via=evil>;index=1",
    "history;id",
    ";,;,=",
    "\u{7f}\u{85}\u{2028}",
];

fn lines(rng: &mut StdRng) -> String {
    let mut pick = |from: &[&'static str]| from[usize::try_from(rng.next_u64() % from.len() as u64).unwrap()];
    let mut lines = String::new();
    for _ in 0..3 {
        lines.push_str(&format!("{}: {}\r\n", pick(&NAMES), pick(&VALUES)));
    }
    lines
}

/// What holds of each message to A, whatever B says.
fn is_ours(message: &Message) {
    let text = String::from_utf8_lossy(&message.to_bytes()).into_owned();
    for name in ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"] {
        assert_eq!(message.headers(name).count(), 1, "{name}: {text}");
    }
    for name in [
        "Route",
        "Record-Route",
        "P-Asserted-Identity",
        "p-evil",
        "History-Info",
        "RAck",
    ] {
        assert_eq!(message.headers(name).count(), 0, "{name}: {text}");
    }
    for name in [
        "Contact",
        "Require",
        "RSeq",
        "Server",
        "User-Agent",
        "Session-ID",
        "Content-Disposition",
    ] {
        assert!(message.headers(name).count() <= 1, "{name}: {text}");
    }
    for name in ["Via", "From", "To", "Call-ID", "Contact", "Server", "Session-ID"] {
        let said = message.header(name).unwrap_or_default();
        assert!(!said.contains("evil"), "{name}: {text}");
    }
    assert_eq!(message.call_id(), Some("call"));
    assert!(text.split("\r\n").all(|line| !line.contains(['\r', '\n'])), "{text}");
}

#[test]
fn whatever_a_callee_says_its_caller_hears_headers_of_ours() {
    let mut heard = 0;
    for seed in 0..1_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut node = Node::new(PHONE_A, PHONE_B, |_| ());
        node.plain = seed % 3 == 0;
        node.calls("");
        node.says_if_readable("180 Ringing", &lines(&mut rng), "text/plain", b"");
        node.says_if_readable(
            "183 Session Progress",
            &lines(&mut rng),
            "application/x",
            b"Via: evil\r\n\r\n",
        );
        match seed % 3 {
            0 => node.says_if_readable("486 Busy Here", &lines(&mut rng), "application/x", b"x"),
            _ => node.says_if_readable("200 OK", &lines(&mut rng), "application/sdp", SDP.as_bytes()),
        }
        let to_a = node.post.iter().filter(|(to, _)| to == PHONE_A);
        for (_, message) in to_a {
            is_ours(message);
            heard += usize::from(message.header("x-A").is_some() || message.header("Warning").is_some());
        }
    }
    assert!(heard > 100, "only {heard} said anything for others");
}
