//! REGISTER by REGISTER (RFC 3261 §10.3), and at random against a plain reference.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "any moment will do to begin with")]

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use segue_registrar::{Binding, Limits, Places, Refused, Registered, Registrar, Source, Transport, What};
use segue_sip_wire::{Host, Message, Uri};

const LIMITS: Limits = Limits {
    contacts_max: 3,
    total_max: 5,
    expires_min_s: 60,
    expires_default_s: 3_600,
    expires_max_s: 7_200,
};

fn source(transport: Transport, remote: &str) -> Source {
    Source {
        transport,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: remote.parse().unwrap(),
        flow: None,
    }
}

fn message(call_id: &str, cseq: u32, lines: &[&str]) -> Message {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK{cseq}\r\n\
         From: <sip:bob@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    Message::parse_datagram(text.as_bytes()).unwrap()
}

/// This server is 192.0.2.1 and `here`; names, and 198.51.100.0/24 and some others, are admitted.
struct Known;

impl Places for Known {
    fn is_here(&self, uri: &Uri) -> bool {
        matches!(uri.host().unwrap().to_string().as_str(), "192.0.2.1" | "here")
    }

    fn admits(&self, uri: &Uri) -> bool {
        match uri.host() {
            Some(Host::V4(ip)) => ip.octets()[..3] == [198, 51, 100] || ip.octets()[0] == 192 || ip.is_multicast(),
            Some(Host::V6(_)) | None => false,
            Some(Host::Name(_)) => true,
        }
    }
}

struct Office {
    registrar: Registrar,
    now: Instant,
}

impl Office {
    fn new() -> Office {
        Office {
            registrar: Registrar::new(LIMITS),
            now: Instant::now(),
        }
    }

    fn says(&mut self, user: &str, call_id: &str, cseq: u32, lines: &[&str]) -> Result<Registered, Refused> {
        let source = source(Transport::Udp, "198.51.100.7:5060");
        let request = message(call_id, cseq, lines);
        self.registrar
            .handle_register(self.now, user, &request, source, false, &Known)
    }

