//! PINs: who tries too often in vain waits, across calls and restarts, and longer each time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use segue_policy::Subscriber;
use segue_store::{PinGate, PinState, Store, StoreError};

fn store(dir: &tempfile::TempDir) -> Store {
    let store = Store::open(dir.path()).unwrap();
    let bob = Subscriber {
        user: "bob".to_owned(),
        ..Subscriber::default()
    };
    store.put_subscriber(bob).unwrap();
    store
}

/// When a wrong try at this moment locks until, if it may be made at all.
fn wrong(store: &Store, now_ms: i64) -> Result<Option<i64>, i64> {
    match store.try_pin("bob", now_ms).unwrap() {
        PinGate::Open { locks_until_ms, sealed } => {
            assert_eq!(sealed, b"hash");
            Ok(locks_until_ms)
        }
        PinGate::Locked { until_ms } => Err(until_ms),
        PinGate::None => panic!("there is a PIN"),
    }
}

#[test]
fn wrong_tries_lock_for_longer_and_longer_until_a_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let at = store(&dir);
    assert_eq!(at.try_pin("bob", 0), Ok(PinGate::None));
    at.set_pin("bob", Some(b"hash".to_vec())).unwrap();
    let first: Vec<_> = (0..5).map(|now| wrong(&at, now)).collect();
    assert_eq!(first, [Ok(None), Ok(None), Ok(None), Ok(None), Ok(Some(60_004))]);
    assert_eq!(wrong(&at, 60_003), Err(60_004), "not even a right one is looked at");
    drop(at);
    // Across a restart.
    let at = store(&dir);
    assert_eq!(wrong(&at, 60_003), Err(60_004));
    assert_eq!(wrong(&at, 60_004), Ok(Some(180_004)));
    assert_eq!(
        at.pin("bob"),
        Ok(Some(PinState {
            wrong: 6,
            locked_until_ms: 180_004
        }))
    );
    // A right one, in time.
    assert_eq!(wrong(&at, 180_004), Ok(Some(420_004)));
    at.pin_was_right("bob", b"another").unwrap();
    assert_eq!(wrong(&at, 180_005), Err(420_004), "that is another's, or an old one");
    at.pin_was_right("bob", b"hash").unwrap();
    assert_eq!(wrong(&at, 180_006), Ok(None));
}

#[test]
fn tries_at_once_are_no_way_around_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let at = store(&dir);
    at.set_pin("bob", Some(b"hash".to_vec())).unwrap();
    let all = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..32).map(|_| scope.spawn(|| wrong(&at, 7).is_ok())).collect();
        tries.into_iter().map(|tried| tried.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(all.into_iter().filter(|let_in| *let_in).count(), 5);
}

#[test]
fn an_operator_unlocks_and_a_new_pin_does_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = store(&dir);
    assert!(matches!(at.unlock_pin("eve", 0), Err(StoreError::NotFound { .. })));
    assert!(matches!(at.unlock_pin("bob", 0), Err(StoreError::NotFound { .. })));
    assert!(matches!(at.set_pin("eve", None), Err(StoreError::NotFound { .. })));
    at.set_pin("bob", Some(b"hash".to_vec())).unwrap();
    let lock = || {
        for _ in 0..5 {
            let _ = wrong(&at, 1_000);
        }
    };
    lock();
    assert_eq!(at.unlock_pin("bob", 2_000), Ok(true));
    assert_eq!(at.unlock_pin("bob", 2_000), Ok(false));
    assert_eq!(wrong(&at, 2_000), Ok(None));
    lock();
    at.set_pin("bob", Some(b"hash".to_vec())).unwrap();
    assert_eq!(wrong(&at, 2_000), Ok(None));
    // Nothing else that is set of a subscriber touches it; with the subscriber it goes.
    at.change_subscriber("bob", |bob| bob.dnd = true).unwrap();
    assert!(at.pin("bob").unwrap().is_some());
    at.remove_subscriber("bob").unwrap();
    assert_eq!(at.pin("bob"), Ok(None));
}
