//! A subscriber with several targets: together or in order, the first that answers is connected, the others hear so.

use segue_call::{LegAction, MediaAction};
use segue_policy::Ring;
use segue_records::CallResult;
use segue_sdp::Kind;

use crate::stage::{Setup, Stage, sdp};

fn three(ring: Ring) -> Setup {
    Setup::default().lookup(|l| {
        l.plan.targets = (2..5).map(|n| format!("sip:bob@192.0.2.{n}:5070")).collect();
        l.plan.ring = ring;
    })
}

/// The hold is over, the first targets ring.
fn ringing(ring: Ring) -> Stage {
    let mut s = three(ring).call();
    s.run_ms(6_100);
    s
}

fn breadths(s: &mut Stage) -> Vec<u8> {
    let of = |action: LegAction| match action {
        LegAction::Invite { max_breadth, .. } => Some(max_breadth),
        _ => None,
    };
    (1..=3).flat_map(|n| s.target(n).actions()).filter_map(of).collect()
}

#[test]
fn together_all_ring_and_the_first_to_answer_wins() {
    let mut s = ringing(Ring::Together);
    for n in 1..=3 {
        assert_eq!(s.target(n).got(), ["INVITE"]);
    }
    s.target(1).rings();
    s.target(3).rings();
    assert_eq!(s.a().got(), ["183 sdp", "183 sdp"], "ringing is told once");
    s.target(2).answers();
    assert_eq!(s.a().got().last().unwrap(), "200 sdp");
    for n in [1, 3] {
        assert_eq!(s.target(n).got(), ["INVITE", "CANCEL"]);
        let why = s.target(n).got_reason();
        assert_eq!(why.as_deref(), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    }
    s.run_ms(2_000);
    s.a().hangs_up();
    assert_eq!(s.target(2).got(), ["INVITE", "BYE"]);
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    let rows: Vec<_> = record
        .legs
        .iter()
        .map(|leg| (leg.target.as_str(), leg.status))
        .collect();
    assert_eq!(
        rows[1..],
        [
            ("sip:bob@192.0.2.2:5070", Some(487)),
            ("sip:bob@192.0.2.3:5070", Some(200)),
            ("sip:bob@192.0.2.4:5070", Some(487)),
        ]
    );
}

#[test]
fn each_branch_has_ports_of_its_own_and_only_the_winners_carry_media() {
    let mut s = ringing(Ring::Together);
    let offers: Vec<_> = (1..=3)
        .filter_map(|n| match s.target(n).actions().first() {
            Some(LegAction::Invite { sdp, .. }) => Some(String::from_utf8(sdp.to_vec()).unwrap()),
            _ => None,
        })
        .collect();
    for (at, port) in ["m=audio 30004 ", "m=audio 30008 ", "m=audio 30012 "]
        .iter()
        .enumerate()
    {
        assert!(offers[at].contains(port), "{}", offers[at]);
    }
    s.target(3).answers();
    let leg = segue_call::LegId(3);
    let actions = s.media_actions();
    assert!(actions.contains(&MediaAction::Bridge { leg }));
    let closed = |n| MediaAction::CloseLeg {
        leg: segue_call::LegId(n),
    };
    assert!(actions.contains(&closed(1)) && actions.contains(&closed(2)) && !actions.contains(&closed(3)));
    let configured = |a: &MediaAction| matches!(a, MediaAction::Configure { leg, audio, .. } if leg.0 > 0 && audio.as_ref().is_some_and(|s| s.kind == Kind::Audio));
    assert_eq!(
        actions.iter().filter(|a| configured(a)).count(),
        1,
        "a loser is never configured"
    );
}

#[test]
fn a_loser_whose_200_crossed_is_in_the_record() {
    let mut s = three(Ring::Together).call();
    s.run_ms(6_100);
    s.target(1).answers();
    s.target(2).crosses();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.legs[2].status, Some(200));
    assert_eq!(
        record.legs[2].reason.as_deref(),
        Some("SIP;cause=487;text=\"Answered after CANCEL\"")
    );
}

#[test]
fn in_order_the_next_is_called_after_a_refusal_and_after_its_turn() {
    let mut s = ringing(Ring::InOrder);
    assert_eq!(breadths(&mut s), [60]);
    s.target(1).refuses(486, "Busy Here");
    s.run_ms(1);
    assert_eq!((s.target(2).got().len(), s.target(3).got().len()), (1, 0));
    s.run_ms(14_900);
    assert_eq!(s.target(2).got(), ["INVITE"]);
    s.run_ms(200);
    assert_eq!(s.target(2).got(), ["INVITE", "CANCEL"], "15 s each");
    s.target(3).answers();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!(breadths(&mut s), [60, 60, 60], "one at a time has it all");
}

#[test]
fn the_no_answer_time_bounds_the_whole() {
    let mut s = three(Ring::InOrder).call();
    s.run_ms(6_000 + 15_000 + 5_100);
    assert_eq!(s.target(2).got(), ["INVITE", "CANCEL"], "20 s in all");
    assert!(s.target(3).got().is_empty());
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(408)));
}

#[test]
fn a_6xx_ends_all_at_once() {
    let mut s = ringing(Ring::Together);
    s.target(3).refuses(486, "Busy Here");
    s.target(2).refuses(603, "Decline");
    assert_eq!(s.target(1).got(), ["INVITE", "CANCEL"]);
    assert_eq!(
        s.target(1).got_reason().as_deref(),
        Some("SIP;cause=603;text=\"Declined elsewhere\"")
    );
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().cause, Some(603));
}

