//! P-Early-Media (RFC 5009): A is told what may flow on each m-line; a callee's own early media reaches an A who is played nothing, where
//! the callee may do so.

use std::sync::Arc;

use segue_call::{Early, LegId, MediaAction};
use segue_policy::{CalleeEarlyMedia, Emergency};
use segue_records::CallResult;
use segue_sdp::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};

use crate::stage::{AUDIO, B, PACKET_MS, Setup, Stage, VIDEO, sdp};

fn both() -> Option<Arc<[u8]>> {
    Some(sdp(&format!("{AUDIO}{VIDEO}")))
}

/// B has answered early, and asks for this.
fn early(fork: &str, asked: Option<&[Direction]>) -> Early {
    Early {
        status: 183,
        fork: Some(fork.into()),
        sdp: both(),
        early_media: asked.map(<[Direction]>::to_vec),
        ..Early::default()
    }
}

/// A callee without a clip rings; A wants to be told.
fn no_clip() -> Setup {
    let setup = Setup {
        p_early_media: true,
        ..Setup::default()
    };
    setup.lookup(|found| found.clip = None)
}

/// Our directions on a leg as the packet path was last told.
fn directions(s: &Stage, of: LegId) -> [Option<Direction>; 2] {
    let last = s.media_actions().into_iter().rev().find_map(|action| match action {
        MediaAction::Configure { leg, audio, video } if leg == of => Some([audio, video]),
        _ => None,
    });
    last.unwrap().map(|stream| stream.map(|stream| stream.direction))
}

#[test]
fn a_is_told_for_each_m_line_what_may_flow_with_the_clip() {
    let mut setup = Setup {
        p_early_media: true,
        offer: Some(sdp(&format!("m=application 5000 udp wb\r\n{VIDEO}{AUDIO}"))),
        ..Setup::default()
    };
    setup.profile.ringing_status = 180;
    let mut s = setup.call();
    s.run_ms(PACKET_MS + 6_000);
    s.b().rings();
    // In the order of the m-lines: rejected, pictures to A, sound to A and keys from it.
    let told = vec![Inactive, SendOnly, SendRecv];
    assert_eq!(s.a().told_early_media(), [told.clone(), told]);
    s.a().cancels();
    s.finish();
    let mut s = Setup::default().call();
    assert_eq!(s.a().told_early_media(), [Vec::new()], "nobody else is told");
    s.a().cancels();
    s.finish();
}

#[test]
fn nothing_is_said_of_media_while_there_is_none() {
    let mut s = no_clip().call();
    s.b().rings();
    assert_eq!(
        (s.a().got(), s.a().told_early_media()),
        (vec!["180".to_owned()], vec![vec![]])
    );
    s.a().cancels();
    s.finish();
}

