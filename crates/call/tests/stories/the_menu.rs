//! The caller is asked what to leave, and what becomes of it.

use segue_call::{MediaAction, MediaEvent, Source, StoreAction};
use segue_mailbox::{Kind, Rule, StopCause};
use segue_policy::{AnswerAt, Language};
use segue_records::{CallResult, PhaseName};

use crate::stage::{AUDIO, PlaceReply, Preview, SAYING_MS, Setup, Stage, clip, sdp};

/// Prompts are ready, and the callee's mailbox has the menu.
fn menu(setup: Setup) -> Setup {
    setup.lookup(|l| {
        l.clip = None;
        l.plan.menu = true;
        l.plan.language = Language::De;
        l.prompts = Some(clip(0, "prompts-de", 0));
    })
}

/// A caller who is being asked: greeting of 4 s, then the question.
fn asked(setup: Setup) -> Stage {
    let mut s = menu(setup).call();
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    s.run_ms(4_500);
    assert_eq!(s.phase(), PhaseName::Choosing);
    s
}

/// A caller in the recorder after this key, three seconds of message spoken.
fn recording(setup: Setup, key: char) -> Stage {
    let mut s = asked(setup);
    s.press(key);
    s.run_ms(1_100 + 3_000);
    assert_eq!(s.phase(), PhaseName::Recording);
    s
}

/// A caller who has ended that with #.
fn reviewing(setup: Setup) -> Stage {
    let mut s = recording(setup, '1');
    s.press('#');
    s.run_ms(100);
    assert_eq!(s.phase(), PhaseName::Reviewing);
    s
}

/// What was done since the recorder first ran.
fn since_the_recorder(s: &Stage) -> Vec<String> {
    let did = s.media_did();
    let at = did.iter().position(|word| word == "record").unwrap();
    did[at..].to_vec()
}

fn manifests(s: &Stage) -> Vec<(Kind, usize, Option<u64>)> {
    let records = s.media_actions().into_iter().filter_map(|action| match action {
        MediaAction::Record {
            manifest, silence_ms, ..
        } => Some((manifest.kind, manifest.streams.len(), silence_ms)),
        _ => None,
    });
    records.collect()
}

#[test]
fn after_the_greeting_the_caller_is_asked_and_has_been_answered() {
    let mut setup = Setup::default();
    setup.answer_at(AnswerAt::AfterGreeting);
    let mut s = menu(setup).call();
    s.b().refuses(486, "Busy Here");
    s.run_ms(4_500);
    assert_eq!(s.phase(), PhaseName::Choosing);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    assert_eq!(s.media_did().last().unwrap(), "say choose under choose");
    let said = s.media_actions().into_iter().find_map(|action| match action {
        MediaAction::Say {
            language, audio, video, ..
        } => Some((language, audio.is_some(), video.is_some())),
        _ => None,
    });
    assert_eq!(said, Some((Language::De, true, true)));
    s.a().acks();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.phase_reached),
        (CallResult::Greeted, PhaseName::Choosing)
    );
    assert_eq!(s.store_did(), ["lookup", "reserve", "release"]);
}

#[test]
fn one_is_a_video_message_and_two_sound_alone_under_a_picture_that_says_so() {
    let s = recording(Setup::default(), '1');
    assert_eq!(manifests(&s), [(Kind::Video, 2, None)]);
    let s = recording(Setup::default(), '2');
    assert_eq!(manifests(&s), [(Kind::Audio, 1, Some(5_000))]);
    assert_eq!(
        s.media_did()[s.media_did().len() - 3..],
        ["say  under voice-message", "play beep", "record"]
    );
    let beep = s.media_actions().into_iter().find_map(|action| match action {
        MediaAction::Play {
            source: Source::Beep,
            clip,
            ..
        } => Some((clip.audio.is_some(), clip.video.is_some())),
        _ => None,
    });
    assert_eq!(beep, Some((true, false)), "the picture is not that of a video message");
}

#[test]
fn a_key_told_by_info_counts_as_well() {
    let mut s = asked(Setup::default());
    s.a().presses('2');
    s.run_ms(1_200);
    assert_eq!(manifests(&s), [(Kind::Audio, 1, Some(5_000))]);
}

