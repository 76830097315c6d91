//! A phone is told that a message waits, calls its mailbox, sees and hears the message, and deletes it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use segue_tests::{
    handset::{Handset, Make},
    phone::{A, Answers, B, Codecs, Phone, Registrar},
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
    std::thread::sleep(Duration::from_secs(6));
    caller.hang_up();
    until("the message", Duration::from_secs(30), || {
        segue.rows(&["message", "list", "a"]).pop()
    });
    told("yes", dialled);
    until("the prompts", Duration::from_secs(90), || {
        segue.log_text().contains("prompts are ready").then_some(())
    });

    let dialled = phone.dial(&segue.uri("*97"));
    phone.expect("answered", dialled, SOON);
    // After the counts and the envelope comes the message.
    phone.expect_hears(B.tone_hz, Duration::from_secs(25));
    if make.has_video() {
        phone.expect_sees(B.colour, SOON);
    }
    phone.press('7');
    // What is deleted can be taken back until the call goes on.
    std::thread::sleep(Duration::from_secs(4));
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
