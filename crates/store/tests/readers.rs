//! Who reads a message while a rule deletes it, and who dies reading.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fixture;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fixture::{count, deposit, pattern, raw, subscriber};
use segue_mailbox::Limit;
use segue_store::{MediaStore, Store, StoreError};

const BLOBS: &str = "SELECT count(*) FROM blob";

/// A mailbox that keeps one heard message, without a trash, in which 01A is heard and 01B is not.
fn mailbox(dir: &Path, place: MediaStore) -> Store {
    let store = Store::open_server(dir).unwrap();
    store.set_media_store(place);
    store.put_subscriber(subscriber("bob")).unwrap();
    store.deposit(deposit("01A", "bob", &pattern(900_000))).unwrap();
    store.deposit(deposit("01B", "bob", b"short")).unwrap();
    let rules = store.set_retention("bob", 0, |own| {
        own.heard_max = Limit::At(1);
        own.trash_ms = Some(0);
    });
    assert!(rules.unwrap().evicted.is_empty());
    store.mark_heard("01A", 10).unwrap();
    store
}

/// Reads a message; at its first piece somebody hears the other one, and the rule takes this one.
struct RuleActsMeanwhile<'a> {
    store: &'a Store,
    dir: &'a Path,
    got: Vec<u8>,
}

impl Write for RuleActsMeanwhile<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        if self.got.is_empty() {
            assert_eq!(self.store.mark_heard("01B", 20).unwrap().evicted, ["01A"]);
            assert!(matches!(self.store.message("01A"), Err(StoreError::NotFound { .. })));
            assert_eq!(count(self.dir, BLOBS), 2, "its media is still being read");
        }
        self.got.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_rule_deletes_is_read_to_its_end_and_freed_after() {
    for place in [MediaStore::Sqlite, MediaStore::Dir] {
        let dir = tempfile::tempdir().unwrap();
        let store = mailbox(dir.path(), place);
        let mut reader = RuleActsMeanwhile {
            store: &store,
            dir: dir.path(),
            got: Vec::new(),
        };
        store.export_media("01A", &mut reader).unwrap();
        assert_eq!(reader.got, pattern(900_000), "{place:?}");
        assert_eq!(count(dir.path(), "SELECT count(*) FROM lease"), 0);
        store.run_retention(None, 30).unwrap();
        assert_eq!(count(dir.path(), BLOBS), 1, "{place:?}: only the one that is kept");
    }
}

/// Run in a process of its own by the test below, which kills it.
#[test]
#[ignore = "a part of a_reader_that_is_killed_holds_its_message_for_ten_minutes_and_no_longer"]
fn child_that_reads_until_killed() {
    struct Hangs;
    impl Write for Hangs {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            println!("reading");
            std::thread::sleep(Duration::from_secs(30));
            Err(std::io::ErrorKind::TimedOut.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let Ok(dir) = std::env::var("SEGUE_TEST_STORE") else {
        return;
    };
    let _ = Store::open(Path::new(&dir)).unwrap().export_media("01A", &mut Hangs);
}

#[test]
fn a_reader_that_is_killed_holds_its_message_for_ten_minutes_and_no_longer() {
    const TEN_MINUTES_MS: i64 = 600_000;
    let dir = tempfile::tempdir().unwrap();
    let store = mailbox(dir.path(), MediaStore::Sqlite);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_that_reads_until_killed", "--ignored", "--nocapture"])
        .env("SEGUE_TEST_STORE", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(lines.any(|line| line.contains("reading")), "it never read");
    child.kill().unwrap();
    child.wait().unwrap();
    // Nobody gives its lease back.
    assert_eq!(store.mark_heard("01B", 20).unwrap().evicted, ["01A"]);
    store.run_retention(None, 30).unwrap();
    assert_eq!(count(dir.path(), BLOBS), 2);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(now.as_millis()).unwrap();
    let until: i64 = raw(dir.path())
        .query_row("SELECT until FROM lease", [], |row| row.get(0))
        .unwrap();
    assert!(
        (now_ms..=now_ms + TEN_MINUTES_MS).contains(&until),
        "{}",
        until - now_ms
    );
    // Ten minutes later.
    raw(dir.path())
        .execute("UPDATE lease SET until = until - ?", [TEN_MINUTES_MS])
        .unwrap();
    store.run_retention(None, 40).unwrap();
    assert_eq!(count(dir.path(), BLOBS), 1, "its time is over");
}
