//! Preconditions of A's offer (RFC 3312): the clip, and the callee, wait until A has reserved its resources.

use std::sync::Arc;

use segue_call::LegAction;
use segue_policy::PreconditionsToCallee;
use segue_records::CallResult;

use crate::stage::{AUDIO, PACKET_MS, Setup, Stage, VIDEO, sdp};

/// Audio with A's resources as `local` says, and ours wished for as IMS phones do.
fn offer(local: &str) -> Arc<[u8]> {
    sdp(&format!(
        "{AUDIO}a=curr:qos local {local}\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
         a=des:qos mandatory remote sendrecv\r\n{VIDEO}"
    ))
}

fn setup(local: &str) -> Setup {
    Setup {
        supports_100rel: true,
        offer: Some(offer(local)),
        ..Setup::default()
    }
}

fn plays(s: &Stage) -> bool {
    s.media_did().contains(&"play clip looping".to_owned())
}

#[test]
fn the_clip_waits_for_the_callers_resources() {
    let mut s = setup("none").call();
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    let answer = s.a().told_sdp();
    for line in [
        "a=curr:qos local sendrecv\r\n",
        "a=curr:qos remote none\r\n",
        "a=des:qos mandatory local sendrecv\r\n",
        "a=des:qos mandatory remote sendrecv\r\n",
        "a=conf:qos remote sendrecv\r\n",
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    s.a().pracks();
    s.run_ms(10_000);
    assert!(!plays(&s) && s.b().got().is_empty(), "{:?}", s.media_did());
    // It has them: what we asked to be told.
    s.a().offers(Some(offer("sendrecv")));
    let answer = s.a().told_sdp();
    assert!(
        answer.contains("a=curr:qos remote sendrecv\r\n") && !answer.contains("a=conf"),
        "{answer}"
    );
    assert!(plays(&s));
    s.run_ms(PACKET_MS + 6_000);
    let invited = s.b().told_sdp();
    assert!(!invited.contains("qos"), "the callee is told nothing of it: {invited}");
    s.b().answers();
    assert_eq!(s.a().got(), ["183 reliable sdp", "accept", "200"]);
    s.a().acks();
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn an_update_that_says_half_of_it_is_not_enough() {
    let mut s = setup("none").call();
    s.a().pracks();
    s.a().offers(Some(offer("send")));
    assert!(
        s.a().told_sdp().contains("a=conf:qos remote send\r\n"),
        "{}",
        s.a().told_sdp()
    );
    assert!(!plays(&s));
    s.a().offers(Some(offer("sendrecv")));
    assert!(plays(&s));
    s.a().cancels();
    s.finish();
}

#[test]
fn resources_that_are_there_need_no_waiting() {
    let mut s = setup("sendrecv").call();
    assert!(s.a().told_sdp().contains("a=curr:qos local sendrecv\r\n"));
    s.a().pracks();
    assert!(plays(&s));
    s.a().cancels();
    s.finish();
}

#[test]
fn without_a_clip_the_callee_waits_too() {
    let mut s = setup("none").lookup(|found| found.clip = None).call();
    s.a().pracks();
    s.run_ms(5_000);
    assert!(s.b().got().is_empty());
    s.a().offers(Some(offer("sendrecv")));
    s.run_ms(1);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.a().cancels();
    s.finish();
}

#[test]
fn resources_that_never_come_are_refused_with_580_and_what_was_missing() {
    let mut s = setup("none").call();
    s.a().pracks();
    s.run_ms(32_100);
    let said = s.a().actions();
    let Some(LegAction::Refuse(refusal)) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!(refusal.status, 580);
    let sdp = String::from_utf8(refusal.sdp.as_ref().unwrap().to_vec()).unwrap();
    assert!(sdp.contains("m=audio 0 ") && sdp.contains("m=video 0 "), "{sdp}");
    assert!(sdp.contains("a=des:qos failure remote sendrecv\r\n"), "{sdp}");
    assert_eq!(s.finish().cause, Some(580));
}

#[test]
fn a_prack_that_never_comes_is_another_matter() {
    let mut s = setup("none").call();
    s.run_ms(32_000);
    s.a().loses_prack();
    assert_eq!(s.finish().cause, Some(504));
}

#[test]
fn what_cannot_be_met_is_refused_at_once() {
    for (wanted, failed) in [
        ("a=des:qos mandatory e2e sendrecv\r\n", "a=des:qos failure e2e sendrecv"),
        ("a=des:moon mandatory remote send\r\n", "a=des:moon unknown local recv"),
    ] {
        let mut s = Setup {
            supports_100rel: true,
            offer: Some(sdp(&format!("{AUDIO}{wanted}"))),
            ..Setup::default()
        }
        .call();
        let said = s.a().actions();
        let [LegAction::Refuse(refusal)] = said.as_slice() else {
            panic!("{said:?}")
        };
        assert_eq!(refusal.status, 580);
        let sdp = String::from_utf8(refusal.sdp.as_ref().unwrap().to_vec()).unwrap();
        assert!(sdp.contains(failed), "{sdp}");
        s.finish();
    }
}

#[test]
fn what_is_optional_holds_nothing_up() {
    let mut s = Setup {
        offer: Some(sdp(&format!(
            "{AUDIO}a=curr:qos local none\r\na=des:qos optional local sendrecv\r\na=des:qos none remote sendrecv\r\n"
        ))),
        ..Setup::default()
    }
    .call();
    assert_eq!(s.a().got(), ["183 sdp"]);
    assert!(s.a().told_sdp().contains("a=des:qos optional remote sendrecv\r\n"));
    s.a().cancels();
    s.finish();
}

#[test]
fn preconditions_without_100rel_are_refused_with_421() {
    let mut s = Setup {
        supports_100rel: false,
        ..setup("none")
    }
    .call();
    assert_eq!(s.a().got(), ["421"]);
    s.finish();
}

#[test]
fn an_update_that_asks_for_the_impossible_gets_580_and_changes_nothing() {
    let mut s = setup("sendrecv").call();
    s.a().pracks();
    s.a().offers(Some(sdp(&format!(
        "{AUDIO}a=des:qos mandatory e2e sendrecv\r\n{VIDEO}"
    ))));
    assert_eq!(s.a().got(), ["183 reliable sdp", "refuse 580"]);
    assert!(plays(&s));
    s.a().cancels();
    s.finish();
}

#[test]
fn who_gives_up_while_it_reserves_has_abandoned_the_call() {
    let mut s = setup("none").call();
    s.a().pracks();
    s.a().cancels();
    assert!(s.b().got().is_empty());
    assert_eq!(s.finish().result, CallResult::AbandonedWhileHeld);
}

#[test]
fn a_profile_may_have_callees_offered_our_resources() {
    let mut setup = Setup::default().lookup(|found| found.plan.hold_ms = 0);
    setup.profile.preconditions_to_callee = PreconditionsToCallee::Offer;
    let mut s = setup.call();
    s.run_ms(100);
    let invited = s.b().told_sdp();
    for line in [
        "a=curr:qos local sendrecv\r\n",
        "a=curr:qos remote none\r\n",
        "a=des:qos optional local sendrecv\r\n",
        "a=des:qos optional remote sendrecv\r\n",
    ] {
        assert_eq!(invited.matches(line).count(), 2, "{line} in each stream of {invited}");
    }
    s.a().cancels();
    s.finish();
}
