//! REGISTER at a node: who may, what is answered, what is kept and told (RFC 3261 §10).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod credentials;
#[path = "registering/refused.rs"]
mod refused;
mod shard;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_b2bua::{Admission, Directory, Refusal, Shard, ShardOutput};
use segue_call::{Lookup, MailboxAction, MediaAction, MediaEvent, Now, Ports, StoreAction, StoreReply};
use segue_policy::{Plan, Profile, Subscriber};
use segue_records::{Happening, RegistrationRecord, UnixMs};
use segue_sip::{FlowId, Local, Peer, Protocol};
use segue_sip_wire::{DigestAlgorithm, Message};
use segue_store::Listed;

use credentials::{authorization, directory, listed, secrets};
use shard::{config, peer};

const X: &str = "10.0.0.254:5060";

fn users(users: &[(&str, &str, &[&str])]) -> Directory {
    let numbered = |(user, password, numbers): &(&str, &str, &[&str])| Listed {
        numbers: numbers.iter().map(|number| (*number).to_owned()).collect(),
        ..listed(user, password)
    };
    directory(users.iter().map(numbered).collect())
}

#[derive(Default)]
struct Seen {
    answers: Vec<Message>,
    refused: Vec<Refusal>,
    kept: Vec<(String, Vec<RegistrationRecord>)>,
    told: Vec<Happening>,
    /// What was sent, and where to.
    sent: Vec<(Peer, Message)>,
    /// Where media of legs behind NATs comes from.
    behind_nat: Vec<String>,
    /// How often it was asked for room for a message.
    places_asked: usize,
    /// What subscribers who serve themselves asked.
    served: Vec<MailboxAction>,
}

struct Office {
    shard: Shard,
    now: Now,
    cseq: u32,
    /// Where bob's requests come from.
    phone: Peer,
}

/// Sound and its description.
const OFFER: &str = "Content-Type: application/sdp\r\nContent-Length: 97\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.7.0.1\r\ns=-\r\n\
    c=IN IP4 10.7.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n";

impl Office {
    fn new() -> Office {
        Office::with(Profile {
            registrar: true,
            ..Office::profile()
        })
    }

    fn profile() -> Profile {
        Profile {
            name: "phones".into(),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            country_code: "49".into(),
            destinations: vec!["10.0.0.0/8".parse().unwrap()],
            ..Profile::default()
        }
    }

    fn with(profile: Profile) -> Office {
        let secrets = secrets(&[DigestAlgorithm::Sha256, DigestAlgorithm::Md5]);
        let admission = Admission::new(vec![Arc::new(profile)]).with_secrets(vec![secrets]);
        let mut config = config(&[X], admission);
        config.limits.delay = Some(Duration::from_millis(50));
        let tcp = Local {
            protocol: Protocol::Tcp,
            ..config.endpoint.sockets[0].clone()
        };
        config.endpoint.sockets.push(tcp);
        let mut shard = Shard::new(config);
        shard.handle_directory(users(&[("bob", "sesame", &["+4930123"]), ("eve", "evil", &[])]));
        let now = Now {
            mono: Instant::now(),
            wall: UnixMs(1_289_690_940_000),
        };
        Office {
            shard,
            now,
            cseq: 0,
            phone: peer(X, "10.1.0.1:5060"),
        }
    }

    fn later(&mut self, seconds: u64) {
        self.now.mono += Duration::from_secs(seconds);
        self.now.wall.0 += i64::try_from(seconds).unwrap() * 1_000;
    }

