//! OPTIONS tells what an INVITE would get, and costs no more than that may.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod shard;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, CallKey, Caps, Limits, Shard, ShardConfig, ShardOutput};
use segue_call::{Lookup, Now, StoreAction, StoreReply};
use segue_policy::{Plan, Profile, UnknownCallee};
use segue_records::UnixMs;
use segue_sip_wire::Message;

use shard::{config, peer};

const X: &str = "10.0.0.254:5060";

struct Node {
    shard: Shard,
    now: Now,
    asked: Vec<(CallKey, String)>,
    answers: Vec<Message>,
    others: usize,
}

impl Node {
    fn new(caps: Caps, change: impl FnOnce(&mut Profile)) -> Node {
        let mut profile = Profile {
            name: "phones".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            emergency_numbers: vec!["112".into()],
            emergency_next_hop: Some("10.9.0.1".parse().unwrap()),
            ..Profile::default()
        };
        change(&mut profile);
        let limits = Limits {
            caps,
            ..Limits::default()
        };
        Node {
            shard: Shard::new(ShardConfig {
                limits,
                ..config(&[X], Admission::new(vec![Arc::new(profile)]))
            }),
            now: Now {
                mono: Instant::now(),
                wall: UnixMs(0),
            },
            asked: Vec::new(),
            answers: Vec::new(),
            others: 0,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(transmit) => self.answers.push(Message::parse_datagram(&transmit.bytes).unwrap()),
                ShardOutput::Store(key, StoreAction::Lookup { user, .. }, _) => self.asked.push((key, user)),
                ShardOutput::Refused(_) => {}
                _ => self.others += 1,
            }
        }
    }

    fn ask(&mut self, method: &str, uri: &str, n: u32, source: &str) {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {source}:5060;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:ann@10.1.0.1>;tag=a\r\nTo: <{uri}>\r\nCall-ID: c{n}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:ann@10.1.0.1>\r\nContent-Length: 0\r\n\r\n"
        );
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        let peer = peer(X, &format!("{source}:5060"));
        self.shard.handle_message(self.now, peer, message);
        self.drain();
    }

    fn store_says(&mut self, reply: StoreReply) {
        let (key, _) = self.asked.pop().unwrap();
        self.shard.handle_store(self.now, key, reply);
        self.drain();
    }

    /// The final statuses so far.
    fn told(&self) -> Vec<u16> {
        let statuses = self.answers.iter().filter_map(Message::status);
        statuses.filter(|status| *status >= 200).collect()
    }
}

fn found() -> StoreReply {
    StoreReply::Found(Box::new(Lookup {
        plan: Plan {
            mailbox: "bob".into(),
            targets: vec!["sip:bob@10.2.0.1".into()],
            ..Plan::default()
        },
        clip: None,
        greeting: None,
        beep: None,
        full: None,
        prompts: None,
        named: Vec::new(),
    }))
}

#[test]
fn it_gets_what_an_invite_would() {
    let failed = || StoreReply::LookupFailed { why: "locked".into() };
    let (reject, forward) = (UnknownCallee::Reject, UnknownCallee::Forward);
    for (uri, unknown, reply, status) in [
        ("sip:bob@10.0.0.254", reject, Some(found()), 200),
        ("sip:eve@10.0.0.254", reject, Some(StoreReply::NotFound), 404),
        ("sip:eve@10.0.0.254", reject, Some(failed()), 500),
        ("sip:eve@10.0.0.254", forward, Some(StoreReply::NotFound), 480),
        ("sip:+4930@10.3.0.1", forward, Some(StoreReply::NotFound), 403),
        ("sip:+4930@10.4.0.1", forward, Some(StoreReply::NotFound), 200),
        ("tel:+4930", reject, Some(StoreReply::NotFound), 404),
        ("urn:service:sos", reject, None, 200),
        ("sip:112@10.0.0.254", reject, None, 200),
        ("sip:10.0.0.254", reject, None, 200),
    ] {
        let change = |profile: &mut Profile| {
            profile.unknown_callee = unknown;
            profile.destinations = vec!["10.4.0.0/16".parse().unwrap()];
        };
        let mut node = Node::new(Caps::default(), change);
        node.ask("OPTIONS", uri, 1, "10.1.0.1");
        // It came again meanwhile.
        node.ask("OPTIONS", uri, 1, "10.1.0.1");
        assert!(node.asked.len() <= 1, "{:?}", node.asked);
        let asks = reply.is_some();
        if let Some(reply) = reply {
            assert!(node.told().is_empty());
            node.store_says(reply);
        }
        assert_eq!(node.told()[0], status, "{uri} {unknown:?}");
        assert_eq!((node.others, node.shard.call_count()), (0, 0), "nothing else is done");
        if uri != "sip:10.0.0.254" && asks {
            // The INVITE itself, as far as it is refused.
            let mut node = Node::new(Caps::default(), change);
            node.ask("INVITE", uri, 1, "10.1.0.1");
            let reply = match status {
                200 => continue,
                500 => failed(),
                _ => StoreReply::NotFound,
            };
            node.store_says(reply);
            assert_eq!(node.told(), [status], "{uri} {unknown:?}");
        }
    }
}

