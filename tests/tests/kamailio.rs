//! Kamailio in front, as docs/deploy.md tells: phones register there with passwords, calls come to Segue and go back
//! through it to the callee's phone.

use std::{
    fs,
    time::{Duration, Instant},
};

use segue_tests::{
    kamailio::Kamailio,
    movie::Movie,
    phone::{A, Answers, B, Codecs, Party, Phone, Registrar},
    picture::Colour,
    segue::{Segue, repository, sample},
};

const SOON: Duration = Duration::from_secs(5);
const CLIP_HZ: u32 = 880;

/// Who leaves a message meanwhile.
const C: Party = Party {
    name: "c",
    colour: Colour::Red,
    tone_hz: 600,
};

fn password(party: Party) -> &'static str {
    match party.name {
        "a" => "one-two",
        "b" => "three-four",
        _ => "five-six",
    }
}

fn registrar(kamailio: &Kamailio, password: &str) -> Registrar {
    Registrar {
        at: kamailio.at(),
        password: password.to_owned(),
    }
}

/// Phones, Kamailio, Segue; nothing but Kamailio's address may come to Segue.
struct House {
    a: Phone,
    b: Option<Phone>,
    kamailio: Kamailio,
    segue: Segue,
    /// A second node, where there is one.
    other: Option<Segue>,
    folder: tempfile::TempDir,
}

impl House {
    fn new(b_answers: Option<Answers>) -> House {
        House::with_nodes(b_answers, &[""])
    }

    /// The same with one or two Segue nodes, each with settings of its own.
    fn with_nodes(b_answers: Option<Answers>, nodes: &[&str]) -> House {
        let folder = tempfile::tempdir().unwrap();
        let profiles = folder.path().join("profiles");
        fs::create_dir_all(&profiles).unwrap();
        let profile = fs::read_to_string(repository().join("packaging/kamailio/segue-profile.toml")).unwrap();
        assert!(profile.contains("192.0.2.10/32"), "{profile}");
        let profile = profile.replace("192.0.2.10/32", &format!("{}/32", Kamailio::address()));
        fs::write(profiles.join("kamailio.toml"), profile).unwrap();
        let start = |name: &str, settings: &str| {
            let settings = format!("profiles_dir = {:?}\n{settings}", profiles.display().to_string());
            Segue::start_with(&folder.path().join(name), &settings)
        };
        let segue = start("segue", nodes[0]);
        let other = nodes.get(1).map(|settings| start("other", settings));
        let users = [A, B, C].map(|party| (party.name, password(party)));
        let list: Vec<_> = [Some(&segue), other.as_ref()]
            .into_iter()
            .flatten()
            .map(Segue::sip_udp)
            .collect();
        let kamailio = Kamailio::start(folder.path(), &list, &users);
        let registered = |party, answers| {
            Phone::start_registered(folder.path(), party, answers, &registrar(&kamailio, password(party)))
        };
        let a = registered(A, Answers::OnCommand);
        let b = b_answers.map(|answers| registered(B, answers));
        let target = format!("sip:b@{}", kamailio.at());
        for node in [Some(&segue), other.as_ref()].into_iter().flatten() {
            node.cli(&["clip", "add", "green", sample("clip.mp4").to_str().unwrap()]);
            node.cli(&["clip", "add", "yellow", sample("greeting.mp4").to_str().unwrap()]);
            let add = ["subscriber", "add", "b", "--target", &target, "--clip", "green"];
            let more = ["--greeting", "yellow", "--hold", "2s", "--no-answer", "3s"];
            node.cli(&[&add[..], &more[..]].concat());
            // Whose phone never registers.
            let target = format!("sip:d@{}", kamailio.at());
            node.cli(&["subscriber", "add", "d", "--target", &target, "--greeting", "yellow"]);
        }
        House {
            a,
            b,
            kamailio,
            segue,
            other,
            folder,
        }
    }

    /// One more phone that is registered, and only calls.
    fn registered(&self, party: Party) -> Phone {
        let registrar = registrar(&self.kamailio, password(party));
        Phone::start_registered(self.folder.path(), party, Answers::OnCommand, &registrar)
    }

    fn dial(&mut self) -> Instant {
        let at = self.kamailio.at();
        self.a.dial(&format!("sip:b@{at}"))
    }

    /// B answers at once: A is first held on the clip, then both see and hear each other.
    fn held_and_bridged(&mut self) {
        let dialled = self.dial();
        self.a.expect_sees(Colour::Green, SOON);
        self.a.expect_hears(CLIP_HZ, SOON);
        let b = self.b.as_mut().unwrap();
        assert!(!b.was_called(dialled), "B was called while A was held");
        b.expect_called(dialled, SOON);
        self.a.expect_sees(Colour::Blue, SOON);
        self.a.expect_hears(B.tone_hz, SOON);
        b.expect_sees(Colour::Red, SOON);
        b.expect_hears(A.tone_hz, SOON);
        self.a.hang_up();
        b.expect_event("CALL_CLOSED", dialled, SOON);
        let call_id = self.a.call_id(dialled);
        let args = ["wait", "call", "--sip-call-id", &call_id, "--state", "ended"];
        self.segue.cli(&[&args[..], &["--timeout", "10s"]].concat());
    }
}

