//! Calls of SIPp whose parties speak and listen: what the caller hears, the keys that are pressed, and each way a recording
//! ends, over UDP and over TCP.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use segue_tests::{
    movie::Movie,
    segue::{Segue, sample},
    sipp::{Over, Sipp},
    voice::{Do, Heard, Voice},
};
use serde_json::Value;

/// Stories that run at the same time.
const AT_ONCE: usize = 6;

/// Both short enough for a test; the longest is longer than it takes to see that a caller is gone (10 s).
const LONGEST_MS: u64 = 12_500;
const SILENCE_MS: u64 = 1_500;

/// Tones (media/README.md), Hz.
const CALLER: u32 = 440;
const GREETING: u32 = 660;
const CLIP: u32 = 880;
const CALLEE: u32 = 1000;
const BEEP: u32 = 1400;

/// The fields of a row of `message list`, sorted.
const MESSAGE_FIELDS: [&str; 22] = [
    "bytes",
    "call_id",
    "deleted_at",
    "deleted_by",
    "duration_ms",
    "from",
    "from_name",
    "has_poster",
    "heard_at",
    "id",
    "interrupted",
    "kind",
    "mailbox",
    "media_state",
    "media_type",
    "pinned",
    "played_ms",
    "received_at",
    "sip_call_id",
    "state",
    "urgent",
    "warned_at",
];

/// The fields of a row of `call list`, sorted; of its legs; of its switches.
const CALL_FIELDS: [&str; 25] = [
    "admit",
    "answered_at",
    "cause",
    "ended_at",
    "first_media_at",
    "from",
    "from_said",
    "hold_asked_ms",
    "hold_ms",
    "icid",
    "id",
    "invited_at",
    "legs",
    "message_id",
    "phase_reached",
    "prolonged_at",
    "relayed_untouched",
    "result",
    "rules",
    "sip_call_id",
    "source",
    "started_at",
    "switches",
    "to",
    "why",
];
const LEG_FIELDS: [&str; 4] = ["reason", "sip_call_id", "status", "target"];
const SWITCH_FIELDS: [&str; 3] = ["gap_ms", "kind", "to"];