#[test]
fn what_a_callee_may_send_early_reaches_a_who_is_told_so() {
    let mut s = no_clip().call();
    s.b().early(early("one", Some(&[SendOnly])));
    assert_eq!(s.a().got(), ["183 sdp"]);
    assert_eq!(s.a().told_early_media(), [vec![SendOnly, SendOnly]]);
    assert_eq!(s.media_did().last().unwrap(), "hear b");
    assert_eq!(
        directions(&s, B),
        [Some(RecvOnly), Some(RecvOnly)],
        "nothing of A's goes to it"
    );
    // It answers: all m-lines are authorized by that (§8).
    s.b().answers_as("one", both());
    assert_eq!(directions(&s, B), [Some(SendRecv), Some(SendRecv)]);
    assert_eq!(s.media_did().last().unwrap(), "bridge b");
    assert_eq!(s.a().got(), ["183 sdp", "183 sdp", "200 sdp"][1..]);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn each_m_line_is_gated_by_itself_and_a_later_message_changes_that() {
    let mut s = no_clip().call();
    s.b().early(early("one", Some(&[SendRecv, Inactive])));
    assert_eq!(directions(&s, B), [Some(SendRecv), Some(Inactive)]);
    // An UPDATE revokes, an 18x without the header changes nothing, another one authorizes again.
    s.b().asks_for("one", &[Inactive]);
    assert_eq!(directions(&s, B), [Some(Inactive), Some(Inactive)]);
    let configured = s.media_did().len();
    s.b().early(early("one", None));
    assert_eq!(s.media_did().len(), configured);
    s.b().early(early("one", Some(&[Inactive, SendOnly])));
    assert_eq!(directions(&s, B), [Some(Inactive), Some(RecvOnly)]);
    let told = s.a().told_early_media();
    assert_eq!(
        told,
        [
            vec![SendRecv, Inactive],
            vec![Inactive, Inactive],
            vec![Inactive, SendOnly]
        ]
    );
    s.a().cancels();
    s.finish();
}

#[test]
fn without_authorization_nothing_of_it_is_heard() {
    for (policy, asked, heard) in [
        (CalleeEarlyMedia::Authorized, None, false),
        (CalleeEarlyMedia::Authorized, Some([Inactive]), false),
        (CalleeEarlyMedia::Authorized, Some([RecvOnly]), false),
        (CalleeEarlyMedia::Any, None, true),
        (CalleeEarlyMedia::Any, Some([Inactive]), false),
        (CalleeEarlyMedia::Never, Some([SendRecv]), false),
    ] {
        let mut setup = no_clip();
        setup.profile.callee_early_media = policy;
        let mut s = setup.call();
        s.b()
            .early(early("one", asked.as_ref().map(<[Direction; 1]>::as_slice)));
        let hears = s.media_did().contains(&"hear b".to_owned());
        assert_eq!(hears, heard, "{policy:?} {asked:?}");
        assert_eq!(s.a().got(), if heard { ["183 sdp"] } else { ["183"] });
        s.a().cancels();
        s.finish();
    }
}

#[test]
fn a_callee_that_moves_before_it_answers_is_heard_from_there() {
    let mut setup = no_clip();
    setup.profile.callee_early_media = CalleeEarlyMedia::Any;
    let mut s = setup.call();
    s.b().early(early("one", None));
    let port = |s: &Stage| {
        s.media_actions().into_iter().rev().find_map(|action| match action {
            MediaAction::Configure { leg: B, audio, .. } => Some(audio?.remote?.port()),
            _ => None,
        })
    };
    assert_eq!(port(&s), Some(4000));
    let moved = format!("{AUDIO}{VIDEO}").replace("m=audio 4000", "m=audio 4444");
    s.b().offers_early("one", sdp(&moved));
    assert_eq!(port(&s), Some(4444));
    s.a().cancels();
    s.finish();
}

#[test]
fn who_helps_in_an_emergency_is_heard_whatever_the_profile_says() {
    let mut setup = Setup {
        to: "urn:service:sos",
        emergency: Some(Emergency::Call),
        own_sockets: vec!["192.0.2.1:5060".parse().unwrap()],
        ..Setup::default()
    };
    setup.profile.emergency_next_hop = Some("192.0.2.112".parse().unwrap());
    setup.profile.callee_early_media = CalleeEarlyMedia::Never;
    let mut s = setup.call();
    s.b().early(early("one", None));
    assert!(s.media_did().contains(&"hear b".to_owned()), "{:?}", s.media_did());
    assert_eq!(s.a().got(), ["183 sdp"]);
    s.a().cancels();
    s.finish();
}

#[test]
fn who_watches_the_clip_hears_no_callee_before_it_answers() {
    let mut setup = Setup::default();
    setup.profile.callee_early_media = CalleeEarlyMedia::Any;
    let mut s = setup.call();
    s.run_ms(PACKET_MS + 6_000);
    s.b().early(early("one", Some(&[SendRecv])));
    assert!(!s.media_did().contains(&"hear b".to_owned()));
    s.a().cancels();
    s.finish();
}

#[test]
fn of_several_phones_behind_a_target_the_one_that_may_do_least_decides() {
    let mut s = no_clip().call();
    s.b().early(early("one", Some(&[SendRecv])));
    s.b().early(early("two", Some(&[SendOnly, Inactive])));
    assert_eq!(directions(&s, B), [Some(RecvOnly), Some(Inactive)]);
    // It is out of it.
    s.b().early(Early {
        status: 199,
        fork: Some("two".into()),
        ..Early::default()
    });
    assert_eq!(directions(&s, B), [Some(SendRecv), Some(SendRecv)]);
    s.a().cancels();
    s.finish();
}

#[test]
fn with_100rel_it_is_heard_from_the_prack_on() {
    let mut setup = no_clip();
    setup.supports_100rel = true;
    let mut s = setup.call();
    s.b().early(early("one", Some(&[SendOnly])));
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    assert!(!s.media_did().contains(&"hear b".to_owned()));
    s.a().pracks();
    assert_eq!(s.media_did().last().unwrap(), "hear b");
    s.b().refuses(486, "Busy Here");
    s.run_ms(10);
    assert!(
        s.media_did().contains(&"play greeting".to_owned()),
        "{:?}",
        s.media_did()
    );
    s.a().cancels();
    s.finish();
}

#[test]
fn a_target_that_fails_makes_room_for_another_that_is_to_be_heard() {
    let mut s = no_clip()
        .lookup(|found| {
            let targets = ["sip:bob@192.0.2.2:5070", "sip:bob@192.0.2.3:5070"];
            found.plan.targets = targets.map(str::to_owned).to_vec();
        })
        .call();
    s.target(1).early(early("one", Some(&[SendOnly])));
    s.target(2).early(early("two", Some(&[SendRecv])));
    let hears = |s: &Stage| {
        let hears = |action| match action {
            MediaAction::Hear { leg } => Some(leg.0),
            _ => None,
        };
        s.media_actions().into_iter().filter_map(hears).collect::<Vec<_>>()
    };
    assert_eq!(hears(&s), [1], "one at a time");
    s.target(1).refuses(486, "Busy Here");
    assert_eq!(hears(&s), [1, 2]);
    s.target(2).answers();
    assert_eq!(s.media_did().last().unwrap(), "bridge another b");
    s.a().hangs_up();
    s.finish();
}
