//! Every way in which a bridged call ends: both legs, once.

use segue_call::MediaEvent;
use segue_records::CallResult;

use crate::stage::{A, AUDIO, B, Setup, Stage, VIDEO, sdp};

fn bridged() -> Stage {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b().answers();
    s.a().acks();
    s.run_ms(10_000);
    s
}

#[test]
fn by_the_caller() {
    let mut s = bridged();
    s.a().hangs_up_because("Q.850;cause=31");
    assert_eq!(s.b().got(), ["INVITE", "BYE"]);
    assert_eq!(s.b().got_reason().unwrap(), "Q.850;cause=31", "the reason is passed on");
    assert_eq!(s.finish().result, CallResult::Answered);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
}

#[test]
fn by_the_callee() {
    let mut s = bridged();
    s.b().hangs_up();
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp", "BYE"]);
    assert_eq!(
        s.a().got_reason().unwrap(),
        "Q.850;cause=16;text=\"Normal call clearing\""
    );
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Answered, None));
    assert_eq!(s.b().got(), ["INVITE"]);
}

#[test]
fn by_both_at_once() {
    let mut s = bridged();
    s.a().hangs_up();
    s.input(segue_call::Input::Leg(B, segue_call::LegEvent::Bye { reason: None }));
    s.finish();
    assert_eq!((s.a().got().len(), s.b().got().len()), (2, 2), "one BYE, to B");
}

#[test]
fn by_a_callee_who_hangs_up_before_the_callers_ack() {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b().answers();
    s.b().hangs_up();
    assert_eq!(s.a().got().last().unwrap(), "BYE", "sip sends it after the ACK");
    s.finish();
}

#[test]
fn when_rtp_stops() {
    for (leg, who) in [(A, "caller"), (B, "callee")] {
        let mut s = bridged();
        s.media(MediaEvent::RtpGone { leg });
        assert_eq!(
            (
                s.a().got().last().unwrap().as_str(),
                s.b().got().last().unwrap().as_str()
            ),
            ("BYE", "BYE")
        );
        let record = s.finish();
        assert_eq!(record.result, CallResult::Answered);
        assert!(record.why.contains(who) && record.why.contains("RTP"), "{}", record.why);
    }
}

#[test]
fn but_not_while_a_side_holds() {
    let mut s = bridged();
    s.a()
        .offers(Some(sdp(&format!("{AUDIO}a=inactive\r\n{VIDEO}a=inactive\r\n"))));
    s.b()
        .answers_our_offer(sdp(&format!("{AUDIO}a=inactive\r\n{VIDEO}a=inactive\r\n")));
    for leg in [A, B] {
        s.media(MediaEvent::RtpGone { leg });
    }
    assert_eq!(s.a().got().last().unwrap(), "accept");
    s.a().offers(Some(sdp(&format!("{AUDIO}{VIDEO}"))));
    s.b().answers_our_offer(sdp(&format!("{AUDIO}{VIDEO}")));
    s.media(MediaEvent::RtpGone { leg: A });
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    s.finish();
}

#[test]
fn by_a_lost_ack() {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b().answers();
    s.run_ms(32_000);
    s.a().loses_ack();
    assert_eq!(s.b().got(), ["INVITE", "BYE"]);
    let record = s.finish();
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"], "sip has sent A's BYE");
    assert_eq!(record.result, CallResult::Failed);
    assert!(record.why.contains("ACK"), "{}", record.why);
}

#[test]
fn by_the_operator() {
    let mut s = bridged();
    s.operator_hangs_up();
    assert_eq!(
        (
            s.a().got().last().unwrap().as_str(),
            s.b().got().last().unwrap().as_str()
        ),
        ("BYE", "BYE")
    );
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn by_a_leg_that_breaks_off() {
    let mut s = bridged();
    s.a().breaks_off();
    assert_eq!(s.b().got(), ["INVITE", "BYE"]);
    assert_eq!(s.finish().result, CallResult::Failed);
    let mut s = bridged();
    s.b().breaks_off();
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    s.finish();
}

#[test]
fn a_wanted_key_frame_is_asked_for_by_info() {
    let mut s = bridged();
    s.media(MediaEvent::KeyFrameWanted { leg: B });
    s.media(MediaEvent::KeyFrameWanted { leg: A });
    assert_eq!(s.b().got().last().unwrap(), "key frame b");
    assert_eq!(s.a().got().last().unwrap(), "key frame a");
    s.a().hangs_up();
    s.media(MediaEvent::KeyFrameWanted { leg: A });
    s.finish();
}

#[test]
fn b_may_decline_video() {
    let mut s = Setup::default().call();
    s.run_ms(6_100);
    s.b()
        .answers_with(Some(sdp("m=audio 5000 RTP/AVP 0\r\nm=video 0 RTP/AVP 97\r\n")));
    assert_eq!(s.media_did()[4..], ["configure b", "bridge b"]);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}
