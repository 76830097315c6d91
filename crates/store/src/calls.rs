//! Records of ended calls.

use rusqlite::{Connection, params};
use segue_records::{CallRecord, CallResult};

use crate::{
    Store, StoreError,
    looking::{END, LOOKED_AT_MAX, Looked, Sought},
};

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

    /// How many calls began in each hour from the one of `since_ms` on (Unix milliseconds), the oldest hour first. It is
    /// known of calls whose records are gone, too.
    pub fn calls_by_hour(&self, since_ms: i64) -> Result<Vec<CallsOfHour>, StoreError> {
        self.read(|db| {
            let mut rows =
                db.prepare_cached("SELECT hour, result, calls FROM call_hour WHERE hour >= ? ORDER BY hour, result")?;
            let mut rows = rows.query([since_ms.div_euclid(HOUR_MS)])?;
            let mut hours = Vec::new();
            while let Some(row) = rows.next()? {
                let (hour, result): (i64, String) = (row.get(0)?, row.get(1)?);
                let result = serde_json::from_value(result.into()).map_err(|e| StoreError::Corrupt(e.to_string()))?;
                hours.push(CallsOfHour {
                    hour_ms: hour.saturating_mul(HOUR_MS),
                    result,
                    calls: row.get(2)?,
                });
            }
            Ok(hours)
        })
    }

    /// Ended calls, the newest first: those before the call of an id, at most `max`; with a text those who have it in an address of caller or
    /// callee, in whatever case.
    pub fn calls_page(
        &self,
        before: Option<&str>,
        max: usize,
        text: Option<&str>,
    ) -> Result<Looked<CallRecord>, StoreError> {
        let before = before.unwrap_or(END);
        self.read(|db| {
            let Some(text) = text else {
                let limit = i64::try_from(max).unwrap_or(i64::MAX);
                let found = many(db, "id < ? ORDER BY id DESC LIMIT ?", params![before, limit])?;
                return Ok(Looked { found, ended_at: None });
            };
            let Looked { found, ended_at } = ids(db, before, max, &Sought::new(text))?;
            let mut records = Vec::new();
            for id in &found {
                records.extend(many(db, "id = ?", params![id])?);
            }
            Ok(Looked {
                found: records,
                ended_at,
            })
        })
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
    caller: String,
    callee: String,
    started_at: i64,
    result: CallResult,
    record: String,
}

/// One hour in milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// Calls that began within one hour and ended the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallsOfHour {
    /// When the hour began, Unix milliseconds.
    pub hour_ms: i64,
    /// What became of them.
    pub result: CallResult,
    /// How many.
    pub calls: u64,
}

impl CallRow {
    fn new(record: &CallRecord) -> Result<CallRow, StoreError> {
        Ok(CallRow {
            id: record.id.clone(),
            sip_call_id: record.sip_call_id.clone(),
            caller: record.from.clone(),
            callee: record.to.clone(),
            started_at: record.started_at.0,
            result: record.result,
            record: serde_json::to_string(record).map_err(|e| StoreError::Sql(e.to_string()))?,
        })
    }

    fn insert(&self, tx: &Connection) -> Result<(), StoreError> {
        tx.prepare_cached("INSERT OR REPLACE INTO call (id, sip_call_id, started_at, record) VALUES (?, ?, ?, ?)")?
            .execute(params![self.id, self.sip_call_id, self.started_at, self.record])?;
        tx.prepare_cached("INSERT OR REPLACE INTO call_party (id, caller, callee) VALUES (?, ?, ?)")?
            .execute(params![self.id, self.caller, self.callee])?;
        let is_new = tx
            .prepare_cached("INSERT OR IGNORE INTO call_order (id, rejected) VALUES (?, ?)")?
            .execute(params![self.id, self.result == CallResult::Rejected])?;
        if is_new > 0 {
            tx.prepare_cached(
                "INSERT INTO call_hour (hour, result, calls) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET calls = calls + 1",
            )?
            .execute(params![self.started_at.div_euclid(HOUR_MS), self.result.as_str()])?;
        }
        Ok(())
    }
}

fn ids(db: &Connection, before: &str, max: usize, sought: &Sought) -> Result<Looked<String>, StoreError> {
    let mut statement = db.prepare_cached("SELECT id, caller, callee FROM call_party WHERE id < ? ORDER BY id DESC")?;
    let mut rows = statement.query([before])?;
    let mut found = Vec::new();
    let mut looked_at = 0;
    while found.len() < max
        && let Some(row) = rows.next()?
    {
        let has = |column: usize| Ok::<_, rusqlite::Error>(sought.is_in(row.get_ref(column)?.as_str()?));
        if has(1)? || has(2)? {
            found.push(row.get(0)?);
        }
        looked_at += 1;
        if looked_at >= LOOKED_AT_MAX {
            let ended_at = Some(row.get(0)?);
            return Ok(Looked { found, ended_at });
        }
    }
    Ok(Looked { found, ended_at: None })
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
