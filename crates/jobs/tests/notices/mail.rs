//! Mail to a real mail server: aiosmtpd (`smtpd.py`).

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use segue_jobs::notices::{MailServer, MailTls, Mailer, Settings};
use segue_policy::{Attach, Channel, Language, Notify};
use segue_store::DeliveryState;
use serde_json::Value;

use super::{Office, by};

/// Debian's: it has python3-aiosmtpd (tests/setup.sh).
const PYTHON: &str = "/usr/bin/python3";

/// A mail server, and what it has taken.
struct Smtpd {
    process: Child,
    port: u16,
    taken: PathBuf,
    roots: Option<Vec<u8>>,
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Smtpd {
    fn start(office: &Office, protected: bool) -> Smtpd {
        let taken = office.dir.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notices/smtpd.py");
        let mut command = Command::new(PYTHON);
        command.arg(script).arg(&taken);
        let mut roots = None;
        if protected {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            let file = |name: &str, text: String| {
                let path = office.dir.path().join(name);
                fs::write(&path, text).unwrap();
                path
            };
            command
                .arg(file("certificate.pem", made.cert.pem()))
                .arg(file("key.pem", made.signing_key.serialize_pem()))
                .arg("open sesame");
            roots = Some(made.cert.pem().into_bytes());
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        Smtpd {
            process,
            port: line.trim().parse().unwrap(),
            taken,
            roots,
        }
    }

    fn server(&self, tls: MailTls, password: Option<&str>) -> MailServer {
        MailServer {
            host: "localhost".to_owned(),
            port: self.port,
            tls,
            credentials: password.map(|password| ("segue".to_owned(), password.to_owned())),
            from: "Segue <segue@example.com>".to_owned(),
            attach_bytes_max: 100_000,
            roots: self.roots.clone(),
        }
    }

    fn mails(&self) -> Vec<Value> {
        let mut files: Vec<PathBuf> = fs::read_dir(&self.taken)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .collect();
        files.sort();
        let read = |path: &PathBuf| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        files.iter().map(read).collect()
    }
}

fn settings(server: &MailServer) -> Settings {
    Settings {
        first_pause: Duration::from_millis(100),
        mail: Some(Arc::new(Mailer::new(server).unwrap())),
        ..Settings::default()
    }
}

fn to(address: &str, attach: Attach) -> Notify {
    Notify {
        mail: Some(address.to_owned()),
        attach,
        ..by(Channel::Mail)
    }
}

fn part<'a>(mail: &'a Value, kind: &str) -> &'a Value {
    let parts = mail["parts"].as_array().unwrap();
    parts.iter().find(|part| part["type"] == kind).unwrap()
}

#[test]
fn mail_goes_by_starttls_and_auth_with_its_picture_and_the_message() {
    let office = Office::new();
    let smtpd = Smtpd::start(&office, true);
    office.add("bob", to("bob@example.com", Attach::Yes));
    let mut german = to("eva@example.com", Attach::Poster);
    german.language = Some(Language::De);
    office.add("eva", german);
    let media: Vec<u8> = (0..50_000_u32).map(|n| (n % 251) as u8).collect();
    office.leave("01A", "bob", &media);
    office.leave("01B", "eva", &media);
    let _running = office.start(settings(&smtpd.server(MailTls::Starttls, Some("open sesame"))));
    office.comes_to("bob", DeliveryState::Sent);
    office.comes_to("eva", DeliveryState::Sent);
    let mails = smtpd.mails();
    let of = |address: &str| {
        let mut mails = mails.iter();
        mails.find(|mail| mail["recipients"][0] == address).unwrap()
    };
    let mail = of("bob@example.com");
    assert_eq!((&mail["tls"], &mail["user"]), (&true.into(), &"segue".into()));
    assert_eq!(mail["sender"], "segue@example.com");
    let headers = &mail["headers"];
    assert_eq!(
        headers["Subject"],
        "Video message from Ann <b>Größe</b> (ann@example.org)"
    );
    assert_eq!(headers["Message-ID"], "<message-committed_mail_01A_bob@example.com>");
    assert_eq!(headers["Auto-Submitted"], "auto-generated");
    let text = part(mail, "text/plain")["text"].as_str().unwrap();
    assert!(text.contains("Left on 2026-01-01 00:00 UTC. Length: 0:42."), "{text}");
    let html = part(mail, "text/html")["text"].as_str().unwrap();
    assert!(
        html.contains("Ann &lt;b&gt;Größe&lt;/b&gt;") && html.contains("cid:poster"),
        "{html}"
    );
    assert_eq!(part(mail, "image/jpeg")["id"], "<poster>");
    let attached = part(mail, "video/mp4");
    assert_eq!(attached["name"], "message-01A.mp4");
    let bytes = STANDARD.decode(attached["bytes"].as_str().unwrap()).unwrap();
    assert_eq!(bytes, media, "as it is in the store");
    let german = of("eva@example.com");
    assert!(
        german["headers"]["Subject"]
            .as_str()
            .unwrap()
            .starts_with("Videonachricht von Ann")
    );
    assert_eq!(german["parts"].as_array().unwrap().len(), 3, "text, HTML and picture");
}

