//! SIPp: a caller or a callee that plays a scenario of `tests/sipp/`.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::{segue::repository, wait::until};

/// The whole of a scenario may take this long.
const LIMIT: Duration = Duration::from_secs(40);

/// What SIP runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl Over {
    /// `udp` or `tcp`, as in a URI.
    pub fn word(self) -> &'static str {
        match self {
            Over::Udp => "udp",
            Over::Tcp => "tcp",
        }
    }
}

/// Where a SIPp sits and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    /// What its SIP runs over.
    pub over: Over,
    /// Its own address, for SIP and media.
    pub ip: IpAddr,
    /// Its SIP port; `None` takes a free one.
    pub port: Option<u16>,
    /// The length of each `<pause/>`.
    pub pause_ms: u64,
    /// The whole scenario may take this long.
    pub limit: Duration,
    /// One message may be waited for this long; `None`: as long as the scenario may take.
    pub patience: Option<Duration>,
}

impl Seat {
    /// On 127.0.0.1, on a free port.
    pub fn here(over: Over, pause_ms: u64) -> Seat {
        Seat {
            over,
            ip: Ipv4Addr::LOCALHOST.into(),
            port: None,
            pause_ms,
            limit: LIMIT,
            patience: None,
        }
    }
}

/// One SIPp process that plays one call; dropped, it is killed, and it is killed with the thread that started it.
#[derive(Debug)]
pub struct Sipp {
    what: String,
    folder: PathBuf,
    port: u16,
    child: Child,
    began: Instant,
    limit: Duration,
}

impl Sipp {
    /// A callee who waits for one call. It listens when this returns.
    pub fn callee(folder: &Path, scenario: &str, over: Over, pause_ms: u64) -> Sipp {
        Sipp::callee_with(folder, scenario, over, pause_ms, &[])
    }

    /// The same; each key's value stands for `[key]` in the scenario.
    pub fn callee_with(folder: &Path, scenario: &str, over: Over, pause_ms: u64, keys: &[(&str, &str)]) -> Sipp {
        let args: Vec<&str> = keys.iter().flat_map(|(key, value)| ["-key", key, value]).collect();
        Sipp::listening(folder, scenario, over, pause_ms, &args)
    }

    /// A callee who waits for this many calls, one after the other.
    pub fn callee_of(folder: &Path, scenario: &str, over: Over, calls: usize) -> Sipp {
        Sipp::listening(folder, scenario, over, 0, &["-m", &calls.to_string()])
    }

    /// The callee `redirect`, who sends its caller on to this host and port.
    pub fn redirecting(folder: &Path, over: Over, to: &str) -> Sipp {
        Sipp::listening(folder, "redirect", over, 0, &["-s", to])
    }

    fn listening(folder: &Path, scenario: &str, over: Over, pause_ms: u64, args: &[&str]) -> Sipp {
        let mut callee = Sipp::seated(folder, "callee", scenario, Seat::here(over, pause_ms), args);
        until(&format!("{} to listen", callee.what), Duration::from_secs(5), || {
            (callee.listens() || callee.ended().is_some()).then_some(())
        });
        callee
    }

    /// A caller who calls `user` at `server` with this Call-ID.
    pub fn caller(
        folder: &Path,
        scenario: &str,
        (over, pause_ms): (Over, u64),
        (user, server): (&str, SocketAddr),
        call_id: &str,
    ) -> Sipp {
        Sipp::caller_with(folder, scenario, (over, pause_ms), (user, server), call_id, &[])
    }

    /// The same; each key's value stands for `[key]` in the scenario.
    pub fn caller_with(
        folder: &Path,
        scenario: &str,
        (over, pause_ms): (Over, u64),
        (user, server): (&str, SocketAddr),
        call_id: &str,
        keys: &[(&str, &str)],
    ) -> Sipp {
        let server = server.to_string();
        let mut args = vec!["-s", user, "-cid_str", call_id, "-m", "1", "-l", "1"];
        for (key, value) in keys {
            args.extend(["-key", key, value]);
        }
        args.push(&server);
        Sipp::seated(folder, "caller", scenario, Seat::here(over, pause_ms), &args)
    }

