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

/// The callee has answered, but our 200 waits for the PRACK of what it said early.
fn held_back() -> crate::stage::Stage {
    let mut setup = setup().lookup(|found| found.clip = None);
    setup.profile.callee_early_media = segue_policy::CalleeEarlyMedia::Any;
    let mut s = setup.call();
    let sdp = Some(crate::stage::sdp(&format!(
        "{}{}",
        crate::stage::AUDIO,
        crate::stage::VIDEO
    )));
    s.b().early(segue_call::Early {
        status: 183,
        fork: Some("one".into()),
        sdp: sdp.clone(),
        early_media: Some(vec![segue_sdp::Direction::SendRecv; 2]),
        ..segue_call::Early::default()
    });
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    s.b().answers_as("one", sdp);
    assert_eq!(s.a().got().last().unwrap(), "200");
    s.a().answer_is_held();
    s
}

#[test]
fn a_200_that_waits_is_charged_from_when_it_goes_out() {
    let mut s = held_back();
    s.run_ms(700);
    s.a().pracks();
    s.a().answer_is_sent();
    s.run_ms(100);
    s.a().acks();
    s.run_ms(5_000);
    s.b().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!(record.legs[0].status, Some(200));
    let (answered, started) = (record.answered_at.unwrap(), record.started_at);
    let callee = record.invited_at.unwrap();
    assert!(answered.0 >= callee.0 + 700, "{started:?} {callee:?} {answered:?}");
}

#[test]
fn a_200_that_never_goes_out_is_no_answer_however_the_call_ends() {
    type End = fn(&mut crate::stage::Stage);
    let ends: [(End, u16, CallResult); 3] = [
        (|s| s.b().hangs_up(), 480, CallResult::Failed),
        (|s| s.operator_hangs_up(), 480, CallResult::Failed),
        (|s| s.a().hangs_up(), 487, CallResult::Abandoned),
    ];
    for (end, status, result) in ends {
        let mut s = held_back();
        end(&mut s);
        let record = s.finish();
        assert_eq!((record.result, record.answered_at), (result, None));
        assert_eq!(record.legs[0].status, Some(status), "{}", record.why);
        assert!(!s.a().got().contains(&"BYE".to_owned()));
    }
}
