//! A phone is told that a message waits, calls its mailbox, sees and hears the message, and deletes it; its caller has chosen what to leave.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use segue_tests::{
    handset::{Handset, Make},
    phone::{A, Answers, B, Codecs, Phone, Registrar},
    picture::Colour,
    segue::{Segue, prompts, sample},
    wait::until,
};
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);
const PASSWORD: &str = "three-four";

/// An office whose phones register, and where A wants not to be disturbed.
fn office(folder: &Path) -> Segue {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    // MD5 alone: baresip 1.0 gives up when another algorithm is offered first.
    let profile = "name = \"phones\"\nsources = [\"127.0.0.0/8\"]\nregistrar = true\nauth = \"digest\"\n\
                   auth_realm = \"office\"\ndigest_algorithms = [\"MD5\"]\nmenu = false\nmwi = \"subscribed\"\n\
                   service_codes = [\"*97 -> mailbox\"]\n";
    fs::write(profiles.join("phones.toml"), profile).unwrap();
    let settings = format!("profiles_dir = {profiles:?}\n{}", prompts());
    let segue = Segue::start_with(&folder.join("segue"), &settings);
    segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
    let file = folder.join("password");
    fs::write(&file, PASSWORD).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    segue.cli(&["subscriber", "add", "a", "--password-file", file, "--dnd", "on"]);
    segue.cli(&["subscriber", "add", "b", "--password-file", file]);
    segue
}

fn collects(make: Make) {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path());
    let server = segue.sip_udp();
    let codecs = if make.has_video() {
        Codecs::PCMU_VP8
    } else {
        Codecs::AUDIO_ONLY
    };
    let registrar = Registrar {
        at: server,
        password: PASSWORD.to_owned(),
    };
    let mut caller = Phone::start_at(folder.path(), B, Answers::OnCommand, codecs, Some(&registrar));
    caller.expect_logged("200 OK");
    let began = std::time::Instant::now();
    let mut phone = Handset::start(
        folder.path(),
        (make, A),
        Answers::OnCommand,
        (server, PASSWORD),
        &json!({}),
    );
    // pjsua2 alone tells what it is told of.
    let told = |waiting: &str, since| {
        if make == Make::Pjsua {
            let what = format!("Messages-Waiting: {waiting}");
            phone.expect_that("mwi", since, SOON, |said| {
                said["body"].as_str().is_some_and(|body| body.contains(&what))
            });
        }
    };
    told("no", began);

    let dialled = caller.dial(&segue.uri("a"));
    caller.expect_event("CALL_ESTABLISHED", dialled, SOON);
    std::thread::sleep(Duration::from_millis(3_500));
    caller.hang_up();
    until("the message", Duration::from_secs(30), || {
        segue.rows(&["message", "list", "a"]).pop()
    });
    told("yes", dialled);
    segue.expect_prompts();

    let dialled = phone.dial(&segue.uri("*97"));
    phone.expect("answered", dialled, SOON);
    // After the counts and the envelope, of which a key skips the rest, comes the message.
    phone.expect_spoken_to(SOON);
    if make != Make::Pjsua {
        phone.press('1');
        std::thread::sleep(Duration::from_secs(1));
        phone.press('1');
    }
    phone.expect_hears(B.tone_hz, Duration::from_secs(25));
    if make.has_video() {
        phone.expect_sees(B.colour, SOON);
    }
    phone.press('7');
    // What is deleted can be taken back until the call goes on.
    std::thread::sleep(Duration::from_secs(1));
    phone.hang_up();
    phone.expect("closed", dialled, SOON);
    until("the message to be gone", SOON, || {
        segue.rows(&["message", "list", "a"]).is_empty().then_some(())
    });
    if make == Make::Pjsua {
        phone.expect_that("mwi", dialled, SOON, |said| {
            said["body"]
                .as_str()
                .is_some_and(|body| body.contains("Messages-Waiting: no"))
        });
    }
}

#[test]
fn pjsua_is_told_of_a_message_and_hears_it() {
    collects(Make::Pjsua);
}

#[test]
fn baresip_4_sees_and_hears_its_message() {
    collects(Make::Baresip4);
}

#[test]
fn linphone_sees_and_hears_its_message() {
    collects(Make::Linphone);
}