#[test]
fn registered_phones_are_held_on_the_clip_and_bridged() {
    let mut house = House::new(Some(Answers::AtOnce));
    house.held_and_bridged();
    let calls = house.segue.rows(&["call", "list"]);
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0]["result"], "answered", "{calls:?}");
}

#[test]
fn who_calls_a_phone_that_is_not_registered_leaves_a_message() {
    let mut house = House::new(None);
    let dialled = house.dial();
    house.a.expect_sees(Colour::Green, SOON);
    house.a.expect_sees(Colour::Yellow, SOON);
    house
        .a
        .expect_event("CALL_ESTABLISHED", dialled, Duration::from_secs(5));
    house.a.expect_sees(Colour::Grey, Duration::from_secs(8));
    std::thread::sleep(Duration::from_secs(4));
    house.a.hang_up();
    let call_id = house.a.call_id(dialled);
    let args = ["wait", "message", "--sip-call-id", &call_id, "--state", "committed"];
    house.segue.cli(&[&args[..], &["--timeout", "20s"]].concat());
    let messages = house.segue.rows(&["message", "list", "b"]);
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0]["kind"], "video", "{messages:?}");
    let id = messages[0]["id"].as_str().unwrap();
    let (file, _) = house.segue.export(id, house.folder.path());
    let movie = Movie::decode(&file);
    assert!(
        movie.share_of(Colour::Red) > 0.9,
        "red is {}",
        movie.share_of(Colour::Red)
    );
    assert!(movie.sound.share_of(A.tone_hz, 0) > 0.9, "{:?}", movie.sound.tones());
}

#[test]
fn without_a_segue_node_people_still_reach_each_other() {
    let mut house = House::new(Some(Answers::AtOnce));
    house.segue.kill_9();
    let dialled = house.dial();
    let b = house.b.as_mut().unwrap();
    // The node that is gone says nothing: Kamailio waits 5 s for it, once.
    b.expect_called(dialled, Duration::from_secs(8));
    house.a.expect_sees(Colour::Blue, SOON);
    house.a.expect_hears(B.tone_hz, SOON);
    house.a.hang_up();
    let log = house.kamailio.log_text();
    assert!(log.contains("it goes straight to the phone"), "{log}");
}

#[test]
fn a_node_that_died_is_made_up_for_by_the_next() {
    let mut house = House::with_nodes(Some(Answers::AtOnce), &["", ""]);
    house.segue.kill_9();
    // The node that is gone says nothing: Kamailio waits 5 s for it.
    three_calls_by_the_other_node(&mut house, Duration::from_secs(8));
}

#[test]
fn a_node_that_is_full_says_503_and_the_next_takes_the_call_at_once() {
    let one = "[overload]\ncalls_max = 1\n";
    let mut house = House::with_nodes(Some(Answers::AtOnce), &[one, one]);
    // C leaves a message for as long as it lasts: its node has no room then.
    let mut c = house.registered(C);
    c.dial(&format!("sip:d@{}", house.kamailio.at()));
    c.expect_sees(Colour::Yellow, SOON);
    if house.segue.health()["calls"] == 0 {
        let other = house.other.take().unwrap();
        house.other = Some(std::mem::replace(&mut house.segue, other));
    }
    three_calls_by_the_other_node(&mut house, Duration::from_secs(4));
    let refused = house.segue.rows(&["call", "list", "--refused"]);
    let went_on = house.kamailio.log_text().matches("it goes to the next").count();
    assert_eq!(refused.len(), went_on, "{refused:?}");
    c.hang_up();
}

/// Which node a call is for its Call-ID says: of three in a row one is for the first, or nearly always.
fn three_calls_by_the_other_node(house: &mut House, soon: Duration) {
    for calls in 1..=3 {
        let dialled = house.dial();
        house.a.expect_sees(Colour::Green, soon);
        // By its tone: a phone that answers by itself paints its picture in its first call only.
        house.a.expect_hears(B.tone_hz, SOON);
        house.a.hang_up();
        house.b.as_mut().unwrap().expect_event("CALL_CLOSED", dialled, SOON);
        let call_id = house.a.call_id(dialled);
        let node = house.other.as_ref().unwrap();
        let args = ["wait", "call", "--sip-call-id", &call_id, "--state", "ended"];
        node.cli(&[&args[..], &["--timeout", "10s"]].concat());
        assert_eq!(node.rows(&["call", "list"]).len(), calls);
    }
}

#[test]
fn who_has_no_password_gets_nowhere() {
    let house = House::new(None);
    let stranger = registrar(&house.kamailio, "guessed");
    let b = Phone::start_at(house.folder.path(), B, Answers::AtOnce, Codecs::USUAL, Some(&stranger));
    b.expect_logged("401 Unauthorized");
    // Nor does a call that comes to Segue itself: only Kamailio is admitted.
    let direct = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    direct.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let (to, from) = (house.segue.sip_udp(), direct.local_addr().unwrap());
    let invite = format!(
        "INVITE sip:b@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-x\r\nMax-Forwards: 70\r\n\
         From: <sip:x@{from}>;tag=1\r\nTo: <sip:b@{to}>\r\nCall-ID: x@{from}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:x@{from}>\r\nContent-Length: 0\r\n\r\n"
    );
    direct.send_to(invite.as_bytes(), to).unwrap();
    assert!(direct.recv(&mut [0; 2048]).is_err(), "Segue answered");
}
