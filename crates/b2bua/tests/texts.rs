//! Texts of a node's own (RFC 3428): to phones that are registered, to a URI by its servers in order, to a trunk with credentials.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod shard;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, Shard, ShardOutput, Text, TextKey, TextOutcome, TrunkSetup};
use segue_call::Now;
use segue_policy::{Profile, Trunk, TrunkServer};
use segue_records::{RegistrationRecord, UnixMs};
use segue_sip::{Account, Candidate, Peer, Place, Protocol};
use segue_sip_wire::{DigestAlgorithm, Message, Method};

use shard::{config, peer};

const X: &str = "10.0.0.254:5060";
const KEY: TextKey = TextKey(1);

struct Node {
    shard: Shard,
    now: Now,
}

#[derive(Default)]
struct Seen {
    sent: Vec<(Peer, Message)>,
    places: Vec<Place>,
    outcomes: Vec<(TextKey, TextOutcome)>,
}

impl Node {
    fn new(trunks: Vec<TrunkSetup>) -> Node {
        let profile = Profile {
            name: "phones".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            registrar: true,
            destinations: vec!["10.1.0.3".parse().unwrap()],
            ..Profile::default()
        };
        let admission = Admission::new(vec![Arc::new(profile)]).with_trunks(trunks);
        let now = Now {
            mono: Instant::now(),
            wall: UnixMs(1_289_690_940_000),
        };
        let mut shard = Shard::new(config(&[X], admission));
        shard.handle_timeout(now);
        Node { shard, now }
    }

    fn register(&mut self, contacts: &[(&str, Option<&str>, &[&str])]) {
        let record = |(contact, source, path): &(&str, Option<&str>, &[&str])| RegistrationRecord {
            user: "bob".to_owned(),
            contact: (*contact).to_owned(),
            q: 1_000,
            expires_at: UnixMs(self.now.wall.0 + 3_600_000),
            sip_call_id: "r".to_owned(),
            cseq: 1,
            instance: None,
            reg_id: None,
            path: path.iter().map(|hop| (*hop).to_owned()).collect(),
            user_agent: None,
            transport: "udp".to_owned(),
            local: X.to_owned(),
            source: source.unwrap_or("10.1.0.1:5060").to_owned(),
            by_source: source.is_some(),
        };
        let all = contacts.iter().map(record).collect();
        self.shard.restore_registrations(self.now, all);
    }

    fn text(&mut self, to: Option<&str>) -> Seen {
        let text = Text {
            user: "bob".to_owned(),
            to: to.map(|uri| uri.parse().unwrap()),
            text: "Video message (0:42) from Änn".into(),
            language: "en",
            expires_s: 86_400,
        };
        self.shard.handle_text(self.now, KEY, text);
        self.seen()
    }

    fn seen(&mut self) -> Seen {
        let mut seen = Seen::default();
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(sent) => {
                    let message = Message::parse_datagram(&sent.bytes).unwrap();
                    if message.method() == Some(&Method::Message) {
                        seen.sent.push((sent.peer, message));
                    }
                }
                ShardOutput::Locate { place, .. } => seen.places.push(place),
                ShardOutput::Texted(key, outcome) => seen.outcomes.push((key, outcome)),
                _ => {}
            }
        }
        seen
    }

    fn says(&mut self, asked: &(Peer, Message), status: &str, more: &str) -> Seen {
        let (peer, request) = asked;
        let header = |name: &str| request.header(name).unwrap();
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq"),
        );
        let response = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard.handle_message(self.now, *peer, response);
        self.seen()
    }

    /// Nobody answers until all timers have run.
    fn silence(&mut self) -> Seen {
        let mut all = Seen::default();
        for _ in 0..66 {
            self.now.mono += Duration::from_millis(500);
            self.shard.handle_timeout(self.now);
            let seen = self.seen();
            all.sent.extend(seen.sent);
            all.outcomes.extend(seen.outcomes);
        }
        all
    }
}

fn to(sent: &(Peer, Message)) -> String {
    sent.0.remote.to_string()
}

#[test]
fn a_text_goes_to_every_registered_phone_and_one_that_takes_it_is_enough() {
    let mut node = Node::new(Vec::new());
    node.register(&[
        ("sip:bob@10.1.0.1:5062", None, &[]),
        ("sip:bob@192.168.1.7", Some("10.1.0.2:40000"), &[]),
        ("sip:bob@192.168.1.8", None, &["<sip:10.1.0.3:5064;lr>"]),
    ]);
    let seen = node.text(None);
    let mut places: Vec<String> = seen.sent.iter().map(to).collect();
    places.sort();
    assert_eq!(places, ["10.1.0.1:5062", "10.1.0.2:40000", "10.1.0.3:5064"]);
    let from_behind_a_nat = peer(X, "10.1.0.2:40000");
    assert!(seen.sent.iter().any(|(peer, _)| *peer == from_behind_a_nat));
    let (_, request) = &seen.sent[0];
    assert_eq!(request.header("Content-Type"), Some("text/plain;charset=UTF-8"));
    assert_eq!(request.body(), "Video message (0:42) from Änn".as_bytes());
    assert_eq!(request.header("Expires"), Some("86400"));
    assert_eq!(request.header("Content-Language"), Some("en"));
    assert_eq!(request.header("Contact"), None, "RFC 3428 §4");
    let by_path = seen.sent.iter().find(|sent| to(sent) == "10.1.0.3:5064").unwrap();
    assert_eq!(by_path.1.header("Route"), Some("<sip:10.1.0.3:5064;lr>"));
    assert_eq!(by_path.1.request_uri().unwrap().to_string(), "sip:bob@192.168.1.8");
    assert!(
        node.says(&seen.sent[0], "405 Method Not Allowed", "")
            .outcomes
            .is_empty()
    );
    let taken = node.says(&seen.sent[1], "202 Accepted", "").outcomes;
    assert!(matches!(&taken[..], [(KEY, TextOutcome::Taken(said))] if said.starts_with("202 from")));
    assert!(node.says(&seen.sent[2], "200 OK", "").outcomes.is_empty(), "told once");
}

