//! What `segue config check` finds before a server does, and that a server refuses the same.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::fixture::Segue;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;

const TLS: &str = "[sip]\ntls = [\"127.0.0.1:0\"]\ntls_certificate = \"certificate.pem\"\ntls_key = \"key.pem\"\n";

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A certificate of `sip.example.com` that ends on that day, and its key.
fn certified(dir: &Path, until: (i32, u8, u8)) {
    let mut params = CertificateParams::new(vec!["sip.example.com".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    let key = KeyPair::generate().unwrap();
    fs::write(dir.join("certificate.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    private(&dir.join("key.pem"), &key.serialize_pem());
}

/// Profiles by file and text.
fn profiles(segue: &Segue, files: &[(&str, &str)]) {
    let dir = segue.dir().join("sip-profiles");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).unwrap();
    for (file, text) in files {
        fs::write(dir.join(file), text).unwrap();
    }
}

/// `config check` and `run` refuse it with these words.
#[track_caller]
fn refused(segue: &Segue, code: &str, words: &str) {
    for args in [["config", "check"].as_slice(), &["run"]] {
        let (said, line) = segue.fails(1, args);
        assert_eq!(said["code"], code, "{line}");
        assert!(line.contains(words), "{args:?}\n  said: {line}  not: {words}");
    }
}

/// The only warning of `config check`.
#[track_caller]
fn warned(segue: &Segue) -> String {
    let said = segue.json(&["config", "check"]);
    let warnings = said["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{said}");
    let text = segue.ok(&["config", "check"]);
    assert!(
        text.contains(&format!("warning: {}", warnings[0].as_str().unwrap())),
        "{text}"
    );
    warnings[0].as_str().unwrap().to_owned()
}

fn doctor(segue: &Segue, check: &str) -> Vec<(String, String)> {
    let rows: Vec<Value> = serde_json::from_str(&segue.run(&["doctor", "--json"]).out).unwrap();
    let rows = rows.iter().filter(|row| row["check"] == check);
    rows.map(|row| {
        [&row["state"], &row["found"]]
            .map(|value| value.as_str().unwrap().to_owned())
            .into()
    })
    .collect()
}

#[test]
fn files_of_tls_are_opened_and_fit_together() {
    let segue = Segue::new();
    fs::write(segue.dir().join("segue.toml"), TLS).unwrap();
    refused(
        &segue,
        "bad_tls",
        "segue.toml:3:1: sip.tls_certificate = certificate.pem: No such file",
    );
    certified(segue.dir(), (2120, 1, 1));
    assert_eq!(
        segue.json(&["config", "check"])["warnings"].as_array().unwrap().len(),
        0
    );
    let found = doctor(&segue, "certificates");
    assert_eq!((found.len(), found[0].0.as_str()), (1, "ok"), "{found:?}");
    assert!(
        found[0].1.contains("sip.example.com, 3") && found[0].1.ends_with(" days left"),
        "{found:?}"
    );

    private(
        &segue.dir().join("key.pem"),
        &KeyPair::generate().unwrap().serialize_pem(),
    );
    refused(
        &segue,
        "bad_tls",
        "segue.toml:4:1: sip.tls_key = key.pem: it does not fit the certificate",
    );
    private(&segue.dir().join("key.pem"), "rubbish");
    refused(&segue, "bad_tls", "there is no unencrypted private key in it");
    let key = segue.dir().join("key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    refused(
        &segue,
        "open_secret",
        "segue.toml:4:1: sip.tls_key = key.pem: others may read it (mode 0640); fix: chmod 600 key.pem",
    );
    certified(segue.dir(), (2120, 1, 1));
    fs::write(segue.dir().join("segue.toml"), format!("{TLS}tls_ca = \"key.pem\"\n")).unwrap();
    refused(
        &segue,
        "bad_tls",
        "segue.toml:5:1: sip.tls_ca = key.pem: there is no certificate in it (PEM)",
    );
    let found = doctor(&segue, "certificates");
    assert_eq!((found.len(), found[0].0.as_str()), (1, "wrong"), "{found:?}");
}

#[test]
fn a_certificate_that_has_ended_is_warned_about() {
    let segue = Segue::new();
    fs::write(segue.dir().join("segue.toml"), TLS).unwrap();
    certified(segue.dir(), (2024, 1, 1));
    let warning = warned(&segue);
    let words = "segue.toml:3:1: sip.tls_certificate = certificate.pem: the certificate of sip.example.com ended ";
    assert!(
        warning.starts_with(words) && warning.contains("; fix: renew it"),
        "{warning}"
    );
    assert_eq!(doctor(&segue, "certificates")[0].0, "wrong");
    // Nothing would use them.
    fs::write(
        segue.dir().join("segue.toml"),
        TLS.replace("tls = [\"127.0.0.1:0\"]\n", ""),
    )
    .unwrap();
    assert!(warned(&segue).contains("sip.tls_certificate is set, and sip.tls has no socket"));
}

#[test]
fn secrets_are_read_and_private() {
    let segue = Segue::new();
    let text = "name = \"trunk\"\nsources = [\"192.0.2.0/28\"]\ndigest_user = \"us\"\ndigest_realm = \"them\"\ndigest_secret = \"password\"\n";
    profiles(&segue, &[("trunk.toml", text)]);
    refused(
        &segue,
        "bad_secret",
        "sip-profiles/trunk.toml:5:17: digest_secret = sip-profiles/password: No such file or directory (os error 2); fix: set digest_secret",
    );
    let file = segue.dir().join("sip-profiles/password");
    private(&file, "open sesame\n");
    assert_eq!(segue.json(&["config", "check"])["profiles"][0], "trunk");
    assert_eq!(
        doctor(&segue, "secret files"),
        [("ok".to_owned(), "read, and private: password".to_owned())]
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    refused(
        &segue,
        "open_secret",
        "trunk.toml:5:17: digest_secret = sip-profiles/password: others may read it (mode 0644); fix: chmod 600 sip-profiles/password",
    );
    assert_eq!(doctor(&segue, "secret files")[0].0, "wrong");
}

#[test]
fn profiles_have_names_and_sources_of_their_own() {
    let segue = Segue::new();
    let one = "name = \"one\"\nsources = [\"10.0.0.0/8\", \"192.0.2.0/28\"]\n";
    profiles(
        &segue,
        &[
            ("a.toml", one),
            ("b.toml", "sources = [\"198.51.100.0/24\"]\nname = \"one\"\n"),
        ],
    );
    refused(
        &segue,
        "bad_profile",
        "sip-profiles/b.toml:2:8: name: \"one\" is the name of another profile, at sip-profiles/a.toml:1:8",
    );
    profiles(
        &segue,
        &[
            ("a.toml", one),
            ("b.toml", "name = \"two\"\nsources = [\"192.0.2.7/28\"]\n"),
        ],
    );
    refused(
        &segue,
        "bad_profile",
        "sip-profiles/b.toml:2:11: sources: \"192.0.2.7/28\" is served by the profile \"one\" (sip-profiles/a.toml:2:11: \"192.0.2.0/28\")",
    );
    // By another socket nothing is shadowed.
    let elsewhere = "name = \"two\"\nlisten = [\"127.0.0.1:5060\"]\nsources = [\"192.0.2.0/28\", \"10.1.0.0/16\"]\n";
    profiles(&segue, &[("a.toml", elsewhere), ("b.toml", one)]);
    assert_eq!(
        segue.json(&["config", "check"])["warnings"].as_array().unwrap().len(),
        0
    );

    profiles(
        &segue,
        &[
            ("a.toml", one),
            ("b.toml", "name = \"two\"\nsources = [\"10.1.0.0/16\"]\n"),
        ],
    );
    let warning = warned(&segue);
    assert!(
        warning.contains("b.toml:2:11: sources: \"10.1.0.0/16\" lies within \"10.0.0.0/8\" of the profile \"one\""),
        "{warning}"
    );
    // The narrower one first is how it is meant.
    profiles(
        &segue,
        &[
            ("b.toml", one),
            ("a.toml", "name = \"two\"\nsources = [\"10.1.0.0/16\"]\n"),
        ],
    );
    assert_eq!(
        segue.json(&["config", "check"])["warnings"].as_array().unwrap().len(),
        0
    );
    profiles(&segue, &[("a.toml", "name = \"one\"\nsources = [\"10.1.2.3/8\"]\n")]);
    assert!(warned(&segue).contains("\"10.1.2.3/8\" means \"10.0.0.0/8\""));
    profiles(
        &segue,
        &[(
            "a.toml",
            "name = \"one\"\nsources = [\"10.0.0.0/8\"]\nlisten = [\"127.0.0.1:5070\"]\n",
        )],
    );
    assert!(warned(&segue).contains("a.toml:3:10: listen: \"127.0.0.1:5070\" is none of the sockets"));
}

#[test]
fn no_hop_leads_back_here() {
    let segue = Segue::new();
    let common = "name = \"one\"\nsources = [\"10.0.0.0/8\"]\n";
    let settings = |sip: &str| fs::write(segue.dir().join("segue.toml"), format!("[sip]\n{sip}\n")).unwrap();
    for (sip, key, hop) in [
        ("", "next_hop", "127.0.0.1"),
        ("", "emergency_next_hop", "sip:127.0.0.1:5060;transport=tcp"),
        (
            "advertise = \"sbc.example.com\"",
            "outbound_proxy",
            "sip:SBC.example.com;lr",
        ),
        ("advertise = \"192.0.2.1:5080\"", "next_hop", "192.0.2.1:5080"),
        (
            "udp = [\"0.0.0.0:5070\"]\nadvertise = \"192.0.2.1\"",
            "next_hop",
            "127.0.0.3:5070",
        ),
        ("udp = [\"[::1]:5060\"]", "next_hop", "::1"),
    ] {
        settings(sip);
        profiles(&segue, &[("a.toml", &format!("{common}{key} = \"{hop}\"\n"))]);
        refused(
            &segue,
            "bad_profile",
            &format!("a.toml:3:{}: {key} = sip:", key.len() + 4),
        );
    }
    for (sip, hop) in [
        ("", "127.0.0.1:5070"),
        ("", "127.0.0.2"),
        ("udp = [\"0.0.0.0:5070\"]\nadvertise = \"192.0.2.1\"", "192.0.2.9:5070"),
    ] {
        settings(sip);
        profiles(&segue, &[("a.toml", &format!("{common}next_hop = \"{hop}\"\n"))]);
        assert_eq!(
            segue.json(&["config", "check"])["warnings"].as_array().unwrap().len(),
            0,
            "{hop}"
        );
    }
}

#[test]
fn help_without_a_way_is_warned_about() {
    let segue = Segue::new();
    let text = "name = \"one\"\nsources = [\"10.0.0.0/8\"]\nemergency_numbers = [\"112\"]\n";
    profiles(&segue, &[("a.toml", text)]);
    let warning = warned(&segue);
    assert!(
        warning
            .contains("a.toml:3:21: emergency_numbers: none of emergency_next_hop, next_hop and outbound_proxy says"),
        "{warning}"
    );
    let rows = doctor(&segue, "configuration");
    assert!(
        rows.iter()
            .any(|(state, found)| state == "warn" && found.contains("emergency_numbers")),
        "{rows:?}"
    );
    profiles(
        &segue,
        &[("a.toml", &format!("{text}emergency_next_hop = \"192.0.2.1\"\n"))],
    );
    assert_eq!(
        segue.json(&["config", "check"])["warnings"].as_array().unwrap().len(),
        0
    );
}

#[test]
fn ports_that_collide_are_named() {
    let segue = Segue::new();
    for (settings, words) in [
        (
            "sip.tcp = [\"127.0.0.1:5061\"]\nhttp.listen = \"127.0.0.1:5061\"",
            "segue.toml:2:6: http.listen: 127.0.0.1:5061 is in sip.tcp too; fix: choose another port",
        ),
        (
            "sip.udp = [\"127.0.0.1:5060\", \"0.0.0.0:5060\"]\nsip.advertise = \"192.0.2.1\"",
            "segue.toml:1:5: sip.udp: 0.0.0.0:5060 and 127.0.0.1:5060 of sip.udp are one port",
        ),
    ] {
        fs::write(segue.dir().join("segue.toml"), settings).unwrap();
        refused(&segue, "bad_configuration", words);
    }
    fs::write(segue.dir().join("segue.toml"), "sip.udp = [\"127.0.0.1:20002\"]\n").unwrap();
    assert!(
        warned(&segue)
            .contains("segue.toml:1:5: sip.udp has 127.0.0.1:20002, which lies within media.ports = 20000-29999")
    );
    fs::write(segue.dir().join("segue.toml"), "media.ports = \"20000-20007\"\n").unwrap();
    refused(
        &segue,
        "bad_configuration",
        "these are 8 ports, and one call needs 10 (four for each of its two legs",
    );
}

/// Answers each datagram with a 200 that has its Via, From, To, Call-ID and CSeq, until dropped.
fn answering() -> std::net::SocketAddr {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok((len, from)) = socket.recv_from(&mut bytes) {
            let asked = String::from_utf8_lossy(&bytes[..len]).into_owned();
            assert!(asked.starts_with("OPTIONS sip:127.0.0.1:"), "{asked}");
            let same = |line: &&str| {
                ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
                    .iter()
                    .any(|name| line.starts_with(name))
            };
            let lines: Vec<&str> = asked.split("\r\n").filter(same).collect();
            let answer = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
            socket.send_to(answer.as_bytes(), from).unwrap();
        }
    });
    address
}

#[test]
fn doctor_asks_the_next_hops() {
    let segue = Segue::new();
    assert_eq!(
        doctor(&segue, "next hops"),
        [("ok".to_owned(), "no profile names any".to_owned())]
    );
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let answering = answering();
    let text = format!(
        "name = \"one\"\nsources = [\"10.0.0.0/8\"]\nnext_hop = \"{answering}\"\noutbound_proxy = \"sip:{answering};transport=tcp;lr\"\n\
         emergency_next_hop = \"{silent}\"\n"
    );
    let other = "name = \"two\"\nsources = [\"192.0.2.0/24\"]\nnext_hop = \"sbc.invalid\"\n";
    profiles(&segue, &[("a.toml", &text), ("b.toml", other)]);
    // Names that end in .invalid are known to nobody (RFC 6761 §6.4), whoever is asked.
    fs::write(segue.dir().join("segue.toml"), "sip.nameservers = [\"127.0.0.1:9\"]\n").unwrap();
    let began = std::time::Instant::now();
    let rows = doctor(&segue, "next hops");
    assert!(
        began.elapsed() < std::time::Duration::from_secs(30),
        "the wait is bounded"
    );
    let row = |words: &str| {
        rows.iter()
            .find(|(_, found)| found.contains(words))
            .unwrap_or_else(|| panic!("{rows:?}"))
    };
    let (state, found) = row("(next_hop of one)");
    assert!(
        state == "ok" && found.contains("answers an OPTIONS with 200 after "),
        "{found}"
    );
    let (state, found) = row("outbound_proxy of one)");
    assert!(state == "warn" && found.contains("cannot be reached: "), "{found}");
    let (state, found) = row("emergency_next_hop of one)");
    assert!(state == "warn", "{found}");
    let (state, found) = row("(next_hop of two)");
    assert!(state == "warn" && found.contains("sbc.invalid"), "{found}");
}

#[test]
fn doctor_names_subscribers_whose_target_is_this_server() {
    let segue = Segue::new();
    segue.ok(&["subscriber", "add", "bob", "--target", "sip:bob@127.0.0.1:5070"]);
    assert!(doctor(&segue, "targets").is_empty());
    segue.ok(&["subscriber", "add", "eve", "--target", "sip:eve@127.0.0.1"]);
    let rows = doctor(&segue, "targets");
    assert!(
        rows[0].0 == "warn" && rows[0].1.contains("eve (sip:eve@127.0.0.1)"),
        "{rows:?}"
    );
    assert_eq!(doctor(&segue, "clock")[0].0, "ok");
}

#[test]
fn passwords_that_are_of_no_use_and_that_nobody_has_are_warned_about() {
    let segue = Segue::new();
    let profile = |realm: &str| {
        let text =
            format!("name = \"office\"\nsources = [\"127.0.0.0/8\"]\nauth = \"digest\"\nauth_realm = \"{realm}\"\n");
        profiles(&segue, &[("office.toml", &text)]);
    };
    fs::write(segue.dir().join("segue.toml"), "profiles_dir = \"sip-profiles\"\n").unwrap();
    profile("old");
    assert!(warned(&segue).contains("nobody has one"), "{}", warned(&segue));
    private(&segue.dir().join("password"), "sesame");
    segue.json(&["subscriber", "add", "bob", "--password-file", "password"]);
    assert_eq!(segue.json(&["config", "check"])["warnings"], serde_json::json!([]));
    profile("new");
    let said = warned(&segue);
    assert!(
        said.contains("office.toml:4:") && said.contains("those of bob"),
        "{said}"
    );
    let rows = doctor(&segue, "configuration");
    assert!(
        rows.iter()
            .any(|(state, found)| state == "warn" && found.contains("those of bob")),
        "{rows:?}"
    );
    segue.json(&["subscriber", "set", "bob", "--password-file", "password"]);
    assert_eq!(segue.json(&["config", "check"])["warnings"], serde_json::json!([]));
}

#[test]
fn bounds_of_registrations_that_contradict_each_other_are_refused() {
    let segue = Segue::new();
    fs::write(segue.dir().join("segue.toml"), "[registrar]\nexpires_max_s = 90\n").unwrap();
    refused(
        &segue,
        "bad_configuration",
        "registrar.expires_default_s = 3600 is not from 60 to 90",
    );
}

#[test]
fn keys_of_srtp_in_sip_in_clear_are_warned_about() {
    let segue = Segue::new();
    let settings = |udp: &str, more: &str| {
        let text = format!("[sip]\nadvertise = \"sip.example.com\"\nudp = [\"{udp}\"]\ntcp = []\n{more}");
        fs::write(segue.dir().join("segue.toml"), text).unwrap();
    };
    let profile = |keys: &str| {
        let text = format!("name = \"phones\"\nsources = [\"192.0.2.0/24\"]\n{keys}\n");
        profiles(&segue, &[("phones.toml", &text)]);
    };
    settings("0.0.0.0:5060", "");
    profile("srtp = \"require\"");
    let said = warned(&segue);
    assert!(
        said.contains("phones.toml:3:8: srtp = \"require\"") && said.contains("0.0.0.0:5060"),
        "{said}"
    );
    profile("srtp_to = \"offer\"");
    assert!(warned(&segue).contains("phones.toml:3:11: srtp_to: keys are offered"));
    // Who may choose has chosen; and what stays here is read by nobody.
    let nothing = || segue.json(&["config", "check"])["warnings"] == serde_json::json!([]);
    profile("srtp = \"allow\"");
    assert!(nothing());
    profile("srtp = \"require\"\nsrtp_to = \"require\"");
    settings("127.0.0.1:5060", "");
    assert!(nothing());
    // By TLS alone they are hidden.
    certified(segue.dir(), (2099, 1, 1));
    let tls = "tls = [\"0.0.0.0:5061\"]\ntls_certificate = \"certificate.pem\"\ntls_key = \"key.pem\"\n";
    settings("0.0.0.0:5060", tls);
    assert!(warned(&segue).contains("listen = [\"0.0.0.0:5061\"]"));
    profile("srtp = \"require\"\nsrtp_to = \"require\"\nlisten = [\"0.0.0.0:5061\"]");
    assert!(nothing());
}
