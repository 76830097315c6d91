//! A data directory of an older Segue is opened and brought up to date, with everything in it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::{fs, path::Path};

use fixture::{count, deposit, exported, pattern, raw};
use rusqlite::Connection;
use segue_store::{Deposited, Store, StoreError, VERSION, version};

/// The schema of version 1, as it was.
const VERSION_1: &str = "
CREATE TABLE blob (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    staged    INTEGER NOT NULL CHECK (staged IN (0, 1)),
    stager    TEXT NOT NULL CHECK (stager IN ('server', 'command')),
    staged_at INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;
CREATE INDEX blob_staged ON blob (id) WHERE staged = 1;

CREATE TABLE blob_chunk (
    id   INTEGER PRIMARY KEY,
    blob INTEGER NOT NULL REFERENCES blob (id),
    seq  INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (blob, seq)
) STRICT;

CREATE TABLE clip (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    duration_ms INTEGER NOT NULL,
    poster      INTEGER REFERENCES blob (id)
) STRICT;

CREATE TABLE rendition (
    clip             INTEGER NOT NULL REFERENCES clip (id),
    profile          TEXT NOT NULL,
    profile_level_id BLOB,
    cache            INTEGER NOT NULL REFERENCES blob (id),
    PRIMARY KEY (clip, profile)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriber (
    user         TEXT PRIMARY KEY,
    target       TEXT NOT NULL,
    clip         TEXT REFERENCES clip (name) DEFERRABLE INITIALLY DEFERRED,
    hold_ms      INTEGER,
    no_answer_ms INTEGER,
    greeting     TEXT REFERENCES clip (name) DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;

CREATE TABLE retention (
    mailbox   TEXT PRIMARY KEY,
    heard_max INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    id          TEXT PRIMARY KEY,
    mailbox     TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    caller      TEXT NOT NULL,
    caller_name TEXT,
    received_at INTEGER NOT NULL,
    heard_at    INTEGER,
    duration_ms INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('video', 'audio')),
    media_state TEXT NOT NULL CHECK (media_state IN ('ready', 'raw')),
    bytes       INTEGER NOT NULL,
    interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)),
    media       INTEGER NOT NULL REFERENCES blob (id),
    media_type  TEXT NOT NULL,
    poster      INTEGER REFERENCES blob (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_mailbox ON message (mailbox, id);
CREATE INDEX message_heard ON message (mailbox, heard_at, id) WHERE heard_at IS NOT NULL;
CREATE INDEX message_sip_call_id ON message (sip_call_id);
CREATE INDEX message_raw ON message (id) WHERE media_state = 'raw';

CREATE TABLE gone (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message    TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    event      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notice_message ON notice (message);

CREATE TABLE call (
    id          TEXT PRIMARY KEY,
    sip_call_id TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    record      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX call_sip_call_id ON call (sip_call_id);
CREATE INDEX call_started_at ON call (started_at);
";

/// What a Segue of version 1 left behind: a subscriber, their rule, two messages with media, one gone, and a call.
fn directory_of_version_1() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let conn = Connection::open(dir.path().join("segue.db")).unwrap();
    conn.execute_batch(&format!(
        "PRAGMA page_size = 8192;
         PRAGMA auto_vacuum = INCREMENTAL;
         BEGIN;
         PRAGMA application_id = {};
         PRAGMA user_version = 1;
         {VERSION_1}
         INSERT INTO subscriber (user, target) VALUES ('bob', 'sip:bob@192.0.2.7'), ('eve', 'sip:eve@192.0.2.8');
         INSERT INTO retention (mailbox, heard_max) VALUES ('bob', 7), ('eve', NULL);
         INSERT INTO blob (id, staged, stager, staged_at, bytes) VALUES (1, 0, 'server', 5, 600000), (2, 0, 'server', 6, 3);
         INSERT INTO blob_chunk (blob, seq, data) VALUES (2, 0, x'010203');
         INSERT INTO message (id, mailbox, call_id, sip_call_id, caller, caller_name, received_at, heard_at, duration_ms,
                              kind, media_state, bytes, interrupted, media, media_type, poster)
         VALUES ('01A', 'bob', 'c1', 's1', 'sip:a@192.0.2.1', NULL, 1000, NULL, 4200, 'video', 'ready', 600000, 0, 1,
                 'video/mp4', NULL),
                ('01B', 'bob', 'c2', 's2', 'sip:a@192.0.2.1', 'Ann', 2000, 3000, 1200, 'audio', 'ready', 3, 1, 2,
                 'audio/mp4', NULL);
         INSERT INTO notice (message, event, created_at) VALUES ('01A', 'message.committed', 1001);
         INSERT INTO gone (id, at) VALUES ('01Z', 4102444800000);
         INSERT INTO call (id, sip_call_id, started_at, record)
         VALUES ('c2', 's2', 2000, '{{\"result\": \"rejected\"}}'), ('c1', 's1', 1000, '{{\"result\": \"message\"}}'),
                ('c0', 's0', 1000, '{{\"result\": \"answered\"}}');
         COMMIT;
         PRAGMA journal_mode = WAL;",
        0x5365_6775
    ))
    .unwrap();
    for (seq, chunk) in pattern(600_000).chunks(256 * 1024).enumerate() {
        conn.execute(
            "INSERT INTO blob_chunk (blob, seq, data) VALUES (1, ?, ?)",
            (seq, chunk),
        )
        .unwrap();
    }
    dir
}

fn check(store: &Store, dir: &Path) {
    let bob = store.subscriber("bob").unwrap();
    assert_eq!(bob.targets, ["sip:bob@192.0.2.7"]);
    assert_eq!(
        (bob.dnd, bob.hours, bob.zone.to_string()),
        (false, vec![], "UTC".to_owned())
    );
    assert_eq!(store.rules_of("bob").unwrap(), segue_policy::Rules::default());
    let messages = store.messages("bob").unwrap();
    let ids: Vec<_> = messages.iter().map(|m| m.id.as_str()).collect();
    assert_eq!(ids, ["01A", "01B"]);
    assert_eq!((messages[0].heard_at_ms, messages[1].heard_at_ms), (None, Some(3000)));
    assert_eq!(messages[1].from_name.as_deref(), Some("Ann"));
    assert_eq!(exported(store, "01A"), pattern(600_000));
    assert_eq!(exported(store, "01B"), [1, 2, 3]);
    assert_eq!(store.retention("bob").unwrap().effective.heard_max, Some(7));
    assert_eq!(
        store.retention("eve").unwrap().effective.heard_max,
        None,
        "no limit stays no limit"
    );
    assert_eq!(store.deposit(deposit("01Z", "bob", b"late")).unwrap(), Deposited::Gone);
    assert_eq!(store.deposit(deposit("01C", "bob", b"new")).unwrap(), Deposited::New);
    assert_eq!(count(dir, "SELECT count(*) FROM notice"), 2);
    // Calls of then are in the order that record files and limits go by, the rejected ones known as such.
    let conn = raw(dir);
    let mut order = conn
        .prepare("SELECT id, rejected FROM call_order ORDER BY seq")
        .unwrap();
    let order: Vec<(String, bool)> = order
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let named = [("c0", false), ("c1", false), ("c2", true)].map(|(id, rejected)| (id.to_owned(), rejected));
    assert_eq!(order, named);
    // And they are counted.
    let counted: Vec<_> = store
        .calls_by_hour(0)
        .unwrap()
        .iter()
        .map(|of| (of.hour_ms, of.calls))
        .collect();
    assert_eq!(counted, [(0, 1), (0, 1), (0, 1)]);
    assert_eq!(version(dir), Ok(Some(VERSION)));
}

#[test]
fn a_server_or_a_command_brings_version_1_up_to_date() {
    type Open = fn(&Path) -> Result<Store, StoreError>;
    for open in [Store::open as Open, Store::open_server as Open] {
        let dir = directory_of_version_1();
        assert_eq!(version(dir.path()), Ok(Some(1)));
        let store = open(dir.path()).unwrap();
        check(&store, dir.path());
        drop(store);
        Store::open(dir.path()).unwrap();
    }
}

#[test]
fn what_was_brought_up_to_date_has_the_schema_of_a_new_one() {
    let schema = |dir: &Path| -> Vec<(String, String)> {
        let conn = raw(dir);
        let mut statement = conn
            .prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let (old, new) = (directory_of_version_1(), tempfile::tempdir().unwrap());
    drop(Store::open(old.path()).unwrap());
    drop(Store::open(new.path()).unwrap());
    assert_eq!(schema(old.path()), schema(new.path()));
    assert_eq!(count(old.path(), "PRAGMA auto_vacuum"), 2);
}

#[test]
fn while_an_older_server_works_on_it_it_is_left_as_it_was() {
    let dir = directory_of_version_1();
    let lock = fs::File::create(dir.path().join("server.lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::InUse { .. })));
    assert!(matches!(Store::open_server(dir.path()), Err(StoreError::InUse { .. })));
    assert_eq!(count(dir.path(), "PRAGMA user_version"), 1);
    drop(lock);
    check(&Store::open(dir.path()).unwrap(), dir.path());
}

#[test]
fn several_who_open_it_at_once_all_find_it_up_to_date() {
    let dir = directory_of_version_1();
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..4).map(|_| scope.spawn(|| Store::open(dir.path()))).collect();
        for opened in opening {
            opened.join().unwrap().unwrap();
        }
    });
    check(&Store::open(dir.path()).unwrap(), dir.path());
}
