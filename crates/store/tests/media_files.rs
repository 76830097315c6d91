//! Media in files beside the database: what is special about them, and leases.
#![allow(clippy::unwrap_used, reason = "a test")]

mod fixture;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use fixture::{count, deposit, exported, files, pattern, raw};
use segue_store::{MediaStore, Store, StoreError};

fn store_in_files(dir: &Path) -> Store {
    let store = Store::open_server(dir).unwrap();
    store.set_media_store(MediaStore::Dir);
    store
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Unix milliseconds so long from now.
fn in_ms(ms: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() + ms
}

fn only_file(dir: &Path) -> PathBuf {
    let folder = fs::read_dir(dir.join("media")).unwrap().next().unwrap().unwrap();
    fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn media_is_a_private_file_and_goes_with_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_in_files(dir.path());
    store.deposit(deposit("01A", "bob", &pattern(700_000))).unwrap();
    assert_eq!(files(dir.path()), ["1"]);
    let file = only_file(dir.path());
    assert_eq!(fs::read(&file).unwrap(), pattern(700_000));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let folder = file.parent().unwrap();
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob_chunk"), 0);
    assert_eq!(store.space().unwrap().file_bytes, 700_000);

    store.free_message("01A").unwrap();
    wait_until("the file to go", || files(dir.path()).is_empty());
    wait_until("the list of files to go to be empty", || {
        count(dir.path(), "SELECT count(*) FROM unlink") == 0
    });
    assert!(store.stats().freed_bytes >= 700_000);
    assert_eq!(store.space().unwrap().file_bytes, 0);
}

#[test]
fn a_command_that_ends_leaves_no_file_behind() {
    let dir = tempfile::tempdir().unwrap();
    drop({
        let store = store_in_files(dir.path());
        store.deposit(deposit("01A", "bob", b"media")).unwrap();
        store
    });
    let command = Store::open(dir.path()).unwrap();
    command.free_message("01A").unwrap();
    drop(command);
    assert!(files(dir.path()).is_empty());
}

#[test]
fn each_message_stays_where_it_is_when_the_place_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_in_files(dir.path());
    store.deposit(deposit("01A", "bob", &pattern(300_000))).unwrap();
    store.set_media_store(MediaStore::Sqlite);
    store.deposit(deposit("01B", "bob", &pattern(400_000))).unwrap();
    assert_eq!(exported(&store, "01A"), pattern(300_000));
    assert_eq!(exported(&store, "01B"), pattern(400_000));
    assert_eq!(files(dir.path()), ["1"]);
    assert_eq!(count(dir.path(), "SELECT count(DISTINCT blob) FROM blob_chunk"), 1);
}

#[test]
fn a_missing_or_cut_file_is_said_and_never_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_in_files(dir.path());
    store.deposit(deposit("01A", "bob", &pattern(1_000))).unwrap();
    assert_eq!(store.damaged_media(10).unwrap(), Vec::<String>::new());
    let file = only_file(dir.path());
    fs::write(&file, pattern(999)).unwrap();
    let mut out = Vec::new();
    let error = store.export_media("01A", &mut out).unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(why) if why.contains("999 of its 1000 bytes")),
        "{error}"
    );
    assert!(out.is_empty());
    assert_eq!(store.damaged_media(10).unwrap().len(), 1);
    fs::remove_file(&file).unwrap();
    assert!(store.damaged_media(10).unwrap()[0].contains("is missing"));
    // What is broken can still be deleted.
    store.free_message("01A").unwrap();
}

#[test]
fn a_crash_before_or_after_the_file_leaves_nothing_for_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_in_files(dir.path()));
    let now_ms = 1_700_000_000_000_i64;
    // Crashed while bringing in: a row without its file, and one with a file that nothing names.
    raw(dir.path())
        .execute_batch(&format!(
            "INSERT INTO blob (staged, stager, staged_at, bytes, place) VALUES (1, 'server', {now_ms}, 0, 'dir');
             INSERT INTO blob (staged, stager, staged_at, bytes, place) VALUES (1, 'server', {now_ms}, 0, 'dir');
             INSERT INTO unlink (blob) VALUES (77);"
        ))
        .unwrap();
    for (folder, name) in [("02", "2"), ("4d", "77")] {
        fs::create_dir_all(dir.path().join("media").join(folder)).unwrap();
        fs::write(dir.path().join("media").join(folder).join(name), b"half").unwrap();
    }
    let store = store_in_files(dir.path());
    wait_until("the leftovers to go", || files(dir.path()).is_empty());
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 0);
    store.deposit(deposit("01A", "bob", b"media")).unwrap();
    assert_eq!(exported(&store, "01A"), b"media");
}