    fn seen(&mut self) -> Seen {
        let mut seen = Seen::default();
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Transmit(sent) => {
                    let message = Message::parse_datagram(&sent.bytes).unwrap();
                    seen.answers.push(message.clone());
                    seen.sent.push((sent.peer, message));
                }
                ShardOutput::Media(_, MediaAction::BehindNat { leg, source }) => {
                    seen.behind_nat.push(format!("{} {source}", leg.0));
                }
                ShardOutput::Media(key, MediaAction::Open { leg, .. }) => {
                    let audio = 4_000 + u16::try_from(leg.0).unwrap() * 4;
                    let address = "10.0.0.254".parse().unwrap();
                    let ports = Ports {
                        address,
                        audio,
                        video: audio + 2,
                    };
                    self.shard
                        .handle_media(self.now, key, MediaEvent::Opened { leg, ports });
                }
                ShardOutput::Store(key, StoreAction::Lookup { user, .. }, profile) => {
                    let subscriber = Subscriber {
                        user,
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
                    self.shard
                        .handle_store(self.now, key, StoreReply::Found(Box::new(lookup)));
                }
                ShardOutput::Store(_, StoreAction::Reserve { .. }, _) => seen.places_asked += 1,
                ShardOutput::Store(_, StoreAction::Mailbox(action), _) => seen.served.push(*action),
                ShardOutput::Refused(refusal) => seen.refused.push(*refusal),
                ShardOutput::Registrations(user, all) => seen.kept.push((user, all)),
                ShardOutput::Event(event) => seen.told.push(event.what),
                _ => {}
            }
        }
        seen
    }

    fn send(&mut self, text: &str) -> Seen {
        self.send_from(self.phone, text)
    }

    fn send_from(&mut self, peer: Peer, text: &str) -> Seen {
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        self.shard.handle_message(self.now, peer, message);
        self.seen()
    }

    /// Somebody calls bob: what was said then, and where to.
    fn is_called(&mut self) -> Seen {
        self.calls("bob")
    }

    fn calls(&mut self, user: &str) -> Seen {
        let text = format!(
            "INVITE sip:{user}@10.0.0.254 SIP/2.0\r\nVia: SIP/2.0/UDP 10.7.0.1:5060;branch=z9hG4bKcall;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:ann@10.7.0.1>;tag=a\r\nTo: <sip:{user}@10.0.0.254>\r\nCall-ID: call\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:ann@10.7.0.1>\r\n{OFFER}"
        );
        self.send_from(peer(X, "10.7.0.1:5060"), &text)
    }

    fn text(&mut self, to: &str, more: &str) -> String {
        self.cseq += 1;
        let cseq = self.cseq;
        format!(
            "REGISTER sip:office.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bK{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{to}@office.example>;tag=a\r\nTo: <sip:{to}@office.example>\r\n\
             Call-ID: reg\r\nCSeq: {cseq} REGISTER\r\nUser-Agent: phone/1\r\n{more}Content-Length: 0\r\n\r\n"
        )
    }

    /// With the credentials that it is asked for, by this algorithm.
    fn registers_by(&mut self, algorithm: DigestAlgorithm, user: &str, password: &str, to: &str, more: &str) -> Seen {
        let text = self.text(to, more);
        let asked = self.send(&text);
        assert_eq!(asked.answers[0].status(), Some(401), "{:?}", asked.answers);
        assert!(asked.refused.is_empty(), "to be asked is no refusal");
        let challenges = asked.answers[0].challenges("WWW-Authenticate");
        let challenge = challenges
            .iter()
            .find(|challenge| challenge.algorithm == algorithm)
            .unwrap();
        let answer = authorization(challenge, user, password, "REGISTER", "sip:office.example");
        let text = self.text(to, &format!("{more}Authorization: {answer}\r\n"));
        self.send(&text)
    }

    fn registers(&mut self, user: &str, password: &str, to: &str, more: &str) -> Seen {
        self.registers_by(DigestAlgorithm::Sha256, user, password, to, more)
    }

    fn bob(&mut self, more: &str) -> Seen {
        self.registers("bob", "sesame", "bob", more)
    }
}

fn contacts(seen: &Seen) -> Vec<String> {
    seen.answers[0].headers("Contact").map(str::to_owned).collect()
}

