//! What the callee's rules say of a call, by what they made of the plan when it was looked up: before anybody rings, and when nobody
//! takes the call. A keeps its one dialog and its one description throughout.

use segue_call::{LegAction, SentOn, StoreAction};
use segue_policy::{AnswerAt, ClipChoice, First, OnMissed, Outcome, Then, Why};
use segue_records::{CallRecord, CallResult, RuleRecord};

use crate::stage::{Setup, Stage, clip};

fn first(first: First) -> Setup {
    Setup::default().lookup(|lookup| {
        lookup.plan.decided.first = first;
        lookup.plan.decided.first_place = Some(2);
    })
}

/// The third rule is for this reason.
fn on(why: Why, outcome: Outcome) -> Setup {
    Setup::default().lookup(|lookup| {
        lookup.plan.decided.missed = vec![OnMissed { why, place: 3, outcome }];
        lookup.named = vec![clip(9, "away", 2_000)];
    })
}

fn forward() -> Outcome {
    Outcome {
        then: Some(Then::Forward("sip:deputy@192.0.2.9".into())),
        ..Outcome::default()
    }
}

fn acted(record: &CallRecord) -> Vec<String> {
    record.rules.iter().map(RuleRecord::told).collect()
}

/// The clips that were played, by their ids.
fn played(s: &Stage) -> Vec<i64> {
    let play = |action| match action {
        segue_call::MediaAction::Play { clip, .. } => Some(clip.clip),
        _ => None,
    };
    s.media_actions().into_iter().filter_map(play).collect()
}

#[test]
fn who_is_not_available_does_not_ring_and_the_caller_hears_the_greeting_at_once() {
    for (why, sentence) in [
        (Some(Why::Dnd), "The callee wants not to be disturbed"),
        (Some(Why::OutOfHours), "It was outside the callee's hours"),
        (Some(Why::Offline), "The callee was not registered"),
        (None, "A rule of the callee's sends the caller to the greeting"),
    ] {
        let mut s = first(First::Greeting(why)).call();
        assert_eq!(s.a().got(), ["200 sdp"], "no hold");
        s.a().acks();
        s.run_ms(8_000);
        assert_eq!(played(&s), [2, 3], "the greeting and the beep");
        s.a().hangs_up();
        let record = s.finish();
        assert_eq!((record.result, record.cause), (CallResult::Message, Some(480)));
        assert_eq!(
            (record.invited_at, record.hold_asked_ms, record.legs.len()),
            (None, None, 1)
        );
        assert!(record.why.starts_with(sentence), "{}", record.why);
        let told = why.map(|why| format!(" ({})", why.as_str())).unwrap_or_default();
        assert_eq!(acted(&record), [format!("2 greeting{told}")]);
    }
}

#[test]
fn an_early_greeting_comes_without_a_hold_too() {
    let mut setup = first(First::Greeting(Some(Why::Dnd)));
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = setup.call();
    assert_eq!(s.a().got(), ["183 sdp"]);
    s.run_ms(4_100);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"], "answered for the beep");
}

#[test]
fn a_caller_whom_a_rule_refuses_is_refused_before_any_media() {
    for (anonymous, status) in [(true, 433), (false, 603)] {
        let mut s = first(First::HangUp { anonymous }).call();
        assert_eq!(s.a().got(), [status.to_string()]);
        assert!(s.media_did().is_empty(), "{:?}", s.media_did());
        let record = s.finish();
        assert_eq!((record.result, record.cause), (CallResult::Rejected, Some(status)));
        assert_eq!(record.why, "Rule 2 of the callee's refuses the caller.");
        assert_eq!(acted(&record), ["2 hang-up"]);
    }
}

/// A reason, and how the callee comes by it.
type Fails = (Why, fn(&mut Stage));

#[test]
fn each_reason_has_its_greeting() {
    let away = || Outcome {
        greeting: Some(ClipChoice::Clip("away".into())),
        ..Outcome::default()
    };
    let fails: [Fails; 7] = [
        (Why::Busy, |s| s.b().refuses(486, "Busy Here")),
        (Why::Busy, |s| s.b().refuses(600, "Busy Everywhere")),
        (Why::Declined, |s| s.b().refuses(603, "Decline")),
        (Why::Offline, |s| s.b().refuses(480, "")),
        (Why::Offline, |s| s.b().refuses(404, "")),
        (Why::Offline, |s| s.b().cannot_be_reached(408)),
        (Why::NoAnswer, |s| {
            s.b().rings();
            s.run_ms(20_100);
        }),
    ];
    for (why, fail) in fails {
        for other in [Why::Busy, Why::Declined, Why::Offline, Why::NoAnswer] {
            let mut s = on(other, away()).call();
            s.run_ms(6_100);
            fail(&mut s);
            s.a().acks();
            s.run_ms(8_000);
            let (greeting, told) = match why == other {
                true => (9, vec![format!("3 greeting ({})", why.as_str())]),
                false => (2, vec![]),
            };
            assert_eq!(played(&s), [1, greeting, 3], "{why:?} {other:?}");
            s.a().hangs_up();
            let record = s.finish();
            assert_eq!(record.result, CallResult::Message);
            assert_eq!(acted(&record), told);
        }
    }
}

