//! One server between a caller and a callee that are written out; addresses say who is trusted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_b2bua::{Admission, CallKey, Shard, ShardOutput};
use segue_call::{Lookup, MediaAction, MediaEvent, Now, Ports, StoreAction, StoreReply};
use segue_mailbox::RecordingManifest;
use segue_policy::{Plan, Profile};
use segue_records::{CallRecord, Happening, UnixMs};
use segue_sip_wire::Message;

use crate::shard::{config, peer};

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
/// Of a caller that takes parts of a body beside a description.
pub const TAKES_PARTS: &str = "Accept: application/sdp, multipart/mixed\r\n";
/// Sides that are trusted, and sides that are not.
pub const TRUNK_A: &str = "10.1.0.1:5060";
pub const TRUNK_B: &str = "10.1.0.2:5060";
pub const PHONE_A: &str = "10.2.0.1:5060";
pub const PHONE_B: &str = "10.2.0.2:5060";
const HERE: &str = "10.0.0.1:5060";

pub struct Node {
    pub now: Now,
    pub shard: Shard,
    a: &'static str,
    pub b: &'static str,
    key: Option<CallKey>,
    /// Where to, and what.
    pub post: Vec<(String, Message)>,
    pub records: Vec<CallRecord>,
    pub looked_up: Vec<String>,
    pub reserved_for: Vec<String>,
    pub recordings: Vec<RecordingManifest>,
    pub callers_told: Vec<String>,
    /// The callee is no subscriber.
    pub plain: bool,
    cseq: u32,
    b_cseq: u32,
}

impl Node {
    /// `a` calls, the callee is at `b`.
    pub fn new(a: &'static str, b: &'static str, change: impl Fn(&mut Profile)) -> Node {
        let profile = |name: &str, net: &str, trusted| {
            let mut profile = Profile {
                name: name.into(),
                sources: vec![net.parse().unwrap()],
                trusted,
                ..Profile::default()
            };
            change(&mut profile);
            Arc::new(profile)
        };
        let admission = Admission::new(vec![
            profile("trunk", "10.1.0.0/16", true),
            profile("phones", "10.2.0.0/16", false),
        ]);
        Node {
            now: Now {
                mono: Instant::now(),
                wall: UnixMs(1_700_000_000_000),
            },
            shard: Shard::new(config(&[HERE], admission)),
            a,
            b,
            key: None,
            post: Vec::new(),
            records: Vec::new(),
            looked_up: Vec::new(),
            reserved_for: Vec::new(),
            recordings: Vec::new(),
            callers_told: Vec::new(),
            plain: false,
            cseq: 1,
            b_cseq: 0,
        }
    }