#[test]
fn a_subscriber_registers_is_listed_and_expires() {
    let mut office = Office::new();
    let seen = office.bob("Contact: <sip:bob@10.1.0.1:5060>;expires=600\r\n");
    assert_eq!(seen.answers[0].status(), Some(200));
    assert_eq!(contacts(&seen), ["<sip:bob@10.1.0.1:5060>;expires=600"]);
    assert_eq!(seen.answers[0].header("Date"), Some("Sat, 13 Nov 2010 23:29:00 GMT"));
    let (user, kept) = &seen.kept[0];
    assert_eq!((user.as_str(), kept.len()), ("bob", 1));
    assert_eq!(kept[0].expires_at, UnixMs(office.now.wall.0 + 600_000));
    assert_eq!(
        (kept[0].source.as_str(), kept[0].transport.as_str()),
        ("10.1.0.1:5060", "udp")
    );
    assert_eq!(kept[0].user_agent.as_deref(), Some("phone/1"));
    let Happening::RegistrationAdded(added) = &seen.told[0] else {
        panic!("{:?}", seen.told)
    };
    assert_eq!(
        (added.user.as_str(), added.contact.as_str()),
        ("bob", "sip:bob@10.1.0.1:5060")
    );
    // Said again it is kept on, and is nothing new.
    office.later(300);
    let again = office.bob("Contact: <sip:bob@10.1.0.1:5060>;expires=600\r\n");
    assert_eq!((again.kept.len(), again.told.len()), (1, 0));
    assert_eq!(office.shard.stats().registrations, 1);
    office.later(599);
    office.shard.handle_timeout(office.now);
    assert_eq!(office.seen().kept, []);
    office.later(1);
    assert!(office.shard.poll_timeout().unwrap() <= office.now.mono);
    office.shard.handle_timeout(office.now);
    let gone = office.seen();
    assert_eq!(gone.kept, [("bob".to_owned(), Vec::new())]);
    assert!(matches!(&gone.told[0], Happening::RegistrationRemoved { why, .. } if why == "expired"));
    assert_eq!(office.shard.stats().registrations, 0);
}

#[test]
fn each_algorithm_of_the_profile_will_do() {
    for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Md5] {
        let mut office = Office::new();
        let seen = office.registers_by(algorithm, "bob", "sesame", "bob", "Contact: <sip:bob@10.1.0.1>\r\n");
        assert_eq!(seen.answers[0].status(), Some(200), "{algorithm:?}");
    }
}

#[test]
fn a_request_that_comes_again_gets_the_same_answer_and_does_nothing() {
    let mut office = Office::new();
    let first = office.text("bob", "");
    let asked = office.send(&first);
    let challenge = &asked.answers[0].challenges("WWW-Authenticate")[0];
    let answer = authorization(challenge, "bob", "sesame", "REGISTER", "sip:office.example");
    let more = format!("Contact: <sip:bob@10.1.0.1>\r\nAuthorization: {answer}\r\n");
    let text = office.text("bob", &more);
    let (once, twice) = (office.send(&text), office.send(&text));
    assert_eq!(once.answers[0].status(), Some(200));
    assert_eq!(once.answers[0].to_bytes(), twice.answers[0].to_bytes());
    assert_eq!((once.kept.len(), twice.kept.len()), (1, 0));
}

#[test]
fn nobody_registers_for_another_or_without_the_password() {
    let mut office = Office::new();
    let contact = "Contact: <sip:bob@10.1.0.1>\r\n";
    let wrong = office.registers("bob", "guessed", "bob", contact);
    assert_eq!((wrong.answers[0].status(), wrong.refused.len()), (Some(401), 1));
    // Eve has a password, of her own.
    let other = office.registers("eve", "evil", "bob", contact);
    assert_eq!(other.answers[0].status(), Some(403));
    assert!(other.refused[0].why.contains("eve"), "{:?}", other.refused);
    let nobody = office.registers("joe", "x", "joe", contact);
    assert_eq!(nobody.answers[0].status(), Some(401), "who is known is told nobody");
    assert_eq!(office.shard.stats().registrations, 0);
    // A number of hers is hers.
    let number = office.registers("bob", "sesame", "+4930123", contact);
    assert_eq!(number.answers[0].status(), Some(200));
    assert_eq!(number.kept[0].0, "bob");
}

