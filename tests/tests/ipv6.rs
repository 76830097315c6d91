//! IPv6 in SIP and media, and between it and IPv4: the anchor joins them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use segue_tests::{
    segue::{Segue, sample},
    sipp::{Over, Seat, Sipp},
    wait::until,
};

const SETTINGS: &str = "[sip]\nt1_ms = 100\nudp = [\"127.0.0.1:0\", \"[::1]:0\"]\ntcp = [\"127.0.0.1:0\", \"[::1]:0\"]\n\
                        [media]\naddress = [\"127.0.0.1\", \"::1\"]\n";
const PROFILE: &str = "name = \"both\"\nsources = [\"127.0.0.0/8\", \"::1/128\"]\n";
const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Who calls whom: the caller's side, then the callee's.
type Way = (&'static str, (IpAddr, Over), (IpAddr, Over));

const WAYS: [Way; 3] = [
    ("v6v6", (V6, Over::Udp), (V6, Over::Udp)),
    ("v6v4", (V6, Over::Tcp), (V4, Over::Udp)),
    ("v4v6", (V4, Over::Udp), (V6, Over::Tcp)),
];

#[test]
fn calls_by_ipv6_and_between_the_families_are_held_bridged_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    std::fs::write(profiles.join("both.toml"), PROFILE).unwrap();
    let settings = format!("profiles_dir = {profiles:?}\n{SETTINGS}");
    let segue = Segue::start_with(&folder.path().join("server"), &settings);
    segue.cli(&["clip", "add", "clip", &sample("clip.mp4").to_string_lossy()]);
    std::thread::scope(|scope| {
        for way in WAYS {
            let (segue, folder) = (&segue, folder.path().join(way.0));
            scope.spawn(move || call(segue, &folder, way));
        }
    });
    until("the last call to be gone", std::time::Duration::from_secs(10), || {
        (segue.health()["calls"] == 0).then_some(())
    });
}

fn seat((ip, over): (IpAddr, Over), pause_ms: u64) -> Seat {
    Seat {
        ip,
        ..Seat::here(over, pause_ms)
    }
}

fn call(segue: &Segue, folder: &Path, (name, a, b): Way) {
    let callee = Sipp::seated(&folder.join("b"), "callee", "answer", seat(b, 300), &[]);
    until("the callee to listen", std::time::Duration::from_secs(5), || {
        callee.listens().then_some(())
    });
    let at = SocketAddr::new(b.0, callee.port());
    let target = format!("sip:bob@{at};transport={}", b.1.word());
    segue.cli(&[
        "subscriber",
        "add",
        name,
        "--target",
        &target,
        "--clip",
        "clip",
        "--hold",
        "1s",
    ]);
    let server = segue.sip(a.1).into_iter().find(|socket| socket.ip() == a.0).unwrap();
    let server = server.to_string();
    let call_id = format!("{name}@sipp");
    let args = ["-s", name, "-cid_str", &call_id, "-l", "1", &server];
    let caller = Sipp::seated(&folder.join("a"), "caller", "plain", seat(a, 800), &args);
    let (a_folder, b_folder) = (caller.folder().to_owned(), callee.folder().to_owned());
    caller.finish().unwrap_or_else(|why| panic!("{name}: {why}"));
    callee.finish().unwrap_or_else(|why| panic!("{name}: {why}"));
    // Each side is told addresses of its own family, in Contact, Via and SDP.
    says_only(&a_folder, a.0);
    says_only(&b_folder, b.0);
    let record = segue.cli(&[
        "wait",
        "call",
        "--sip-call-id",
        &call_id,
        "--state",
        "ended",
        "--timeout",
        "10s",
    ]);
    assert_eq!(record["result"], "answered", "{record:#}");
}

/// What a SIPp has received names no address of the other family.
fn says_only(folder: &Path, ip: IpAddr) {
    let log = String::from_utf8_lossy(&std::fs::read(folder.join("messages.log")).unwrap()).into_owned();
    let (own, other, media) = match ip {
        IpAddr::V4(_) => ("127.0.0.1", "::1", "c=IN IP4 127.0.0.1"),
        IpAddr::V6(_) => ("[::1]", "127.0.0.1", "c=IN IP6 ::1"),
    };
    let ours = log
        .split("-----\x20")
        .filter(|entry| entry.contains("message received"));
    let ours: Vec<&str> = ours.filter(|entry| !entry.contains("CSeq: 1 ACK")).collect();
    assert!(!ours.is_empty(), "{log}");
    for message in &ours {
        // From and To stay as the caller said them.
        let lines = message
            .lines()
            .filter(|line| !line.starts_with("From:") && !line.starts_with("To:"));
        for line in lines {
            assert!(
                !line.contains(other),
                "{other} was told to a peer at {ip}: {line}\n{message}"
            );
        }
    }
    let all = ours.concat();
    for wanted in [media, &format!("Contact: <sip:segue@{own}:")] {
        assert!(all.contains(wanted), "{wanted} was never said:\n{all}");
    }
}
