//! Emergency calls through a whole node: never turned away, and as they came; and requests that come by two ways.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod shard;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use segue_b2bua::{Admission, Caps, Limits, Shard, ShardOutput};
use segue_call::{MediaAction, MediaEvent, Now, Ports};
use segue_policy::{Profile, UnknownCallee};
use segue_records::UnixMs;
use segue_sip_wire::Message;

use shard::{config, peer};

const X: &str = "10.0.0.254:5060";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const PLACE: &str = "<presence entity=\"pres:a@x\"><tuple id=\"1\"/></presence>";

struct Node {
    shard: Shard,
    now: Now,
    /// Where to, and what.
    sent: Vec<(SocketAddr, Message)>,
}

impl Node {
    fn new(sessions_max: usize, change: impl FnOnce(&mut Profile)) -> Node {
        let mut profile = Profile {
            name: "phones".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            emergency_numbers: vec!["112".into()],
            emergency_next_hop: Some("10.112.0.1:5070".parse().unwrap()),
            ..Profile::default()
        };
        change(&mut profile);
        let caps = Caps {
            calls: Some(0),
            ..Caps::default()
        };
        let mut config = config(&[X], Admission::new(vec![Arc::new(profile)]));
        config.endpoint.sessions_max = sessions_max;
        config.limits = Limits {
            caps,
            ..Limits::default()
        };
        Node {
            shard: Shard::new(config),
            now: Now {
                mono: Instant::now(),
                wall: UnixMs(0),
            },
            sent: Vec::new(),
        }
    }

    fn hears(&mut self, text: &str) {
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard.handle_message(self.now, peer(X, "10.1.0.1:5060"), message);
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(transmit) => {
                    let message = Message::parse_datagram(&transmit.bytes).unwrap();
                    self.sent.push((transmit.peer.remote, message));
                }
                ShardOutput::Media(key, MediaAction::Open { leg, .. }) => {
                    let audio = 4_000 + u16::try_from(leg.0).unwrap() * 4;
                    let ports = Ports {
                        address: "10.9.9.9".parse().unwrap(),
                        audio,
                        video: audio + 2,
                    };
                    self.shard
                        .handle_media(self.now, key, MediaEvent::Opened { leg, ports });
                }
                _ => {}
            }
        }
    }

    /// The statuses said to the caller.
    fn told(&self) -> Vec<u16> {
        let of = |(to, message): &(SocketAddr, Message)| message.status().filter(|_| to.ip().to_string() == "10.1.0.1");
        self.sent.iter().filter_map(of).collect()
    }

    /// The INVITEs to who helps.
    fn invites(&self) -> Vec<&Message> {
        let helps: SocketAddr = "10.112.0.1:5070".parse().unwrap();
        let to = self
            .sent
            .iter()
            .filter(|(to, message)| *to == helps && message.is_request());
        to.map(|(_, message)| message).collect()
    }
}

fn invite(uri: &str, number: u32, more: &str) -> String {
    format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
         From: \"Ann\" <sip:ann@10.1.0.1>;tag=a\r\nTo: <{uri}>\r\nCall-ID: c{number}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:ann@10.1.0.1:5060>\r\n{more}"
    )
}