#[test]
fn who_presses_nothing_is_recorded_as_it_shows_itself() {
    let mut s = asked(Setup::default());
    s.run_ms(SAYING_MS + 4_000 + 1_100);
    assert_eq!(s.phase(), PhaseName::Recording);
    assert_eq!(manifests(&s), [(Kind::Video, 2, None)]);
}

#[test]
fn who_shows_no_picture_is_not_asked_for_one() {
    let mut s = asked(Setup {
        offer: Some(sdp(AUDIO)),
        ..Setup::default()
    });
    assert_eq!(s.media_did().last().unwrap(), "say choose-voice under choose-voice");
    s.press('1');
    assert_eq!(
        s.media_did().last().unwrap(),
        "say not-a-choice choose-voice under choose-voice"
    );
    s.press('2');
    s.run_ms(1_200);
    assert_eq!(manifests(&s), [(Kind::Audio, 1, Some(5_000))]);
    assert!(
        !s.media_did().iter().any(|did| did.ends_with("voice-message")),
        "there is no picture"
    );
}

#[test]
fn another_key_asks_again_and_hash_skips_the_question() {
    let mut s = asked(Setup::default());
    s.press('5');
    assert_eq!(s.media_did().last().unwrap(), "say not-a-choice choose under choose");
    s.press('#');
    assert_eq!(s.media_did().last().unwrap(), "play beep");
}

#[test]
fn without_prompts_or_with_the_menu_off_the_beep_follows_and_hash_sends() {
    for change in [
        (|s: Setup| s.lookup(|l| l.prompts = None)) as fn(Setup) -> Setup,
        |s: Setup| s.lookup(|l| l.plan.menu = false),
    ] {
        let mut s = change(menu(Setup::default())).call();
        s.b().refuses(486, "Busy Here");
        s.a().acks();
        s.run_ms(5_100 + 2_000);
        assert_eq!(s.phase(), PhaseName::Recording);
        s.press('#');
        let record = s.finish();
        assert_eq!(record.result, CallResult::Message);
        assert!(!s.media_did().iter().any(|did| did.starts_with("say")));
    }
}

#[test]
fn a_mailbox_that_turns_out_to_be_full_says_so_in_the_menu() {
    let mut s = menu(Setup {
        place: PlaceReply::Full(Rule::UnheardMax),
        place_ms: Some(7_000),
        ..Setup::default()
    })
    .call();
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    s.run_ms(6_500);
    assert_eq!(s.phase(), PhaseName::Choosing);
    s.run_ms(1_000);
    assert_eq!(s.media_did().last().unwrap(), "play notice");
    s.run_ms(7_000);
    assert_eq!(s.finish().result, CallResult::MailboxFull);
}

#[test]
fn hash_asks_what_becomes_of_it_and_one_sends_it() {
    let mut s = reviewing(Setup::default());
    assert_eq!(
        since_the_recorder(&s),
        ["record", "stop key", "say after-video under after-video"]
    );
    assert_eq!(s.store_did(), ["lookup", "reserve", "hold"]);
    assert_eq!(s.a().got().last().unwrap(), "200 sdp", "it goes on");
    s.press('1');
    s.run_ms(200);
    assert_eq!(
        since_the_recorder(&s)[3..],
        ["say  under one-moment", "say sent under sent"],
        "it is said once it is so"
    );
    s.run_ms(SAYING_MS);
    let record = s.finish();
    assert_eq!(s.store_did(), ["lookup", "reserve", "hold", "deposit"]);
    assert_eq!(
        (record.result, record.message_id.is_some()),
        (CallResult::Message, true)
    );
    assert!(
        record.why.ends_with("the caller left a message of 3.1 s, ended by #."),
        "{}",
        record.why
    );
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    assert_eq!(record.phase_reached, PhaseName::Saving);
}

#[test]
fn no_key_sends_it() {
    let mut s = reviewing(Setup::default());
    s.run_ms(SAYING_MS + 5_000 + 200 + SAYING_MS);
    assert_eq!(s.finish().result, CallResult::Message);
    assert_eq!(s.a().got().last().unwrap(), "BYE");
}

