//! Phones without a codec in common: the caller is brought to its callee's, or a process makes the one of the other.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use segue_tests::{
    handset::{Handset, Make},
    phone::{A, Answers, B, Codecs, Phone},
    picture::Colour,
    segue::{Segue, sample},
    wait::until,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(6);
/// Tone of the clip (media/README.md).
const CLIP_HZ: u32 = 880;

/// A caller with these codecs, and a callee with PCMU alone that answers at once.
struct House {
    a: Phone,
    b: Phone,
    segue: Segue,
}

impl House {
    fn new(folder: &Path, settings: &str, of_a: Codecs, options: &[&str]) -> House {
        House::of(folder, settings, (of_a, Codecs::AUDIO_ONLY), options)
    }

    fn of(folder: &Path, settings: &str, (of_a, of_b): (Codecs, Codecs), options: &[&str]) -> House {
        let segue = Segue::start_with(&folder.join("segue"), settings);
        let a = Phone::start_with(folder, A, Answers::OnCommand, of_a);
        let b = Phone::start_with(folder, B, Answers::AtOnce, of_b);
        if options.contains(&"green") {
            segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
        }
        let target = b.uri();
        segue.cli(&[&["subscriber", "add", "b", "--target", target.as_str()], options].concat());
        House { a, b, segue }
    }

    fn dial(&mut self) -> Instant {
        self.a.dial(&self.segue.uri("b"))
    }

    /// The record of the call, once it has ended.
    fn record(&self, dialled: Instant) -> Value {
        let call_id = self.a.call_id(dialled);
        let ended = ["--state", "ended", "--timeout", "15s"];
        self.segue
            .cli(&[&["wait", "call", "--sip-call-id", &call_id][..], &ended].concat());
        let calls = self.segue.rows(&["call", "list"]);
        calls
            .into_iter()
            .find(|row| row["sip_call_id"] == call_id.as_str())
            .unwrap()
    }

    /// A metric without labels.
    fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.segue.get("/metrics");
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

fn statuses(record: &Value) -> Vec<u64> {
    let legs = record["legs"].as_array().unwrap().iter();
    legs.filter_map(|leg| leg["status"].as_u64()).collect()
}

#[test]
fn a_process_makes_the_sound_of_a_caller_with_opus_alone_for_a_callee_with_pcmu() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::new(folder.path(), "", Codecs::OPUS_ONLY, &[]);
    let dialled = house.dial();
    house.a.expect_hears(B.tone_hz, SOON);
    house.b.expect_hears(A.tone_hz, SOON);
    assert_eq!(house.metric("segue_transcoders_running"), 1);
    // How long it takes: what A says from now on reaches B.
    let said = Instant::now();
    house.a.sound(2000);
    house.b.expect_hears(2000, SOON);
    println!(
        "another tone was heard {} ms after it was asked for",
        said.elapsed().as_millis()
    );
    let pressed = Instant::now();
    house.a.press('5');
    house.b.expect_event("CALL_DTMF_START", pressed, SOON);
    house.a.hang_up();
    let record = house.record(dialled);
    assert_eq!(
        (record["result"].as_str(), statuses(&record)),
        (Some("answered"), vec![200, 488, 200]),
        "{record}"
    );
    assert_eq!(house.metric("segue_transcoders_running"), 0);
    assert!(house.metric("segue_rtp_transcoded_packets_total") > 100);
}

#[test]
fn a_caller_held_on_a_clip_in_opus_is_brought_to_its_callees_pcmu() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--clip", "green", "--hold", "2s"];
    let mut house = House::new(folder.path(), "", Codecs::OPUS_PCMU, &options);
    let dialled = house.dial();
    house.a.expect_hears(CLIP_HZ, SOON);
    // The phone's recorder and its file of tone end where its codec changes: what it says of itself counts.
    house.a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    house.a.expect_logged("call: got re-INVITE");
    house.a.expect_logged("audio: Set audio decoder: PCMU 8000Hz");
    assert_eq!(house.metric("segue_transcoders_started_total"), 1, "one stood by");
    until("it is given back: it was not needed", SOON, || {
        (house.metric("segue_transcoders_running") == 0).then_some(())
    });
    house.b.hang_up();
    let record = house.record(dialled);
    assert_eq!(statuses(&record), [200, 488, 200], "{record}");
    let why = record["why"].as_str().unwrap();
    assert_eq!(why, "The callee answered and hung up.");
}

#[test]
fn without_capacity_the_callee_is_not_called_again_and_the_record_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "media.transcode_max = 0\n";
    let mut house = House::new(folder.path(), settings, Codecs::OPUS_ONLY, &[]);
    let dialled = house.dial();
    // The mailbox answers.
    house.a.expect_event("CALL_ESTABLISHED", dialled, SOON);
    house.a.hang_up();
    let record = house.record(dialled);
    assert_eq!(record["cause"], 488, "{record}");
    let why = record["why"].as_str().unwrap();
    assert!(
        why.contains("no transcoding capacity: 0 calls are transcoded, as many as may be"),
        "{why}"
    );
    assert_eq!(house.metric("segue_transcoders_refused_total"), 1);
    assert_eq!(house.metric("segue_transcoders_started_total"), 0);
}