    /// Starts a `caller` or a `callee` in its seat; it may not listen yet. `args` are SIPp's own.
    pub fn seated(folder: &Path, role: &str, scenario: &str, seat: Seat, args: &[&str]) -> Sipp {
        let over = seat.over;
        let folder = folder.join(role);
        fs::create_dir_all(&folder).expect("a folder for SIPp");
        fs::write(folder.join("tone.ul"), tone()).expect("a tone for SIPp");
        let file = repository().join(format!("tests/sipp/{role}/{scenario}.xml"));
        let (port, media) = (seat.port.unwrap_or_else(|| free_port(over)), free_media_port());
        let log = fs::File::create(folder.join("screen.log")).expect("SIPp's log");
        let transport = if over == Over::Udp { "u1" } else { "t1" };
        let ip = seat.ip.to_string();
        // Whatever becomes of us, SIPp does not stay.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "sipp"]);
        if let Some(patience) = seat.patience {
            command.args(["-recv_timeout", &patience.as_millis().to_string()]);
        }
        let child = command
            .current_dir(&folder)
            .arg("-sf")
            .arg(&file)
            .args(["-i", &ip, "-p", &port.to_string(), "-t", transport])
            .args(["-mi", &ip, "-mp", &media.to_string()])
            .args([
                "-d",
                &seat.pause_ms.to_string(),
                "-m",
                "1",
                "-nostdin",
                "-timer_resol",
                "10",
            ])
            .args(["-timeout", &format!("{}s", seat.limit.as_secs()), "-timeout_error"])
            .args([
                "-trace_err",
                "-trace_msg",
                "-error_file",
                "errors.log",
                "-message_file",
                "messages.log",
            ])
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file clones"))
            .stderr(log)
            .spawn()
            .expect("SIPp runs");
        let what = format!("the {role} {scenario} over {}", over.word());
        Sipp {
            what,
            folder,
            port,
            child,
            began: Instant::now(),
            limit: seat.limit,
        }
    }

    /// Whether its SIP port is open.
    pub fn listens(&self) -> bool {
        let port = format!(":{:04X} ", self.port);
        let tables = ["udp", "tcp", "udp6", "tcp6"].map(|table| fs::read_to_string(format!("/proc/net/{table}")));
        tables.into_iter().flatten().any(|table| table.contains(&port))
    }

    /// How it ended; `None` while it plays.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The folder of what it leaves behind: `screen.log`, `errors.log`, `messages.log`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its SIP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the scenario's end. Every SDP in responses to the first INVITE must have been the same to the byte
    /// (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// It did not go as written, or not within its time: what SIPp said and the messages it saw.
    pub fn finish(mut self) -> Result<(), String> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => {
                    return self.one_answer().map_err(|why| self.told(&why));
                }
                Ok(Some(status)) => return Err(self.told(&format!("ended with {status}"))),
                _ if self.began.elapsed() > self.limit + Duration::from_secs(5) => return Err(self.told("did not end")),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Every SDP in responses to the first INVITE must have been the same to the byte (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// The two that differ.
    pub fn one_answer(&self) -> Result<(), String> {
        match answers(&self.seen()).windows(2).find(|two| two[0] != two[1]) {
            None => Ok(()),
            Some(two) => Err(format!("got two answers:\n{}\nand\n{}", two[0], two[1])),
        }
    }

    /// Ends a callee that must not have heard anything.
    ///
    /// # Errors
    /// What it heard.
    pub fn was_not_called(mut self) -> Result<(), String> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let heard = fs::read_to_string(self.folder.join("messages.log")).unwrap_or_default();
        if heard.is_empty() {
            Ok(())
        } else {
            Err(format!("{} was called:\n{heard}", self.what))
        }
    }

    /// Whether a message that it sent or received has this text.
    pub fn has_seen(&self, text: &str) -> bool {
        self.seen().contains(text)
    }

