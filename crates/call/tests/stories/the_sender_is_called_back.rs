//! `5` at a message: its sender is called from within the mailbox, in the one dialog of the caller, who is in its mailbox again when that
//! call is over.

use segue_call::{Early, LegAction, Listed, MediaEvent, Source, StoreReply};
use segue_policy::{UnknownCallee, Why};
use segue_records::{CallRecord, CallResult, PhaseName};

use crate::stage::{A, AUDIO, B, Desk, Setup, Stage, sdp};

pub const SENDER: &str = "sip:+4930123@pbx.example";
pub const BACK: &str = "say message-menu under message-menu";

/// Bob, who has proven it, dials its mailbox; there is one message, from such a sender, whose phone is at 192.0.2.2.
pub fn mailbox(from: &str) -> Setup {
    let mut desk = Desk {
        speaks: true,
        ..Desk::default()
    };
    desk.opened.messages = vec![Listed {
        id: "one".to_owned(),
        from: from.to_owned(),
        received_at_ms: 1_700_000_000_000,
        duration_ms: 5_000,
        ..Listed::default()
    }];
    let mut setup = Setup {
        to: "sip:*97@segue.example",
        desk,
        ..Setup::default()
    };
    setup.profile.service_codes = vec!["*97 -> mailbox".to_owned().try_into().unwrap()];
    setup.profile.emergency_numbers = vec!["112".into()];
    setup.further.proven = Some("bob".to_owned());
    setup.lookup(|lookup| lookup.clip = None)
}

/// It hears the message out.
fn hears(s: &mut Stage) {
    while !s.asked_of_desk().contains(&"heard one".to_owned()) {
        assert_eq!(s.phase(), PhaseName::Serving);
        s.run_ms(100);
    }
    s.run_ms(1_500);
}

/// And presses 5.
fn calls_back(setup: Setup) -> Stage {
    let mut s = setup.call();
    s.a().acks();
    hears(&mut s);
    s.keys("5");
    s.run_ms(10);
    s
}

/// And talks to its sender.
pub fn talks(setup: Setup) -> Stage {
    let mut s = calls_back(setup);
    s.b().answers();
    s.run_ms(1_000);
    assert_eq!(s.phase(), PhaseName::Bridged);
    s
}

pub fn last_said(s: &Stage) -> String {
    let mut said = s.media_did().into_iter().filter(|did| did.starts_with("say "));
    said.next_back().unwrap_or_default()
}

fn invited(s: &mut Stage, number: u32) -> Option<(String, Option<String>)> {
    s.target(number).actions().into_iter().find_map(|action| match action {
        LegAction::Invite { target, way, .. } => Some((target.to_string(), way.to.map(|(to, _)| to.to_string()))),
        _ => None,
    })
}

/// A is in its mailbox, at the message, and has heard of no end.
pub fn is_back(s: &mut Stage) {
    assert_eq!(s.phase(), PhaseName::Serving);
    let got = s.a().got();
    assert!(
        got[0] == "200 sdp" && !got.iter().any(|got| got.starts_with("BYE")),
        "{got:?}"
    );
    assert_eq!(s.engages(), "Nobody");
    s.keys("9");
    assert_eq!(s.asked_of_desk().last().map(String::as_str), Some("keep one"));
}

pub fn ended(s: &mut Stage) -> CallRecord {
    let record = s.finish();
    assert_eq!(record.result, CallResult::Mailbox);
    assert_eq!(record.to, "sip:*97@segue.example");
    record
}

