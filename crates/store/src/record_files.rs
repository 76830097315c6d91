//! Call records in the order of their commits, for the files that are written of them; and which of them go.

use rusqlite::{Connection, OptionalExtension, params};
use segue_records::CallRecord;

use crate::{Store, StoreError};

/// Rejected calls kept; beyond it the oldest go. Whoever is admitted can call numbers that are not there all day long.
pub const REJECTED_MAX: u32 = 10_000;

/// Records deleted in one transaction.
const PRUNED_AT_ONCE: i64 = 2_000;

/// How many call records stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The newest so many; `None`: all.
    pub max: Option<u32>,
    /// Those that began within so many milliseconds; `None`: all.
    pub age_ms: Option<u64>,
    /// None that is still to be written to the files of these forms.
    pub forms: Vec<&'static str>,
}

/// A call record in the store that is none any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the call record {id} cannot be read: {why}")]
pub struct Unreadable {
    /// Of the call.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

/// The place of a committed call, and its record while that can be read.
pub type Committed = (i64, Result<CallRecord, Unreadable>);

impl Store {
    /// Call records committed after a place, in order, at most `max`, each with its own place. One that cannot be read
    /// keeps nobody from those after it: it is [`Unreadable`].
    pub fn calls_after(&self, place: i64, max: u32) -> Result<Vec<Committed>, StoreError> {
        self.read(|db| {
            let rows = db
                .prepare_cached(
                    "SELECT o.seq, c.id, c.record FROM call_order o JOIN call c ON c.id = o.id
                     WHERE o.seq > ? ORDER BY o.seq LIMIT ?",
                )?
                .query_map(params![place, max], |row| {
                    let (seq, id) = (row.get(0)?, row.get(1)?);
                    let record = match row.get_ref(2)?.as_bytes() {
                        Ok(json) => serde_json::from_slice(json).map_err(|e| e.to_string()),
                        Err(e) => Err(e.to_string()),
                    };
                    Ok((seq, record.map_err(|why| Unreadable { id, why })))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(rows)
        })
    }

    /// The place of a call record, while it is kept.
    pub fn place_of_call(&self, id: &str) -> Result<Option<i64>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached("SELECT seq FROM call_order WHERE id = ?")?
                .query_row([id], |row| row.get(0))
                .optional()?)
        })
    }

    /// How many call records were committed after a place and are kept.
    pub fn calls_waiting(&self, place: i64) -> Result<u64, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached("SELECT count(*) FROM call_order WHERE seq > ?")?
                .query_row([place], |row| row.get(0))?)
        })
    }

    /// How far the file of a form has come; 0 before its first record.
    pub fn record_file(&self, form: &str) -> Result<i64, StoreError> {
        self.read(|db| Ok(place(db, form)?))
    }

    /// Notes that the file of a form holds all records up to a place.
    pub fn record_file_holds(&self, form: &'static str, place: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("INSERT OR REPLACE INTO record_file (form, seq) VALUES (?, ?)")?
                .execute(params![form, place])?;
            Ok(())
        })
    }

    /// Deletes call records that need not stay, and rejected calls beyond [`REJECTED_MAX`]. `now_ms` `None`: none for
    /// its age, since nobody knows the time. Returns how many went.
    pub fn prune_calls(&self, kept: &Kept, now_ms: Option<i64>) -> Result<u64, StoreError> {
        let mut all = 0_u64;
        loop {
            let kept = kept.clone();
            let gone = self.write(move |tx| prune(tx, &kept, now_ms))?;
            all = all.saturating_add(gone);
            if gone == 0 {
                return Ok(all);
            }
        }
    }
}

fn place(db: &Connection, form: &str) -> rusqlite::Result<i64> {
    let found = db
        .prepare_cached("SELECT seq FROM record_file WHERE form = ?")?
        .query_row([form], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

fn prune(tx: &Connection, kept: &Kept, now_ms: Option<i64>) -> Result<u64, StoreError> {
    // What a file lacks stays, whatever else holds.
    let mut written = i64::MAX;
    for form in &kept.forms {
        written = written.min(place(tx, form)?);
    }
    // The place of the newest that goes, since so many are newer.
    let beyond = |condition: &str, max: u32| {
        let sql = format!("SELECT seq FROM call_order WHERE {condition} ORDER BY seq DESC LIMIT 1 OFFSET ?");
        tx.prepare_cached(&sql)?
            .query_row([max], |row| row.get::<_, i64>(0))
            .optional()
    };
    let many = match kept.max {
        Some(max) => beyond("1", max)?,
        None => None,
    };
    let rejected = beyond("rejected = 1", REJECTED_MAX)?;
    let before = kept
        .age_ms
        .zip(now_ms)
        .map(|(age, now)| now.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)));
    let mut gone: Vec<i64> = Vec::new();
    let mut find = |sql: &str, bound: Option<i64>| -> Result<(), StoreError> {
        let Some(bound) = bound else { return Ok(()) };
        let mut statement = tx.prepare_cached(sql)?;
        let rows = statement.query_map(params![bound, written, PRUNED_AT_ONCE], |row| row.get(0))?;
        for seq in rows {
            gone.push(seq?);
        }
        Ok(())
    };
    find(
        "SELECT seq FROM call_order WHERE seq <= ? AND seq <= ? ORDER BY seq LIMIT ?",
        many,
    )?;
    find(
        "SELECT seq FROM call_order WHERE rejected = 1 AND seq <= ? AND seq <= ? ORDER BY seq LIMIT ?",
        rejected,
    )?;
    find(
        "SELECT o.seq FROM call c JOIN call_order o ON o.id = c.id
         WHERE c.started_at < ? AND o.seq <= ? ORDER BY c.started_at LIMIT ?",
        before,
    )?;
    gone.sort_unstable();
    gone.dedup();
    let mut call = tx.prepare_cached("DELETE FROM call WHERE id = (SELECT id FROM call_order WHERE seq = ?)")?;
    let mut order = tx.prepare_cached("DELETE FROM call_order WHERE seq = ?")?;
    for seq in &gone {
        call.execute([seq])?;
        order.execute([seq])?;
    }
    Ok(gone.len() as u64)
}
