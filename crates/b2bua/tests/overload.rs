//! Too many calls: which are turned away, with what, and which never are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod shard;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, CallKey, Caps, Limits, Refusal, Shard, ShardConfig, ShardOutput};
use segue_call::{Lookup, Now, StoreAction, StoreReply};
use segue_policy::{Plan, Profile};
use segue_records::{CallRecord, UnixMs};
use segue_sip_wire::Message;

use shard::{config, peer};

const X: &str = "10.0.0.254:5060";
/// Trunks have a socket of their own.
const TRUNK: &str = "10.0.0.254:5070";
const MS: Duration = Duration::from_millis(1);

/// A shard whose callees are looked up as the test says.
struct Node {
    shard: Shard,
    now: Instant,
    /// Look-ups that wait for their answer.
    asked: Vec<CallKey>,
    told: Vec<Refusal>,
    /// Of a flood, not told.
    untold: usize,
    records: Vec<CallRecord>,
    sent: Vec<Message>,
}

impl Node {
    fn new(limits: Limits) -> Node {
        let profile = |name: &str, socket: &str, calls_max| {
            Arc::new(Profile {
                name: name.into(),
                listen: vec![socket.into()],
                sources: vec!["10.0.0.0/8".parse().unwrap()],
                calls_max,
                ..Profile::default()
            })
        };
        let admission = Admission::new(vec![profile("phones", X, 0), profile("trunk", TRUNK, 1)]);
        Node {
            shard: Shard::new(ShardConfig {
                limits,
                ..config(&[X, TRUNK], admission)
            }),
            now: Instant::now(),
            asked: Vec::new(),
            told: Vec::new(),
            untold: 0,
            records: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn capped(set: impl Fn(&mut Caps)) -> Node {
        let mut caps = Caps::default();
        set(&mut caps);
        Node::new(Limits {
            caps,
            ..Limits::default()
        })
    }

    fn at(&self) -> Now {
        Now {
            mono: self.now,
            wall: UnixMs(0),
        }
    }

    /// A datagram from this address to that socket; the status of what is said to it at once.
    fn heard(&mut self, datagram: &str, source: &str, local: &str) -> Option<u16> {
        let peer = peer(local, &SocketAddr::new(source.parse().unwrap(), 5060).to_string());
        let message = Message::parse_datagram(datagram.as_bytes()).unwrap();
        let now = self.at();
        let before = self.sent.len();
        self.shard.handle_message(now, peer, message);
        self.drain();
        self.sent[before..].iter().find_map(Message::status)
    }

    fn drain(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(transmit) => self.sent.push(Message::parse_datagram(&transmit.bytes).unwrap()),
                ShardOutput::Store(key, StoreAction::Lookup { .. }, _) => self.asked.push(key),
                ShardOutput::Refused(refusal) => self.told.push(*refusal),
                ShardOutput::RefusedUntold(503) => self.untold += 1,
                ShardOutput::Ended(_, record) => self.records.push(*record),
                _ => {}
            }
        }
    }

    /// A new call of this number.
    fn call(&mut self, n: u32) -> Option<u16> {
        self.call_from(n, "10.1.0.1", X)
    }

    fn call_from(&mut self, n: u32, source: &str, local: &str) -> Option<u16> {
        self.heard(&request("INVITE", "sip:bob@10.0.0.254", n, ""), source, local)
    }

    fn found(&mut self, key: CallKey) {
        let plan = Plan {
            mailbox: "bob".into(),
            targets: vec!["sip:bob@10.2.0.1".into()],
            ..Plan::default()
        };
        let lookup = Lookup {
            plan,
            clip: None,
            greeting: None,
            beep: None,
            full: None,
            prompts: None,
            named: Vec::new(),
        };
        let now = self.at();
        self.shard.handle_store(now, key, StoreReply::Found(Box::new(lookup)));
        self.drain();
    }
}

