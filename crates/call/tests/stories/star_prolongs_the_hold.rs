//! `*` keeps the clip playing to its end, however it is told and however often; B's INVITE says so.

use segue_call::{LegAction, MediaEvent, Output, Source};
use segue_policy::Ring;
use segue_records::{CallResult, UnixMs};

use crate::stage::{PACKET_MS, Setup, Stage, clip};

const NOTE: &str = "The caller stays to watch your clip to its end";

/// When each target was invited, and what its phone was told.
fn invites(stage: &Stage) -> Vec<(u64, Option<String>)> {
    let invite = |(at, output): &(u64, Output)| match output {
        Output::Leg(_, LegAction::Invite { note, .. }) => Some((*at, note.clone())),
        _ => None,
    };
    stage.times().iter().filter_map(invite).collect()
}

fn told(at: u64) -> Vec<(u64, Option<String>)> {
    vec![(at, Some(NOTE.to_owned()))]
}

/// When B is invited, counted from the first packet, if A presses `*` 2 s after that.
fn held_ms(setup: Setup) -> u64 {
    let mut s = setup.call();
    s.run_ms(PACKET_MS + 2_000);
    s.press('*');
    s.run_ms(169_000);
    let at = invites(&s)[0].0;
    s.a().hangs_up();
    s.finish();
    at - PACKET_MS
}

#[test]
fn b_is_invited_when_the_clip_ends_and_told_why() {
    let mut s = Setup::default().call();
    s.run_ms(PACKET_MS + 2_000);
    s.press('*');
    s.run_ms(10_000);
    assert_eq!(invites(&s), told(PACKET_MS + 10_000), "a clip of 10 s, a hold of 6 s");
    s.b().answers();
    s.a().acks();
    s.b().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!((record.hold_asked_ms, record.hold_ms), (Some(10_000), Some(10_000)));
    assert_eq!(record.prolonged_at, Some(UnixMs(1_700_000_002_003)));
    assert_eq!(s.media_did()[2], "play clip looping", "played once, on and on");
}

#[test]
fn by_info_too_and_again_changes_nothing() {
    let mut s = Setup::default().call();
    s.run_ms(PACKET_MS + 1_000);
    s.a().presses('*');
    for _ in 0..4 {
        s.run_ms(2_000);
        s.a().presses('*');
        s.press('*');
    }
    s.run_ms(10_000);
    assert_eq!(invites(&s), told(PACKET_MS + 10_000));
    s.press('*');
    s.b().answers();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.prolonged_at, Some(UnixMs(1_700_000_001_003)), "the first press");
}

#[test]
fn before_the_first_packet_it_counts_too() {
    let mut s = Setup::default().call();
    s.press('*');
    s.run_ms(20_000);
    assert_eq!(invites(&s), told(PACKET_MS + 10_000));
    s.a().cancels();
    s.finish();
}

#[test]
fn a_hold_longer_than_the_clip_comes_to_the_next_end() {
    assert_eq!(held_ms(Setup::default().lookup(|l| l.plan.hold_ms = 12_000)), 20_000);
    assert_eq!(held_ms(Setup::default().lookup(|l| l.plan.hold_ms = 10_000)), 10_000);
}

#[test]
fn no_hold_is_longer_than_the_profile_allows_nor_shorter_than_planned() {
    let mut setup = Setup::default();
    setup.profile.hold_max_ms = 8_000;
    assert_eq!(held_ms(setup.clone()), 8_000);
    setup.profile.hold_max_ms = 3_000;
    assert_eq!(held_ms(setup), 6_000);
}

#[test]
fn the_callee_keeps_all_its_time_to_ring() {
    let mut setup = Setup::default().lookup(|l| l.clip = Some(clip(1, "film", 400_000)));
    setup.profile.hold_max_ms = 170_000;
    let mut s = setup.call();
    s.run_ms(5_000);
    s.press('*');
    s.run_ms(144_999);
    assert_eq!(invites(&s), told(150_000), "170 s for all, 20 s of them for B");
    s.run_ms(20_000);
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"], "not before its time is over");
    s.a().acks();
    s.a().hangs_up();
    s.finish();
}

#[test]
fn who_does_not_stay_after_all_is_not_said_to() {
    let mut s = Setup::default().call();
    s.run_ms(3_000);
    s.press('*');
    s.run_ms(5_000);
    s.press('#');
    s.run_ms(10);
    assert_eq!(invites(&s), [(8_001, None)]);
    s.a().cancels();
    assert_eq!(s.finish().hold_ms, Some(7_999));

    let mut s = Setup::default().call();
    s.run_ms(3_000);
    s.press('*');
    let (source, why) = (Source::Clip, "clip gone".to_owned());
    s.media(MediaEvent::PlayFailed { source, why });
    s.run_ms(10);
    assert_eq!(invites(&s), [(3_001, None)]);
    s.a().cancels();
    s.finish();
}

#[test]
fn without_the_key_nothing_is_said() {
    let mut s = Setup::default().call();
    s.run_ms(7_000);
    assert_eq!(invites(&s), [(PACKET_MS + 6_000, None)]);
    // B is being called: there is nothing left to prolong.
    s.press('*');
    s.a().cancels();
    let record = s.finish();
    assert_eq!((record.hold_asked_ms, record.prolonged_at), (Some(6_000), None));
}

#[test]
fn a_profile_may_say_something_else_or_nothing() {
    for (note, said) in [("Gleich!", Some("Gleich!".to_owned())), ("", None)] {
        let mut setup = Setup::default();
        setup.profile.prolonged_note = note.into();
        let mut s = setup.call();
        s.press('*');
        s.run_ms(12_000);
        assert_eq!(invites(&s), [(PACKET_MS + 10_000, said)]);
        s.a().cancels();
        s.finish();
    }
}

#[test]
fn every_target_is_told() {
    let setup = Setup::default().lookup(|l| {
        l.plan.targets = vec!["sip:bob@192.0.2.2".into(), "sip:bob@192.0.2.3".into()];
        l.plan.ring = Ring::InOrder;
        l.plan.ring_ms = 5_000;
    });
    let mut s = setup.call();
    s.press('*');
    s.run_ms(16_000);
    let notes: Vec<_> = invites(&s).into_iter().map(|(_, note)| note).collect();
    assert_eq!(notes, [Some(NOTE.to_owned()), Some(NOTE.to_owned())]);
    s.a().cancels();
    s.finish();
}
