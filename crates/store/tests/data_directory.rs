//! What is opened, by whom, and what is left alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::{fs, path::Path, process::Command, sync::RwLock, time::Duration};

use fixture::{count, deposit, open, open_server, pattern, raw, subscriber};
use segue_store::{Store, StoreError, VERSION, version};

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| {
            (
                p.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(&p).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_new_directory_gets_a_database_with_our_settings() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("not/yet/there");
    assert_eq!(version(&dir), Ok(None));
    let store = open(&dir);
    store.put_subscriber(subscriber("bob")).unwrap();
    assert_eq!(version(&dir), Ok(Some(VERSION)));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&dir).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700, "messages are private");
    assert_eq!(count(&dir, "PRAGMA auto_vacuum"), 2);
    assert_eq!(count(&dir, "PRAGMA page_size"), 8192);
    assert_eq!(count(&dir, "PRAGMA user_version"), i64::from(VERSION));
    let mode: String = raw(&dir).query_row("PRAGMA journal_mode", [], |r| r.get(0)).unwrap();
    assert_eq!(mode, "wal");
    assert_eq!(
        fs::read_dir(&dir)
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().extension().unwrap() == "new")
            .count(),
        0
    );
}

#[test]
fn a_directory_of_another_version_is_refused_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    raw(dir.path()).execute_batch("PRAGMA user_version = 700").unwrap();
    let before = contents(dir.path());

    let refused = Store::open(dir.path()).unwrap_err();

    assert_eq!(refused.code(), "other_version");
    assert!(refused.to_string().contains("version 700"), "{refused}");
    assert!(refused.fix().contains("--data"), "{}", refused.fix());
    assert!(matches!(
        Store::open_server(dir.path()),
        Err(StoreError::OtherVersion {
            found: 700,
            ours: VERSION,
            ..
        })
    ));
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_file_that_is_no_database_of_ours_is_refused_and_left_as_it_was() {
    for other in [b"hello".to_vec(), vec![0; 200], Vec::new()] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("segue.db"), &other).unwrap();
        assert!(matches!(Store::open(dir.path()), Err(StoreError::NotSegue { .. })));
        assert_eq!(contents(dir.path()), [("segue.db".to_owned(), other)]);
    }
    let dir = tempfile::tempdir().unwrap();
    raw(dir.path()).execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotSegue { .. })));
}

/// A child has our locks for the instant before it runs its own program: no lock is looked at meanwhile.
static BIRTHS: RwLock<()> = RwLock::new(());

#[test]
fn only_one_server_works_on_a_directory() {
    let _no_birth = BIRTHS.read();
    let dir = tempfile::tempdir().unwrap();
    assert!(!Store::server_runs(dir.path()));
    let server = open_server(dir.path());
    assert!(Store::server_runs(dir.path()));
    assert!(matches!(Store::open_server(dir.path()), Err(StoreError::InUse { .. })));
    Store::open(dir.path())
        .unwrap()
        .put_subscriber(subscriber("bob"))
        .unwrap();
    assert!(
        server.lookup("bob").unwrap().is_some(),
        "the server sees what a command did"
    );
    drop(server);
    assert!(!Store::server_runs(dir.path()));
    open_server(dir.path());
}

#[test]
fn asking_whether_a_server_runs_keeps_none_from_starting() {
    let _no_birth = BIRTHS.read();
    let dir = tempfile::tempdir().unwrap();
    drop(open_server(dir.path()));
    // Whoever asks holds the lock for an instant; here for a longer one.
    let asking = fs::File::open(dir.path().join("server.lock")).unwrap();
    asking.lock_shared().unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| Store::open_server(dir.path()));
        std::thread::sleep(Duration::from_millis(60));
        drop(asking);
        starting.join().unwrap().unwrap();
    });
}

#[test]
fn bytes_that_a_server_left_half_brought_in_are_swept_and_a_commands_are_not() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    for (stager, at) in [
        ("server", now_ms),
        ("command", now_ms),
        ("command", now_ms - 3 * 3_600_000),
    ] {
        raw(dir.path())
            .execute(
                "INSERT INTO blob (staged, stager, staged_at, bytes) VALUES (1, ?, ?, 3)",
                (stager, at),
            )
            .unwrap();
        raw(dir.path())
            .execute_batch("INSERT INTO blob_chunk (blob, seq, data) SELECT max(id), 0, x'010203' FROM blob")
            .unwrap();
    }
    drop(open(dir.path()));
    assert_eq!(
        count(dir.path(), "SELECT count(*) FROM blob"),
        3,
        "a command sweeps nothing"
    );
    drop(open_server(dir.path()));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob"), 1);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM blob_chunk"), 1);
    assert_eq!(
        count(dir.path(), "SELECT count(*) FROM blob WHERE stager = 'command'"),
        1
    );
}

/// Run in a process of its own by the test below, which kills it.
#[test]
#[ignore = "a part of killed_at_any_moment_no_message_is_half_there"]
fn child_that_deposits_until_killed() {
    let Ok(dir) = std::env::var("SEGUE_TEST_STORE") else {
        return;
    };
    let store = open_server(Path::new(&dir));
    for n in 0..10_000 {
        let id = format!("{}-{n:05}", std::process::id());
        store.deposit(deposit(&id, "bob", &pattern(1_500_000))).unwrap();
        // The ledger: what was acknowledged.
        println!("acknowledged {id}");
    }
}

#[test]
fn killed_at_any_moment_no_message_is_half_there() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..5_u64 {
        let birth = BIRTHS.write();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_deposits_until_killed", "--ignored", "--nocapture"])
            .env("SEGUE_TEST_STORE", dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(birth);
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let note = |line: String, ledger: &mut Vec<String>| {
            if let Some((_, id)) = line.split_once("acknowledged ") {
                ledger.push(id.to_owned());
            }
        };
        // It works; then it is killed a little later, at another moment each round.
        for line in lines.by_ref().take_while(|l| !l.contains("-00001")) {
            note(line, &mut acknowledged);
        }
        std::thread::sleep(Duration::from_millis(7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            note(line, &mut acknowledged);
        }

        let store = open_server(dir.path());
        let there = store.messages("bob").unwrap();
        for id in &acknowledged {
            assert!(
                there.iter().any(|m| m.id == *id),
                "{id} was acknowledged and is missing"
            );
        }
        for message in there {
            assert_eq!(
                fixture::exported(&store, &message.id),
                pattern(1_500_000),
                "{} is not whole",
                message.id
            );
        }
        assert_eq!(count(dir.path(), "SELECT count(*) FROM blob WHERE staged = 1"), 0);
        assert_eq!(
            count(dir.path(), "SELECT count(*) FROM message"),
            count(dir.path(), "SELECT count(*) FROM notice")
        );
    }
    assert!(acknowledged.len() >= 5, "each round acknowledged something");
}