#[test]
fn a_busy_callee_s_call_is_forwarded_and_a_sees_one_dialog_throughout() {
    let mut s = on(Why::Busy, forward()).call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.run_ms(100);
    assert!(matches!(&s.target(2).actions()[0], LegAction::Invite { target, .. }
        if target.to_string() == "sip:deputy@192.0.2.9"));
    // How it has come there (RFC 7044 §10; RFC 5806 by the status).
    assert!(matches!(&s.target(2).actions()[0], LegAction::Invite { trail, .. }
        if trail.redirected == Some(486)
            && trail.entries == ["<sip:bob@segue.example>;index=1", "<sip:deputy@192.0.2.9>;index=1.2;mp=1"]));
    assert_eq!(played(&s), [1], "the clip goes on");
    s.target(2).rings();
    s.run_ms(3_000);
    s.target(2).answers();
    s.a().acks();
    s.run_ms(1_000);
    assert_eq!(
        s.a().got(),
        ["183 sdp", "183 sdp", "200 sdp"],
        "one description, one answer"
    );
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!(acted(&record), ["3 forward (busy)"]);
    assert_eq!(
        record.legs.iter().map(|leg| leg.status).collect::<Vec<_>>(),
        [Some(200), Some(486), Some(200)]
    );
}

#[test]
fn who_is_forwarded_to_rings_for_as_long_as_anybody_and_then_the_greeting_comes() {
    let mut s = on(Why::NoAnswer, forward()).call();
    s.run_ms(6_100);
    s.b().rings();
    s.run_ms(20_000);
    assert_eq!(s.b().got_reason().as_deref(), Some("SIP;cause=408;text=\"No answer\""));
    s.target(2).rings();
    s.run_ms(19_000);
    assert_eq!(played(&s), [1]);
    s.run_ms(1_200);
    s.a().acks();
    s.run_ms(6_000);
    assert_eq!(played(&s), [1, 2, 3], "nobody is forwarded twice");
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.legs.len()), (CallResult::Message, 3));
    assert_eq!(acted(&record), ["3 forward (no-answer)", "3 greeting (no-answer)"]);
}

#[test]
fn a_rule_that_forwards_to_where_the_call_came_from_leaves_it_to_the_greeting() {
    let mut setup = on(
        Why::Busy,
        Outcome {
            then: Some(Then::Forward("sip:bob@192.0.2.1:5060".into())),
            ..Outcome::default()
        },
    );
    setup.own_sockets = vec!["192.0.2.1:5060".parse().unwrap()];
    let mut s = setup.call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    s.run_ms(6_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.legs.len(), 2);
    assert!(
        record
            .why
            .contains("rule 3 of the callee's names sip:bob@192.0.2.1:5060, which could not be called"),
        "{}",
        record.why
    );
}

#[test]
fn a_rule_ends_the_call_of_who_was_declined() {
    let outcome = Outcome {
        then: Some(Then::HangUp),
        ..Outcome::default()
    };
    let mut s = on(Why::Declined, outcome).call();
    s.run_ms(6_100);
    s.b().refuses(603, "Decline");
    assert_eq!(s.a().got(), ["183 sdp", "603"], "as it came");
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Rejected, Some(603)));
    assert_eq!(
        record.why,
        "The callee declined (603 Decline); rule 3 of the callee's ends the call."
    );
}

#[test]
fn without_a_message_the_greeting_is_the_end_and_no_place_is_kept() {
    for (at, got) in [
        (AnswerAt::AfterGreeting, vec!["183 sdp", "181 sdp", "486"]),
        (AnswerAt::Greeting, vec!["183 sdp", "200 sdp", "BYE"]),
    ] {
        let outcome = Outcome {
            message: Some(false),
            ..Outcome::default()
        };
        let mut setup = on(Why::Busy, outcome);
        setup.answer_at(at);
        let mut s = setup.call();
        s.run_ms(6_100);
        s.b().refuses(486, "Busy Here");
        if at == AnswerAt::Greeting {
            s.a().acks();
        }
        s.run_ms(4_100);
        assert_eq!(played(&s), [1, 2], "{at:?}: no beep");
        assert_eq!(s.a().got(), got);
        assert!(!s.stored().iter().any(|did| matches!(did, StoreAction::Reserve { .. })));
        let record = s.finish();
        assert_eq!(
            (record.result, record.cause, record.message_id),
            (CallResult::Greeted, Some(486), None)
        );
        assert!(record.why.contains("the callee takes no message"), "{}", record.why);
    }
}

