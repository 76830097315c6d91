//! How many messages wait, from committed state.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use fixture::{deposit, open, raw};
use segue_mailbox::{Count, Kind, Waiting};

#[test]
fn unheard_heard_and_urgent_ones_count_and_the_trash_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.waiting("bob").unwrap(), Waiting::default());
    for id in ["1", "2", "3", "4"] {
        store.deposit(deposit(id, "bob", b"media")).unwrap();
    }
    let mut voice = deposit("5", "bob", b"media");
    voice.message.kind = Kind::Audio;
    store.deposit(voice).unwrap();
    store.deposit(deposit("6", "eve", b"media")).unwrap();
    raw(dir.path())
        .execute("UPDATE message SET urgent = 1 WHERE id IN ('1', '2')", [])
        .unwrap();
    store.mark_heard("2", 5).unwrap();
    store.delete_message("3", 6).unwrap();
    let video = Count {
        new: 2,
        old: 1,
        urgent_new: 1,
        urgent_old: 1,
    };
    let voice = Count {
        new: 1,
        ..Count::default()
    };
    assert_eq!(store.waiting("bob").unwrap(), Waiting { voice, video });
    store.undelete_message("3", false, 7).unwrap();
    store.mark_unheard("2", 8).unwrap();
    let video = Count {
        new: 4,
        urgent_new: 2,
        ..Count::default()
    };
    assert_eq!(store.waiting("bob").unwrap(), Waiting { voice, video });
}