#[test]
fn the_two_talk_and_the_subscriber_is_at_its_message_again_when_the_sender_hangs_up() {
    let mut s = calls_back(mailbox(SENDER));
    assert_eq!(last_said(&s), "say calling-back under calling-back");
    assert_eq!(s.phase(), PhaseName::Ringing);
    assert_eq!(s.engages(), "All");
    s.b().rings();
    s.b().answers();
    s.run_ms(1);
    assert_eq!(s.phase(), PhaseName::Bridged);
    assert_eq!(s.engages(), "sip:bob@192.0.2.2:5070");
    assert!(s.media_did().contains(&"bridge b".to_owned()), "{:?}", s.media_did());
    s.run_ms(30_000);
    assert_eq!(s.phase(), PhaseName::Bridged, "no timer of the mailbox runs");
    s.b().hangs_up();
    s.run_ms(1);
    assert_eq!(last_said(&s), BACK);
    assert_eq!(s.a().got(), ["200 sdp"], "one dialog, one answer");
    is_back(&mut s);
    // And once more.
    s.keys("5");
    s.run_ms(10);
    s.target(2).answers();
    s.run_ms(1_000);
    assert_eq!(s.phase(), PhaseName::Bridged);
    s.a().hangs_up();
    assert_eq!(s.target(2).got(), ["INVITE", "BYE"]);
    assert_eq!(s.b().got(), ["INVITE"]);
    let record = ended(&mut s);
    assert_eq!(record.legs.len(), 3);
    assert_eq!(
        record.why,
        "bob called their mailbox, \
         called sip:+4930123@segue.example back (leg 1: the callee answered and hung up), \
         called sip:+4930123@segue.example back (leg 2: the callee answered; the caller hung up), \
         heard one message, hung up."
    );
    assert_eq!(record.cause, None);
}

#[test]
fn who_watches_is_told_which_leg_whom_and_how_it_ended() {
    let mut s = calls_back(mailbox(SENDER));
    assert!(s.called_back().is_empty(), "it is not over");
    s.b().refuses(486, "Busy Here");
    s.run_ms(1);
    s.keys("5");
    s.run_ms(10);
    s.target(2).answers();
    s.run_ms(1_000);
    s.target(2).hangs_up();
    s.run_ms(1);
    let told: Vec<_> = s
        .called_back()
        .iter()
        .map(|back| {
            (
                back.message_id.clone(),
                back.to.clone(),
                back.leg,
                back.answered,
                back.cause,
            )
        })
        .collect();
    let to = || "sip:+4930123@segue.example".to_owned();
    assert_eq!(
        told,
        [
            ("one".to_owned(), to(), Some(1), false, Some(486)),
            ("one".to_owned(), to(), Some(2), true, None)
        ]
    );
    s.a().hangs_up();
    assert_eq!(ended(&mut s).legs[1].status, Some(486));
}

#[test]
fn a_sender_who_does_not_take_the_call_leaves_the_subscriber_at_its_message() {
    for (fails, why) in [
        (
            (|s| s.b().refuses(486, "Busy Here")) as fn(&mut Stage),
            "the callee was busy (486 Busy Here)",
        ),
        (|s| s.b().refuses(603, "Decline"), "the callee declined (603 Decline)"),
        (|s| s.b().cannot_be_reached(408), "the callee did not respond at all"),
        (|s| s.run_ms(20_100), "the callee did not answer within 20 s"),
        (|s| s.b().breaks_off(), "the callee's leg ended without a response"),
        (
            |s| s.b().redirects(302, &[("sip:+4930999@elsewhere.example", 1_000)]),
            "which is not followed",
        ),
        (|s| s.b().refuses(482, "Loop Detected"), "was called in a circle"),
    ] {
        let mut s = calls_back(mailbox(SENDER));
        s.run_ms(500);
        fails(&mut s);
        s.run_ms(1);
        assert_eq!(last_said(&s), "say not-reached message-menu under message-menu");
        is_back(&mut s);
        s.a().hangs_up();
        let record = ended(&mut s);
        assert!(record.why.contains(why), "{}", record.why);
    }
}

#[test]
fn who_is_redirected_is_reached_all_the_same() {
    let mut setup = mailbox(SENDER);
    setup.profile.redirect_targets = vec!["elsewhere.example".parse().unwrap()];
    let mut s = calls_back(setup);
    s.b().redirects(302, &[("sip:carol@elsewhere.example", 1_000)]);
    s.run_ms(10);
    assert_eq!(invited(&mut s, 2).unwrap().0, "sip:carol@elsewhere.example");
    s.target(2).answers();
    s.run_ms(1_000);
    assert_eq!(s.phase(), PhaseName::Bridged);
    assert_eq!(s.called_back().len(), 0);
    s.target(2).hangs_up();
    s.run_ms(1);
    is_back(&mut s);
}

