//! Phones behind NATs are pinged, and called no more where they are silent and the profile says so.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod shard;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, Shard, ShardOutput};
use segue_call::Now;
use segue_policy::Profile;
use segue_records::{Happening, RegistrationRecord, UnixMs};
use segue_sip::Peer;
use segue_sip_wire::Message;
use shard::{config, peer};

const X: &str = "10.0.0.254:5060";
const OTHER: &str = "10.0.0.254:5070";

struct Office {
    shard: Shard,
    now: Now,
    told: Vec<Happening>,
}

impl Office {
    fn new(lost_max: u32, by_source: bool) -> Office {
        let profile = Profile {
            name: "phones".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            registrar: true,
            nat: true,
            nat_ping_lost_max: lost_max,
            ..Profile::default()
        };
        let shard = Shard::new(config(&[X, OTHER], Admission::new(vec![Arc::new(profile)])));
        let now = Now {
            mono: Instant::now(),
            wall: UnixMs(1_000_000),
        };
        let mut office = Office {
            shard,
            now,
            told: Vec::new(),
        };
        let kept = RegistrationRecord {
            user: "bob".to_owned(),
            contact: "sip:bob@192.168.7.7:5060".to_owned(),
            q: 1_000,
            expires_at: UnixMs(1_000_000 + 3_600_000),
            sip_call_id: "c".to_owned(),
            cseq: 1,
            instance: None,
            reg_id: None,
            path: Vec::new(),
            user_agent: None,
            transport: "udp".to_owned(),
            local: OTHER.to_owned(),
            source: "10.1.0.1:31337".to_owned(),
            by_source,
        };
        office.shard.restore_registrations(now, vec![kept]);
        office
    }

    /// What is sent in so many seconds.
    fn in_s(&mut self, seconds: u64) -> Vec<(Peer, Message)> {
        let (mut sent, until) = (Vec::new(), self.now.mono + Duration::from_secs(seconds));
        loop {
            while let Some(output) = self.shard.poll_output() {
                match output {
                    ShardOutput::Transmit(out) => sent.push((out.peer, Message::parse_datagram(&out.bytes).unwrap())),
                    ShardOutput::Event(event) => self.told.push(event.what),
                    _ => {}
                }
            }
            let due = self.shard.poll_timeout().filter(|due| *due <= until);
            let at = due.unwrap_or(until).max(self.now.mono);
            self.now.wall.0 += i64::try_from((at - self.now.mono).as_millis()).unwrap();
            self.now.mono = at;
            if due.is_none() {
                return sent;
            }
            self.shard.handle_timeout(self.now);
        }
    }

    fn answer(&mut self, ping: &Message, status: u16) {
        let header = |name: &str| ping.header(name).unwrap().to_owned();
        let text = format!(
            "SIP/2.0 {status} Whatever\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq")
        );
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard
            .handle_message(self.now, peer(OTHER, "10.1.0.1:31337"), message);
    }
}

#[test]
fn a_phone_behind_a_nat_is_asked_by_its_own_way_and_removed_only_if_that_is_wanted() {
    let mut office = Office::new(2, true);
    assert!(office.in_s(29).is_empty());
    let sent = office.in_s(1);
    let (to, ping) = &sent[0];
    assert_eq!(ping.method().unwrap().as_str(), "OPTIONS");
    assert_eq!(ping.request_uri().unwrap().to_string(), "sip:bob@192.168.7.7:5060");
    // To where its REGISTER came from, from the socket that it came to.
    assert_eq!(
        (to.remote.to_string(), to.local.to_string()),
        ("10.1.0.1:31337".to_owned(), OTHER.to_owned())
    );
    // Any answer will do.
    office.answer(ping, 486);
    assert!(office.in_s(29).is_empty());
    assert_eq!(office.in_s(1).len(), 1);
    // It is silent for this one and the next: 64·T1 each.
    office.in_s(32);
    assert_eq!(office.shard.stats().registrations, 1, "one may be lost");
    office.in_s(30 + 32);
    assert_eq!(office.shard.stats().registrations, 0);
    assert!(matches!(&office.told[..], [Happening::RegistrationRemoved { why, .. }] if why == "unreachable"));
    assert!(office.in_s(300).is_empty());

    let mut patient = Office::new(0, true);
    patient.in_s(600);
    assert_eq!(patient.shard.stats().registrations, 1);
    // Until it expires.
    patient.in_s(3_600);
    assert_eq!(patient.shard.stats().registrations, 0);
}

#[test]
fn a_phone_that_is_reached_where_it_says_is_not_pinged() {
    assert!(Office::new(1, false).in_s(120).is_empty());
}
