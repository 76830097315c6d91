//! What Homer would get: sngrep takes the copies of a call's SIP messages (HEPv3) and writes them as it understood them.

use std::{
    collections::BTreeSet,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use segue_tests::{
    segue::{Segue, sample},
    sipp::{Over, Sipp},
    wait::until,
};

/// sngrep as a HEP collector.
struct Collector {
    child: Child,
    port: u16,
    file: PathBuf,
}

impl Collector {
    fn start(folder: &Path) -> Collector {
        let port = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let file = folder.join("copies.pcap");
        let child = Command::new("sngrep")
            .args(["-N", "-q", "-L", &format!("udp:127.0.0.1:{port}"), "-O"])
            .arg(&file)
            .env("TERM", "dumb")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("sngrep runs (make setup)");
        until("sngrep to listen", Duration::from_secs(5), || {
            UdpSocket::bind(("127.0.0.1", port)).is_err().then_some(())
        });
        Collector { child, port, file }
    }

    /// What it took, once it has been told to end: source and destination port, Unix seconds, first line.
    fn finish(mut self) -> Vec<(u16, u16, u64, String)> {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
        let bytes = fs::read(&self.file).unwrap();
        let mut rest = &bytes[24..];
        let mut taken = Vec::new();
        while rest.len() >= 16 {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let (at, length) = (u64::from(word(0)), usize::try_from(word(8)).unwrap());
            // Ethernet 14, IPv4 20, UDP 8.
            let packet = &rest[16..16 + length];
            assert_eq!(packet[14 + 9], 17, "UDP");
            let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
            let text = String::from_utf8_lossy(&packet[42..]).into_owned();
            taken.push((
                port(34),
                port(36),
                at,
                text.lines().next().unwrap_or_default().to_owned(),
            ));
            rest = &rest[16 + length..];
        }
        taken
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn metric(segue: &Segue, name: &str) -> u64 {
    let (_, text) = segue.get("/metrics");
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// A held and answered call through Segue; the ports of A and of B.
fn call(segue: &Segue, folder: &Path) -> (u16, u16) {
    let callee = Sipp::callee(folder, "answer", Over::Udp, 500);
    let target = format!("sip:bob@127.0.0.1:{}", callee.port());
    segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
    segue.cli(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        &target,
        "--clip",
        "green",
        "--hold",
        "500ms",
    ]);
    let caller = Sipp::caller(
        folder,
        "plain",
        (Over::Udp, 500),
        ("bob", segue.sip_udp()),
        "copied@hep",
    );
    let ports = (caller.port(), callee.port());
    caller.finish().unwrap();
    callee.finish().unwrap();
    ports
}

#[test]
fn each_message_of_a_call_is_copied_with_its_ends() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(folder.path());
    let settings = format!("[hep]\ncollector = \"127.0.0.1:{}\"\n", collector.port);
    let segue = Segue::start_with(&folder.path().join("segue"), &settings);
    let (a, b) = call(&segue, folder.path());
    let us = segue.sip_udp().port();
    let (sent, lost) = (
        metric(&segue, "segue_hep_copies_total"),
        metric(&segue, "segue_hep_copies_lost_total"),
    );
    let copies = collector.finish();
    let seen = |from, to, begins: &str| {
        copies
            .iter()
            .any(|(f, t, _, line)| (*f, *t) == (from, to) && line.starts_with(begins))
    };
    for (from, to, begins) in [
        (a, us, "INVITE sip:bob@"),
        (us, a, "SIP/2.0 100"),
        (us, b, "INVITE sip:bob@"),
        (b, us, "SIP/2.0 200"),
        (us, b, "ACK "),
        (us, a, "SIP/2.0 200"),
        (a, us, "ACK "),
    ] {
        assert!(
            seen(from, to, begins),
            "no {begins:?} from {from} to {to} in {copies:?}"
        );
    }
    let ends: BTreeSet<u16> = copies.iter().flat_map(|(from, to, ..)| [*from, *to]).collect();
    assert_eq!(ends, BTreeSet::from([a, b, us]));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(copies.iter().all(|(_, _, at, _)| now - at < 60), "{copies:?}");
    assert_eq!((u64::try_from(copies.len()).unwrap(), lost), (sent, 0));
}

#[test]
fn a_collector_that_is_gone_costs_no_call() {
    let folder = tempfile::tempdir().unwrap();
    // A port on which nobody listens: the system says so with ICMP.
    let port = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let settings = format!("[hep]\ncollector = \"127.0.0.1:{port}\"\n");
    let segue = Segue::start_with(&folder.path().join("segue"), &settings);
    call(&segue, folder.path());
    assert!(metric(&segue, "segue_hep_copies_lost_total") > 0);
}
