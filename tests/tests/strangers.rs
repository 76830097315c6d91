//! Who is not known gets no answer, and the log says what would admit it. What is known and sends rubbish gets a 400 where that is
//! possible, and harms nobody.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use segue_tests::{
    segue::{Segue, repository, sample},
    wait::until,
};

const SOON: Duration = Duration::from_secs(5);
/// So long nothing may come.
const SILENCE: Duration = Duration::from_millis(700);

/// Somebody with a UDP socket.
struct Peer {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Peer {
    fn at(host: &str, server: SocketAddr) -> Peer {
        let socket = UdpSocket::bind((host, 0)).unwrap();
        Peer { socket, server }
    }

    fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).unwrap();
    }

    fn answer_within(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut bytes = vec![0; 65_536];
        let length = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    /// The final answer to a request, acknowledged when it was an INVITE.
    fn ask(&self, request: &str) -> String {
        self.send(request.as_bytes());
        loop {
            let answer = self
                .answer_within(SOON)
                .unwrap_or_else(|| panic!("no answer to {}", &request[..request.len().min(400)]));
            if answer.starts_with("SIP/2.0 1") {
                continue;
            }
            if request.starts_with("INVITE ") {
                let to = answer.lines().find(|line| line.starts_with("To:")).unwrap_or_default();
                let kept = request.split("\r\n").filter(|line| !line.starts_with("Content-"));
                let lines = kept.take_while(|line| !line.is_empty()).map(|line| {
                    if line.starts_with("To:") {
                        to.trim_end().to_owned()
                    } else {
                        line.replace("INVITE", "ACK")
                    }
                });
                let ack = lines.collect::<Vec<_>>().join("\r\n") + "\r\nContent-Length: 0\r\n\r\n";
                self.send(ack.as_bytes());
            }
            return answer;
        }
    }

    fn request(&self, method: &str, user: &str, more: &str, body: &str) -> String {
        request(
            "UDP",
            self.socket.local_addr().unwrap(),
            (method, user),
            self.server,
            (more, body),
        )
    }
}

fn request(
    over: &str,
    own: SocketAddr,
    (method, user): (&str, &str),
    server: SocketAddr,
    (more, body): (&str, &str),
) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let unique = format!("{}x{}", own.port(), COUNT.fetch_add(1, Ordering::Relaxed));
    format!(
        "{method} sip:{user}@{server} SIP/2.0\r\nVia: SIP/2.0/{over} {own};branch=z9hG4bK{unique};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@{own}>;tag=a{unique}\r\nTo: <sip:{user}@{server}>\r\n\
         Call-ID: {unique}@strangers\r\nCSeq: 1 {method}\r\nContact: <sip:alice@{own}>\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn status(answer: &str) -> &str {
    answer.get(8..11).unwrap_or(answer)
}

fn profile(folder: &Path, sources: &str) {
    let text = std::fs::read_to_string(repository().join("sip-profiles/softphone.toml")).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("sources = ") {
        true => sources,
        false => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("softphone.toml"), text).unwrap();
}

#[test]
fn an_unknown_source_gets_no_answer_until_the_line_in_the_log_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("profiles");
    profile(&profiles, "sources = [\"127.0.0.2/32\"]");
    let mut segue = Segue::start_with(&folder.path().join("segue"), &format!("profiles_dir = {profiles:?}\n"));
    let (known, stranger) = (
        Peer::at("127.0.0.2", segue.sip_udp()),
        Peer::at("127.0.0.1", segue.sip_udp()),
    );
    assert_eq!(status(&known.ask(&known.request("OPTIONS", "x", "", ""))), "404");

    for method in ["OPTIONS", "INVITE", "REGISTER", "NONSENSE"] {
        stranger.send(stranger.request(method, "x", "", "").as_bytes());
    }
    stranger.send(b"NOT SIP\r\n\r\n");
    stranger.send(
        &stranger
            .request("OPTIONS", "x", "Max-Forwards: many\r\n", "")
            .into_bytes(),
    );
    let mut tcp = TcpStream::connect(segue.sip_tcp()).unwrap();
    let own = tcp.local_addr().unwrap();
    let asked = request("TCP", own, ("OPTIONS", "x"), segue.sip_tcp(), ("", ""));
    tcp.write_all(asked.as_bytes()).unwrap();
    assert_eq!(stranger.answer_within(SILENCE), None);
    tcp.set_read_timeout(Some(SILENCE)).unwrap();
    let mut heard = [0; 100];
    assert!(!matches!(tcp.read(&mut heard), Ok(1..)), "an answer over TCP");
    assert_eq!(
        segue.health()["counters"]["sip_unknown_source"],
        5,
        "{}",
        segue.health()
    );
    assert_eq!(segue.health()["calls"], 0);

    let log = segue.log_text();
    let line = log
        .find("sources = [")
        .map(|at| &log[at..])
        .and_then(|rest| rest.split_inclusive(']').next());
    let line = line.unwrap_or_else(|| panic!("no line that would admit it in {log}"));
    assert_eq!(line, "sources = [\"127.0.0.2/32\", \"127.0.0.1/32\"]");
    profile(&profiles, line);
    segue.stop();
    segue.run();
    for peer in [&stranger, &known] {
        assert_eq!(status(&peer.ask(&peer.request("OPTIONS", "x", "", ""))), "404");
    }
}