#[test]
fn a_password_that_was_changed_counts_at_once() {
    let mut office = Office::new();
    office.shard.handle_directory(users(&[("bob", "other", &[])]));
    let contact = "Contact: <sip:bob@10.1.0.1>\r\n";
    assert_eq!(office.bob(contact).answers[0].status(), Some(401));
    let seen = office.registers("bob", "other", "bob", contact);
    assert_eq!(seen.answers[0].status(), Some(200));
}

#[test]
fn wrong_things_are_told_why() {
    let mut office = Office::new();
    for (more, status, header) in [
        ("Contact: <sip:bob@10.1.0.1>;expires=5\r\n", 423, ("Min-Expires", "60")),
        (
            "Require: gruu\r\nContact: <sip:bob@10.1.0.1>\r\n",
            420,
            ("Unsupported", "gruu"),
        ),
        (
            "Contact: *\r\n",
            400,
            ("Warning", "399 segue \"Contact: * stands alone, with Expires: 0\""),
        ),
    ] {
        let seen = office.bob(more);
        assert_eq!(seen.answers[0].status(), Some(status), "{more}");
        assert_eq!(seen.answers[0].header(header.0), Some(header.1), "{more}");
        assert_eq!(seen.refused[0].status, Some(status));
        assert!(seen.kept.is_empty());
    }
}

#[test]
fn a_profile_without_a_registrar_takes_none() {
    let mut office = Office::with(Office::profile());
    let text = office.text("bob", "Contact: <sip:bob@10.1.0.1>\r\n");
    assert_eq!(office.send(&text).answers[0].status(), Some(405));
}

#[test]
fn registrations_outlive_a_restart_and_an_operator_takes_them_back() {
    let mut office = Office::new();
    let seen = office.bob("Contact: <sip:bob@10.1.0.1>, <sip:bob@10.1.0.2>;expires=60\r\n");
    let kept = seen.kept[0].1.clone();
    let mut after = Office::new();
    (after.now.wall, after.cseq) = (UnixMs(office.now.wall.0 + 61_000), 100);
    after.shard.restore_registrations(after.now, kept);
    assert_eq!(contacts(&after.bob("")), ["<sip:bob@10.1.0.1>;expires=3539"]);
    after.shard.handle_removal(after.now, "bob", Some("sip:bob@10.9.9.9"));
    assert_eq!(after.seen().kept, []);
    after.shard.handle_removal(after.now, "bob", Some("sip:bob@10.1.0.1"));
    let removed = after.seen();
    assert_eq!(removed.kept, [("bob".to_owned(), Vec::new())]);
    assert!(matches!(&removed.told[0], Happening::RegistrationRemoved { why, .. } if why == "removed"));
}

/// The INVITEs among what was sent: where to, and for whom.
fn invites(seen: &Seen) -> Vec<(String, String)> {
    let is_invite = |message: &Message| message.method().is_some_and(|method| method.as_str() == "INVITE");
    let sent = seen.sent.iter().filter(|(_, message)| is_invite(message));
    sent.map(|(peer, invite)| (peer.remote.to_string(), invite.request_uri().unwrap().to_string()))
        .collect()
}

fn pair(to: &str, uri: &str) -> (String, String) {
    (to.to_owned(), uri.to_owned())
}

/// What bob's phone answers to the INVITE among what was sent.
fn answer_of(seen: &Seen, contact: &str) -> String {
    let (_, invite) = seen.sent.iter().find(|(_, message)| message.is_request()).unwrap();
    let line = |name: &str| format!("{name}: {}\r\n", invite.header(name).unwrap());
    let lines: String = ["Via", "From", "Call-ID", "CSeq"]
        .iter()
        .map(|name| line(name))
        .collect();
    format!(
        "SIP/2.0 200 OK\r\n{lines}To: {};tag=b\r\nContact: <{contact}>\r\n{OFFER}",
        invite.header("To").unwrap()
    )
}