#[test]
fn a_file_that_the_database_does_not_know_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_in_files(dir.path());
    // As after a backup of the database was brought back.
    fs::create_dir_all(dir.path().join("media/01")).unwrap();
    fs::write(dir.path().join("media/01/1"), b"somebody's").unwrap();
    store.deposit(deposit("01A", "bob", b"media")).unwrap();
    assert_eq!(exported(&store, "01A"), b"media");
    let aside = files(dir.path())
        .into_iter()
        .find(|name| name.contains("aside"))
        .unwrap();
    assert_eq!(
        fs::read(dir.path().join("media/01").join(aside)).unwrap(),
        b"somebody's"
    );
}

/// Lets go of a message at the first piece, and sees how many bytes are kept meanwhile.
struct FreesAtFirstPiece<'a> {
    store: &'a Store,
    dir: &'a Path,
    got: Vec<u8>,
}

impl std::io::Write for FreesAtFirstPiece<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        if self.got.is_empty() {
            self.store.free_message("01A").unwrap();
            assert!(matches!(self.store.message("01A"), Err(StoreError::NotFound { .. })));
            assert_eq!(count(self.dir, "SELECT count(*) FROM blob WHERE doomed = 1"), 1);
        }
        self.got.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_message_being_read_is_freed_when_its_last_lease_ends() {
    for place in [MediaStore::Sqlite, MediaStore::Dir] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_server(dir.path()).unwrap();
        store.set_media_store(place);
        store.deposit(deposit("01A", "bob", &pattern(900_000))).unwrap();
        // Another reader, of a command that ended without giving its lease back.
        let lease = |until: i64| {
            raw(dir.path())
                .execute(
                    "INSERT INTO lease (blob, holder, until) SELECT media, 'command', ? FROM message",
                    [until],
                )
                .unwrap();
        };
        lease(in_ms(300_000));
        let mut reader = FreesAtFirstPiece {
            store: &store,
            dir: dir.path(),
            got: Vec::new(),
        };
        store.export_media("01A", &mut reader).unwrap();
        assert_eq!(reader.got, pattern(900_000));
        let blobs = "SELECT count(*) FROM blob";
        assert_eq!(count(dir.path(), blobs), 1, "{place:?}: the other one still reads");
        store.run_retention(None, 0).unwrap();
        assert_eq!(count(dir.path(), blobs), 1);
        raw(dir.path()).execute("UPDATE lease SET until = 5", []).unwrap();
        store.run_retention(None, 0).unwrap();
        assert_eq!(count(dir.path(), blobs), 0, "{place:?}: its time is over");
        assert_eq!(count(dir.path(), "SELECT count(*) FROM blob_chunk"), 0);
        wait_until("no file to be left", || files(dir.path()).is_empty());
    }
}

#[test]
fn what_a_dead_server_was_reading_is_freed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_in_files(dir.path());
    store.deposit(deposit("01A", "bob", b"media")).unwrap();
    raw(dir.path())
        .execute(
            "INSERT INTO lease (blob, holder, until) SELECT media, 'server', ? FROM message",
            [in_ms(300_000)],
        )
        .unwrap();
    store.free_message("01A").unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob WHERE doomed = 1"), 1);
    drop(store);
    let _store = store_in_files(dir.path());
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 0);
    wait_until("the file to go", || files(dir.path()).is_empty());
}

#[test]
fn a_lease_from_before_the_clock_was_set_back_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_in_files(dir.path());
    for id in ["01A", "01B"] {
        store.deposit(deposit(id, "bob", b"media")).unwrap();
    }
    let take = |until: i64| {
        raw(dir.path())
            .execute(
                "INSERT INTO lease (blob, holder, until) SELECT media, 'command', ? FROM message",
                [until],
            )
            .unwrap();
    };
    take(in_ms(3_600_000));
    store.free_message("01A").unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 1);
    // Set back only after the deletion.
    raw(dir.path())
        .execute("UPDATE lease SET until = ?", [in_ms(300_000)])
        .unwrap();
    store.free_message("01B").unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob WHERE doomed = 1"), 1);
    raw(dir.path())
        .execute("UPDATE lease SET until = ?", [in_ms(3_600_000)])
        .unwrap();
    store.run_retention(None, 0).unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 0);
}

#[test]
fn many_files_go_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_in_files(dir.path());
    let ids: Vec<String> = (0..150).map(|n| format!("{n:03}")).collect();
    for id in &ids {
        store.deposit(deposit(id, "bob", b"media")).unwrap();
    }
    for id in &ids {
        store.free_message(id).unwrap();
    }
    store.deposit(deposit("last", "bob", b"media")).unwrap();
    wait_until("all but the last to go", || files(dir.path()).len() == 1);
    assert_eq!(exported(&store, "last"), b"media");
}
