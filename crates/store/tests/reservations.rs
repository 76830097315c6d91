//! A place is held before the beep: two who ask at once never get the last one both, and none is lost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::time::{Duration, Instant};

use fixture::{deposit, open, subscriber};
use segue_mailbox::{Ask, Grant, Limit, OwnRules, Rule};
use segue_store::{Reserve, Store};

fn mailbox(change: impl FnOnce(&mut OwnRules) + Send + 'static) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_subscriber(subscriber("bob")).unwrap();
    store.set_retention("bob", 0, change).unwrap();
    (dir, store)
}

fn for_message(id: &str) -> Reserve {
    Reserve {
        message_id: id.to_owned(),
        mailbox: "bob".to_owned(),
        from: "sip:a@127.0.0.1".to_owned(),
        ask: Ask {
            longest_ms: 60_000,
            least_ms: 5_000,
            bytes_per_s: 1_000,
        },
    }
}

fn reserve(store: &Store, id: &str) -> Result<Grant, Rule> {
    store.reserve(&for_message(id), Instant::now()).unwrap()
}

#[test]
fn many_callers_at_once_never_get_more_places_than_there_are() {
    let (_dir, store) = mailbox(|own| own.unheard_max = Limit::At(3));
    store.deposit(deposit("m0", "bob", b"x")).unwrap();
    for round in 0..20 {
        let got: usize = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|n| {
                    let store = &store;
                    scope.spawn(move || reserve(store, &format!("r{round}-{n}")).is_ok())
                })
                .collect();
            asking.into_iter().map(|t| usize::from(t.join().unwrap())).sum()
        });
        assert_eq!((got, store.reservations()), (2, 2));
        for n in 0..8 {
            store.release("bob", &format!("r{round}-{n}"));
        }
        assert_eq!(store.reservations(), 0);
    }
}

#[test]
fn callers_who_reserve_and_deposit_at_once_never_pass_the_limit() {
    let (_dir, store) = mailbox(|own| own.unheard_max = Limit::At(10));
    std::thread::scope(|scope| {
        for n in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..6 {
                    let id = format!("{n}-{i}");
                    if reserve(store, &id).is_ok() {
                        if i % 3 == 2 {
                            store.release("bob", &id);
                        } else {
                            store.deposit(deposit(&id, "bob", b"x")).unwrap();
                        }
                    }
                    assert!(store.messages("bob").unwrap().len() <= 10);
                }
            });
        }
    });
    assert_eq!(store.messages("bob").unwrap().len(), 10);
    assert_eq!(store.reservations(), 0, "each was deposited or released");
}

#[test]
fn a_deposit_turns_its_place_into_a_message_and_a_hearing_makes_room() {
    let (_dir, store) = mailbox(|own| own.unheard_max = Limit::At(1));
    assert!(reserve(&store, "m0").is_ok());
    assert!(reserve(&store, "m0").is_ok(), "the same message asks again");
    assert_eq!(reserve(&store, "m1"), Err(Rule::UnheardMax));
    store.deposit(deposit("m0", "bob", b"x")).unwrap();
    assert_eq!(store.reservations(), 0);
    assert_eq!(reserve(&store, "m1"), Err(Rule::UnheardMax));
    store.mark_heard("m0", 1).unwrap();
    assert!(reserve(&store, "m1").is_ok());
}

#[test]
fn raising_or_lowering_the_limit_counts_with_the_next_caller() {
    let (_dir, store) = mailbox(|own| own.unheard_max = Limit::At(1));
    store.deposit(deposit("m0", "bob", b"x")).unwrap();
    assert_eq!(reserve(&store, "m1"), Err(Rule::UnheardMax));
    store
        .set_retention("bob", 0, |own| own.unheard_max = Limit::At(2))
        .unwrap();
    assert!(reserve(&store, "m1").is_ok());
    store
        .set_retention("bob", 0, |own| own.unheard_max = Limit::At(1))
        .unwrap();
    assert_eq!(reserve(&store, "m2"), Err(Rule::UnheardMax));
    assert_eq!(store.messages("bob").unwrap().len(), 1, "it deletes nothing");
}

#[test]
fn bytes_and_seconds_held_are_not_given_twice() {
    let (_dir, store) = mailbox(|own| own.max_seconds = Limit::At(70));
    assert_eq!(reserve(&store, "m0").map(|grant| grant.longest_ms), Ok(60_000));
    assert_eq!(
        reserve(&store, "m1").map(|grant| grant.longest_ms),
        Ok(10_000),
        "what is left"
    );
    assert_eq!(reserve(&store, "m2"), Err(Rule::MaxSeconds));
    store.release("bob", "m0");
    assert_eq!(reserve(&store, "m2").map(|grant| grant.longest_ms), Ok(60_000));
}

#[test]
fn a_call_that_never_says_how_it_ended_loses_its_place_after_a_while() {
    let (dir, store) = mailbox(|own| own.unheard_max = Limit::At(1));
    let start = Instant::now();
    store.reserve(&for_message("m0"), start).unwrap().unwrap();
    let later = |minutes: u64| start + Duration::from_secs(60 * minutes);
    assert!(store.reserve(&for_message("m1"), later(30)).unwrap().is_err());
    assert!(store.reserve(&for_message("m1"), later(32)).unwrap().is_ok());
    drop(store);
    assert_eq!(open(dir.path()).reservations(), 0, "places end with the server");
}
