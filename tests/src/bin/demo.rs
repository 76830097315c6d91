//! `make demo`: the main call told line by line, with real softphones, a real browser and measured times.

use std::{
    fs,
    io::IsTerminal,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use segue_tests::{
    browser, movie,
    phone::{A, Answers, B, Phone, Registrar},
    picture::Colour,
    segue::{Segue, prompts, repository, sample},
    wait::until,
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(8);
const HOLD_MS: u64 = 6000;
const PASSWORD: &str = "three-four";

/// Tells what happens, with the time since the start.
struct Teller(Instant);

impl Teller {
    fn chapter(&self, title: &str) {
        println!("\n{title}");
    }

    fn tell(&self, text: &str) {
        println!("{:6.1} s  {text}", self.0.elapsed().as_secs_f64());
    }

    fn detail(&self, text: &str) {
        println!("          {text}");
    }
}

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder for the demo");
    let path = folder.path().to_owned();
    // Phones and the server end when the thread that owns them unwinds, before the folder goes.
    match thread::spawn(move || story(&path)).join() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            println!("\nThe demo FAILED at this point. The server's log:\n");
            println!(
                "{}",
                std::fs::read_to_string(folder.path().join("segue/segue-1.log")).unwrap_or_default()
            );
            ExitCode::FAILURE
        }
    }
}

fn story(folder: &Path) {
    let teller = Teller(Instant::now());
    println!("Segue, shown with real peers on 127.0.0.1: two baresip softphones and headless Chromium.");
    println!("A is the caller (red, 440 Hz), B the callee (blue, 1000 Hz), B's clip is green and 880 Hz.");

    teller.chapter("The house is prepared");
    let mut segue = Segue::start_with(
        &folder.join("segue"),
        &format!("profiles_dir = {:?}\n{}", profile(folder), prompts()),
    );
    teller.tell(&format!(
        "segue run: SIP on udp {} and tcp {}",
        segue.sip_udp(),
        segue.sip_tcp()
    ));
    let mut a = Phone::start(folder, A, Answers::OnCommand);
    prepare_clip(&teller, &segue, "welcome", "clip.mp4");
    prepare_clip(&teller, &segue, "sorry", "greeting.mp4");
    let password = folder.join("password");
    fs::write(&password, PASSWORD).expect("a file");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("a private file");
    segue.cli(&[
        "subscriber",
        "add",
        "b",
        "--password-file",
        password.to_str().expect("a path in UTF-8"),
        "--clip",
        "welcome",
        "--hold",
        "6s",
        "--no-answer",
        "3s",
        "--greeting",
        "sorry",
    ]);
    segue.cli(&["retention", "set", "b", "--heard-max", "2"]);
    teller.tell("subscriber b: clip welcome, hold 6 s, no answer after 3 s, greeting sorry; 2 heard messages are kept");
    let registrar = Registrar {
        at: segue.sip_udp(),
        password: PASSWORD.to_owned(),
    };
    let began = Instant::now();
    let mut b = Phone::start_subscribed(folder, B, Answers::OnCommand, &registrar);
    let told = told_of(&b, began, "no");
    let phone = until("the registration", SOON, || {
        segue.rows(&["registration", "list", "b"]).pop()
    });
    let word = |key: &str| phone[key].as_str().expect("a word in the registration");
    teller.tell(&format!(
        "B's phone registers with b's password: {} at {}",
        word("user_agent"),
        word("source")
    ));
    teller.detail(&format!("and is told what waits for it: {told}"));

    held_call(&teller, &segue, &mut a, &mut b);
    let first = message_call(&teller, &segue, (&mut a, &b), folder);
    collected(&teller, &segue, &mut b, &first);
    threshold(&teller, &segue, &mut a, first);
    pages(&teller, &segue);

    teller.chapter("Cleaning up");
    drop((a, b));
    segue.stop();
    teller.tell("phones, server and their files are gone");
    println!("\nThat was Segue. `make run` starts it for your own phone; README.md says how.");
}

fn prepare_clip(teller: &Teller, segue: &Segue, name: &str, file: &str) {
    let began = Instant::now();
    segue.cli(&["clip", "add", name, sample(file).to_str().expect("a path in UTF-8")]);
    teller.tell(&format!(
        "clip {name} prepared from {file} in {} ms",
        began.elapsed().as_millis()
    ));
}