#[test]
fn who_is_registered_nowhere_or_takes_none_gets_it_later_or_never() {
    let mut node = Node::new(Vec::new());
    let nowhere = node.text(None).outcomes;
    assert!(matches!(&nowhere[..], [(KEY, TextOutcome::NotNow(why, None))] if why.contains("registered nowhere")));
    for (status, more, never) in [
        ("405 Method Not Allowed", "", true),
        ("604 Does Not Exist", "", true),
        ("486 Busy Here", "", false),
        ("480 Temporarily Unavailable", "Retry-After: 120\r\n", false),
        ("401 Unauthorized", "", false),
    ] {
        let seen = node.text(Some("sip:bob@10.2.0.1"));
        let outcomes = node.says(&seen.sent[0], status, more).outcomes;
        match &outcomes[..] {
            [(KEY, TextOutcome::Never(why))] => assert!(never && why.contains(&status[..3]), "{why}"),
            [(KEY, TextOutcome::NotNow(why, after))] => {
                assert!(!never && why.contains(&status[..3]), "{why}");
                assert_eq!(after.is_some(), !more.is_empty());
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    node.text(Some("sip:bob@10.2.0.1"));
    let outcomes = node.silence().outcomes;
    assert!(matches!(&outcomes[..], [(KEY, TextOutcome::NotNow(why, None))] if why.starts_with("no answer")));
}

#[test]
fn a_named_server_that_fails_is_followed_by_the_next_one() {
    let mut node = Node::new(Vec::new());
    let seen = node.text(Some("sip:bob@example.com"));
    assert!(seen.sent.is_empty());
    let server = |remote: &str| Candidate {
        protocol: Protocol::Udp,
        remote: remote.parse().unwrap(),
    };
    let servers = ["10.3.0.1:5060", "10.3.0.2:5060", "10.3.0.3:5060"].map(server);
    node.shard.handle_located(node.now, &seen.places[0], &servers);
    let first = node.seen().sent;
    assert_eq!(to(&first[0]), "10.3.0.1:5060");
    let second = node.says(&first[0], "503 Service Unavailable", "").sent;
    assert_eq!(to(&second[0]), "10.3.0.2:5060");
    // It says nothing for 64·T1, so that the third one is asked.
    let silent = node.silence();
    let third = silent.sent.iter().find(|sent| to(sent) == "10.3.0.3:5060").unwrap();
    let outcomes = node.says(third, "200 OK", "").outcomes;
    assert!(matches!(&outcomes[..], [(KEY, TextOutcome::Taken(_))]), "{outcomes:?}");
    // Nobody is there at all.
    let seen = node.text(Some("sip:bob@nowhere.example.com"));
    node.shard.handle_located(node.now, &seen.places[0], &[]);
    let outcomes = node.seen().outcomes;
    assert!(matches!(&outcomes[..], [(KEY, TextOutcome::NotNow(why, None))] if why.contains("cannot be reached")));
}

#[test]
fn a_trunk_that_asks_for_credentials_gets_those_of_the_trunk() {
    let account = Account {
        realm: "carrier".to_owned(),
        username: "us".to_owned(),
        secret: "sesame".to_owned(),
        algorithms: vec![DigestAlgorithm::Sha256],
        tls_only: false,
    };
    let trunk = TrunkSetup {
        trunk: Trunk {
            name: "carrier".to_owned(),
            servers: vec![TrunkServer {
                uri: "10.4.0.1".parse().unwrap(),
                order: 0,
                weight: 0,
            }],
            ..Trunk::default()
        },
        account: Some(Arc::new(account)),
    };
    let mut node = Node::new(vec![trunk]);
    let challenge = "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n";
    let seen = node.text(Some("sip:+4915112345@10.4.0.1"));
    let again = node
        .says(&seen.sent[0], "407 Proxy Authentication Required", challenge)
        .sent;
    let proof = again[0].1.header("Proxy-Authorization").unwrap();
    assert!(
        proof.contains("username=\"us\"") && proof.contains("uri=\"sip:+4915112345@10.4.0.1\""),
        "{proof}"
    );
    assert_eq!(again[0].1.body(), seen.sent[0].1.body());
    assert_eq!(again[0].1.call_id(), seen.sent[0].1.call_id());
    let outcomes = node.says(&again[0], "200 OK", "").outcomes;
    assert!(matches!(&outcomes[..], [(KEY, TextOutcome::Taken(_))]), "{outcomes:?}");
    // Nobody else gets them.
    let seen = node.text(Some("sip:bob@10.5.0.1"));
    let refused = node.says(&seen.sent[0], "407 Proxy Authentication Required", challenge);
    assert!(refused.sent.is_empty());
    assert!(matches!(&refused.outcomes[..], [(KEY, TextOutcome::NotNow(why, _))] if why.starts_with("407")));
}
