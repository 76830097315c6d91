//! Building messages, and that nothing given can add a header field, a body or another message.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use segue_sip_wire::{Message, MessageBuilder, Method, NameAddr, Uri};

fn invite() -> Message {
    let text = "INVITE sip:b@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.1:5062;rport;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK0\r\n\
                Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nf: \"A\" <sip:a@x>;tag=1\r\nt:  <sip:b@x>\r\ni: c1\r\nCSeq: 7 INVITE\r\n\
                Timestamp: 54\r\nl: 0\r\n\r\n";
    Message::parse_datagram(text.as_bytes()).unwrap()
}

#[test]
fn a_response_copies_what_the_rfc_says() {
    let source = "203.0.113.5:40000".parse().unwrap();
    let request = invite().with_received(source);
    let response = MessageBuilder::response_to(&request, 180, Some("t1"))
        .header("Contact", "<sip:x@y>")
        .build();
    assert_eq!(response.status(), Some(180));
    assert_eq!(response.phrase(), Some("Ringing"));
    assert_eq!(response.header("From"), Some("\"A\" <sip:a@x>;tag=1"));
    assert_eq!(response.header("To"), Some("<sip:b@x>;tag=t1"));
    assert_eq!(response.header("CSeq"), Some("7 INVITE"));
    assert_eq!(response.routes("Record-Route").unwrap().len(), 2);
    let vias = response.vias().unwrap();
    assert_eq!(vias.len(), 2);
    assert_eq!(
        (vias[0].received(), vias[0].rport()),
        (Some(source.ip()), Some(Some(40000)))
    );
    assert_eq!(response.header("Timestamp"), None);

    let trying = MessageBuilder::response_to(&request, 100, None).build();
    assert_eq!(
        (trying.to().unwrap().tag(), trying.header("Timestamp")),
        (None, Some("54"))
    );
    assert_eq!(trying.header("Record-Route"), None);
    let again = MessageBuilder::response_to(&Message::parse_datagram(&tagged()).unwrap(), 200, Some("other")).build();
    assert_eq!(again.to().unwrap().tag(), Some("mine"), "a tag that is there stays");
}

fn tagged() -> Vec<u8> {
    let text = String::from_utf8(invite().to_bytes().to_vec()).unwrap();
    text.replace("<sip:b@x>", "<sip:b@x>;tag=mine").into_bytes()
}

#[test]
fn a_made_up_received_is_overwritten() {
    let text = String::from_utf8(invite().to_bytes().to_vec())
        .unwrap()
        .replace(";rport;", ";received=198.51.100.1;");
    let request = Message::parse_datagram(text.as_bytes()).unwrap();
    let from_itself = request.with_received("10.0.0.1:5062".parse().unwrap());
    assert_eq!(from_itself.top_via().unwrap().received(), None);
    let from_elsewhere = request.with_received("203.0.113.5:1".parse().unwrap());
    assert_eq!(
        from_elsewhere.top_via().unwrap().received(),
        Some("203.0.113.5".parse().unwrap())
    );
}

#[test]
fn content_length_is_always_ours() {
    let uri: Uri = "sip:b@192.0.2.1".parse().unwrap();
    let m = MessageBuilder::request(&Method::Invite, &uri)
        .header("Content-Length", "9999")
        .header("l", "1")
        .body("application/sdp", "v=0\r\n")
        .build();
    assert_eq!(m.headers("Content-Length").collect::<Vec<_>>(), ["5"]);
    assert_eq!(m.body(), b"v=0\r\n");
    assert_eq!(m.sdp(), Some(b"v=0\r\n".as_slice()));
}

#[test]
fn a_line_end_in_a_value_a_name_or_a_phrase_adds_no_header() {
    let uri: Uri = "sip:b@192.0.2.1?Route=%3Csip:evil%3E".parse().unwrap();
    let evil = "x\r\nEvil: 1\r\n\r\nINVITE sip:evil SIP/2.0\r\n";
    let request = MessageBuilder::request(&Method::Invite, &uri)
        .header("Subject", evil)
        .header_first("Reason", evil)
        .header("Ev\r\nil", "1")
        .header("", "1")
        .header("Evil 2", "1")
        .body(evil, "body")
        .build();
    let name = NameAddr {
        display: Some(evil.into()),
        uri: uri.clone(),
        params: Default::default(),
    }
    .with_tag(evil);
    let response = MessageBuilder::response(200)
        .phrase(evil)
        .header("From", name.to_string())
        .build();
    let of_evil_tag = MessageBuilder::response_to(&invite(), 200, Some("t\r\nEvil: 1")).build();
    for message in [request, response, of_evil_tag] {
        let text = String::from_utf8(message.to_bytes().to_vec()).unwrap();
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with("Evil") || line.starts_with("INVITE sip:evil")),
            "{text}"
        );
        assert_eq!(message.header("Evil"), None);
        assert_eq!(text.matches("\r\n\r\n").count(), 1, "{text}");
    }
}

#[test]
fn every_built_header_reads_back_in_order() {
    let uri: Uri = "sip:b@192.0.2.1".parse().unwrap();
    let m = MessageBuilder::request(&Method::Other("FOO".into()), &uri)
        .header("X-One", "1, \"two, three\"")
        .header("x-one", "<sip:a,b@c>, 4")
        .header_first("Via", "SIP/2.0/UDP h;branch=z9hG4bK1")
        .build();
    let names: Vec<_> = m.all_headers().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["Via", "X-One", "x-one", "Content-Length"]);
    assert_eq!(m.list("X-One"), ["1", "\"two, three\"", "<sip:a,b@c>", "4"]);
    assert_eq!(m.method(), Some(&Method::Other("FOO".into())));
}
