//! What is dropped or refused before a call begins is told with its reason and what would admit it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod shard;

use std::{sync::Arc, time::Instant};

use segue_b2bua::{Admission, Refusal, Shard, ShardOutput};
use segue_call::Now;
use segue_policy::Profile;
use segue_records::UnixMs;
use segue_sip_wire::Message;

use shard::{config, peer};

const X: &str = "10.0.0.254:5060";

fn shard() -> Shard {
    let profile = Profile {
        name: "phones".into(),
        sources: vec!["10.0.0.0/8".parse().unwrap()],
        ..Profile::default()
    };
    Shard::new(config(&[X], Admission::new(vec![Arc::new(profile)])))
}

/// What a datagram from `source` gets: the status of the answer, if any, and what is logged.
fn said_to(datagram: &str, source: &str) -> (Option<u16>, Refusal) {
    let mut shard = shard();
    let now = Now {
        mono: Instant::now(),
        wall: UnixMs(0),
    };
    let peer = peer(X, source);
    match Message::parse_datagram(datagram.as_bytes()) {
        Ok(message) => shard.handle_message(now, peer, message),
        Err(error) => shard.handle_unparsable(now, peer, &error),
    }
    let (mut status, mut refusal) = (None, None);
    while let Some(output) = shard.poll_output() {
        match output {
            ShardOutput::Transmit(transmit) => {
                status = Message::parse_datagram(&transmit.bytes).unwrap().status();
            }
            ShardOutput::Refused(told) => refusal = Some(*told),
            other => panic!("{other:?}"),
        }
    }
    (status, refusal.unwrap())
}

fn request(method: &str, version: &str, more: &str) -> String {
    format!(
        "{method} sip:bob@10.0.0.254 SIP/{version}\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK1;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@10.1.0.1>;tag=1\r\nTo: <sip:bob@10.0.0.254>\r\nCall-ID: c1\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:a@10.1.0.1>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_request_that_cannot_be_read_gets_its_answer_and_is_told() {
    let (status, told) = said_to(&request("INVITE", "3.0", ""), "10.1.0.1:5060");
    assert_eq!(status, Some(505));
    assert_eq!((told.method.as_str(), told.call_id.as_deref()), ("INVITE", Some("c1")));
    assert!(!told.why.is_empty() && !told.admit.is_empty());
    let (status, told) = said_to("no SIP at all\r\n\r\n", "10.1.0.1:5060");
    assert_eq!((status, told.method.as_str()), (None, ""));
}

#[test]
fn a_stranger_hears_nothing_whether_readable_or_not() {
    for datagram in [request("INVITE", "2.0", ""), request("INVITE", "3.0", "")] {
        let (status, told) = said_to(&datagram, "192.0.2.7:5060");
        assert_eq!(status, None);
        assert!(
            told.admit.contains("sources = [\"10.0.0.0/8\", \"192.0.2.7/32\"]"),
            "{told:?}"
        );
    }
}

#[test]
fn an_unknown_extension_is_named_without_those_we_know() {
    let (status, told) = said_to(
        &request("INVITE", "2.0", "Require: 100rel, resource-priority\r\n"),
        "10.1.0.1:5060",
    );
    assert_eq!(status, Some(420));
    assert_eq!(told.admit, "leave out Require: resource-priority");
}

#[test]
fn a_session_interval_below_the_profiles_least_gets_422_and_the_log_says_what_would_do() {
    let short = "Session-Expires: 60\r\nSupported: timer\r\n";
    let (status, told) = said_to(&request("INVITE", "2.0", short), "10.1.0.1:5060");
    assert_eq!((status, told.status), (Some(422), Some(422)));
    assert!(
        told.admit.contains("90 s") && told.admit.contains("min_se_s"),
        "{told:?}"
    );
}
