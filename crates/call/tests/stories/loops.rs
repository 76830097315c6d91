//! A call that goes in a circle stops, and nobody is held in it.

use segue_policy::Ring;
use segue_records::CallResult;

use crate::stage::Setup;

#[test]
fn a_call_that_is_here_already_is_refused_before_anything() {
    let mut s = Setup {
        is_loop: true,
        ..Setup::default()
    }
    .call();
    assert_eq!(s.a().got(), ["482"]);
    assert!(s.media_did().is_empty() && s.stored().is_empty());
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Rejected, Some(482)));
}

#[test]
fn a_target_that_is_ourselves_is_refused_before_any_media() {
    for (socket, target, loops) in [
        ("192.0.2.2:5070", "sip:bob@192.0.2.2:5070", true),
        ("192.0.2.2:5060", "sip:bob@192.0.2.2", true),
        ("0.0.0.0:5060", "sip:bob@127.0.0.1", true),
        ("192.0.2.2:5070", "sip:alice@192.0.2.2:5070", false),
        ("192.0.2.2:5080", "sip:bob@192.0.2.2:5070", false),
        ("0.0.0.0:5060", "sip:bob@192.0.2.2", false),
        // By TLS the port that is not said is 5061 (RFC 3261 §19.1.2).
        ("192.0.2.2:5061", "sips:bob@192.0.2.2", true),
        ("192.0.2.2:5061", "sip:bob@192.0.2.2;transport=tls", true),
        ("192.0.2.2:5060", "sips:bob@192.0.2.2", false),
        ("192.0.2.2:5061", "sip:bob@192.0.2.2", false),
    ] {
        let mut s = Setup {
            own_sockets: vec![socket.parse().unwrap()],
            ..Setup::default().lookup(|l| l.plan.targets = vec![target.into()])
        }
        .call();
        if loops {
            assert_eq!(s.a().got(), ["482"], "{socket} {target}");
            assert!(s.media_did().is_empty());
        } else {
            assert_eq!(s.a().got(), ["183 sdp"], "{socket} {target}");
            s.a().cancels();
        }
        s.finish();
    }
}

#[test]
fn whoever_was_called_by_an_alias_is_not_called_here_again() {
    let mut s = Setup {
        to: "sip:robert@segue.example",
        own_sockets: vec!["192.0.2.2:5070".parse().unwrap()],
        ..Setup::default().lookup(|l| l.plan.targets = vec!["sip:bob@192.0.2.2:5070".into()])
    }
    .call();
    assert_eq!(s.a().got(), ["482"]);
    s.finish();
}

#[test]
fn of_several_targets_only_the_one_that_is_ourselves_is_left_out() {
    let mut s = Setup {
        own_sockets: vec!["192.0.2.2:5070".parse().unwrap()],
        ..Setup::default().lookup(|l| {
            l.plan.targets = vec!["sip:bob@192.0.2.2:5070".into(), "sip:bob@192.0.2.3".into()];
            l.plan.ring = Ring::Together;
        })
    }
    .call();
    s.run_ms(6_100);
    s.target(1).answers();
    assert!(s.target(2).got().is_empty());
    s.a().hangs_up();
    assert_eq!(s.finish().legs[1].target, "sip:bob@192.0.2.3");
}

#[test]
fn a_circle_further_on_is_told_to_the_caller() {
    for status in [440, 482, 483] {
        let mut s = Setup::default().call();
        s.run_ms(6_100);
        s.b().refuses(status, "Loop Detected");
        assert_eq!(s.a().got(), ["183 sdp".to_owned(), status.to_string()]);
        assert!(!s.media_did().iter().any(|did| did == "play greeting"));
        let record = s.finish();
        assert_eq!((record.result, record.cause), (CallResult::Failed, Some(status)));
    }
}

#[test]
fn a_circle_behind_one_target_leaves_the_others_ringing() {
    let mut s = Setup::default()
        .lookup(|l| l.plan.targets = vec!["sip:bob@192.0.2.2".into(), "sip:bob@192.0.2.3".into()])
        .call();
    s.run_ms(6_100);
    s.target(1).refuses(482, "Loop Detected");
    s.target(2).answers();
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}