#[test]
fn who_gives_up_while_it_rings_is_back_at_once_and_a_crossing_answer_is_ended() {
    for key in ["*", "#"] {
        for crosses in [false, true] {
            let mut setup = mailbox(SENDER);
            setup.b_crosses = crosses;
            let mut s = calls_back(setup);
            s.b().rings();
            s.keys(key);
            s.run_ms(10);
            let bye: &[&str] = if crosses {
                &["INVITE", "CANCEL", "BYE"]
            } else {
                &["INVITE", "CANCEL"]
            };
            assert_eq!(s.b().got(), bye);
            assert_eq!(last_said(&s), "say not-reached message-menu under message-menu");
            is_back(&mut s);
            s.a().hangs_up();
            assert!(ended(&mut s).why.contains("(leg 1: the caller gave up)"));
        }
    }
    // Once they talk keys are the callee's.
    let mut s = talks(mailbox(SENDER));
    s.keys("*#5");
    assert_eq!(s.phase(), PhaseName::Bridged);
}

#[test]
fn who_hangs_up_while_it_rings_ends_all_of_it() {
    let mut s = calls_back(mailbox(SENDER));
    s.b().rings();
    s.run_ms(3_000);
    s.a().hangs_up();
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    let record = ended(&mut s);
    assert!(
        record
            .why
            .contains("(leg 1: the caller hung up before the callee answered)")
    );
    assert!(record.why.ends_with("heard one message, hung up."), "{}", record.why);
    let mut s = calls_back(mailbox(SENDER));
    s.a().breaks_off();
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.finish().result, CallResult::Failed);
}

#[test]
fn it_hears_a_tone_or_the_callees_clip_while_it_rings_or_the_callee() {
    let tones = |s: &Stage| {
        s.media_did()
            .iter()
            .filter(|did| did.starts_with("say ringing"))
            .count()
    };
    let mut s = calls_back(mailbox(SENDER));
    s.run_ms(2_000);
    assert_eq!(tones(&s), 1, "when it has been said that it is called");
    s.run_ms(5_900);
    assert_eq!(tones(&s), 1);
    s.run_ms(200);
    assert_eq!(tones(&s), 2, "a second, four of silence; here a prompt takes two");
    // The callee's network has something to say.
    s.b().early(Early {
        status: 183,
        sdp: Some(sdp(AUDIO)),
        fork: Some("x".into()),
        early_media: Some(vec![segue_sdp::Direction::SendOnly]),
        ..Early::default()
    });
    assert_eq!(s.media_did().last().map(String::as_str), Some("hear b"));
    s.run_ms(10_000);
    assert_eq!(tones(&s), 2, "the callee is heard instead");
    assert_eq!(s.a().got(), ["200 sdp"], "to who is answered there is nothing to say");
    s.b().answers_as("x", None);
    s.run_ms(10_000);
    assert_eq!((s.phase(), tones(&s)), (PhaseName::Bridged, 2));

    let with_clip = || mailbox(SENDER).lookup(|lookup| lookup.clip = Some(crate::stage::clip(1, "ringback", 10_000)));
    let mut s = calls_back(with_clip());
    s.run_ms(5_000);
    assert_eq!(s.media_did().last().map(String::as_str), Some("play clip looping"));
    s.b().refuses(486, "");
    s.run_ms(1);
    assert_eq!(last_said(&s), "say not-reached message-menu under message-menu");
    let mut setup = with_clip();
    setup.unplayable = vec![Source::Clip];
    let mut s = calls_back(setup);
    s.run_ms(5_000);
    assert_eq!(tones(&s), 1, "what cannot be played is no silence");
    s.a().hangs_up();
    assert!(!ended(&mut s).why.contains("the clip was not played"));
}

