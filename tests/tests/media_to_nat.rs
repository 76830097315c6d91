//! A phone behind a NAT is called: its media is where its SIP is, whatever its contact and SDP say.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use segue_tests::{
    segue::Segue,
    sipp::{Over, Seat, Sipp, free_port},
};

const SOON: Duration = Duration::from_secs(5);
/// What the registering scenario says of its phone; nobody here has this address.
const INSIDE: &str = "192.168.7.7";

fn bound(at: &str) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket
}

/// A SIP message that begins so and came to this socket, and where from.
fn heard(socket: &UdpSocket, start: &str) -> (String, SocketAddr) {
    let until = Instant::now() + SOON;
    let mut bytes = [0; 8_192];
    while Instant::now() < until {
        if let Ok((len, from)) = socket.recv_from(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if text.starts_with(start) {
                return (text, from);
            }
        }
    }
    panic!("no {start}")
}

fn header<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let of_name = |line: &&str| line.split(':').next().is_some_and(|n| n.eq_ignore_ascii_case(name));
    message.lines().filter(of_name).collect()
}

fn audio_port(message: &str) -> u16 {
    let after = message.split("m=audio ").nth(1).expect("sound");
    after.split(' ').next().unwrap().parse().unwrap()
}

fn sdp(address: &str, port: u16) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
}

fn rtp(sequence: u16, ssrc: u8) -> Vec<u8> {
    let [s0, s1] = sequence.to_be_bytes();
    let [t0, t1, t2, t3] = (u32::from(sequence) * 160).to_be_bytes();
    let mut packet = vec![0x80, 0, s0, s1, t0, t1, t2, t3, 0, 0, 0, ssrc];
    packet.extend([ssrc; 160]);
    packet
}

/// Whether sound of the other party comes.
fn hears(socket: &UdpSocket, ssrc: u8) -> bool {
    let mut bytes = [0; 2_048];
    (0..40).any(|_| {
        socket
            .recv(&mut bytes)
            .is_ok_and(|len| len == 172 && bytes[12..172] == [ssrc; 160])
    })
}

#[test]
fn both_hear_each_other_though_the_callee_says_an_address_that_nobody_reaches() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    let profile = "name = \"phones\"\nsources = [\"127.0.0.0/8\"]\nregistrar = true\nnat = true\nauth_realm = \"office\"\n\
                   digest_algorithms = [\"MD5\"]\n";
    fs::write(profiles.join("phones.toml"), profile).unwrap();
    let segue = Segue::start_with(folder.path(), &format!("profiles_dir = {profiles:?}\n"));
    let password = folder.path().join("password");
    fs::write(&password, "sesame\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    segue.cli(&[
        "subscriber",
        "add",
        "bob",
        "--password-file",
        password.to_str().unwrap(),
    ]);
    let seat = Seat {
        port: Some(free_port(Over::Udp)),
        ..Seat::here(Over::Udp, 300)
    };
    let server = segue.sip_udp();
    let args = ["-m", "1", "-l", "1", &server.to_string()];
    let registering = Sipp::seated(folder.path(), "caller", "register", seat, &args);
    registering.finish().unwrap();

    // The phone goes on by itself: SIP where it registered from, sound from another port of that address.
    let (b, b_sound) = (
        bound(&format!("127.0.0.1:{}", seat.port.unwrap())),
        bound("127.0.0.1:0"),
    );
    let (a, a_sound) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
    let own = a.local_addr().unwrap();
    let says = |method: &str, to: &str, cseq: &str, body: &str| {
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let text = format!(
            "{method} sip:bob@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@{own}>;tag=a\r\n{to}\r\nCall-ID: nat@media\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:alice@{own}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        a.send_to(text.as_bytes(), server).unwrap();
    };
    let to = format!("To: <sip:bob@{server}>");
    says(
        "INVITE",
        &to,
        "1",
        &sdp("127.0.0.1", a_sound.local_addr().unwrap().port()),
    );
    let (invite, segue_sip) = heard(&b, "INVITE sip:bob@192.168.7.7");
    let answer = sdp(INSIDE, b_sound.local_addr().unwrap().port());
    let echoed: Vec<String> = ["Via", "From", "Call-ID", "CSeq"]
        .iter()
        .flat_map(|name| header(&invite, name))
        .map(str::to_owned)
        .collect();
    let ok = format!(
        "SIP/2.0 200 OK\r\n{}\r\n{};tag=b\r\nContact: <sip:bob@{INSIDE}:5060>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{answer}",
        echoed.join("\r\n"),
        header(&invite, "To")[0],
        answer.len()
    );
    b.send_to(ok.as_bytes(), segue_sip).unwrap();
    heard(&b, "ACK ");
    let (answered, _) = heard(&a, "SIP/2.0 200");
    says("ACK", header(&answered, "To")[0], "1", "");

    let (to_a, to_b) = (audio_port(&answered), audio_port(&invite));
    let both = |n: u16| {
        a_sound.send_to(&rtp(n, 7), ("127.0.0.1", to_a)).unwrap();
        b_sound.send_to(&rtp(n, 9), ("127.0.0.1", to_b)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    };
    (0..10).for_each(both);
    assert!(hears(&a_sound, 9), "the caller hears the callee");
    assert!(hears(&b_sound, 7), "and the callee the caller");
    says("BYE", header(&answered, "To")[0], "2", "");
    heard(&a, "SIP/2.0 200");
}
