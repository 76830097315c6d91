//! One shard, its packet path and store played by the test, and the two who talk to it by hand.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, CallKey, Shard, ShardOutput};
use segue_call::{Lookup, MediaAction, MediaEvent, Now, Ports, StoreAction, StoreReply};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile};
use segue_policy::{Plan, Profile};
use segue_records::UnixMs;
use segue_sip_wire::{Message, MessageBuilder};

use crate::shard::{config, peer};

pub const X: &str = "10.0.0.254:5060";
pub const A: &str = "10.1.0.1:5060";
pub const B: &str = "10.2.0.2:5060";

pub const AUDIO: &str = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
pub const VIDEO: &str =
    "m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n";

pub fn sdp(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\n{media}")
}

/// The profiles of the two sides: A's holds 10.1/16, B's 10.2/16.
pub fn profiles(a: impl FnOnce(&mut Profile), b: impl FnOnce(&mut Profile)) -> Vec<Arc<Profile>> {
    let profile = |name: &str, source: &str| Profile {
        name: name.into(),
        sources: vec![source.parse().unwrap()],
        ..Profile::default()
    };
    let (mut of_a, mut of_b) = (profile("a", "10.1.0.0/16"), profile("b", "10.2.0.0/16"));
    a(&mut of_a);
    b(&mut of_b);
    vec![Arc::new(of_a), Arc::new(of_b)]
}

/// The call, as far as it has come.
pub struct Wire {
    shard: Shard,
    start: Instant,
    now_ms: u64,
    key: Option<CallKey>,
    clip: bool,
    /// What A and B got and nobody has looked at.
    inbox: [Vec<Message>; 2],
    /// What the packet path was told.
    pub media: Vec<MediaAction>,
    branches: u32,
}

impl Wire {
    /// With a clip of ten seconds that is played while the callee rings, or without one.
    pub fn new(profiles: Vec<Arc<Profile>>, clip: bool) -> Wire {
        Wire {
            shard: Shard::new(config(&[X], Admission::new(profiles))),
            start: Instant::now(),
            now_ms: 0,
            key: None,
            clip,
            inbox: [Vec::new(), Vec::new()],
            media: Vec::new(),
            branches: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            mono: self.start + Duration::from_millis(self.now_ms),
            wall: UnixMs(i64::try_from(self.now_ms).unwrap()),
        }
    }

    /// A or B says something.
    pub fn say(&mut self, from: &str, text: &str) {
        let message = Message::parse_datagram(text.as_bytes()).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        self.shard.handle_message(self.now(), peer(X, from), message);
        self.drain();
    }

