//! The pages, in a real browser: a subscriber watches what a phone has left, an operator a call while it goes on.

use std::{
    fs,
    net::UdpSocket,
    path::Path,
    time::{Duration, Instant},
};

use segue_tests::{
    desk::{self, PASSWORD, at, expect_usable, log_in},
    page::Page,
    phone::{A, Answers, B, Phone, Registrar},
    picture::Colour,
    segue::{Segue, sample},
    wait::until,
};
use serde_json::Value;

#[path = "pages/account.rs"]
mod account;
#[path = "pages/list.rs"]
mod list;
#[path = "pages/operator.rs"]
mod operator;

const SOON: Duration = Duration::from_secs(10);

/// An office where b has a phone.
fn office(folder: &Path) -> Segue {
    let segue = desk::office(folder, "");
    let password = desk::password_file(folder);
    segue.cli(&[
        "subscriber",
        "add",
        "b",
        "--password-file",
        &password,
        "--no-answer",
        "1s",
    ]);
    segue
}

/// B makes a rule by keyboard: callers go straight to the mailbox. What was wrong is said beside its field, and the question that was
/// asked before has another answer.
fn make_a_rule(page: &mut Page) {
    page.click("text=Add a rule");
    page.choose("#rule-then", "greeting");
    page.fill("#rule-at", "every morning");
    page.press("Enter");
    page.wait_for("#rule-at-wrong >> text=are no hours");
    assert_eq!(page.run("document.activeElement.id"), "rule-at");
    assert_eq!(page.run("document.activeElement.value"), "every morning");
    assert_eq!(page.run("document.getElementById('rule-then').value"), "greeting");
    let troubles = page.troubles();
    assert!(troubles.iter().all(|trouble| trouble.contains("422")), "{troubles:?}");
    expect_usable(page, "rule");
    page.fill("#rule-at", "daily 00:00-24:00");
    page.press("Enter");
    page.wait_for("#rules li >> text=When anybody calls");
    page.wait_for(".probed >> text=rule 1 acts: straight to the greeting");
    page.click("text=Add a contact");
    page.fill("#contact-address", "sip:*@example.com");
    page.fill("#contact-groups", "partners");
    page.press("Enter");
    page.wait_for("td >> text=partners");
    page.wait_for("#targets li >> text=wherever their phones are registered");
}

/// The one message of b.
fn message(segue: &Segue) -> Option<Value> {
    segue.rows(&["message", "list", "b"]).pop()
}

