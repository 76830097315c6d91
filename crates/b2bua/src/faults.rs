//! A fault of ours in one call, struck on purpose: that call ends, the others live (quality.md's last row of failures).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_call::{
    CallConfig, Input, LegId, Lookup, MediaAction, MediaEvent, Now, Ports, Source, StoreAction, StoreReply,
};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile};
use segue_policy::{Plan, Profile};
use segue_records::{CallRecord, CallResult, UnixMs};
use segue_sip::{EndpointConfig, Local, Peer, Protocol};
use segue_sip_wire::Message;

use crate::{Admission, CallKey, Limits, Shard, ShardConfig, ShardOutput};

/// What the packet path says to strike.
const STROKE: &str = "a fault, on purpose";

/// Panics inside the call core's turn when the input says so.
pub(crate) fn strike(input: &Input) {
    if let Input::Media(MediaEvent::PlayFailed { why, .. }) = input {
        assert_ne!(why, STROKE);
    }
}

const X: &str = "10.0.0.254:5060";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A shard and what it said.
struct Desk {
    shard: Shard,
    now: Now,
    said: Vec<String>,
    media: Vec<(CallKey, MediaAction)>,
    records: Vec<CallRecord>,
    /// The last answer to whoever asked for a place, and whether it is kept back.
    reserved: Option<(CallKey, StoreReply)>,
    store_is_slow: bool,
    beep: Option<ClipInfo>,
    /// Places that the shard itself gave back.
    released: Vec<String>,
}

impl Desk {
    fn new() -> Desk {
        let profile = Profile {
            name: "test".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            ringing_status: 180,
            hold_max_ms: 1_000,
            ..Profile::default()
        };
        let socket = Local {
            protocol: Protocol::Udp,
            bind: X.parse().unwrap(),
            advertise: X.into(),
        };
        let shard = Shard::new(ShardConfig {
            endpoint: EndpointConfig {
                sockets: vec![socket],
                ..EndpointConfig::default()
            },
            call: Arc::new(CallConfig {
                record_min_ms: 1_000,
                record_max_ms: 60_000,
                record_silence_ms: 4_000,
                early_max_ms: 170_000,
            }),
            admission: Admission::new(vec![Arc::new(profile)]),
            limits: Limits::default(),
            seed: 1,
            secret: None,
        });
        let now = Now {
            mono: Instant::now(),
            wall: UnixMs(1_700_000_000_000),
        };
        let (said, media, records) = (Vec::new(), Vec::new(), Vec::new());
        Desk {
            shard,
            now,
            said,
            media,
            records,
            reserved: None,
            store_is_slow: false,
            beep: None,
            released: Vec::new(),
        }
    }

