//! Who is told how many messages wait, and when (RFC 3842, RFC 6665 §4.2).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "any moment will do to begin with")]

use std::time::{Duration, Instant};

use segue_registrar::mwi::{Asked, Count, Notice, State, Summary, Told, Waiting, WaitingLimits};
use segue_sip_wire::Message;

fn request(lines: &str) -> Message {
    let text = format!(
        "SUBSCRIBE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\nFrom: <sip:bob@example.com>;tag=a\r\n\
         To: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    Message::parse_datagram(text.as_bytes()).unwrap()
}

fn asked(contact: &str, expires_s: Option<u32>) -> Asked {
    Asked {
        event: "message-summary".to_owned(),
        contact: contact.to_owned(),
        expires_s,
    }
}

fn new(new: u64) -> Summary {
    let video = Count {
        new,
        ..Count::default()
    };
    Summary {
        video,
        ..Summary::default()
    }
}

struct Office {
    waiting: Waiting,
    now: Instant,
}

impl Office {
    fn new() -> Office {
        Office {
            waiting: Waiting::new(WaitingLimits::default()),
            now: Instant::now(),
        }
    }

    fn later(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// Bob's phone at a contact of its own.
    fn bob(&mut self, dialog: u64, expires_s: u32) {
        let asked = asked(&format!("sip:bob@10.0.0.{dialog}"), Some(expires_s));
        let lasts_s = self.waiting.admit("bob", &asked).unwrap();
        let whose = ("bob", "sip:bob@example.com".to_owned());
        assert_eq!(self.waiting.subscribe(self.now, dialog, whose, &asked, lasts_s), []);
    }

    fn know(&mut self, summary: Summary) {
        self.waiting.know(self.now, "bob", summary);
    }

    fn sends(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.waiting.poll(self.now)).collect()
    }

    fn one(&mut self) -> Notice {
        let mut all = self.sends();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn ok(&mut self, dialog: u64) -> bool {
        self.waiting.answered(self.now, &Told::Dialog(dialog), Some(200), None)
    }
}

#[test]
fn what_is_asked_for_is_read_or_refused_with_what_would_do() {
    let contact = "Contact: <sip:bob@10.0.0.1:5062;ob>;expires=9\r\n";
    let of = |lines: &str| Asked::of(&request(&format!("{lines}{contact}")));
    let read = of(
        "Event: Message-Summary;x=1;ID=7\r\nExpires: 600\r\nAccept: text/plain, application/simple-message-summary\r\n",
    );
    assert_eq!(
        read,
        Ok(Asked {
            event: "message-summary;id=7".to_owned(),
            contact: "sip:bob@10.0.0.1:5062;ob".to_owned(),
            expires_s: Some(600),
        })
    );
    assert_eq!(of("o: message-summary\r\n").unwrap().expires_s, None);
    for (lines, status, header) in [
        ("Event: presence\r\n", 489, ("Allow-Events", "message-summary")),
        ("", 489, ("Allow-Events", "message-summary")),
        (
            "Event: message-summary\r\nAccept: text/plain\r\n",
            406,
            ("Accept", "application/simple-message-summary"),
        ),
        (
            "Event: message-summary\r\nRequire: eventlist\r\n",
            420,
            ("Unsupported", "eventlist"),
        ),
    ] {
        let refused = of(lines).unwrap_err();
        assert_eq!(refused.status, status, "{lines}");
        let (name, value) = header;
        assert_eq!(refused.headers, [(name, value.to_owned())], "{lines}");
    }
    for contacts in [
        "",
        "Contact: *\r\n",
        "Contact: <tel:+491>\r\n",
        "Contact: <sip:a@b>, <sip:c@d>\r\n",
    ] {
        let refused = Asked::of(&request(&format!("Event: message-summary\r\n{contacts}"))).unwrap_err();
        assert_eq!(refused.status, 400, "{contacts}");
    }
}

#[test]
fn a_subscription_is_told_at_once_what_is_known_and_then_what_changes() {
    let mut office = Office::new();
    office.bob(1, 600);
    assert_eq!(office.sends(), [], "nothing is known yet");
    office.know(new(2));
    let first = office.one();
    assert_eq!((first.state, first.summary), (State::Active(600), Some(new(2))));
    assert_eq!(
        (first.event.as_str(), first.account.as_str()),
        ("message-summary", "sip:bob@example.com")
    );
    assert!(office.ok(1));
    office.know(new(2));
    office.later(5_000);
    assert_eq!(office.sends(), [], "nothing has changed");
    office.know(new(1));
    let second = office.one();
    assert_eq!((second.state, second.summary), (State::Active(595), Some(new(1))));
}

#[test]
fn one_notify_is_on_its_way_at_most_and_the_newest_state_wins() {
    let mut office = Office::new();
    office.bob(1, 600);
    office.know(new(0));
    office.one();
    for count in 1..=50 {
        office.know(new(count));
    }
    office.later(10_000);
    assert_eq!(office.sends(), [], "the first has no answer yet");
    assert!(office.ok(1));
    assert_eq!(office.one().summary, Some(new(50)));
    // Nor is the next sent within a second of the last (RFC 3842 §3.11).
    office.ok(1);
    office.know(new(51));
    assert_eq!(office.sends(), []);
    assert_eq!(office.waiting.poll_timeout(), Some(office.now + Duration::from_secs(1)));
    // What is as it was told needs no word.
    office.know(new(50));
    office.later(1_000);
    assert_eq!(office.sends(), []);
}

#[test]
fn a_refresh_is_told_all_again_and_the_end_is_told_with_the_state() {
    let mut office = Office::new();
    office.bob(1, 600);
    office.know(new(1));
    office.one();
    office.ok(1);
    assert!(office.waiting.refresh(office.now, 1, 900));
    office.know(new(1));
    assert_eq!(
        office.one().state,
        State::Active(900),
        "at once, though nothing has changed"
    );
    office.ok(1);
    assert!(office.waiting.refresh(office.now, 1, 0));
    assert_eq!(office.waiting.user_of(1), None);
    office.know(new(1));
    let last = office.one();
    assert_eq!((last.state, last.summary), (State::Terminated("timeout"), Some(new(1))));
    assert!(!office.ok(1));
    assert_eq!((office.waiting.total(), office.waiting.poll_timeout()), (0, None));
    assert!(!office.waiting.refresh(office.now, 1, 900));
}

#[test]
fn a_fetch_is_told_once_and_is_over() {
    let mut office = Office::new();
    office.bob(1, 0);
    office.know(new(3));
    let only = office.one();
    assert_eq!((only.state, only.summary), (State::Terminated("timeout"), Some(new(3))));
    office.know(new(4));
    assert!(!office.ok(1));
    assert_eq!(office.waiting.total(), 0);
}

#[test]
fn who_does_not_refresh_is_told_that_it_is_over() {
    let mut office = Office::new();
    office.bob(1, 60);
    office.know(new(1));
    office.one();
    office.ok(1);
    office.later(59_999);
    assert_eq!(office.sends(), []);
    assert_eq!(
        office.waiting.poll_timeout(),
        Some(office.now + Duration::from_millis(1))
    );
    office.later(1);
    assert_eq!(office.one().state, State::Terminated("timeout"));
    // Nobody answers any more.
    assert!(!office.waiting.answered(office.now, &Told::Dialog(1), None, None));
    assert_eq!(office.waiting.total(), 0);
}

#[test]
fn a_failure_ends_it_unless_it_says_when_to_try_again() {
    for status in [Some(481), Some(489), Some(500), Some(401), None] {
        let mut office = Office::new();
        office.bob(1, 600);
        office.know(new(1));
        office.one();
        assert!(
            !office.waiting.answered(office.now, &Told::Dialog(1), status, None),
            "{status:?}"
        );
        assert_eq!(office.waiting.total(), 0);
    }
    let mut office = Office::new();
    office.bob(1, 600);
    office.know(new(1));
    office.one();
    let wait = Some(Duration::from_secs(7));
    assert!(office.waiting.answered(office.now, &Told::Dialog(1), Some(503), wait));
    office.know(new(2));
    office.later(6_999);
    assert_eq!(office.sends(), []);
    office.later(1);
    assert_eq!(office.one().summary, Some(new(2)));
}

#[test]
fn there_are_limits_for_each_and_for_all() {
    let limits = WaitingLimits {
        each_max: 2,
        total_max: 3,
        ..WaitingLimits::default()
    };
    let (mut waiting, now) = (Waiting::new(limits), Instant::now());
    let mut subscribe = |dialog: u64, user: &str, contact: &str| {
        let asked = asked(contact, None);
        let lasts_s = waiting.admit(user, &asked).map_err(|refused| refused.status)?;
        Ok(waiting.subscribe(now, dialog, (user, String::new()), &asked, lasts_s))
    };
    assert_eq!(subscribe(1, "bob", "sip:a"), Ok(Vec::new()));
    assert_eq!(subscribe(2, "bob", "sip:b"), Ok(Vec::new()));
    assert_eq!(subscribe(3, "bob", "sip:c"), Err(403));
    // A phone that has been restarted takes the place that it had.
    assert_eq!(subscribe(4, "bob", "sip:a"), Ok(vec![1]));
    assert_eq!(subscribe(5, "eve", "sip:a"), Ok(Vec::new()));
    assert_eq!(subscribe(6, "joe", "sip:a"), Err(503));
    assert_eq!(waiting.subscriptions(), 3);
    let short = waiting.admit("kim", &asked("sip:a", Some(59))).unwrap_err();
    assert_eq!(
        (short.status, short.headers),
        (423, vec![("Min-Expires", "60".to_owned())])
    );
    assert_eq!(waiting.lasts(Some(u32::MAX)), Ok(900));
}

#[test]
fn a_subscriber_who_is_gone_and_a_server_that_stops_end_what_they_told() {
    let mut office = Office::new();
    office.bob(1, 600);
    office.know(new(1));
    office.one();
    office.ok(1);
    office.waiting.end("bob");
    office.later(1_000);
    assert_eq!(office.one().state, State::Terminated("noresource"));
    office.bob(2, 600);
    office.waiting.close();
    assert_eq!(
        office.one().state.to_header(),
        "terminated;reason=probation;retry-after=5"
    );
}

#[test]
fn a_contact_is_told_unasked_unless_it_has_asked_or_does_not_want_it() {
    let mut office = Office::new();
    let contact = "sip:bob@10.0.0.1";
    let told = Told::Contact("bob".to_owned(), contact.to_owned());
    let whose = || ("bob", "sip:bob@example.com".to_owned());
    office.waiting.tell_contact(office.now, whose(), contact, true);
    office.know(new(1));
    let first = office.one();
    assert_eq!((first.to, first.state), (told.clone(), State::Terminated("noresource")));
    assert!(office.waiting.answered(office.now, &told, Some(200), None));
    // It registers again.
    office.later(2_000);
    office.waiting.tell_contact(office.now, whose(), contact, true);
    office.know(new(1));
    office.one();
    office.waiting.answered(office.now, &told, Some(489), None);
    // It has said that it does not want it, until it registers again.
    office.later(2_000);
    office.waiting.tell_contact(office.now, whose(), contact, false);
    office.know(new(2));
    assert_eq!(office.sends(), []);
    office.waiting.tell_contact(office.now, whose(), contact, true);
    office.know(new(2));
    assert_eq!(office.one().summary, Some(new(2)));
    // It subscribes: from then on it is told by that alone.
    office.bob(1, 600);
    office.later(2_000);
    office.waiting.tell_contact(office.now, whose(), contact, true);
    office.know(new(3));
    assert_eq!(office.one().to, Told::Dialog(1));
    office.waiting.forget_contact("bob", contact);
    assert_eq!(office.waiting.total(), 1);
}