#[test]
fn a_message_that_a_phone_leaves_appears_plays_and_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path());
    let registrar = Registrar {
        at: segue.sip_udp(),
        password: PASSWORD.to_owned(),
    };
    let b = Phone::start_subscribed(folder.path(), B, Answers::OnCommand, &registrar);
    let mut a = Phone::start(folder.path(), A, Answers::OnCommand);
    let mut page = Page::open(folder.path());
    // Who is not logged in is led to the login, and from there to where they wanted to go.
    page.goto(&at(&segue, "/messages"));
    assert!(page.url().contains("/login"), "{}", page.url());
    expect_usable(&mut page, "login");
    log_in(&mut page, &segue, &["subscriber", "link", "b"]);
    page.wait_for("text=No messages yet.");
    // What a caller would meet, asked as a person asks.
    page.click("nav >> text=Settings");
    page.fill("#from", "+4930123456");
    page.click("text=Try");
    page.wait_for(".probed >> text=no clip to be held on, then");
    make_a_rule(&mut page);
    expect_usable(&mut page, "settings");
    page.click("nav >> text=Messages");
    page.wait_for("text=No messages yet.");

    // The page is open while the call goes on; the message comes by itself.
    let dialled = a.dial(&segue.uri("b"));
    a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    until("the beep to be over", SOON, || {
        let live = segue.rows(&["call", "live"]);
        live.iter().any(|call| call["phase"] == "recording").then_some(())
    });
    std::thread::sleep(Duration::from_secs(4));
    let hung_up = Instant::now();
    a.hang_up();
    page.wait_for("#messages li video");
    assert!(page.text("#messages li").contains("New"));
    until("the phone to be told", SOON, || {
        b.waiting(hung_up).filter(|told| told.contains("Messages-Waiting: yes"))
    });
    expect_usable(&mut page, "mailbox");
    // B's phone has not rung: the rule that was made on the page has sent the caller to the mailbox.
    let call = &segue.rows(&["call", "list"])[0];
    let rules = &segue.cli(&["call", "show", call["id"].as_str().unwrap()])["rules"];
    assert_eq!(
        *rules,
        serde_json::json!([{ "place": 1, "why": null, "did": "greeting" }])
    );

    // It plays, and what is decoded is what A's phone has filmed: red.
    page.run("document.querySelector('video').play()");
    page.wait_until("document.querySelector('video').currentTime > 1");
    let pixel = page.run(
        "(() => { const v = document.querySelector('video'); const c = document.createElement('canvas'); \
         c.width = c.height = 1; const g = c.getContext('2d'); g.drawImage(v, 0, 0, 1, 1); \
         return [...g.getImageData(0, 0, 1, 1).data]; })()",
    );
    let [red, green, blue] = [0, 1, 2].map(|n| pixel[n].as_i64().unwrap());
    assert!(red > 150 && green < 90 && blue < 90, "{pixel}");
    let poster = page.attribute("video", "poster").unwrap();
    let seen = page.run(&format!(
        "fetch('{poster}').then((answer) => answer.headers.get('content-type'))"
    ));
    assert_eq!(seen, "image/jpeg");

    // Past 80 % it is heard: here, in the store, and on the phone.
    let heard = Instant::now();
    page.wait_until("document.querySelector('video').ended");
    until("the message to be heard", SOON, || {
        message(&segue).filter(|message| message["state"] == "heard")
    });
    page.wait_gone(".badge.fresh");
    until("the phone to be told", SOON, || {
        b.waiting(heard).filter(|told| told.contains("Messages-Waiting: no"))
    });

    // The rules act on what is heard: the page says so by itself.
    segue.cli(&["retention", "set", "b", "--heard-max", "0"]);
    page.run("document.querySelector('video').load()");
    until("the message to go", SOON, || message(&segue).is_none().then_some(()));
    page.reload();
    page.wait_for("text=No messages yet.");
    drop(b);
}

/// What the browser decodes of a player in the middle of its picture: red, green, blue.
fn pixel(page: &mut Page, player: &str) -> [i64; 3] {
    let pixel = page.run(&format!(
        "(() => {{ const v = document.querySelector('{player}'); const c = document.createElement('canvas'); \
         c.width = c.height = 1; const g = c.getContext('2d'); g.drawImage(v, 0, 0, 1, 1); \
         return [...g.getImageData(0, 0, 1, 1).data]; }})()"
    ));
    [0, 1, 2].map(|n| pixel[n].as_i64().unwrap())
}