fn fields(row: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

/// One server for all stories.
struct House {
    folder: PathBuf,
    segue: Segue,
}

/// One call: A by a SIPp scenario and a voice, B by a scenario and perhaps a voice.
struct Call<'a> {
    name: &'a str,
    over: Over,
    flags: &'a [&'a str],
    caller: (&'a str, u64),
    says: &'a [Do],
    callee: (&'a str, u64),
    callee_says: &'a [Do],
}

/// What remains of it.
struct Ended {
    name: String,
    a: Heard,
    b: Heard,
    /// `call show`.
    record: Value,
}

impl House {
    fn play(&self, call: &Call<'_>) -> Ended {
        let name = format!("{}_{}", call.name, call.over.word());
        let folder = self.folder.join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let (a, b) = (Voice::start(CALLER, call.says), Voice::start(CALLEE, call.callee_says));
        let (a_port, b_port) = (a.port().to_string(), b.port().to_string());
        let (scenario, pause_ms) = call.callee;
        let callee = Sipp::callee_with(&folder, scenario, call.over, pause_ms, &[("audio_port", &b_port)]);
        let target = format!("sip:bob@127.0.0.1:{};transport={}", callee.port(), call.over.word());
        self.segue
            .cli(&[&["subscriber", "add", &name, "--target", &target], call.flags].concat());
        let server = match call.over {
            Over::Udp => self.segue.sip_udp(),
            Over::Tcp => self.segue.sip_tcp(),
        };
        let call_id = format!("{name}@voices");
        let (scenario, pause_ms) = call.caller;
        let keys = [("audio_port", a_port.as_str())];
        let caller = Sipp::caller_with(
            &folder,
            scenario,
            (call.over, pause_ms),
            (&name, server),
            &call_id,
            &keys,
        );
        caller.finish().unwrap_or_else(|why| panic!("{why}"));
        callee.finish().unwrap_or_else(|why| panic!("{why}"));
        let row = self.segue.cli(&[
            "wait",
            "call",
            "--sip-call-id",
            &call_id,
            "--state",
            "ended",
            "--timeout",
            "20s",
        ]);
        let record = self.segue.cli(&["call", "show", row["id"].as_str().unwrap()]);
        let (a, b) = (a.finish(), b.finish());
        a.is_one_stream().unwrap_or_else(|why| panic!("{name}: {why}"));
        b.is_one_stream().unwrap_or_else(|why| panic!("{name}: {why}"));
        Ended { name, a, b, record }
    }

    /// A call that nobody takes, with the caller's words.
    fn message(&self, name: &str, over: Over, caller: (&str, u64), says: &[Do]) -> Ended {
        self.play(&Call {
            name,
            over,
            flags: &[],
            caller,
            says,
            callee: ("busy", 0),
            callee_says: &[],
        })
    }

    /// The only message of this call, after its row and its sound have been judged: `duration_ms` of A.
    fn judge_message(&self, ended: &Ended, duration_ms: std::ops::RangeInclusive<u64>) {
        let record = &ended.record;
        assert_eq!(record["result"], "message", "{record:#}");
        let rows = self.segue.rows(&["message", "list", &ended.name]);
        assert_eq!(rows.len(), 1, "{rows:?}");
        let row = &rows[0];
        assert_eq!(fields(row), MESSAGE_FIELDS);
        for (field, value) in [
            ("id", &record["message_id"]),
            ("mailbox", &ended.name.as_str().into()),
            ("call_id", &record["id"]),
            ("sip_call_id", &record["sip_call_id"]),
            ("from", &record["from"]),
            ("from_name", &"Alice".into()),
            ("heard_at", &Value::Null),
            ("kind", &"audio".into()),
            ("state", &"unheard".into()),
            ("media_state", &"ready".into()),
            ("interrupted", &false.into()),
        ] {
            assert_eq!(&row[field], value, "{field} of {row:#}");
        }
        let received_at = row["received_at"].as_str().unwrap();
        assert!(received_at.ends_with('Z') && received_at.len() == 24, "{row:#}");
        let lasts = row["duration_ms"].as_u64().unwrap();
        assert!(duration_ms.contains(&lasts), "{row:#}");
        let (file, _) = self.segue.export(row["id"].as_str().unwrap(), &self.folder);
        assert_eq!(
            row["bytes"].as_u64().unwrap(),
            file.metadata().unwrap().len(),
            "{row:#}"
        );
        let sound = Movie::decode(&file).sound;
        assert!(
            sound.duration_ms().abs_diff(lasts) < 250,
            "{} ms decoded, {row:#}",
            sound.duration_ms()
        );
        let tones: Vec<u32> = sound.tones().into_iter().map(|(_, hz)| hz).collect();
        assert_eq!(tones, [CALLER], "the message is what A said and nothing else: {row:#}");
    }
}

impl Ended {
    /// What A heard, in order.
    fn tones(&self) -> Vec<u32> {
        self.a.sound.tones().into_iter().map(|(_, hz)| hz).collect()
    }

    fn hold_ms(&self) -> u64 {
        self.record["hold_ms"]
            .as_u64()
            .unwrap_or_else(|| panic!("no hold: {:#}", self.record))
    }

    fn why_has(&self, words: &str) {
        let why = self.record["why"].as_str().unwrap();
        assert!(why.contains(words), "{why:?} does not say {words:?}");
    }
}

fn held_then_both_hear_each_other(house: &House, over: Over) {
    let ended = house.play(&Call {
        name: "bridged",
        over,
        flags: &["--clip", "clip", "--hold", "1500ms"],
        caller: ("speak_and_hang_up", 2_000),
        // What it says while it is held is for nobody.
        says: &[Do::Speak(2_500), Do::Press('5'), Do::Speak(5_000)],
        callee: ("answer_by_voice", 300),
        callee_says: &[Do::Speak(5_000)],
    });
    assert_eq!(ended.tones(), [CLIP, CALLEE]);
    let b: Vec<u32> = ended.b.sound.tones().into_iter().map(|(_, hz)| hz).collect();
    assert_eq!(b, [CALLER], "B heard A and nothing of the clip");
    assert_eq!(ended.b.keys, "5", "keys pass through");
    let record = &ended.record;
    assert_eq!(
        (&record["result"], &record["hold_asked_ms"]),
        (&"answered".into(), &1_500.into()),
        "{record:#}"
    );
    assert!((1_500..1_600).contains(&ended.hold_ms()), "{record:#}");
    let rows = house.segue.rows(&["call", "list", "--since", "1h"]);
    let row = rows.iter().find(|row| row["id"] == record["id"]).unwrap();
    assert_eq!(fields(row), CALL_FIELDS);
    assert_eq!(fields(&row["legs"][1]), LEG_FIELDS);
    assert_eq!(fields(&row["switches"][1]), SWITCH_FIELDS);
    let switches: Vec<&str> = record["switches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|switch| switch["to"].as_str().unwrap())
        .collect();
    assert_eq!(switches, ["clip", "callee"], "{record:#}");
    assert_eq!(record["switches"][0]["gap_ms"], Value::Null, "{record:#}");
    assert!(record["switches"][1]["gap_ms"].as_u64() < Some(1_000), "{record:#}");
    for field in ["started_at", "first_media_at", "invited_at", "answered_at", "ended_at"] {
        assert_eq!(record[field].as_str().map(str::len), Some(24), "{field} of {record:#}");
    }
    assert_eq!(record["phase_reached"], "bridged", "{record:#}");
}

fn a_party_on_hold_hears_nothing_until_it_resumes(house: &House, over: Over) {
    let ended = house.play(&Call {
        name: "on_hold",
        over,
        flags: &["--clip", "clip", "--hold", "500ms"],
        // Five pauses: before, three ways to hold, after.
        caller: ("hold_each_way", 700),
        says: &[Do::Speak(1_000)],
        callee: ("answer_by_voice_held", 100),
        callee_says: &[Do::Speak(30_000)],
    });
    assert_eq!(ended.record["result"], "answered", "{:#}", ended.record);
    let gaps = |heard: &Heard| -> Vec<u128> {
        let between = heard.packets.windows(2).map(|two| (two[1].at - two[0].at).as_millis());
        between.filter(|gap| *gap > 1_000).collect()
    };
    let held = gaps(&ended.a);
    assert!(
        matches!(held[..], [gap] if (1_800..3_500).contains(&gap)),
        "A's only long gap is its hold of 2.1 s: {held:?}"
    );
    let last = ended.a.sound.duration_ms().saturating_sub(300);
    assert_eq!(ended.a.sound.tone_at(last, 100), Some(CALLEE), "A hears B again");
}

fn hash_skips_the_rest_of_the_hold(house: &House, over: Over) {
    let ended = house.play(&Call {
        name: "skipped",
        over,
        flags: &["--clip", "clip", "--hold", "20s"],
        caller: ("speak_and_hang_up", 500),
        says: &[Do::Pause(700), Do::Press('#'), Do::Speak(5_000)],
        // Longer than the press.
        callee: ("answer_by_voice", 500),
        callee_says: &[Do::Speak(5_000)],
    });
    assert_eq!(ended.record["result"], "answered", "{:#}", ended.record);
    assert!((600..2_000).contains(&ended.hold_ms()), "{:#}", ended.record);
    assert_eq!(ended.record["hold_asked_ms"], 20_000, "{:#}", ended.record);
    assert_eq!(ended.b.keys, "", "B knows nothing of the key");
}

fn clip_greeting_and_beep_are_one_stream(house: &House, over: Over) {
    let ended = house.play(&Call {
        name: "greeted",
        over,
        flags: &[
            "--clip",
            "clip",
            "--hold",
            "500ms",
            "--no-answer",
            "1s",
            "--greeting",
            "greeting",
        ],
        caller: ("speak_until_hung_up_on", 0),
        says: &[Do::WaitForEndOf(BEEP), Do::Speak(1_500), Do::Press('#')],
        callee: ("ring_until_cancelled", 0),
        callee_says: &[],
    });
    assert_eq!(ended.tones(), [CLIP, GREETING, BEEP]);
    house.judge_message(&ended, 1_400..=2_200);
    ended.why_has("did not answer within 1 s");
    assert_eq!(ended.record["cause"], 408, "{:#}", ended.record);
}

fn hash_skips_the_greeting(house: &House, over: Over) {
    let ended = house.play(&Call {
        name: "greeting_skipped",
        over,
        flags: &["--greeting", "greeting"],
        caller: ("speak_until_hung_up_on", 0),
        says: &[
            Do::Pause(500),
            Do::Press('#'),
            Do::WaitForEndOf(BEEP),
            Do::Speak(1_500),
            Do::Press('#'),
        ],
        callee: ("busy", 0),
        callee_says: &[],
    });
    assert_eq!(ended.tones(), [GREETING, BEEP]);
    let heard = ended.a.sound.tones();
    assert!(heard[1].0 - heard[0].0 < 1_500, "the greeting was cut short: {heard:?}");
    house.judge_message(&ended, 1_400..=2_200);
}

fn hanging_up_ends_it(house: &House, over: Over) {
    let says = [Do::WaitForEndOf(BEEP), Do::Speak(30_000)];
    let ended = house.message("ended_by_bye", over, ("speak_and_hang_up", 3_500), &says);
    ended.why_has("ended by hanging up");
    house.judge_message(&ended, 1_500..=3_500);
}

fn hash_ends_it(house: &House, over: Over) {
    let says = [
        Do::WaitForEndOf(BEEP),
        Do::Speak(2_000),
        Do::Press('#'),
        Do::Speak(5_000),
    ];
    let ended = house.message("ended_by_key", over, ("speak_until_hung_up_on", 0), &says);
    ended.why_has("ended by #");
    house.judge_message(&ended, 1_900..=2_700);
}

fn the_longest_length_ends_it(house: &House, over: Over) {
    let says = [Do::WaitForEndOf(BEEP), Do::Speak(30_000)];
    let ended = house.message("ended_by_length", over, ("speak_until_hung_up_on", 0), &says);
    ended.why_has("ended at the longest allowed");
    house.judge_message(&ended, LONGEST_MS - 500..=LONGEST_MS + 100);
}

fn silence_ends_it(house: &House, over: Over) {
    let says = [Do::WaitForEndOf(BEEP), Do::Speak(1_500), Do::BeSilent(30_000)];
    let ended = house.message("ended_by_silence", over, ("speak_until_hung_up_on", 0), &says);
    ended.why_has("ended by silence");
    house.judge_message(&ended, 1_500..=1_500 + SILENCE_MS + 500);
}

fn a_caller_who_is_gone_ends_it(house: &House, over: Over) {
    // It has offered video, so that silence does not count; none came.
    let says = [Do::WaitForEndOf(BEEP), Do::Speak(1_500)];
    let ended = house.message("ended_by_rtp", over, ("speak_without_picture", 0), &says);
    ended.why_has("ended when no more RTP came");
    house.judge_message(&ended, 1_400..=1_700);
}

fn too_short_is_not_kept(house: &House, over: Over) {
    let says = [Do::WaitForEndOf(BEEP), Do::Speak(600)];
    let ended = house.message("too_short", over, ("speak_and_hang_up", 2_500), &says);
    assert_eq!(ended.record["result"], "too_short", "{:#}", ended.record);
    assert_eq!(ended.record["message_id"], Value::Null, "{:#}", ended.record);
    let rows = house.segue.rows(&["message", "list", &ended.name]);
    assert!(rows.is_empty(), "{rows:?}");
    let missing = house.segue.try_cli(&[
        "wait",
        "message",
        "--sip-call-id",
        ended.record["sip_call_id"].as_str().unwrap(),
        "--timeout",
        "100ms",
    ]);
    assert_eq!(missing.status.code(), Some(4), "{missing:?}");
}

type Story = fn(&House, Over);

/// The long ones first.
const STORIES: &[(&str, Story)] = &[
    ("a_caller_who_is_gone_ends_it", a_caller_who_is_gone_ends_it),
    ("held_then_both_hear_each_other", held_then_both_hear_each_other),
    (
        "a_party_on_hold_hears_nothing_until_it_resumes",
        a_party_on_hold_hears_nothing_until_it_resumes,
    ),
    ("hash_skips_the_rest_of_the_hold", hash_skips_the_rest_of_the_hold),
    (
        "clip_greeting_and_beep_are_one_stream",
        clip_greeting_and_beep_are_one_stream,
    ),
    ("hash_skips_the_greeting", hash_skips_the_greeting),
    ("hanging_up_ends_it", hanging_up_ends_it),
    ("hash_ends_it", hash_ends_it),
    ("the_longest_length_ends_it", the_longest_length_ends_it),
    ("silence_ends_it", silence_ends_it),
    ("too_short_is_not_kept", too_short_is_not_kept),
];

#[test]
fn callers_hear_what_they_should_and_each_recording_ends_as_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("[record]\nmax_ms = {LONGEST_MS}\nsilence_ms = {SILENCE_MS}\n");
    let segue = Segue::start_with(&folder.path().join("segue"), &settings);
    for name in ["clip", "greeting"] {
        let file = sample(&format!("{name}.mp4"));
        segue.cli(&["clip", "add", name, file.to_str().unwrap()]);
    }
    let house = House {
        folder: folder.path().to_owned(),
        segue,
    };
    let wanted = std::env::var("SEGUE_TEST_STORY").unwrap_or_default();
    let plays: Vec<_> = [Over::Udp, Over::Tcp]
        .iter()
        .flat_map(|over| STORIES.iter().map(move |(name, story)| (*name, *over, *story)))
        .filter(|(name, ..)| name.contains(&wanted))
        .collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, over, story)) = plays.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let outcome = catch_unwind(AssertUnwindSafe(|| story(&house, *over)));
                    let (name, took) = (format!("{name} over {}", over.word()), began.elapsed().as_secs_f32());
                    println!(
                        "{} {name} ({took:.1} s)",
                        if outcome.is_ok() { "ok    " } else { "FAILED" }
                    );
                    if outcome.is_err() {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{failed:?}; the server said:\n{}",
        house.segue.log_text()
    );
}