#[test]
fn rubbish_is_refused_where_that_is_possible_and_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    segue.cli(&["clip", "add", "clip", sample("clip.mp4").to_str().unwrap()]);
    segue.cli(&[
        "subscriber",
        "add",
        "b",
        "--target",
        "sip:b@127.0.0.1:9",
        "--clip",
        "clip",
    ]);
    let peer = Peer::at("127.0.0.1", segue.sip_udp());

    for (what, rubbish) in [
        ("no bytes", &b""[..]),
        ("zeros", &[0; 1200]),
        ("a keep-alive", b"\r\n\r\n"),
        ("half a line", b"INVITE sip:b@127.0.0.1 SIP/2."),
        (
            "a response to nothing",
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:1\r\n\r\n",
        ),
        ("RTP", &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
    ] {
        peer.send(rubbish);
        assert_eq!(peer.answer_within(Duration::from_millis(100)), None, "{what}");
    }

    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    let many = "X-Many: x\r\n".repeat(1_000);
    for (what, request, wanted) in [
        ("a long header field", peer.request("OPTIONS", "b", &long, ""), "513"),
        ("many header fields", peer.request("OPTIONS", "b", &many, ""), "513"),
        (
            "another version of SIP",
            peer.request("OPTIONS", "b", "", "").replacen("SIP/2.0", "SIP/3.0", 1),
            "505",
        ),
        (
            "a CSeq of another method",
            peer.request("OPTIONS", "b", "", "")
                .replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE"),
            "400",
        ),
        (
            "a body that is cut off",
            peer.request("OPTIONS", "b", "", "")
                .replace("Content-Length: 0", "Content-Length: 99"),
            "400",
        ),
        (
            "an offer of nothing that can be relayed",
            peer.request(
                "INVITE",
                "b",
                "Content-Type: application/sdp\r\n",
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=application 9 TCP/BFCP *\r\n",
            ),
            "488",
        ),
        (
            "an offer that is none",
            peer.request("INVITE", "b", "Content-Type: application/sdp\r\n", "v=1\r\n"),
            "400",
        ),
        (
            "a body of another kind",
            peer.request("INVITE", "b", "Content-Type: text/plain\r\n", "hello"),
            "415",
        ),
    ] {
        let answer = peer.ask(&request);
        assert_eq!(status(&answer), wanted, "{what}: {answer}");
        assert!(
            wanted != "488" || answer.contains("\r\nWarning: "),
            "{what}: no Warning in {answer}"
        );
    }

    for (what, rubbish, wanted) in [
        (
            "a message longer than 64 KiB",
            request(
                "TCP",
                segue.sip_udp(),
                ("OPTIONS", "b"),
                segue.sip_tcp(),
                ("", &"x".repeat(70_000)),
            ),
            "513",
        ),
        (
            "no Content-Length",
            request("TCP", segue.sip_udp(), ("OPTIONS", "b"), segue.sip_tcp(), ("", ""))
                .replace("Content-Length: 0\r\n", ""),
            "400",
        ),
    ] {
        let mut stream = TcpStream::connect(segue.sip_tcp()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        // It may be hung up on before all of it is sent.
        let _ = stream.write_all(rubbish.as_bytes());
        let mut said = [0; 400];
        let length = stream.read(&mut said).unwrap_or_else(|error| panic!("{what}: {error}"));
        let answer = String::from_utf8_lossy(&said[..length]);
        assert_eq!(status(&answer), wanted, "{what}: {answer}");
        until("the lost connection to be closed", SOON, || {
            matches!(stream.read(&mut said), Ok(0) | Err(_)).then_some(())
        });
    }
    let mut stream = TcpStream::connect(segue.sip_tcp()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n", "a keep-alive is answered (RFC 5626 §4.4.1)");

    assert_eq!(status(&peer.ask(&peer.request("OPTIONS", "b", "", ""))), "200");
    assert_eq!(segue.health()["calls"], 0);
}
