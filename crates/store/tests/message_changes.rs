//! What is changed of a message at once: what was played of it, heard, pinned.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod fixture;

use fixture::{deposit, open, subscriber};
use segue_mailbox::{Limit, Played};
use segue_store::{Deed, MessageChanges, Role, Store, StoreError};

/// Ten seconds of bob's.
fn leave(store: &Store, id: &str) {
    let mut new = deposit(id, "bob", b"x");
    new.message.duration_ms = 10_000;
    store.deposit(new).unwrap();
}

fn heard_after(store: &Store, id: &str, parts: &[(u64, u64)]) -> bool {
    let changes = MessageChanges {
        played: parts.to_vec(),
        ..MessageChanges::default()
    };
    let row = store.change_message(id, 5, changes, |_| true).unwrap();
    row.message.heard_at_ms.is_some()
}

#[test]
fn half_today_and_half_tomorrow_is_heard_and_the_end_alone_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    leave(&store, "01A");
    assert!(!heard_after(&store, "01A", &[(9_000, 10_000)]));
    assert!(
        !heard_after(&store, "01A", &[(20_000, 90_000), (9_500, u64::MAX)]),
        "nothing is there"
    );
    assert!(!heard_after(&store, "01A", &[(9_000, 10_000), (0, 4_000)]));
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.played("01A").unwrap().parts(), [(0, 4_000), (9_000, 10_000)]);
    assert!(!heard_after(&store, "01A", &[(6_001, 9_500)]));
    assert!(heard_after(&store, "01A", &[(6_000, 6_500)]));
    // Who marks it new hears it anew.
    store.mark_unheard("01A", 6).unwrap();
    assert_eq!(store.played("01A").unwrap(), Played::default());
    assert!(!heard_after(&store, "01A", &[(0, 7_000)]));
    store.free_message("01A").unwrap();
    assert_eq!(store.played("01A").unwrap(), Played::default());
}

#[test]
fn few_parts_are_kept_of_many() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    leave(&store, "01A");
    let parts: Vec<(u64, u64)> = (0..199).map(|n| (n * 50, n * 50 + 1)).collect();
    assert!(!heard_after(&store, "01A", &parts));
    assert_eq!(store.played("01A").unwrap().parts().len(), Played::PARTS_MAX);
}

#[test]
fn what_is_not_as_it_was_seen_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    leave(&store, "01A");
    let changes = MessageChanges {
        played: vec![(0, 9_000)],
        pinned: Some(true),
        ..MessageChanges::default()
    };
    assert_eq!(
        store.change_message("01A", 5, changes, |row| row.message.heard_at_ms.is_some()),
        Err(StoreError::Changed)
    );
    let message = store.message("01A").unwrap();
    assert!(message.heard_at_ms.is_none() && !message.keeping.pinned);
    assert_eq!(store.played("01A").unwrap(), Played::default());
}

#[test]
fn each_thing_that_changed_is_put_down_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    leave(&store, "01A");
    let bob = store.acting(Deed {
        name: "bob".to_owned(),
        by: "session".to_owned(),
        role: Role::Subscriber,
        source: String::new(),
        what: "message.change".to_owned(),
        object: "01A".to_owned(),
        owner: Some("bob".to_owned()),
        detail: String::new(),
    });
    let changes = |heard, pinned| MessageChanges {
        played_ms: Some(3),
        heard,
        pinned,
        ..MessageChanges::default()
    };
    for changes in [
        changes(None, None),
        changes(Some(true), Some(true)),
        changes(Some(true), Some(false)),
    ] {
        bob.change_message("01A", 5, changes, |_| true).unwrap();
    }
    let did: Vec<String> = store
        .audit(None, None, 10)
        .unwrap()
        .into_iter()
        .map(|done| done.deed.what)
        .collect();
    assert_eq!(did, ["message.unpin", "message.heard", "message.pin"]);
}

#[test]
fn the_rules_act_with_the_change_and_what_they_free_is_said_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_subscriber(subscriber("bob")).unwrap();
    store
        .set_retention("bob", 0, |own| {
            own.heard_max = Limit::At(0);
            own.trash_ms = Some(0);
        })
        .unwrap();
    leave(&store, "01A");
    leave(&store, "01B");
    let pinned = MessageChanges {
        heard: Some(true),
        pinned: Some(true),
        ..MessageChanges::default()
    };
    store.change_message("01B", 5, pinned, |_| true).unwrap();
    assert!(heard_after(&store, "01A", &[(0, 8_000)]), "it was heard, and is gone");
    assert!(matches!(store.message("01A"), Err(StoreError::NotFound { .. })));
    assert!(store.message("01B").unwrap().keeping.pinned);
}
