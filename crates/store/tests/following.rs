//! What happened to messages is told once each, in order, whoever did it; refused requests are a ring.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{deposit, open, open_server, raw};
use segue_mailbox::Limit;
use segue_records::{Happening, RefusedRecord, UnixMs};
use segue_store::{Change, REFUSED_MAX};

fn told(changes: &[Change]) -> Vec<(&'static str, String)> {
    changes
        .iter()
        .map(|change| match &change.event.what {
            Happening::MessageCommitted(m)
            | Happening::MessageHeard(m)
            | Happening::MessageUnheard(m)
            | Happening::MessageRestored(m) => (change.event.what.name(), m.message_id.clone()),
            Happening::MessageDeleted { message, by } => {
                (change.event.what.name(), format!("{} by {by}", message.message_id))
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_follower_sees_what_another_process_commits_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let server = open_server(dir.path());
    let command = open(dir.path());
    server.deposit(deposit("01A", "bob", b"before")).unwrap();
    let mut follower = server.follow(server.last_change().unwrap()).unwrap();
    assert_eq!(follower.poll(10).unwrap(), []);

    server.deposit(deposit("01B", "bob", b"media")).unwrap();
    command.mark_heard("01B", 5).unwrap();
    command.mark_heard("01B", 6).unwrap();
    let first = follower.poll(1).unwrap();
    let rest = follower.poll(10).unwrap();
    assert_eq!(told(&first), [("message.committed", "01B".to_owned())]);
    assert_eq!(
        told(&rest),
        [("message.heard", "01B".to_owned())],
        "a mark that changes nothing is none"
    );
    assert!(rest[0].seq > first[0].seq);
    let event = &first[0].event;
    assert!(
        event.at.0 > 1_700_000_000_000 && event.sip_call_id.is_some(),
        "{event:?}"
    );
    command.mark_unheard("01B", 7).unwrap();
    command.delete_message("01B", 8).unwrap();
    assert_eq!(
        told(&follower.poll(10).unwrap()),
        [
            ("message.unheard", "01B".to_owned()),
            ("message.deleted", "01B by user".to_owned())
        ]
    );
    assert_eq!(follower.poll(10).unwrap(), []);
    assert_eq!(server.changes(0, 100).unwrap().len(), 5);
}

#[test]
fn what_a_rule_takes_is_told_with_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    raw(dir.path())
        .execute("INSERT INTO subscriber (user) VALUES ('bob')", [])
        .unwrap();
    for id in ["01A", "01B"] {
        store.deposit(deposit(id, "bob", b"media")).unwrap();
    }
    store
        .set_retention("bob", 0, |own| own.heard_max = Limit::At(1))
        .unwrap();
    store.mark_heard("01A", 5).unwrap();
    let before = store.last_change().unwrap();
    store.mark_heard("01B", 6).unwrap();
    let told = told(&store.changes(before, 10).unwrap());
    assert_eq!(told[0], ("message.heard", "01B".to_owned()));
    assert_eq!(told[1], ("message.deleted", "01A by heard_max".to_owned()));
}

#[test]
fn a_change_that_was_rolled_back_is_never_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.deposit(deposit("01A", "bob", b"media")).unwrap();
    let conn = raw(dir.path());
    conn.execute_batch("BEGIN; UPDATE message SET heard_at = 1; ROLLBACK;")
        .unwrap();
    assert_eq!(
        told(&store.changes(0, 10).unwrap()),
        [("message.committed", "01A".to_owned())]
    );
}

#[test]
fn only_the_newest_changes_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.deposit(deposit("01A", "bob", b"media")).unwrap();
    let conn = raw(dir.path());
    conn.execute_batch("BEGIN").unwrap();
    for _ in 0..5_100 {
        conn.execute_batch("UPDATE message SET heard_at = 1; UPDATE message SET heard_at = NULL;")
            .unwrap();
    }
    conn.execute_batch("COMMIT").unwrap();
    let kept = store.last_change().unwrap() - store.first_change().unwrap() + 1;
    assert_eq!(kept, 10_000);
}

fn refused(n: u32) -> RefusedRecord {
    RefusedRecord {
        id: format!("{n:026}"),
        at: UnixMs(i64::from(n)),
        protocol: "udp".into(),
        source: "192.0.2.7:5060".into(),
        local: "127.0.0.1:5060".into(),
        method: "INVITE".into(),
        sip_call_id: Some("a".into()),
        from: None,
        to: None,
        status: None,
        why: "INVITE was dropped without an answer: no profile.".into(),
        admit: "sources = []".into(),
        times: 1,
        withheld: 0,
        ladder: Vec::new(),
    }
}

#[test]
fn refused_requests_are_a_ring_whose_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keep = |record: &RefusedRecord| {
        // The queue of the writer is shorter than the ring.
        while store.save_refused_later(record, |done| done.unwrap()).is_err() {
            store.flush().unwrap();
        }
    };
    for n in 1..=REFUSED_MAX + 5 {
        keep(&refused(n));
    }
    let mut again = refused(REFUSED_MAX);
    again.again(Vec::new());
    keep(&again);
    store.flush().unwrap();
    let all = store.all_refused(0).unwrap();
    assert_eq!(all.len(), REFUSED_MAX as usize);
    assert_eq!((all[0].id.clone(), all[0].times), (refused(6).id, 1));
    assert_eq!(store.refused(&again.id).unwrap().times, 2);
    assert!(store.refused(&refused(1).id).is_err());
}