fn request(method: &str, uri: &str, n: u32, to_tag: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK{n}{method}{to_tag};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@10.1.0.1>;tag=a{n}\r\nTo: <{uri}>{to_tag}\r\nCall-ID: c{n}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:a@10.1.0.1>\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_server_that_is_full_says_503_and_when_to_try_again() {
    for set in [
        |caps: &mut Caps| caps.calls = Some(2),
        |caps: &mut Caps| caps.early = Some(2),
    ] {
        let mut node = Node::capped(set);
        assert_eq!((node.call(1), node.call(2)), (Some(100), Some(100)));
        assert_eq!(node.call(3), Some(503));
        let refused = node.sent.last().unwrap();
        let after: u32 = refused.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=4).contains(&after), "{after}");
        let told = node.told.last().unwrap();
        assert!(told.admit.starts_with("raise overload."), "{told:?}");
        // The same request again has the same answer, word for word, and so it has when there is room meanwhile.
        let first = refused.to_bytes();
        node.heard(
            &request("CANCEL", "sip:bob@10.0.0.254", 1, "").replace("1CANCEL", "1INVITE"),
            "10.1.0.1",
            X,
        );
        assert_eq!(node.call(3), Some(503));
        assert_eq!(node.sent.last().unwrap().to_bytes(), first);
    }
}

#[test]
fn a_source_that_asks_too_much_gets_500_and_others_go_on() {
    for set in [
        |caps: &mut Caps| caps.source_calls = Some(2),
        |caps: &mut Caps| caps.source_early = Some(2),
        |caps: &mut Caps| caps.source_rate = Some(2),
    ] {
        let mut node = Node::capped(set);
        assert_eq!(
            (node.call(1), node.call(2), node.call(3)),
            (Some(100), Some(100), Some(500))
        );
        let refused = node.sent.last().unwrap();
        assert!(refused.header("Retry-After").is_none() && refused.header("Warning").is_some());
        assert_eq!(node.call_from(4, "10.1.0.2", X), Some(100));
        assert_eq!(node.shard.stats().turned_away.source, 1);
    }
}

#[test]
fn a_profile_that_is_full_gets_403_and_other_profiles_go_on() {
    let mut node = Node::capped(|_| {});
    assert_eq!(node.call_from(1, "10.1.0.1", TRUNK), Some(100));
    assert_eq!(node.call_from(2, "10.1.0.2", TRUNK), Some(403));
    assert_eq!(node.call_from(3, "10.1.0.2", X), Some(100));
    assert_eq!(node.told.last().unwrap().admit, "raise calls_max in the profile");
}

#[test]
fn a_subscriber_that_is_full_gets_403_and_a_call_that_ends_makes_room() {
    let mut node = Node::capped(|caps| caps.subscriber_calls = Some(1));
    for n in [1, 2] {
        node.call(n);
    }
    let (first, second) = (node.asked[0], node.asked[1]);
    node.found(first);
    node.found(second);
    assert_eq!(node.sent.last().unwrap().status(), Some(403));
    node.heard(
        &request("ACK", "sip:bob@10.0.0.254", 2, "").replace("2ACK", "2INVITE"),
        "10.1.0.1",
        X,
    );
    let record = node.records.last().unwrap();
    assert_eq!(record.cause, Some(403));
    assert!(record.why.contains("as many as a subscriber may"), "{}", record.why);
    assert_eq!(record.admit.as_deref(), Some("raise overload.subscriber_calls_max"));
    // The first hangs up.
    for method in ["CANCEL", "ACK"] {
        let datagram = request(method, "sip:bob@10.0.0.254", 1, "").replace(&format!("1{method};"), "1INVITE;");
        node.heard(&datagram, "10.1.0.1", X);
    }
    assert_eq!((node.records.len(), node.shard.call_count()), (2, 0));
    node.call(3);
    node.found(node.asked[2]);
    assert_eq!(node.sent.iter().filter(|sent| sent.status() == Some(403)).count(), 1);
    assert_eq!(node.shard.stats().turned_away.account, 1);
}

