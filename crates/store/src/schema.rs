//! The schema, and how a database is created and recognised.
//!
//! Times are Unix milliseconds (UTC), durations milliseconds; every table is `STRICT`.
//!
//! | table | a row is | notes |
//! |---|---|---|
//! | `subscriber` | one who may be called | `clip` and `greeting` name rows of `clip`; absent times, and an absent `answer_at`, `menu` or `language`, mean the profile's; `hours` is a JSON list; `notify` is the JSON of `segue_policy::Notify`, `caps` that of `AccountCaps` |
//! | `target` | where a subscriber is reached | `place` counts from 0, in their order; `own`: they have set it themselves |
//! | `number` | a number of a subscriber | in E.164 |
//! | `alias` | another address of a subscriber | in canonical form, `sip:` or `tel:`; `user` is its user or number |
//! | `contact` | somebody whom a subscriber knows | `groups` are words with a space between |
//! | `rule` | a rule of a subscriber | `place` counts from 0, in their order; `rule` is the JSON of `segue_policy::Rule` |
//! | `retention` | a mailbox's own rules | absent row or NULL: the default; -1: no limit |
//! | `retention_audit` | one automatic deletion | `allowed` and `found` in the rule's unit; `found` as it was before |
//! | `clip` | a prepared clip | `id` is never used again: it changes when the clip is replaced; `preview`: what browsers play, made when it is first wanted |
//! | `own_clip` | a clip that a subscriber has recorded by phone or uploaded | by the clip's name; `uploaded` 1: it stays until they delete it |
//! | `upload` | a clip on its way in by HTTP | its bytes are in `<data>/uploads/<id>`; `name`, `role`, `by`, `source` as in `audit`; `subscriber` NULL: a clip for all |
//! | `rendition` | one packet cache of a clip | bytes in `blob` |
//! | `message` | one stored message, of a group one for each member | `heard_at` NULL: unheard; `deleted_at` set: in the trash; `urgent` 1: its caller called it so; `media`, `poster` in `blob` |
//! | `tally` | how many messages of a kind a mailbox has | `place`: `new`, `heard` or `trash`; by triggers of `message` |
//! | `total` | how much there is | of messages by `place`, `subscriber`, `call`, media in files (`file`); by triggers |
//! | `member` | who is in a group | `team` is the group, a subscriber; a message for it is a row of `message` for each member, with the same `media` |
//! | `gone` | id of a deleted message | a spool salvaged later must not bring it back |
//! | `notice` | something to tell whose `mailbox` it is | written by the transaction of what happened; `facts` is the JSON of `segue_records::NoticeFacts` |
//! | `delivery` | a notice's way to one recipient by one channel | `key` is never the same for two; `attempts` counts those begun; `since` is when it was queued, or tried anew by a command |
//! | `call` | one ended call | `record` is the JSON of `segue_records::CallRecord` |
//! | `call_hour` | how many calls began in an hour, and what became of them | `hour`: of Unix time; `result` as in records; it stays when records go |
//! | `call_party` | who called whom | by the call's id: searched without reading records |
//! | `call_order` | the place of a call among those committed | `rejected` 1: it was refused; `seq` is never used again |
//! | `record_file` | how far a file of call records has come | up to this `seq` of `call_order` |
//! | `change` | something that happened to a message | written by triggers of `message`; the newest 10,000 |
//! | `refused` | a request that never became a call | `record` is the JSON of `segue_records::RefusedRecord`; the newest 10,000 |
//! | `spent` | how long an account has called on the last day on which it did | `day` by its own clock, `ms` of answered calls |
//! | `secret` | what a subscriber's password is checked by in a realm | `sealed` with a key beside the database |
//! | `pin` | a subscriber's PIN | `sealed`: its hash, under the key of passwords; `wrong` tries in a row, `locked_until` |
//! | `registration` | a contact of a subscriber | all of one are written together; `by_source` 1: it is called at `source` |
//! | `removal` | registrations that a command wants gone | `contact` NULL: all; until the server has read it |
//! | `directory` | counts changes of `subscriber` (who there is, `caps`, `zone`), `number`, `alias`, `member` and `secret` | by triggers; one row |
//! | `trunk` | a trunk that a command has added | `settings` is the JSON of `segue_policy::Trunk`; `sealed`: its password |
//! | `trunk_asked` | a trunk that is to be asked anew | until the server has read it |
//! | `trunks` | counts changes of `trunk` | by triggers; one row |
//! | `identity` | who may log in | a name is one's; `password`: its argon2id hash, absent for who has none; a subscriber's row is made when it is first needed |
//! | `session` | a browser that is logged in | `hash` is the SHA-256 of what it holds |
//! | `login_link` | a link that logs in once | likewise; it goes when it is used |
//! | `token` | by what a program acts for somebody | likewise; `scopes` are words with a space between |
//! | `audit` | what somebody did | written by the transaction that did it; bounded (`own`: by a subscriber, for each) |
//! | `played` | how far a message was played: where it goes on | |
//! | `stretch` | a part of a message that was played | apart from each other; a bounded number for each |
//! | `blob` | a run of bytes | `staged` 1: brought in ahead, not yet part of anything; `stager` says who; `doomed` 1: part of nothing any more, but still read |
//! | `blob_chunk` | at most 256 KiB of a blob | `seq` counts from 0; for blobs of `place` `sqlite` |
//! | `lease` | somebody reads a blob | until when; then it counts no more. |
//! | `unlink` | a file whose blob is gone | removed after the commit, or at the next start. |
//!
//! To add a table or column: append a step to `migrations.rs`, and describe it here.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{StoreError, migrations::STEPS};