#[test]
fn hanging_up_sends_it_wherever_the_caller_is() {
    // Keys, then how long until the caller hangs up.
    for (keys, wait_ms) in [
        ("", 0),
        ("", SAYING_MS + 1_000),
        ("2", 100),
        ("2", 2_000),
        ("3", 100),
        ("3", SAYING_MS + 500),
        ("9", 100),
        ("1", 10),
        ("1", 500),
    ] {
        let mut s = reviewing(Setup::default());
        keys.chars().for_each(|key| s.press(key));
        s.run_ms(wait_ms);
        s.a().hangs_up();
        let record = s.finish();
        assert_eq!(record.result, CallResult::Message, "{keys} {wait_ms}: {}", record.why);
        let deposits = s.store_did().iter().filter(|did| did.starts_with("deposit")).count();
        assert_eq!(deposits, 1, "{keys} {wait_ms}");
    }
}

#[test]
fn hanging_up_before_it_is_synced_sends_it_too() {
    let mut s = recording(Setup::default(), '1');
    s.press('#');
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Message);
    assert_eq!(s.store_did(), ["lookup", "reserve", "deposit"]);
}

#[test]
fn two_shows_it_again_as_soon_as_that_can_be_shown() {
    let mut s = reviewing(Setup::default());
    s.press('2');
    s.run_ms(1_600);
    assert_eq!(
        since_the_recorder(&s)[3..],
        ["say one-moment under one-moment", "play take"]
    );
    s.run_ms(3_000);
    assert_eq!(
        since_the_recorder(&s).last().unwrap(),
        "say after-video under after-video"
    );
    s.press('2');
    assert_eq!(since_the_recorder(&s).last().unwrap(), "play take", "made once");
    assert_eq!(s.store_did().iter().filter(|did| **did == "preview").count(), 1);
    s.press('1');
    s.run_ms(200 + SAYING_MS);
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn what_cannot_be_shown_again_is_told_and_can_still_be_sent() {
    for preview in [Preview::Fails, Preview::Takes(60_000)] {
        let mut s = reviewing(Setup {
            preview,
            ..Setup::default()
        });
        s.press('2');
        s.run_ms(30_100);
        let told = since_the_recorder(&s);
        assert!(
            told.iter()
                .any(|did| did == "say cannot-play after-video under after-video"),
            "{told:?}"
        );
        s.a().hangs_up();
        assert_eq!(s.finish().result, CallResult::Message);
    }
    let mut s = reviewing(Setup {
        unplayable: vec![Source::Take],
        ..Setup::default()
    });
    s.press('2');
    s.run_ms(1_700);
    assert_eq!(
        since_the_recorder(&s).last().unwrap(),
        "say cannot-play after-video under after-video"
    );
}

#[test]
fn three_records_it_again_and_the_earlier_one_goes_once_the_later_is_there() {
    let mut s = reviewing(Setup::default());
    s.press('3');
    s.run_ms(SAYING_MS + 1_100 + 2_000);
    assert_eq!(since_the_recorder(&s)[3..], ["say record-again", "play beep", "record"]);
    assert_eq!(s.phase(), PhaseName::Recording);
    s.press('#');
    s.run_ms(100);
    let ids: Vec<String> = s
        .media_actions()
        .into_iter()
        .filter_map(|action| match action {
            MediaAction::Record { manifest, .. } => Some(manifest.message_id),
            _ => None,
        })
        .collect();
    assert!(ids.len() == 2 && ids[0] < ids[1], "{ids:?}");
    let gone = |action: &StoreAction| matches!(action, StoreAction::Discard { message_id } if *message_id == ids[0]);
    assert!(s.stored().iter().any(gone), "{:?}", s.stored());
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.message_id.as_ref(), Some(&ids[1]));
    // The place was that of the first.
    assert_eq!(
        s.store_did(),
        ["lookup", "reserve", "hold", "discard", "hold", "release", "deposit"]
    );
}

#[test]
fn what_was_recorded_is_sent_where_nothing_better_comes() {
    // Hung up during the beep, or at once after it, or the recorder fails.
    for after_ms in [SAYING_MS + 500, SAYING_MS + 1_100 + 300] {
        let mut s = reviewing(Setup::default());
        s.press('3');
        s.run_ms(after_ms);
        s.a().hangs_up();
        let record = s.finish();
        assert_eq!(record.result, CallResult::Message, "{}", record.why);
        assert!(record.why.contains("of 3.1 s"), "{}", record.why);
    }
    let mut s = reviewing(Setup::default());
    s.press('3');
    s.run_ms(SAYING_MS + 1_100);
    s.media(MediaEvent::RecordFailed { why: "disk".into() });
    assert_eq!(s.finish().result, CallResult::Message);
    let mut s = reviewing(Setup::default());
    s.press('3');
    s.run_ms(SAYING_MS + 1_100 + 200);
    s.press('#');
    s.run_ms(100);
    assert_eq!(
        since_the_recorder(&s).last().unwrap(),
        "say too-short after-video under after-video",
        "the first one is looked at again"
    );
    s.press('1');
    s.run_ms(300 + SAYING_MS);
    assert!(s.finish().why.contains("of 3.1 s"));
}

