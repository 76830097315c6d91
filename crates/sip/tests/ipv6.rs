//! Addresses of IPv6 in what we say, and the socket that it leaves by.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{net::SocketAddr, time::Instant};

use common::*;
use segue_sip::{Endpoint, EndpointConfig, Local, Outgoing, Peer, Protocol};
use segue_sip_wire::Message;

const V4: &str = "192.0.2.1:5060";
const V6: &str = "[2001:db8::1]:5060";
const PEER: &str = "[2001:db8::9]:5070";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn endpoint(sockets: &[&str]) -> Endpoint {
    let of = |bind: &&str| {
        [Protocol::Udp, Protocol::Tcp].map(|protocol| Local {
            protocol,
            bind: at(bind),
            advertise: (*bind).to_owned(),
        })
    };
    Endpoint::new(EndpointConfig {
        sockets: sockets.iter().flat_map(of).collect(),
        ..EndpointConfig::default()
    })
}

fn outgoing(target: &str) -> Outgoing {
    Outgoing {
        target: target.parse().unwrap(),
        local: at(V4),
        ..Net::new(1).outgoing()
    }
}

#[test]
fn a_request_to_ipv6_leaves_by_that_socket_and_says_so() {
    let mut x = endpoint(&[V4, V6]);
    for (target, transport) in [
        (format!("sip:bob@{PEER}"), "UDP"),
        (format!("sip:bob@{PEER};transport=tcp"), "TCP"),
    ] {
        x.invite(Instant::now(), outgoing(&target));
        let sent = x.poll_transmit().unwrap();
        assert_eq!((sent.peer.local, sent.peer.remote), (at(V6), at(PEER)));
        let invite = Message::parse_datagram(&sent.bytes).unwrap();
        let via = invite.header("Via").unwrap().to_owned();
        assert!(via.starts_with(&format!("SIP/2.0/{transport} {V6};branch=")), "{via}");
        assert!(
            invite
                .header("Contact")
                .unwrap()
                .starts_with(&format!("<sip:segue@{V6}"))
        );
        assert_eq!(invite.request_uri().unwrap().to_string(), target);
    }
}

#[test]
fn without_a_socket_of_that_family_nothing_is_sent() {
    let mut x = endpoint(&[V4]);
    x.invite(Instant::now(), outgoing(&format!("sip:bob@{PEER}")));
    assert!(x.poll_transmit().is_none());
    assert_eq!(name(&x.poll_event().unwrap()), "Failed 503");
}

#[test]
fn a_dialog_by_ipv6_follows_record_route_and_contact() {
    let mut script = Script::of(endpoint(&[V4, V6]));
    script.peer = Peer {
        protocol: Protocol::Udp,
        local: at(V6),
        remote: at(PEER),
        flow: None,
    };
    let invite = "INVITE sip:bob@[2001:db8::1] SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::8];rport;branch=z9hG4bKp\r\n\
         Via: SIP/2.0/UDP [2001:db8::7]:5080;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
         Record-Route: <sip:[2001:db8::8]:5082;lr>\r\nFrom: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:bob@example.com>\r\nCall-ID: call1\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@[2001:db8::7]:5080>\r\n\
         Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
    script.say(invite);
    let (now, session) = (script.now, script.session());
    script.endpoint.answer(now, session, Some(sdp("answer"))).unwrap();
    let ok = script.hear().pop().unwrap();
    assert_eq!(
        ok.list("Via")[0],
        "SIP/2.0/UDP [2001:db8::8];rport=5070;branch=z9hG4bKp;received=2001:db8::9",
        "RFC 3581 §4"
    );
    assert_eq!(ok.list("Record-Route"), ["<sip:[2001:db8::8]:5082;lr>"]);
    assert_eq!(ok.header("Contact"), Some(&*format!("<sip:segue@{V6}>")));
    let ack = request("ACK", 1, "k", Some(&to_tag(&ok)), "").replace("sip:bob@127.0.0.2", "sip:bob@example.com");
    script.say(&ack);
    script.endpoint.bye(now, session, None).unwrap();
    let sent = script.endpoint.poll_transmit().unwrap();
    assert_eq!((sent.peer.local, sent.peer.remote), (at(V6), at("[2001:db8::8]:5082")));
    let bye = Message::parse_datagram(&sent.bytes).unwrap();
    assert_eq!(bye.request_uri().unwrap().to_string(), "sip:alice@[2001:db8::7]:5080");
    assert_eq!(bye.list("Route"), ["<sip:[2001:db8::8]:5082;lr>"]);
}
