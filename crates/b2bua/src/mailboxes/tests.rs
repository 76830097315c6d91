use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use segue_policy::Subscriber;
use segue_store::{Deposit, MediaSource, NewRendition};

use super::*;

/// A house whose PINs are kept as they are, and whose messages are a packet long.
#[derive(Default)]
struct House {
    looked_at: AtomicU32,
}

impl Mailboxes for House {
    fn keep_pin(&self, _: &str, pin: &Pin) -> Option<Vec<u8>> {
        Some(pin.digits().as_bytes().to_vec())
    }

    fn is_pin(&self, _: &str, kept: Option<&[u8]>, pin: &Pin) -> bool {
        self.looked_at.fetch_add(1, Ordering::Relaxed);
        kept == Some(pin.digits().as_bytes())
    }

    fn message(&self, id: &str, renditions: &[RenditionProfile]) -> Result<NewClip, String> {
        let mut builder = segue_media::cache::CacheBuilder::new();
        builder.push(0, 0, &[0; 160], 0).unwrap();
        let cache = builder.finish(8_000, 20_000, 160).unwrap().to_bytes();
        let rendition = |profile: &RenditionProfile| NewRendition {
            profile: *profile,
            profile_level_id: None,
            cache: cache.clone(),
        };
        Ok(NewClip {
            name: id.to_owned(),
            duration_ms: 20,
            renditions: renditions.iter().map(rendition).collect(),
            poster: None,
        })
    }

    fn clip_of(&self, _: &str) -> Result<ClipInfo, String> {
        Err("no recorder here".to_owned())
    }
}

struct Desk {
    _dir: tempfile::TempDir,
    store: Store,
    house: House,
    sources: Mutex<BackingOff>,
    start: Instant,
    profile: Profile,
}

impl Desk {
    /// bob is 101 and +4930101, his PIN is 2580; carol has none.
    fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for (user, number) in [("bob", "+4930101"), ("carol", "+4930102")] {
            let subscriber = Subscriber {
                user: user.into(),
                numbers: vec![number.into()],
                ..Subscriber::default()
            };
            store.add_subscriber(subscriber).unwrap();
        }
        store.set_pin("bob", Some(b"2580".to_vec())).unwrap();
        Desk {
            _dir: dir,
            store,
            house: House::default(),
            sources: Mutex::default(),
            start: Instant::now(),
            profile: Profile {
                country_code: "49".into(),
                area_code: "30".into(),
                ..Profile::default()
            },
        }
    }

    fn log_in(&self, after_s: u64, source: &str, said: &str, pin: &str) -> (Option<String>, Option<Locked>) {
        let asked = LogIn {
            said,
            pin: &Pin::given(pin).unwrap(),
            source: source.parse().unwrap(),
            profile: &self.profile,
            now_ms: i64::try_from(after_s * 1_000).unwrap(),
            now: self.start + Duration::from_secs(after_s),
        };
        log_in(&self.store, &self.house, &self.sources, &asked).unwrap()
    }

    fn is_bob(&self, after_s: u64, source: &str, said: &str, pin: &str) -> bool {
        self.log_in(after_s, source, said, pin).0.as_deref() == Some("bob")
    }
}

#[test]
fn number_and_pin_together_say_who_it_is_and_nothing_else_does() {
    let desk = Desk::new();
    for said in ["bob", "+4930101", "101", "030101"] {
        assert!(desk.is_bob(0, "192.0.2.1", said, "2580"), "{said}");
    }
    for (said, pin) in [
        ("101", "2581"),
        ("102", "2580"),
        ("103", "2580"),
        ("carol", "0000"),
        ("", "2580"),
    ] {
        assert_eq!(desk.log_in(0, "192.0.2.2", said, pin), (None, None), "{said}");
    }
    // A PIN is looked at each time, as if there were one.
    assert_eq!(desk.house.looked_at.load(Ordering::Relaxed), 9);
}

#[test]
fn a_pin_that_was_wrong_too_often_is_locked_for_all_and_that_is_told() {
    let desk = Desk::new();
    let from = |n: u32| format!("192.0.2.{n}");
    for n in 1..5 {
        assert_eq!(desk.log_in(0, &from(n), "101", "1111"), (None, None));
    }
    let locked = Locked {
        user: "bob".into(),
        until: UnixMs(60_000),
    };
    assert_eq!(desk.log_in(0, &from(5), "101", "1111"), (None, Some(locked)));
    assert!(!desk.is_bob(59, &from(6), "101", "2580"), "not even the right one");
    assert!(desk.is_bob(60, &from(7), "101", "2580"));
    assert_eq!(desk.store.pin("bob").unwrap().unwrap().wrong, 0);
}

#[test]
fn a_source_that_guesses_waits_whomever_it_tries() {
    let desk = Desk::new();
    for n in 0..10 {
        desk.log_in(0, "192.0.2.1", &format!("9{n}"), "1111");
    }
    assert!(!desk.is_bob(0, "192.0.2.1", "101", "2580"), "it has to wait");
    assert!(desk.is_bob(0, "192.0.2.2", "101", "2580"), "others do not");
    assert!(desk.is_bob(2, "192.0.2.1", "101", "2580"));
    // What it tried while it had to wait was no try of bob's.
    assert_eq!(desk.store.pin("bob").unwrap().unwrap().wrong, 0);
}

