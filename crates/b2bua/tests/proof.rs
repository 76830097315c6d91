//! A profile may demand credentials of who calls: what is challenged, and what never.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod shard;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use segue_b2bua::{Admission, Secrets, Shard, ShardOutput};
use segue_call::Now;
use segue_policy::{Auth, Profile};
use segue_records::UnixMs;
use segue_sip::{Realm, Secret, User};
use segue_sip_wire::{DigestAlgorithm, Message};

use shard::{config, peer};

const X: &str = "10.0.0.254:5060";

fn shard() -> Shard {
    let profile = Profile {
        name: "phones".into(),
        sources: vec!["10.0.0.0/8".parse().unwrap()],
        trusted: true,
        auth: Auth::Digest,
        auth_users: "users".into(),
        ..Profile::default()
    };
    let user = User {
        secret: Secret::Password("s".to_owned()),
        from: Vec::new(),
    };
    let realm = Realm {
        name: "office".to_owned(),
        algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
        users: BTreeMap::from([("alice".to_owned(), user)]),
    };
    let secrets = Secrets {
        realm: Some(Arc::new(realm)),
        ..Secrets::default()
    };
    let admission = Admission::new(vec![Arc::new(profile)]).with_secrets(vec![secrets]);
    Shard::new(config(&[X], admission))
}

/// What a request gets: the answers, and how often it was told of as a refusal.
fn said_to(shard: &mut Shard, method: &str, uri: &str, more: &str) -> (Vec<Message>, usize) {
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK{method};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@10.1.0.1>;tag=a\r\nTo: <{uri}>\r\nCall-ID: call\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:alice@10.1.0.1>\r\n{more}Content-Length: 0\r\n\r\n"
    );
    let now = Now {
        mono: Instant::now(),
        wall: UnixMs(0),
    };
    let peer = peer(X, "10.1.0.1:5060");
    shard.handle_message(now, peer, Message::parse_datagram(text.as_bytes()).unwrap());
    let (mut answers, mut refused) = (Vec::new(), 0);
    while let Some(output) = shard.poll_output() {
        match output {
            ShardOutput::Transmit(transmit) => answers.push(Message::parse_datagram(&transmit.bytes).unwrap()),
            ShardOutput::Refused(_) => refused += 1,
            _ => {}
        }
    }
    (answers, refused)
}

const BOB: &str = "sip:bob@10.0.0.254";

#[test]
fn a_new_invite_is_asked_for_credentials_and_that_is_no_refusal() {
    let mut shard = shard();
    let (answers, refused) = said_to(&mut shard, "INVITE", BOB, "");
    assert_eq!((answers[0].status(), refused), (Some(401), 0));
    let algorithms: Vec<_> = answers[0]
        .challenges("WWW-Authenticate")
        .iter()
        .map(|challenge| challenge.algorithm)
        .collect();
    assert_eq!(algorithms, [DigestAlgorithm::Sha256, DigestAlgorithm::Md5]);
    assert_eq!(shard.call_count(), 0, "it costs nothing");
    let wrong = "Authorization: Digest username=\"alice\", realm=\"office\", nonce=\"n\", uri=\"sip:bob@x\", response=\"0\"\r\n";
    let (answers, refused) = said_to(&mut shard, "INVITE", BOB, wrong);
    assert_eq!((answers[0].status(), refused), (Some(401), 1));
}

#[test]
fn what_must_not_be_challenged_is_not() {
    let mut shard = shard();
    for (method, status) in [
        ("ACK", None),
        ("CANCEL", Some(481)),
        ("BYE", Some(481)),
        ("OPTIONS", Some(200)),
    ] {
        // A ping of the server itself.
        let uri = if method == "OPTIONS" { "sip:10.0.0.254" } else { BOB };
        let (answers, _) = said_to(&mut shard, method, uri, "");
        assert_eq!(answers.first().and_then(Message::status), status, "{method}");
    }
}

#[test]
fn who_asks_what_a_call_would_get_is_asked_as_a_call_would_be() {
    let mut shard = shard();
    for uri in [BOB, "tel:+4930123456"] {
        let (answers, refused) = said_to(&mut shard, "OPTIONS", uri, "");
        assert_eq!((answers[0].status(), refused), (Some(401), 0), "{uri}");
    }
}

#[test]
fn who_calls_back_for_an_emergency_centre_proves_it_as_others_do() {
    let mut shard = shard();
    let (answers, _) = said_to(&mut shard, "INVITE", BOB, "Priority: psap-callback\r\n");
    assert_eq!(answers[0].status(), Some(401));
}

#[test]
fn an_emergency_call_is_not_asked_for_credentials() {
    let mut shard = shard();
    let (answers, _) = said_to(&mut shard, "INVITE", "urn:service:sos", "");
    assert!(answers.iter().all(|answer| answer.status() != Some(401)), "{answers:?}");
    assert!(answers.iter().any(|answer| answer.status() == Some(100)), "{answers:?}");
}
