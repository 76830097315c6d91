//! What an operator looks after, in a real browser: load, profiles that are read again, notices that nobody took.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use segue_tests::{
    desk::{self, at, expect_usable, log_in},
    page::Page,
    segue::{Segue, sample},
    wait::until,
};
use serde_json::Value;

use super::{SOON, ill_meaning_invite, list::leave};

/// What a receiver of webhooks was sent: its head in small letters, and its body.
struct Told {
    head: String,
    body: Value,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {name}: {}", self.head))
    }
}

/// A receiver of webhooks: it wants none until `takes` says so.
struct Receiver {
    at: SocketAddr,
    takes: Arc<AtomicBool>,
    told: mpsc::Receiver<Told>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let takes = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let is_up = Arc::clone(&takes);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
                let head = head.to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.unwrap().parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
                let status = match is_up.load(Ordering::SeqCst) {
                    true => "204 No Content",
                    false => "410 Gone",
                };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
                let body = serde_json::from_slice(&body).unwrap();
                if tell.send(Told { head, body }).is_err() {
                    return;
                }
            }
        });
        Receiver { at, takes, told }
    }

    #[track_caller]
    fn expect_told(&self) -> Told {
        self.told.recv_timeout(SOON).expect("a webhook")
    }
}

/// One call at once; webhooks may be on this machine.
fn office(folder: &Path) -> Segue {
    let secret = folder.join("secret");
    fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let hook = format!("[webhook]\nsecret_file = {secret:?}\nallow = [\"127.0.0.0/8\"]\n");
    let segue = desk::office(folder, &format!("{hook}[overload]\ncalls_max = 1\n"));
    segue.cli(&["subscriber", "add", "bob"]);
    segue.cli(&["admin", "create", "root"]);
    segue
}

/// What the page in front of one says of a key of the profile.
fn value(page: &mut Page, key: &str) -> String {
    page.text(&format!("tr:has(td:text-is('{key}')) strong"))
}

#[test]
fn a_subscriber_sets_how_they_are_told_and_an_operator_has_a_dead_letter_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path());
    let receiver = Receiver::start();
    let mut page = Page::open(folder.path());

    // Where they may not call is said, and what was typed stays.
    log_in(&mut page, &segue, &["subscriber", "link", "bob"]);
    page.wait_for("text=No messages yet.");
    page.goto(&at(&segue, "/settings/notices"));
    page.click("input[name=by_webhook]");
    page.fill("#webhook", "http://10.20.30.40/segue");
    page.click("text=Set it so");
    page.wait_for(".wrong >> text=10.20.30.40 is no public address");
    assert_eq!(
        page.run("document.getElementById('webhook').value"),
        "http://10.20.30.40/segue"
    );
    assert_eq!(page.run("document.querySelector('[name=by_webhook]').checked"), true);
    let troubles = page.troubles();
    assert!(troubles.iter().all(|trouble| trouble.contains("422")), "{troubles:?}");
    expect_usable(&mut page, "notices that were refused");
    page.fill("#webhook", &format!("http://{}/hook", receiver.at));
    page.press("Enter");
    page.wait_for("text=It is set so.");
    page.reload();
    assert_eq!(page.run("document.querySelector('[name=by_webhook]').checked"), true);
    expect_usable(&mut page, "notices of a subscriber");

    // The receiver wants no more: a dead letter, with what was said.
    leave(&segue, "01A", "Ann");
    let refused = receiver.expect_told();
    assert_eq!(refused.body["type"], "message.committed");
    assert_eq!(refused.body["data"]["message_id"], "01A");
    until("the dead letter", SOON, || {
        segue.rows(&["notice", "list", "--dead"]).pop()
    });
    page.forget();
    log_in(&mut page, &segue, &["admin", "link", "root"]);
    page.click("nav >> text=Notices");
    page.wait_for("strong >> text=1 dead letter");
    page.wait_for("table tr:has(.badge:text-is('dead')) td >> text=410");
    expect_usable(&mut page, "notices");

    // The receiver is up again, and has it under the same key.
    receiver.takes.store(true, Ordering::SeqCst);
    page.click("[aria-label^='Try again']");
    let taken = receiver.expect_told();
    assert_eq!(taken.header("webhook-id"), refused.header("webhook-id"));
    assert_eq!(taken.body, refused.body);
    until("the notice to be settled", SOON, || {
        let rows = segue.rows(&["notice", "list", "bob"]);
        (rows.len() == 1 && rows[0]["state"] == "sent").then_some(())
    });
    page.goto(&at(&segue, "/operator/notices?user=bob&state=sent"));
    page.wait_for(".badge.good >> text=sent");
    assert_eq!(page.count("button[value='retry-all']"), 0, "no dead letters are left");
    expect_usable(&mut page, "notices that were delivered");
    for (deed, name) in [("notify.set", "bob"), ("notice.retry", "root")] {
        let audit = segue.rows(&["audit"]);
        let is_there = audit.iter().any(|row| row["what"] == deed && row["name"] == name);
        assert!(is_there, "{deed} by {name}: {audit:?}");
    }
}

