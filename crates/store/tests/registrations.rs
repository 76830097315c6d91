//! Registrations, what passwords are checked by, and how the server learns what a command did.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use segue_policy::{AccountCaps, Subscriber, Zone};
use segue_records::{RegistrationRecord, UnixMs};
use segue_store::{Removal, Spent, Store, StoreError};

fn registration(user: &str, contact: &str, expires_at: i64) -> RegistrationRecord {
    RegistrationRecord {
        user: user.to_owned(),
        contact: contact.to_owned(),
        q: 500,
        expires_at: UnixMs(expires_at),
        sip_call_id: "c".to_owned(),
        cseq: 7,
        instance: Some("\"<urn:uuid:1>\"".to_owned()),
        reg_id: Some(1),
        path: vec!["<sip:a;lr>".to_owned(), "<sip:b;lr>".to_owned()],
        user_agent: None,
        transport: "tls".to_owned(),
        local: "192.0.2.1:5061".to_owned(),
        source: "[2001:db8::7]:40000".to_owned(),
        by_source: true,
    }
}

fn subscriber(user: &str, numbers: &[&str]) -> Subscriber {
    Subscriber {
        user: user.to_owned(),
        numbers: numbers.iter().map(|number| (*number).to_owned()).collect(),
        ..Subscriber::default()
    }
}

#[test]
fn what_is_saved_of_a_subscriber_stands_for_all_before_and_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (old, a, b) = (
        registration("bob", "sip:o@h", 900),
        registration("bob", "sip:a@h", 900),
        registration("bob", "sip:b@h", 50),
    );
    store.save_registrations(vec![("bob".to_owned(), vec![old])]).unwrap();
    let eve = registration("eve", "sip:e@h", 900);
    let all = vec![
        ("bob".to_owned(), vec![a.clone(), b]),
        ("eve".to_owned(), vec![eve.clone()]),
    ];
    store.save_registrations(all).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(
        store.registrations(None, UnixMs(100)).unwrap(),
        [a.clone(), eve],
        "those that last"
    );
    assert_eq!(store.registrations(Some("bob"), UnixMs(0)).unwrap().len(), 2);
    let removal = |contact: Option<&str>| Removal {
        user: "bob".to_owned(),
        contact: contact.map(str::to_owned),
    };
    assert_eq!(store.remove_registrations(removal(Some("sip:a@h"))), Ok(1));
    assert_eq!(store.remove_registrations(removal(None)), Ok(1));
    let told = store.take_removals().unwrap();
    assert_eq!(told, [removal(Some("sip:a@h")), removal(None)]);
    assert_eq!(store.take_removals(), Ok(Vec::new()), "each once");
}

#[test]
fn the_directory_says_who_is_a_subscriber_and_when_that_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut last = store.directory_version().unwrap();
    let mut changed = |store: &Store| {
        let version = store.directory_version().unwrap();
        std::mem::replace(&mut last, version) != version
    };
    store.add_subscriber(subscriber("bob", &["+4930123"])).unwrap();
    assert!(changed(&store));
    store.add_subscriber(subscriber("ann", &[])).unwrap();
    assert!(changed(&store) && !changed(&store));
    let sealed = |text: &str| vec![("office".to_owned(), text.as_bytes().to_vec())];
    store.set_secrets("bob", sealed("one")).unwrap();
    store.set_secrets("bob", sealed("two")).unwrap();
    assert!(changed(&store));
    assert_eq!(store.realms_of("bob").unwrap(), ["office"]);
    assert!(matches!(
        store.set_secrets("joe", sealed("x")),
        Err(StoreError::NotFound { .. })
    ));
    let listed = store.directory().unwrap().subscribers;
    let names: Vec<&str> = listed.iter().map(|listed| listed.user.as_str()).collect();
    assert_eq!(names, ["ann", "bob"]);
    assert_eq!(
        (&listed[1].numbers[..], &listed[1].secrets),
        (&["+4930123".to_owned()][..], &sealed("two"))
    );
    // Who is no subscriber any more is nowhere, and has no password.
    store
        .save_registrations(vec![("bob".to_owned(), vec![registration("bob", "sip:a@h", 900)])])
        .unwrap();
    store.remove_subscriber("bob").unwrap();
    assert!(changed(&store));
    assert_eq!(store.registrations(None, UnixMs(0)), Ok(Vec::new()));
    assert_eq!(store.take_removals().unwrap()[0].user, "bob");
    assert_eq!(store.realms_of("bob"), Ok(Vec::new()));
}

#[test]
fn how_much_a_subscriber_may_call_and_has_called_is_kept_and_the_server_learns_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.add_subscriber(subscriber("bob", &[])).unwrap();
    let before = store.directory().unwrap();
    assert_eq!(before.subscribers[0].caps, AccountCaps::default());
    let caps = AccountCaps {
        calls_at_once: Some(0),
        calls_per_minute: None,
        minutes_per_day: Some(90),
        busy_at: Some(2),
    };
    store.change_subscriber("bob", move |bob| bob.caps = caps).unwrap();
    let after = store.directory().unwrap();
    assert_eq!(
        (after.subscribers[0].caps, store.subscriber("bob").unwrap().caps),
        (caps, caps)
    );
    assert_ne!(after.version, before.version);
    let berlin = Zone::try_from("Europe/Berlin".to_owned()).unwrap();
    let zone = berlin.clone();
    store.change_subscriber("bob", move |bob| bob.zone = zone).unwrap();
    let moved = store.directory().unwrap();
    assert_eq!(moved.subscribers[0].zone, berlin);
    assert_ne!(moved.version, after.version);
    // What the registrar does not ask for is no news.
    store.change_subscriber("bob", |bob| bob.dnd = true).unwrap();
    assert_eq!(store.directory_version().unwrap(), moved.version);

    let alias = "sip:robert@example.org".to_owned();
    store
        .change_subscriber("bob", move |bob| bob.aliases = vec![alias])
        .unwrap();
    let known = store.directory().unwrap();
    assert_eq!(known.subscribers[0].aliases, ["sip:robert@example.org"]);
    assert_ne!(known.version, moved.version);

    let spent = |day: &str, ms| Spent {
        account: "bob".to_owned(),
        day: day.to_owned(),
        ms,
    };
    store.save_spent(vec![spent("2026-11-27", 5)]).unwrap();
    store.save_spent(vec![spent("2026-11-28", 7)]).unwrap();
    drop(store);
    let again = Store::open(dir.path()).unwrap();
    assert_eq!(again.spent().unwrap(), [spent("2026-11-28", 7)]);
}