    /// The messages that it sent and received.
    fn seen(&self) -> String {
        let log = fs::read(self.folder.join("messages.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn told(&self, why: &str) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        format!(
            "{} {why}\n{}\n{}\n{}",
            self.what,
            read("screen.log"),
            read("errors.log"),
            read("messages.log")
        )
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One second of 500 Hz in PCMU: a period is 16 samples.
fn tone() -> Vec<u8> {
    const PERIOD: [u8; 16] = [
        0xff, 0xa5, 0x9c, 0x96, 0x95, 0x96, 0x9c, 0xa5, 0x7f, 0x25, 0x1c, 0x16, 0x15, 0x16, 0x1c, 0x25,
    ];
    PERIOD.repeat(500)
}

/// A port of 127.0.0.1 that nobody has now.
pub fn free_port(over: Over) -> u16 {
    free_ports(1, |port| match over {
        Over::Udp => UdpSocket::bind(("127.0.0.1", port)).is_ok(),
        Over::Tcp => TcpListener::bind(("127.0.0.1", port)).is_ok(),
    })
}

/// An even port with three free ones after it.
fn free_media_port() -> u16 {
    free_ports(4, |port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
}

/// The first, even one of so many free ports. They are below those that the system gives to connections and to sockets that name none: otherwise
/// one of these could take a port between this look at it and its use. No two looks of a process find the same.
fn free_ports(count: u16, is_free: impl Fn(u16) -> bool) -> u16 {
    const FIRST: u32 = 10_000;
    const BLOCK: u32 = 4;
    // Up to where the media of the server begins (`media.ports`).
    const BLOCKS: u32 = (20_000 - FIRST) / BLOCK;
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    // Processes that run side by side begin at different places.
    let begin = std::process::id().wrapping_mul(7_919);
    for _ in 0..BLOCKS {
        let look = begin.wrapping_add(LOOKS.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + look % BLOCKS * BLOCK).expect("below 20000");
        if (port..port + count).all(&is_free) {
            return port;
        }
    }
    panic!("no {count} free ports in a row");
}

/// The SDP of each response in a message log that was received to the first INVITE.
fn answers(log: &str) -> Vec<&str> {
    let received = log
        .split("\n-----------------------------------------------")
        .filter_map(|entry| {
            let (what, message) = entry.split_once("\n\n")?;
            what.contains("message received").then_some(message)
        });
    received
        .filter(|message| message.starts_with("SIP/2.0 ") && message.contains("\nCSeq: 1 INVITE"))
        .filter_map(|message| message.find("v=0").map(|at| message[at..].trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Over, answers, free_media_port, free_port};

    #[test]
    fn many_who_look_for_ports_at_once_find_different_ones_that_no_connection_gets() {
        let looks: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(|| -> Vec<u16> {
                    let each = |_| [free_port(Over::Tcp), free_port(Over::Udp), free_media_port()];
                    (0..40).flat_map(each).collect()
                })
            })
            .collect();
        let mut found: Vec<u16> = looks.into_iter().flat_map(|look| look.join().unwrap()).collect();
        assert!(
            found
                .iter()
                .all(|port| (10_000..20_000).contains(port) && port % 2 == 0)
        );
        let all = found.len();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), all);
    }

    #[test]
    fn answers_are_the_sdp_of_received_responses_to_the_first_invite() {
        let entry = |what: &str, message: &str| {
            format!(
                "----------------------------------------------- 2026-01-01 00:00:00.1\n{what} bytes :\n\n{message}\n\n"
            )
        };
        let response = |cseq: &str, sdp: &str| format!("SIP/2.0 183 Session Progress\r\nCSeq: {cseq}\r\n\r\n{sdp}\r\n");
        let log = [
            entry(
                "UDP message sent [90]",
                "INVITE sip:b@x SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0 offer\r\n",
            ),
            entry("UDP message received [90]", &response("1 INVITE", "")),
            entry("UDP message received [90]", &response("1 INVITE", "v=0\r\no=one")),
            entry("TCP message received [90]", &response("1 INVITE", "v=0\r\no=two")),
            entry("UDP message received [90]", &response("2 INVITE", "v=0\r\no=three")),
        ];
        assert_eq!(answers(&log.concat()), ["v=0\r\no=one", "v=0\r\no=two"]);
    }
}