#[test]
fn nobody_is_called_who_is_not_known_and_no_emergency_or_service() {
    for from in [
        "sip:anonymous@anonymous.invalid",
        "sip:112@pbx.example",
        "tel:112",
        "tel:+49-30-112",
        "sip:*97@segue.example",
        "sip:pbx.example",
        "urn:service:sos",
        "mailto:carol@example.org",
    ] {
        let mut setup = mailbox(from);
        (setup.profile.country_code, setup.profile.area_code) = ("49".into(), "30".into());
        let mut s = calls_back(setup);
        assert_eq!(
            last_said(&s),
            "say cannot-call-back message-menu under message-menu",
            "{from}"
        );
        assert!(!s.store_did().contains(&"lookup"), "{from}");
        assert!(invited(&mut s, 1).is_none(), "{from}");
        is_back(&mut s);
        s.a().hangs_up();
        assert!(ended(&mut s).why.contains(&format!("could not call {from} back")));
    }
}

#[test]
fn who_has_come_by_number_and_pin_calls_nobody_at_the_subscribers_expense() {
    let mut setup = mailbox(SENDER);
    setup.further.proven = None;
    let mut s = setup.call();
    s.a().acks();
    s.run_ms(1_000);
    s.keys("101#");
    s.run_ms(1_000);
    s.keys("2580#");
    hears(&mut s);
    s.keys("5");
    s.run_ms(10);
    assert_eq!(last_said(&s), "say cannot-call-back message-menu under message-menu");
    assert!(invited(&mut s, 1).is_none());
    is_back(&mut s);
}

#[test]
fn who_is_no_subscriber_is_called_as_a_phone_would_by_what_the_destinations_admit() {
    let outside = |destinations: &str, unknown| {
        let mut setup = mailbox(SENDER);
        setup.lookup = StoreReply::NotFound;
        setup.profile.unknown_callee = unknown;
        setup.profile.next_hop = Some("192.0.2.50".parse().unwrap());
        setup.profile.destinations = vec![destinations.parse().unwrap()];
        calls_back(setup)
    };
    let mut s = outside("+4930*", UnknownCallee::Forward);
    let called = "sip:+4930123@segue.example".to_owned();
    assert_eq!(invited(&mut s, 1), Some((called.clone(), Some(called))));
    s.b().answers();
    s.run_ms(1);
    assert_eq!(s.phase(), PhaseName::Bridged);
    s.b().hangs_up();
    s.run_ms(1);
    is_back(&mut s);
    let mut s = outside("+4930*", UnknownCallee::Forward);
    s.b().refuses(404, "");
    s.run_ms(1);
    assert_eq!(last_said(&s), "say not-reached message-menu under message-menu");
    is_back(&mut s);
    // Nobody says how long that rings: we do.
    let mut s = outside("+4930*", UnknownCallee::Forward);
    s.run_ms(169_000);
    assert_eq!(s.phase(), PhaseName::Ringing);
    s.run_ms(1_100);
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    is_back(&mut s);
    for (destinations, unknown, why) in [
        (
            "+4940*",
            UnknownCallee::Forward,
            "no entry of the profile's destinations admits +4930123",
        ),
        ("*", UnknownCallee::Reject, "that is no subscriber"),
    ] {
        let mut s = outside(destinations, unknown);
        assert_eq!(last_said(&s), "say cannot-call-back message-menu under message-menu");
        assert!(invited(&mut s, 1).is_none());
        is_back(&mut s);
        s.a().hangs_up();
        let record = ended(&mut s);
        assert!(record.why.contains(why), "{}", record.why);
    }
}

#[test]
fn the_senders_rules_hold_but_nobody_is_sent_from_a_mailbox_to_another() {
    for first in [
        segue_policy::First::Greeting(Some(Why::Dnd)),
        segue_policy::First::HangUp { anonymous: false },
    ] {
        let mut s = calls_back(mailbox(SENDER).lookup(|lookup| lookup.plan.decided.first = first));
        assert_eq!(last_said(&s), "say cannot-call-back message-menu under message-menu");
        is_back(&mut s);
    }
    let mut s = calls_back(mailbox(SENDER).lookup(|lookup| lookup.plan.engage(1)));
    assert_eq!(
        last_said(&s),
        "say cannot-call-back message-menu under message-menu",
        "in a call"
    );
    is_back(&mut s);
}

