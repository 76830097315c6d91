//! The main call with 100rel: media starts on the PRACK, B is not invited before it, no SDP follows the reliable answer.

use segue_call::LegAction;
use segue_policy::Reliable;
use segue_records::CallResult;

use crate::stage::{PACKET_MS, Setup};

fn setup() -> Setup {
    let mut setup = Setup {
        supports_100rel: true,
        ..Setup::default()
    };
    setup.profile.ringing_status = 180;
    setup
}

#[test]
fn media_starts_on_the_prack() {
    let mut s = setup().call();
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    s.run_ms(20_000);
    assert_eq!(
        s.media_did(),
        ["open a", "configure a"],
        "no clip and no B before the PRACK"
    );
    s.a().pracks();
    assert_eq!(s.media_did().last().unwrap(), "play clip looping");
    s.run_ms(PACKET_MS + 5_999);
    assert!(s.b().got().is_empty());
    s.run_ms(1);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.b().rings();
    s.b().rings();
    s.a().pracks();
    s.b().answers();
    assert_eq!(s.a().got(), ["183 reliable sdp", "180 reliable", "200"]);
    s.a().acks();
    s.b().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_lost_prack_is_a_server_time_out() {
    let mut s = setup().call();
    s.run_ms(32_000);
    s.a().loses_prack();
    assert_eq!(s.a().got(), ["183 reliable sdp", "504"]);
    let record = s.finish();
    assert!(s.b().got().is_empty());
    assert_eq!(
        (record.result, record.cause, record.hold_ms),
        (CallResult::Failed, Some(504), None)
    );
    assert!(record.why.contains("PRACK"), "{}", record.why);
}

/// `sip` may hold our 200 back for a PRACK; when a CANCEL comes first, or no PRACK, it never went out.
#[test]
fn a_200_that_was_held_back_is_no_answer_in_the_record() {
    for cancelled in [true, false] {
        let mut setup = setup().lookup(|found| found.clip = None);
        setup.answer_at(segue_policy::AnswerAt::AfterGreeting);
        let mut s = setup.call();
        s.b().refuses(486, "Busy Here");
        assert_eq!(s.a().got(), ["183 reliable sdp"]);
        s.a().pracks();
        s.media(segue_call::MediaEvent::Played {
            source: segue_call::Source::Greeting,
        });
        assert_eq!(s.a().got().last().unwrap(), "200");
        if cancelled {
            s.a().cancels();
        } else {
            s.a().loses_prack();
        }
        assert_eq!(s.finish().answered_at, None);
    }
}

#[test]
fn a_lost_prack_of_the_ringing_cancels_b() {
    let mut s = setup().call();
    s.a().pracks();
    s.run_ms(6_010);
    s.b().rings();
    s.a().loses_prack();
    assert_eq!(s.a().got(), ["183 reliable sdp", "180 reliable", "504"]);
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.finish().result, CallResult::Failed);
}

#[test]
fn a_profile_may_want_100rel_only_where_it_is_required() {
    let mut setup = setup();
    setup.profile.reliable = Reliable::Required;
    let mut s = setup.call();
    assert_eq!(s.a().got(), ["183 sdp"]);
    s.a().cancels();
    s.finish();
}

#[test]
fn a_profile_may_take_nobody_without_100rel() {
    let mut with = setup();
    with.profile.reliable = Reliable::Always;
    let mut s = with.clone().call();
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    s.a().cancels();
    s.finish();
    with.supports_100rel = false;
    let mut s = with.call();
    let said = s.a().actions();
    let [LegAction::Refuse(refusal)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!((refusal.status, refusal.require), (421, Some("100rel")));
    assert_eq!(s.finish().cause, Some(421));
}