#[test]
fn a_server_that_says_later_gets_it_later_and_one_that_says_never_makes_a_dead_letter() {
    let office = Office::new();
    let smtpd = Smtpd::start(&office, false);
    office.add("later", to("later@example.com", Attach::Yes));
    office.add("never", to("never@example.com", Attach::No));
    office.leave("01A", "later", &vec![7; 200_000]);
    office.leave("01B", "never", b"media");
    let _running = office.start(settings(&smtpd.server(MailTls::None, None)));
    let sent = office.comes_to("later", DeliveryState::Sent);
    assert_eq!(sent.attempts, 2);
    let dead = office.comes_to("never", DeliveryState::Dead);
    assert_eq!(dead.attempts, 1);
    assert!(dead.said.as_ref().unwrap().contains("no such user here"), "{dead:?}");
    let mails = smtpd.mails();
    assert_eq!(mails.len(), 1);
    let text = part(&mails[0], "text/plain")["text"].as_str().unwrap();
    assert!(text.contains("too large to be attached (201 kB)"), "{text}");
    let types = mails[0]["parts"].as_array().unwrap().iter().map(|part| &part["type"]);
    assert!(!types.into_iter().any(|kind| kind == "video/mp4"));
    // The same notice again is the same mail to whoever gets it twice.
    office.store.retry_notice(sent.id, super::now_ms()).unwrap();
    office.until("later", |one| one.state == DeliveryState::Sent && one.attempts == 3);
    let ids: Vec<Value> = smtpd
        .mails()
        .into_iter()
        .map(|mail| mail["headers"]["Message-ID"].clone())
        .collect();
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn nothing_goes_to_a_server_that_cannot_prove_itself_or_knows_us_not_and_nothing_is_lost() {
    let office = Office::new();
    let smtpd = Smtpd::start(&office, true);
    office.add("bob", to("bob@example.com", Attach::No));
    office.leave("01A", "bob", b"media");
    let right = smtpd.server(MailTls::Starttls, Some("open sesame"));
    let another = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let strangers = MailServer {
        roots: Some(another.cert.pem().into_bytes()),
        ..right.clone()
    };
    let wrong = smtpd.server(MailTls::Starttls, Some("wrong"));
    let plain = smtpd.server(MailTls::None, None);
    for (server, told) in [(strangers, "certificate"), (wrong, "535"), (plain, "530")] {
        office
            .store
            .retry_notice(office.of("bob")[0].id, super::now_ms())
            .unwrap();
        let before = office.of("bob")[0].attempts;
        let running = office.start(settings(&server));
        let failed = office.until("bob", |one| {
            one.attempts > before && one.said.is_some() && !one.is_tried
        });
        assert_eq!(failed.state, DeliveryState::Waiting, "{failed:?}");
        let said = failed.said.unwrap();
        assert!(said.to_lowercase().contains(told), "{told}: {said}");
        drop(running);
    }
    assert!(smtpd.mails().is_empty());
    office
        .store
        .retry_notice(office.of("bob")[0].id, super::now_ms())
        .unwrap();
    let _running = office.start(settings(&right));
    office.comes_to("bob", DeliveryState::Sent);
    assert_eq!(smtpd.mails().len(), 1);
}
