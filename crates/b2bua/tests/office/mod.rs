//! An office whose subscribers prove who they are, call and are called.

#![allow(clippy::unwrap_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, CallKey, Refusal, Shard, ShardOutput};
use segue_call::{
    Listed as Heard, Lookup, MailboxAction, MailboxReply, MediaAction, MediaEvent, NotReady, Now, Opened, Ports,
    StoreAction, StoreReply,
};
use segue_policy::{AccountCaps, Auth, Plan, Profile, Subscriber};
use segue_records::{CallBackFacts, Happening, UnixMs};
use segue_sip_wire::{DigestAlgorithm, Message, Method};
use segue_store::{Listed, Spent};

use crate::{
    credentials::{authorization, directory, listed, secrets},
    shard::{config, peer},
};

pub const X: &str = "10.0.0.254:5060";
pub const CALLEE: &str = "sip:carol@10.0.0.254";
pub const OFFER: &str = "Content-Type: application/sdp\r\nContent-Length: 97\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.7.0.1\r\ns=-\r\n\
    c=IN IP4 10.7.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n";
/// Called where its members are registered.
pub const GROUP: &str = "sales";
/// What the callee answers with.
const ANSWER: &str = "Content-Type: application/sdp\r\nContent-Length: 97\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.8.0.1\r\ns=-\r\n\
    c=IN IP4 10.8.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n";

pub struct Office {
    pub shard: Shard,
    pub now: Now,
    calls: u32,
    pub told: Vec<Refusal>,
    pub spent: Vec<Spent>,
    pub sent: Vec<Message>,
    /// What a callee's rules make of its plan.
    pub rules: fn(&mut Plan),
    /// Who has left the one message that is in every mailbox.
    pub message_from: String,
    /// Whose mailbox was opened last.
    pub in_mailbox: Option<CallKey>,
    /// Calls back that were told of.
    pub called_back: Vec<CallBackFacts>,
}

impl Office {
    /// Bob and eve may call, by a profile of these caps; bob has some of his own.
    pub fn new(set: impl Fn(&mut Profile), bob: AccountCaps) -> Office {
        let capped = |user: &str, caps| Listed {
            caps,
            ..listed(user, "sesame")
        };
        Office::of(set, vec![capped("bob", bob), capped("eve", AccountCaps::default())])
    }

    /// These may call, by such a profile. Who is no subscriber of them is at home at 10.8.0.1, as they are.
    pub fn of(set: impl Fn(&mut Profile), all: Vec<Listed>) -> Office {
        let mut profile = Profile {
            name: "phones".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            auth: Auth::Digest,
            emergency_numbers: vec!["112".into()],
            ..Profile::default()
        };
        set(&mut profile);
        let secrets = secrets(&[DigestAlgorithm::Sha256]);
        let admission = Admission::new(vec![Arc::new(profile)]).with_secrets(vec![secrets]);
        let mut shard = Shard::new(config(&[X], admission));
        shard.handle_directory(directory(all));
        let now = Now {
            mono: Instant::now(),
            // 2026-11-28 12:00 UTC.
            wall: UnixMs(1_795_867_200_000),
        };
        Office {
            shard,
            now,
            calls: 0,
            told: Vec::new(),
            spent: Vec::new(),
            sent: Vec::new(),
            rules: |_| (),
            message_from: String::new(),
            in_mailbox: None,
            called_back: Vec::new(),
        }
    }

    pub fn later(&mut self, seconds: u64) {
        self.now.mono += Duration::from_secs(seconds);
        self.now.wall.0 += i64::try_from(seconds).unwrap() * 1_000;
    }