/// The clip for the set time, then B, bridged both ways.
fn held_call(teller: &Teller, segue: &Segue, a: &mut Phone, b: &mut Phone) {
    teller.chapter("A call, held on B's clip");
    let dialled = a.dial(&segue.uri("b"));
    teller.tell("A dials b");
    a.expect_sees(Colour::Green, SOON);
    a.expect_hears(880, SOON);
    teller.tell("A sees green and hears 880 Hz: B's clip, before any answer");
    assert!(!b.was_called(dialled), "B was called while A was held");
    teller.tell("B's phone knows nothing yet");
    b.expect_called(dialled, SOON);
    teller.tell("B's phone rings; the clip goes on for A");
    thread::sleep(Duration::from_millis(800));
    b.answer();
    a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    teller.tell("B answers");
    a.expect_sees(Colour::Blue, SOON);
    a.expect_hears(B.tone_hz, SOON);
    teller.tell("A sees blue and hears 1000 Hz: B");
    b.expect_sees(Colour::Red, SOON);
    b.expect_hears(A.tone_hz, SOON);
    teller.tell("B sees red and hears 440 Hz: A");
    b.hang_up();
    let call = ended_call(segue, a, dialled);
    teller.tell("B hangs up. What the call record says:");
    let kept = call["hold_ms"].as_u64().expect("a hold in the record");
    teller.detail(&format!(
        "hold asked {HOLD_MS} ms, kept {kept} ms ({:+} ms)",
        kept as i64 - HOLD_MS as i64
    ));
    tell_switches(teller, &call);
    teller.detail(&format!("why it ended: {}", call["why"].as_str().unwrap_or("?")));
    tell_ladder(teller, segue, &call);
}

/// Nobody answers: greeting, beep, a message that plays in a browser, and B's phone is told of it. Returns its id.
fn message_call(teller: &Teller, segue: &Segue, (a, b): (&mut Phone, &Phone), folder: &Path) -> String {
    teller.chapter("A call that nobody answers");
    segue.cli(&["subscriber", "set", "b", "--hold", "2s"]);
    let dialled = a.dial(&segue.uri("b"));
    teller.tell("A dials b again (hold now 2 s, set while the server runs)");
    a.expect_sees(Colour::Green, SOON);
    teller.tell("A sees green");
    a.expect_sees(Colour::Yellow, SOON);
    a.expect_hears(660, SOON);
    teller.tell("B did not answer within 3 s: A sees yellow and hears 660 Hz, B's greeting");
    a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    a.expect_sees(Colour::Grey, SOON);
    teller.tell("beep; A's message is being recorded");
    thread::sleep(Duration::from_secs(5));
    let hung_up = Instant::now();
    a.hang_up();
    let id = committed_message(segue, a, dialled);
    teller.tell(&format!(
        "A hangs up; message committed {} ms later: {id}",
        hung_up.elapsed().as_millis()
    ));
    let told = told_of(b, hung_up, "yes");
    teller.tell(&format!(
        "B's phone is told {} ms after A hung up: {told}",
        hung_up.elapsed().as_millis()
    ));
    let call = ended_call(segue, a, dialled);
    tell_switches(teller, &call);
    teller.detail(&format!("why it ended: {}", call["why"].as_str().unwrap_or("?")));

    let (file, _) = segue.export(&id, folder);
    teller.tell(&format!("exported; ffprobe: {}", movie::ffprobe_line(&file)));
    let decoded = movie::Movie::decode(&file);
    assert!(decoded.share_of(Colour::Red) > 0.9, "the message is not red");
    assert!(
        decoded.sound.share_of(A.tone_hz, 0) > 0.9,
        "the message does not sound of 440 Hz"
    );
    teller.tell(&format!(
        "decoded: {} pictures, {:.0} % red; sound {} ms, {:.0} % of it 440 Hz",
        decoded.frames.len(),
        decoded.share_of(Colour::Red) * 100.0,
        decoded.sound.duration_ms(),
        decoded.sound.share_of(A.tone_hz, 0) * 100.0
    ));
    let screenshot = browser::screenshot_path("message.png");
    let played = browser::play(&file, 1.5, &screenshot);
    assert!(
        played.current_time >= 1.5 && played.error.is_empty(),
        "Chromium did not play it: {played:?}"
    );
    teller.tell(&format!(
        "Chromium plays it: currentTime {:.2} s of {:.2} s, {}x{}; screenshot in {}",
        played.current_time,
        played.duration,
        played.size.0,
        played.size.1,
        screenshot.display()
    ));
    id
}

