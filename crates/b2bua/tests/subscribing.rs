//! SUBSCRIBE and NOTIFY of message counts at a node: who may, what is told and when (RFC 3842).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod credentials;
mod shard;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, Directory, Shard, ShardOutput};
use segue_call::Now;
use segue_policy::{MessageWaiting, Profile};
use segue_records::{RegistrationRecord, UnixMs};
use segue_registrar::mwi::{Count, Summary};
use segue_sip::Peer;
use segue_sip_wire::{DigestAlgorithm, Message};
use segue_store::Listed;

use credentials::{authorization, directory, listed, secrets};
use shard::{config, peer};

const X: &str = "10.0.0.254:5060";

fn users(users: &[&str]) -> Directory {
    let numbered = |user: &&str| Listed {
        numbers: (*user == "bob").then(|| "+4930123".to_owned()).into_iter().collect(),
        ..listed(user, "sesame")
    };
    directory(users.iter().map(numbered).collect())
}

/// What was sent and to whom, and whose messages are to be counted.
#[derive(Default)]
struct Seen {
    sent: Vec<(Peer, Message)>,
    counted: Vec<String>,
    refused: Vec<Option<u16>>,
    kept: Vec<RegistrationRecord>,
}

impl Seen {
    fn answer(&self) -> &Message {
        self.sent
            .iter()
            .map(|(_, message)| message)
            .find(|message| !message.is_request())
            .unwrap()
    }

    fn notifies(&self) -> Vec<&(Peer, Message)> {
        self.sent.iter().filter(|(_, message)| message.is_request()).collect()
    }
}

struct Office {
    shard: Shard,
    now: Now,
    cseq: u32,
    phone: Peer,
}

impl Office {
    fn new(mwi: MessageWaiting) -> Office {
        Office::with(|profile| profile.mwi = mwi)
    }

    fn with(change: impl FnOnce(&mut Profile)) -> Office {
        let mut profile = Profile {
            name: "phones".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            country_code: "49".into(),
            registrar: true,
            service_codes: vec!["*97 -> mailbox".to_owned().try_into().unwrap()],
            ..Profile::default()
        };
        change(&mut profile);
        let secrets = secrets(&[DigestAlgorithm::Md5]);
        let admission = Admission::new(vec![Arc::new(profile)]).with_secrets(vec![secrets]);
        let mut shard = Shard::new(config(&[X], admission));
        shard.handle_directory(users(&["bob", "eve"]));
        Office {
            shard,
            now: Now {
                mono: Instant::now(),
                wall: UnixMs(1_289_690_940_000),
            },
            cseq: 0,
            phone: peer(X, "10.1.0.1:5060"),
        }
    }

    fn later(&mut self, ms: u64) -> Seen {
        self.now.mono += Duration::from_millis(ms);
        self.shard.handle_timeout(self.now);
        self.seen()
    }

    fn seen(&mut self) -> Seen {
        let mut seen = Seen::default();
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(sent) => {
                    seen.sent
                        .push((sent.peer, Message::parse_datagram(&sent.bytes).unwrap()));
                }
                ShardOutput::CountMessages(user) => seen.counted.push(user),
                ShardOutput::Registrations(_, all) => seen.kept = all,
                ShardOutput::Refused(refusal) => seen.refused.push(refusal.status),
                _ => {}
            }
        }
        seen
    }

    fn send(&mut self, text: &str) -> Seen {
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard.handle_message(self.now, self.phone, message);
        self.seen()
    }

    fn text(&mut self, method: &str, uri: &str, to: &str, more: &str) -> String {
        self.cseq += 1;
        let cseq = self.cseq;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@office.example>;tag=a\r\nTo: {to}\r\nCall-ID: one\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:bob@10.1.0.1:5060>\r\n{more}Content-Length: 0\r\n\r\n"
        )
    }

    /// With the credentials of a user.
    fn proven(&mut self, user: &str, method: &str, uri: &str, to: &str, more: &str) -> Seen {
        let text = self.text(method, uri, to, more);
        let asked = self.send(&text);
        assert_eq!(asked.answer().status(), Some(401));
        assert!(asked.counted.is_empty());
        let challenge = asked.answer().challenges("WWW-Authenticate").remove(0);
        let answer = authorization(&challenge, user, "sesame", method, uri);
        let text = self.text(method, uri, to, &format!("{more}Authorization: {answer}\r\n"));
        self.send(&text)
    }

    fn subscribes(&mut self, more: &str) -> Seen {
        let uri = "sip:bob@office.example";
        self.proven(
            "bob",
            "SUBSCRIBE",
            uri,
            &format!("<{uri}>"),
            &format!("Event: message-summary\r\n{more}"),
        )
    }

    /// In the dialog that an answer has made.
    fn subscribes_again(&mut self, ok: &Message, user: &str, more: &str) -> Seen {
        let to = ok.header("To").unwrap().to_owned();
        let uri = ok.contact().unwrap().unwrap().uri.to_string();
        self.proven(
            user,
            "SUBSCRIBE",
            &uri,
            &to,
            &format!("Event: message-summary\r\n{more}"),
        )
    }

    fn registers(&mut self, more: &str) -> Seen {
        let to = "<sip:bob@office.example>";
        self.proven("bob", "REGISTER", "sip:office.example", to, more)
    }

    fn has(&mut self, summary: Summary) -> Seen {
        self.shard.handle_waiting(self.now, "bob", summary);
        self.seen()
    }

    fn answers(&mut self, request: &Message, status: &str) -> Seen {
        let line = |name: &str| format!("{name}: {}\r\n", request.header(name).unwrap());
        let lines: String = ["Via", "From", "To", "Call-ID", "CSeq"]
            .iter()
            .map(|name| line(name))
            .collect();
        self.send(&format!("SIP/2.0 {status}\r\n{lines}Content-Length: 0\r\n\r\n"))
    }
}