fn plain(uri: &str, number: u32, more: &str) -> String {
    let more = format!(
        "{more}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    invite(uri, number, &more)
}

#[test]
fn neither_limits_nor_a_server_that_stops_hold_it_back() {
    for uri in [
        "urn:service:sos",
        "sip:112@segue.example",
        "sip:1-1-2@segue.example;user=phone",
        "tel:112;phone-context=+49",
    ] {
        let mut node = Node::new(0, |_| {});
        node.shard.close();
        node.hears(&plain("sip:bob@segue.example", 1, ""));
        assert_eq!(node.told(), [503], "others are turned away");
        node.hears(&plain(uri, 2, ""));
        assert_eq!(node.told(), [503, 100], "{uri}");
        let invites = node.invites();
        assert_eq!(invites.len(), 1);
        assert_eq!(invites[0].request_uri().unwrap().to_string(), uri);
        assert_eq!(invites[0].to().unwrap().uri.to_string(), uri);
    }
}

#[test]
fn headers_and_body_parts_come_there_as_they_were() {
    // The caller is not trusted and wants privacy: of another call both would take something away.
    let said = "Privacy: id\r\nGeolocation: <cid:place@x>\r\nGeolocation-Routing: yes\r\n\
                P-Access-Network-Info: IEEE-802.11\r\nX-Own: 1\r\n";
    // But who is not trusted vouches for nobody (RFC 3325 §5).
    let vouches = "p-asserted-identity: <sip:+4930@x>\r\nRemote-Party-ID: <sip:+4930@x>\r\nAttestation-Info: A\r\n";
    let body = format!(
        "--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <place@x>\r\n\r\n\
         {PLACE}\r\n--b--\r\n"
    );
    let mut node = Node::new(100, |_| {});
    let more = format!(
        "{said}{vouches}Content-Type: multipart/mixed;boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    node.hears(&invite("urn:service:sos", 1, &more));
    let invites = node.invites();
    for line in said.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(invites[0].header(name), Some(value), "{line}");
    }
    for name in ["P-Asserted-Identity", "Remote-Party-ID", "Attestation-Info"] {
        assert_eq!(invites[0].header(name), None, "{name}");
    }
    assert_eq!(invites[0].from().unwrap().display.as_deref(), Some("Ann"));
    let there = String::from_utf8_lossy(invites[0].body()).into_owned();
    assert!(there.contains(PLACE) && there.contains("<place@x>"), "{there}");
}

#[test]
fn a_trusted_side_vouches_for_who_calls_for_help() {
    let mut node = Node::new(100, |profile| profile.trusted = true);
    node.hears(&plain("urn:service:sos", 1, "P-Asserted-Identity: <sip:+4930@x>\r\n"));
    assert_eq!(node.invites()[0].header("P-Asserted-Identity"), Some("<sip:+4930@x>"));
}

#[test]
fn what_it_asks_beyond_a_call_does_not_refuse_it() {
    for (uri, more) in [
        ("urn:service:sos", "Require: foo, 100rel\r\nSupported: 100rel\r\n"),
        ("sip:112@segue.example", "Accept: text/plain\r\n"),
        ("sips:112@segue.example", ""),
        ("urn:service:sos", "Session-Expires: 90\r\nSupported: timer\r\n"),
    ] {
        let mut node = Node::new(100, |profile| profile.min_se_s = 600);
        node.hears(&plain(uri, 1, more));
        assert_eq!((node.told(), node.invites().len()), (vec![100], 1), "{uri} {more}");
        // Others hear why not.
        let other = more.replace("urn:service:sos", "");
        node.hears(&plain(
            &uri.replace("112", "113").replace("urn:service:sos", "sip:113@x"),
            2,
            &other,
        ));
        assert!(node.told().last().is_some_and(|status| *status >= 400), "{uri} {more}");
    }
    // No description at all: ours is offered.
    let mut node = Node::new(100, |_| {});
    let body = format!(
        "Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{PLACE}",
        PLACE.len()
    );
    node.hears(&invite("urn:service:sos", 1, &body));
    assert_eq!((node.told(), node.invites().len()), (vec![100], 1));
}

#[test]
fn a_call_back_says_no_more_to_the_callee_than_its_sides_trust_allows() {
    let mut node = Node::new(100, |profile| {
        profile.trusted = true;
        profile.next_hop = Some("10.112.0.1:5070".parse().unwrap());
        profile.unknown_callee = UnknownCallee::Forward;
        profile.destinations = vec!["*".parse().unwrap()];
        profile.sources = vec!["10.1.0.0/16".parse().unwrap()];
    });
    let said = "Priority: psap-callback\r\nP-Charging-Vector: icid-value=1\r\nP-Asserted-Identity: <sip:real@x>\r\nPrivacy: id\r\n";
    node.hears(&plain("sip:home.example", 1, said));
    let invites = node.invites();
    assert_eq!(invites[0].header("Priority"), Some("psap-callback"));
    assert_eq!(
        (
            invites[0].header("P-Charging-Vector"),
            invites[0].header("P-Asserted-Identity")
        ),
        (None, None)
    );
}

#[test]
fn a_call_back_is_believed_of_trusted_peers_alone() {
    for (trusted, called) in [(true, 1), (false, 0)] {
        let mut node = Node::new(100, |profile| {
            profile.trusted = trusted;
            profile.next_hop = Some("10.112.0.1:5070".parse().unwrap());
            profile.unknown_callee = UnknownCallee::Forward;
            profile.destinations = vec!["*".parse().unwrap()];
        });
        // No subscriber is asked for: the URI has no user.
        node.hears(&plain("sip:home.example", 1, "Priority: psap-callback\r\n"));
        assert_eq!(
            node.invites().len(),
            called,
            "trusted: {trusted}, told {:?}",
            node.told()
        );
        assert_eq!(node.told().contains(&503), !trusted, "the limit counts for others");
    }
}

#[test]
fn a_request_that_comes_by_two_ways_is_one_call() {
    let mut node = Node::new(100, |_| {});
    let first = plain("urn:service:sos", 1, "");
    node.hears(&first);
    node.hears(&first.replace("branch=z9hG4bK1", "branch=z9hG4bKother"));
    assert_eq!(node.told(), [100, 482]);
    assert_eq!(node.invites().len(), 1);
}
