//! Calls that subscribers missed, told where they end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod shard;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, Shard, ShardOutput};
use segue_call::{Lookup, MediaAction, MediaEvent, Now, Ports, StoreAction, StoreReply};
use segue_policy::{Plan, Profile, Subscriber};
use segue_records::{CallResult, NoticeFacts, UnixMs};
use segue_sip_wire::{Message, Method};

use shard::{config, peer};

const X: &str = "10.0.0.254:5060";
const A: &str = "10.7.0.1:5060";

const OFFER: &str = "Content-Type: application/sdp\r\nContent-Length: 97\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.7.0.1\r\ns=-\r\n\
    c=IN IP4 10.7.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n";

/// A calls bob, whose phone says this once it is called; or gives up before. What is told of it.
fn called(missed_notices: bool, phone_says: Option<&str>) -> Vec<(NoticeFacts, bool)> {
    let profile = Profile {
        name: "phones".into(),
        sources: vec!["10.0.0.0/8".parse().unwrap()],
        missed_notices,
        ..Profile::default()
    };
    let mut shard = Shard::new(config(&[X], Admission::new(vec![Arc::new(profile)])));
    let mut now = Now {
        mono: Instant::now(),
        wall: UnixMs(1_289_690_940_000),
    };
    let of_a = |method: &str, more: &str| {
        let text = format!(
            "{method} sip:bob@10.0.0.254 SIP/2.0\r\nVia: SIP/2.0/UDP {A};branch=z9hG4bKcall\r\nMax-Forwards: 70\r\n\
             From: <sip:ann@10.7.0.1>;tag=a\r\nTo: <sip:bob@10.0.0.254>\r\nCall-ID: call\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:ann@10.7.0.1>\r\n{more}"
        );
        Message::parse_datagram(text.as_bytes()).unwrap()
    };
    shard.handle_message(now, peer(X, A), of_a("INVITE", OFFER));
    let mut missed = Vec::new();
    let mut turns = 0;
    loop {
        let Some(output) = shard.poll_output() else {
            match turns {
                0 => shard.handle_message(now, peer(X, A), of_a("CANCEL", "Content-Length: 0\r\n\r\n")),
                // Past all timers: A never says ACK.
                1..100 => {
                    now.mono += Duration::from_millis(500);
                    shard.handle_timeout(now);
                }
                _ => return missed,
            }
            turns += 1;
            continue;
        };
        match output {
            ShardOutput::Transmit(sent) if sent.peer.remote.to_string() == "10.1.0.1:5060" => {
                let request = Message::parse_datagram(&sent.bytes).unwrap();
                let (true, Some(says)) = (request.status().is_none(), phone_says) else {
                    continue;
                };
                let is_cancel = request.method() == Some(&Method::Cancel);
                let says = if is_cancel { "200 OK" } else { says };
                let header = |name: &str| request.header(name).unwrap();
                let text = format!(
                    "SIP/2.0 {says}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
                    header("Via"),
                    header("From"),
                    header("To"),
                    header("Call-ID"),
                    header("CSeq"),
                );
                let response = Message::parse_datagram(text.as_bytes()).unwrap();
                shard.handle_message(now, sent.peer, response);
            }
            ShardOutput::Media(key, MediaAction::Open { leg, .. }) => {
                let audio = 4_000 + u16::try_from(leg.0).unwrap() * 4;
                let ports = Ports {
                    address: "10.0.0.254".parse().unwrap(),
                    audio,
                    video: audio + 2,
                };
                shard.handle_media(now, key, MediaEvent::Opened { leg, ports });
            }
            ShardOutput::Store(key, StoreAction::Lookup { user, .. }, profile) => {
                let subscriber = Subscriber {
                    user,
                    targets: vec!["sip:bob@10.1.0.1".to_owned()],
                    ..Subscriber::default()
                };
                let lookup = Lookup {
                    plan: Plan::new(&subscriber, &profile),
                    clip: None,
                    greeting: None,
                    beep: None,
                    full: None,
                    prompts: None,
                    named: Default::default(),
                };
                shard.handle_store(now, key, StoreReply::Found(Box::new(lookup)));
            }
            ShardOutput::Missed(facts, by_default) => missed.push((*facts, by_default)),
            _ => {}
        }
    }
}

#[test]
fn a_caller_who_gives_up_while_the_phone_rings_was_missed_once() {
    let missed = called(true, Some("180 Ringing"));
    assert_eq!(missed.len(), 1);
    let (facts, _) = &missed[0];
    assert_eq!(
        (facts.mailbox.as_str(), facts.result),
        ("bob", Some(CallResult::Abandoned))
    );
    assert_eq!(facts.from.as_deref(), Some("sip:ann@10.7.0.1"));
    assert_eq!(facts.sip_call_id.as_deref(), Some("call"));
    assert_eq!(facts.at, UnixMs(1_289_690_940_000));
}

#[test]
fn who_is_told_of_missed_calls_is_the_profiles_to_say_where_the_subscriber_says_nothing() {
    for says in [true, false] {
        let missed = called(says, Some("180 Ringing"));
        assert_eq!(missed[0].1, says);
    }
}
