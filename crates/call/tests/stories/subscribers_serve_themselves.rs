//! A subscriber calls its mailbox, its greetings or do not disturb: no callee, answered at once, and keys decide what follows.

use segue_call::{Listed, NotReady};
use segue_mailbox::Played;
use segue_policy::ServiceCode;
use segue_records::{CallRecord, CallResult, PhaseName};

use crate::stage::{AUDIO, Desk, Setup, Stage, clip, sdp};

fn codes() -> Vec<ServiceCode> {
    ["*97 -> mailbox", "*98 -> greetings", "*78 -> dnd-on", "*79 -> dnd-off"]
        .map(|code| code.to_owned().try_into().unwrap())
        .to_vec()
}

/// Somebody who may have proven to be bob dials.
fn dials(to: &'static str, proven: bool, desk: Desk) -> Setup {
    let mut setup = Setup {
        to,
        desk,
        ..Setup::default()
    };
    setup.profile.service_codes = codes();
    setup.further.proven = proven.then(|| "bob".to_owned());
    setup
}

const MAILBOX: &str = "sip:*97@segue.example";
const GREETINGS: &str = "sip:*98@segue.example";

/// 20 s long.
fn message(id: &str) -> Listed {
    Listed {
        id: id.to_owned(),
        from: "sip:+4930123@pbx".to_owned(),
        received_at_ms: 1_700_000_000_000,
        duration_ms: 20_000,
        ..Listed::default()
    }
}

/// An old message, a new one and an urgent one, oldest first.
fn three() -> Desk {
    let mut desk = Desk::default();
    let old = Listed {
        heard: true,
        ..message("old")
    };
    let urgent = Listed {
        urgent: true,
        ..message("urgent")
    };
    desk.opened.messages = vec![old, message("new"), urgent];
    desk
}

fn call(setup: Setup) -> Stage {
    let mut s = setup.call();
    assert_eq!(s.a().got(), ["200 sdp"], "answered at once, once");
    s.a().acks();
    s
}

/// What was played of messages, and of what else.
fn played(s: &Stage) -> Vec<String> {
    let played = s.media_did().into_iter().filter(|did| did.starts_with("play"));
    played.collect()
}

/// A has hung up, or was.
fn ended(s: &mut Stage) -> CallRecord {
    let record = s.finish();
    assert_eq!(
        (record.result, record.phase_reached),
        (CallResult::Mailbox, PhaseName::Serving)
    );
    assert_eq!(record.legs.len(), 1, "there is no callee");
    record
}

#[test]
fn do_not_disturb_is_dialled_confirmed_and_hung_up() {
    for (code, on, did) in [
        (
            "sip:*78@segue.example",
            true,
            "bob called do not disturb, is not to be disturbed, was served.",
        ),
        (
            "sip:*79@segue.example",
            false,
            "bob called do not disturb, may be disturbed again, was served.",
        ),
    ] {
        let mut s = call(dials(code, true, Desk::default()));
        s.run_ms(10_000);
        assert_eq!(s.asked_of_desk(), [format!("dnd bob {on}")]);
        assert_eq!(s.store_did(), ["mailbox", "mailbox"], "nobody is looked up");
        assert_eq!(ended(&mut s).why, did);
    }
    let desk = Desk {
        fails: true,
        ..Desk::default()
    };
    let mut s = call(dials("sip:*78@segue.example", true, desk));
    s.run_ms(10_000);
    assert_eq!(
        ended(&mut s).why,
        "bob called do not disturb, was served.",
        "it was not done, and is not said to be"
    );
}

#[test]
fn a_code_means_nothing_where_the_profile_has_none_or_the_domain_is_not_ours() {
    let mut setup = dials("sip:*78@segue.example", true, Desk::default());
    setup.profile.service_codes.clear();
    assert_eq!(setup.call().store_did(), ["lookup"]);
    let mut setup = dials("sip:*78@elsewhere.example", true, Desk::default());
    setup.profile.domains = vec!["segue.example".parse().unwrap()];
    assert_eq!(setup.call().store_did(), ["lookup"], "an alias may be there");
}