/// B dials its mailbox and watches the message, which is heard by that.
fn collected(teller: &Teller, segue: &Segue, b: &mut Phone, id: &str) {
    teller.chapter("B collects the message by phone");
    if !segue.has_prompts("en") {
        teller.tell("the spoken prompts are being prepared, once for all demos (a minute of one core)");
        segue.expect_prompts();
    }
    let dialled = b.dial(&segue.uri("*97"));
    teller.tell("B dials *97");
    b.expect_event("CALL_ESTABLISHED", dialled, SOON);
    teller.tell(&format!(
        "answered by Segue {} ms later: no PIN, the phone is registered",
        dialled.elapsed().as_millis()
    ));
    thread::sleep(Duration::from_secs(1));
    assert!(b.sees().is_some(), "no picture while it is spoken");
    let menu = kept_picture(b, "mailbox.png");
    b.expect_sees(Colour::Red, Duration::from_secs(20));
    let red = Instant::now();
    // Speech before the tone, silence before speech.
    let (spoken, tone_at) = until("440 Hz", SOON, || {
        let heard = b.heard();
        let (at, _) = heard.tones().into_iter().find(|(_, hz)| *hz == A.tone_hz)?;
        Some((heard, at))
    });
    let loud: Vec<f64> = (0..tone_at.saturating_sub(200))
        .step_by(200)
        .map(|at| spoken.level_at(at, 200))
        .filter(|level| *level > -45.0)
        .collect();
    assert!(loud.len() >= 10, "{} ms of speech before the message", loud.len() * 200);
    teller.tell(&format!(
        "B has been told for {:.1} s how many messages there are, from whom and when: {:.1} s of speech",
        tone_at as f64 / 1000.0,
        loud.len() as f64 * 0.2
    ));
    teller.tell("B sees red and hears 440 Hz: A's message");
    teller.detail(&format!(
        "its pictures of the mailbox and of the message: {} and {}",
        menu.display(),
        kept_picture(b, "collected.png").display()
    ));
    let row = until("the message to be heard", Duration::from_secs(20), || {
        listed(segue)
            .into_iter()
            .find(|row| row["id"] == id && row["state"] == "heard")
    });
    teller.tell(&format!(
        "heard after {:.1} s of {:.1} s",
        red.elapsed().as_secs_f64(),
        row["duration_ms"].as_u64().unwrap_or_default() as f64 / 1000.0
    ));
    let told = told_of(b, dialled, "no");
    teller.detail(&format!("and the phone is told so: {told}"));
    b.expect_hears(A.tone_hz, SOON);
    b.hang_up();
    let call = ended_call(segue, b, dialled);
    teller.tell("B hangs up");
    tell_switches(teller, &call);
}

/// A copy of what a phone saw last, beside the browser's picture.
fn kept_picture(phone: &Phone, name: &str) -> PathBuf {
    let path = browser::screenshot_path(name);
    fs::copy(phone.snapshot(), &path).expect("the phone's picture");
    path
}

/// What a phone shows of waiting messages once it says that some wait, or that none do: the lines with the counts.
fn told_of(phone: &Phone, since: Instant, waiting: &str) -> String {
    let said = format!("Messages-Waiting: {waiting}");
    let shown = until("the phone to be told of its messages", SOON, || {
        phone.waiting(since).filter(|shown| shown.contains(&said))
    });
    let counts = shown
        .lines()
        .map(str::trim)
        .filter(|line| ["Messages-", "Voice-", "Video-"].iter().any(|of| line.starts_with(of)));
    counts.collect::<Vec<_>>().join("  ")
}

/// The office's profile: that of softphones, with a registrar. Of the two ways through a mailbox the one without choices.
fn profile(folder: &Path) -> PathBuf {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).expect("a folder");
    let text = fs::read_to_string(repository().join("sip-profiles/softphone.toml")).expect("the profile of softphones");
    // baresip 1.0 gives up when another algorithm than MD5 is offered first.
    let text = [
        ("registrar = false", "registrar = true"),
        ("menu = true", "menu = false"),
        (
            "digest_algorithms = [\"SHA-256\", \"MD5\"]",
            "digest_algorithms = [\"MD5\"]",
        ),
    ]
    .iter()
    .fold(text, |text, (is, shall)| {
        assert!(text.contains(is), "no {is} in the profile of softphones");
        text.replace(is, shall)
    });
    fs::write(profiles.join("softphone.toml"), text).expect("a profile");
    profiles
}

