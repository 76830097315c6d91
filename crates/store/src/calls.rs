//! Records of ended calls.

use rusqlite::{Connection, params};
use segue_records::{CallRecord, CallResult};

use crate::{Store, StoreError};

impl Store {
    /// Stores a call record and waits until it is on the disk. One of the same id is replaced.
    pub fn save_call(&self, record: &CallRecord) -> Result<(), StoreError> {
        let row = CallRow::new(record)?;
        self.write(move |tx| row.insert(tx))
    }

    /// The same without waiting: `done` runs on the store's thread after the commit.
    /// Error: [`StoreError::QueueFull`], then `done` does not run.
    pub fn save_call_later(
        &self,
        record: &CallRecord,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let row = CallRow::new(record)?;
        self.inner.writer.submit(move |tx| row.insert(tx), done)
    }

    /// One call. Error: [`StoreError::NotFound`].
    pub fn call(&self, id: &str) -> Result<CallRecord, StoreError> {
        self.read(|db| {
            many(db, "id = ?", params![id])?
                .into_iter()
                .next()
                .ok_or_else(|| StoreError::not_found("call", id))
        })
    }

    /// Calls that began at or after a moment (Unix milliseconds), oldest first.
    pub fn calls(&self, since_ms: i64) -> Result<Vec<CallRecord>, StoreError> {
        self.read(|db| many(db, "started_at >= ? ORDER BY started_at, id", params![since_ms]))
    }

    /// The ended call whose caller's leg had this Call-ID; the newest if there are several.
    pub fn call_by_sip_call_id(&self, sip_call_id: &str) -> Result<Option<CallRecord>, StoreError> {
        self.read(|db| {
            let found = many(
                db,
                "sip_call_id = ? ORDER BY started_at DESC, id DESC LIMIT 1",
                params![sip_call_id],
            )?;
            Ok(found.into_iter().next())
        })
    }
}

struct CallRow {
    id: String,
    sip_call_id: String,
    started_at: i64,
    rejected: bool,
    record: String,
}

impl CallRow {
    fn new(record: &CallRecord) -> Result<CallRow, StoreError> {
        Ok(CallRow {
            id: record.id.clone(),
            sip_call_id: record.sip_call_id.clone(),
            started_at: record.started_at.0,
            rejected: record.result == CallResult::Rejected,
            record: serde_json::to_string(record).map_err(|e| StoreError::Sql(e.to_string()))?,
        })
    }

    fn insert(&self, tx: &Connection) -> Result<(), StoreError> {
        tx.prepare_cached("INSERT OR REPLACE INTO call (id, sip_call_id, started_at, record) VALUES (?, ?, ?, ?)")?
            .execute(params![self.id, self.sip_call_id, self.started_at, self.record])?;
        tx.prepare_cached("INSERT OR IGNORE INTO call_order (id, rejected) VALUES (?, ?)")?
            .execute(params![self.id, self.rejected])?;
        Ok(())
    }
}

fn many(db: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Vec<CallRecord>, StoreError> {
    let rows = db
        .prepare_cached(&format!("SELECT record FROM call WHERE {condition}"))?
        .query_map(values, |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    rows.iter()
        .map(|json| serde_json::from_str(json).map_err(|e| StoreError::Corrupt(e.to_string())))
        .collect()
}
