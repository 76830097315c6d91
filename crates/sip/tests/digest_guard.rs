//! Credentials of others (RFC 3261 §22.1, RFC 7616, RFC 8760 §2.3), in virtual time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use md5::Digest;
use segue_sip::{Guard, Proof, Realm, Secret, User};
use segue_sip_wire::{Challenge, DigestAlgorithm, Message};

fn realm() -> Realm {
    let user = |secret: &str, from: &[&str]| User {
        secret: Secret::Password(secret.to_owned()),
        from: from.iter().map(|name| (*name).to_owned()).collect(),
    };
    Realm {
        name: "office".to_owned(),
        algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
        users: BTreeMap::from([
            ("alice".to_owned(), user("wonderland", &[])),
            ("pbx".to_owned(), user("exchange", &["+4930*", "reception"])),
        ]),
    }
}

fn source() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

struct Door {
    guard: Guard,
    now: Instant,
}

impl Door {
    fn new() -> Door {
        Door {
            guard: Guard::new([1; 32]),
            now: Instant::now(),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn check(&mut self, from: &str, credentials: Option<&str>) -> Proof {
        self.check_of(source(), from, credentials)
    }

    /// The same of a whole From URI.
    fn check_uri(&mut self, from: &str, credentials: &str) -> Proof {
        let line = format!("Authorization: {credentials}\r\n");
        let text = common::request("INVITE", 1, "i", None, &line);
        let at = text.find("<sip:alice@").unwrap();
        let end = at + text[at..].find('>').unwrap();
        let text = format!("{}<{from}{}", &text[..at], &text[end..]);
        let invite = Message::parse_datagram(text.as_bytes()).unwrap();
        self.guard.check(self.now, source(), &invite, &realm())
    }

    fn check_of(&mut self, source: IpAddr, from: &str, credentials: Option<&str>) -> Proof {
        let line = credentials
            .map(|value| format!("Authorization: {value}\r\n"))
            .unwrap_or_default();
        let text = common::request("INVITE", 1, "i", None, &line).replace("sip:alice@", &format!("sip:{from}@"));
        let invite = Message::parse_datagram(text.as_bytes()).unwrap();
        self.guard.check(self.now, source, &invite, &realm())
    }

    /// The challenges that a request without credentials gets.
    fn asked(&mut self) -> Vec<Challenge> {
        challenges(&self.check("alice", None))
    }
}

fn challenges(proof: &Proof) -> Vec<Challenge> {
    let Proof::Wanted { challenges, .. } = proof else {
        panic!("{proof:?}")
    };
    challenges.iter().map(|value| value.parse().unwrap()).collect()
}

fn is_stale(proof: &Proof) -> bool {
    challenges(proof).iter().all(|challenge| challenge.stale)
}

fn has_failed(proof: &Proof) -> bool {
    matches!(proof, Proof::Wanted { failed: true, .. }) && !is_stale(proof)
}

/// What a client makes of a challenge, computed here.
fn answer(challenge: &Challenge, (user, secret): (&str, &str), count: u32, uri: &str) -> String {
    let hash = |text: String| -> String {
        let bytes = match challenge.algorithm {
            DigestAlgorithm::Md5 => md5::Md5::digest(text.as_bytes()).to_vec(),
            _ => ring::digest::digest(&ring::digest::SHA256, text.as_bytes())
                .as_ref()
                .to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (realm, nonce) = (&challenge.realm, &challenge.nonce);
    let (a1, a2) = (hash(format!("{user}:{realm}:{secret}")), hash(format!("INVITE:{uri}")));
    let response = hash(format!("{a1}:{nonce}:{count:08x}:c:auth:{a2}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm={}, qop=auth, cnonce=\"c\", nc={count:08x}",
        challenge.algorithm.as_str()
    )
}

const URI: &str = "sip:bob@127.0.0.2";
const ALICE: (&str, &str) = ("alice", "wonderland");

#[test]
fn who_knows_the_password_is_let_in_by_either_algorithm() {
    let mut door = Door::new();
    let asked = door.asked();
    let algorithms: Vec<_> = asked.iter().map(|challenge| challenge.algorithm).collect();
    assert_eq!(algorithms, realm().algorithms, "in the profile's order");
    assert!(
        asked
            .iter()
            .all(|challenge| challenge.qop == ["auth"] && !challenge.stale)
    );
    for (count, challenge) in (1..).zip(&asked) {
        let proof = door.check("alice", Some(&answer(challenge, ALICE, count, URI)));
        assert_eq!(proof, Proof::Given("alice".to_owned()));
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    for guess in [("alice", "looking glass"), ("nobody", "wonderland")] {
        let mut door = Door::new();
        let challenge = door.asked().remove(0);
        let refused = door.check("alice", Some(&answer(&challenge, guess, 1, URI)));
        assert!(has_failed(&refused), "{refused:?}");
        assert_eq!(challenges(&refused).len(), 2);
    }
}

#[test]
fn a_nonce_lives_for_a_minute_and_then_only_it_is_wrong() {
    let mut door = Door::new();
    let challenge = door.asked().remove(0);
    door.wait(60);
    assert_eq!(
        door.check("alice", Some(&answer(&challenge, ALICE, 1, URI))),
        Proof::Given("alice".to_owned())
    );
    door.now += Duration::from_millis(1);
    let late = door.check("alice", Some(&answer(&challenge, ALICE, 2, URI)));
    assert!(is_stale(&late), "{late:?}");
}

#[test]
fn a_request_cannot_be_played_again_nor_a_nonce_used_by_another_source() {
    let mut door = Door::new();
    let challenge = door.asked().remove(0);
    let credentials = answer(&challenge, ALICE, 1, URI);
    assert_eq!(
        door.check("alice", Some(&credentials)),
        Proof::Given("alice".to_owned())
    );
    assert!(is_stale(&door.check("alice", Some(&credentials))), "played again");
    let other = "192.0.2.8".parse().unwrap();
    let elsewhere = door.check_of(other, "alice", Some(&answer(&challenge, ALICE, 2, URI)));
    assert!(is_stale(&elsewhere), "{elsewhere:?}");
    let mut forged = challenge;
    forged.nonce.replace_range(..1, "f");
    assert!(is_stale(&door.check("alice", Some(&answer(&forged, ALICE, 1, URI)))));
    forged.nonce = "short".to_owned();
    assert!(is_stale(&door.check("alice", Some(&answer(&forged, ALICE, 1, URI)))));
}

#[test]
fn credentials_for_one_callee_are_none_for_another() {
    let mut door = Door::new();
    let challenge = door.asked().remove(0);
    let elsewhere = door.check("alice", Some(&answer(&challenge, ALICE, 1, "sip:premium@127.0.0.2")));
    assert!(has_failed(&elsewhere));
    // A proxy may have changed the host.
    let moved = door.check("alice", Some(&answer(&challenge, ALICE, 1, "sip:bob@example.com")));
    assert_eq!(moved, Proof::Given("alice".to_owned()));
}

#[test]
fn the_from_must_be_one_of_the_users() {
    let mut door = Door::new();
    let challenge = door.asked().remove(0);
    let mut count = 0;
    let mut call = |from: &str, user: (&str, &str)| {
        count += 1;
        door.check(from, Some(&answer(&challenge, user, count, URI)))
    };
    assert_eq!(call("bob", ALICE), Proof::OfAnother("alice".to_owned()));
    assert_eq!(call("Alice", ALICE), Proof::OfAnother("alice".to_owned()));
    let pbx = ("pbx", "exchange");
    for from in ["+49301234", "reception"] {
        assert_eq!(call(from, pbx), Proof::Given("pbx".to_owned()), "{from}");
    }
    for from in ["pbx", "+49401234", "receptionist"] {
        assert_eq!(call(from, pbx), Proof::OfAnother("pbx".to_owned()), "{from}");
    }
}

#[test]
fn who_wants_privacy_or_calls_by_a_number_of_its_own_may() {
    let mut door = Door::new();
    let challenge = door.asked().remove(0);
    let mut count = 0;
    let mut call = |from: &str, user: (&str, &str)| {
        count += 1;
        door.check_uri(from, &answer(&challenge, user, count, URI))
    };
    let pbx = ("pbx", "exchange");
    for (from, user) in [
        ("sip:anonymous@anonymous.invalid", ALICE),
        ("sip:anonymous@Anonymous.Invalid", pbx),
        ("tel:+49-30-123.45", pbx),
        ("tel:+493012345;ext=7", pbx),
    ] {
        assert_eq!(call(from, user), Proof::Given(user.0.to_owned()), "{from}");
    }
    for (from, user) in [
        ("sip:anonymous@example.com", ALICE),
        ("sip:bob@anonymous.invalid", ALICE),
        ("tel:+493012345", ALICE),
        ("tel:+494012345", pbx),
    ] {
        assert_eq!(call(from, user), Proof::OfAnother(user.0.to_owned()), "{from}");
    }
}

#[test]
fn who_guesses_waits_longer_and_longer_and_locks_nobody_else_out() {
    let mut door = Door::new();
    let wrong = |door: &mut Door| {
        let challenge = door.asked().remove(0);
        door.check("alice", Some(&answer(&challenge, ("alice", "guess"), 1, URI)))
    };
    for _ in 0..3 {
        assert!(has_failed(&wrong(&mut door)));
    }
    assert_eq!(wrong(&mut door), Proof::TooMany(Duration::from_secs(1)));
    door.wait(1);
    assert!(has_failed(&wrong(&mut door)));
    assert_eq!(wrong(&mut door), Proof::TooMany(Duration::from_secs(2)));
    // The right password waits as well: else waiting would tell that it was right.
    let challenge = door.asked().remove(0);
    let right = answer(&challenge, ALICE, 1, URI);
    assert_eq!(
        door.check("alice", Some(&right)),
        Proof::TooMany(Duration::from_secs(2))
    );
    // From elsewhere nobody waits.
    let other: IpAddr = "192.0.2.8".parse().unwrap();
    let challenge = challenges(&door.check_of(other, "alice", None)).remove(0);
    let there = door.check_of(other, "alice", Some(&answer(&challenge, ALICE, 1, URI)));
    assert_eq!(there, Proof::Given("alice".to_owned()));
    door.wait(2);
    assert_eq!(door.check("alice", Some(&right)), Proof::Given("alice".to_owned()));
    assert!(has_failed(&wrong(&mut door)), "its own failures are forgiven");
}

#[test]
fn a_phone_with_an_old_password_locks_out_no_other_behind_its_proxy() {
    let mut door = Door::new();
    for _ in 0..30 {
        let challenge = door.asked().remove(0);
        assert!(has_failed(
            &door.check("bob", Some(&answer(&challenge, ("bob", "old"), 1, URI)))
        ));
        door.wait(120);
    }
    let challenge = door.asked().remove(0);
    let right = answer(&challenge, ALICE, 1, URI);
    assert_eq!(door.check("alice", Some(&right)), Proof::Given("alice".to_owned()));
}

#[test]
fn credentials_for_a_nonce_that_is_not_ours_lock_out_nobody() {
    let mut door = Door::new();
    let challenge = door.asked().remove(0);
    let mut forged = challenge.clone();
    forged.nonce = "bm90IG91cnM".to_owned();
    for _ in 0..30 {
        assert!(has_failed(
            &door.check("alice", Some(&answer(&forged, ("alice", "guess"), 1, URI)))
        ));
    }
    let right = answer(&challenge, ALICE, 1, URI);
    assert_eq!(door.check("alice", Some(&right)), Proof::Given("alice".to_owned()));
}

#[test]
fn an_algorithm_that_the_profile_does_not_name_is_none() {
    let mut door = Door::new();
    let mut challenge = door.asked().remove(1);
    let credentials = answer(&challenge, ALICE, 1, URI);
    let text = common::request("INVITE", 1, "i", None, &format!("Authorization: {credentials}\r\n"));
    let invite = Message::parse_datagram(text.as_bytes()).unwrap();
    let only = Realm {
        algorithms: vec![DigestAlgorithm::Sha256],
        ..realm()
    };
    assert!(has_failed(&door.guard.check(door.now, source(), &invite, &only)));
    challenge.algorithm = DigestAlgorithm::Sha256;
    assert_eq!(
        door.check("alice", Some(&answer(&challenge, ALICE, 1, URI))),
        Proof::Given("alice".to_owned())
    );
}