fn has(new: u64, old: u64, urgent_new: u64) -> Summary {
    let video = Count {
        new,
        old,
        urgent_new,
        urgent_old: 0,
    };
    Summary {
        video,
        ..Summary::default()
    }
}

fn body(message: &Message) -> &str {
    std::str::from_utf8(message.body()).unwrap()
}

#[test]
fn a_subscriber_is_told_at_once_and_of_each_change() {
    let mut office = Office::new(MessageWaiting::Subscribed);
    let seen = office.subscribes("Expires: 600\r\n");
    let ok = seen.answer().clone();
    assert_eq!((ok.status(), ok.header("Expires")), (Some(200), Some("600")));
    assert_eq!(seen.counted, ["bob"]);
    assert_eq!(office.shard.stats().subscriptions, 1);
    let told = office.has(has(1, 2, 1));
    let (to, notify) = told.notifies()[0];
    assert_eq!(to.remote, office.phone.remote);
    assert_eq!(notify.header("Event"), Some("message-summary"));
    assert_eq!(notify.header("Subscription-State"), Some("active;expires=600"));
    assert_eq!(notify.content_type(), Some("application/simple-message-summary"));
    assert_eq!(
        body(notify),
        "Messages-Waiting: yes\r\nMessage-Account: sip:bob@office.example\r\nVoice-Message: 0/0 (0/0)\r\nVideo-Message: 1/2 (1/0)\r\n"
    );
    assert!(office.answers(notify, "200 OK").sent.is_empty());
    office.later(1_000);
    let heard = office.has(has(0, 3, 0));
    let (_, notify) = heard.notifies()[0];
    assert!(body(notify).starts_with("Messages-Waiting: no\r\n"), "{}", body(notify));
    office.answers(notify, "200 OK");
    // What others have is nothing to bob.
    office.later(1_000);
    office.shard.handle_waiting(office.now, "eve", has(9, 9, 9));
    assert!(office.seen().sent.is_empty());
}

#[test]
fn a_subscription_goes_on_ends_and_expires() {
    let mut office = Office::new(MessageWaiting::Subscribed);
    let ok = office.subscribes("Expires: 600\r\n").answer().clone();
    let told = office.has(has(1, 0, 0));
    office.answers(&told.notifies()[0].1, "200 OK");
    let again = office.subscribes_again(&ok, "bob", "Expires: 300\r\n");
    assert_eq!(
        (again.answer().status(), again.answer().header("Expires")),
        (Some(200), Some("300"))
    );
    assert_eq!(again.counted, ["bob"]);
    let told = office.has(has(1, 0, 0));
    let (_, notify) = told.notifies()[0];
    assert_eq!(notify.header("Subscription-State"), Some("active;expires=300"));
    office.answers(notify, "200 OK");
    // Nobody else goes on with it.
    let other = office.subscribes_again(&ok, "eve", "Expires: 300\r\n");
    assert_eq!(other.answer().status(), Some(403));
    let end = office.subscribes_again(&ok, "bob", "Expires: 0\r\n");
    assert_eq!(end.answer().header("Expires"), Some("0"));
    let told = office.has(has(1, 0, 0));
    let (_, notify) = told.notifies()[0];
    assert_eq!(notify.header("Subscription-State"), Some("terminated;reason=timeout"));
    office.answers(notify, "200 OK");
    let gone = office.subscribes_again(&ok, "bob", "Expires: 300\r\n");
    assert_eq!(gone.answer().status(), Some(481));
    // Nobody refreshes this one.
    let ok = office.subscribes("Expires: 60\r\n").answer().clone();
    let told = office.has(has(1, 0, 0));
    office.answers(&told.notifies()[0].1, "200 OK");
    assert!(office.later(59_999).sent.is_empty());
    let told = office.later(1);
    assert_eq!(
        told.notifies()[0].1.header("Subscription-State"),
        Some("terminated;reason=timeout")
    );
    assert_eq!(told.notifies()[0].1.call_id(), ok.call_id());
    // And its phone is gone: 64·T1.
    office.later(32_000);
    assert_eq!(
        (
            office.shard.stats().subscriptions,
            office.shard.endpoint().watch_count()
        ),
        (0, 0)
    );
}

