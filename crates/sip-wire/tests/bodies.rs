//! Where the session description is found.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use segue_sip_wire::{Message, MessageBuilder, Method, Uri};

fn with(content_type: &str, body: &str) -> Message {
    let uri: Uri = "sip:b@192.0.2.1".parse().unwrap();
    MessageBuilder::request(&Method::Invite, &uri)
        .body(content_type, body.to_owned())
        .build()
}

const MIXED: &str = "preamble --x\r\n--x y\r\nContent-Type: text/plain\r\n\r\nno --x here\r\n--x y  \r\nc : Application/SDP;a=b\r\n\
                     Content-Disposition: session;handling=required\r\n\r\nv=0\r\ns=-\r\n\r\n--x y--\r\nepilogue";

#[test]
fn a_multipart_body_gives_its_sdp_part() {
    let m = with("multipart/mixed; boundary=\"x y\"", MIXED);
    assert_eq!(m.sdp(), Some(b"v=0\r\ns=-\r\n".as_slice()));
}

#[test]
fn other_bodies_and_other_dispositions_give_none() {
    assert_eq!(with("application/isup", "v=0\r\n").sdp(), None);
    assert_eq!(with("multipart/mixed", MIXED).sdp(), None, "no boundary");
    assert_eq!(
        with("multipart/mixed;boundary=z", MIXED).sdp(),
        None,
        "another boundary"
    );
    let early = MIXED.replace("session;handling", "early-session;handling");
    assert_eq!(with("multipart/mixed; boundary=\"x y\"", &early).sdp(), None);
    let uri: Uri = "sip:b@192.0.2.1".parse().unwrap();
    let render = MessageBuilder::request(&Method::Invite, &uri).body("application/sdp", "v=0\r\n");
    assert_eq!(render.header("Content-Disposition", "render").build().sdp(), None);
}

#[test]
fn parts_are_bounded() {
    let mut body = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(16);
    body.push_str("--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--");
    assert_eq!(
        with("multipart/mixed;boundary=b", &body).sdp(),
        None,
        "the 17th part is not looked at"
    );
}
