//! Digest authentication with SIPp at the other end, which knows MD5 alone.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use segue_tests::{
    segue::{Segue, sample},
    sipp::{Over, Seat, Sipp},
    wait::until,
};

/// A server with one profile that has these keys more, and a file beside it with this text.
fn server(folder: &Path, keys: &str, (file, text): (&str, &str)) -> Segue {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    let profile = format!("name = \"trunk\"\nsources = [\"127.0.0.0/8\"]\n{keys}");
    fs::write(profiles.join("trunk.toml"), profile).unwrap();
    private(&profiles.join(file), text);
    let segue = Segue::start_with(folder, &format!("profiles_dir = {profiles:?}\n"));
    segue.cli(&["clip", "add", "clip", &sample("clip.mp4").display().to_string()]);
    segue
}

fn private(path: &PathBuf, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Bob, held for a moment, at this phone.
fn subscribe(segue: &Segue, callee: &Sipp) {
    let target = format!("sip:bob@127.0.0.1:{}", callee.port());
    segue.cli(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        &target,
        "--clip",
        "clip",
        "--hold",
        "300ms",
    ]);
}

#[test]
fn a_trunk_that_asks_for_credentials_gets_ours() {
    let folder = tempfile::tempdir().unwrap();
    let keys = "digest_user = \"segue\"\ndigest_realm = \"trunk.example\"\ndigest_secret = \"password\"\n";
    let segue = server(folder.path(), keys, ("password", "open sesame\n"));
    let callee = Sipp::callee(folder.path(), "answer_for_credentials", Over::Udp, 200);
    subscribe(&segue, &callee);
    let to = ("bob", segue.sip_udp());
    let caller = Sipp::caller(folder.path(), "plain", (Over::Udp, 300), to, "ours@digest");
    caller.finish().unwrap();
    callee.finish().unwrap();
    let record = segue.cli(&["wait", "call", "--sip-call-id", "ours@digest", "--timeout", "10s"]);
    assert_eq!(record["result"], "answered", "{record:#}");
    let shown = segue.cli(&["call", "show", record["id"].as_str().unwrap()]);
    let ladder: Vec<&str> = shown["legs"][1]["ladder"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["summary"].as_str())
        .collect();
    assert!(
        ladder.starts_with(&["INVITE (SDP)", "401 Unauthorized", "ACK", "INVITE (SDP)"]),
        "{ladder:?}"
    );
    assert!(!segue.log_text().contains("sesame") && !segue.log_text().contains("nonce"));
}

#[test]
fn a_caller_must_prove_who_it_is_where_the_profile_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let keys = "auth = \"digest\"\nauth_realm = \"office\"\nauth_users = \"users\"\ndigest_algorithms = [\"MD5\"]\n";
    let segue = server(folder.path(), keys, ("users", "alice wonderland\n"));
    let call = |scenario: &str, call_id: &str| {
        let server = segue.sip_udp().to_string();
        // By itself SIPp signs the server's address in place of the Request-URI (RFC 8760 §2.6).
        let uri = format!("bob@{server}");
        let args = [
            "-s",
            "bob",
            "-cid_str",
            call_id,
            "-m",
            "1",
            "-l",
            "1",
            "-auth_uri",
            &uri,
            &server,
        ];
        let seat = Seat::here(Over::Udp, 300);
        Sipp::seated(&folder.path().join(call_id), "caller", scenario, seat, &args)
    };
    let callee = Sipp::callee(folder.path(), "answer", Over::Udp, 200);
    subscribe(&segue, &callee);
    call("prove_who_calls", "right@digest").finish().unwrap();
    callee.finish().unwrap();
    let record = segue.cli(&["wait", "call", "--sip-call-id", "right@digest", "--timeout", "10s"]);
    assert_eq!(record["result"], "answered", "{record:#}");

    call("prove_in_vain", "wrong@digest").finish().unwrap();
    until("the refusal", Duration::from_secs(5), || {
        segue.log_text().contains("its credentials are wrong").then_some(())
    });
    let log = segue.log_text();
    assert!(!log.contains("wonderland") && !log.contains("response="), "{log}");
}
