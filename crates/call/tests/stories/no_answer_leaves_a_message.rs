//! Nobody answers: greeting, beep, recorder, message.

use segue_call::{MediaAction, StoreAction};
use segue_mailbox::{Kind, StreamInfo};
use segue_policy::AnswerAt;
use segue_records::{CallResult, PhaseName};

use crate::stage::{Setup, Stage};

/// Until the recorder runs: 6 s hold, 20 s ringing, 4 s greeting, 1 s beep.
fn recorded(setup: Setup) -> Stage {
    let mut s = setup.call();
    s.run_ms(7_000);
    s.b().rings();
    s.run_ms(24_500);
    s
}

#[test]
fn answered_before_the_greeting() {
    let mut s = recorded(Setup::default());
    assert_eq!(s.phase(), PhaseName::Recording);
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.b().got_reason().unwrap(), "SIP;cause=408;text=\"No answer\"");
    assert_eq!(s.a().got(), ["183 sdp", "183 sdp", "200 sdp"]);
    s.a().acks();
    s.run_ms(12_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        s.media_did(),
        [
            "open a",
            "configure a",
            "play clip looping",
            "open b",
            "close b",
            "play greeting",
            "play beep",
            "record",
            "stop bye",
            "close"
        ]
    );
    let id = record.message_id.clone().unwrap();
    assert_eq!(s.store_did(), ["lookup", "reserve", "deposit"]);
    assert!(matches!(&s.stored()[2..], [StoreAction::Deposit { message_id, urgent: false }] if *message_id == id));
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(408)));
    assert_eq!(record.phase_reached, PhaseName::Saving);
    assert_eq!(
        record.answered_at.map(|at| at.0 - record.started_at.0),
        Some(26_002),
        "20 s after B was invited"
    );
    assert_eq!(
        record.why,
        "The callee did not answer within 20 s; the caller left a message of 12.4 s, ended by hanging up."
    );
}

#[test]
fn the_manifest_tells_what_a_message_needs() {
    let mut s = recorded(Setup::default());
    s.a().hangs_up();
    let record = s.finish();
    let manifest = s.manifest.clone().unwrap();
    assert_eq!((manifest.mailbox.as_str(), manifest.kind), ("bob", Kind::Video));
    assert_eq!(
        (&manifest.call_id, &manifest.sip_call_id),
        (&record.id, &record.sip_call_id)
    );
    assert_eq!(
        (manifest.from.as_str(), manifest.from_name.as_deref()),
        ("sip:alice@10.0.0.1", Some("Alice"))
    );
    assert_eq!(manifest.started_at_ms, record.started_at.0 + 31_002);
    let audio = StreamInfo {
        stream: 0,
        payload_type: 0,
        encoding: "PCMU".into(),
        clock_rate: 8_000,
        fmtp: None,
    };
    let fmtp = Some("profile-level-id=42e01f;packetization-mode=1".to_owned());
    let video = StreamInfo {
        stream: 1,
        payload_type: 97,
        encoding: "H264".into(),
        clock_rate: 90_000,
        fmtp,
    };
    assert_eq!(manifest.streams, [audio, video]);
    assert_eq!((manifest.message_id.len(), manifest.call_id.len()), (26, 26));
    assert!(manifest.message_id > manifest.call_id, "both sort by time");
    let limits = s.media_actions().into_iter().find_map(|action| match action {
        MediaAction::Record {
            longest_ms, silence_ms, ..
        } => Some((longest_ms, silence_ms)),
        _ => None,
    });
    assert_eq!(limits, Some((180_000, None)), "people who sign are silent");
}

#[test]
fn answered_after_the_greeting() {
    let mut setup = Setup::default();
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = recorded(setup);
    assert_eq!(s.a().got(), ["183 sdp", "183 sdp", "181 sdp", "200 sdp"]);
    s.run_ms(2_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        record.answered_at.map(|at| at.0 - record.started_at.0),
        Some(30_002),
        "4 s of greeting are not charged"
    );
    assert_eq!(record.result, CallResult::Message);
}

#[test]
fn after_a_reliable_answer_no_sdp_follows() {
    let mut setup = Setup {
        supports_100rel: true,
        ..Setup::default()
    };
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = setup.call();
    s.a().pracks();
    s.run_ms(32_000);
    assert_eq!(s.a().got(), ["183 reliable sdp", "181 reliable", "200"]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn an_early_greeting_waits_for_its_prack_when_a_had_no_answer_yet() {
    let mut setup = Setup {
        supports_100rel: true,
        ..Setup::default()
    }
    .lookup(|l| l.clip = None);
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = setup.call();
    s.b().refuses(486, "Busy Here");
    s.run_ms(1_000);
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    assert!(!s.media_did().contains(&"play greeting".to_owned()));
    s.a().pracks();
    assert_eq!(s.media_did().last().unwrap(), "play greeting");
    s.run_ms(5_100);
    assert_eq!(s.phase(), PhaseName::Recording);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn the_prack_of_the_ringing_is_not_that_of_the_answer() {
    let mut setup = Setup {
        supports_100rel: true,
        ..Setup::default()
    }
    .lookup(|l| l.clip = None);
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = setup.call();
    s.b().rings();
    s.b().refuses(486, "Busy Here");
    assert_eq!(s.a().got(), ["180 reliable", "183 reliable sdp"]);
    s.a().pracks();
    assert!(!s.media_did().contains(&"play greeting".to_owned()));
    s.a().pracks();
    assert_eq!(s.media_did().last().unwrap(), "play greeting");
    s.a().cancels();
    s.finish();
}

#[test]
fn without_a_greeting_the_beep_comes_at_once() {
    let mut s = Setup::default().lookup(|l| l.greeting = None).call();
    s.run_ms(26_100);
    assert_eq!(s.media_did().last().unwrap(), "play beep");
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    s.run_ms(3_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn without_a_beep_recording_follows_the_greeting() {
    let mut s = Setup::default().lookup(|l| l.beep = None).call();
    s.run_ms(30_100);
    assert_eq!(s.phase(), PhaseName::Recording);
    s.run_ms(2_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn hash_skips_the_greeting_to_the_beep() {
    let mut s = Setup::default().call();
    s.run_ms(26_100);
    assert_eq!(s.media_did().last().unwrap(), "play greeting");
    s.press('#');
    assert_eq!(s.media_did().last().unwrap(), "play beep");
    s.press('#');
    s.run_ms(1_000);
    assert_eq!(
        s.phase(),
        PhaseName::Recording,
        "the beep itself is not skipped, and its key ends no recording"
    );
    s.run_ms(3_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn a_caller_who_hangs_up_on_the_greeting_was_greeted() {
    let mut s = Setup::default().call();
    s.run_ms(27_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.cause, record.message_id),
        (CallResult::Greeted, Some(408), None)
    );
    assert_eq!(s.store_did(), ["lookup", "reserve", "release"]);
}

#[test]
fn an_answer_that_crosses_the_cancel_does_not_disturb_the_greeting() {
    let mut s = Setup {
        b_crosses: true,
        ..Setup::default()
    }
    .call();
    s.run_ms(26_500);
    assert_eq!(s.b().got(), ["INVITE", "CANCEL", "BYE"]);
    assert_eq!(s.phase(), PhaseName::Greeting);
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}
