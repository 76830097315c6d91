//! Another server has tried the callee and sends the caller on (RFC 4458): straight to the greeting, with the cause it says.

use segue_call::{Further, SentOn, StoreReply};
use segue_policy::AnswerAt;
use segue_records::CallResult;

use crate::stage::{Setup, Stage};

fn sent(cause: Option<u16>, setup: Setup) -> Stage {
    let sent_on = Some(SentOn {
        user: "bob".into(),
        uri: Some("sip:bob@segue.example".parse().unwrap()),
        cause,
    });
    Setup {
        to: "sip:mailbox@segue.example;target=bob%40segue.example;cause=486",
        further: Further {
            sent_on,
            ..Further::default()
        },
        ..setup
    }
    .call()
}

#[test]
fn nobody_is_held_and_nobody_rings() {
    let mut s = sent(Some(486), Setup::default());
    assert_eq!(s.a().got(), ["200 sdp"]);
    s.a().acks();
    s.run_ms(10_000);
    assert!(s.b().got().is_empty());
    assert!(
        !s.media_did().iter().any(|did| did.starts_with("play clip")),
        "{:?}",
        s.media_did()
    );
    assert!(s.media_did().iter().any(|did| did == "play greeting"));
    s.run_ms(5_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(486)));
    assert_eq!(record.invited_at, None);
    assert!(
        record.why.contains("Another server sent the caller to the mailbox"),
        "{}",
        record.why
    );
}

#[test]
fn the_greeting_may_come_before_the_answer_here_too() {
    let mut setup = Setup::default().lookup(|l| l.plan.answer_at = AnswerAt::AfterGreeting);
    setup.supports_100rel = true;
    let mut s = sent(None, setup);
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    s.a().pracks();
    s.run_ms(1_000);
    s.a().cancels();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Greeted, Some(302)));
}

#[test]
fn a_mailbox_that_is_not_here_is_not_found() {
    let setup = Setup {
        lookup: StoreReply::NotFound,
        ..Setup::default()
    };
    let mut s = sent(Some(486), setup);
    assert_eq!(s.a().got(), ["404"]);
    assert_eq!(s.finish().result, CallResult::Rejected);
}

#[test]
fn whose_own_targets_are_here_is_in_no_circle() {
    let setup = Setup {
        own_sockets: vec!["192.0.2.2:5070".parse().unwrap()],
        max_breadth: 0,
        ..Setup::default()
    };
    let mut s = sent(Some(408), setup);
    assert_eq!(s.a().got(), ["200 sdp"]);
    s.a().acks();
    s.a().hangs_up();
    s.finish();
}
