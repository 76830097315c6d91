//! Messages cut out of a stream, however it was segmented.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use segue_sip_wire::{Frame, MessageBuilder, Method, StreamFramer, Uri, Verdict, limits};

fn message(call_id: &str, body: &str) -> Vec<u8> {
    let uri: Uri = "sip:b@192.0.2.1".parse().unwrap();
    let builder = MessageBuilder::request(&Method::Message, &uri)
        .header("Via", "SIP/2.0/TCP 192.0.2.2;branch=z9hG4bKa")
        .header("From", "<sip:a@x>;tag=1")
        .header("To", "<sip:b@x>")
        .header("Call-ID", call_id)
        .header("CSeq", "1 MESSAGE");
    builder.body("text/plain", body.to_owned()).build().to_bytes().to_vec()
}

fn drain(framer: &mut StreamFramer, out: &mut Vec<String>) {
    loop {
        match framer.poll_frame() {
            Ok(Some(Frame::Message(m))) => out.push(m.call_id().unwrap().to_owned()),
            Ok(Some(Frame::KeepAlive)) => out.push("ping".into()),
            Ok(None) => return,
            Err(error) => out.push(format!("{:?}", error.verdict)),
        }
    }
}

#[test]
fn any_segmentation_gives_the_same_frames() {
    let mut stream = b"\r\n\r\n".to_vec();
    stream.extend(message("one", "body with \r\n\r\n inside"));
    stream.extend(b"\r\n");
    stream.extend(message("two", ""));
    stream.extend(b"\r\n\r\n\r\n\r\n");
    stream.extend(message("three", "x"));
    for size in [1, 2, 3, 5, 7, 64, 1000, stream.len()] {
        let (mut framer, mut out) = (StreamFramer::new(), Vec::new());
        for chunk in stream.chunks(size) {
            framer.push(chunk).unwrap();
            drain(&mut framer, &mut out);
        }
        assert_eq!(
            out,
            ["ping", "one", "two", "ping", "ping", "three"],
            "segments of {size}"
        );
        assert!(!framer.is_partial());
    }
}

#[test]
fn a_malformed_message_with_a_known_end_does_not_end_the_stream() {
    let broken = String::from_utf8(message("bad", "x"))
        .unwrap()
        .replace("CSeq: 1 MESSAGE", "CSeq: 1 INVITE");
    let mut framer = StreamFramer::new();
    framer.push(broken.as_bytes()).unwrap();
    framer.push(&message("good", "")).unwrap();
    let mut out = Vec::new();
    drain(&mut framer, &mut out);
    assert_eq!(out, ["Answer(400)", "good"]);
    assert!(!framer.is_broken());
}

#[test]
fn without_a_sure_end_the_stream_is_lost_but_answered() {
    let proper = String::from_utf8(message("x", "")).unwrap();
    for (length, status) in [
        ("", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 70000\r\n", 513),
        ("l: 0\r\nl: 0\r\n", 400),
    ] {
        let mut framer = StreamFramer::new();
        framer
            .push(proper.replace("Content-Length: 0\r\n", length).as_bytes())
            .unwrap();
        let error = framer.poll_frame().unwrap_err();
        assert_eq!(error.verdict, Verdict::Answer(status), "{length:?}");
        let answer = error.response("192.0.2.2:5060".parse().unwrap(), "t").unwrap();
        assert_eq!(answer.call_id(), Some("x"));
        assert!(framer.is_broken());
        assert!(matches!(framer.poll_frame(), Ok(None)));
    }
}

#[test]
fn a_head_without_end_is_refused_at_the_limit() {
    let mut framer = StreamFramer::new();
    framer
        .push(b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKa\r\n")
        .unwrap();
    let mut refused = None;
    for _ in 0..limits::MESSAGE_MAX / 500 {
        framer.push(format!("X: {}\r\n", "y".repeat(600)).as_bytes()).unwrap();
        if let Err(error) = framer.poll_frame() {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.unwrap().verdict, Verdict::Answer(513));
}

#[test]
fn what_nobody_drains_is_refused() {
    let mut framer = StreamFramer::new();
    let chunk = vec![b'x'; 60_000];
    assert!(framer.push(&chunk).is_ok());
    assert!(framer.push(&chunk).is_ok());
    assert!(framer.push(&chunk).is_err());
}