    /// What was sent for it.
    pub fn hears(&mut self, from: &str, text: &str) -> Vec<Message> {
        let before = self.sent.len();
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard.handle_message(self.now, peer(X, from), message);
        self.drain();
        self.sent[before..].to_vec()
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(sent) => self.sent.push(Message::parse_datagram(&sent.bytes).unwrap()),
                ShardOutput::Refused(refusal) => self.told.push(*refusal),
                ShardOutput::Spent(spent) => self.spent.push(spent),
                ShardOutput::Media(key, MediaAction::Open { leg, .. }) => {
                    let audio = 4_000 + u16::try_from(leg.0).unwrap() * 4;
                    let ports = Ports {
                        address: "10.0.0.254".parse().unwrap(),
                        audio,
                        video: audio + 2,
                    };
                    self.shard
                        .handle_media(self.now, key, MediaEvent::Opened { leg, ports });
                }
                ShardOutput::Store(key, StoreAction::Lookup { user, .. }, profile) => {
                    let targets = match user.as_str() {
                        GROUP => Vec::new(),
                        user => vec![format!("sip:{user}@10.8.0.1")],
                    };
                    let subscriber = Subscriber {
                        user,
                        targets,
                        ..Subscriber::default()
                    };
                    let mut plan = Plan::new(&subscriber, &profile);
                    (self.rules)(&mut plan);
                    let lookup = Lookup {
                        plan,
                        clip: None,
                        greeting: None,
                        beep: None,
                        full: None,
                        named: Vec::new(),
                        prompts: Default::default(),
                    };
                    let reply = StoreReply::Found(Box::new(lookup));
                    self.shard.handle_store(self.now, key, reply);
                }
                ShardOutput::Store(key, StoreAction::Mailbox(action), _) => self.mailbox(key, &action),
                ShardOutput::Event(event) => {
                    if let Happening::CallBack(facts) = event.what {
                        self.called_back.push(facts);
                    }
                }
                _ => {}
            }
        }
    }

    /// A mailbox with one message, of which nothing can be played, and no prompts.
    fn mailbox(&mut self, key: CallKey, action: &MailboxAction) {
        let reply = match action {
            MailboxAction::Voice { .. } => MailboxReply::Voice {
                language: Default::default(),
                prompts: None,
            },
            MailboxAction::Open { .. } => {
                self.in_mailbox = Some(key);
                let messages = vec![Heard {
                    id: "one".to_owned(),
                    from: self.message_from.clone(),
                    duration_ms: 5_000,
                    ..Heard::default()
                }];
                MailboxReply::Opened(Box::new(Opened {
                    messages,
                    ..Opened::default()
                }))
            }
            MailboxAction::Prepare { message_id, .. } => MailboxReply::NotReady {
                message_id: message_id.clone(),
                why: NotReady::Gone,
            },
            _ => return,
        };
        let reply = StoreReply::Mailbox(Box::new(reply));
        self.shard.handle_store(self.now, key, reply);
    }

    /// A key of who is in its mailbox.
    pub fn press(&mut self, key: char) {
        let call = self.in_mailbox.unwrap();
        let leg = segue_call::LegId::A;
        self.shard.handle_media(self.now, call, MediaEvent::Dtmf { leg, key });
        self.drain();
    }

    /// Seconds pass, with what happens in them.
    pub fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.later(1);
            self.shard.handle_timeout(self.now);
            self.drain();
        }
    }

    pub fn text(&self, method: &str, user: &str, uri: &str, cseq: u32, more: &str) -> String {
        let call = self.calls;
        let asked = asked_uri(method, uri);
        format!(
            "{method} {asked} SIP/2.0\r\nVia: SIP/2.0/UDP 10.7.0.1:5060;branch=z9hG4bK{call}-{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@10.7.0.1>;tag=a{call}\r\nTo: <{uri}>\r\nCall-ID: call{call}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{user}@10.7.0.1>\r\n{more}"
        )
    }

    /// A request of an account with the credentials that it is asked for: what it gets.
    pub fn asks(&mut self, method: &str, user: &str, uri: &str, body: &str) -> Vec<Message> {
        self.calls += 1;
        let text = self.text(method, user, uri, 1, body);
        let asked = self.hears("10.7.0.1:5060", &text);
        if asked[0].status() != Some(401) {
            return asked;
        }
        let challenge = &asked[0].challenges("WWW-Authenticate")[0];
        let answer = authorization(challenge, user, "sesame", method, asked_uri(method, uri));
        let text = self.text(method, user, uri, 2, &format!("Authorization: {answer}\r\n{body}"));
        self.hears("10.7.0.1:5060", &text)
    }

    pub fn calls(&mut self, user: &str) -> Option<u16> {
        self.asks("INVITE", user, CALLEE, OFFER)[0].status()
    }

    /// The callee takes the call that was made last.
    pub fn answers(&mut self) {
        self.replies("200 OK", ANSWER);
        let sent = &self.sent;
        assert!(sent.iter().any(|sent| sent.status() == Some(200)), "{sent:?}");
    }

    /// One of the phones that ring takes the call that was made last: whose it is.
    pub fn takes(&mut self) -> String {
        self.answers();
        let is_invite = |sent: &&Message| sent.method() == Some(&Method::Invite);
        let invite = self.sent.iter().rev().find(is_invite).unwrap();
        invite.to().unwrap().uri.user().unwrap().into_owned()
    }

    /// What the callee of the call that was made last says to its INVITE.
    pub fn replies(&mut self, status: &str, body: &str) -> Vec<Message> {
        let is_invite = |sent: &&Message| sent.method() == Some(&Method::Invite);
        let invite = self.sent.iter().rev().find(is_invite).unwrap().clone();
        let header = |name: &str| invite.header(name).unwrap().to_owned();
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=c\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:carol@10.8.0.1>\r\n{body}",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq"),
        );
        self.hears("10.8.0.1:5060", &text)
    }

    /// The caller of the call that was made last gives it up.
    pub fn cancels(&mut self, user: &str, uri: &str) {
        let text = self.text("CANCEL", user, uri, 2, "Content-Length: 0\r\n\r\n");
        let said = self.hears("10.7.0.1:5060", &text);
        assert!(said.iter().any(|said| said.status() == Some(487)), "{said:?}");
    }

    pub fn end_all(&mut self) {
        self.shard.hang_up_all(self.now);
        self.drain();
        for _ in 0..3 {
            self.later(40);
            self.shard.handle_timeout(self.now);
            self.drain();
        }
        assert_eq!(self.shard.call_count(), 0);
    }
}

/// The Request-URI of a request for `uri`: that of a REGISTER names no user (RFC 3261 §10.2).
fn asked_uri<'a>(method: &str, uri: &'a str) -> &'a str {
    match method {
        "REGISTER" => "sip:10.0.0.254",
        _ => uri,
    }
}