fn message(id: &str, media_state: MediaState) -> Message {
    Message {
        id: id.into(),
        mailbox: "bob".into(),
        call_id: String::new(),
        sip_call_id: String::new(),
        from: "sip:a@b".into(),
        from_name: None,
        received_at_ms: 0,
        heard_at_ms: None,
        duration_ms: 1_000,
        kind: Kind::Audio,
        media_state,
        bytes: 0,
        interrupted: false,
        urgent: false,
        keeping: segue_mailbox::Keeping::default(),
    }
}

fn deposit(desk: &Desk, id: &str, media_state: MediaState) {
    store(desk, message(id, media_state));
}

fn store(desk: &Desk, message: Message) {
    let deposit = Deposit {
        message,
        media: MediaSource::Bytes(vec![1; 10]),
        media_type: "audio/ogg".into(),
        poster: None,
    };
    desk.store.deposit(deposit).unwrap();
}

#[test]
fn messages_are_made_ready_in_what_the_caller_takes_and_raw_or_gone_ones_are_said_to_be() {
    let desk = Desk::new();
    deposit(&desk, "01A", MediaState::Ready);
    deposit(&desk, "01B", MediaState::Raw);
    let ready = Mutex::default();
    let make = |id: &str| prepare(&desk.store, &desk.house, &ready, id, &[RenditionProfile::Pcmu]);
    let made = make("01A");
    let MailboxReply::Ready { clip, .. } = &made.reply else {
        panic!("{:?}", made.reply)
    };
    assert!(clip.id < 0 && made.clips[&clip.id].contains_key(&RenditionProfile::Pcmu));
    let why = |id| match make(id).reply {
        MailboxReply::NotReady { why, .. } => why,
        other => panic!("{other:?}"),
    };
    assert_eq!((why("01B"), why("01C")), (NotReady::Raw, NotReady::Gone));
    // The next has an id of its own.
    let MailboxReply::Ready { clip: next, .. } = make("01A").reply else {
        panic!("not ready")
    };
    assert!(next.id < clip.id);
}

#[test]
fn memory_for_messages_is_bounded_by_what_calls_hold() {
    let mut ready = ReadyMessages::default();
    let held: Renditions = Arc::default();
    assert!(ready.has_room());
    ready.add(&held, MESSAGES_BYTES_MAX);
    assert!(!ready.has_room());
    drop(held);
    assert!(ready.has_room(), "its call has ended");
}

#[test]
fn a_mailbox_opens_with_its_messages_and_a_kept_one_is_brought_back_from_the_rules() {
    let desk = Desk::new();
    deposit(&desk, "01A", MediaState::Ready);
    desk.store.delete_message("01A", 5).unwrap();
    let urgent = Message {
        urgent: true,
        ..message("01B", MediaState::Raw)
    };
    store(&desk, urgent);
    let opened = open(&desk.store, &ClipCache::new(1 << 20), "bob").unwrap();
    let MailboxReply::Opened(opened) = opened.reply else {
        panic!("not opened")
    };
    let listed: Vec<_> = opened
        .messages
        .iter()
        .map(|m| (m.id.as_str(), m.raw, m.heard, m.urgent))
        .collect();
    assert_eq!(listed, [("01B", true, false, true)]);
    keep(&desk.store, "01A", 6).unwrap();
    keep(&desk.store, "01B", 6).unwrap();
    let all = desk.store.messages("bob").unwrap();
    assert!(all.len() == 2 && all.iter().all(|message| message.keeping.pinned));
}

#[test]
fn what_was_played_by_phone_and_on_pages_adds_up_in_the_store_and_is_told_to_the_next_call() {
    let desk = Desk::new();
    let long = Message {
        duration_ms: 60_000,
        ..message("01A", MediaState::Ready)
    };
    store(&desk, long);
    let listed = || {
        let opened = open(&desk.store, &ClipCache::new(1 << 20), "bob").unwrap();
        let MailboxReply::Opened(opened) = opened.reply else {
            panic!("not opened")
        };
        let listed = opened.messages.first().unwrap();
        (listed.heard, listed.played.parts().to_vec())
    };
    // Keys in the middle note what was played by then, again and again.
    note_played(&desk.store, "01A", (0, 10_000), 5).unwrap();
    note_played(&desk.store, "01A", (0, 30_000), 6).unwrap();
    assert_eq!(listed(), (false, vec![(0, 30_000)]));
    let waiting = |desk: &Desk| {
        let waiting = desk.store.waiting("bob").unwrap();
        (
            waiting.video.new + waiting.voice.new,
            waiting.video.old + waiting.voice.old,
        )
    };
    assert_eq!(waiting(&desk), (1, 0));
    // 40 % of it in another part, as the page says it: phones are told by these counts.
    let page = MessageChanges {
        played: vec![(36_000, 60_000)],
        ..MessageChanges::default()
    };
    desk.store.change_message("01A", 7, page, |_| true).unwrap();
    assert_eq!((listed().0, waiting(&desk)), (true, (0, 1)));
    assert!(matches!(
        note_played(&desk.store, "01X", (0, 1), 8),
        Err(StoreError::NotFound { .. })
    ));
}
