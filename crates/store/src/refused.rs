//! Records of requests that never became calls: a ring of bounded length.

use rusqlite::{Connection, OptionalExtension, params};
use segue_records::RefusedRecord;

use crate::{Store, StoreError};

/// Records kept; beyond it the oldest goes.
pub const REFUSED_MAX: u32 = 10_000;

impl Store {
    /// Stores a record without waiting (one of the same id is replaced); the oldest beyond [`REFUSED_MAX`] goes. `done`
    /// runs on the store's thread after the commit. Error: [`StoreError::QueueFull`], then `done` does not run.
    pub fn save_refused_later(
        &self,
        record: &RefusedRecord,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(record).map_err(|e| StoreError::Sql(e.to_string()))?;
        let (id, at) = (record.id.clone(), record.at.0);
        self.inner.writer.submit(move |tx| insert(tx, &id, at, &json), done)
    }

    /// One refused request. Error: [`StoreError::NotFound`].
    pub fn refused(&self, id: &str) -> Result<RefusedRecord, StoreError> {
        self.read(|db| {
            let json: Option<String> = db
                .prepare_cached("SELECT record FROM refused WHERE id = ?")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            parse(&json.ok_or_else(|| StoreError::not_found("call", id))?)
        })
    }

    /// Requests that were refused at or after a moment (Unix milliseconds), oldest first.
    pub fn all_refused(&self, since_ms: i64) -> Result<Vec<RefusedRecord>, StoreError> {
        self.read(|db| {
            let rows = db
                .prepare_cached("SELECT record FROM refused WHERE at >= ? ORDER BY at, seq")?
                .query_map([since_ms], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()?;
            rows.iter().map(|json| parse(json)).collect()
        })
    }
}

fn insert(tx: &Connection, id: &str, at: i64, json: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO refused (id, at, record) VALUES (?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET record = excluded.record",
    )?
    .execute(params![id, at, json])?;
    // `seq` grows by one with each: no counting is needed.
    tx.prepare_cached("DELETE FROM refused WHERE seq <= (SELECT max(seq) FROM refused) - ?")?
        .execute([REFUSED_MAX])?;
    Ok(())
}

fn parse(json: &str) -> Result<RefusedRecord, StoreError> {
    serde_json::from_str(json).map_err(|e| StoreError::Corrupt(e.to_string()))
}