/// Whoever watches may look around: the server stays until they have seen enough.
fn pages(teller: &Teller, segue: &Segue) {
    if !std::io::stdin().is_terminal() {
        return;
    }
    teller.chapter("The pages");
    let link = |command: &[&str]| segue.cli(command)["link"].as_str().expect("a link").to_owned();
    teller.tell(&format!("B's mailbox: {}", link(&["subscriber", "link", "b"])));
    teller.tell(&format!("the operator's pages: {}", link(&["admin", "create", "root"])));
    teller.detail("each link logs in once; press Enter when you have seen enough");
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Past two heard messages the oldest heard one goes.
fn threshold(teller: &Teller, segue: &Segue, a: &mut Phone, first: String) {
    teller.chapter("The heard threshold");
    segue.cli(&[
        "subscriber",
        "set",
        "b",
        "--hold",
        "0s",
        "--clip",
        "none",
        "--greeting",
        "none",
        "--no-answer",
        "1s",
    ]);
    let mut ids = vec![first];
    for _ in 0..2 {
        let dialled = a.dial(&segue.uri("b"));
        a.expect_event("CALL_ESTABLISHED", dialled, SOON);
        a.expect_sees(Colour::Grey, SOON);
        thread::sleep(Duration::from_secs(2));
        a.hang_up();
        ids.push(committed_message(segue, a, dialled));
    }
    teller.tell("A has left two more messages");
    tell_messages(teller, segue, &ids);
    for (index, id) in ids.iter().enumerate().skip(1) {
        segue.cli(&["message", "heard", id]);
        teller.tell(&format!("message {} is marked heard", index + 1));
        tell_messages(teller, segue, &ids);
    }
    let left: Vec<String> = listed(segue)
        .iter()
        .map(|row| row["id"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(
        !left.contains(&ids[0]) && left.contains(&ids[1]) && left.contains(&ids[2]),
        "kept the wrong ones: {left:?}"
    );
    teller.tell("the third one heard was one too many: the oldest heard is gone, in the same transaction");
}

fn listed(segue: &Segue) -> Vec<Value> {
    segue.rows(&["message", "list", "b"])
}

/// One line: each message by its number, heard, unheard or gone.
fn tell_messages(teller: &Teller, segue: &Segue, ids: &[String]) {
    let rows = listed(segue);
    let states: Vec<String> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| {
            let row = rows.iter().find(|row| row["id"] == id.as_str());
            format!(
                "{}: {}",
                index + 1,
                row.and_then(|row| row["state"].as_str()).unwrap_or("gone")
            )
        })
        .collect();
    teller.detail(&states.join("   "));
}

fn tell_switches(teller: &Teller, call: &Value) {
    for switch in call["switches"].as_array().into_iter().flatten() {
        let (to, kind) = (
            switch["to"].as_str().unwrap_or("?"),
            switch["kind"].as_str().unwrap_or("?"),
        );
        if let Some(gap_ms) = switch["gap_ms"].as_u64() {
            teller.detail(&format!("switch to {to:8} {kind}: gap {gap_ms} ms"));
        }
    }
}

/// What went over the wire on both legs.
fn tell_ladder(teller: &Teller, segue: &Segue, call: &Value) {
    let id = call["id"].as_str().expect("an id in the record");
    let shown = segue.cli(&["call", "show", id]);
    for (leg, name) in shown["legs"].as_array().into_iter().flatten().zip(["A", "B"]) {
        let steps: Vec<String> = leg["ladder"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|step| {
                let arrow = if step["sent"] == "in" { "<" } else { ">" };
                format!("{arrow} {}", step["summary"].as_str().unwrap_or("?"))
            })
            .collect();
        teller.detail(&format!("{name}'s leg: {}", steps.join("  ")));
    }
}

fn ended_call(segue: &Segue, a: &Phone, dialled: Instant) -> Value {
    let call_id = a.call_id(dialled);
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
    calls
        .into_iter()
        .find(|row| row["sip_call_id"] == call_id.as_str())
        .expect("the call in the list")
}

fn committed_message(segue: &Segue, a: &Phone, dialled: Instant) -> String {
    let call_id = a.call_id(dialled);
    segue.cli(&[
        "wait",
        "message",
        "--sip-call-id",
        &call_id,
        "--state",
        "committed",
        "--timeout",
        "20s",
    ]);
    let row = listed(segue)
        .into_iter()
        .find(|row| row["sip_call_id"] == call_id.as_str())
        .expect("the message in the list");
    row["id"].as_str().expect("an id").to_owned()
}
