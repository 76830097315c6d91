//! The mailbox has no room, or little of it: asked for before the greeting, given back unless a message comes.

use segue_call::{MediaAction, MediaEvent, Source, StoreAction};
use segue_mailbox::{Ask, Rule};
use segue_policy::AnswerAt;
use segue_records::{CallResult, PhaseName};

use crate::stage::{AUDIO, PlaceReply, Setup, Stage, VIDEO, sdp};

const MAILBOX_FULL: &str = "Q.850;cause=31;text=\"Mailbox full\"";

/// B is busy at once, and the mailbox is full.
fn full(change: impl FnOnce(&mut Setup)) -> Stage {
    let mut setup = Setup {
        place: PlaceReply::Full(Rule::UnheardMax),
        ..Setup::default()
    };
    change(&mut setup);
    let mut s = setup.call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s
}

fn room(longest_ms: u64, longest_bytes: Option<u64>) -> Stage {
    let mut s = Setup {
        place: PlaceReply::Reserved {
            longest_ms,
            longest_bytes,
        },
        ..Setup::default()
    }
    .call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.run_ms(5_100);
    s
}

#[test]
fn is_said_in_place_of_the_greeting_and_the_caller_is_let_go() {
    let mut s = full(|_| {});
    assert_eq!(s.phase(), PhaseName::Greeting);
    s.a().acks();
    s.run_ms(6_100);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp", "BYE"]);
    assert_eq!(s.a().got_reason().unwrap(), MAILBOX_FULL);
    let record = s.finish();
    let did = s.media_did();
    assert_eq!(did[did.len() - 2..], ["play notice", "close"]);
    assert!(!did.iter().any(|d| d == "play greeting" || d == "record"));
    assert_eq!(
        s.store_did(),
        ["lookup", "reserve"],
        "what is not held is not given back"
    );
    assert_eq!((record.result, record.cause), (CallResult::MailboxFull, Some(486)));
    assert_eq!(
        record.why,
        "The callee was busy (486 Busy Here); the mailbox was full (unheard_max), the caller was told so."
    );
}

#[test]
fn a_caller_who_is_answered_after_greetings_is_told_early_and_refused() {
    let mut s = full(|setup| setup.answer_at(AnswerAt::AfterGreeting));
    s.run_ms(6_100);
    assert_eq!(s.a().got(), ["183 sdp", "480"]);
    assert_eq!(s.a().got_reason().unwrap(), MAILBOX_FULL);
    let record = s.finish();
    assert_eq!((record.result, record.answered_at), (CallResult::MailboxFull, None));
}

#[test]
fn the_notice_waits_for_the_prack_where_the_caller_had_no_answer_yet() {
    let mut setup = Setup {
        place: PlaceReply::Full(Rule::MaxBytes),
        supports_100rel: true,
        ..Setup::default()
    }
    .lookup(|l| l.clip = None);
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = setup.call();
    s.b().refuses(486, "Busy Here");
    s.run_ms(1_000);
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    assert!(!s.media_did().contains(&"play notice".to_owned()));
    s.a().pracks();
    assert_eq!(s.media_did().last().unwrap(), "play notice");
    s.run_ms(6_100);
    assert_eq!(s.a().got().last().unwrap(), "480");
    assert!(s.finish().why.contains("(max_bytes)"));
}

#[test]
fn a_caller_without_an_offer_is_told_once_it_has_answered_ours() {
    let mut s = full(|setup| setup.offer = None);
    s.run_ms(100);
    assert_eq!(s.store_did(), ["lookup"], "what it sends is not known yet");
    s.a().answers_our_offer(sdp(AUDIO));
    assert_eq!(s.store_did(), ["lookup", "reserve"]);
    assert_eq!(s.media_did().last().unwrap(), "play notice");
    s.run_ms(6_100);
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    assert_eq!(s.finish().result, CallResult::MailboxFull);
}

#[test]
fn without_a_notice_the_refusal_says_it() {
    let mut s = Setup {
        place: PlaceReply::Full(Rule::MaxSeconds),
        ..Setup::default()
    }
    .lookup(|l| l.full = None)
    .call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    assert_eq!(s.a().got(), ["183 sdp", "480"]);
    assert_eq!(s.a().got_reason().unwrap(), MAILBOX_FULL);
    let record = s.finish();
    assert_eq!(record.result, CallResult::MailboxFull);
    assert!(record.why.ends_with("(max_seconds), there was no notice to play."));

    let mut s = full(|setup| setup.unplayable = vec![Source::Notice]);
    s.run_ms(10);
    assert_eq!(s.a().got().last().unwrap(), "BYE", "answered before it was known");
    assert!(s.finish().why.contains("could not be played"));
}

#[test]
fn the_caller_may_cut_the_notice_short() {
    let mut s = full(|_| {});
    s.press('#');
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    assert_eq!(s.finish().result, CallResult::MailboxFull);

    let mut s = full(|_| {});
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::MailboxFull);
    assert!(record.why.ends_with("the caller hung up on the notice."));

    let mut s = full(|_| {});
    s.operator_hangs_up();
    assert_eq!(
        s.a().got_reason().unwrap(),
        "Q.850;cause=16;text=\"Ended by the operator\""
    );
    assert_eq!(s.finish().result, CallResult::MailboxFull);
}

