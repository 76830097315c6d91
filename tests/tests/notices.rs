//! A missed call is told by SIP MESSAGE to who was called, by the whole server: the call, the queue, the way back.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use segue_tests::{segue::Segue, wait::until};

/// The value of a header as it stands there.
fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name}: {message}"))
}

fn answer(request: &str, status: &str) -> String {
    let [via, from, to, call_id, cseq] = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| header(request, name));
    format!(
        "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=b\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
         Contact: <sip:bob@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_missed_call_is_told_by_message_to_the_phone_that_rang() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(folder.path());
    let [a, b] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    a.connect(segue.sip_udp()).unwrap();
    for socket in [&a, &b] {
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    }
    let phone = format!("sip:bob@{}", b.local_addr().unwrap());
    segue.cli(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        &phone,
        "--notify",
        "message",
        "--message-to",
        &phone,
        "--notify-on",
        "missed",
        "--notify-language",
        "de",
    ]);
    let (here, uri) = (a.local_addr().unwrap(), segue.uri("bob"));
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";
    let request = |method: &str, body: &str| {
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKmissed\r\nMax-Forwards: 70\r\n\
             From: \"Ann\" <sip:ann@example.org>;tag=a\r\nTo: <{uri}>\r\nCall-ID: missed@{here}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:ann@{here}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    a.send(request("INVITE", sdp).as_bytes()).unwrap();

    let deadline = Instant::now() + Duration::from_secs(20);
    let mut invite = None;
    let told = loop {
        assert!(Instant::now() < deadline, "nothing was told: {}", segue.log_text());
        let mut bytes = [0; 4096];
        // A acknowledges that its call has failed, or the call would last for 64·T1.
        if let Ok(length) = a.recv(&mut bytes)
            && let text = String::from_utf8_lossy(&bytes[..length])
            && text.starts_with("SIP/2.0 487")
        {
            let to = format!("To: <{uri}>");
            let ack = request("ACK", "").replace(&to, &format!("To: {}", header(&text, "To")));
            a.send(ack.as_bytes()).unwrap();
        }
        let Ok((length, from)) = b.recv_from(&mut bytes) else {
            continue;
        };
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        let says = |text: &str| b.send_to(text.as_bytes(), from).unwrap();
        match text.split(' ').next().unwrap() {
            "INVITE" => {
                says(&answer(&text, "180 Ringing"));
                invite = Some(text);
                a.send(request("CANCEL", "").as_bytes()).unwrap();
            }
            "CANCEL" => {
                says(&answer(&text, "200 OK"));
                says(&answer(invite.as_ref().unwrap(), "487 Request Terminated"));
            }
            "MESSAGE" => {
                says(&answer(&text, "200 OK"));
                break text;
            }
            _ => {}
        }
    };
    assert_eq!(header(&told, "Content-Type"), "text/plain;charset=UTF-8");
    assert_eq!(header(&told, "Content-Language"), "de");
    assert!(
        told.contains("\r\n\r\nAnruf in Abwesenheit von ann@example.org, "),
        "{told}"
    );
    until("the notice to be settled", Duration::from_secs(10), || {
        let rows = segue.rows(&["notice", "list", "bob"]);
        (rows.len() == 1 && rows[0]["state"] == "sent").then_some(())
    });
}
