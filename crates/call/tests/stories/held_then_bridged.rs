//! The main call without 100rel: held on the clip for the set time, forwarded, answered, bridged, hung up.

use segue_call::{LegAction, MediaEvent, Output, Source};
use segue_records::{CallResult, MediaKind, PhaseName, UnixMs};
use segue_sdp::Kind;

use crate::stage::{PACKET_MS, Setup, Stage};

fn invited_at(stage: &Stage) -> Option<u64> {
    let invite = |(at, o): &(u64, Output)| matches!(o, Output::Leg(_, LegAction::Invite { .. })).then_some(*at);
    stage.times().iter().find_map(invite)
}

#[test]
fn b_is_invited_when_the_hold_is_over_and_bridged_when_it_answers() {
    let mut s = Setup::default().call();
    assert_eq!(s.a().got(), ["183 sdp"]);
    assert_eq!(s.phase(), PhaseName::Holding);
    s.run_ms(5_999);
    assert_eq!(s.b().got(), Vec::<String>::new(), "not before the hold is over");
    s.run_ms(PACKET_MS);
    assert_eq!(s.b().got(), ["INVITE"]);
    assert_eq!(
        invited_at(&s),
        Some(PACKET_MS + 6_000),
        "hold_ms runs from the first clip packet"
    );
    s.b().rings();
    s.run_ms(3_000);
    s.b().answers();
    assert_eq!(s.a().got(), ["183 sdp", "183 sdp", "200 sdp"]);
    s.media(MediaEvent::Switched {
        to: Source::Callee,
        kind: Kind::Audio,
        gap_ms: Some(21),
    });
    s.a().acks();
    s.run_ms(60_000);
    s.a().hangs_up();
    assert_eq!(s.b().got(), ["INVITE", "BYE"]);
    let record = s.finish();
    assert_eq!(
        s.media_did(),
        [
            "open a",
            "configure a",
            "play clip looping",
            "open b",
            "configure b",
            "bridge b",
            "close b",
            "close"
        ]
    );
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!((record.hold_asked_ms, record.hold_ms), (Some(6_000), Some(6_000)));
    assert_eq!(record.started_at, UnixMs(1_700_000_000_000));
    assert_eq!(record.first_media_at, Some(UnixMs(1_700_000_000_002)));
    assert_eq!(record.invited_at, Some(UnixMs(1_700_000_006_002)));
    assert_eq!(record.answered_at.map(|at| at.0 - 1_700_000_000_000), Some(9_002));
    assert!(record.ended_at > record.answered_at);
    assert_eq!(record.phase_reached, PhaseName::Bridged);
    assert_eq!(record.cause, None);
    assert_eq!(record.why, "The callee answered; the caller hung up.");
    let legs: Vec<_> = record.legs.iter().map(|l| (l.target.as_str(), l.status)).collect();
    assert_eq!(
        legs,
        [
            ("sip:bob@segue.example", Some(200)),
            ("sip:bob@192.0.2.2:5070", Some(200))
        ]
    );
    let switch = &record.switches[0];
    assert_eq!(
        (switch.to.as_str(), switch.kind, switch.gap_ms),
        ("callee", MediaKind::Audio, Some(21))
    );
}

#[test]
fn a_gets_one_answer_and_b_is_offered_it() {
    let mut s = Setup::default().call();
    s.run_ms(6_010);
    s.b().rings();
    s.b().answers();
    let mut said = Vec::new();
    for action in s.a().actions() {
        match action {
            LegAction::Progress { sdp, .. } | LegAction::Answer { sdp } => said.push(sdp.unwrap()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(said.len(), 3);
    assert!(
        said.iter().all(|sdp| *sdp == said[0]),
        "byte-identical in every response"
    );
    let Some(LegAction::Invite {
        sdp,
        from,
        from_name,
        max_forwards,
        ..
    }) = s.b().actions().into_iter().next()
    else {
        panic!("no INVITE")
    };
    let offer = String::from_utf8(sdp.to_vec()).unwrap();
    assert!(
        offer.contains("m=audio 30004 RTP/AVP 0 101\r\n") && offer.contains("m=video 30006 RTP/AVP 97\r\n"),
        "{offer}"
    );
    assert_eq!(
        (from.to_string().as_str(), from_name.as_deref(), max_forwards),
        ("sip:alice@10.0.0.1", Some("Alice"), 69)
    );
    s.a().hangs_up();
    s.finish();
}

#[test]
fn the_same_seed_and_inputs_say_the_same() {
    let run = || {
        let mut s = Setup::default().call();
        s.run_ms(7_000);
        s.b().answers();
        s.b().hangs_up();
        s.finish();
        s.times().to_vec()
    };
    assert_eq!(run(), run());
}
