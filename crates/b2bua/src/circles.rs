//! Tests: Session-ID on both legs, and calls that come back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Instant;

use segue_call::{CallConfig, Lookup, MediaAction, MediaEvent, Now, Ports, StoreAction, StoreReply};
use segue_policy::{Plan, Profile};
use segue_records::{CallRecord, UnixMs};
use segue_sip::{EndpointConfig, Local, Peer, Protocol};
use segue_sip_wire::Message;

use crate::{Admission, Limits, Shard, ShardConfig, ShardOutput};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const UUID_A: &str = "ab30317f1a784dc48ff824d0d3715d86";
const UUID_B: &str = "47755a9de7794ba387653f2099600ef2";

/// One node; its callees are at `target`.
struct Node {
    address: &'static str,
    target: String,
    shard: Shard,
    opened: usize,
    records: Vec<CallRecord>,
}

/// Nodes that hear each other, and everybody else's post.
struct Net {
    now: Now,
    nodes: Vec<Node>,
    /// Where to, and what.
    post: Vec<(String, String)>,
}

impl Net {
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other beginning; nothing depends on it.
    fn new(nodes: &[(&'static str, &str)]) -> Net {
        let profile = Profile {
            name: "all".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            ..Profile::default()
        };
        let node = |(seed, (address, target)): (usize, &(&'static str, &str))| {
            let local = Local {
                protocol: Protocol::Udp,
                bind: address.parse().unwrap(),
                advertise: (*address).into(),
            };
            let config = ShardConfig {
                endpoint: EndpointConfig {
                    sockets: vec![local],
                    seed: seed as u64,
                    ..EndpointConfig::default()
                },
                call: Arc::new(CallConfig {
                    record_min_ms: 1_000,
                    record_max_ms: 60_000,
                    record_silence_ms: 4_000,
                    early_max_ms: 170_000,
                }),
                admission: Admission::new(vec![Arc::new(profile.clone())]),
                limits: Limits::default(),
                seed: seed as u64,
                secret: None,
            };
            Node {
                address,
                target: (*target).to_owned(),
                shard: Shard::new(config),
                opened: 0,
                records: Vec::new(),
            }
        };
        Net {
            now: Now {
                mono: Instant::now(),
                wall: UnixMs(1_700_000_000_000),
            },
            nodes: nodes.iter().enumerate().map(node).collect(),
            post: Vec::new(),
        }
    }

    /// Until nobody has anything to say.
    fn run(&mut self) {
        for _ in 0..200 {
            let mut idle = true;
            for at in 0..self.nodes.len() {
                while let Some(output) = self.nodes[at].shard.poll_output() {
                    idle = false;
                    self.perform(at, output);
                }
            }
            if idle {
                return;
            }
        }
        panic!("they never stop: {:#?}", self.post);
    }

    fn perform(&mut self, at: usize, output: ShardOutput) {
        let now = self.now;
        let node = &mut self.nodes[at];
        match output {
            ShardOutput::Transmit(transmit) => {
                let (from, to) = (node.address, transmit.peer.remote.to_string());
                let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
                self.post.push((to.clone(), text.clone()));
                if self.nodes.iter().any(|node| node.address == to) {
                    self.deliver(from, &to, &text);
                }
            }
            ShardOutput::Media(key, MediaAction::Open { leg, .. }) => {
                node.opened += 1;
                let (address, audio) = ("10.9.9.9".parse().unwrap(), 4_000 + u16::try_from(leg.0).unwrap() * 4);
                let ports = Ports {
                    address,
                    audio,
                    video: audio + 2,
                };
                node.shard.handle_media(now, key, MediaEvent::Opened { leg, ports });
            }
            ShardOutput::Store(key, StoreAction::Lookup { .. }, _) => {
                let plan = Plan {
                    mailbox: "b".into(),
                    targets: vec![node.target.clone()],
                    no_answer_ms: 20_000,
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
                node.shard.handle_store(now, key, StoreReply::Found(Box::new(lookup)));
            }
            ShardOutput::Store(key, StoreAction::Reserve { .. }, _) => {
                let why = "locked".into();
                node.shard.handle_store(now, key, StoreReply::ReserveFailed { why });
            }
            ShardOutput::Ended(_, record) => node.records.push(*record),
            _ => {}
        }
    }

    fn deliver(&mut self, from: &str, to: &str, text: &str) {
        let node = self.nodes.iter_mut().find(|node| node.address == to).unwrap();
        let peer = Peer {
            protocol: Protocol::Udp,
            local: to.parse().unwrap(),
            remote: from.parse().unwrap(),
            flow: None,
        };
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        node.shard.handle_message(self.now, peer, message);
    }

    fn calls(&mut self, node: &str, session_id: &str) {
        let text = format!(
            "INVITE sip:b@{node} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@10.1.0.1>;tag=a\r\nTo: <sip:b@{node}>\r\nCall-ID: call\r\nCSeq: 1 INVITE\r\n{session_id}\
             Contact: <sip:a@10.1.0.1:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        );
        self.deliver("10.1.0.1:5060", node, &text);
        self.run();
    }

    /// The Session-IDs of what was sent to an address, by start line.
    fn session_ids(&self, to: &str) -> Vec<(String, Option<String>)> {
        let of = |(_, text): &(String, String)| {
            let header = text.split("\r\n").find_map(|line| line.strip_prefix("Session-ID: "));
            let start = text.split("\r\n").next().unwrap().replace("SIP/2.0", "");
            let word = start.split_whitespace().next().unwrap().to_owned();
            (word, header.map(str::to_owned))
        };
        self.post.iter().filter(|(at, _)| at == to).map(of).collect()
    }

    fn callee_says(&mut self, status: &str, session_id: &str, body: &str) {
        let (_, invite) = self
            .post
            .iter()
            .find(|(to, text)| to == "10.2.0.1:5060" && text.starts_with("INVITE"))
            .unwrap();
        let kept: String = invite
            .split("\r\n")
            .filter(|line| {
                ["Via:", "From:", "Call-ID:", "CSeq:"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(|line| format!("{line}\r\n"))
            .collect();
        let text = format!(
            "SIP/2.0 {status}\r\n{kept}To: <sip:b@10.2.0.1>;tag=b\r\nContact: <sip:b@10.2.0.1:5060>\r\n{session_id}\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let node = self.nodes[0].address;
        self.deliver("10.2.0.1:5060", node, &text);
        self.run();
    }
}

const X1: &str = "10.0.0.1:5060";
const X2: &str = "10.0.0.2:5060";

#[test]
fn both_legs_say_who_both_ends_are() {
    let mut net = Net::new(&[(X1, "sip:b@10.2.0.1:5060")]);
    let nil = "0".repeat(32);
    net.calls(X1, &format!("Session-ID: {UUID_A};remote={nil}\r\n"));
    net.callee_says("180 Ringing", "", "");
    net.callee_says("200 OK", &format!("Session-ID: {UUID_B};remote={UUID_A}\r\n"), SDP);
    let said = |word: &str, value: String| (word.to_owned(), Some(value));
    assert_eq!(
        net.session_ids("10.2.0.1:5060"),
        [
            said("INVITE", format!("{UUID_A};remote={nil}")),
            said("ACK", format!("{UUID_A};remote={UUID_B}")),
        ]
    );
    let to_a = net.session_ids("10.1.0.1:5060");
    assert_eq!(to_a[0], said("100", format!("{nil};remote={UUID_A}")));
    assert_eq!(to_a.last().unwrap(), &said("200", format!("{UUID_B};remote={UUID_A}")));
}

#[test]
fn a_caller_without_a_uuid_gets_one() {
    let mut net = Net::new(&[(X1, "sip:b@10.2.0.1:5060")]);
    net.calls(X1, "");
    let to_b = net.session_ids("10.2.0.1:5060");
    let uuid = to_b[0].1.as_ref().unwrap().split(';').next().unwrap().to_owned();
    assert!(uuid.len() == 32 && uuid != "0".repeat(32), "{to_b:?}");
    net.callee_says("486 Busy Here", "", "");
    let to_a = net.session_ids("10.1.0.1:5060");
    // The mailbox answers: it is an end of its own.
    let (word, value) = to_a.last().unwrap();
    let value = value.as_ref().unwrap();
    assert!(
        word == "200" && value.ends_with(&format!(";remote={uuid}")) && !value.starts_with("0000"),
        "{to_a:?}"
    );
}

#[test]
fn two_nodes_that_forward_to_each_other_stop() {
    for session_id in [String::new(), format!("Session-ID: {UUID_A}\r\n")] {
        let mut net = Net::new(&[(X1, "sip:b@10.0.0.2:5060"), (X2, "sip:b@10.0.0.1:5060")]);
        net.calls(X1, &session_id);
        let (word, _) = net.session_ids("10.1.0.1:5060").last().unwrap().clone();
        assert_eq!(word, "482");
        let opened: Vec<usize> = net.nodes.iter().map(|node| node.opened).collect();
        assert_eq!(
            opened,
            [2, 2],
            "ports for two legs each, none for the call that came back"
        );
        let invites = net.post.iter().filter(|(_, text)| text.starts_with("INVITE")).count();
        assert_eq!(invites, 2);
    }
}

#[test]
fn a_target_that_is_this_node_again_is_refused_at_once() {
    let mut net = Net::new(&[(X1, "sip:b@10.0.0.1:5060")]);
    net.calls(X1, "");
    assert_eq!(net.session_ids("10.1.0.1:5060").last().unwrap().0, "482");
    assert_eq!(net.nodes[0].opened, 0);
    assert!(!net.post.iter().any(|(_, text)| text.starts_with("INVITE")));
}

#[test]
fn who_calls_again_after_the_end_is_no_circle() {
    let mut net = Net::new(&[(X1, "sip:b@10.2.0.1:5060")]);
    let session_id = format!("Session-ID: {UUID_A}\r\n");
    net.calls(X1, &session_id);
    let bye_or_cancel = "CANCEL sip:b@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:a@10.1.0.1>;tag=a\r\nTo: <sip:b@10.0.0.1:5060>\r\nCall-ID: call\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n";
    net.deliver("10.1.0.1:5060", X1, bye_or_cancel);
    net.run();
    let again = format!(
        "INVITE sip:b@{X1} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK2\r\nMax-Forwards: 70\r\n\
         From: <sip:a@10.1.0.1>;tag=a2\r\nTo: <sip:b@{X1}>\r\nCall-ID: call-2\r\nCSeq: 1 INVITE\r\n{session_id}\
         Contact: <sip:a@10.1.0.1:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    net.deliver("10.1.0.1:5060", X1, &again);
    net.run();
    let invites = net
        .post
        .iter()
        .filter(|(to, text)| to == "10.2.0.1:5060" && text.starts_with("INVITE"))
        .count();
    assert_eq!(invites, 2);
    assert!(!net.session_ids("10.1.0.1:5060").iter().any(|(word, _)| word == "482"));
}