#[test]
fn a_clip_that_is_dropped_on_the_page_is_looked_at_chosen_and_met_by_a_caller() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path());
    let registrar = Registrar {
        at: segue.sip_udp(),
        password: PASSWORD.to_owned(),
    };
    let _b = Phone::start_registered(folder.path(), B, Answers::OnCommand, &registrar);
    let mut a = Phone::start(folder.path(), A, Answers::OnCommand);
    let mut page = Page::open(folder.path());
    log_in(&mut page, &segue, &["subscriber", "link", "b"]);
    page.click("nav >> text=Clips");
    page.wait_for("text=No clips yet.");

    // What is no film is refused with the reason; it is forgotten by a button.
    let words = folder.path().join("words.mp4");
    fs::write(&words, "no film at all").unwrap();
    page.upload("#file", &words);
    page.wait_until("document.getElementById('name').value === 'words'");
    page.click("#upload button");
    page.wait_for("#uploads >> text=is no clip");
    page.wait_for("#told.wrong");
    page.click("#uploads button");
    page.wait_gone("#uploads li");

    // Dropped; of the first request a part comes, and its answer is lost: it goes on from there.
    page.run(
        "(() => { const send = XMLHttpRequest.prototype.send; window.sent = []; \
         XMLHttpRequest.prototype.send = function (body) { window.sent.push(body.size); \
         if (window.sent.length > 1) { send.call(this, body); return; } \
         const lost = this.onerror; this.onload = () => lost(); send.call(this, body.slice(0, 100000)); }; \
         window.states = new Set(); const told = document.getElementById('told'); \
         new MutationObserver(() => window.states.add(told.textContent)) \
         .observe(told, { childList: true, characterData: true, subtree: true }); })()",
    );
    let film = sample("clip.mp4");
    let bytes = fs::metadata(&film).unwrap().len();
    page.drop_file("#upload", &film, "video/mp4");
    page.wait_for("text=clip is ready.");
    assert_eq!(
        page.run("window.states.has('Uploading…') && window.states.has('Preparing…')"),
        true
    );
    assert_eq!(page.run("window.sent"), serde_json::json!([bytes, bytes - 100_000]));
    page.wait_for("#c-clip video");

    // Looked at as callers get it: green, and it moves.
    page.run("document.querySelector('#c-clip video').play()");
    page.wait_until("document.querySelector('#c-clip video').currentTime > 0.5");
    let [red, green, blue] = pixel(&mut page, "#c-clip video");
    assert!(green > 110 && red < 100 && blue < 100, "{red} {green} {blue}");
    page.run("document.querySelector('#c-clip video').pause()");
    expect_usable(&mut page, "clips");

    // Chosen, a caller meets it.
    page.click("#c-clip >> text=Show to callers");
    page.wait_for("text=Your callers are held on the clip clip.");
    page.wait_for("#c-clip .badge >> text=Callers see it");
    a.dial(&segue.uri("b"));
    a.expect_sees(Colour::Green, SOON);
    a.hang_up();

    // As long as it is chosen it stays; who deletes it is told why.
    page.click("#c-clip >> text=Delete");
    page.wait_for("text=clip 'clip' is used by b");
}

/// An INVITE as somebody sends it who means ill: markup wherever a caller has a say.
fn ill_meaning_invite(segue: &Segue, from: std::net::SocketAddr) -> String {
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\na=sendrecv\r\n",
        from.port()
    );
    format!(
        "INVITE sip:c@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKill;rport\r\nMax-Forwards: 70\r\n\
         From: \"<img src=x onerror=window.pwned=1>\" <sip:%3Cscript%3Ewindow.pwned=1%3C/script%3E@{from}>;tag=1\r\n\
         To: <sip:c@{to}>\r\nCall-ID: <script>pwned()</script>\r\nCSeq: 1 INVITE\r\n\
         User-Agent: <img src=x onerror=window.pwned=1>\r\nContact: <sip:ill@{from}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
        to = segue.sip_udp(),
    )
}

/// The ACK of a refusal (RFC 3261 §17.1.1.3).
fn ack(refused: &str, to: std::net::SocketAddr) -> String {
    let copied = ["Via", "From", "To", "Call-ID"];
    let headers: Vec<&str> = refused
        .lines()
        .filter(|line| copied.iter().any(|name| line.starts_with(&format!("{name}:"))))
        .collect();
    format!(
        "ACK sip:c@{to} SIP/2.0\r\n{}\r\nMax-Forwards: 70\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        headers.join("\r\n")
    )
}