#[test]
fn a_200_says_what_is_taken() {
    let mut node = Node::new(Caps::default(), |_| ());
    node.ask("OPTIONS", "sip:bob@10.0.0.254", 1, "10.1.0.1");
    node.store_says(found());
    for (name, value) in [
        ("Accept", "application/sdp"),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "en"),
    ] {
        assert_eq!(node.answers[0].header(name), Some(value));
    }
    assert!(node.answers[0].has_token("Allow", "INVITE") && node.answers[0].has_token("Supported", "100rel"));
}

#[test]
fn strangers_hear_nothing_and_bounds_hold() {
    let mut node = Node::new(Caps::default(), |_| ());
    node.ask("OPTIONS", "sip:bob@10.0.0.254", 1, "192.0.2.1");
    assert!(node.asked.is_empty() && node.answers.is_empty());
    // So many questions wait for the store, and no more.
    for n in 0..200 {
        node.ask("OPTIONS", "sip:bob@10.0.0.254", n, "10.1.0.1");
    }
    assert_eq!(node.asked.len(), 32);
    assert_eq!(node.told(), vec![503; 168]);
    assert!(node.answers[0].header("Retry-After").is_some());
    // A store that never answers holds them for five seconds.
    node.now.mono += Duration::from_secs(6);
    node.ask("OPTIONS", "sip:bob@10.0.0.254", 1_000, "10.1.0.1");
    assert_eq!(node.asked.len(), 33);
    // Nor are there more a second, however fast the store is.
    let mut node = Node::new(Caps::default(), |_| ());
    for n in 0..100 {
        node.ask("OPTIONS", "sip:bob@10.0.0.254", n, "10.1.0.1");
        if !node.asked.is_empty() {
            node.store_says(found());
        }
    }
    assert_eq!(node.told().iter().filter(|status| **status == 200).count(), 50);
}

#[test]
fn a_server_or_a_profile_that_is_full_says_so() {
    let caps = |set: fn(&mut Caps)| {
        let mut caps = Caps::default();
        set(&mut caps);
        caps
    };
    let mut node = Node::new(caps(|caps| caps.calls = Some(0)), |_| ());
    node.ask("OPTIONS", "sip:bob@10.0.0.254", 1, "10.1.0.1");
    assert_eq!((node.told(), node.asked.len()), (vec![503], 0));
    let mut node = Node::new(caps(|caps| caps.source_calls = Some(0)), |_| ());
    node.ask("OPTIONS", "sip:bob@10.0.0.254", 1, "10.1.0.1");
    assert_eq!(node.told(), [500]);
    let mut node = Node::new(caps(|caps| caps.subscriber_calls = Some(0)), |_| ());
    node.ask("OPTIONS", "sip:bob@10.0.0.254", 1, "10.1.0.1");
    node.store_says(found());
    assert_eq!(node.told(), [403]);
    node.shard.close();
    node.ask("OPTIONS", "sip:bob@10.0.0.254", 2, "10.1.0.1");
    assert_eq!(node.told(), [403, 503]);
}
