//! Notices on their way to real receivers: a web server, a mail server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod mail;
mod webhook;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use segue_jobs::notices::{NoticeSettings, NoticeStats, Notifier, NotifierThread, Settings};
use segue_mailbox::{Keeping, Kind, MediaState, Message};
use segue_policy::{Channel, Notify, Subscriber};
use segue_records::Happening;
use segue_store::{Delivery, DeliveryState, Deposit, MediaSource, Store, WhichDeliveries};

/// A store with mailboxes, and a notifier on it.
struct Office {
    dir: tempfile::TempDir,
    store: Store,
    stats: NoticeStats,
    told: Arc<Mutex<Vec<&'static str>>>,
}

impl Office {
    fn new() -> Office {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_server(&dir.path().join("data")).unwrap();
        Office {
            dir,
            store,
            stats: NoticeStats::default(),
            told: Arc::default(),
        }
    }

    fn add(&self, user: &str, notify: Notify) {
        let new = Subscriber {
            user: user.to_owned(),
            targets: vec![format!("sip:{user}@127.0.0.1")],
            notify,
            ..Subscriber::default()
        };
        self.store.add_subscriber(new).unwrap();
    }

    fn leave(&self, id: &str, mailbox: &str, media: &[u8]) {
        let message = Message {
            id: id.to_owned(),
            mailbox: mailbox.to_owned(),
            call_id: "01CALL".to_owned(),
            sip_call_id: format!("{id}@a"),
            from: "sip:ann@example.org".to_owned(),
            from_name: Some("Ann <b>Größe</b>".to_owned()),
            received_at_ms: 1_767_225_600_000,
            heard_at_ms: None,
            duration_ms: 42_000,
            kind: Kind::Video,
            media_state: MediaState::Ready,
            bytes: 0,
            interrupted: false,
            urgent: false,
            keeping: Keeping::default(),
        };
        let deposit = Deposit {
            message,
            media: MediaSource::Bytes(media.to_vec()),
            media_type: "video/mp4".to_owned(),
            poster: Some(vec![0xff, 0xd8, 0xff, 0xe0]),
        };
        self.store.deposit(deposit).unwrap();
    }

    fn start(&self, settings: Settings) -> NotifierThread {
        let told = Arc::clone(&self.told);
        let told = Box::new(move |what: Happening| told.lock().unwrap().push(what.name()));
        let settings = NoticeSettings::new(settings);
        let notifier = Notifier::new(self.store.clone(), settings, None, &self.stats, told);
        notifier.start().unwrap()
    }

    fn of(&self, user: &str) -> Vec<Delivery> {
        let which = WhichDeliveries {
            recipient: Some(user.to_owned()),
            state: None,
        };
        self.store.deliveries(&which, 100, now_ms()).unwrap()
    }

    /// The first notice of a user, once it is in this state.
    #[track_caller]
    fn comes_to(&self, user: &str, state: DeliveryState) -> Delivery {
        self.until(user, |one| one.state == state)
    }

    #[track_caller]
    fn until(&self, user: &str, is_so: impl Fn(&Delivery) -> bool) -> Delivery {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.of(user).into_iter().next().unwrap();
            if is_so(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "{found:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn by(channel: Channel) -> Notify {
    Notify {
        by: vec![channel],
        ..Notify::default()
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as i64
}