#[test]
fn with_neither_greeting_nor_message_the_caller_is_told_why() {
    let outcome = Outcome {
        greeting: Some(ClipChoice::None),
        message: Some(false),
        ..Outcome::default()
    };
    let mut s = on(Why::Busy, outcome).call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    assert_eq!(s.a().got(), ["183 sdp", "486"]);
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Rejected, Some(486)));
}

#[test]
fn a_caller_whom_another_server_sends_on_meets_the_rule_for_its_reason_and_is_not_forwarded() {
    for (cause, greeting) in [(Some(486), 9), (Some(408), 2), (None, 2)] {
        let mut outcome = forward();
        outcome.greeting = Some(ClipChoice::Clip("away".into()));
        let mut setup = on(Why::Busy, outcome);
        setup.further.sent_on = Some(SentOn {
            user: "bob".into(),
            uri: None,
            cause,
        });
        let mut s = setup.call();
        s.a().acks();
        s.run_ms(6_000);
        assert_eq!(played(&s), [greeting, 3], "{cause:?}");
        s.a().hangs_up();
        assert_eq!(s.finish().legs.len(), 1);
    }
}

#[test]
fn rules_are_asked_for_who_is_shown_and_not_for_who_calls_for_help() {
    let asked = |setup: Setup| {
        let s = setup.call();
        s.stored().into_iter().find_map(|did| match did {
            StoreAction::Lookup { calling, .. } => Some(calling),
            _ => None,
        })
    };
    let calling = asked(Setup::default()).unwrap().unwrap();
    assert!(calling.from.starts_with("sip:"), "{calling:?}");
    assert!(calling.at_ms >= 1_700_000_000_000);
    let help = Setup {
        emergency: Some(segue_policy::Emergency::CallBack),
        ..Setup::default()
    };
    assert_eq!(asked(help), Some(None));
}

#[test]
fn who_is_forwarded_before_anybody_rings_is_held_and_put_through() {
    let mut s = first(First::Ring)
        .lookup(|lookup| {
            lookup.plan.targets = vec!["sip:deputy@192.0.2.9".into()];
            lookup.plan.decided.forwarded_for = Some(302);
        })
        .call();
    s.run_ms(6_100);
    assert!(matches!(&s.b().actions()[0], LegAction::Invite { target, trail, .. }
        if target.to_string() == "sip:deputy@192.0.2.9" && trail.redirected == Some(302)));
    s.b().answers();
    s.a().acks();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.hold_asked_ms),
        (CallResult::Answered, Some(6_000))
    );
    assert_eq!(acted(&record), ["2 forward"]);
}

#[test]
fn a_rule_that_forwards_where_calls_of_theirs_do_not_go_leads_to_the_greeting_and_the_record_says_why() {
    let mut s = first(First::Ring)
        .lookup(|lookup| {
            lookup.plan.targets.clear();
            lookup.plan.barred = vec!["tel:+1900555".into()];
            lookup.plan.decided.forwarded_for = Some(302);
            lookup.plan.decided.barred = vec![2];
        })
        .call();
    assert_eq!(s.a().got(), ["200 sdp"], "no hold");
    s.a().acks();
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.cause, record.legs.len()),
        (CallResult::Message, Some(403), 1)
    );
    let why = "Rule 2 of the callee's forwards to tel:+1900555, where calls of theirs do not go (destinations)";
    assert!(record.why.starts_with(why), "{}", record.why);
    assert_eq!(acted(&record), ["2 forward"]);

    // When nobody takes the call: likewise. The deputy could be called, was it not for that.
    let mut s = on(Why::Busy, forward())
        .lookup(|lookup| lookup.plan.decided.barred = vec![3])
        .call();
    s.run_ms(6_100);
    s.b().refuses(486, "");
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.cause, record.legs.len()),
        (Some(486), 2),
        "nobody else is called"
    );
    let why = "rule 3 of the callee's names sip:deputy@192.0.2.9, where calls of theirs do not go (destinations)";
    assert!(record.why.contains(why), "{}", record.why);
    assert_eq!(acted(&record), ["3 greeting (busy)"]);
}

#[test]
fn a_callee_of_whose_places_none_is_called_is_missed() {
    let lookup = Setup::default().lookup(|lookup| {
        lookup.plan.barred = std::mem::take(&mut lookup.plan.targets);
    });
    let mut s = lookup.call();
    assert_eq!(s.a().got(), ["200 sdp"]);
    s.operator_hangs_up();
    let record = s.finish();
    assert_eq!(record.legs.len(), 1);
}
