//! SIP over TLS with peers that others made: openssl and baresip.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use segue_tests::{
    certificate::{Root, Signed},
    phone::{A, Answers, B, Codecs, Phone},
    segue::{Segue, sample},
    wait::until,
};

const SOON: Duration = Duration::from_secs(5);

fn settings(own: &Signed, root: &Root) -> String {
    format!(
        "[sip]\ntls = [\"127.0.0.1:0\"]\ntls_certificate = {:?}\ntls_key = {:?}\ntls_ca = {:?}\n",
        own.certificate,
        own.key,
        root.file()
    )
}

fn options(server: SocketAddr) -> String {
    format!(
        "OPTIONS sip:{server};transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bKo1;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:probe@127.0.0.1>;tag=p\r\nTo: <sip:{server}>\r\nCall-ID: probe\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// `openssl s_client`; dropped, it is gone.
struct Client(Child);

impl Client {
    /// Connects; `None` when no connection came about. With this root, which the server's certificate must come from.
    fn connect(server: SocketAddr, root: &Path, more: &[&str]) -> Client {
        let client = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-verify_return_error",
                "-verify_ip",
                "127.0.0.1",
                "-CAfile",
            ])
            .arg(root)
            .args(["-connect", &server.to_string()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        Client(client)
    }

    /// Says something and reads as many bytes as `first` lines have; empty when the connection has ended.
    fn ask(&mut self, text: &str) -> String {
        let input = self.0.stdin.as_mut().expect("a pipe");
        if input.write_all(text.as_bytes()).and_then(|()| input.flush()).is_err() {
            return String::new();
        }
        let mut output = BufReader::new(self.0.stdout.as_mut().expect("a pipe"));
        let mut answer = String::new();
        // Up to the empty line: no answer here has a body.
        while !answer.ends_with("\r\n\r\n") {
            if matches!(output.read_line(&mut answer), Ok(0) | Err(_)) {
                break;
            }
        }
        answer
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn openssl_is_answered_by_tls_1_2_and_1_3_and_after_a_renewal_by_the_new_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(&folder.path().join("root"));
    let own = root.sign("segue", "DNS:localhost,IP:127.0.0.1");
    let segue = Segue::start_with(folder.path(), &settings(&own, &root));
    let server = segue.sip_tls();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = Client::connect(server, &root.file(), &[version]);
        let answer = client.ask(&options(server));
        assert!(
            answer.starts_with("SIP/2.0 200 ") && answer.contains("Via: SIP/2.0/TLS"),
            "{version}: {answer}"
        );
    }
    let old =
        Client::connect(server, &root.file(), &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]).ask(&options(server));
    assert_eq!(old, "", "TLS 1.1 is no TLS any more");

    let mut early = Client::connect(server, &root.file(), &[]);
    assert!(early.ask(&options(server)).starts_with("SIP/2.0 200 "));
    let next = Root::new(&folder.path().join("next"));
    let renewed = next.sign("segue", "IP:127.0.0.1");
    fs::copy(&renewed.certificate, &own.certificate).unwrap();
    fs::copy(&renewed.key, &own.key).unwrap();
    segue.signal(Signal::SIGHUP);
    until("the new certificate", SOON, || {
        segue.log_text().contains("were read again").then_some(())
    });
    assert!(
        Client::connect(server, &next.file(), &[])
            .ask(&options(server))
            .starts_with("SIP/2.0 200 ")
    );
    assert_eq!(
        Client::connect(server, &root.file(), &[]).ask(&options(server)),
        "",
        "the old one is still shown"
    );
    // Who was there stays, and its ping is answered (RFC 5626 §4.4.1).
    let mut pong = [0u8; 2];
    early.0.stdin.as_mut().unwrap().write_all(b"\r\n\r\n").unwrap();
    early.0.stdout.as_mut().unwrap().read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(folder.path());
    let own = root.sign("segue", "IP:127.0.0.1");
    fs::set_permissions(&own.key, fs::Permissions::from_mode(0o640)).unwrap();
    let config = folder.path().join("segue.toml");
    fs::write(
        &config,
        settings(&own, &root).replace("[sip]\n", "[sip]\nudp = []\ntcp = []\n"),
    )
    .unwrap();
    let ran = Command::new(segue_tests::segue::binary())
        .args(["run", "--config"])
        .arg(&config)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success());
    assert!(
        said.contains("others may read it (mode 0640)") && said.contains(&format!("chmod 600 {}", own.key.display())),
        "{said}"
    );
}

#[test]
fn two_phones_talk_by_tls_and_the_callee_must_prove_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(&folder.path().join("root"));
    let names = "DNS:localhost,IP:127.0.0.1";
    let own = root.sign("segue", names);
    let segue = Segue::start_with(folder.path(), &settings(&own, &root));
    segue.cli(&["clip", "add", "clip", &sample("clip.mp4").display().to_string()]);
    let certificate = root.sign("phone", names);
    let codecs = Codecs::AUDIO_ONLY;
    let mut a = Phone::start_by_tls(folder.path(), (A, Answers::OnCommand), codecs, (&certificate, &root));
    let mut b = Phone::start_by_tls(folder.path(), (B, Answers::AtOnce), codecs, (&certificate, &root));
    segue.cli(&["subscriber", "add", "bob", "--target", &b.tls_uri(), "--clip", "clip"]);
    let began = Instant::now();
    a.dial(&format!("sip:bob@{};transport=tls", segue.sip_tls()));
    a.expect_event("CALL_ESTABLISHED", began, SOON);
    a.expect_hears(B.tone_hz, SOON);
    b.expect_hears(A.tone_hz, SOON);
    // By the connection that the INVITE went by.
    b.hang_up();
    a.expect_event("CALL_CLOSED", began, SOON);

    // Somebody else sits at the callee's address.
    drop(b);
    let other = Root::new(&folder.path().join("other")).sign("stranger", names);
    let b = Phone::start_by_tls(&folder.path().join("2"), (B, Answers::AtOnce), codecs, (&other, &root));
    segue.cli(&["subscriber", "set", "bob", "--target", &b.tls_uri()]);
    let began = Instant::now();
    a.dial(&format!("sip:bob@{};transport=tls", segue.sip_tls()));
    until("the refusal in the log", SOON, || {
        segue
            .log_text()
            .contains("no TLS connection could be made")
            .then_some(())
    });
    assert!(!b.was_called(began), "a stranger was called");
    a.hang_up();
}