    fn bob(&mut self, cseq: u32, lines: &[&str]) -> Result<Registered, Refused> {
        self.says("bob", "one", cseq, lines)
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn contacts(&self, user: &str) -> Vec<String> {
        let live = self.registrar.contacts(user, self.now);
        live.iter().map(|binding| binding.contact.to_string()).collect()
    }
}

fn whats(registered: &Registered) -> Vec<(What, String)> {
    let changes = registered.changes.iter();
    changes
        .map(|change| (change.what, change.binding.contact.to_string()))
        .collect()
}

#[test]
fn contacts_are_added_asked_for_refreshed_and_taken_back() {
    let mut office = Office::new();
    let done = office.bob(
        1,
        &[
            "Contact: <sip:bob@198.51.100.7>;q=0.5, <sip:bob@198.51.100.8:5070>;expires=60",
            "Expires: 600",
        ],
    );
    let done = done.unwrap();
    assert_eq!(
        done.contacts,
        [
            "<sip:bob@198.51.100.7>;expires=600;q=0.500",
            "<sip:bob@198.51.100.8:5070>;expires=60"
        ]
    );
    assert!(done.changes.iter().all(|change| change.what == What::Added), "{done:?}");
    office.later(10);
    // Without Contact they are only asked for, whatever the CSeq.
    let asked = office.bob(1, &[]).unwrap();
    assert_eq!(
        asked.contacts,
        [
            "<sip:bob@198.51.100.7>;expires=590;q=0.500",
            "<sip:bob@198.51.100.8:5070>;expires=50"
        ]
    );
    assert_eq!(asked.changes, []);
    // The preferred one is called first.
    assert_eq!(
        office.contacts("bob"),
        ["sip:bob@198.51.100.8:5070", "sip:bob@198.51.100.7"]
    );
    let again = office.bob(2, &["Contact: <sip:bob@198.51.100.7>"]).unwrap();
    assert_eq!(whats(&again), [(What::Refreshed, "sip:bob@198.51.100.7".to_owned())]);
    let back = office.bob(3, &["Contact: <sip:bob@198.51.100.7>;expires=0"]).unwrap();
    assert_eq!(whats(&back), [(What::Removed, "sip:bob@198.51.100.7".to_owned())]);
    assert_eq!(back.contacts, ["<sip:bob@198.51.100.8:5070>;expires=50"]);
}

#[test]
fn times_have_a_least_a_default_and_a_longest() {
    let mut office = Office::new();
    let refused = office.bob(1, &["Contact: <sip:bob@h>;expires=59"]).unwrap_err();
    assert_eq!(
        (refused.status, &refused.headers[..]),
        (423, &[("Min-Expires", "60".to_owned())][..])
    );
    let lasts = |done: Result<Registered, Refused>| done.unwrap().contacts.concat();
    assert_eq!(
        lasts(office.bob(2, &["Contact: <sip:bob@h>"])),
        "<sip:bob@h>;expires=3600"
    );
    assert_eq!(
        lasts(office.bob(3, &["Contact: <sip:bob@h>", "Expires: 99999"])),
        "<sip:bob@h>;expires=7200"
    );
    assert_eq!(
        lasts(office.bob(4, &["Contact: <sip:bob@h>;expires=soon"])),
        "<sip:bob@h>;expires=3600"
    );
    // Half of it is nothing.
    let half = office.bob(5, &["Contact: <sip:bob@a>;expires=600, <sip:bob@b>;expires=5"]);
    assert_eq!(half.unwrap_err().status, 423);
    assert_eq!(office.contacts("bob"), ["sip:bob@h"]);
}

#[test]
fn what_nobody_says_again_expires_at_its_moment() {
    let mut office = Office::new();
    office
        .bob(1, &["Contact: <sip:bob@a>;expires=60, <sip:bob@b>;expires=90"])
        .unwrap();
    let begun = office.now;
    assert_eq!(office.registrar.poll_timeout(), Some(begun + Duration::from_secs(60)));
    office.later(59);
    assert_eq!(office.registrar.handle_timeout(office.now), []);
    office.later(1);
    assert_eq!(
        office.contacts("bob"),
        ["sip:bob@b"],
        "at once, not only once it is swept"
    );
    let gone = office.registrar.handle_timeout(office.now);
    assert_eq!(gone.len(), 1);
    assert_eq!((gone[0].what, gone[0].user.as_str()), (What::Expired, "bob"));
    assert_eq!(office.registrar.poll_timeout(), Some(begun + Duration::from_secs(90)));
    office.later(30);
    office.registrar.handle_timeout(office.now);
    assert_eq!((office.registrar.total(), office.registrar.users()), (0, 0));
    assert_eq!(office.registrar.poll_timeout(), None);
}

#[test]
fn what_has_expired_is_told_by_whoever_comes_first() {
    for (cseq, lines) in [
        (2, &[][..]),
        (2, &["Contact: <sip:bob@b>"]),
        (2, &["Contact: *", "Expires: 0"]),
    ] {
        let mut office = Office::new();
        office.bob(1, &["Contact: <sip:bob@a>;expires=60"]).unwrap();
        office.later(61);
        let told = whats(&office.bob(cseq, lines).unwrap());
        assert_eq!(told[0], (What::Expired, "sip:bob@a".to_owned()), "{lines:?}");
        assert_eq!(office.registrar.handle_timeout(office.now), [], "once");
    }
}

#[test]
fn a_star_takes_all_back_and_stands_alone() {
    let mut office = Office::new();
    office.bob(1, &["Contact: <sip:bob@a>, <sip:bob@b>"]).unwrap();
    for lines in [&["Contact: *"][..], &["Contact: *", "Expires: 60"]] {
        assert_eq!(office.bob(2, lines).unwrap_err().status, 400, "{lines:?}");
    }
    // An old one that comes late takes nothing back.
    assert_eq!(office.bob(1, &["Contact: *", "Expires: 0"]).unwrap_err().status, 400);
    let done = office.bob(2, &["Contact: *", "Expires: 0"]).unwrap();
    assert_eq!((done.contacts.len(), done.changes.len()), (0, 2));
}

#[test]
fn an_old_register_that_comes_late_changes_nothing() {
    let mut office = Office::new();
    office.bob(7, &["Contact: <sip:bob@a>"]).unwrap();
    for cseq in [6, 7] {
        let refused = office.bob(cseq, &["Contact: <sip:bob@a>;expires=0"]).unwrap_err();
        assert_eq!(refused.status, 400);
        assert!(refused.headers[0].1.contains("CSeq"), "{refused:?}");
    }
    assert_eq!(office.contacts("bob"), ["sip:bob@a"]);
    // Of another Call-ID its CSeq says nothing: the phone was restarted.
    office
        .says("bob", "two", 1, &["Contact: <sip:bob@a>;expires=0"])
        .unwrap();
    assert!(office.contacts("bob").is_empty());
}

#[test]
fn a_contact_is_the_same_when_its_uri_is_equivalent() {
    let mut office = Office::new();
    office
        .bob(1, &["Contact: <sip:%62ob@Example.COM;transport=tcp>"])
        .unwrap();
    office
        .bob(2, &["Contact: <sip:bob@example.com;Transport=TCP;ob>"])
        .unwrap();
    assert_eq!(office.registrar.total(), 1);
    // The port is part of it even where it is the default (§19.1.4).
    office
        .bob(3, &["Contact: <sip:bob@example.com:5060;transport=tcp>"])
        .unwrap();
    assert_eq!(office.registrar.total(), 2);
}

#[test]
fn a_device_that_moved_is_not_called_where_it_was() {
    let mut office = Office::new();
    let device = |host: &str, id: &str| format!("Contact: <sip:bob@{host}>;+sip.instance=\"<urn:uuid:{id}>\"");
    office.bob(1, &[&device("a", "1")]).unwrap();
    office.bob(2, &[&device("b", "2")]).unwrap();
    let moved = office.says("bob", "restarted", 1, &[&device("c", "1")]).unwrap();
    assert_eq!(
        whats(&moved),
        [
            (What::Removed, "sip:bob@a".to_owned()),
            (What::Added, "sip:bob@c".to_owned())
        ]
    );
    assert!(
        moved.contacts[1].contains(";+sip.instance=\"<urn:uuid:1>\""),
        "{moved:?}"
    );
    // Another flow of it is another contact.
    let flow = format!("{};reg-id=2", device("d", "1"));
    assert_eq!(office.says("bob", "restarted", 2, &[&flow]).unwrap().contacts.len(), 3);
}

#[test]
fn there_are_not_more_contacts_than_may_be() {
    let mut office = Office::new();
    office
        .bob(1, &["Contact: <sip:bob@a>, <sip:bob@b>, <sip:bob@c>"])
        .unwrap();
    assert_eq!(office.bob(2, &["Contact: <sip:bob@d>"]).unwrap_err().status, 403);
    // One for another is no more than before.
    office.bob(3, &["Contact: <sip:bob@a>;expires=0, <sip:bob@d>"]).unwrap();
    office
        .says("eve", "e", 1, &["Contact: <sip:eve@a>, <sip:eve@b>"])
        .unwrap();
    let full = office.says("joe", "j", 1, &["Contact: <sip:joe@a>"]).unwrap_err();
    assert_eq!((full.status, full.headers[0].0), (503, "Retry-After"));
    office.bob(4, &["Contact: <sip:bob@b>"]).unwrap();
    assert_eq!(office.registrar.total(), 5);
}

#[test]
fn a_path_is_kept_and_said_to_who_understands_it() {
    let mut office = Office::new();
    let path = "Path: <sip:edge.example.com;lr>, <sip:192.0.2.9;lr>";
    assert_eq!(
        office.bob(1, &["Contact: <sip:bob@a>", path]).unwrap().path,
        <[&str; 0]>::default()
    );
    let done = office
        .bob(2, &["Contact: <sip:bob@a>", path, "Supported: path"])
        .unwrap();
    assert_eq!(done.path, ["<sip:edge.example.com;lr>", "<sip:192.0.2.9;lr>"]);
    let route = office.registrar.bindings("bob").next().unwrap().route();
    let route: Vec<String> = route.iter().map(ToString::to_string).collect();
    assert_eq!(route, ["sip:edge.example.com;lr", "sip:192.0.2.9;lr"]);
    assert_eq!(
        office
            .bob(3, &["Contact: <sip:bob@a>", "Path: <tel:1>"])
            .unwrap_err()
            .status,
        400
    );
}

#[test]
fn what_cannot_be_served_is_told_why() {
    let mut office = Office::new();
    let refused = office
        .bob(1, &["Contact: <sip:bob@a>", "Require: path, gruu, outbound"])
        .unwrap_err();
    assert_eq!(
        (refused.status, refused.headers),
        (420, vec![("Unsupported", "gruu, outbound".to_owned())])
    );
    let long = format!("Contact: <sip:{}@a>", "b".repeat(600));
    for contact in [
        "Contact: <tel:+4930>",
        "Contact: <sips:bob@a>",
        "Contact: <sip:bob@a;transport=ws>",
        &long,
    ] {
        let refused = office.bob(1, &[contact]).unwrap_err();
        assert_eq!((refused.status, refused.headers[0].0), (400, "Warning"), "{contact}");
    }
    assert_eq!(office.registrar.total(), 0);
}

#[test]
fn who_is_behind_a_nat_is_called_where_it_came_from() {
    let (now, mut registrar) = (Instant::now(), Registrar::new(LIMITS));
    let mut by_source = |cseq, contact: &str, transport, nat| {
        let request = message("one", cseq, &[contact]);
        let source = source(transport, "198.51.100.7:5060");
        registrar
            .handle_register(now, "bob", &request, source, nat, &Known)
            .unwrap();
        let of = |binding: &Binding| (binding.cseq == cseq).then_some(binding.by_source);
        let found = registrar.bindings("bob").find_map(of).unwrap();
        registrar.remove("bob", None);
        found
    };
    let (here, elsewhere) = ("Contact: <sip:bob@198.51.100.7>", "Contact: <sip:bob@10.0.0.7>");
    assert!(!by_source(1, here, Transport::Udp, true));
    assert!(by_source(2, elsewhere, Transport::Udp, true));
    assert!(by_source(
        4,
        "Contact: <sip:bob@198.51.100.7:5062>",
        Transport::Udp,
        true
    ));
    // A connection is used again in any case: nobody else may be able to open one.
    assert!(by_source(5, here, Transport::Tls, false));
}

/// What is known of one contact, simply.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    host: u8,
    call: u8,
    cseq: u32,
    until: u64,
}