#[test]
fn in_order_a_6xx_keeps_the_next_from_being_called() {
    let mut s = ringing(Ring::InOrder);
    s.target(1).refuses(600, "Busy Everywhere");
    assert!(s.target(2).got().is_empty());
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().cause, Some(600));
}

#[test]
fn the_best_of_what_they_said_is_the_cause() {
    // The lowest class; in it what a peer said before what is ours (RFC 3261 §16.7).
    for (said, best) in [
        ([500, 486, 503], 486),
        ([480, 500, 484], 484),
        ([503, 500, 502], 503),
        ([486, 480, 404], 486),
    ] {
        let mut s = ringing(Ring::Together);
        for (n, status) in (1..).zip(said) {
            s.target(n).refuses(status, "No");
        }
        s.run_ms(8_000);
        s.a().hangs_up();
        let record = s.finish();
        assert_eq!(record.cause, Some(best), "{said:?}");
        assert!(record.why.contains("the best that 3 targets said"), "{}", record.why);
    }
    let mut s = ringing(Ring::Together);
    s.target(1).cannot_be_reached(408);
    s.target(2).refuses(486, "Busy Here");
    s.target(3).cannot_be_reached(503);
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().cause, Some(486));
}

#[test]
fn a_target_that_answers_with_nothing_to_connect_leaves_the_others_ringing() {
    let mut s = ringing(Ring::Together);
    s.target(1).answers_with(Some(sdp("m=audio 0 RTP/AVP 0\r\n")));
    assert_eq!(s.target(1).got(), ["INVITE", "BYE"]);
    s.target(2).answers();
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_target_without_ports_leaves_the_others_ringing() {
    let mut s = Setup {
        no_ports: vec![crate::stage::B],
        ..three(Ring::Together)
    }
    .call();
    s.run_ms(6_100);
    assert!(s.target(1).got().is_empty());
    s.target(2).answers();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.legs.len(), 4);
    assert_eq!((record.legs[1].status, record.legs[1].sip_call_id.as_str()), (None, ""));
    assert!(record.legs[1].reason.as_ref().unwrap().contains("No media ports"));
}

#[test]
fn the_caller_gives_up_and_every_branch_is_cancelled() {
    let mut s = ringing(Ring::Together);
    s.target(2).refuses(486, "Busy Here");
    s.a().cancels();
    assert_eq!(s.target(1).got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.target(2).got(), ["INVITE"]);
    assert_eq!(s.target(3).got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.finish().result, CallResult::Abandoned);
}

#[test]
fn max_breadth_is_split_over_those_that_ring_together() {
    let mut s = Setup {
        max_breadth: 8,
        ..three(Ring::Together)
    }
    .call();
    s.run_ms(6_100);
    assert_eq!(breadths(&mut s), [3, 3, 2]);
    s.a().cancels();
    s.finish();
}

#[test]
fn more_branches_than_max_breadth_allows_are_refused_before_any_media() {
    for (ring, max_breadth) in [(Ring::Together, 2), (Ring::Together, 0), (Ring::InOrder, 0)] {
        let mut s = Setup {
            max_breadth,
            ..three(ring)
        }
        .call();
        assert_eq!(s.a().got(), ["440"]);
        assert!(s.media_did().is_empty());
        let record = s.finish();
        assert_eq!((record.result, record.cause), (CallResult::Rejected, Some(440)));
    }
}

#[test]
fn the_preferred_ring_first_together_and_the_others_once_those_have() {
    let mut setup = three(Ring::Together);
    setup = setup.lookup(|l| {
        let of = |n: u16, q: u16| (format!("sip:bob@192.0.2.{n}:5070"), q);
        l.plan.preference = [of(2, 500), of(3, 900), of(4, 900)].into();
        l.plan.ring_ms = 5_000;
        l.plan.no_answer_ms = 20_000;
    });
    let mut s = setup.call();
    s.run_ms(6_100);
    assert_eq!(s.target(1).got(), ["INVITE"]);
    assert_eq!(s.target(2).got(), ["INVITE"]);
    s.target(1).refuses(486, "Busy Here");
    s.run_ms(4_000);
    assert_eq!(s.target(2).got(), ["INVITE"], "one of them rings still");
    s.run_ms(1_100);
    assert_eq!(s.target(2).got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.target(3).got(), ["INVITE"]);
    s.target(3).answers();
    s.run_ms(100);
    s.a().hangs_up();
    let record = s.finish();
    let targets: Vec<&str> = record.legs.iter().skip(1).map(|leg| leg.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            "sip:bob@192.0.2.3:5070",
            "sip:bob@192.0.2.4:5070",
            "sip:bob@192.0.2.2:5070"
        ]
    );
}

#[test]
fn who_is_registered_nowhere_is_not_waited_for() {
    let mut s = Setup::default()
        .lookup(|l| {
            l.plan.targets = vec!["registered".to_owned()];
            l.plan.reach(Vec::new());
        })
        .call();
    s.run_ms(50);
    let did = s.media_did();
    assert!(did.iter().any(|what| what == "play greeting"), "at once: {did:?}");
    assert!(!did.iter().any(|what| what == "play clip"), "without a hold: {did:?}");
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(480)));
    assert!(
        record.why.starts_with("The callee is registered nowhere"),
        "{}",
        record.why
    );
    assert_eq!(record.legs.len(), 1);
}