/// The schema version this crate reads and writes (`PRAGMA user_version`); older ones are brought up to it.
#[allow(clippy::cast_possible_truncation, reason = "a handful of steps")]
pub const VERSION: u32 = STEPS.len() as u32;

/// `PRAGMA application_id`: "Segu".
const APPLICATION_ID: u32 = 0x5365_6775;

/// The database file in the data directory.
const FILE: &str = "segue.db";

/// How long a transaction waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

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

/// The database file of a data directory.
pub(crate) struct Ensured {
    pub(crate) path: PathBuf,
    /// It is of an older version: [`migrate`] before anything else.
    pub(crate) is_old: bool,
}

/// Makes sure that a database is there, of our version or an older one. A newer one is left untouched.
pub(crate) fn ensure(data_dir: &Path) -> Result<Ensured, StoreError> {
    let path = file(data_dir);
    match version(data_dir)? {
        Some(found) if found == 0 || found > VERSION => Err(StoreError::OtherVersion {
            path,
            found,
            ours: VERSION,
        }),
        Some(VERSION) => Ok(Ensured { path, is_old: false }),
        // The header may be behind the write-ahead log.
        Some(_) => {
            let is_old = user_version(&open(&path)?)? < VERSION;
            Ok(Ensured { path, is_old })
        }
        None => {
            // Messages are private: nobody else may look in.
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(data_dir)
                .map_err(|e| unusable(data_dir, &e))?;
            create(data_dir, &path)?;
            Ok(Ensured { path, is_old: false })
        }
    }
}

/// Brings an older database up to our version. The caller holds the server's lock: no older server works on it.
pub(crate) fn migrate(path: &Path) -> Result<(), StoreError> {
    let conn = open(path)?;
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    let from = user_version(&conn)?;
    run_steps(&conn, STEPS)?;
    // Readers learn the version from the file's header.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    tracing::info!(from, to = VERSION, path = %path.display(), "the database has been brought up to date");
    Ok(())
}

/// Does the steps that a database lacks, each in one transaction with its number.
fn run_steps(conn: &Connection, steps: &[&str]) -> Result<(), StoreError> {
    for (number, sql) in (1_u32..).zip(steps) {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        // Asked inside the transaction: another process may have been faster.
        let done = user_version(conn).and_then(|found| {
            if found < number {
                conn.execute_batch(&format!("{sql}; PRAGMA user_version = {number};"))?;
            }
            Ok(conn.execute_batch("COMMIT")?)
        });
        if let Err(error) = done {
            let _ = conn.execute_batch("ROLLBACK");
            return Err(error);
        }
    }
    Ok(())
}

fn user_version(conn: &Connection) -> Result<u32, StoreError> {
    Ok(conn.query_row("PRAGMA user_version", [], |row| row.get(0))?)
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
             PRAGMA application_id = {APPLICATION_ID};"
        ))
        .map_err(StoreError::from)
        .and_then(|()| run_steps(&conn, STEPS))
        .and_then(|()| Ok(conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?))
        .map_err(|e| at(data_dir, e));
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
    at(data_dir, StoreError::from(error))
}

/// An error of the disk with its place.
fn at(data_dir: &Path, error: StoreError) -> StoreError {
    match error {
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
    let conn = open(path)?;
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
    let found = user_version(&conn)?;
    if found != VERSION {
        return Err(StoreError::OtherVersion {
            path: path.to_owned(),
            found,
            ours: VERSION,
        });
    }
    Ok(conn)
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| opening(path, &e))?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_leaves_the_database_as_the_step_before_made_it() {
        let conn = Connection::open_in_memory().unwrap();
        let broken = ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"];
        assert!(run_steps(&conn, &broken).is_err());
        assert_eq!(user_version(&conn), Ok(1));
        let tables = |conn: &Connection| -> i64 {
            conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(tables(&conn), 1);
        // Mended, it goes on from there, and a second time does nothing.
        for _ in 0..2 {
            run_steps(&conn, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).unwrap();
            assert_eq!((user_version(&conn), tables(&conn)), (Ok(2), 2));
        }
    }
}