/// The same by a list that is gone through each time.
fn reference(rows: &mut Vec<Row>, at: u64, call: u8, cseq: u32, wishes: &[(u8, u32)]) -> u16 {
    rows.retain(|row| row.until > at);
    let mut next = rows.clone();
    for (host, expires) in wishes {
        if (1..60).contains(expires) {
            return 423;
        }
        if next
            .iter()
            .any(|row| row.host == *host && row.call == call && row.cseq >= cseq)
        {
            return 400;
        }
        next.retain(|row| row.host != *host);
        if *expires > 0 {
            let until = at + u64::from((*expires).min(7_200));
            next.push(Row {
                host: *host,
                call,
                cseq,
                until,
            });
        }
    }
    if next.len() > 3 && next.len() > rows.len() {
        return 403;
    }
    *rows = next;
    200
}

#[test]
fn random_registrations_come_out_as_a_plain_list_has_them() {
    for seed in 0..300 {
        let mut dice = StdRng::seed_from_u64(seed);
        let (begun, mut at) = (Instant::now(), 0_u64);
        let mut registrar = Registrar::new(Limits {
            total_max: 1_000,
            ..LIMITS
        });
        let mut rows = Vec::new();
        for _ in 0..60 {
            at += dice.random_range(0..90_u64);
            let now = begun + Duration::from_secs(at);
            if dice.random_ratio(1, 4) {
                registrar.handle_timeout(now);
            }
            let (call, cseq) = (dice.random_range(0..2_u8), dice.random_range(1..40_u32));
            let count = dice.random_range(1..4_usize);
            let times = [0, 0, 30, 60, 61, 120, 600, 9_000];
            let wishes: Vec<(u8, u32)> = (0..count)
                .map(|_| (dice.random_range(0..5_u8), times[dice.random_range(0..times.len())]))
                .collect();
            let lines: Vec<String> = wishes
                .iter()
                .map(|(host, expires)| format!("Contact: <sip:bob@h{host}>;expires={expires}"))
                .collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let request = message(&format!("c{call}"), cseq, &lines);
            let done = registrar.handle_register(
                now,
                "bob",
                &request,
                source(Transport::Udp, "198.51.100.7:5060"),
                false,
                &Known,
            );
            let status = done.as_ref().map_or_else(|refused| refused.status, |_| 200);
            assert_eq!(
                status,
                reference(&mut rows, at, call, cseq, &wishes),
                "seed {seed} at {at}: {lines:?}"
            );
            let mut live: Vec<String> = registrar
                .contacts("bob", now)
                .iter()
                .map(|b| format!("{} {} {}", b.contact, b.cseq, (b.until - begun).as_secs()))
                .collect();
            let mut expected: Vec<String> = rows
                .iter()
                .map(|row| format!("sip:bob@h{} {} {}", row.host, row.cseq, row.until))
                .collect();
            live.sort();
            expected.sort();
            assert_eq!(live, expected, "seed {seed} at {at}");
            let next = rows.iter().map(|row| row.until).min();
            registrar.handle_timeout(now);
            let due = registrar.poll_timeout().map(|due| (due - begun).as_secs());
            assert_eq!(due, next, "seed {seed} at {at}");
            assert_eq!(registrar.total(), rows.len());
        }
    }
}

