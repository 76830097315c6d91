//! Softphones without a codec in common: the caller is brought to its callee's, or a process makes the one of the other.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use segue_tests::{
    phone::{A, Answers, B, Codecs, Phone},
    segue::{Segue, sample},
};
use serde_json::Value;

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
        let segue = Segue::start_with(&folder.join("segue"), settings);
        let a = Phone::start_with(folder, A, Answers::OnCommand, of_a);
        let b = Phone::start_with(folder, B, Answers::AtOnce, Codecs::AUDIO_ONLY);
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
    std::thread::sleep(Duration::from_secs(3));
    println!(
        "DBG {:?} {}",
        house.b.heard().tones(),
        house.metric("segue_rtp_rejected_packets_total")
    );
    assert_eq!(house.metric("segue_transcoders_started_total"), 1, "one stood by");
    assert_eq!(house.metric("segue_transcoders_running"), 0, "and was not needed");
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