#[test]
fn what_is_there_already_and_emergency_calls_are_never_turned_away() {
    let mut node = Node::capped(|caps| caps.calls = Some(1));
    assert_eq!(node.call(1), Some(100));
    assert_eq!(node.call(2), Some(503));
    // The ACK of the refusal, and an INVITE that is there already.
    assert_eq!(
        node.heard(&request("ACK", "sip:bob@10.0.0.254", 2, ""), "10.1.0.1", X),
        None
    );
    assert_eq!(node.call(1), Some(100));
    // In a dialog, or what looks like one: refused for what it is, not for the load.
    for method in ["INVITE", "BYE", "PRACK", "UPDATE", "INFO"] {
        let within = request(method, "sip:bob@10.0.0.254", 3, ";tag=x");
        assert_eq!(node.heard(&within, "10.1.0.1", X), Some(481), "{method}");
    }
    let cancel = request("CANCEL", "sip:bob@10.0.0.254", 1, "").replace("1CANCEL;", "1INVITE;");
    assert_eq!(node.heard(&cancel, "10.1.0.1", X), Some(200));
    assert_eq!(
        node.heard(&request("OPTIONS", "sip:10.0.0.254", 4, ""), "10.1.0.1", X),
        Some(200)
    );
    for uri in ["urn:service:sos", "URN:service:sos.fire"] {
        let help = request("INVITE", uri, 5, "");
        let said = node.heard(&help, "10.1.0.1", X);
        assert!(said.is_some_and(|status| status != 503), "{uri}: {said:?}");
    }
    // Nothing but the second call was turned away.
    assert_eq!(node.shard.stats().turned_away.calls, 1);
    assert_eq!(
        node.heard(&request("REGISTER", "sip:10.0.0.254", 6, ""), "10.1.0.1", X),
        Some(503)
    );
}

#[test]
fn while_messages_wait_too_long_calls_are_let_in_at_the_rate_that_is_handled() {
    let mut node = Node::new(Limits {
        delay: Some(50 * MS),
        caps: Caps::default(),
        ..Limits::default()
    });
    let mut refused = 0;
    for n in 0..3_000 {
        node.now += MS;
        // Half of what comes is more than is handled: the queue grows.
        let wait = MS / 2 * n;
        node.shard.waited(node.now, wait.min(Duration::from_secs(1)), 0);
        refused += u32::from(node.call(n) == Some(503));
    }
    let stats = node.shard.stats();
    assert!(refused > 1_500, "{refused}");
    assert_eq!(stats.turned_away.load, u64::from(refused));
    assert!(stats.rate.is_some_and(|rate| rate < 500), "{:?}", stats.rate);
    // A flood is told in part and counted whole.
    assert_eq!(node.told.len() + node.untold, refused as usize);
    assert!(node.told.len() <= 62, "{}", node.told.len());
    // It is over.
    for n in 3_000..13_000 {
        node.now += MS;
        node.shard.waited(node.now, Duration::ZERO, 0);
        if n % 10 == 0 {
            node.call(n);
        }
    }
    assert_eq!(node.shard.stats().rate, None);
    assert_eq!(node.call(20_000), Some(100));
}

#[test]
fn new_bounds_hold_for_new_calls_and_end_none_that_are_there() {
    let mut node = Node::capped(|_| {});
    for n in 0..3 {
        assert_eq!(node.call(n), Some(100));
    }
    let phones = Profile {
        name: "phones".into(),
        sources: vec!["10.0.0.0/8".parse().unwrap()],
        ..Profile::default()
    };
    let caps = Caps {
        calls: Some(1),
        ..Caps::default()
    };
    let new = config(&[X], Admission::new(vec![Arc::new(phones)]));
    node.shard.reload(
        node.at(),
        new.call,
        new.admission,
        Limits {
            caps,
            ..Limits::default()
        },
    );
    assert_eq!((node.shard.call_count(), node.shard.stats().early), (3, 3));
    assert_eq!(node.call(3), Some(503));
    let cancel = request("CANCEL", "sip:bob@10.0.0.254", 1, "").replace("1CANCEL;", "1INVITE;");
    assert_eq!(node.heard(&cancel, "10.1.0.1", X), Some(200), "what is there goes on");
}
