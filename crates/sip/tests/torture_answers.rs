//! What the RFC 4475 messages that parse are answered (those that don't parse are sip-wire's).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use segue_sip_wire::Message;

const ANSWERS: [(&str, &[&str]); 25] = [
    // It has a To tag that is not ours.
    ("wsinv", &["481 INVITE"]),
    ("intmeth", &["501 !interesting-Method0123456789_*+`.%indeed'~"]),
    ("esc01", &["100 INVITE"]),
    ("escnull", &["405 REGISTER"]),
    ("esc02", &["501 RE%47IST%45R"]),
    ("lwsdisp", &["200 OPTIONS"]),
    ("longreq", &["100 INVITE"]),
    ("dblreq", &["405 REGISTER"]),
    ("semiuri", &["200 OPTIONS"]),
    ("transports", &["200 OPTIONS"]),
    ("mpart01", &["405 MESSAGE"]),
    // Responses to nothing.
    ("unreason", &[]),
    ("noreason", &[]),
    ("bcast", &[]),
    ("baddate", &["100 INVITE"]),
    ("unkscm", &["416 OPTIONS"]),
    ("novelsc", &["416 OPTIONS"]),
    ("unksm2", &["405 REGISTER"]),
    ("bext01", &["420 OPTIONS"]),
    ("invut", &["415 INVITE"]),
    ("regaut01", &["405 REGISTER"]),
    ("zeromf", &["200 OPTIONS"]),
    ("cparam01", &["405 REGISTER"]),
    ("sdp01", &["406 INVITE"]),
    // No Contact: no dialog can come of it.
    ("inv2543", &["400 INVITE"]),
];

#[test]
fn each_gets_its_answer() {
    for (name, answer) in ANSWERS {
        let path = format!("{}/../sip-wire/tests/rfc4475/{name}.dat", env!("CARGO_MANIFEST_DIR"));
        let message = Message::parse_datagram(&std::fs::read(&path).unwrap()).unwrap();
        let mut script = Script::default();
        script.endpoint.handle_message(script.now, script.peer, message);
        assert_eq!(statuses(&script.hear()), answer, "{name}");
    }
}