#[test]
fn a_fetch_and_a_phone_that_knows_the_dialog_no_more_leave_nothing() {
    let mut office = Office::new(MessageWaiting::Subscribed);
    office.subscribes("Expires: 0\r\n");
    let told = office.has(has(4, 0, 0));
    let (_, notify) = told.notifies()[0];
    assert_eq!(notify.header("Subscription-State"), Some("terminated;reason=timeout"));
    assert!(body(notify).contains("Video-Message: 4/0"), "{}", body(notify));
    office.answers(notify, "200 OK");
    assert_eq!(office.shard.endpoint().watch_count(), 0);
    office.subscribes("");
    let told = office.has(has(4, 0, 0));
    office.answers(&told.notifies()[0].1, "481 No Dialog");
    assert_eq!(
        (
            office.shard.stats().subscriptions,
            office.shard.endpoint().watch_count()
        ),
        (0, 0)
    );
}

#[test]
fn only_who_proves_it_subscribes_and_only_to_its_own_mailbox() {
    let mut office = Office::new(MessageWaiting::Subscribed);
    let package = "Event: message-summary\r\n";
    // By name, by a number, and by what all dial for their own.
    for user in ["bob", "+4930123", "030123", "*97"] {
        let uri = format!("sip:{user}@office.example");
        let seen = office.proven("bob", "SUBSCRIBE", &uri, &format!("<{uri}>"), package);
        assert_eq!(seen.answer().status(), Some(200), "{user}");
    }
    // Another's, and nobody's: the answer is the same.
    let to = |user: &str| format!("sip:{user}@office.example");
    let [of_eve, of_nobody] = ["eve", "nobody"].map(|user| {
        let seen = office.proven("bob", "SUBSCRIBE", &to(user), &format!("<{}>", to(user)), package);
        assert!(seen.counted.is_empty());
        let answer = seen.answer();
        (answer.status(), answer.all_headers().count(), seen.refused.clone())
    });
    assert_eq!(of_eve, of_nobody);
    assert_eq!(of_eve.0, Some(403));
}

#[test]
fn what_is_not_served_is_refused_with_what_would_do() {
    let mut office = Office::new(MessageWaiting::Subscribed);
    let uri = "sip:bob@office.example";
    for (more, status, name, value) in [
        ("Event: presence\r\n", 489, "Allow-Events", "message-summary"),
        ("Event: message-summary\r\nExpires: 5\r\n", 423, "Min-Expires", "60"),
        (
            "Event: message-summary\r\nAccept: text/plain\r\n",
            406,
            "Accept",
            "application/simple-message-summary",
        ),
    ] {
        let seen = office.proven("bob", "SUBSCRIBE", uri, &format!("<{uri}>"), more);
        assert_eq!(seen.answer().status(), Some(status), "{more}");
        assert_eq!(seen.answer().header(name), Some(value), "{more}");
        assert_eq!(seen.refused, [Some(status)]);
    }
    for change in [
        (|profile: &mut Profile| profile.registrar = false) as fn(&mut Profile),
        |profile| profile.mwi = MessageWaiting::Unsolicited,
    ] {
        let mut office = Office::with(change);
        let text = office.text("SUBSCRIBE", uri, &format!("<{uri}>"), "Event: message-summary\r\n");
        assert_eq!(office.send(&text).answer().status(), Some(405));
    }
}

#[test]
fn a_request_that_comes_again_gets_the_same_answer_and_makes_no_second_subscription() {
    let mut office = Office::new(MessageWaiting::Subscribed);
    let first = office.subscribes("");
    let message = first.answer().clone();
    // The last that was sent, once more.
    office.cseq -= 1;
    let text = office.text(
        "SUBSCRIBE",
        "sip:bob@office.example",
        "<sip:bob@office.example>",
        "Event: message-summary\r\n",
    );
    let again = office.send(&text);
    assert_eq!(again.answer().to_bytes(), message.to_bytes());
    assert!(again.counted.is_empty());
    assert_eq!(office.shard.stats().subscriptions, 1);
}

