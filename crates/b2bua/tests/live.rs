//! The calls that are up, looked at and hung up from outside.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod shard;

use std::{sync::Arc, time::Instant};

use segue_b2bua::{Admission, Shard, ShardOutput};
use segue_call::Now;
use segue_policy::Profile;
use segue_records::{CallResult, PhaseName, Sent, UnixMs};
use segue_sip_wire::Message;

use shard::{config, peer};

const X: &str = "10.0.0.254:5060";
const A: &str = "10.7.0.1:5060";

const OFFER: &str = "Content-Type: application/sdp\r\nContent-Length: 97\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.7.0.1\r\ns=-\r\n\
    c=IN IP4 10.7.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n";

/// A node that two callers called, one a millisecond after the other: their subscribers are being looked up.
fn node() -> (Shard, Now) {
    let profile = Profile {
        name: "phones".into(),
        sources: vec!["10.0.0.0/8".parse().unwrap()],
        ..Profile::default()
    };
    let mut shard = Shard::new(config(&[X], Admission::new(vec![Arc::new(profile)])));
    let mut now = Now {
        mono: Instant::now(),
        wall: UnixMs(1_289_690_940_000),
    };
    for caller in ["ann", "amy"] {
        now = later(now, 1);
        shard.handle_message(now, peer(X, A), of(caller, "INVITE", OFFER));
    }
    (shard, now)
}

fn later(now: Now, ms: u64) -> Now {
    let mono = now.mono + std::time::Duration::from_millis(ms);
    let wall = UnixMs(now.wall.0 + i64::try_from(ms).unwrap());
    Now { mono, wall }
}

fn of(caller: &str, method: &str, more: &str) -> Message {
    let text = format!(
        "{method} sip:bob@10.0.0.254 SIP/2.0\r\nVia: SIP/2.0/UDP {A};branch=z9hG4bK{caller}\r\nMax-Forwards: 70\r\n\
         From: <sip:{caller}@10.7.0.1>;tag=a\r\nTo: <sip:bob@10.0.0.254>\r\nCall-ID: call-{caller}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:{caller}@10.7.0.1>\r\n{more}"
    );
    Message::parse_datagram(text.as_bytes()).unwrap()
}

/// What the node sends, and how calls end.
fn outputs(shard: &mut Shard) -> (Vec<Message>, Vec<(CallResult, String)>) {
    let (mut sent, mut ended) = (Vec::new(), Vec::new());
    while let Some(output) = shard.poll_output() {
        match output {
            ShardOutput::Transmit(transmit) => sent.push(Message::parse_datagram(&transmit.bytes).unwrap()),
            ShardOutput::Ended(_, record) => ended.push((record.result, record.sip_call_id.clone())),
            _ => {}
        }
    }
    (sent, ended)
}

#[test]
fn calls_that_are_up_are_listed_from_the_latest_on_and_by_pages() {
    let (shard, now) = node();
    let all = shard.live_calls(later(now, 250), None, 10);
    let from: Vec<&str> = all.iter().map(|call| call.record.from.as_str()).collect();
    assert_eq!(from, ["sip:amy@10.7.0.1", "sip:ann@10.7.0.1"]);
    assert_eq!(all[0].phase, PhaseName::LookingUp);
    assert_eq!(all[0].since, now.wall, "a quarter of a second ago");
    assert_eq!(all[0].profile, "phones");
    assert_eq!(all[0].record.to, "sip:bob@10.0.0.254");

    assert_eq!(shard.live_calls(now, None, 1).len(), 1);
    let older = shard.live_calls(now, Some(&all[0].record.id), 10);
    assert_eq!(older.len(), 1);
    assert_eq!(older[0].record.id, all[1].record.id);
    assert!(shard.live_calls(now, Some(&all[1].record.id), 10).is_empty());
}

#[test]
fn a_call_that_is_up_shows_what_was_said_so_far_and_keeps_it_for_its_record() {
    let (mut shard, now) = node();
    let (sent, _) = outputs(&mut shard);
    assert!(sent.iter().all(|message| message.status() == Some(100)));
    let id = shard.live_calls(now, None, 1)[0].record.id.clone();
    for _ in 0..2 {
        let (_, call) = shard.live_call(now, &id).unwrap();
        let ladder: Vec<(Sent, &str)> = call.record.legs[0]
            .ladder
            .iter()
            .map(|step| (step.sent, step.summary.as_str()))
            .collect();
        assert_eq!(ladder, [(Sent::In, "INVITE (SDP)"), (Sent::Out, "100 Trying")]);
        let shown = call.to_full_json();
        assert_eq!(shown["phase"], "looking_up");
        assert_eq!(shown["legs"][0]["ladder"][0]["summary"], "INVITE (SDP)");
        assert!(shown.get("result").is_none(), "nothing has come of it yet: {shown}");
    }
    assert!(shard.live_call(now, "01JNA4X0000000000000000000").is_none());
}

#[test]
fn hanging_up_ends_one_call_in_order_and_leaves_the_other() {
    let (mut shard, now) = node();
    outputs(&mut shard);
    let all = shard.live_calls(now, None, 10);
    assert!(shard.hang_up(now, &all[0].record.id));
    let (sent, _) = outputs(&mut shard);
    let statuses: Vec<(Option<u16>, Option<&str>)> = sent.iter().map(|m| (m.status(), m.header("Call-ID"))).collect();
    assert_eq!(statuses, [(Some(480), Some("call-amy"))]);
    shard.handle_message(now, peer(X, A), of("amy", "ACK", "Content-Length: 0\r\n\r\n"));
    let (_, ended) = outputs(&mut shard);
    assert_eq!(ended, [(CallResult::Rejected, "call-amy".to_owned())]);
    let left = shard.live_calls(now, None, 10);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].record.id, all[1].record.id);
    assert!(!shard.hang_up(now, &all[0].record.id), "it is not up any more");
}
