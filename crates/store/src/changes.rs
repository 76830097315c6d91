//! What happened to messages, for those who follow it. Triggers note a change in the transaction that makes it
//! (`migrations.rs`): who reads on from the last one sees each exactly once, whichever process made it, and none that was
//! rolled back.

use rusqlite::{Connection, Row, params};
use segue_records::{Event, Happening, MessageFacts, UnixMs};

use crate::{Store, StoreError, schema};

/// One change, with its place in the row of all.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Grows with each.
    pub seq: i64,
    /// What.
    pub event: Event,
}

/// Follows the changes that any process commits.
#[derive(Debug)]
pub struct Follower {
    conn: Connection,
    version: i64,
    last: i64,
}

impl Store {
    /// The place of the newest change; 0 when there was none.
    pub fn last_change(&self) -> Result<i64, StoreError> {
        self.read(|db| Ok(db.query_row("SELECT coalesce(max(seq), 0) FROM change", [], |row| row.get(0))?))
    }

    /// The place of the oldest change that is kept; 0 when there is none.
    pub fn first_change(&self) -> Result<i64, StoreError> {
        self.read(|db| Ok(db.query_row("SELECT coalesce(min(seq), 0) FROM change", [], |row| row.get(0))?))
    }

    /// Changes after a place, in order, at most `max`.
    pub fn changes(&self, after: i64, max: u32) -> Result<Vec<Change>, StoreError> {
        self.read(|db| changes(db, after, max))
    }

    /// Follows the changes after a place.
    pub fn follow(&self, after: i64) -> Result<Follower, StoreError> {
        let conn = schema::connect(&schema::file(self.data_dir()))?;
        conn.execute_batch("PRAGMA query_only = ON")?;
        Ok(Follower {
            conn,
            version: -1,
            last: after,
        })
    }
}

impl Follower {
    /// What was committed since the last time, at most `max`. Cheap when nothing was.
    pub fn poll(&mut self, max: u32) -> Result<Vec<Change>, StoreError> {
        // sqlite.org/pragma.html#pragma_data_version: another value whenever another connection has committed.
        let version: i64 = self.conn.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if version == self.version {
            return Ok(Vec::new());
        }
        let found = changes(&self.conn, self.last, max)?;
        match found.last() {
            Some(newest) => self.last = newest.seq,
            None => self.version = version,
        }
        Ok(found)
    }
}

fn changes(db: &Connection, after: i64, max: u32) -> Result<Vec<Change>, StoreError> {
    // A rule that took a message at once, past the trash, stands in the audit alone.
    let mut statement = db.prepare_cached(
        "SELECT seq, at, what, message, mailbox, call_id, sip_call_id, caller, kind, duration_ms, bytes,
                coalesce(rule, (SELECT rule FROM retention_audit a
                                WHERE a.mailbox = c.mailbox AND a.message = c.message ORDER BY a.id DESC LIMIT 1))
         FROM change c WHERE seq > ? ORDER BY seq LIMIT ?",
    )?;
    let rows = statement.query_map(params![after, max], change)?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let what: String = row.get(2)?;
    let message = MessageFacts {
        message_id: row.get(3)?,
        mailbox: row.get(4)?,
        from: row.get(7)?,
        kind: row.get(8)?,
        duration_ms: row.get(9)?,
        bytes: row.get(10)?,
    };
    let known = |text: String| (!text.is_empty()).then_some(text);
    Ok(Change {
        seq: row.get(0)?,
        event: Event {
            at: UnixMs(row.get(1)?),
            call_id: known(row.get(5)?),
            sip_call_id: known(row.get(6)?),
            what: match what.as_str() {
                "committed" => Happening::MessageCommitted(message),
                "heard" => Happening::MessageHeard(message),
                "unheard" => Happening::MessageUnheard(message),
                "restored" => Happening::MessageRestored(message),
                _ => Happening::MessageDeleted {
                    message,
                    by: row.get::<_, Option<String>>(11)?.unwrap_or_else(|| "user".to_owned()),
                },
            },
        },
    })
}