#[test]
fn a_call_goes_to_all_contacts_the_preferred_first() {
    let mut office = Office::new();
    let contacts = "Contact: <sip:bob@10.1.0.2>;q=0.5, <sip:bob@10.1.0.3>;q=0.8, <sip:bob@10.1.0.4:5070>;q=0.8\r\n";
    assert_eq!(office.bob(contacts).answers[0].status(), Some(200));
    let first = office.is_called();
    assert_eq!(
        invites(&first),
        [
            pair("10.1.0.3:5060", "sip:bob@10.1.0.3"),
            pair("10.1.0.4:5070", "sip:bob@10.1.0.4:5070")
        ]
    );
    // Each rings as long as targets in order do.
    office.later(16);
    office.shard.handle_timeout(office.now);
    let then = invites(&office.seen());
    assert!(then.contains(&pair("10.1.0.2:5060", "sip:bob@10.1.0.2")), "{then:?}");
}

#[test]
fn a_group_rings_where_its_members_are() {
    let mut office = Office::new();
    office.bob("Contact: <sip:bob@10.1.0.2>\r\n");
    let eve = office.registers("eve", "evil", "eve", "Contact: <sip:eve@10.1.0.3>\r\n");
    assert_eq!(eve.answers[0].status(), Some(200));
    let listed = |user: &str, members: &[&str]| Listed {
        user: user.to_owned(),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        ..Listed::default()
    };
    let all = vec![listed("bob", &[]), listed("eve", &[]), listed("sales", &["bob", "eve"])];
    office.shard.handle_directory(directory(all));
    let called = office.calls("sales");
    assert_eq!(
        invites(&called),
        [
            pair("10.1.0.2:5060", "sip:bob@10.1.0.2"),
            pair("10.1.0.3:5060", "sip:eve@10.1.0.3")
        ]
    );
}

#[test]
fn who_is_registered_nowhere_has_a_mailbox_at_once() {
    let mut office = Office::new();
    let seen = office.is_called();
    // It is asked for room for a message, without a hold and without ringing anybody.
    assert_eq!((seen.places_asked, invites(&seen).len()), (1, 0));
}

#[test]
fn a_phone_behind_a_nat_is_called_where_it_came_from_and_so_is_what_follows() {
    let mut office = Office::with(Profile {
        registrar: true,
        nat: true,
        ..Office::profile()
    });
    office.phone = peer(X, "10.1.0.1:31337");
    let inside = "sip:bob@192.168.7.7:5060";
    let registered = office.bob(&format!("Contact: <{inside}>\r\n"));
    assert_eq!(registered.answers[0].status(), Some(200));
    assert_eq!(registered.sent[0].0.remote, office.phone.remote, "rport");
    assert!(registered.kept[0].1[0].by_source);
    let called = office.is_called();
    assert_eq!(invites(&called), [pair("10.1.0.1:31337", inside)]);
    assert_eq!(called.behind_nat, ["1 10.1.0.1"], "and its media");
    let answer = answer_of(&called, inside);
    let answered = office.send(&answer);
    let acks = |(_, message): &&(Peer, Message)| message.method().is_some_and(|method| method.as_str() == "ACK");
    let (to, ack) = answered.sent.iter().find(acks).unwrap();
    assert_eq!(ack.request_uri().unwrap().to_string(), inside);
    assert_eq!(to.remote, office.phone.remote);
}

#[test]
fn a_connection_that_a_phone_has_opened_is_used_again() {
    let mut office = Office::new();
    let tcp = Peer {
        protocol: Protocol::Tcp,
        flow: Some(FlowId(7)),
        ..peer(X, "10.1.0.1:40000")
    };
    office.phone = tcp;
    office.bob("Contact: <sip:bob@10.1.0.1:5062;transport=tcp>\r\n");
    let called = office.is_called();
    let is_invite = |(_, message): &&(Peer, Message)| message.is_request();
    let (to, _) = called.sent.iter().find(is_invite).unwrap();
    assert_eq!(
        (to.protocol, to.flow, to.remote),
        (Protocol::Tcp, Some(FlowId(7)), tcp.remote)
    );
    assert!(called.behind_nat.is_empty(), "it is where it says to be");
}

