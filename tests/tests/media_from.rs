//! Who is admitted cannot have the clip sent to somebody who never asked for it.

use std::{net::UdpSocket, time::Duration};

use segue_tests::{
    segue::{Segue, sample},
    wait::until,
};

/// Listens for SIP as a caller; the SDP names another address, of somebody else.
struct Caller {
    sip: UdpSocket,
    elsewhere: UdpSocket,
}

impl Caller {
    fn new() -> Caller {
        let bind = |address: &str| {
            let socket = UdpSocket::bind(address).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            socket
        };
        Caller {
            sip: bind("127.0.0.1:0"),
            elsewhere: bind("127.0.0.2:0"),
        }
    }

    fn send(&self, segue: &Segue, method: &str, cseq: &str) {
        let (own, server) = (self.sip.local_addr().unwrap(), segue.sip_udp());
        let port = self.elsewhere.local_addr().unwrap().port();
        let body = match method {
            "INVITE" => format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
            ),
            _ => String::new(),
        };
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let text = format!(
            "{method} sip:bob@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKone\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@{own}>;tag=a\r\nTo: <sip:bob@{server}>\r\nCall-ID: one@media-from\r\nCSeq: 1 {cseq}\r\n\
             Contact: <sip:alice@{own}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sip.send_to(text.as_bytes(), server).unwrap();
    }

    /// The audio port of the answer in the 183.
    fn answered_port(&self) -> u16 {
        until("the 183", Duration::from_secs(5), || {
            let mut bytes = [0; 4_096];
            let len = self.sip.recv(&mut bytes).ok()?;
            let text = String::from_utf8_lossy(bytes.get(..len)?).into_owned();
            let media = text.split("m=audio ").nth(1)?;
            media.split(' ').next()?.parse().ok()
        })
    }

    /// How many packets came to the other address within a second.
    fn heard_elsewhere(&self) -> usize {
        let mut bytes = [0; 2_048];
        (0..50).filter(|_| self.elsewhere.recv(&mut bytes).is_ok()).count()
    }
}

#[test]
fn the_clip_is_not_sent_to_a_third_party() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(folder.path());
    segue.cli(&["clip", "add", "clip", &sample("clip.mp4").display().to_string()]);
    let target = "sip:bob@127.0.0.1:9";
    segue.cli(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        target,
        "--clip",
        "clip",
        "--hold",
        "30s",
    ]);
    let caller = Caller::new();
    caller.send(&segue, "INVITE", "INVITE");
    let port = caller.answered_port();
    assert_eq!(caller.heard_elsewhere(), 0, "nothing has come from there");
    // Who is there, and wants it, sends.
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9];
    packet.extend([0xff; 160]);
    caller.elsewhere.send_to(&packet, ("127.0.0.1", port)).unwrap();
    assert!(caller.heard_elsewhere() > 20, "the clip");
    caller.send(&segue, "CANCEL", "CANCEL");
}
