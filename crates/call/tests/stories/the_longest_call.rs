//! A call has a longest time, counted from the callee's answer.

use segue_call::{MediaAction, MediaEvent, Source, Towards};
use segue_policy::MediaFrom;
use segue_records::CallResult;
use segue_sdp::Family;

use crate::stage::{A, Setup};

#[test]
fn both_sides_are_told_and_the_record_says_so() {
    let mut setup = Setup::default();
    setup.profile.call_max_ms = 90_000;
    let mut s = setup.call();
    s.run_ms(7_000);
    s.b().answers();
    s.a().acks();
    s.run_ms(89_999);
    assert_eq!(s.b().got(), ["INVITE"], "not a moment too early");
    s.run_ms(1);
    assert_eq!(
        (s.a().got().pop().unwrap(), s.b().got().pop().unwrap()),
        ("BYE".into(), "BYE".into())
    );
    let reason = "Q.850;cause=102;text=\"Longest call reached\"";
    assert_eq!(s.a().got_reason().as_deref(), Some(reason));
    assert_eq!(s.b().got_reason().as_deref(), Some(reason));
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!(
        record.why,
        "The callee answered; the call had lasted as long as it may, 90 s."
    );
}

#[test]
fn without_a_limit_a_call_lasts() {
    let mut setup = Setup::default();
    setup.profile.call_max_ms = 0;
    let mut s = setup.call();
    s.run_ms(7_000);
    s.b().answers();
    s.a().acks();
    s.run_ms(7 * 86_400_000);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.a().hangs_up();
    assert_eq!(s.finish().why, "The callee answered; the caller hung up.");
}

#[test]
fn the_packet_path_gets_the_profiles_rules_before_anything_else() {
    let mut setup = Setup::default();
    setup.profile.rtp_gone_ms = 4_000;
    setup.profile.media_from = MediaFrom::Nat;
    let mut s = setup.call();
    s.run_ms(1_000);
    let rules = MediaAction::Rules {
        rtp_gone_ms: 4_000,
        media_from: MediaFrom::Nat,
        source: "10.0.0.1".parse().unwrap(),
    };
    let open = MediaAction::Open {
        leg: A,
        towards: Towards::Family(Family::V4),
    };
    assert_eq!(s.media_actions()[..2], [open, rules]);
    s.media(MediaEvent::Switched {
        to: Source::Clip,
        kind: segue_sdp::Kind::Audio,
        gap_ms: None,
    });
    s.a().cancels();
    s.finish();
}
