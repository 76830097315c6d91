//! What an operator sets of a subscriber by API and page is what their phones meet: passwords, a PIN, a clip.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

use segue_tests::{
    desk::{self, at, expect_usable, log_in},
    page::Page,
    phone::{A, Answers, Phone},
    picture::Colour,
    segue::{Segue, sample},
    sipp::{Over, Seat, Sipp},
    wait::until,
};
use serde_json::{Value, json};

use super::SOON;

/// Who is called, as a telephone dials it.
const USER: &str = "200";

/// A change by a program of the operator's.
fn put(segue: &Segue, token: &str, path: &str, body: &Value) -> u16 {
    let body = body.to_string();
    let request = format!(
        "PUT {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(segue.http()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said.get(9..12).unwrap().parse().unwrap()
}

/// Whether a phone registers with this password; else it is refused.
fn registers(folder: &Path, segue: &Segue, password: &str) -> bool {
    let table = folder.join("phone.csv");
    let line = format!("SEQUENTIAL\n{USER};[authentication username={USER} password={password}]\n");
    fs::write(&table, line).unwrap();
    let server = segue.sip_udp().to_string();
    let args = ["-m", "1", "-inf", table.to_str().unwrap(), &server];
    let phone = Sipp::seated(folder, "office", "register_from_table", Seat::here(Over::Udp, 0), &args);
    match phone.finish() {
        Ok(()) => true,
        Err(why) => {
            let is_refused = why.contains("SIP/2.0 403") || why.matches("SIP/2.0 401").count() > 1;
            assert!(is_refused, "{why}");
            false
        }
    }
}

/// Calls the mailbox, says who it is by number and this PIN, and hangs up; what the call was.
fn collects(segue: &Segue, phone: &mut Phone, pin: &str) -> String {
    let dialled = phone.dial(&segue.uri("*97"));
    phone.expect_event("CALL_ESTABLISHED", dialled, SOON);
    for key in format!("{USER}#{pin}#").chars() {
        phone.press(key);
        std::thread::sleep(std::time::Duration::from_millis(150));
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    phone.hang_up();
    let call_id = phone.call_id(dialled);
    segue.cli(&[
        "wait",
        "call",
        "--sip-call-id",
        &call_id,
        "--state",
        "ended",
        "--timeout",
        "10s",
    ]);
    let calls = segue.rows(&["call", "list"]);
    let row = calls.iter().find(|row| row["sip_call_id"] == call_id.as_str());
    let shown = segue.cli(&["call", "show", row.unwrap()["id"].as_str().unwrap()]);
    shown["why"].as_str().unwrap().to_owned()
}

#[test]
fn what_an_operator_sets_by_api_and_page_is_what_phones_meet() {
    let folder = tempfile::tempdir().unwrap();
    let segue = desk::office(folder.path(), "");
    let password = desk::password_file(folder.path());
    for (name, file) in [("welcome", "clip.mp4"), ("other", "greeting.mp4")] {
        segue.cli(&["clip", "add", name, sample(file).to_str().unwrap()]);
    }
    segue.cli(&[
        "subscriber",
        "add",
        USER,
        "--target",
        "sip:200@127.0.0.1:9",
        "--password-file",
        &password,
    ]);
    segue.cli(&["admin", "create", "root"]);
    let made = segue.cli(&[
        "token",
        "create",
        "root",
        "--operator",
        "--scope",
        "settings:write",
        "--scope",
        "system:write",
    ]);
    let token = made["token"].as_str().unwrap();
    assert!(registers(folder.path(), &segue, desk::PASSWORD));

    // By the API: the new one is right as soon as it is set, the old one is not.
    let of = |what: &str| format!("/api/v1/subscribers/{USER}/{what}");
    let second = json!({ "password": "quiet-river-2" });
    assert_eq!(put(&segue, token, &of("phone-password"), &second), 204);
    until("the new password", SOON, || {
        registers(folder.path(), &segue, "quiet-river-2").then_some(())
    });
    assert!(!registers(folder.path(), &segue, desk::PASSWORD));

    // By the form, with clip and hold.
    let mut page = Page::open(folder.path());
    log_in(&mut page, &segue, &["admin", "link", "root"]);
    page.goto(&at(&segue, &format!("/operator/subscribers?edit={USER}")));
    page.run("document.querySelectorAll('details.part').forEach((part) => { part.open = true; })");
    expect_usable(&mut page, "subscriber");
    page.fill("#subscriber-password", "third-time");
    page.choose("#subscriber-clip", "welcome");
    page.fill("#subscriber-hold", "thirty");
    page.press("Enter");
    page.wait_for("#subscriber-hold-wrong >> text=a number and s is needed");
    assert_eq!(page.run("document.activeElement.id"), "subscriber-hold");
    page.fill("#subscriber-password", "third-time");
    page.fill("#subscriber-hold", "30s");
    page.press("Enter");
    page.wait_for("text=Add a subscriber");
    until("the third password", SOON, || {
        registers(folder.path(), &segue, "third-time").then_some(())
    });
    assert!(!registers(folder.path(), &segue, "quiet-river-2"));

    // A caller is held on the clip; another takes its name meanwhile, and this call goes on with its own.
    let mut a = Phone::start(folder.path(), A, Answers::OnCommand);
    a.dial(&segue.uri(USER));
    a.expect_sees(Colour::Green, SOON);
    segue.cli(&["clip", "add", "welcome", sample("greeting.mp4").to_str().unwrap()]);
    std::thread::sleep(std::time::Duration::from_secs(1));
    a.expect_sees(Colour::Green, SOON);
    a.hang_up();
    a.dial(&segue.uri(USER));
    a.expect_sees(Colour::Yellow, SOON);
    a.hang_up();

    // A PIN that is set by the API lets them into their mailbox from any phone, another one does not.
    assert_eq!(put(&segue, token, &of("pin"), &json!({ "pin": "471100" })), 204);
    let why = collects(&segue, &mut a, "081512");
    assert!(!why.starts_with("200 called"), "{why}");
    let why = collects(&segue, &mut a, "471100");
    assert!(why.starts_with("200 called"), "{why}");
}