    pub fn run(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            self.perform(output);
        }
    }

    pub fn wait(&mut self, ms: u64) {
        self.now.mono += Duration::from_millis(ms);
        self.now.wall.0 += i64::try_from(ms).unwrap();
        self.shard.handle_timeout(self.now);
        self.run();
    }

    fn perform(&mut self, output: ShardOutput) {
        let now = self.now;
        match output {
            ShardOutput::Transmit(transmit) => {
                let message = Message::parse_datagram(&transmit.bytes).unwrap();
                self.post.push((transmit.peer.remote.to_string(), message));
            }
            ShardOutput::Media(key, MediaAction::Open { leg, .. }) => {
                self.key = Some(key);
                let (address, audio) = ("10.9.9.9".parse().unwrap(), 4_000 + u16::try_from(leg.0).unwrap() * 4);
                let ports = Ports {
                    address,
                    audio,
                    video: audio + 2,
                };
                self.shard.handle_media(now, key, MediaEvent::Opened { leg, ports });
            }
            ShardOutput::Media(_, MediaAction::Record { manifest, .. }) => self.recordings.push(manifest),
            ShardOutput::Store(key, StoreAction::Lookup { user, .. }, _) => {
                let plan = Plan {
                    mailbox: user.clone(),
                    targets: vec![format!("sip:phone@{}", self.b)],
                    no_answer_ms: 20_000,
                    plain: self.plain,
                    ..Plan::default()
                };
                self.looked_up.push(user);
                let lookup = Lookup {
                    plan,
                    clip: None,
                    greeting: None,
                    beep: None,
                    full: None,
                    prompts: None,
                    named: Vec::new(),
                };
                self.shard.handle_store(now, key, StoreReply::Found(Box::new(lookup)));
            }
            ShardOutput::Store(key, StoreAction::Reserve { from, .. }, _) => {
                self.reserved_for.push(from);
                let why = "locked".into();
                self.shard.handle_store(now, key, StoreReply::ReserveFailed { why });
            }
            ShardOutput::Event(event) => {
                if let Happening::CallStarted { from, .. } = event.what {
                    self.callers_told.push(from);
                }
            }
            ShardOutput::Ended(_, record) => self.records.push(*record),
            _ => {}
        }
    }

    pub fn deliver(&mut self, from: &str, bytes: &[u8]) {
        let message = Message::parse_datagram(bytes).unwrap();
        self.shard.handle_message(self.now, peer(HERE, from), message);
        self.run();
    }

    /// A's INVITE with these header lines, and SDP.
    pub fn calls(&mut self, lines: &str) {
        self.calls_with(lines, "application/sdp", SDP.as_bytes());
    }

    pub fn calls_with(&mut self, lines: &str, content_type: &str, body: &[u8]) {
        self.asks_for(&format!("sip:bob@{HERE}"), lines, content_type, body);
    }

    pub fn asks_for(&mut self, uri: &str, lines: &str, content_type: &str, body: &[u8]) {
        let from = match lines.contains("From:") {
            true => "",
            false => "From: \"Alice\" <sip:alice@example.com>;tag=a\r\n",
        };
        let head = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {a};branch=z9hG4bKi\r\nMax-Forwards: 70\r\n{from}To: <sip:bob@{HERE}>\r\n\
             Call-ID: call\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@{a}>\r\n{lines}Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len(),
            a = self.a,
        );
        self.deliver(self.a, &[head.as_bytes(), body].concat());
    }

    /// A request of A after the INVITE: CANCEL, or within the dialog.
    pub fn a_asks(&mut self, method: &str, lines: &str) {
        self.a_asks_with(method, lines, b"");
    }

    /// The same with a body, whose Content-Type is among the lines.
    pub fn a_asks_with(&mut self, method: &str, lines: &str, body: &[u8]) {
        let (cseq, branch, tag) = match method {
            "CANCEL" => (1, "z9hG4bKi".to_owned(), String::new()),
            "ACK" => (1, "z9hG4bKack".to_owned(), self.tag_for_a()),
            _ => {
                self.cseq += 1;
                (self.cseq, format!("z9hG4bK{}", self.cseq), self.tag_for_a())
            }
        };
        let text = format!(
            "{method} sip:segue@{HERE} SIP/2.0\r\nVia: SIP/2.0/UDP {a};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: \"Alice\" <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@{HERE}>{tag}\r\nCall-ID: call\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:alice@{a}>\r\n{lines}Content-Length: {length}\r\n\r\n",
            a = self.a,
            length = body.len(),
        );
        let text = match method {
            "CANCEL" => text.replacen("sip:segue@", "sip:bob@", 1),
            _ => text,
        };
        self.deliver(self.a, &[text.as_bytes(), body].concat());
    }

    /// A request of B within its dialog.
    pub fn b_asks_with(&mut self, method: &str, lines: &str, body: &[u8]) {
        self.b_cseq += 1;
        let invite = self.invite();
        let head = format!(
            "{method} sip:segue@{HERE} SIP/2.0\r\nVia: SIP/2.0/UDP {b};branch=z9hG4bKb{cseq}\r\nMax-Forwards: 70\r\n\
             From: {};tag=b\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:b@{b}>\r\n{lines}\
             Content-Length: {}\r\n\r\n",
            invite.header("To").unwrap(),
            invite.header("From").unwrap(),
            invite.call_id().unwrap(),
            body.len(),
            b = self.b,
            cseq = self.b_cseq,
        );
        self.deliver(self.b, &[head.as_bytes(), body].concat());
    }

    /// A's response to the last request of this method that it got.
    pub fn a_says(&mut self, status: &str, method: &str, lines: &str, body: &[u8]) {
        let (a, request) = (self.a, self.requests_to(self.a, method).pop().unwrap());
        self.responds(a, &request, status, lines, body);
    }

    /// B's response to the last request of this method that it got, in its dialog.
    pub fn b_says_to(&mut self, status: &str, method: &str, lines: &str, body: &[u8]) {
        let (b, request) = (self.b, self.to_b(method).pop().unwrap());
        self.responds(b, &request, status, lines, body);
    }

    fn responds(&mut self, by: &'static str, request: &Message, status: &str, lines: &str, body: &[u8]) {
        let mut kept = String::new();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            kept.push_str(&format!("{name}: {}\r\n", request.header(name).unwrap()));
        }
        let head = format!(
            "SIP/2.0 {status}\r\n{kept}Contact: <sip:x@{by}>\r\n{lines}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.deliver(by, &[head.as_bytes(), body].concat());
    }

    /// A's re-INVITE, with another description.
    pub fn a_offers(&mut self) {
        self.cseq += 1;
        let body = SDP.replace("o=- 1 1 ", "o=- 1 2 ") + "a=sendonly\r\n";
        let text = format!(
            "INVITE sip:segue@{HERE} SIP/2.0\r\nVia: SIP/2.0/UDP {a};branch=z9hG4bK{cseq}\r\nMax-Forwards: 70\r\n\
             From: \"Alice\" <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@{HERE}>{tag}\r\nCall-ID: call\r\nCSeq: {cseq} INVITE\r\n\
             Contact: <sip:alice@{a}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len(),
            a = self.a,
            cseq = self.cseq,
            tag = self.tag_for_a(),
        );
        self.deliver(self.a, text.as_bytes());
    }

    /// A request of A outside any dialog.
    pub fn a_asks_afresh(&mut self, method: &str, lines: &str) {
        let text = format!(
            "{method} sip:bob@{HERE} SIP/2.0\r\nVia: SIP/2.0/UDP {a};branch=z9hG4bKf\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@example.com>;tag=f\r\nTo: <sip:bob@{HERE}>\r\nCall-ID: afresh\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:alice@{a}>\r\n{lines}Content-Length: 0\r\n\r\n",
            a = self.a,
        );
        self.deliver(self.a, text.as_bytes());
    }

    fn tag_for_a(&self) -> String {
        let tags = self.post.iter().filter(|(to, _)| to == self.a);
        let tag = tags
            .filter_map(|(_, message)| message.to().unwrap().tag().map(str::to_owned))
            .last();
        format!(";tag={}", tag.unwrap())
    }

    /// B's response to its last INVITE.
    pub fn b_says(&mut self, status: &str, lines: &str, content_type: &str, body: &[u8]) {
        self.b_says_as("b", status, lines, content_type, body);
    }

    /// The same, unless nobody could read it.
    pub fn says_if_readable(&mut self, status: &str, lines: &str, content_type: &str, body: &[u8]) {
        let text = format!(
            "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\nCall-ID: x\r\n\
             CSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        if Message::parse_datagram(text.as_bytes()).is_ok() {
            self.b_says(status, lines, content_type, body);
        }
    }

    /// The same of one of the phones behind it.
    pub fn b_says_as(&mut self, tag: &str, status: &str, lines: &str, content_type: &str, body: &[u8]) {
        let invite = self.to_b("INVITE").last().cloned().unwrap();
        let mut kept = String::new();
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            kept.push_str(&format!("{name}: {}\r\n", invite.header(name).unwrap()));
        }
        let contact = match lines.contains("Contact:") {
            true => String::new(),
            false => format!("Contact: <sip:b@{}>\r\n", self.b),
        };
        let tag = match invite.to().unwrap().tag() {
            Some(_) => String::new(),
            None => format!(";tag={tag}"),
        };
        let head = format!(
            "SIP/2.0 {status}\r\n{kept}To: {}{tag}\r\n{contact}{lines}Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            invite.header("To").unwrap(),
            body.len(),
        );
        self.deliver(self.b, &[head.as_bytes(), body].concat());
    }

    pub fn b_answers(&mut self, lines: &str) {
        self.b_says("200 OK", lines, "application/sdp", SDP.as_bytes());
        self.a_asks("ACK", "");
    }

    /// Requests of a method that B got.
    pub fn to_b(&self, method: &str) -> Vec<Message> {
        self.requests_to(self.b, method)
    }

    /// The same of A.
    pub fn asked_of_a(&self, method: &str) -> Vec<Message> {
        self.requests_to(self.a, method)
    }

    fn requests_to(&self, whom: &str, method: &str) -> Vec<Message> {
        let is = |message: &Message| message.method().is_some_and(|m| m.to_string() == method);
        let to_whom = self.post.iter().filter(|(to, message)| to == whom && is(message));
        to_whom.map(|(_, message)| message.clone()).collect()
    }

    pub fn invite(&self) -> Message {
        self.to_b("INVITE").pop().expect("B is invited")
    }

    /// Responses of a status that A got.
    pub fn to_a(&self, status: u16) -> Vec<Message> {
        let to_a = self
            .post
            .iter()
            .filter(|(to, message)| to == self.a && message.status() == Some(status));
        to_a.map(|(_, message)| message.clone()).collect()
    }
}

/// The headers of a message that are not each leg's own, in order.
pub fn further(message: &Message) -> Vec<(String, String)> {
    const OWN: [&str; 19] = [
        // That we understand it, told to trusted sides.
        "P-Early-Media",
        "Via",
        "Max-Forwards",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Allow",
        "Supported",
        "User-Agent",
        "Server",
        "Max-Breadth",
        "Session-ID",
        "Session-Expires",
        "Min-SE",
        "Content-Type",
        "Content-Length",
        "Require",
    ];
    let all = message.all_headers().filter(|(name, _)| !OWN.contains(name));
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub fn pairs(further: &[(String, String)]) -> Vec<(&str, &str)> {
    further
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}