/// Settings with one profile, which has these keys.
fn profile(folder: &Path, keys: &str) -> String {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    let profile = format!("name = \"phones\"\nsources = [\"127.0.0.0/8\"]\n{keys}");
    fs::write(profiles.join("phones.toml"), profile).unwrap();
    format!("profiles_dir = {profiles:?}\n")
}

/// Processes of this server that transcode.
fn transcoding(segue: &Segue) -> Vec<u32> {
    let of_segue = |pid: &u32| {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1));
        let command = fs::read(folder.join("cmdline")).unwrap_or_default();
        parent.is_some_and(|parent| parent.parse() == Ok(segue.pid().unwrap())) && command.ends_with(b"--live\0")
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(of_segue).collect()
}

#[test]
fn pictures_in_h264_and_vp8_are_made_of_each_other_and_outlive_a_process_that_dies() {
    let folder = tempfile::tempdir().unwrap();
    let settings = profile(folder.path(), "transcode_video = true\n");
    let options = ["--clip", "green", "--hold", "2s"];
    let codecs = (Codecs::USUAL, Codecs::PCMU_VP8);
    let mut house = House::of(folder.path(), &settings, codecs, &options);
    let dialled = house.dial();
    house.a.expect_sees(Colour::Green, SOON);
    house.a.expect_sees(B.colour, SOON);
    house.b.expect_sees(A.colour, SOON);
    house.a.expect_hears(B.tone_hz, SOON);
    house.b.expect_hears(A.tone_hz, SOON);
    // What it shows from now on is seen, too.
    house.a.show(Colour::Yellow);
    house.b.expect_sees(Colour::Yellow, SOON);
    assert_eq!(house.metric("segue_transcoders_running"), 1, "sound passes as it is");
    // The process dies: A sees what it saw of the clip, until there is another.
    let pids = transcoding(&house.segue);
    let [pid] = pids[..] else { panic!("{pids:?}") };
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.unwrap().success());
    until("another process", SOON, || {
        (house.metric("segue_transcoders_started_total") == 2).then_some(())
    });
    house.b.show(Colour::White);
    house.a.expect_sees(Colour::White, SOON);
    house.b.expect_sees(Colour::Yellow, SOON);
    house.a.hang_up();
    let record = house.record(dialled);
    let why = record["why"].as_str().unwrap();
    assert_eq!(why, "The callee answered; the caller hung up.", "{record}");
    assert_eq!(house.metric("segue_transcoders_running"), 0);
}

#[test]
fn without_room_for_pictures_the_call_goes_on_with_sound_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = profile(folder.path(), "transcode_video = true\n");
    let settings = format!("{settings}media.transcode_max = 4\n");
    let options = ["--clip", "green", "--hold", "2s"];
    let codecs = (Codecs::USUAL, Codecs::PCMU_VP8);
    let mut house = House::of(folder.path(), &settings, codecs, &options);
    let dialled = house.dial();
    house.a.expect_hears(B.tone_hz, SOON);
    house.b.expect_hears(A.tone_hz, SOON);
    house.a.expect_sees(Colour::Green, SOON);
    house.a.hang_up();
    let record = house.record(dialled);
    let why = record["why"].as_str().unwrap();
    let expected = "no pictures crossed: no transcoding capacity: of 4 places 0 are taken, and pictures take 8";
    assert!(why.contains(expected), "{why}");
    assert_eq!(house.metric("segue_transcoders_refused_total"), 1);
}

#[test]
fn a_caller_brought_to_its_callees_codec_is_heard_and_hears() {
    let folder = tempfile::tempdir().unwrap();
    let keys = "registrar = true\nauth = \"digest\"\nauth_realm = \"office\"\ndigest_algorithms = [\"MD5\"]\n";
    let segue = Segue::start_with(&folder.path().join("segue"), &profile(folder.path(), keys));
    segue.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
    let file = folder.path().join("password");
    fs::write(&file, "three-four\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    segue.cli(&["subscriber", "add", "a", "--password-file", file.to_str().unwrap()]);
    let b = Phone::start_with(folder.path(), B, Answers::AtOnce, Codecs::AUDIO_ONLY);
    let options = ["--clip", "green", "--hold", "2s", "--target", &b.uri()];
    segue.cli(&[&["subscriber", "add", "b"], &options[..]].concat());
    // This phone plays and records on when its codec changes.
    let (more, server) = (json!({"audio": "G722,PCMU"}), (segue.sip_udp(), "three-four"));
    let mut a = Handset::start(folder.path(), (Make::Pjsua, A), Answers::OnCommand, server, &more);
    let dialled = a.dial(&segue.uri("b"));
    a.expect_hears(CLIP_HZ, SOON);
    let call_id = a.expect("answered", dialled, SOON)["call_id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.expect_hears(B.tone_hz, SOON);
    b.expect_hears(A.tone_hz, SOON);
    a.hang_up();
    a.expect("closed", dialled, SOON);
    let ended = ["--state", "ended", "--timeout", "15s"];
    segue.cli(&[&["wait", "call", "--sip-call-id", &call_id][..], &ended].concat());
    let record = segue.rows(&["call", "list"]).pop().unwrap();
    assert_eq!(statuses(&record), [200, 488, 200], "{record}");
    // Not by a process: it was brought to PCMU.
    let (_, metrics) = segue.get("/metrics");
    assert!(metrics.contains("segue_rtp_transcoded_packets_total 0"), "{metrics}");
}
