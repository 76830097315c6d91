//! `test.seed`: two servers started anew with one seed say the same to the byte; with another one they do not.

use std::{net::UdpSocket, time::Duration};

use segue_tests::segue::Segue;

/// A party that speaks SIP over UDP and keeps what it was told, each message once.
struct Party {
    socket: UdpSocket,
    told: Vec<String>,
}

impl Party {
    fn new() -> Party {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let told = Vec::new();
        Party { socket, told }
    }

    fn at(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }

    fn send(&self, to: &str, message: &str) {
        let whole = message.replace('\n', "\r\n");
        self.socket.send_to(whole.as_bytes(), to).unwrap();
    }

    /// The next message whose first line has this in it; what comes before it is kept too.
    #[track_caller]
    fn next(&mut self, first_line: &str) -> String {
        let mut buffer = [0; 8192];
        loop {
            let length = self
                .socket
                .recv(&mut buffer)
                .unwrap_or_else(|e| panic!("{first_line}: {e}"));
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if self.told.contains(&message) {
                continue;
            }
            self.told.push(message.clone());
            if message.lines().next().unwrap_or_default().contains(first_line) {
                return message;
            }
        }
    }

    /// Answers a request, with the tag `b` of ours.
    fn answer(&self, segue: &str, request: &str, status: &str, rest: &str) {
        let mut head = String::new();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let tag = if name == "To" && !field(request, name).contains("tag=") {
                ";tag=b"
            } else {
                ""
            };
            head += &format!("{name}: {}{tag}\n", field(request, name));
        }
        self.send(segue, &format!("SIP/2.0 {status}\n{head}{rest}"));
    }

    /// The headers and body that offer or answer sound, with our Contact.
    fn sound(&self) -> String {
        let body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
        format!(
            "Contact: <sip:{}>\nContent-Type: application/sdp\nContent-Length: {}\n\n{}",
            self.at(),
            body.len(),
            body.replace("\r\n", "\n")
        )
    }
}

fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let mut fields = message.lines().filter_map(|line| line.split_once(": "));
    fields
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
        .unwrap_or_default()
}

/// One call from `a` to bob, who is `b`: answered, then ended by the caller. What each was told.
fn call(segue: &Segue, a: &mut Party, b: &mut Party) -> (Vec<String>, Vec<String>) {
    let at = segue.sip_udp().to_string();
    let here = a.at();
    let head = |method: &str, uri: &str, branch: &str, to: &str, cseq: &str| {
        format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{branch}\nMax-Forwards: 70\n\
             From: <sip:alice@{here}>;tag=a\nTo: {to}\nCall-ID: one@seed\nCSeq: {cseq} {method}\n"
        )
    };
    let bob = segue.uri("bob");
    let invite = head("INVITE", &bob, "1", &format!("<{bob}>"), "1");
    a.send(&at, &format!("{invite}{}", a.sound()));

    let invited = b.next("INVITE");
    b.answer(
        &at,
        &invited,
        "180 Ringing",
        &format!("Contact: <sip:{}>\nContent-Length: 0\n\n", b.at()),
    );
    a.next("180");
    b.answer(&at, &invited, "200 OK", &b.sound());
    b.next("ACK");
    let answered = a.next("200");
    let (to, contact) = (field(&answered, "To"), field(&answered, "Contact"));
    let contact = contact.trim_start_matches('<').split('>').next().unwrap();
    let end = "Content-Length: 0\n\n";
    a.send(&at, &format!("{}{end}", head("ACK", contact, "2", to, "1")));
    a.send(&at, &format!("{}{end}", head("BYE", contact, "3", to, "2")));
    let bye = b.next("BYE");
    b.answer(&at, &bye, "200 OK", end);
    a.next("200");
    (std::mem::take(&mut a.told), std::mem::take(&mut b.told))
}

#[test]
fn one_seed_says_the_same_to_the_byte_and_another_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Party::new(), Party::new());
    let target = format!("sip:bob@{}", b.at());
    let mut play = |segue: &Segue| {
        segue.cli(&["subscriber", "add", "bob", "--target", &target]);
        call(segue, &mut a, &mut b)
    };

    let mut segue = Segue::start_with(&folder.path().join("segue"), "test.seed = 7");
    let first = play(&segue);
    let id = |segue: &Segue| {
        let record = segue.cli(&["wait", "call", "--sip-call-id", "one@seed", "--timeout", "5s"]);
        record["id"].as_str().unwrap().to_owned()
    };
    let first_id = id(&segue);
    // Another server on the same ports, with nothing of the first one's.
    segue.stop();
    std::fs::remove_dir_all(segue.data()).unwrap();
    segue.run();
    assert_eq!(play(&segue), first);
    assert_ne!(id(&segue), first_id, "the ids of records carry the time");

    segue.stop();
    std::fs::remove_dir_all(segue.data()).unwrap();
    segue.set("test.seed = 8");
    segue.run();
    let other = play(&segue);
    assert_eq!((other.0.len(), other.1.len()), (first.0.len(), first.1.len()));
    for name in ["From", "Call-ID", "Via"] {
        assert_ne!(field(&other.1[0], name), field(&first.1[0], name), "{name}");
    }
}