    /// Hears what the shard has to say.
    fn hear(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(transmit) => {
                    let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
                    self.said.push(format!("{} {text}", transmit.peer.remote));
                }
                ShardOutput::Media(key, action) => {
                    if let MediaAction::Open { leg, .. } = action {
                        let address = "10.0.0.254".parse().unwrap();
                        let (audio, video) = (4_000 + u16::try_from(leg.0).unwrap() * 4, 4_002);
                        let ports = Ports { address, audio, video };
                        self.shard
                            .handle_media(self.now, key, MediaEvent::Opened { leg, ports });
                    }
                    self.media.push((key, action));
                }
                ShardOutput::Store(
                    key,
                    StoreAction::Reserve {
                        mailbox, message_id, ..
                    },
                    _,
                ) => {
                    let reply = StoreReply::Reserved {
                        mailbox,
                        message_id,
                        longest_ms: 60_000,
                        longest_bytes: None,
                    };
                    self.reserved = Some((key, reply.clone()));
                    if !self.store_is_slow {
                        self.shard.handle_store(self.now, key, reply);
                    }
                }
                ShardOutput::Release { message_id, .. } => self.released.push(message_id),
                ShardOutput::Store(key, _, _) => {
                    let plan = Plan {
                        mailbox: "b".into(),
                        targets: vec![format!("sip:b@10.2.0.{}:5060", key.0)],
                        no_answer_ms: 20_000,
                        ..Plan::default()
                    };
                    let (clip, greeting, beep, full) = (None, None, self.beep.clone(), None);
                    let lookup = Lookup {
                        plan,
                        clip,
                        greeting,
                        beep,
                        full,
                        prompts: None,
                        named: Vec::new(),
                    };
                    self.shard
                        .handle_store(self.now, key, StoreReply::Found(Box::new(lookup)));
                }
                ShardOutput::Ended(_, record) => self.records.push(*record),
                ShardOutput::Resolve { .. }
                | ShardOutput::Locate { .. }
                | ShardOutput::Refused(_)
                | ShardOutput::RefusedUntold(_)
                | ShardOutput::Registrations(..)
                | ShardOutput::Missed(..)
                | ShardOutput::Texted(..)
                | ShardOutput::Spent(_)
                | ShardOutput::CountMessages(_)
                | ShardOutput::Event(_) => {}
            }
        }
    }

    fn receive(&mut self, from: &str, text: &str) {
        let peer = Peer {
            protocol: Protocol::Udp,
            local: X.parse().unwrap(),
            remote: from.parse().unwrap(),
            flow: None,
        };
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard.handle_message(self.now, peer, message);
        self.hear();
    }

    fn request(&mut self, method: &str, caller: u64, to_tag: &str) {
        let body = if method == "INVITE" { SDP } else { "" };
        self.receive(
            &format!("10.1.0.{caller}:5060"),
            &format!(
                "{method} sip:b@{X} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.{caller}:5060;branch=z9hG4bK{caller}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:a@10.1.0.{caller}>;tag=a\r\nTo: <sip:b@{X}>{to_tag}\r\n\
                 Call-ID: call-{caller}\r\nCSeq: 1 {method}\r\nContact: <sip:a@10.1.0.{caller}:5060>\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
    }

    /// A message that was said to this address and begins so.
    fn heard_by(&self, address: &str, beginning: &str) -> Option<&str> {
        let line = format!("{address} {beginning}");
        let found = self.said.iter().rev().find(|said| said.starts_with(&line))?;
        found.split_once(' ').map(|(_, text)| text)
    }

    /// B's response to its INVITE.
    fn b_says(&mut self, callee: u64, status: &str) {
        let address = format!("10.2.0.{callee}:5060");
        let invite = self.heard_by(&address, "INVITE").unwrap();
        let kept = |name: &str| {
            invite
                .split("\r\n")
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned()
        };
        let text = format!(
            "SIP/2.0 {status}\r\n{}\r\n{}\r\n{};tag=b\r\n{}\r\n{}\r\nContact: <sip:b@{address}>\r\nContent-Length: 0\r\n\r\n",
            kept("Via"),
            kept("From"),
            kept("To"),
            kept("Call-ID"),
            kept("CSeq")
        );
        self.receive(&address, &text);
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some(at) = self.shard.poll_timeout().filter(|at| *at <= until) {
            self.now.mono = self.now.mono.max(at);
            self.shard.handle_timeout(self.now);
            self.hear();
        }
        self.now.mono = until;
    }
}

#[test]
fn a_panic_in_one_call_ends_that_call_alone() {
    let mut desk = Desk::new();
    for caller in [1, 2] {
        desk.request("INVITE", caller, "");
        desk.b_says(caller, "180 Ringing");
    }
    assert_eq!(desk.shard.call_count(), 2);
    let (source, why) = (Source::Clip, STROKE.to_owned());
    desk.shard
        .handle_media(desk.now, CallKey(1), MediaEvent::PlayFailed { source, why });
    desk.hear();
    // Both legs of the struck call are ended, its ports given back, the fault counted.
    assert!(desk.heard_by("10.1.0.1:5060", "SIP/2.0 500").is_some());
    assert!(desk.heard_by("10.2.0.1:5060", "CANCEL").is_some());
    assert_eq!(desk.media.last(), Some(&(CallKey(1), MediaAction::Close)));
    assert_eq!((desk.shard.stats().panics, desk.shard.call_count()), (1, 1));
    // The record is there and says whose legs they were.
    let [record] = desk.records.as_slice() else {
        panic!("{:?}", desk.records);
    };
    assert_eq!(record.result, CallResult::Failed);
    let targets: Vec<&str> = record.legs.iter().map(|leg| leg.target.as_str()).collect();
    assert_eq!(targets, [record.to.as_str(), "sip:b@10.2.0.1:5060"]);
    assert!(record.legs.iter().all(|leg| !leg.ladder.is_empty()));
    // What comes to it late finds nobody.
    desk.shard
        .handle_media(desk.now, CallKey(1), MediaEvent::RtpGone { leg: LegId::A });
    // The other call goes on to its own end.
    desk.b_says(2, "486 Busy Here");
    assert!(desk.heard_by("10.1.0.2:5060", "SIP/2.0 5").is_none());
    desk.request("CANCEL", 2, "");
    desk.wait(Duration::from_secs(120));
    assert_eq!(desk.records.len(), 2);
    let endpoint = desk.shard.endpoint();
    assert_eq!(
        (
            desk.shard.call_count(),
            endpoint.session_count(),
            endpoint.transaction_count()
        ),
        (0, 0, 0)
    );
    assert_eq!(desk.shard.poll_timeout(), None);
}

/// B is busy, so a place is asked for; its message's id.
fn for_the_mailbox(desk: &mut Desk, caller: u64) -> String {
    desk.request("INVITE", caller, "");
    desk.b_says(caller, "486 Busy Here");
    match &desk.reserved {
        Some((_, StoreReply::Reserved { message_id, .. })) => message_id.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fault_gives_back_the_place_in_the_mailbox_unless_a_recording_has_it() {
    let fault = || MediaEvent::PlayFailed {
        source: Source::Beep,
        why: STROKE.to_owned(),
    };
    let mut desk = Desk::new();
    desk.store_is_slow = true;
    let id = for_the_mailbox(&mut desk, 1);
    let (key, reply) = desk.reserved.clone().unwrap();
    desk.shard.handle_media(desk.now, key, fault());
    desk.hear();
    assert_eq!(
        (desk.released.len(), desk.shard.stats().panics),
        (0, 1),
        "not before it is given"
    );
    desk.shard.handle_store(desk.now, key, reply);
    desk.hear();
    assert_eq!(desk.released, [id]);

    let mut desk = Desk::new();
    desk.beep = Some(ClipInfo {
        id: 1,
        name: "beep".into(),
        duration_ms: 400,
        renditions: vec![RenditionInfo {
            profile: RenditionProfile::Pcmu,
            bytes: 1,
            profile_level_id: None,
        }],
    });
    let id = for_the_mailbox(&mut desk, 1);
    assert!(matches!(desk.media.last(), Some((_, MediaAction::Play { .. }))));
    let (key, _) = desk.reserved.clone().unwrap();
    desk.shard.handle_media(desk.now, key, fault());
    desk.hear();
    assert_eq!(desk.released, [id], "held, and nothing is recorded yet");

    // There is no greeting here and no beep: with its place the caller is recorded at once.
    let mut desk = Desk::new();
    for_the_mailbox(&mut desk, 1);
    assert!(matches!(desk.media.last(), Some((_, MediaAction::Record { .. }))));
    let (key, _) = desk.reserved.clone().unwrap();
    desk.shard.handle_media(desk.now, key, fault());
    desk.hear();
    assert_eq!(desk.shard.stats().panics, 1);
    assert!(
        desk.released.is_empty(),
        "its recording is deposited, and that gives the place back"
    );
}

#[test]
fn who_calls_while_the_server_stops_is_sent_elsewhere() {
    let mut desk = Desk::new();
    desk.request("INVITE", 1, "");
    desk.b_says(1, "180 Ringing");
    desk.shard.hang_up_all(desk.now);
    desk.hear();
    desk.request("INVITE", 2, "");
    let refused = desk.heard_by("10.1.0.2:5060", "SIP/2.0 503").unwrap();
    assert!(refused.contains("Retry-After: "), "{refused}");
    assert!(desk.heard_by("10.2.0.2:5060", "INVITE").is_none());
    // Who asks beforehand is told the same (RFC 3261 §11.2).
    desk.request("OPTIONS", 3, "");
    let refused = desk.heard_by("10.1.0.3:5060", "SIP/2.0 503").unwrap();
    assert!(refused.contains("Retry-After: "), "{refused}");
    desk.wait(Duration::from_secs(120));
    let endpoint = desk.shard.endpoint();
    assert_eq!((desk.records.len(), endpoint.session_count()), (1, 0));
}
