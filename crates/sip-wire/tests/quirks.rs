//! What phones in the field write that the grammar does not have, and what of it is read.

#![allow(clippy::unwrap_used, clippy::panic)]

use segue_sip_wire::{Frame, Message, StreamFramer};

/// A request without a body whose RAck ends in a lone LF, as libre (baresip 2 to 4) writes it.
fn request(method: &str, odd: &str) -> String {
    format!(
        "{method} sip:segue@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         To: <sip:b@192.0.2.1>;tag=b\r\nFrom: <sip:a@192.0.2.7>;tag=a\r\nCall-ID: c\r\nCSeq: 2 {method}\r\n{odd}\r\n\r\n"
    )
}

#[test]
fn a_rack_may_end_in_a_lone_lf() {
    let text = request("PRACK", "User-Agent: libre\r\nRAck: 7 1 INVITE\nContent-Length: 0");
    let datagram = Message::parse_datagram(text.as_bytes()).unwrap();
    let mut framer = StreamFramer::default();
    framer.push(text.as_bytes()).unwrap();
    let Ok(Some(Frame::Message(framed))) = framer.poll_frame() else {
        panic!("no message")
    };
    for message in [datagram, framed] {
        assert_eq!(message.rack().unwrap().rseq, 7);
        assert_eq!(message.header("Content-Length"), Some("0"));
    }
}

/// Another element may have read one field where we would read two: nothing else may end so.
#[test]
fn nothing_else_may() {
    for (method, odd) in [
        ("INVITE", "RAck: 7 1 INVITE\nP-Asserted-Identity: <sip:x@y>"),
        ("PRACK", "Subject: x\nP-Asserted-Identity: <sip:x@y>"),
        ("PRACK", "RAck: 7 1\r INVITE\nP-Asserted-Identity: <sip:x@y>"),
        ("PRACK", "RAck: 7 1 INVITE\nSubject: x\nP-Asserted-Identity: <sip:x@y>"),
        ("PRACK", "RAck: 7 1 INVITE\rSubject: x"),
    ] {
        let error = Message::parse_datagram(request(method, odd).as_bytes()).unwrap_err();
        assert!(error.why.contains("stands alone"), "{odd:?}: {}", error.why);
    }
}
