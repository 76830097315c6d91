//! B answers at the very moment at which we stop waiting: whichever comes first, B's leg ends with what RFC 3261 owes it.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use segue_tests::{
    segue::{Segue, sample},
    sipp::{Over, Sipp},
    wait::until,
};

/// How long B may ring, and how far from that it answers.
const NO_ANSWER_MS: i64 = 600;
const OFFSETS_MS: [i64; 16] = [-60, -15, -10, -8, -7, -6, -5, -4, -3, -2, -1, 0, 2, 5, 10, 60];

/// How long B takes no notice of anything before it answers.
const UNDECIDED: Duration = Duration::from_millis(5);

/// Stories that run at the same time.
const AT_ONCE: usize = 4;

/// What B's leg has seen, in order.
#[derive(Debug, Default)]
struct Seen {
    cancelled: bool,
    /// The final status that B sent.
    sent: Option<u16>,
    acknowledged: bool,
    hung_up: bool,
}

/// A callee over UDP that answers so long after the INVITE unless it has been cancelled by then.
struct Callee {
    port: u16,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Callee {
    fn start(answers_after: Duration) -> Callee {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let thread = thread::spawn(move || listen(&socket, answers_after, &until));
        Callee { port, over, thread }
    }

    fn finish(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn listen(socket: &UdpSocket, answers_after: Duration, over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut invite: Option<(String, SocketAddr, Instant)> = None;
    let mut again_at: Option<Instant> = None;
    while !over.load(Ordering::Relaxed) {
        let mut bytes = vec![0; 4096];
        if let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
            match request.split(' ').next().unwrap() {
                "INVITE" if invite.is_none() => {
                    reply(socket, from, &request, 180);
                    invite = Some((request, from, Instant::now()));
                }
                "CANCEL" => {
                    seen.cancelled = true;
                    reply(socket, from, &request, 200);
                    if seen.sent.is_none() {
                        seen.sent = Some(487);
                    }
                }
                "ACK" => seen.acknowledged = true,
                "BYE" => {
                    seen.hung_up = true;
                    reply(socket, from, &request, 200);
                }
                _ => {}
            }
        }
        let Some((request, from, came)) = &invite else { continue };
        if seen.sent.is_none() && came.elapsed() >= answers_after {
            // Its mind is made up before the answer is on the wire: a CANCEL that comes meanwhile finds it answered.
            thread::sleep(UNDECIDED);
            seen.sent = Some(200);
        }
        // Again until it is acknowledged (RFC 3261 §13.3.1.4).
        if let Some(status) = seen.sent
            && !seen.acknowledged
            && again_at.is_none_or(|at| at <= Instant::now())
        {
            reply(socket, *from, request, status);
            again_at = Some(Instant::now() + Duration::from_millis(500));
        }
    }
    seen
}

fn reply(socket: &UdpSocket, to: SocketAddr, request: &str, status: u16) {
    let own = socket.local_addr().unwrap();
    let kept = request.split("\r\n").filter_map(|line| {
        let name = line.split(':').next()?;
        match name {
            "Via" | "From" | "Call-ID" | "CSeq" => Some(format!("{line}\r\n")),
            "To" if line.contains("tag=") => Some(format!("{line}\r\n")),
            "To" => Some(format!("{line};tag=b{}\r\n", own.port())),
            _ => None,
        }
    });
    let phrase = match status {
        180 => "Ringing",
        487 => "Request Terminated",
        _ => "OK",
    };
    let answers = status == 200 && request.starts_with("INVITE");
    let (content_type, sdp) = match answers {
        true => (
            "Content-Type: application/sdp\r\n",
            format!(
                "v=0\r\no=bob 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n\
                 m=video 0 RTP/AVP 96\r\n",
                own.port() & !1
            ),
        ),
        false => ("", String::new()),
    };
    let text = format!(
        "SIP/2.0 {status} {phrase}\r\n{}Contact: <sip:bob@{own}>\r\n{content_type}Content-Length: {}\r\n\r\n{sdp}",
        kept.collect::<String>(),
        sdp.len()
    );
    socket.send_to(text.as_bytes(), to).unwrap();
}

fn play(segue: &Segue, folder: &Path, offset_ms: i64) -> String {
    let name = format!("b{}", offset_ms + 1000);
    let folder = folder.join(&name);
    std::fs::create_dir_all(&folder).unwrap();
    let callee = Callee::start(Duration::from_millis((NO_ANSWER_MS + offset_ms) as u64));
    let target = format!("sip:bob@127.0.0.1:{}", callee.port);
    let no_answer = format!("{NO_ANSWER_MS}ms");
    segue.cli(&[
        "subscriber",
        "add",
        &name,
        "--target",
        &target,
        "--clip",
        "clip",
        "--hold",
        "200ms",
        "--no-answer",
        &no_answer,
    ]);
    let call_id = format!("{name}@crossing");
    let server = segue.sip_udp();
    let caller = Sipp::caller(
        &folder,
        "hang_up_at_greeting",
        (Over::Udp, 200),
        (&name, server),
        &call_id,
    );
    caller.finish().unwrap_or_else(|why| panic!("{why}"));
    let args = [
        "wait",
        "call",
        "--sip-call-id",
        &call_id,
        "--state",
        "ended",
        "--timeout",
        "20s",
    ];
    let record = segue.cli(&args);
    let seen = callee.finish();
    let told = format!("B at {offset_ms} ms: {seen:?}; {record:#}");
    assert!(
        seen.acknowledged,
        "the final response of B was not acknowledged: {told}"
    );
    let result = record["result"].as_str().unwrap();
    match (seen.sent, result) {
        // A hung up, or the mailbox had A already.
        (Some(200), "answered" | "greeted") => assert!(seen.hung_up, "B still talks: {told}"),
        (Some(487), "greeted") => assert!(!seen.hung_up, "a BYE for what was never answered: {told}"),
        _ => panic!("another result: {told}"),
    }
    assert!(
        seen.cancelled == (result == "greeted"),
        "a CANCEL to who was taken, or none to who was not: {told}"
    );
    format!("{offset_ms} ms: {result} by {}", seen.sent.unwrap())
}

#[test]
fn an_answer_that_meets_our_cancel_is_acknowledged_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    segue.cli(&["clip", "add", "clip", sample("clip.mp4").to_str().unwrap()]);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(offset_ms) = OFFSETS_MS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    println!("{}", play(&segue, folder.path(), *offset_ms));
                }
            });
        }
    });
    until("the last call to be gone", Duration::from_secs(5), || {
        (segue.health()["calls"] == 0).then_some(())
    });
}