#[test]
fn a_first_recording_that_is_too_short_is_recorded_again() {
    let mut s = asked(Setup::default());
    s.press('1');
    s.run_ms(1_100 + 200);
    s.press('#');
    s.run_ms(100);
    assert_eq!(since_the_recorder(&s).last().unwrap(), "say too-short record-again");
    s.run_ms(2 * SAYING_MS + 1_100 + 2_000);
    assert_eq!(s.phase(), PhaseName::Recording);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn who_hangs_up_on_that_has_left_nothing() {
    for after_ms in [100, 2 * SAYING_MS + 500] {
        let mut s = asked(Setup::default());
        s.press('1');
        s.run_ms(1_100 + 200);
        s.press('#');
        s.run_ms(after_ms);
        s.a().hangs_up();
        let record = s.finish();
        assert_eq!((record.result, record.message_id), (CallResult::TooShort, None));
        assert_eq!(s.store_did(), ["lookup", "reserve", "discard", "release"]);
    }
}

#[test]
fn nine_marks_it_urgent_and_takes_that_back() {
    let mut s = reviewing(Setup::default());
    s.press('9');
    assert_eq!(
        since_the_recorder(&s).last().unwrap(),
        "say marked-urgent after-video under after-video"
    );
    s.run_ms(2_000);
    s.a().hangs_up();
    s.finish();
    assert_eq!(s.store_did().last(), Some(&"deposit urgent"));
    let mut s = reviewing(Setup::default());
    s.press('9');
    s.run_ms(2_000);
    s.press('9');
    assert_eq!(
        since_the_recorder(&s).last().unwrap(),
        "say unmarked-urgent after-video under after-video"
    );
    s.a().hangs_up();
    s.finish();
    assert_eq!(s.store_did().last(), Some(&"deposit"));
}

#[test]
fn a_caller_records_ten_times_at_most() {
    let mut s = reviewing(Setup::default());
    for _ in 1..10 {
        s.press('3');
        s.run_ms(SAYING_MS + 1_100 + 2_000);
        assert_eq!(s.phase(), PhaseName::Recording);
        s.press('#');
        s.run_ms(100);
    }
    s.press('3');
    assert_eq!(
        since_the_recorder(&s).last().unwrap(),
        "say not-possible after-video under after-video"
    );
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn nobody_looks_at_it_for_ever() {
    let mut s = reviewing(Setup::default());
    for _ in 0..320 {
        s.run_ms(3_000);
        if s.has_ended() {
            break;
        }
        s.press('9');
    }
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn what_ends_a_recording_by_itself_sends_it_as_ever() {
    for cause in [StopCause::Longest, StopCause::RtpGone, StopCause::Silence] {
        let mut s = recording(Setup::default(), '1');
        s.media(MediaEvent::RecordingStopped { cause });
        let record = s.finish();
        assert_eq!(record.result, CallResult::Message);
        assert_eq!(s.a().got().last().unwrap(), "BYE");
    }
}

#[test]
fn the_operator_ends_a_look_at_it_and_it_is_kept() {
    let mut s = reviewing(Setup::default());
    s.operator_hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Message);
    assert_eq!(s.a().got().last().unwrap(), "BYE");
}

#[test]
fn a_message_that_cannot_be_stored_yet_is_not_said_to_be_sent() {
    let mut s = reviewing(Setup {
        deposit_fails: true,
        ..Setup::default()
    });
    s.press('1');
    let record = s.finish();
    assert_eq!(record.result, CallResult::Failed);
    assert!(record.why.contains("its spool is kept"), "{}", record.why);
    assert!(
        !s.media_did().iter().any(|did| did.contains("sent")),
        "{:?}",
        s.media_did()
    );
}