/// A listener at the message of somebody whose phone is here presses 5, talks to them, and is at the message again.
#[test]
fn baresip_4_calls_the_sender_back_and_is_at_the_message_again() {
    const NOW_HZ: u32 = 2000;
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path());
    let server = segue.sip_udp();
    let registrar = Registrar {
        at: server,
        password: PASSWORD.to_owned(),
    };
    let mut sender = Phone::start_at(folder.path(), B, Answers::OnCommand, Codecs::PCMU_VP8, Some(&registrar));
    sender.expect_logged("200 OK");
    let make = (Make::Baresip4, A);
    let mut listener = Handset::start(folder.path(), make, Answers::OnCommand, (server, PASSWORD), &json!({}));
    let dialled = sender.dial(&segue.uri("a"));
    sender.expect_event("CALL_ESTABLISHED", dialled, SOON);
    std::thread::sleep(Duration::from_secs(3));
    sender.hang_up();
    until("the message", Duration::from_secs(30), || {
        segue.rows(&["message", "list", "a"]).pop()
    });
    segue.expect_prompts();

    let dialled = listener.dial(&segue.uri("*97"));
    listener.expect("answered", dialled, SOON);
    std::thread::sleep(Duration::from_secs(3));
    listener.press('1');
    listener.expect_hears(B.tone_hz, Duration::from_secs(25));
    let pressed = std::time::Instant::now();
    listener.press('5');
    sender.expect_called(pressed, SOON);
    sender.answer();
    sender.expect_event("CALL_ESTABLISHED", pressed, SOON);
    // Not what its message has.
    sender.sound(NOW_HZ);
    listener.expect_hears(NOW_HZ, SOON);
    listener.expect_sees(B.colour, SOON);
    sender.expect_hears(A.tone_hz, SOON);
    sender.expect_sees(A.colour, SOON);
    sender.hang_up();
    // It is at the message again, in the call that it has made.
    std::thread::sleep(Duration::from_secs(1));
    listener.press('1');
    listener.expect_hears(B.tone_hz, SOON);
    assert!(listener.events(dialled).iter().all(|said| said["event"] != "closed"));
    listener.press('7');
    std::thread::sleep(Duration::from_secs(1));
    listener.hang_up();
    listener.expect("closed", dialled, SOON);
    until("the message to be gone", SOON, || {
        segue.rows(&["message", "list", "a"]).is_empty().then_some(())
    });
    let record = until("the record", SOON, || {
        let rows = segue.rows(&["call", "list"]);
        rows.into_iter().find(|row| row["result"] == "mailbox")
    });
    let why = record["why"].as_str().unwrap();
    assert!(why.contains("back (leg 1: the callee answered and hung up)"), "{why}");
    assert_eq!(record["legs"].as_array().unwrap().len(), 2, "{record:#}");
}

#[test]
fn baresip_1_chooses_by_the_picture_is_told_of_a_message_sees_and_hears_it() {
    let folder = tempfile::tempdir().unwrap();
    let segue = office(folder.path());
    segue.cli(&["subscriber", "set", "b", "--dnd", "on", "--menu", "on"]);
    let registrar = Registrar {
        at: segue.sip_udp(),
        password: PASSWORD.to_owned(),
    };
    let mut caller = Phone::start_registered(folder.path(), A, Answers::OnCommand, &registrar);
    let mut phone = Phone::start_subscribed(folder.path(), B, Answers::OnCommand, &registrar);
    segue.expect_prompts();
    let dialled = caller.dial(&segue.uri("b"));
    caller.expect_event("CALL_ESTABLISHED", dialled, SOON);
    // It sees what there is to choose, and hears it; a picture of letters on dark green.
    std::thread::sleep(Duration::from_secs(1));
    caller.expect_sees(Colour::Other, SOON);
    let heard = caller.heard();
    assert!(heard.level_at(300, 500) > -45.0, "{} dB", heard.level_at(300, 500));
    caller.press('1');
    caller.expect_sees(Colour::Grey, SOON);
    std::thread::sleep(Duration::from_secs(4));
    caller.hang_up();
    let shows = |phone: &Phone, count: &str, since| {
        until(&format!("the phone to show {count}"), SOON, || {
            phone.waiting(since).filter(|shown| shown.contains(count))
        })
    };
    shows(&phone, "Video-Message: 1/0", dialled);
    let dialled = phone.dial(&segue.uri("*97"));
    phone.expect_event("CALL_ESTABLISHED", dialled, SOON);
    std::thread::sleep(Duration::from_secs(3));
    phone.press('1');
    phone.expect_hears(A.tone_hz, Duration::from_secs(25));
    phone.expect_sees(A.colour, SOON);
    phone.press('7');
    std::thread::sleep(Duration::from_secs(1));
    phone.hang_up();
    shows(&phone, "Video-Message: 0/0", dialled);
    assert!(segue.rows(&["message", "list", "b"]).is_empty());
}