#[test]
fn what_the_account_may_not_do_is_not_done_and_a_store_that_says_nothing_is_not_waited_for() {
    for reply in [
        StoreReply::TooManyCalls { calls_max: 3 },
        StoreReply::LookupFailed {
            why: "the account bob calls more often than 2 times a minute".into(),
        },
    ] {
        let mut setup = mailbox(SENDER);
        setup.lookup = reply;
        let mut s = calls_back(setup);
        assert_eq!(last_said(&s), "say cannot-call-back message-menu under message-menu");
        is_back(&mut s);
    }
    let mut setup = mailbox(SENDER);
    setup.lookup_ms = 20_000;
    let mut s = calls_back(setup);
    s.keys("7#*0");
    assert_eq!(
        s.asked_of_desk().last().map(String::as_str),
        Some("heard one"),
        "keys wait"
    );
    s.run_ms(15_000);
    assert_eq!(last_said(&s), "say cannot-call-back message-menu under message-menu");
    s.keys("5");
    s.run_ms(4_000);
    assert_eq!(last_said(&s), "say cannot-call-back message-menu under message-menu");
    assert!(invited(&mut s, 1).is_none(), "a late answer rings nobody");
    is_back(&mut s);
}

#[test]
fn there_is_an_end_to_calling() {
    let mut s = calls_back(mailbox(SENDER));
    for leg in 1..=10 {
        s.target(leg).refuses(486, "");
        s.run_ms(1);
        s.keys("5");
        s.run_ms(10);
    }
    assert_eq!(last_said(&s), "say cannot-call-back message-menu under message-menu");
    assert!(invited(&mut s, 11).is_none());
    is_back(&mut s);
}

#[test]
fn what_was_marked_for_deletion_can_be_had_back_until_the_subscriber_goes_on() {
    let mut s = mailbox(SENDER).call();
    s.a().acks();
    hears(&mut s);
    s.keys("75");
    s.run_ms(10);
    s.b().answers();
    s.run_ms(1_000);
    s.b().hangs_up();
    s.run_ms(1);
    assert!(!s.asked_of_desk().contains(&"delete one".to_owned()));
    s.keys("75");
    s.run_ms(10);
    s.target(2).answers();
    s.keys("1");
    s.a().hangs_up();
    s.run_ms(10);
    assert!(!s.asked_of_desk().contains(&"delete one".to_owned()), "7 took it back");
    let mut s = mailbox(SENDER).call();
    s.a().acks();
    hears(&mut s);
    s.keys("75");
    s.run_ms(10);
    s.a().hangs_up();
    s.run_ms(10);
    assert_eq!(s.asked_of_desk().last().map(String::as_str), Some("delete one"));
}

#[test]
fn the_operator_lost_media_and_the_longest_call_end_all_of_it() {
    let mut s = talks(mailbox(SENDER));
    s.operator_hangs_up();
    assert_eq!(
        (s.a().got(), s.b().got()),
        (
            vec!["200 sdp".to_owned(), "BYE".to_owned()],
            vec!["INVITE".to_owned(), "BYE".to_owned()]
        )
    );
    assert_eq!(ended(&mut s).cause, Some(480));
    let mut s = talks(mailbox(SENDER));
    s.media(MediaEvent::RtpGone { leg: A });
    assert_eq!((s.a().got().len(), s.b().got().len()), (2, 2));
    assert!(ended(&mut s).why.contains("sent nothing any more"));
    let mut s = talks(mailbox(SENDER));
    s.media(MediaEvent::RtpGone { leg: B });
    assert_eq!(s.b().got(), ["INVITE", "BYE"]);
    is_back(&mut s);
    let mut setup = mailbox(SENDER);
    setup.profile.call_max_ms = 60_000;
    let mut s = talks(setup);
    s.run_ms(60_000);
    assert_eq!(s.b().got(), ["INVITE", "BYE"]);
    assert!(ended(&mut s).why.contains("stayed as long as a call may last"));
}

#[test]
fn without_prompts_it_is_silent_and_works() {
    let mut setup = mailbox(SENDER);
    setup.desk.speaks = false;
    let mut s = calls_back(setup);
    s.run_ms(5_000);
    assert_eq!(s.phase(), PhaseName::Ringing);
    s.b().answers();
    s.run_ms(1_000);
    s.b().hangs_up();
    s.run_ms(1);
    is_back(&mut s);
}
