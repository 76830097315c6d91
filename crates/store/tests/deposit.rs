//! A message is stored whole or not at all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{count, deposit, exported, in_files, message, open, pattern};
use segue_mailbox::MediaState;
use segue_store::{Deposited, MediaSource, Store, StoreError};

#[test]
fn a_message_comes_back_as_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // Two full transactions of chunks and a partial one.
    let media = pattern(2 * 1024 * 1024 + 100_001);
    let mut given = deposit("01A", "bob", &media);
    given.poster = Some(pattern(3_000));

    assert_eq!(store.deposit(given.clone()).unwrap(), Deposited::New);

    let mut expected = given.message;
    expected.bytes = (media.len() + 3_000) as u64;
    assert_eq!(store.message("01A").unwrap(), expected);
    assert_eq!(store.messages("bob").unwrap(), [expected.clone()]);
    assert_eq!(store.message_by_sip_call_id("sip-01A").unwrap(), Some(expected));
    assert_eq!(exported(&store, "01A"), media);
    assert_eq!(store.poster("01A").unwrap(), Some(pattern(3_000)));
    assert_eq!(
        count(dir.path(), "SELECT count(*) FROM notice WHERE message = '01A'"),
        1
    );
    assert_eq!(
        count(dir.path(), "SELECT coalesce(max(length(data)), 0) FROM blob_chunk"),
        if in_files() { 0 } else { 256 * 1024 }
    );
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob WHERE staged = 1"), 0);
}

#[test]
fn media_is_taken_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let file = dir.path().join("m.mp4");
    std::fs::write(&file, pattern(700_000)).unwrap();
    let mut given = deposit("01A", "bob", b"");
    given.media = MediaSource::from(file.as_path());
    store.deposit(given).unwrap();
    assert_eq!(exported(&store, "01A"), pattern(700_000));
}

#[test]
fn the_same_deposit_twice_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.deposit(deposit("01A", "bob", b"first")).unwrap();
    store.mark_heard("01A", 7).unwrap();

    assert_eq!(
        store.deposit(deposit("01A", "bob", b"second")).unwrap(),
        Deposited::Already
    );

    assert_eq!(exported(&store, "01A"), b"first");
    assert_eq!(store.message("01A").unwrap().heard_at_ms, Some(7));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM notice"), 1);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 1);
}

#[test]
fn a_deleted_message_does_not_come_back_from_its_spool() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.deposit(deposit("01A", "bob", b"media")).unwrap();
    store.free_message("01A").unwrap();
    assert_eq!(store.deposit(deposit("01A", "bob", b"media")).unwrap(), Deposited::Gone);
    assert!(store.messages("bob").unwrap().is_empty());
}

#[test]
fn deleting_leaves_no_bytes_and_no_notice() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut given = deposit("01A", "bob", &pattern(600_000));
    given.poster = Some(vec![1, 2, 3]);
    store.deposit(given).unwrap();
    store.free_message("01A").unwrap();
    for table in ["message", "blob", "blob_chunk", "notice"] {
        assert_eq!(
            count(dir.path(), &format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
    assert_eq!(
        store.free_message("01A"),
        Err(StoreError::NotFound {
            what: "message",
            name: "01A".to_owned()
        })
    );
}

#[test]
fn a_message_without_media_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(
        store.deposit(deposit("01A", "bob", b"")),
        Err(StoreError::Refused { .. })
    ));
    let mut absent = deposit("01B", "bob", b"");
    absent.media = MediaSource::File(dir.path().join("no-such-file"));
    assert!(matches!(store.deposit(absent), Err(StoreError::Path { .. })));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 0);
}

#[test]
fn a_raw_message_becomes_ready_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut given = deposit("01A", "bob", b"spool");
    given.message.media_state = MediaState::Raw;
    given.media_type = "application/x-segue-spool".to_owned();
    store.deposit(given).unwrap();
    assert_eq!(store.raw_messages(10).unwrap().len(), 1);

    let mp4 = || MediaSource::Bytes(pattern(400_000));
    assert!(
        store
            .replace_media("01A", mp4(), "video/mp4", Some(vec![9; 10]), 5_000)
            .unwrap()
    );
    assert!(
        !store
            .replace_media("01A", MediaSource::Bytes(b"late".to_vec()), "video/mp4", None, 1)
            .unwrap()
    );

    assert!(store.raw_messages(10).unwrap().is_empty());
    let now = store.message("01A").unwrap();
    assert_eq!(
        (now.media_state, now.bytes, now.duration_ms),
        (MediaState::Ready, 400_010, 5_000)
    );
    assert_eq!(exported(&store, "01A"), pattern(400_000));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 2);
    assert!(matches!(
        store.replace_media("01X", mp4(), "video/mp4", None, 1),
        Err(StoreError::NotFound { .. })
    ));
}

#[test]
fn a_message_deleted_while_it_is_read_is_read_to_its_end() {
    struct DeletesAtFirstPiece<'a> {
        store: &'a Store,
        got: Vec<u8>,
    }
    impl std::io::Write for DeletesAtFirstPiece<'_> {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            if self.got.is_empty() {
                self.store.free_message("01A").unwrap();
            }
            self.got.extend_from_slice(piece);
            Ok(piece.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.deposit(deposit("01A", "bob", &pattern(900_000))).unwrap();
    let mut reader = DeletesAtFirstPiece {
        store: &store,
        got: Vec::new(),
    };
    store.export_media("01A", &mut reader).unwrap();
    assert_eq!(reader.got, pattern(900_000));
    assert!(matches!(store.message("01A"), Err(StoreError::NotFound { .. })));
}

#[test]
fn many_at_once_are_each_answered_for_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    std::thread::scope(|scope| {
        for n in 0..16 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..4 {
                    let id = format!("{n:02}-{i}");
                    assert_eq!(
                        store.deposit(deposit(&id, "bob", id.as_bytes())).unwrap(),
                        Deposited::New
                    );
                    // A failing write in the same transaction must not take the others with it.
                    assert!(store.free_message("no-such-message").is_err());
                    assert_eq!(exported(store, &id), id.as_bytes());
                }
            });
        }
    });
    assert_eq!(store.messages("bob").unwrap().len(), 64);
    assert_eq!(store.totals().unwrap().messages, 64);
}

#[test]
fn a_message_needs_no_subscriber_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_subscriber(fixture::subscriber("bob")).unwrap();
    store.remove_subscriber("bob").unwrap();
    store.deposit(deposit("01A", "bob", b"media")).unwrap();
    assert_eq!(store.messages("bob").unwrap()[0].id, message("01A", "bob").id);
}