#[test]
fn messages_come_one_after_the_other_new_and_urgent_ones_first_and_the_next_is_made_ready_ahead() {
    let mut s = call(dials(MAILBOX, true, three()));
    s.run_ms(4_000);
    assert_eq!(s.asked_of_desk(), ["open bob", "prepare urgent", "prepare new"]);
    assert_eq!(played(&s), ["play message -3 from 0"]);
    // The end, and then the next unasked.
    s.run_ms(30_000);
    assert_eq!(played(&s)[1..], ["play message -2 from 0"]);
    s.run_ms(60_000);
    assert_eq!(played(&s)[2..], ["play message -1 from 0"]);
    let asked = s.asked_of_desk();
    assert_eq!(
        asked,
        [
            "open bob",
            "prepare urgent",
            "prepare new",
            "heard urgent",
            "prepare old",
            "heard new"
        ]
    );
    // Then the menu, and a caller who says nothing is let go.
    s.run_ms(60_000);
    let record = ended(&mut s);
    assert_eq!(record.why, "bob called their mailbox, heard 2 messages, was served.");
}

#[test]
fn a_message_is_heard_when_80_percent_of_it_was_played_and_not_before() {
    let mut s = call(dials(MAILBOX, true, three()));
    s.run_ms(1_000);
    let began = s.times().len();
    assert!(began > 0 && played(&s).len() == 1);
    let heard = |s: &Stage| s.asked_of_desk().contains(&"heard urgent".to_owned());
    s.run_ms(15_500);
    assert!(!heard(&s));
    s.run_ms(1_000);
    assert!(heard(&s));
    // Left before that, the next one is not.
    s.keys("#");
    s.run_ms(10_000);
    s.a().hangs_up();
    assert_eq!(
        ended(&mut s).why,
        "bob called their mailbox, heard one message, hung up."
    );
    assert!(!s.asked_of_desk().contains(&"heard new".to_owned()));
}

