//! Age rules run by themselves, and not while the wall clock cannot be trusted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use segue_jobs::{Clocks, Keeper, Turn};
use segue_mailbox::{Keeping, Kind, MediaState, Message, Retention};
use segue_store::{Deposit, MediaSource, RunReport, Store};

const DAY: i64 = 24 * 60 * 60 * 1000;
const MINUTE: u64 = 60_000;
const RECEIVED: i64 = 1_700_000_000_000;

/// A mailbox with one message that was heard when it came; it goes an hour after.
fn mailbox() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_server(dir.path()).unwrap();
    store.set_retention_defaults(Retention {
        heard_age_ms: Some(60 * MINUTE),
        ..Retention::default()
    });
    let message = Message {
        id: "01A".to_owned(),
        mailbox: "bob".to_owned(),
        call_id: String::new(),
        sip_call_id: String::new(),
        from: "sip:a@127.0.0.1".to_owned(),
        from_name: None,
        received_at_ms: RECEIVED,
        heard_at_ms: None,
        duration_ms: 1_000,
        kind: Kind::Audio,
        media_state: MediaState::Ready,
        bytes: 0,
        interrupted: false,
        urgent: false,
        keeping: Keeping::default(),
    };
    let deposit = Deposit {
        message,
        media: MediaSource::Bytes(b"media".to_vec()),
        media_type: "audio/mp4".to_owned(),
        poster: None,
    };
    store.deposit(deposit).unwrap();
    store.mark_heard("01A", RECEIVED).unwrap();
    (dir, store)
}

fn went(turn: &Turn) -> Vec<String> {
    match turn {
        Turn::Paused => panic!("paused"),
        Turn::Ran(RunReport { evicted, .. }) => evicted.clone(),
    }
}

#[test]
fn a_message_goes_in_the_minute_in_which_its_age_comes() {
    let (_dir, store) = mailbox();
    let mut keeper = Keeper::new(store.clone());
    let mut turn = |minute: u64| {
        let now = Clocks {
            mono_ms: minute * MINUTE,
            wall_ms: RECEIVED + (minute * MINUTE) as i64,
        };
        keeper.turn(now).unwrap()
    };
    assert_eq!(
        (turn(0), turn(1)),
        (Turn::Paused, Turn::Paused),
        "the clocks have not agreed for long enough"
    );
    for minute in 2..60 {
        assert!(went(&turn(minute)).is_empty(), "minute {minute}");
    }
    assert_eq!(went(&turn(60)), ["01A"]);
    assert_eq!(store.retention_audit("bob").unwrap()[0].found, 60 * MINUTE);
}

#[test]
fn a_clock_that_jumps_ahead_deletes_nothing_until_it_is_set_back_and_agrees_again() {
    let (_dir, store) = mailbox();
    let mut keeper = Keeper::new(store.clone());
    let mut turn = |minute: u64, ahead: i64| {
        let now = Clocks {
            mono_ms: minute * MINUTE,
            wall_ms: RECEIVED + (minute * MINUTE) as i64 + ahead,
        };
        keeper.turn(now).unwrap()
    };
    for minute in 0..5 {
        turn(minute, 0);
    }
    for minute in 5..30 {
        assert_eq!(turn(minute, 400 * DAY), Turn::Paused, "minute {minute}");
    }
    for minute in 30..32 {
        assert_eq!(turn(minute, 0), Turn::Paused, "minute {minute}");
    }
    assert!(went(&turn(32, 0)).is_empty());
    assert_eq!(store.messages("bob").unwrap().len(), 1);
    // Nor does the server's own restart with a clock that is wrong and then set right.
    let mut keeper = Keeper::new(store.clone());
    let at = |mono_ms: u64, wall_ms: i64| Clocks { mono_ms, wall_ms };
    assert_eq!(keeper.turn(at(0, RECEIVED + 900 * DAY)).unwrap(), Turn::Paused);
    assert_eq!(keeper.turn(at(MINUTE, RECEIVED)).unwrap(), Turn::Paused);
    assert_eq!(
        keeper.turn(at(2 * MINUTE, RECEIVED + MINUTE as i64)).unwrap(),
        Turn::Paused
    );
    assert_eq!(store.messages("bob").unwrap().len(), 1);
}

#[test]
fn the_thread_runs_the_rules_until_it_is_dropped() {
    let (_dir, store) = mailbox();
    let minutes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&minutes);
    let thread = Keeper::new(store.clone())
        .start(Duration::from_millis(2), move || {
            let minute = counted.fetch_add(1, Ordering::SeqCst);
            Clocks {
                mono_ms: minute * MINUTE,
                wall_ms: RECEIVED + (minute * MINUTE) as i64,
            }
        })
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !store.messages("bob").unwrap().is_empty() {
        assert!(Instant::now() < deadline, "minute {}", minutes.load(Ordering::SeqCst));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(minutes.load(Ordering::SeqCst) > 60);
    drop(thread);
    let ended = minutes.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(minutes.load(Ordering::SeqCst), ended);
}
