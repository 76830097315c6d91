//! The schema, and how a database is created and recognised.
//!
//! Schema version 1. Times are Unix milliseconds (UTC), durations milliseconds; every table is `STRICT`.
//!
//! | table | a row is | notes |
//! |---|---|---|
//! | `subscriber` | one who may be called | `clip` and `greeting` name rows of `clip`; absent times mean the profile's |
//! | `retention` | a mailbox's rules | absent row or `heard_max`: no limit |
//! | `clip` | a prepared clip | `id` is never used again: it changes when the clip is replaced |
//! | `rendition` | one packet cache of a clip | bytes in `blob` |
//! | `message` | one stored message | `heard_at` NULL: unheard; `media`, `poster` in `blob` |
//! | `gone` | id of a deleted message | a spool salvaged later must not bring it back |
//! | `notice` | something to tell the subscriber | written by the transaction that stores the message |
//! | `call` | one ended call | `record` is the JSON of `segue_records::CallRecord` |
//! | `blob` | a run of bytes | `staged` 1: brought in ahead, not yet part of anything; `stager` says who |
//! | `blob_chunk` | at most 256 KiB of a blob | `seq` counts from 0 |
//!
//! To add a table or column: 1. raise [`VERSION`]; 2. change [`SQL`]; 3. add the migration of the former version to
//! `open`; 4. checkpoint after it, since the version is read from the file's header; 5. describe it here.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::StoreError;

/// The schema version this crate reads and writes (`PRAGMA user_version`).
pub const VERSION: u32 = 1;

/// `PRAGMA application_id`: "Segu".
const APPLICATION_ID: u32 = 0x5365_6775;

/// The database file in the data directory.
const FILE: &str = "segue.db";

/// How long a transaction waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SQL: &str = "
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

/// The database file of a data directory.
pub(crate) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// The schema version of a data directory: `None` when it holds no database yet. Reads one header, changes nothing.
pub fn version(data_dir: &Path) -> Result<Option<u32>, StoreError> {
    let path = file(data_dir);
    // The database header (sqlite.org/fileformat2.html §1.3): user version at byte 60, application id at byte 68.
    let mut header = [0_u8; 72];
    match fs::File::open(&path).and_then(|mut f| f.read_exact(&mut header)) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(StoreError::NotSegue { path }),
        Err(e) => {
            return Err(StoreError::Path {
                path,
                why: e.to_string(),
            });
        }
    }
    let word = |at: usize| {
        header
            .get(at..)
            .and_then(|rest| rest.first_chunk::<4>())
            .map(|bytes| u32::from_be_bytes(*bytes))
    };
    if !header.starts_with(b"SQLite format 3\0") || word(68) != Some(APPLICATION_ID) {
        return Err(StoreError::NotSegue { path });
    }
    Ok(word(60))
}

/// Makes sure that a database of our version is there, and says where. Another version is left untouched.
pub(crate) fn ensure(data_dir: &Path) -> Result<PathBuf, StoreError> {
    let path = file(data_dir);
    match version(data_dir)? {
        Some(VERSION) => Ok(path),
        Some(found) => Err(StoreError::OtherVersion {
            path,
            found,
            ours: VERSION,
        }),
        None => {
            // Messages are private: nobody else may look in.
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(data_dir)
                .map_err(|e| unusable(data_dir, &e))?;
            create(data_dir, &path)?;
            Ok(path)
        }
    }
}

/// Makes the database beside its place and links it there complete, so that no process ever opens half of one.
fn create(data_dir: &Path, path: &Path) -> Result<(), StoreError> {
    let making = data_dir.join(format!("{FILE}.{}.new", std::process::id()));
    let _ = fs::remove_file(&making);
    let conn = Connection::open(&making).map_err(|e| opening(data_dir, &e))?;
    let made = conn
        .execute_batch(&format!(
            "PRAGMA page_size = 8192;
             PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA synchronous = FULL;
             BEGIN;
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {VERSION};
             {SQL}
             COMMIT;
             PRAGMA journal_mode = WAL;"
        ))
        .map_err(|e| opening(data_dir, &e));
    let closed = conn.close().map_err(|(_, e)| opening(data_dir, &e));
    let linked = made.and(closed).and_then(|()| match fs::hard_link(&making, path) {
        Ok(()) => Ok(()),
        // Another process was faster: its database is as good as ours.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => fs::rename(&making, path).map_err(|e| unusable(path, &e)),
    });
    let _ = fs::remove_file(&making);
    linked?;
    fs::File::open(data_dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| unusable(data_dir, &e))
}

fn unusable(path: &Path, why: &io::Error) -> StoreError {
    StoreError::Path {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

fn opening(data_dir: &Path, error: &rusqlite::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Io(why) => StoreError::Path {
            path: data_dir.to_owned(),
            why,
        },
        other => other,
    }
}

/// A connection with our settings. They hold per connection, so each one gets them.
///
/// What a savepoint would undo is kept in memory: SQLite's files for that are in /var/tmp, and take an open file that a
/// server with many calls may not have.
pub(crate) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| opening(path, &e))?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // A plan never depends on the values bound: else statements that are kept prepared are prepared again at each use.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA temp_store = MEMORY;",
    )?;
    conn.set_prepared_statement_cache_capacity(64);
    let found: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found != VERSION {
        return Err(StoreError::OtherVersion {
            path: path.to_owned(),
            found,
            ours: VERSION,
        });
    }
    Ok(conn)
}
