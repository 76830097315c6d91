//! Phones are told how many messages wait: SIPp, which shows each step, and baresip, as it comes.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use segue_tests::{
    phone::{A, Answers, B, Phone, Registrar},
    segue::Segue,
    sipp::{Over, Seat, Sipp},
    wait::until,
};

/// A message takes some seconds to become one.
const SOON: Duration = Duration::from_secs(10);

/// A server that takes registrations, by an algorithm that all know, and a subscriber with this password.
fn office(folder: &Path, (user, password): (&str, &str)) -> Segue {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    let profile = "name = \"phones\"\nsources = [\"127.0.0.0/8\"]\nregistrar = true\nauth_realm = \"office\"\n\
                   digest_algorithms = [\"MD5\"]\n";
    fs::write(profiles.join("phones.toml"), profile).unwrap();
    let segue = Segue::start_with(folder, &format!("profiles_dir = {profiles:?}\n"));
    let file = folder.join("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    segue.cli(&["subscriber", "add", user, "--password-file", file]);
    segue
}

#[test]
fn a_scenario_subscribes_is_told_and_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path(), ("bob", "sesame"));
    for over in [Over::Udp, Over::Tcp] {
        let server = segue.sip(over)[0].to_string();
        // By itself SIPp signs the server's address in place of the Request-URI (RFC 8760 §2.6).
        let signed = format!("bob@{server}");
        let args = ["-m", "1", "-l", "1", "-auth_uri", &signed, &server];
        let folder = folder.path().join(over.word());
        let sipp = Sipp::seated(&folder, "caller", "subscribe", Seat::here(over, 300), &args);
        sipp.finish().unwrap();
    }
}

#[test]
fn baresip_shows_a_message_that_it_was_heard_and_that_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path(), ("b", "three-four"));
    let registrar = Registrar {
        at: segue.sip_udp(),
        password: "three-four".to_owned(),
    };
    let began = Instant::now();
    let phone = Phone::start_subscribed(folder.path(), B, Answers::OnCommand, &registrar);
    let shows = |count: &str| {
        until(&format!("the phone to show {count}"), SOON, || {
            phone.waiting(began).filter(|shown| shown.contains(count))
        })
    };
    let first = shows("Video-Message: 0/0");
    assert!(first.contains("Messages-Waiting: no"), "{first}");
    segue.cli(&["subscriber", "set", "b", "--dnd", "on"]);
    let mut a = Phone::start(folder.path(), A, Answers::OnCommand);
    let dialled = a.dial(&segue.uri("b"));
    a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    std::thread::sleep(Duration::from_secs(3));
    a.hang_up();
    let told = shows("Video-Message: 1/0");
    assert!(told.contains("Messages-Waiting: yes"), "{told}");
    let id = segue.rows(&["message", "list", "b"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    segue.cli(&["message", "heard", &id]);
    let heard = shows("Video-Message: 0/1");
    assert!(heard.contains("Messages-Waiting: no"), "{heard}");
    segue.cli(&["message", "delete", &id]);
    shows("Video-Message: 0/0");
}