#[test]
fn nobody_has_others_called_or_many_or_this_server() {
    let mut office = Office::new();
    for (cseq, lines) in (1..).zip([
        &["Contact: <sip:bob@203.0.113.9>"][..],
        &["Contact: <sip:bob@198.51.100.7>, <sip:bob@203.0.113.9>"],
        &["Contact: <sip:bob@192.0.2.1>"],
        &["Contact: <sip:bob@here>"],
        &["Contact: <sip:bob@224.0.1.75>"],
        &["Contact: <sip:bob@0.0.0.0>"],
        &["Contact: <sip:bob@198.51.100.7:0>"],
        &["Contact: <sip:bob@198.51.100.7;maddr=203.0.113.9>"],
        &["Contact: <sip:bob@198.51.100.7>", "Path: <sip:203.0.113.9;lr>"],
        &["Contact: <sip:bob@198.51.100.7>", "Path: <sip:192.0.2.1;lr>"],
        &[
            "Contact: <sip:bob@198.51.100.7>",
            "Path: <sip:203.0.113.9>, <sip:198.51.100.7;lr>",
        ],
        &["Contact: <sip:bob@[::ffff:203.0.113.9]>"],
        &["Contact: <sip:198.51.100.7@203.0.113.9>"],
        &["Contact: <sip:bob@[::ffff:224.0.1.75]>"],
        &["Contact: <sip:bob@255.255.255.255>"],
    ]) {
        let refused = office.bob(cseq, lines).unwrap_err();
        assert_eq!(refused.status, 403, "{lines:?}");
        assert_eq!(refused.headers[0].0, "Warning");
    }
    assert_eq!(office.registrar.total(), 0);
    // Through a proxy that is admitted, wherever the phone itself is.
    let behind = ["Contact: <sip:bob@10.0.0.7>", "Path: <sip:198.51.100.1;lr>"];
    office.bob(20, &behind).unwrap();
    // Whoever is called where it came from may say what it likes.
    let (now, mut registrar) = (Instant::now(), Registrar::new(LIMITS));
    for (cseq, contact) in (1..).zip(["<sip:bob@203.0.113.9>", "<sip:bob@0.0.0.0>"]) {
        let request = message("one", cseq, &[&format!("Contact: {contact}")]);
        let from = source(Transport::Udp, "198.51.100.7:5060");
        registrar
            .handle_register(now, "bob", &request, from, true, &Known)
            .unwrap();
    }
    assert!(registrar.bindings("bob").all(|binding| binding.by_source));
}