#[test]
fn an_operator_has_profiles_read_again_and_sees_what_the_limit_of_calls_has_refused() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path());
    let mut page = Page::open(folder.path());
    log_in(&mut page, &segue, &["admin", "link", "root"]);
    page.goto(&at(&segue, "/operator/profiles"));
    assert_eq!(value(&mut page, "no_answer_ms"), "20000");
    expect_usable(&mut page, "profiles");
    page.click("text=Read files again");
    page.wait_for(".probed >> text=Nothing has changed.");

    let file = folder.path().join("profiles/softphone.toml");
    let profile = fs::read_to_string(&file).unwrap();
    let with = |says: &str| {
        assert!(profile.contains("no_answer_ms = 20000"), "{profile}");
        fs::write(&file, profile.replace("no_answer_ms = 20000", says)).unwrap();
    };
    with("no_answer_ms = 15000");
    page.click("text=Read files again");
    page.wait_for(".probed li >> text=no_answer_ms of softphone: 20000 became 15000");
    assert_eq!(value(&mut page, "no_answer_ms"), "15000");
    expect_usable(&mut page, "profiles that have changed");

    // What is wrong is refused with its reason and place; what was read before goes on.
    with("no_answer_ms = \"soon\"");
    page.click("text=Read files again");
    page.wait_for(".probed .wrong >> text=They were refused");
    let why = page.text(".probed");
    assert!(why.contains("softphone.toml") && why.contains("no_answer_ms"), "{why}");
    assert_eq!(value(&mut page, "no_answer_ms"), "15000");
    expect_usable(&mut page, "profiles that were refused");
    let audit = segue.rows(&["audit"]);
    let deeds = audit.iter().filter(|row| row["what"] == "server.reload");
    assert_eq!(deeds.filter(|row| row["name"] == "root").count(), 3, "{audit:?}");

    // One caller is held; the next is one more than there may be.
    segue.cli(&["clip", "add", "welcome", sample("clip.mp4").to_str().unwrap()]);
    let target = "sip:c@127.0.0.1:9";
    segue.cli(&[
        "subscriber",
        "add",
        "c",
        "--target",
        target,
        "--clip",
        "welcome",
        "--hold",
        "60s",
    ]);
    page.goto(&at(&segue, "/operator/load"));
    page.wait_for("text=New calls are let in as they come");
    // The charts of the last hour begin by themselves: nobody has called, nothing was refused.
    page.wait_for("#hour .legend >> text=up: 0 now, 0 at most");
    page.wait_for("#hour .legend >> text=of all reasons: 0 now, 0 at most");
    let drawn = |page: &mut Page, line: &str| {
        page.run(&format!(
            "document.querySelector('#hour polyline.{line}').getAttribute('points')"
        ))
    };
    let flat = (drawn(&mut page, "message"), drawn(&mut page, "bad"));
    let [first, second] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let call = |socket: &UdpSocket, id: &str, status: &str| {
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let invite = ill_meaning_invite(&segue, socket.local_addr().unwrap());
        let invite = invite.replace("<script>pwned()</script>", id);
        socket.send_to(invite.as_bytes(), segue.sip_udp()).unwrap();
        until(status, SOON, || {
            let mut bytes = [0; 4096];
            let (length, _) = socket.recv_from(&mut bytes).ok()?;
            String::from_utf8_lossy(&bytes[..length])
                .starts_with(status)
                .then_some(())
        });
    };
    call(&first, "first", "SIP/2.0 183");
    call(&second, "second", "SIP/2.0 503");
    // What is called and refused comes upon them without anything being pressed, and so does what there is now.
    page.wait_for("#hour .legend >> text=up: 1 now, 1 at most");
    page.wait_for("#now >> text=1 of 1");
    let most = page.text("#hour .legend li:has-text('of all reasons')");
    assert!(most.contains(" 0.2 at most"), "one in 5 s: {most}");
    assert_ne!((drawn(&mut page, "message"), drawn(&mut page, "bad")), flat);
    page.click("text=The same as a table, by the minute");
    let count = |page: &mut Page, column: u32| -> u64 {
        let cells = format!("[...document.querySelectorAll('#minutes td:nth-child({column})')]");
        let sum = page.run(&format!("{cells}.reduce((sum, td) => sum + Number(td.textContent), 0)"));
        sum.as_u64().unwrap()
    };
    assert_eq!((count(&mut page, 4), count(&mut page, 5)), (2, 1), "tried, refused");
    // The API says the same.
    let history = page.run("fetch('/api/v1/load/history').then((answer) => answer.json())");
    let sum = |what: &str| -> u64 {
        let samples = history["samples"].as_array().unwrap().iter();
        samples.map(|sample| sample[what].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("attempts"), sum("refused")), (2, 1), "{history}");
    page.click("text=Look again");
    page.wait_for("text=1 of 1");
    let refused = page.text("tr:has(td:text-is('overload.calls_max')) td.number");
    assert_eq!(refused, "1");
    expect_usable(&mut page, "load");
}
