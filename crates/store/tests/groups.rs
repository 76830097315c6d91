//! A message for a group: a row for each member with a state of its own, media that goes with the last.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod fixture;

use std::collections::{BTreeMap, BTreeSet};

use fixture::{deposit, exported, open, raw, subscriber};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use segue_mailbox::{Limit, MediaState};
use segue_store::{Deposited, Group, MediaSource, Store, StoreError};

const MEMBERS: [&str; 3] = ["ann", "bob", "kim"];

fn sales(dir: &std::path::Path) -> Store {
    let store = open(dir);
    for user in ["sales", "ann", "bob", "kim"] {
        store.add_subscriber(subscriber(user)).unwrap();
    }
    for member in MEMBERS {
        assert!(store.add_member("sales", member).unwrap());
    }
    store
}

fn blobs(dir: &std::path::Path) -> i64 {
    let db = raw(dir);
    db.query_row("SELECT count(*) FROM blob", [], |row| row.get(0)).unwrap()
}

fn ids(store: &Store, mailbox: &str) -> Vec<String> {
    store
        .messages(mailbox)
        .unwrap()
        .into_iter()
        .map(|message| message.id)
        .collect()
}

#[test]
fn members_are_subscribers_and_no_groups() {
    let dir = tempfile::tempdir().unwrap();
    let store = sales(dir.path());
    assert!(!store.add_member("sales", "ann").unwrap());
    let all = Group {
        name: "sales".to_owned(),
        members: MEMBERS.map(str::to_owned).to_vec(),
    };
    assert_eq!(store.groups().unwrap(), [all]);
    store.add_subscriber(subscriber("other")).unwrap();
    for (group, member) in [("sales", "sales"), ("other", "sales"), ("ann", "other")] {
        let refused = store.add_member(group, member);
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{group} {member}");
    }
    for (group, member) in [("sales", "nobody"), ("nobody", "ann")] {
        let missing = store.add_member(group, member);
        assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{group} {member}");
    }
    store.remove_member("sales", "ann").unwrap();
    assert!(store.remove_member("sales", "ann").is_err());
    store.remove_subscriber("bob").unwrap();
    assert_eq!(store.groups().unwrap()[0].members, ["kim"]);
}

#[test]
fn each_member_has_a_state_of_its_own_and_the_media_goes_with_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let store = sales(dir.path());
    assert_eq!(store.deposit(deposit("01A", "sales", b"media")), Ok(Deposited::New));
    assert_eq!(store.deposit(deposit("01A", "sales", b"media")), Ok(Deposited::Already));
    assert_eq!(ids(&store, "sales"), [""; 0]);
    assert_eq!(ids(&store, "ann"), ["01A"]);
    assert_eq!(ids(&store, "kim"), ["01A-3"]);
    assert_eq!(blobs(dir.path()), 1);
    store.mark_heard("01A", 5).unwrap();
    store.pin_message("01A-2", true, 6).unwrap();
    let others = store.shared_with("01A").unwrap();
    let state = |at: usize| {
        (
            others[at].mailbox.as_str(),
            others[at].heard_at_ms,
            others[at].keeping.pinned,
        )
    };
    assert_eq!(
        (others.len(), state(0), state(1)),
        (2, ("bob", None, true), ("kim", None, false))
    );
    assert_eq!(
        (
            store.waiting("ann").unwrap().video.old,
            store.waiting("bob").unwrap().video.new
        ),
        (1, 1)
    );
    for id in ["01A", "01A-2"] {
        store.free_message(id).unwrap();
        assert_eq!(exported(&store, "01A-3"), b"media");
    }
    assert_eq!(store.shared_with("01A-3").unwrap(), []);
    store.free_message("01A-3").unwrap();
    assert_eq!(blobs(dir.path()), 0);
    assert_eq!(store.deposit(deposit("01A", "sales", b"media")), Ok(Deposited::Gone));
}

#[test]
fn each_member_is_told_and_what_is_finished_later_is_finished_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = sales(dir.path());
    let before = store.last_change().unwrap();
    let mut spool = deposit("01A", "sales", b"spool");
    spool.message.media_state = MediaState::Raw;
    store.deposit(spool).unwrap();
    assert_eq!(store.changes(before, 10).unwrap().len(), MEMBERS.len());
    let media = || MediaSource::Bytes(b"finished".to_vec());
    assert_eq!(store.replace_media("01A-2", media(), "video/mp4", None, 9), Ok(true));
    assert_eq!(store.replace_media("01A", media(), "video/mp4", None, 9), Ok(false));
    for id in ["01A", "01A-2", "01A-3"] {
        assert_eq!(
            (exported(&store, id), store.message(id).unwrap().duration_ms),
            (b"finished".to_vec(), 9)
        );
    }
    assert_eq!(blobs(dir.path()), 1);
}

/// Whatever members do, their own rules hold, and media is there exactly as long as somebody has it.
#[test]
fn at_random_nobody_loses_what_another_deletes() {
    for seed in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let store = sales(dir.path());
        let mut rng = StdRng::seed_from_u64(seed);
        store
            .set_retention("ann", 0, |own| own.heard_max = Limit::At(2))
            .unwrap();
        store.set_retention("kim", 0, |own| own.trash_ms = Some(0)).unwrap();
        let mut media: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for step in 0..40_i64 {
            let rows: Vec<String> = MEMBERS
                .iter()
                .flat_map(|member| [store.messages(member).unwrap(), store.trash(member).unwrap()].concat())
                .map(|message| message.id)
                .collect();
            let picked = (!rows.is_empty()).then(|| rows[rng.random_range(0..rows.len())].clone());
            match (rng.random_range(0..5), picked) {
                (0, _) | (_, None) => {
                    let (id, bytes) = (format!("{step:03}"), format!("media {step}").into_bytes());
                    store.deposit(deposit(&id, "sales", &bytes)).unwrap();
                    media.insert(id, bytes);
                }
                // In the trash it is refused.
                (1 | 2, Some(id)) => drop(store.mark_heard(&id, step)),
                (3, Some(id)) => drop(store.delete_message(&id, step).unwrap()),
                (_, Some(id)) => store.free_message(&id).unwrap(),
            }
            let mut had = BTreeSet::new();
            for member in MEMBERS {
                let kept = store.messages(member).unwrap();
                let heard = kept.iter().filter(|message| message.heard_at_ms.is_some()).count();
                assert!(member != "ann" || heard <= 2, "seed {seed}, step {step}");
                for message in [kept, store.trash(member).unwrap()].concat() {
                    let id = message.id.split('-').next().unwrap().to_owned();
                    assert_eq!(exported(&store, &message.id), media[&id], "seed {seed}, step {step}");
                    had.insert(id);
                }
            }
            assert_eq!(
                blobs(dir.path()),
                i64::try_from(had.len()).unwrap(),
                "seed {seed}, step {step}"
            );
        }
    }
}