#[test]
fn keys_go_back_and_forward_and_again() {
    let mut s = call(dials(MAILBOX, true, three()));
    s.run_ms(6_000);
    s.keys("6");
    let from = |s: &Stage| {
        let last = played(s).pop().unwrap();
        last.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert!((14_000..15_800).contains(&from(&s)), "{}", from(&s));
    s.keys("4");
    assert!((4_000..6_000).contains(&from(&s)), "{}", from(&s));
    s.keys("4");
    assert_eq!(from(&s), 0, "not before the start");
    s.run_ms(3_000);
    s.keys("1");
    assert_eq!((from(&s), played(&s).len()), (0, 5));
    // Skipping to the end is no hearing.
    s.keys("6");
    s.keys("6");
    s.run_ms(500);
    assert!(!s.asked_of_desk().contains(&"heard urgent".to_owned()));
    // After the end 4 shows its last part.
    s.keys("4");
    assert_eq!(from(&s), 10_000);
}

/// A message of a minute, and what was heard of it by now.
fn a_minute() -> Stage {
    a_minute_of(Played::default())
}

/// One that something was played of before.
fn a_minute_of(played: Played) -> Stage {
    let mut desk = Desk::default();
    desk.opened.messages = vec![Listed {
        played,
        duration_ms: 60_000,
        ..message("long")
    }];
    let mut s = call(dials(MAILBOX, true, desk));
    s.run_ms(3_000);
    s
}

fn is_heard(s: &Stage) -> bool {
    s.asked_of_desk().contains(&"heard long".to_owned())
}

#[test]
fn what_is_skipped_is_not_heard() {
    let mut s = a_minute();
    // Past 80 %, where next to nothing was played of it; then to its end.
    s.keys("66666");
    s.run_ms(14_000);
    assert!(!is_heard(&s), "a quarter of it was played");
    // From its start again, up to where it was.
    s.keys("1");
    s.run_ms(30_000);
    assert!(!is_heard(&s));
    s.run_ms(15_000);
    assert!(is_heard(&s), "80 % in all");
    s.a().hangs_up();
    ended(&mut s);
}

#[test]
fn what_is_played_twice_is_heard_once() {
    let mut s = a_minute();
    for _ in 0..4 {
        s.run_ms(14_000);
        s.keys("1");
    }
    assert!(!is_heard(&s), "a quarter of it, four times");
    s.run_ms(49_000);
    assert!(is_heard(&s));
    s.a().hangs_up();
    ended(&mut s);
}

#[test]
fn what_was_played_in_another_call_counts_with_what_is_played_in_this_one() {
    // Half of it, then A hangs up in the middle.
    let mut first = a_minute();
    first.run_ms(28_000);
    first.a().hangs_up();
    ended(&mut first);
    assert!(!is_heard(&first));
    let mut played = Played::default();
    for (id, from_ms, to_ms) in first.noted_as_played() {
        assert_eq!(id, "long");
        played.add(from_ms, to_ms);
    }
    assert!((29_500..31_000).contains(&played.total()), "half of it: {played:?}");

    // In another call from about there, by steps of 10 s: with 10 s more it is not enough, with 22 it is.
    let mut s = a_minute_of(played.clone());
    s.keys("666");
    s.run_ms(10_000);
    assert!(!is_heard(&s), "{:?}", s.noted_as_played());
    s.run_ms(12_000);
    assert!(is_heard(&s), "{:?}", s.noted_as_played());
    s.a().hangs_up();
    ended(&mut s);
    // Without the first call that is not enough.
    let mut s = a_minute();
    s.keys("666");
    s.run_ms(22_000);
    assert!(!is_heard(&s));
    // What was played before counts once, and the same part again adds nothing.
    let mut s = a_minute_of(played);
    s.run_ms(30_000);
    assert!(!is_heard(&s));
}

#[test]
fn what_is_deleted_can_be_brought_back_until_the_call_goes_on() {
    let mut s = call(dials(MAILBOX, true, three()));
    s.run_ms(3_000);
    let deleted = |s: &Stage| {
        let asked = s.asked_of_desk().into_iter();
        asked.filter(|asked| asked.starts_with("delete")).collect::<Vec<_>>()
    };
    s.keys("7");
    s.run_ms(1_000);
    s.keys("7");
    s.run_ms(1_000);
    s.keys("7");
    assert!(deleted(&s).is_empty(), "not yet");
    s.keys("#");
    assert_eq!(deleted(&s), ["delete urgent"]);
    s.run_ms(2_000);
    assert_eq!(
        played(&s).last().unwrap(),
        "play message -2 from 0",
        "the next, none is skipped"
    );
    s.keys("77#");
    assert_eq!(deleted(&s), ["delete urgent"], "brought back");
    s.run_ms(2_000);
    assert_eq!(played(&s).last().unwrap(), "play message -1 from 0");
    // Hanging up goes on, too.
    s.keys("7");
    s.a().hangs_up();
    assert_eq!(deleted(&s), ["delete urgent", "delete old"]);
    assert_eq!(
        ended(&mut s).why,
        "bob called their mailbox, deleted 2 messages, hung up."
    );
}

#[test]
fn a_message_that_is_kept_is_deleted_no_more() {
    let mut s = call(dials(MAILBOX, true, three()));
    s.run_ms(3_000);
    s.keys("79");
    s.run_ms(1_000);
    s.a().hangs_up();
    ended(&mut s);
    let asked = s.asked_of_desk();
    assert!(
        asked.contains(&"keep urgent".to_owned()) && !asked.contains(&"delete urgent".to_owned()),
        "{asked:?}"
    );
}

#[test]
fn one_that_is_not_ready_is_waited_for_and_one_that_never_is_passed_over() {
    let mut desk = three();
    desk.ready_ms = 9_000;
    desk.not_ready = vec![(
        "new",
        NotReady::Failed {
            why: "no worker".into(),
        },
    )];
    let mut s = call(dials(MAILBOX, true, desk));
    s.run_ms(8_000);
    assert!(played(&s).is_empty());
    s.run_ms(2_000);
    assert_eq!(played(&s), ["play message -3 from 0"]);
    s.keys("#");
    s.run_ms(30_000);
    assert_eq!(
        played(&s)[1..],
        ["play message -1 from 0"],
        "the one between could not be played"
    );
    s.a().hangs_up();
    ended(&mut s);
}

#[test]
fn a_raw_message_is_not_asked_for() {
    let mut desk = Desk::default();
    let raw = Listed {
        raw: true,
        ..message("raw")
    };
    desk.opened.messages = vec![raw];
    let mut s = call(dials(MAILBOX, true, desk));
    s.run_ms(20_000);
    assert_eq!((s.asked_of_desk(), played(&s)), (vec!["open bob".to_owned()], vec![]));
    s.a().hangs_up();
    ended(&mut s);
}

#[test]
fn a_caller_with_sound_alone_hears_the_sound() {
    let mut setup = dials(MAILBOX, true, three());
    setup.offer = Some(sdp(AUDIO));
    let mut s = call(setup);
    s.run_ms(3_000);
    let prepared = s.stored().into_iter().find_map(|action| match action {
        segue_call::StoreAction::Mailbox(action) => match *action {
            segue_call::MailboxAction::Prepare { audio, video, .. } => Some((audio.is_some(), video.is_some())),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(prepared, Some((true, false)));
    assert_eq!(played(&s).len(), 1);
}

#[test]
fn who_is_not_proven_gives_number_and_pin() {
    let mut s = call(dials(MAILBOX, false, three()));
    s.run_ms(1_000);
    s.keys("101#");
    s.keys("2580#");
    s.run_ms(3_000);
    assert_eq!(s.asked_of_desk()[..2], ["log in 101", "open bob"]);
    s.a().hangs_up();
    assert!(ended(&mut s).why.starts_with("bob called their mailbox"));
    // A pause ends a number as # does, * begins it anew.
    let mut s = call(dials(MAILBOX, false, three()));
    s.keys("99*101");
    s.run_ms(5_000);
    s.keys("2580");
    s.run_ms(5_000);
    assert_eq!(s.asked_of_desk()[..2], ["log in 101", "open bob"]);
}

#[test]
fn three_wrong_pins_end_the_call_and_none_of_them_is_printed() {
    let mut s = call(dials(MAILBOX, false, three()));
    for pin in ["4826#", "735#", "9174#"] {
        s.keys("101#");
        s.keys(pin);
        assert!(
            !format!("{:?}", s.times()).contains(pin.trim_end_matches('#')),
            "digits of a PIN are printed"
        );
        s.run_ms(1_000);
    }
    s.run_ms(2_000);
    assert_eq!(s.asked_of_desk(), ["log in 101", "log in 101"], "735 is nobody's");
    let record = ended(&mut s);
    assert_eq!(
        record.why,
        "Somebody who did not prove who they are called their mailbox, gave wrong numbers or PINs, was served."
    );
}

#[test]
fn a_greeting_is_recorded_seen_and_used() {
    let mut s = call(dials(GREETINGS, true, Desk::default()));
    s.run_ms(1_000);
    s.keys("1");
    s.run_ms(3_000);
    let manifest = s.manifest.clone().unwrap();
    assert_eq!(
        (manifest.purpose, manifest.mailbox.as_str()),
        (segue_mailbox::Purpose::Greeting, "bob"),
        "a crash makes no message of it"
    );
    s.run_ms(4_000);
    s.keys("#");
    s.run_ms(4_000);
    s.keys("2");
    s.run_ms(4_000);
    s.keys("1");
    s.run_ms(1_000);
    assert_eq!(s.asked_of_desk(), ["open bob", "make clip bob", "greeting bob rec-1"]);
    assert_eq!(played(&s).iter().filter(|did| did.contains("greeting")).count(), 1);
    s.a().hangs_up();
    let why = ended(&mut s).why;
    assert_eq!(
        why,
        "bob called their greetings, recorded a greeting, chose a greeting, hung up."
    );
}

#[test]
fn a_recording_too_short_is_dropped_and_one_broken_off_too() {
    let mut s = call(dials(GREETINGS, true, Desk::default()));
    s.run_ms(1_000);
    s.keys("1");
    s.run_ms(1_400);
    s.keys("#");
    s.run_ms(1_000);
    assert_eq!(s.store_did().last(), Some(&"discard"));
    // Back in the menu.
    s.keys("1");
    s.run_ms(5_000);
    s.a().hangs_up();
    ended(&mut s);
    assert_eq!(s.asked_of_desk(), ["open bob"]);
}

#[test]
fn clips_are_looked_at_and_chosen_and_the_pin_is_changed() {
    let mut desk = Desk::default();
    desk.opened.clips = vec![clip(20, "ring", 2_000), clip(21, "rec-0", 2_000)];
    let mut s = call(dials(GREETINGS, true, desk));
    s.run_ms(1_000);
    s.keys("3");
    s.run_ms(3_000);
    s.keys("#1");
    s.run_ms(1_000);
    // Too easy; then not the same twice; then well.
    s.keys("4");
    s.keys("1234#");
    s.keys("2580#2581#");
    s.keys("2580#2580#");
    s.run_ms(1_000);
    assert_eq!(s.asked_of_desk(), ["open bob", "clip bob rec-0", "pin bob 2580"]);
    s.a().hangs_up();
    assert_eq!(
        ended(&mut s).why,
        "bob called their greetings, chose a clip, changed their PIN, hung up."
    );
}

#[test]
fn who_says_nothing_is_asked_again_and_then_let_go() {
    let mut s = call(dials(MAILBOX, true, Desk::default()));
    s.run_ms(20_000);
    assert!(!s.has_ended());
    s.run_ms(20_000);
    assert_eq!(ended(&mut s).why, "bob called their mailbox, was served.");
}

#[test]
fn an_invite_without_an_offer_gets_ours_in_the_200() {
    let mut setup = dials(MAILBOX, true, three());
    setup.offer = None;
    let mut s = setup.call();
    assert_eq!(s.a().got(), ["200 sdp"]);
    s.run_ms(1_000);
    assert!(s.asked_of_desk().is_empty(), "its answer comes first");
    s.a().answers_our_offer(sdp(AUDIO));
    s.run_ms(3_000);
    assert_eq!(played(&s).len(), 1);
    s.a().hangs_up();
    ended(&mut s);
}

#[test]
fn the_operator_ends_it_and_what_was_deleted_is_deleted() {
    let mut s = call(dials(MAILBOX, true, three()));
    s.run_ms(3_000);
    s.keys("7");
    s.operator_hangs_up();
    assert!(s.asked_of_desk().contains(&"delete urgent".to_owned()));
    assert_eq!(ended(&mut s).cause, Some(480));
}

/// What was said, under which picture.
fn said(s: &Stage) -> Vec<String> {
    let said = s.media_did().into_iter();
    said.filter_map(|did| did.strip_prefix("say ").map(str::to_owned))
        .collect()
}

#[test]
fn the_mailbox_says_how_many_messages_there_are_and_of_each_what_it_is_from_whom_and_when() {
    let mut desk = three();
    desk.speaks = true;
    desk.opened.messages[2].video = true;
    let mut s = call(dials(MAILBOX, true, desk));
    s.run_ms(70_500);
    let first = said(&s);
    assert_eq!(
        first[0],
        "you-have n2 new-messages and one old-message one urgent-message under mailbox"
    );
    // 14 November 2023, 22:13:20 UTC, which is now.
    assert_eq!(
        first[1],
        "urgent video-message from plus n4 n9 n3 n0 n1 n2 n3 received today at n10 n13 pm under mailbox"
    );
    s.run_ms(500);
    assert_eq!(said(&s)[2], "message-menu under message-menu", "after the message");
    // Keys cut in.
    s.keys("7");
    assert_eq!(said(&s)[3], "deleted message-menu under message-menu");
    s.keys("#");
    assert!(said(&s)[4].starts_with("voice-message from plus"), "{:?}", said(&s));
    s.keys("0");
    assert_eq!(said(&s)[5], "settings-menu under settings-menu");
    s.a().hangs_up();
    ended(&mut s);
}

#[test]
fn who_types_a_number_is_not_spoken_over() {
    let desk = Desk {
        speaks: true,
        ..Desk::default()
    };
    let mut s = call(dials(MAILBOX, false, desk));
    s.run_ms(500);
    s.keys("1");
    let did = s.media_did();
    assert_eq!(did[did.len() - 2..], ["say enter-mailbox under mailbox", "hush"]);
    s.keys("01#");
    assert_eq!(said(&s).last().unwrap(), "enter-pin under pin");
    s.a().hangs_up();
    ended(&mut s);
}
