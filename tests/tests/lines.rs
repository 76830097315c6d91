//! Lines of providers on real sockets: Kamailio as the provider of a Segue, and one Segue as another's.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use segue_tests::{
    kamailio::Kamailio,
    segue::{Segue, sample},
    sipp::{Over, Seat, Sipp, free_port},
    wait::until,
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);
const ACCOUNT: (&str, &str) = ("office-7", "sesame");
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A server with a clip and these profiles.
fn segue(folder: &Path, profiles: &[(&str, &str)]) -> Segue {
    let kept = folder.join("profiles");
    fs::create_dir_all(&kept).unwrap();
    for (name, keys) in profiles {
        fs::write(kept.join(format!("{name}.toml")), format!("name = \"{name}\"\n{keys}")).unwrap();
    }
    let segue = Segue::start_with(folder, &format!("profiles_dir = {kept:?}\n"));
    segue.cli(&["clip", "add", "clip", sample("clip.mp4").to_str().unwrap()]);
    segue
}

fn password(folder: &Path) -> PathBuf {
    let file = folder.join("password");
    fs::write(&file, format!("{}\n", ACCOUNT.1)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// A running server is given a line of this provider, and registers with it.
fn add_line(segue: &Segue, provider: SocketAddr, password: &Path, main_number: &str) {
    let registrar = format!("sip:{provider}");
    let add = [
        "trunk",
        "add",
        "provider",
        "--registrar",
        &registrar,
        "--user",
        ACCOUNT.0,
    ];
    let secret = ["--password-file", password.to_str().unwrap(), "--profile", "provider"];
    let numbers = ["--main-number", main_number, "--number-format", "e164"];
    let dialled = ["--strip", "9", "--allow", "+49*"];
    segue.cli(&[&add[..], &secret, &numbers, &dialled].concat());
    until("the registration", SOON, || {
        let trunks = segue.rows(&["trunk", "list"]);
        (trunks.first()?["registration"]["state"] == "registered").then_some(())
    });
}

/// A call to a number at a server, which bob's phone answers: the INVITE that the phone saw, and the record of this node.
fn call_in(folder: &Path, (number, at): (&str, SocketAddr), seat: Seat, node: &Segue, id: &str) -> Value {
    let callee = Sipp::seated(folder, "callee", "answer", seat, &[]);
    until("the phone", SOON, || callee.listens().then_some(()));
    let caller = Sipp::caller(&folder.join(id), "plain", (Over::Udp, 300), (number, at), id);
    caller.finish().unwrap();
    callee
        .finish()
        .unwrap_or_else(|error| panic!("{error}: {:#?}", node.rows(&["call", "list"])));
    let calls = until("the call's end", SOON, || {
        let calls = node.rows(&["call", "list"]);
        (!calls.is_empty() && calls.iter().all(|call| call["result"] != Value::Null)).then_some(calls)
    });
    assert_eq!(calls.len(), 1, "{calls:#?}");
    calls[0].clone()
}

fn seat() -> Seat {
    Seat {
        port: Some(free_port(Over::Udp)),
        limit: 2 * SOON,
        ..Seat::here(Over::Udp, 100)
    }
}

#[test]
fn a_line_of_kamailios_takes_calls_in_and_out_and_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (phone, outside) = (seat(), seat());
    let to = SocketAddr::new(HERE.ip(), outside.port.unwrap());
    let provider = Kamailio::provider(folder.path(), ACCOUNT, to);
    let mut segue = segue(
        &folder.path().join("segue"),
        &[
            (
                "phones",
                "sources = [\"127.0.0.1/32\"]\nringing_status = 180\nunknown_callee = \"forward\"\ndestinations = [\"*\"]\n\
                 next_hop = \"trunk:*\"\ncountry_code = \"49\"\narea_code = \"30\"\n",
            ),
            // Whose servers the trunk names.
            ("provider", "sources = [\"192.0.2.1/32\"]\ncountry_code = \"49\"\n"),
        ],
    );
    let target = format!("sip:bob@127.0.0.1:{}", phone.port.unwrap());
    let bob = [
        "subscriber",
        "add",
        "bob",
        "--number",
        "+4930765101",
        "--target",
        &target,
    ];
    segue.cli(&[&bob[..], &["--clip", "clip", "--hold", "300ms"]].concat());
    add_line(&segue, provider.at(), &password(folder.path()), "+4930765");

    let tested = segue.cli(&["trunk", "test", "provider"]);
    // A proxy says that the OPTIONS has no hop left: it lives.
    assert_eq!(tested["servers"][0]["last_answer"], "483", "{tested:#}");
    assert_eq!(tested["servers"][0]["state"], "up", "{tested:#}");
    assert_eq!(tested["registration"]["state"], "registered", "{tested:#}");
    assert_eq!(tested["registration"]["last_answer"], "200 OK", "{tested:#}");

    let direct = ("+4930765101", provider.at());
    let record = call_in(folder.path(), direct, phone, &segue, "in@lines");
    assert_eq!(record["result"], "answered", "{record:#}");

    let callee = Sipp::seated(&folder.path().join("outside"), "callee", "answer", outside, &[]);
    until("the outside phone", SOON, || callee.listens().then_some(()));
    let route = format!("<sip:{};lr>", segue.sip_udp());
    let dialled = ("9030123456", segue.sip_udp());
    let caller = Sipp::caller_with(
        &folder.path().join("out"),
        "onward",
        (Over::Udp, 300),
        dialled,
        "out@lines",
        &[("route", &route)],
    );
    caller.finish().unwrap();
    assert!(
        callee.has_seen("INVITE sip:+4930123456@"),
        "the number as the provider wants it"
    );
    callee.finish().unwrap();
    let log = provider.log_text();
    assert!(log.contains("office-7 calls +4930123456 as +4930765"), "{log}");

    segue.signal(Signal::SIGTERM);
    assert!(segue.ended().is_some_and(|status| status.success()));
    let log = provider.log_text();
    assert!(log.trim_end().ends_with("office-7 is gone"), "{log}");
}

#[test]
fn one_segue_is_the_provider_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let phone = seat();
    let from_here = "sources = [\"127.0.0.0/8\"]\ncountry_code = \"49\"\n";
    let registrar = format!("{from_here}registrar = true\nauth_realm = \"provider.example\"\n");
    let provider = segue(&folder.path().join("provider"), &[("accounts", &registrar)]);
    let mut office = segue(
        &folder.path().join("office"),
        &[
            ("phones", from_here),
            ("provider", "sources = [\"192.0.2.1/32\"]\ncountry_code = \"49\"\n"),
        ],
    );
    let secret = password(folder.path());
    let add = [
        "subscriber",
        "add",
        ACCOUNT.0,
        "--number",
        "+4930765",
        "--clip",
        "clip",
        "--hold",
        "300ms",
    ];
    provider.cli(&[&add[..], &["--password-file", secret.to_str().unwrap()]].concat());
    let target = format!("sip:bob@127.0.0.1:{}", phone.port.unwrap());
    office.cli(&["subscriber", "add", "bob", "--number", "+4930765", "--target", &target]);
    add_line(&office, provider.sip_udp(), &secret, "+4930765");
    let registered = provider.rows(&["registration", "list"]);
    assert_eq!(registered.len(), 1, "{registered:#?}");
    assert_eq!(registered[0]["user"], ACCOUNT.0, "{registered:#?}");

    let number = ("+4930765", provider.sip_udp());
    let record = call_in(folder.path(), number, phone, &office, "from@lines");
    assert_eq!(record["result"], "answered", "{record:#}");

    office.signal(Signal::SIGTERM);
    assert!(office.ended().is_some_and(|status| status.success()));
    // The registrar has answered; a thread of its own keeps what it knows.
    until("the line to be given back", SOON, || {
        provider.rows(&["registration", "list"]).is_empty().then_some(())
    });
}