#[test]
fn an_operator_sees_a_call_while_it_is_held_and_ends_it_and_markup_of_callers_stays_text() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path());
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
        "30s",
    ]);
    segue.cli(&["admin", "create", "root"]);
    let mut page = Page::open(folder.path());
    log_in(&mut page, &segue, &["admin", "link", "root"]);
    page.goto(&at(&segue, "/operator/calls"));
    page.wait_for("text=No calls.");

    let ill = UdpSocket::bind("127.0.0.1:0").unwrap();
    ill.set_read_timeout(Some(SOON)).unwrap();
    let invite = ill_meaning_invite(&segue, ill.local_addr().unwrap());
    ill.send_to(invite.as_bytes(), segue.sip_udp()).unwrap();
    // It appears by itself, with its phase and a hold that grows.
    page.wait_for("#live tbody tr >> text=holding");
    page.wait_until("document.querySelector('#live progress').value > 1000");
    expect_usable(&mut page, "calls");

    page.click("#live tbody a");
    page.wait_for("svg.ladder");
    let ladder = page.texts("svg.ladder .message text");
    assert_eq!(&ladder[..2], ["INVITE (SDP)", "100 Trying"], "{ladder:?}");
    assert!(page.texts("svg.timeline .source text").contains(&"clip".to_owned()));
    assert!(page.text("#one").contains("<script>pwned()</script>"));
    // What the packet path has counted so far is there while the call is up.
    assert_eq!(page.texts("table.streams tbody tr td:first-child")[0], "caller");
    expect_usable(&mut page, "call");

    // Ended: its caller is told, and its page is that of an ended call.
    page.click("#end button");
    let mut bytes = [0; 4096];
    let refused = until("the caller to be refused", SOON, || {
        let (length, _) = ill.recv_from(&mut bytes).ok()?;
        let said = String::from_utf8_lossy(&bytes[..length]).into_owned();
        said.starts_with("SIP/2.0 480").then_some(said)
    });
    assert!(refused.contains("Call-ID: <script>"), "{refused}");
    ill.send_to(ack(&refused, segue.sip_udp()).as_bytes(), segue.sip_udp())
        .unwrap();
    page.wait_for("text=No calls.");
    page.wait_for("#ended >> text=The operator ended the call");
    assert!(page.text("figure.chart").contains("refused or failed"));
    page.click("#ended tbody a");
    page.wait_for("text=The operator ended the call");
    assert_eq!(page.run("window.pwned ?? null"), Value::Null);
    assert_eq!(page.troubles(), Vec::<String>::new());
    let audit = segue.rows(&["audit"]);
    assert!(
        audit
            .iter()
            .any(|deed| deed["what"] == "call.hang_up" && deed["name"] == "root"),
        "{audit:?}"
    );

    page.click("nav >> text=Subscribers");
    page.wait_for("td >> text=sip:c@127.0.0.1:9");
    page.click("text=Add a subscriber");
    page.fill("#subscriber-user", "anna");
    page.fill("#subscriber-password", PASSWORD);
    page.press("Enter");
    page.wait_for("td >> text=anna");
    page.click("[aria-label='Change anna']");
    page.run("document.querySelectorAll('details.part').forEach((part) => { part.open = true; })");
    expect_usable(&mut page, "subscribers");

    // A subscriber has no such pages, and finds no way to them.
    page.forget();
    log_in(&mut page, &segue, &["subscriber", "link", "b"]);
    page.wait_for("h1 >> text=Messages");
    assert_eq!(page.count("nav >> text=Calls"), 0);
    assert_eq!(page.goto(&at(&segue, "/operator/calls")), 403);
}

/// What drives the browser says what is wrong with a page.
#[test]
fn what_no_person_could_use_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let segue = Segue::start(&folder.path().join("segue"));
    let mut page = Page::open(folder.path());
    assert_eq!(page.goto(&at(&segue, "/health")), 200);
    assert!(page.text("body").contains("\"status\":\"ok\""));
    let barriers = page.barriers();
    assert!(barriers.iter().any(|b| b.starts_with("html-has-lang")), "{barriers:?}");
    assert_eq!(page.goto(&at(&segue, "/nothing/at/all")), 404);
    let troubles = page.troubles();
    assert!(troubles.iter().any(|t| t.contains("404")), "{troubles:?}");
}
