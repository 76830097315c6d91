//! Phones register with Segue and are called where they are: SIPp, which shows each step, and baresip, as it comes.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use segue_tests::{
    phone::{A, Answers, B, Phone, Registrar},
    picture::Colour,
    segue::{Segue, sample},
    sipp::{Over, Seat, Sipp, free_port},
    wait::until,
};

const SOON: Duration = Duration::from_secs(5);

/// SIPp knows this one alone, and baresip 1.0 gives up when another one is offered first.
const MD5: &str = "digest_algorithms = [\"MD5\"]\n";

/// A server that takes registrations, and a subscriber with this password.
fn office(folder: &Path, keys: &str, (user, password): (&str, &str)) -> Segue {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    let profile = format!(
        "name = \"phones\"\nsources = [\"127.0.0.0/8\"]\nregistrar = true\nauth_realm = \"office\"\n{MD5}{keys}"
    );
    fs::write(profiles.join("phones.toml"), profile).unwrap();
    let segue = Segue::start_with(folder, &format!("profiles_dir = {profiles:?}\n"));
    segue.cli(&["clip", "add", "clip", sample("clip.mp4").to_str().unwrap()]);
    let file = folder.join("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    segue.cli(&[
        "subscriber",
        "add",
        user,
        "--clip",
        "clip",
        "--hold",
        "300ms",
        "--password-file",
        file,
    ]);
    segue
}

/// Registers bob from this port, once the server knows his password.
fn register(folder: &Path, segue: &Segue, seat: Seat) {
    let server = segue.sip(seat.over)[0].to_string();
    let args = ["-m", "1", "-l", "1", &server];
    Sipp::seated(folder, "caller", "register", seat, &args)
        .finish()
        .unwrap();
}

fn registered(segue: &Segue, count: usize) -> Vec<serde_json::Value> {
    until(&format!("{count} registrations"), SOON, || {
        Some(segue.rows(&["registration", "list"])).filter(|rows| rows.len() == count)
    })
}

/// A call to bob, whose record this is.
fn call(folder: &Path, server: SocketAddr, segue: &Segue, id: &str) -> serde_json::Value {
    let caller = Sipp::caller(&folder.join(id), "plain", (Over::Udp, 300), ("bob", server), id);
    caller.finish().unwrap();
    segue.cli(&["wait", "call", "--sip-call-id", id, "--timeout", "10s"])
}

#[test]
fn a_phone_behind_a_nat_is_called_where_it_registered_from_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut segue = office(folder.path(), "nat = true\n", ("bob", "sesame"));
    let seat = Seat {
        port: Some(free_port(Over::Udp)),
        ..Seat::here(Over::Udp, 300)
    };
    register(folder.path(), &segue, seat);
    let shown = &registered(&segue, 1)[0];
    let port = seat.port.unwrap();
    assert_eq!(shown["source"], format!("127.0.0.1:{port}"), "{shown:#}");
    assert_eq!(
        (&shown["user"], &shown["contact"]),
        (&"bob".into(), &"sip:bob@192.168.7.7:5060".into())
    );
    assert_eq!(
        (&shown["transport"], &shown["user_agent"]),
        (&"udp".into(), &"scenario".into())
    );
    segue.kill_9();
    segue.run();
    registered(&segue, 1);
    let callee = Sipp::seated(folder.path(), "callee", "answer", seat, &[]);
    until("the phone", SOON, || callee.listens().then_some(()));
    let record = call(folder.path(), segue.sip_udp(), &segue, "nat@registrar");
    assert_eq!(record["result"], "answered", "{record:#}");
    callee.finish().unwrap();

    segue.cli(&["registration", "remove", "bob"]);
    registered(&segue, 0);
    let log = segue.log_text();
    assert!(!log.contains("sesame") && !log.contains("response="), "{log}");
}

#[test]
fn baresip_registers_and_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path(), "", ("b", "three-four"));
    let registrar = Registrar {
        at: segue.sip_udp(),
        password: "three-four".to_owned(),
    };
    let b = Phone::start_registered(folder.path(), B, Answers::AtOnce, &registrar);
    registered(&segue, 1);
    let mut a = Phone::start(folder.path(), A, Answers::OnCommand);
    let dialled: Instant = a.dial(&segue.uri("b"));
    b.expect_called(dialled, SOON);
    a.expect_sees(Colour::Blue, SOON);
    a.expect_hears(B.tone_hz, SOON);
    b.expect_hears(A.tone_hz, SOON);
    a.hang_up();
    b.expect_event("CALL_CLOSED", dialled, SOON);
}