#[test]
fn what_is_asked_for_is_what_a_message_of_this_caller_may_need() {
    for (media, bytes_per_s) in [(AUDIO.to_owned(), 20_000), (format!("{AUDIO}{}", VIDEO), 500_000)] {
        let mut s = full(|setup| setup.offer = Some(sdp(&media)));
        let asked = s.stored().into_iter().find_map(|action| match action {
            StoreAction::Reserve { mailbox, from, ask, .. } => Some((mailbox, from, ask)),
            _ => None,
        });
        let ask = Ask {
            longest_ms: 180_000,
            least_ms: 1_000,
            bytes_per_s,
        };
        assert_eq!(asked, Some(("bob".into(), "sip:alice@10.0.0.1".into(), ask)));
        s.a().hangs_up();
        s.finish();
    }
}

#[test]
fn who_sends_nothing_is_asked_no_place_for() {
    let mut s = full(|setup| setup.offer = Some(sdp(&format!("{AUDIO}a=recvonly\r\n"))));
    s.run_ms(4_100);
    assert_eq!(s.store_did(), ["lookup"]);
    assert_eq!(s.finish().result, CallResult::Greeted);
}

#[test]
fn the_last_room_makes_a_shorter_recording() {
    let mut s = room(7_000, Some(3_500_000));
    assert_eq!(s.phase(), PhaseName::Recording);
    let limits = s.media_actions().into_iter().find_map(|action| match action {
        MediaAction::Record {
            longest_ms,
            longest_bytes,
            ..
        } => Some((longest_ms, longest_bytes)),
        _ => None,
    });
    assert_eq!(limits, Some((7_000, Some(3_500_000))));
    // If the packet path forgets it we end it, by the same measure.
    s.run_ms(12_000);
    assert!(s.media_did().contains(&"stop longest".to_owned()));
    let record = s.finish();
    assert_eq!(record.result, CallResult::Message);
    let (id, reserved) = (record.message_id.unwrap(), s.stored().into_iter().nth(1));
    assert!(
        matches!(reserved, Some(StoreAction::Reserve { message_id, .. }) if message_id == id),
        "the place is that of the message"
    );
    assert_eq!(
        s.store_did(),
        ["lookup", "reserve", "deposit"],
        "the deposit gives it back"
    );
}

#[test]
fn a_place_that_is_not_used_is_given_back_once() {
    type End = fn(&mut Stage);
    let ends: [(&str, End); 4] = [
        ("hangs up on the greeting", |s| s.a().hangs_up()),
        ("the operator", Stage::operator_hangs_up),
        ("the leg breaks", |s| s.a().breaks_off()),
        ("the recorder breaks", |s| {
            s.run_ms(5_100);
            s.media(MediaEvent::RecordFailed { why: "no space".into() });
        }),
    ];
    for (what, end) in ends {
        let mut s = Setup::default().call();
        s.run_ms(6_100);
        s.b().refuses(486, "Busy Here");
        end(&mut s);
        s.finish();
        assert_eq!(s.store_did(), ["lookup", "reserve", "release"], "{what}");
    }
}

#[test]
fn a_store_that_cannot_say_keeps_nobody_from_speaking() {
    let mut s = Setup {
        place: PlaceReply::Fails,
        ..Setup::default()
    }
    .call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
    assert_eq!(s.store_did(), ["lookup", "reserve", "deposit"]);

    let mut s = Setup {
        place_ms: None,
        ..Setup::default()
    }
    .call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.run_ms(1_900);
    assert_ne!(s.media_did().last().unwrap(), "play greeting");
    s.run_ms(200);
    assert_eq!(s.media_did().last().unwrap(), "play greeting");
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn a_late_answer_still_counts_before_the_beep_and_never_after() {
    let late = |place_ms| full(|setup| setup.place_ms = Some(place_ms));
    let mut s = late(4_000);
    s.run_ms(4_100);
    let did = s.media_did();
    assert_eq!(did[did.len() - 2..], ["play greeting", "play notice"]);
    s.run_ms(6_100);
    assert_eq!(s.finish().result, CallResult::MailboxFull);

    let mut s = late(6_500);
    s.run_ms(10_000);
    assert_eq!(s.phase(), PhaseName::Recording, "whoever has heard the beep may speak");
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn a_place_that_comes_when_the_caller_has_gone_is_given_back() {
    let mut s = Setup {
        place_ms: Some(3),
        ..Setup::default()
    }
    .call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.a().cancels();
    s.run_ms(2);
    assert_eq!(
        s.store_did(),
        ["lookup", "reserve"],
        "a release must not overtake what it releases"
    );
    assert_eq!(s.finish().result, CallResult::Abandoned);
    assert_eq!(s.store_did(), ["lookup", "reserve", "release"]);
}