#[test]
fn a_path_is_the_way_to_who_registered_through_it() {
    let mut office = Office::new();
    office.bob("Contact: <sip:bob@192.168.7.7>\r\nPath: <sip:10.1.0.9:5065;lr>\r\nSupported: path\r\n");
    let called = office.is_called();
    assert_eq!(invites(&called), [pair("10.1.0.9:5065", "sip:bob@192.168.7.7")]);
    let (_, invite) = called.sent.iter().find(|(_, message)| message.is_request()).unwrap();
    assert_eq!(invite.header("Route"), Some("<sip:10.1.0.9:5065;lr>"));
}

/// Who dials do not disturb from there, as who its From says: who it has proven to be, if it has.
fn dials_dnd(office: &mut Office, source: &str, from: &str, call: u32) -> Option<String> {
    let text = format!(
        "INVITE sip:*78@10.0.0.254 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bKdnd{call};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{from}@office.example>;tag=a{call}\r\nTo: <sip:*78@10.0.0.254>\r\nCall-ID: dnd{call}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:{from}@10.1.0.1>\r\n{OFFER}"
    );
    let seen = office.send_from(peer(X, source), &text);
    assert!(
        seen.answers.iter().any(|answer| answer.status() == Some(200)),
        "answered at once"
    );
    // The first that is asked is how to speak to whom.
    match seen.served.as_slice() {
        [MailboxAction::Voice { user }] => user.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_calls_a_service_from_where_it_has_registered_has_proven_who_it_is() {
    let mut profile = Office::profile();
    profile.registrar = true;
    profile.service_codes = vec!["*78 -> dnd-on".to_owned().try_into().unwrap()];
    let mut office = Office::with(profile);
    let (here, elsewhere) = ("10.1.0.1:5060", "10.1.0.2:5060");
    assert_eq!(dials_dnd(&mut office, here, "bob", 1), None, "not registered yet");
    office.bob("Contact: <sip:bob@10.1.0.1:5060>\r\n");
    assert_eq!(dials_dnd(&mut office, here, "bob", 2).as_deref(), Some("bob"));
    assert_eq!(
        dials_dnd(&mut office, here, "+4930123", 3).as_deref(),
        Some("bob"),
        "by its number"
    );
    assert_eq!(dials_dnd(&mut office, here, "eve", 4), None, "as somebody else");
    assert_eq!(dials_dnd(&mut office, elsewhere, "bob", 5), None, "from elsewhere");
    assert_eq!(
        dials_dnd(&mut office, "10.1.0.1:5061", "bob", 6),
        None,
        "behind the same NAT"
    );
    office.later(7_300);
    office.shard.handle_timeout(office.now);
    assert_eq!(dials_dnd(&mut office, here, "bob", 7), None, "expired");
}

#[test]
fn a_contact_that_is_gone_by_its_turn_does_not_ring() {
    for taken_back in [true, false] {
        let mut office = Office::new();
        let expires = if taken_back { 600 } else { 60 };
        office.bob("Contact: <sip:bob@10.1.0.3>;q=0.8\r\n");
        office.bob(&format!("Contact: <sip:bob@10.1.0.2>;q=0.5;expires={expires}\r\n"));
        if !taken_back {
            office.later(50);
        }
        assert_eq!(
            invites(&office.is_called()),
            [pair("10.1.0.3:5060", "sip:bob@10.1.0.3")]
        );
        if taken_back {
            office.bob("Contact: <sip:bob@10.1.0.2>;expires=0\r\n");
        }
        office.later(16);
        office.shard.handle_timeout(office.now);
        let then = office.seen();
        let anew = pair("10.1.0.2:5060", "sip:bob@10.1.0.2");
        assert!(!invites(&then).contains(&anew), "taken back: {taken_back}");
    }
}
