//! Callers who have proven who they are: how much each may call.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod credentials;
mod shard;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use credentials::{authorization, directory, listed, secrets};
use segue_b2bua::{Admission, Refusal, Shard, ShardOutput};
use segue_call::{Lookup, MediaAction, MediaEvent, Now, Ports, StoreAction, StoreReply};
use segue_policy::{AccountCaps, Auth, Plan, Profile, Subscriber};
use segue_records::UnixMs;
use segue_sip_wire::{DigestAlgorithm, Message};
use segue_store::{Listed, Spent};
use shard::{config, peer};

const X: &str = "10.0.0.254:5060";
const CALLEE: &str = "sip:carol@10.0.0.254";
const OFFER: &str = "Content-Type: application/sdp\r\nContent-Length: 97\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.7.0.1\r\ns=-\r\n\
    c=IN IP4 10.7.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n";
/// What the callee answers with.
const ANSWER: &str = "Content-Type: application/sdp\r\nContent-Length: 97\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.8.0.1\r\ns=-\r\n\
    c=IN IP4 10.8.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n";

struct Office {
    shard: Shard,
    now: Now,
    calls: u32,
    told: Vec<Refusal>,
    spent: Vec<Spent>,
    sent: Vec<Message>,
}

impl Office {
    /// Bob and eve may call, by a profile of these caps; bob has some of his own.
    fn new(set: impl Fn(&mut Profile), bob: AccountCaps) -> Office {
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
        let capped = |user: &str, caps| Listed {
            caps,
            ..listed(user, "sesame")
        };
        let all = vec![capped("bob", bob), capped("eve", AccountCaps::default())];
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
        }
    }

    fn later(&mut self, seconds: u64) {
        self.now.mono += Duration::from_secs(seconds);
        self.now.wall.0 += i64::try_from(seconds).unwrap() * 1_000;
    }

    /// What was sent for it.
    fn hears(&mut self, from: &str, text: &str) -> Vec<Message> {
        let before = self.sent.len();
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard.handle_message(self.now, peer(X, from), message);
        self.drain();
        self.sent[before..].to_vec()
    }

    fn drain(&mut self) {
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
                    let subscriber = Subscriber {
                        user,
                        targets: vec!["sip:carol@10.8.0.1".into()],
                        ..Subscriber::default()
                    };
                    let lookup = Lookup {
                        plan: Plan::new(&subscriber, &profile),
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
                _ => {}
            }
        }
    }

    fn text(&self, method: &str, user: &str, uri: &str, cseq: u32, more: &str) -> String {
        let call = self.calls;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.7.0.1:5060;branch=z9hG4bK{call}-{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@10.7.0.1>;tag=a{call}\r\nTo: <{uri}>\r\nCall-ID: call{call}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{user}@10.7.0.1>\r\n{more}"
        )
    }

    /// A request of an account with the credentials that it is asked for: what it gets.
    fn asks(&mut self, method: &str, user: &str, uri: &str, body: &str) -> Vec<Message> {
        self.calls += 1;
        let text = self.text(method, user, uri, 1, body);
        let asked = self.hears("10.7.0.1:5060", &text);
        if asked[0].status() != Some(401) {
            return asked;
        }
        let challenge = &asked[0].challenges("WWW-Authenticate")[0];
        let answer = authorization(challenge, user, "sesame", method, uri);
        let text = self.text(method, user, uri, 2, &format!("Authorization: {answer}\r\n{body}"));
        self.hears("10.7.0.1:5060", &text)
    }

    fn calls(&mut self, user: &str) -> Option<u16> {
        self.asks("INVITE", user, CALLEE, OFFER)[0].status()
    }

    /// The callee takes the call that was made last.
    fn answers(&mut self) {
        let invite = self
            .sent
            .iter()
            .rev()
            .find(|sent| sent.method().is_some())
            .unwrap()
            .clone();
        let header = |name: &str| invite.header(name).unwrap().to_owned();
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=c\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:carol@10.8.0.1>\r\n{ANSWER}",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq"),
        );
        self.hears("10.8.0.1:5060", &text);
        let sent = &self.sent;
        assert!(sent.iter().any(|sent| sent.status() == Some(200)), "{sent:?}");
    }

    fn end_all(&mut self) {
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

#[test]
fn who_calls_more_than_the_profile_or_its_own_caps_allow_gets_403() {
    let own = AccountCaps {
        calls_at_once: Some(3),
        ..AccountCaps::default()
    };
    let profile = |profile: &mut Profile| {
        profile.account_calls_max = 1;
        profile.account_calls_per_minute = 2;
    };
    let mut office = Office::new(profile, own);
    assert_eq!(office.calls("eve"), Some(100));
    let refused = office.asks("INVITE", "eve", CALLEE, OFFER);
    assert_eq!(refused[0].status(), Some(403));
    let reason = refused[0].header("Reason").unwrap();
    assert_eq!(reason, "Q.850;cause=21;text=\"Too many calls for this account\"");
    let told = office.told.last().unwrap();
    assert!(told.why.contains("the account eve has 1 calls"), "{}", told.why);
    assert!(
        told.admit.contains("segue subscriber set eve --calls-at-once N"),
        "{}",
        told.admit
    );
    // Bob may have three at once, and begin two a minute.
    assert_eq!((office.calls("bob"), office.calls("bob")), (Some(100), Some(100)));
    let refused = office.asks("INVITE", "bob", CALLEE, OFFER);
    assert_eq!(refused[0].status(), Some(403));
    assert!(
        refused[0]
            .header("Warning")
            .unwrap()
            .contains("This account calls too often")
    );
    office.later(30);
    assert_eq!(office.calls("bob"), Some(100));
    assert_eq!(office.shard.stats().turned_away.account, 2);
    assert_eq!(office.shard.call_count(), 4);
}

#[test]
fn who_asks_what_a_call_would_get_hears_of_its_caps_and_emergency_calls_know_none() {
    let mut office = Office::new(|profile| profile.account_calls_max = 1, AccountCaps::default());
    assert_eq!(office.calls("bob"), Some(100));
    let none = "Content-Length: 0\r\n\r\n";
    let asked = office.asks("OPTIONS", "bob", CALLEE, none);
    assert_eq!(asked[0].status(), Some(403));
    let asked = office.asks("OPTIONS", "eve", CALLEE, none);
    assert_eq!(asked[0].status(), Some(200));
    for uri in ["sip:112@10.0.0.254", "urn:service:sos"] {
        let helped = office.asks("INVITE", "bob", uri, OFFER);
        assert_ne!(helped[0].status(), Some(403), "{uri}");
        assert_ne!(helped[0].status(), Some(401), "{uri}");
    }
}

#[test]
fn minutes_of_today_count_on_after_a_restart_and_a_call_that_is_there_goes_on() {
    let profile = |profile: &mut Profile| {
        profile.account_minutes_per_day = 2;
        profile.rtp_gone_ms = 0;
        profile.session_expires_s = 0;
    };
    let mut office = Office::new(profile, AccountCaps::default());
    assert_eq!(office.calls("bob"), Some(100));
    office.later(10);
    office.answers();
    office.later(60);
    assert_eq!(office.calls("bob"), Some(100), "one of two minutes is left");
    office.later(60);
    assert_eq!(office.calls("bob"), Some(403));
    assert!(
        office.told.last().unwrap().why.contains("the 2 minutes"),
        "{:?}",
        office.told
    );
    assert_eq!(office.shard.call_count(), 2, "the one that goes on goes on");
    assert_eq!(office.calls("eve"), Some(100));
    office.end_all();
    let [spent] = &office.spent[..] else {
        panic!("{:?}", office.spent)
    };
    assert_eq!((spent.account.as_str(), spent.day.as_str()), ("bob", "2026-11-28"));
    assert!(spent.ms >= 120_000, "{spent:?}");
    let mut after = Office::new(profile, AccountCaps::default());
    after.shard.restore_spent(office.spent.clone());
    assert_eq!(after.calls("bob"), Some(403));
    assert_eq!(after.calls("eve"), Some(100));
    after.later(12 * 3_600);
    assert_eq!(after.calls("bob"), Some(100), "another day");
}