#[test]
fn who_is_no_subscriber_any_more_and_a_server_that_stops_say_that_it_is_over() {
    let mut office = Office::new(MessageWaiting::Subscribed);
    office.subscribes("");
    let told = office.has(has(1, 0, 0));
    office.answers(&told.notifies()[0].1, "200 OK");
    office.shard.handle_directory(users(&["eve"]));
    let told = office.later(1_000);
    let state = told.notifies()[0].1.header("Subscription-State").map(str::to_owned);
    assert_eq!(state.as_deref(), Some("terminated;reason=noresource"));
    let mut office = Office::new(MessageWaiting::Subscribed);
    office.subscribes("");
    let told = office.has(has(1, 0, 0));
    office.answers(&told.notifies()[0].1, "200 OK");
    office.shard.hang_up_all(office.now);
    let told = office.seen();
    let state = told.notifies()[0].1.header("Subscription-State").map(str::to_owned);
    assert_eq!(state.as_deref(), Some("terminated;reason=probation;retry-after=5"));
    let refused = office.subscribes("");
    assert_eq!(refused.answer().status(), Some(503));
}

#[test]
fn contacts_are_told_unasked_right_after_they_register_and_of_each_change() {
    let mut office = Office::new(MessageWaiting::Unsolicited);
    office.phone = peer(X, "10.1.0.1:5060");
    let registered = office.registers("Expires: 600\r\n");
    assert_eq!(registered.answer().status(), Some(200));
    assert_eq!(registered.counted, ["bob"]);
    let told = office.has(has(1, 0, 0));
    let (to, notify) = told.notifies()[0];
    assert_eq!(to.remote, office.phone.remote);
    assert_eq!(notify.request_uri().unwrap().to_string(), "sip:bob@10.1.0.1:5060");
    assert_eq!(
        notify.header("Subscription-State"),
        Some("terminated;reason=noresource")
    );
    assert!(notify.to().unwrap().tag().is_none());
    assert!(
        body(notify).contains("Message-Account: sip:bob@10.0.0.254:5060\r\n"),
        "{}",
        body(notify)
    );
    office.answers(notify, "200 OK");
    office.later(1_000);
    assert_eq!(office.has(has(0, 1, 0)).notifies().len(), 1);
    // Gone, it is told no more.
    let mut office = Office::new(MessageWaiting::Both);
    office.registers("Expires: 600\r\n");
    let told = office.has(has(1, 0, 0));
    office.answers(&told.notifies()[0].1, "200 OK");
    office.shard.handle_removal(office.now, "bob", None);
    office.later(1_000);
    assert_eq!(office.has(has(2, 0, 0)).notifies().len(), 0);
}

#[test]
fn what_was_committed_when_the_server_went_is_told_unasked_when_it_is_back() {
    for mwi in [
        MessageWaiting::Unsolicited,
        MessageWaiting::Both,
        MessageWaiting::Subscribed,
    ] {
        let mut office = Office::new(mwi);
        let kept = office.registers("Expires: 600\r\n").kept;
        let mut after = Office::new(mwi);
        after.shard.restore_registrations(after.now, kept);
        let counted = after.seen().counted;
        match mwi {
            MessageWaiting::Subscribed => assert!(counted.is_empty(), "nobody is told unasked"),
            _ => assert_eq!(counted, ["bob"], "{mwi:?}"),
        }
        let told = after.has(has(1, 0, 0));
        assert_eq!(told.notifies().len(), usize::from(mwi.is_unsolicited()));
    }
}

#[test]
fn a_contact_that_has_subscribed_is_not_told_twice() {
    let mut office = Office::new(MessageWaiting::Both);
    office.registers("Expires: 600\r\n");
    let told = office.has(has(1, 0, 0));
    office.answers(&told.notifies()[0].1, "200 OK");
    office.subscribes("");
    office.later(1_000);
    let told = office.has(has(2, 0, 0));
    assert_eq!(told.notifies().len(), 1);
    assert!(told.notifies()[0].1.to().unwrap().tag().is_some(), "in the dialog");
}

#[test]
fn behind_a_nat_counts_go_where_the_phone_is_seen() {
    let mut office = Office::with(|profile| profile.nat = true);
    office.phone = peer(X, "10.1.0.9:31337");
    office.subscribes("");
    let told = office.has(has(1, 0, 0));
    let (to, notify) = told.notifies()[0];
    assert_eq!(to.remote, office.phone.remote);
    assert_eq!(notify.request_uri().unwrap().to_string(), "sip:bob@10.1.0.1:5060");
}