    pub fn run_ms(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while let Some(at) = self.shard.poll_timeout() {
            let at_ms = u64::try_from(at.saturating_duration_since(self.start).as_micros().div_ceil(1_000)).unwrap();
            if at_ms > until {
                break;
            }
            self.now_ms = self.now_ms.max(at_ms);
            self.shard.handle_timeout(self.now());
            self.drain();
        }
        self.now_ms = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(transmit) => {
                    let message = Message::parse_datagram(&transmit.bytes).unwrap();
                    let to_a = transmit.peer.remote.ip() == A.parse::<std::net::SocketAddr>().unwrap().ip();
                    self.inbox[usize::from(!to_a)].push(message);
                }
                ShardOutput::Store(key, StoreAction::Lookup { .. }, _) => {
                    self.key = Some(key);
                    let found = StoreReply::Found(Box::new(lookup(self.clip)));
                    self.shard.handle_store(self.now(), key, found);
                }
                ShardOutput::Media(key, action) => {
                    self.media.push(action.clone());
                    match action {
                        MediaAction::Open { leg, .. } => {
                            let audio = 30_000 + u16::try_from(leg.0).unwrap() * 4;
                            let ports = Ports {
                                address: "203.0.113.1".parse().unwrap(),
                                audio,
                                video: audio + 2,
                            };
                            self.shard
                                .handle_media(self.now(), key, MediaEvent::Opened { leg, ports });
                        }
                        MediaAction::Play { source, .. } => {
                            self.shard
                                .handle_media(self.now(), key, MediaEvent::FirstPacket { source });
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    fn heard(&mut self, by: &str, line: &str) -> Option<Message> {
        let inbox = &mut self.inbox[usize::from(by == B)];
        let at = inbox.iter().position(|message| brief(message) == line)?;
        let message = inbox.remove(at);
        inbox.drain(..at);
        Some(message)
    }

    /// The next message to A or B of this kind, `183 INVITE` or `INVITE`; those before it are passed over.
    pub fn hear(&mut self, by: &str, line: &str) -> Message {
        let got: Vec<String> = self.inbox[usize::from(by == B)].iter().map(brief).collect();
        self.heard(by, line)
            .unwrap_or_else(|| panic!("no {line} among {got:?}; {:#?}", self.media))
    }

    /// Whether A or B got nothing of this kind.
    pub fn nothing(&self, by: &str, line: &str) -> bool {
        !self.inbox[usize::from(by == B)]
            .iter()
            .any(|message| brief(message) == line)
    }

    /// A's INVITE. `more` are header lines.
    pub fn invite(&mut self, more: &str, body: &str) {
        let text = self.request(A, "INVITE", 1, "", more, body);
        self.say(A, &text);
    }

    /// A request of A within its dialog, whose other side has this tag.
    pub fn request(&mut self, from: &str, method: &str, cseq: u32, to_tag: &str, more: &str, body: &str) -> String {
        self.branches += 1;
        let tag = if to_tag.is_empty() {
            String::new()
        } else {
            format!(";tag={to_tag}")
        };
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} sip:bob@{X} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@{from}>;tag=a1\r\nTo: <sip:bob@{X}>{tag}\r\nCall-ID: call1\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:alice@{from}>\r\n{more}{content}Content-Length: {}\r\n\r\n{body}",
            self.branches,
            body.len()
        )
    }

    /// A's PRACK of a reliable response.
    pub fn prack(&mut self, response: &Message, cseq: u32) {
        let rack = format!("RAck: {} 1 INVITE\r\n", response.rseq().unwrap());
        let text = self.request(A, "PRACK", cseq, &tag_of(response), &rack, "");
        self.say(A, &text);
    }

    /// B's response to its INVITE.
    pub fn respond(&mut self, invite: &Message, status: u16, more: &[(&str, &str)], body: Option<String>) {
        let text = response(invite, status, more, body);
        self.say(B, &text);
    }
}

/// A response of B, or of A to a request of ours.
pub fn response(request: &Message, status: u16, more: &[(&str, &str)], body: Option<String>) -> String {
    let tag = request.to().unwrap().tag().unwrap_or("b1").to_owned();
    let known = request.to().unwrap().tag().is_some();
    let tag = (!known).then_some(tag);
    let mut builder = MessageBuilder::response_to(request, status, tag.as_deref())
        .header("Contact", format!("<sip:bob@{B}>"))
        .header("Allow", "INVITE, ACK, PRACK, UPDATE");
    for (name, value) in more {
        builder = builder.header(name, value);
    }
    if let Some(body) = body {
        builder = builder.body("application/sdp", body);
    }
    String::from_utf8(builder.build().to_bytes().to_vec()).unwrap()
}

pub fn tag_of(message: &Message) -> String {
    message.to().unwrap().tag().unwrap().to_owned()
}

pub fn brief(message: &Message) -> String {
    match message.status() {
        Some(status) => format!("{status} {}", message.cseq().unwrap().method),
        None => message.method().unwrap().to_string(),
    }
}

fn lookup(clip: bool) -> Lookup {
    let rendition = |profile, profile_level_id| RenditionInfo {
        profile,
        bytes: 1,
        profile_level_id,
    };
    let clip = clip.then(|| ClipInfo {
        id: 1,
        name: "ringback".into(),
        duration_ms: 10_000,
        renditions: vec![
            rendition(RenditionProfile::Pcmu, None),
            rendition(RenditionProfile::H264W640Mode1, Some([0x42, 0xc0, 30])),
        ],
    });
    Lookup {
        plan: Plan {
            mailbox: "bob".into(),
            targets: vec![format!("sip:bob@{B}")],
            clip: clip.as_ref().map(|clip| clip.name.clone()),
            no_answer_ms: 20_000,
            ring_ms: 15_000,
            ..Plan::default()
        },
        clip,
        greeting: None,
        beep: None,
        full: None,
        prompts: None,
        named: Vec::new(),
    }
}
