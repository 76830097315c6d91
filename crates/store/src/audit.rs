//! Who did what. A handle of the store that acts for somebody ([`Store::acting`]) writes it down in the transaction that does it.

use rusqlite::{Connection, Row, params};

use crate::{Store, StoreError, now_ms};

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Who: the name of an operator or subscriber, or of the system's user for a command.
    pub name: String,
    /// By what: `session`, `token ID` or `command`.
    pub by: String,
    /// From where; empty for a command.
    pub source: String,
    /// What, e.g. `message.delete`.
    pub what: String,
    /// To what, e.g. the message's id.
    pub object: String,
    /// Whose that is, where it is somebody's.
    pub owner: Option<String>,
    /// More about it, in words; nothing secret.
    pub detail: String,
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Grows with each.
    pub id: i64,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// What.
    pub deed: Deed,
}

impl Store {
    /// The same store, whose writes are put down as this deed: in their transaction, so that neither is there without the other.
    pub fn acting(&self, deed: Deed) -> Store {
        Store {
            inner: self.inner.clone(),
            deed: Some(deed.into()),
        }
    }

    /// Puts down what changes nothing here.
    pub fn put_down(&self, deed: Deed) -> Result<(), StoreError> {
        self.acting(deed).write(|_| Ok(()))
    }

    /// The same without waiting for the disk. Error: [`StoreError::QueueFull`].
    pub fn put_down_later(&self, deed: Deed) -> Result<(), StoreError> {
        self.inner.writer.submit(move |tx| insert(tx, &deed), |_| ())
    }

    /// Deeds, the newest first: those before the row `before`, of or about one, at most `max`.
    pub fn audit(&self, of: Option<&str>, before: Option<i64>, max: u32) -> Result<Vec<Done>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(
                    "SELECT id, at, name, by, source, what, object, owner, detail FROM audit
                     WHERE id < ?1 AND (?2 IS NULL OR name = ?2 OR owner = ?2) ORDER BY id DESC LIMIT ?3",
                )?
                .query_map(params![before.unwrap_or(i64::MAX), of, max], done)?
                .collect::<Result<_, _>>()?)
        })
    }
}

pub(crate) fn insert(tx: &Connection, deed: &Deed) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO audit (at, name, by, source, what, object, owner, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        now_ms(),
        deed.name,
        deed.by,
        deed.source,
        deed.what,
        deed.object,
        deed.owner,
        deed.detail
    ])?;
    Ok(())
}

fn done(row: &Row<'_>) -> rusqlite::Result<Done> {
    Ok(Done {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        deed: Deed {
            name: row.get(2)?,
            by: row.get(3)?,
            source: row.get(4)?,
            what: row.get(5)?,
            object: row.get(6)?,
            owner: row.get(7)?,
            detail: row.get(8)?,
        },
    })
}
