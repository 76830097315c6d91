//! `segue call` and `segue wait` beside a running store.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::fixture::{Segue, deposit, keys, sorted};
use segue_records::{
    CallRecord, CallResult, LadderStep, LegRecord, MediaKind, PhaseName, RefusedRecord, Sent, StreamRecord,
    SwitchRecord, UnixMs,
};
use serde_json::{Value, json};

fn call(id: &str, at: i64) -> CallRecord {
    let leg = |number: i64, target: &str| LegRecord {
        sip_call_id: format!("{id}-{number}@a"),
        target: target.to_owned(),
        status: Some(200),
        reason: None,
        ladder: vec![
            LadderStep {
                at: UnixMs(at + number),
                sent: if number == 0 { Sent::In } else { Sent::Out },
                summary: "INVITE (SDP)".to_owned(),
            },
            LadderStep {
                at: UnixMs(at + number + 5),
                sent: Sent::Out,
                summary: "ACK".to_owned(),
            },
        ],
        media: vec![StreamRecord {
            kind: MediaKind::Audio,
            received: 600,
            lost: 12,
            late: 3,
            jitter_ms: 4,
            sent: 610,
            sent_late: 0,
            peer_lost: Some(1),
            peer_jitter_ms: Some(2),
            rtt_ms: (number > 0).then_some(31),
            losses: Vec::new(),
            peer_losses: Vec::new(),
        }],
    };
    CallRecord {
        from: "sip:a@127.0.0.1".to_owned(),
        to: "sip:bob@127.0.0.1".to_owned(),
        first_media_at: Some(UnixMs(at + 40)),
        invited_at: Some(UnixMs(at + 6_040)),
        answered_at: Some(UnixMs(at + 8_000)),
        ended_at: Some(UnixMs(at + 12_345)),
        hold_asked_ms: Some(6_000),
        hold_ms: Some(6_000),
        phase_reached: PhaseName::Bridged,
        result: CallResult::Answered,
        legs: vec![leg(0, "sip:bob@127.0.0.1"), leg(6_040, "sip:bob@127.0.0.1:5070")],
        switches: vec![
            SwitchRecord {
                to: "clip".to_owned(),
                kind: MediaKind::Audio,
                gap_ms: None,
                at: UnixMs(at + 40),
            },
            SwitchRecord {
                to: "callee".to_owned(),
                kind: MediaKind::Audio,
                gap_ms: Some(21),
                at: UnixMs(at + 8_021),
            },
        ],
        why: "the caller hung up".to_owned(),
        ..CallRecord::begun(id.to_owned(), format!("{id}-0@a"), UnixMs(at))
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

const ROW: [&str; 25] = [
    "id",
    "sip_call_id",
    "from",
    "to",
    "started_at",
    "first_media_at",
    "invited_at",
    "answered_at",
    "ended_at",
    "hold_asked_ms",
    "hold_ms",
    "prolonged_at",
    "phase_reached",
    "result",
    "cause",
    "legs",
    "switches",
    "message_id",
    "why",
    "admit",
    "icid",
    "relayed_untouched",
    "source",
    "from_said",
    "rules",
];

#[test]
fn a_row_says_everything_in_the_fixed_words() {
    let segue = Segue::new();
    segue.store().save_call(&call("01C", 1_709_251_199_007)).unwrap();
    let list = segue.json(&["call", "list"]);
    assert_eq!(keys(&list[0]), sorted(ROW));
    assert_eq!(list[0]["started_at"], "2024-02-29T23:59:59.007Z");
    assert_eq!(
        (&list[0]["result"], &list[0]["phase_reached"]),
        (&json!("answered"), &json!("bridged"))
    );
    assert_eq!(
        keys(&list[0]["legs"][0]),
        sorted(["sip_call_id", "target", "status", "reason"])
    );
    assert_eq!(
        list[0]["switches"][1],
        json!({"to": "callee", "kind": "audio", "gap_ms": 21})
    );
    assert_eq!(
        (&list[0]["cause"], &list[0]["message_id"]),
        (&Value::Null, &Value::Null)
    );
    assert!(segue.ok(&["call", "list"]).contains("the caller hung up"));
    // The hour of the first of March 2024, 0:00, was over long ago.
    assert_eq!(segue.json(&["call", "hours"]), json!([]));
    let hours = segue.json(&["call", "hours", "--since", "36500d"]);
    assert_eq!(
        hours,
        json!([{"hour": "2024-02-29T23:00:00.000Z", "result": "answered", "calls": 1}])
    );
}

#[test]
fn show_adds_the_ladder_of_both_legs_and_what_was_played_when() {
    let segue = Segue::new();
    segue.store().save_call(&call("01C", 1_709_251_199_007)).unwrap();
    let shown = segue.json(&["call", "show", "01C"]);
    assert_eq!(keys(&shown), sorted(ROW));
    assert_eq!(
        shown["legs"][1]["ladder"][0],
        json!({"at": "2024-03-01T00:00:05.047Z", "sent": "out", "summary": "INVITE (SDP)"})
    );
    assert_eq!(shown["switches"][0]["at"], "2024-02-29T23:59:59.047Z");

    let text = segue.ok(&["call", "show", "01C"]);
    for words in [
        "leg A (caller): sip:bob@127.0.0.1, Call-ID 01C-0@a",
        "leg B1 (callee): sip:bob@127.0.0.1:5070",
        "+0.000  peer ---> segue  INVITE (SDP)",
        "+6.040  peer <--- segue  INVITE (SDP)",
        "+8.021   audio  callee                gap 21 ms",
        "why: the caller hung up",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    assert_eq!(segue.fails(3, &["call", "show", "01X"]).0["code"], "not_found");
}

#[test]
fn since_leaves_older_calls_out() {
    let segue = Segue::new();
    let server = segue.store();
    server.save_call(&call("01OLD", now_ms() - 2 * 3_600_000)).unwrap();
    server.save_call(&call("02NEW", now_ms() - 60_000)).unwrap();
    assert_eq!(segue.json(&["call", "list"]).as_array().unwrap().len(), 2);
    let recent = segue.json(&["call", "list", "--since", "1h"]);
    assert_eq!(
        (recent.as_array().unwrap().len(), &recent[0]["id"]),
        (1, &json!("02NEW"))
    );
    segue.fails(2, &["call", "list", "--since", "yesterday"]);
}

#[test]
fn waiting_ends_as_soon_as_it_is_there() {
    let segue = Segue::new();
    let server = segue.store();
    let began = Instant::now();
    let waiting = [
        segue.command(&[
            "wait",
            "message",
            "--sip-call-id",
            "01M@a",
            "--state",
            "committed",
            "--timeout",
            "20s",
            "--json",
        ]),
        segue.command(&[
            "wait",
            "call",
            "--sip-call-id",
            "01C-0@a",
            "--state",
            "ended",
            "--timeout",
            "20s",
            "--json",
        ]),
    ]
    .map(|mut command| command.stdout(std::process::Stdio::piped()).spawn().unwrap());
    thread::sleep(Duration::from_millis(300));
    server.deposit(deposit("01M", "bob", b"media")).unwrap();
    server.save_call(&call("01C", now_ms())).unwrap();
    let [message, call] = waiting.map(|child| crate::fixture::ended(child.wait_with_output().unwrap()));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!((message.code, call.code), (0, 0));
    assert_eq!(serde_json::from_str::<Value>(&message.out).unwrap()["id"], "01M");
    assert_eq!(keys(&serde_json::from_str::<Value>(&call.out).unwrap()), sorted(ROW));
}

#[test]
fn waiting_for_what_never_comes_times_out() {
    let segue = Segue::new();
    let began = Instant::now();
    let (said, _) = segue.fails(4, &["wait", "call", "--sip-call-id", "x@y", "--timeout", "150ms"]);
    assert_eq!(said["code"], "timed_out");
    assert!(began.elapsed() >= Duration::from_millis(300), "two runs of 150 ms");
    segue.store().deposit(deposit("01M", "bob", b"media")).unwrap();
    // The message is there, its call has not ended.
    segue.fails(
        4,
        &[
            "wait",
            "message",
            "--sip-call-id",
            "01M@a",
            "--state",
            "ended",
            "--timeout",
            "50ms",
        ],
    );
    segue.fails(2, &["wait", "message", "--timeout", "1s"]);
    segue.fails(2, &["wait", "message", "--sip-call-id", "x", "--timeout", "soon"]);
    segue.fails(
        2,
        &[
            "wait",
            "message",
            "--sip-call-id",
            "x",
            "--state",
            "done",
            "--timeout",
            "1s",
        ],
    );
}

fn refused(id: &str, at: i64) -> RefusedRecord {
    RefusedRecord {
        id: id.into(),
        at: UnixMs(at),
        protocol: "udp".into(),
        source: "192.0.2.7:5060".into(),
        local: "127.0.0.1:5060".into(),
        method: "INVITE".into(),
        sip_call_id: Some("x@y".into()),
        from: Some("sip:a\u{1b}[2J@192.0.2.7".into()),
        to: None,
        status: None,
        why: "INVITE was dropped without an answer: no profile trusts it.".into(),
        admit: "sources = [\"192.0.2.7/32\"]".into(),
        times: 2,
        withheld: 3,
        ladder: vec![LadderStep {
            at: UnixMs(at),
            sent: Sent::In,
            summary: "INVITE (SDP)".into(),
        }],
    }
}

#[test]
fn refused_requests_are_listed_with_rejected_calls_and_shown_whole() {
    let segue = Segue::new();
    {
        let store = segue.store();
        let mut rejected = call("01B", 1_709_251_199_000);
        rejected.result = CallResult::Rejected;
        rejected.cause = Some(404);
        rejected.admit = Some("segue subscriber add bob --target sip:bob@ADDRESS:PORT".into());
        rejected.source = Some("tls 192.0.2.9:5061".into());
        store.save_call(&rejected).unwrap();
        store.save_call(&call("01C", 1_709_251_199_007)).unwrap();
        store
            .save_refused_later(&refused("01A", 1_709_251_198_000), |done| done.unwrap())
            .unwrap();
        store.flush().unwrap();
    }
    let list = segue.json(&["call", "list", "--refused"]);
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(
        ids,
        [json!("01A"), json!("01B")],
        "oldest first, without the call that was taken"
    );
    assert_eq!(
        (&list[0]["kind"], &list[0]["status"]),
        (&json!("request"), &Value::Null)
    );
    assert_eq!((&list[1]["kind"], &list[1]["status"]), (&json!("call"), &json!(404)));
    assert_eq!(keys(&list[0]), keys(&list[1]));
    assert_eq!(
        (&list[1]["protocol"], &list[1]["source"]),
        (&json!("tls"), &json!("192.0.2.9:5061"))
    );
    let text = segue.ok(&["call", "list", "--refused"]);
    assert!(
        text.contains("tls 192.0.2.9:5061") && text.contains("udp 192.0.2.7:5060"),
        "{text}"
    );
    assert!(text.contains("dropped") && !text.contains('\u{1b}'), "{text}");
    let shown = segue.json(&["call", "show", "01A"]);
    assert_eq!(shown["ladder"][0]["summary"], "INVITE (SDP)");
    assert_eq!((&shown["times"], &shown["withheld"]), (&json!(2), &json!(3)));
    let text = segue.ok(&["call", "show", "01A"]);
    for said in [
        "peer ---> segue",
        "why: INVITE was dropped",
        "what would admit it: sources = [\"192.0.2.7/32\"]",
        "3 refusals before it",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let text = segue.ok(&["call", "show", "01B"]);
    assert!(
        text.contains("what would admit it: segue subscriber add bob") && text.contains("tls 192.0.2.9:5061"),
        "{text}"
    );
    segue.fails(3, &["call", "show", "01Z"]);
}

#[test]
fn export_prints_what_the_files_have_within_its_bounds() {
    let segue = Segue::new();
    let day = 86_400_000;
    let store = segue.store();
    for (id, at, to) in [
        ("01A", 0, "sip:bob@h"),
        ("01B", day, "sip:eve@h"),
        ("01C", now_ms() - 60_000, "sip:bob@h"),
    ] {
        let record = CallRecord {
            to: to.to_owned(),
            ..call(id, at)
        };
        store.save_call(&record).unwrap();
    }
    drop(store);
    let ids = |more: &[&str]| -> Vec<String> {
        let args: Vec<&str> = [&["call", "export", "--json"], more].concat();
        let id = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        segue.ok(&args).lines().map(id).collect()
    };
    assert_eq!(ids(&[]), ["01A", "01B", "01C"]);
    assert_eq!(ids(&["--since", "1h"]), ["01C"]);
    assert_eq!(ids(&["--until", "1h"]), ["01A", "01B"]);
    assert_eq!(ids(&["--since", "1970-01-02T00:00:00Z", "--until", "1h"]), ["01B"]);
    assert_eq!(ids(&["--until", "1970-01-02T00:00:00Z"]), ["01A"]);
    assert_eq!(ids(&["--user", "bob"]), ["01A", "01C"]);
    let csv = segue.ok(&["call", "export", "--csv", "--user", "eve"]);
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!((lines.len(), lines[0]), (2, segue_records::COLUMNS.join(",").as_str()));
    assert!(lines[1].starts_with("\"01B\","), "{csv}");
    let neither = segue.run(&["call", "export"]);
    assert_eq!(neither.code, 1);
    assert!(neither.err.contains("say --csv or --json"), "{}", neither.err);
}

#[test]
fn the_page_of_records_names_every_field_and_its_examples_are_the_programs() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/records.md")).unwrap();
    for column in segue_records::COLUMNS {
        assert!(page.contains(&format!("| `{column}` |")), "the column {column}");
    }
    let segue = Segue::new();
    segue
        .store()
        .save_call(&call("01HQVXSXTZ8M4W8F0RZ6Y3K5AB", 1_709_251_199_007))
        .unwrap();
    let json = segue.ok(&["call", "export", "--json"]);
    for field in ROW {
        assert!(page.contains(&format!("`{field}`")), "the field {field}");
    }
    let csv = segue.ok(&["call", "export", "--csv"]);
    for line in json.lines().chain(csv.lines()) {
        assert!(page.contains(line), "docs/records.md lacks:\n{line}");
    }
    for result in [
        CallResult::Answered,
        CallResult::Message,
        CallResult::Greeted,
        CallResult::TooShort,
        CallResult::MailboxFull,
        CallResult::Mailbox,
        CallResult::AbandonedWhileHeld,
        CallResult::Abandoned,
        CallResult::Rejected,
        CallResult::Failed,
    ] {
        assert!(page.contains(&format!("| `{}` |", result.as_str())), "{result:?}");
    }
}
