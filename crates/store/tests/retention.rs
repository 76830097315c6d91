//! The number of heard messages is never seen above the threshold; unheard ones are never touched by it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::collections::BTreeMap;

use fixture::{deposit, subscriber};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use segue_mailbox::Retention;
use segue_store::{MarkOutcome, Store, StoreError};

fn at_most(n: u32) -> Retention {
    Retention { heard_max: Some(n) }
}

fn mailbox_of(n: u32) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put_subscriber(subscriber("bob")).unwrap();
    for i in 0..n {
        store.deposit(deposit(&format!("m{i}"), "bob", b"media")).unwrap();
    }
    (dir, store)
}

fn ids(store: &Store) -> Vec<String> {
    store.messages("bob").unwrap().into_iter().map(|m| m.id).collect()
}

#[test]
fn marking_one_heard_past_the_threshold_takes_the_oldest_heard() {
    let (_dir, store) = mailbox_of(5);
    store.set_retention("bob", at_most(2)).unwrap();
    assert!(store.mark_heard("m3", 10).unwrap().evicted.is_empty());
    assert!(store.mark_heard("m1", 20).unwrap().evicted.is_empty());
    assert_eq!(store.mark_heard("m4", 30).unwrap().evicted, ["m3"]);
    assert_eq!(ids(&store), ["m0", "m1", "m2", "m4"]);
}

#[test]
fn a_lower_threshold_acts_at_once() {
    let (_dir, store) = mailbox_of(4);
    for (i, id) in ["m2", "m0", "m3"].iter().enumerate() {
        store.mark_heard(id, i as i64).unwrap();
    }
    assert_eq!(store.set_retention("bob", at_most(1)).unwrap(), ["m2", "m0"]);
    assert_eq!(ids(&store), ["m1", "m3"]);
    assert_eq!(store.retention("bob").unwrap(), at_most(1));
}

#[test]
fn unheard_ones_stay_however_many() {
    let (_dir, store) = mailbox_of(20);
    assert!(store.set_retention("bob", at_most(0)).unwrap().is_empty());
    assert_eq!(ids(&store).len(), 20);
    assert_eq!(store.mark_heard("m7", 1).unwrap().evicted, ["m7"]);
    assert_eq!(ids(&store).len(), 19);
}

#[test]
fn one_marked_unheard_again_no_longer_counts() {
    let (_dir, store) = mailbox_of(3);
    store.set_retention("bob", at_most(1)).unwrap();
    store.mark_heard("m0", 1).unwrap();
    assert!(store.mark_unheard("m0").unwrap().changed);
    assert!(!store.mark_unheard("m0").unwrap().changed);
    assert!(store.mark_heard("m1", 2).unwrap().evicted.is_empty());
    assert_eq!(ids(&store).len(), 3);
}

#[test]
fn another_mailbox_is_not_touched() {
    let (_dir, store) = mailbox_of(2);
    store.put_subscriber(subscriber("eve")).unwrap();
    store.deposit(deposit("e0", "eve", b"x")).unwrap();
    store.mark_heard("e0", 1).unwrap();
    store.set_retention("bob", at_most(0)).unwrap();
    store.mark_heard("m0", 2).unwrap();
    assert_eq!(store.messages("eve").unwrap().len(), 1);
}

#[test]
fn two_readers_mark_one_message_and_one_of_them_does_it() {
    let (dir, store) = mailbox_of(1);
    let other = Store::open(dir.path()).unwrap();
    for round in 0..20_i64 {
        let outcomes: Vec<MarkOutcome> = std::thread::scope(|scope| {
            let marks = [&store, &other].map(|reader| scope.spawn(move || reader.mark_heard("m0", round).unwrap()));
            marks.into_iter().map(|m| m.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|o| o.changed).count(), 1, "round {round}");
        assert!(store.mark_unheard("m0").unwrap().changed);
    }
}

#[test]
fn an_unknown_subscriber_has_no_rules() {
    let (_dir, store) = mailbox_of(0);
    assert!(matches!(
        store.retention("eve"),
        Err(StoreError::NotFound { what: "subscriber", .. })
    ));
    assert!(matches!(
        store.set_retention("eve", at_most(1)),
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(
        store.mark_heard("m9", 1),
        Err(StoreError::NotFound { what: "message", .. })
    ));
}

/// The rules in their plainest form, beside which the store is run.
#[derive(Default)]
struct Reference {
    /// id -> (mailbox, heard_at)
    messages: BTreeMap<String, (String, Option<i64>)>,
    heard_max: BTreeMap<String, u32>,
}

impl Reference {
    fn enforce(&mut self, mailbox: &str) {
        let Some(&max) = self.heard_max.get(mailbox) else {
            return;
        };
        loop {
            let heard: Vec<(i64, String)> = self
                .messages
                .iter()
                .filter(|(_, (m, _))| m == mailbox)
                .filter_map(|(id, (_, at))| at.map(|at| (at, id.clone())))
                .collect();
            if heard.len() <= max as usize {
                return;
            }
            self.messages.remove(&heard.iter().min().unwrap().1);
        }
    }
}

#[test]
fn any_order_of_doings_ends_as_the_plain_rules_say() {
    for seed in 0..12 {
        let mut rng = StdRng::seed_from_u64(seed);
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut reference = Reference::default();
        for user in ["a", "b"] {
            store.put_subscriber(subscriber(user)).unwrap();
        }
        for step in 0..120_i64 {
            let mailbox = if rng.random_bool(0.7) { "a" } else { "b" };
            let known: Vec<String> = reference.messages.keys().cloned().collect();
            let some_id = (!known.is_empty()).then(|| known[rng.random_range(0..known.len())].clone());
            match (rng.random_range(0..10), some_id) {
                (0..=2, _) | (_, None) => {
                    let id = format!("{:06}", rng.random_range(0..1_000_000));
                    if let std::collections::btree_map::Entry::Vacant(place) = reference.messages.entry(id.clone()) {
                        store.deposit(deposit(&id, mailbox, b"media")).unwrap();
                        place.insert((mailbox.to_owned(), None));
                    }
                }
                (3..=6, Some(id)) => {
                    // Marks of the same millisecond are wanted: the id decides then.
                    let at = step / 3;
                    let changed = store.mark_heard(&id, at).unwrap().changed;
                    let (owner, heard_at) = reference.messages.get_mut(&id).unwrap();
                    assert_eq!(changed, heard_at.is_none());
                    heard_at.get_or_insert(at);
                    let owner = owner.clone();
                    reference.enforce(&owner);
                }
                (7, Some(id)) => {
                    store.mark_unheard(&id).unwrap();
                    reference.messages.get_mut(&id).unwrap().1 = None;
                }
                (8, Some(id)) => {
                    store.delete_message(&id).unwrap();
                    reference.messages.remove(&id);
                }
                (_, Some(_)) => {
                    let max = rng.random_range(0..5);
                    store.set_retention(mailbox, at_most(max)).unwrap();
                    reference.heard_max.insert(mailbox.to_owned(), max);
                    reference.enforce(mailbox);
                }
            }
            for user in ["a", "b"] {
                let got: Vec<(String, Option<i64>)> = store
                    .messages(user)
                    .unwrap()
                    .into_iter()
                    .map(|m| (m.id, m.heard_at_ms))
                    .collect();
                let expected: Vec<(String, Option<i64>)> = reference
                    .messages
                    .iter()
                    .filter(|(_, (m, _))| m == user)
                    .map(|(id, (_, at))| (id.clone(), *at))
                    .collect();
                assert_eq!(got, expected, "seed {seed}, step {step}, mailbox {user}");
            }
        }
    }
}
