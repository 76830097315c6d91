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

fn ask(store: &Store, id: &str) -> Result<segue_mailbox::Grant, segue_mailbox::Rule> {
    let reserve = segue_store::Reserve {
        message_id: id.to_owned(),
        mailbox: "sales".to_owned(),
        from: "sip:alice@example.com".to_owned(),
        ask: segue_mailbox::Ask {
            longest_ms: 60_000,
            least_ms: 5_000,
            bytes_per_s: 1_000,
        },
    };
    store.reserve(&reserve, std::time::Instant::now()).unwrap()
}

fn lasting(id: &str, duration_ms: u64) -> segue_store::Deposit {
    let mut lasting = deposit(id, "sales", b"media");
    lasting.message.duration_ms = duration_ms;
    lasting
}

#[test]
fn a_place_is_asked_for_with_each_member_and_those_get_the_message_who_have_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = sales(dir.path());
    for member in ["ann", "bob"] {
        store
            .set_retention(member, 0, |own| own.unheard_max = Limit::At(1))
            .unwrap();
    }
    store
        .set_retention("kim", 0, |own| own.unheard_max = Limit::At(2))
        .unwrap();
    assert!(ask(&store, "01A").is_ok());
    assert_eq!(store.reservations(), 3);
    // What is still spoken counts with each member as a message does.
    assert!(ask(&store, "01B").is_ok());
    store.deposit(lasting("01A", 9_000)).unwrap();
    store.deposit(lasting("01B", 9_000)).unwrap();
    assert_eq!(
        (ids(&store, "ann"), ids(&store, "kim")),
        (vec!["01A".to_owned()], vec!["01A-3".to_owned(), "01B".into()])
    );
    assert_eq!(ids(&store, "bob"), ["01A-2"]);
    assert_eq!(store.reservations(), 0, "what is kept holds no place any more");
    assert_eq!(
        ask(&store, "01C"),
        Err(segue_mailbox::Rule::UnheardMax),
        "nobody has place"
    );
    assert_eq!(store.reservations(), 0);
    // One heard message makes place with its owner.
    store.mark_heard("01A", 5).unwrap();
    assert!(ask(&store, "01D").is_ok());
    assert_eq!(store.reservations(), 1);
    store.release("sales", "01D");
    assert_eq!(store.reservations(), 0);
}

#[test]
fn it_may_last_as_long_as_the_member_with_the_most_place_allows_and_is_theirs_who_have_place_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = sales(dir.path());
    store
        .set_retention("ann", 0, |own| own.max_seconds = Limit::At(10))
        .unwrap();
    store
        .set_retention("bob", 0, |own| own.max_seconds = Limit::At(30))
        .unwrap();
    store
        .set_retention("kim", 0, |own| own.max_seconds = Limit::At(4))
        .unwrap();
    assert_eq!(ask(&store, "01A").unwrap().longest_ms, 30_000, "kim has none");
    store.deposit(lasting("01A", 20_000)).unwrap();
    assert_eq!(MEMBERS.map(|member| ids(&store, member).len()), [0, 1, 0]);
    assert_eq!(
        ask(&store, "01B").unwrap().longest_ms,
        10_000,
        "ten seconds are left with both"
    );
    // The last packets may go past it by a little.
    store.deposit(lasting("01B", 10_020)).unwrap();
    assert_eq!(MEMBERS.map(|member| ids(&store, member).len()), [1, 2, 0]);
    // Whose places are not known any more get it all.
    store.deposit(lasting("01C", 20_000)).unwrap();
    assert_eq!(MEMBERS.map(|member| ids(&store, member).len()), [2, 3, 1]);
}

#[test]
fn a_rule_of_the_groups_own_bounds_each_message() {
    let dir = tempfile::tempdir().unwrap();
    let store = sales(dir.path());
    store
        .set_retention("sales", 0, |own| own.max_seconds = Limit::At(20))
        .unwrap();
    for id in ["01A", "01B"] {
        assert_eq!(ask(&store, id).unwrap().longest_ms, 20_000);
        store.deposit(lasting(id, 20_000)).unwrap();
    }
}
