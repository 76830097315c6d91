//! Who did what. A handle of the store that acts for somebody ([`Store::acting`]) writes it down in the transaction that does it.

use rusqlite::{Connection, Row, params};

use crate::{Role, Store, StoreError, now_ms};

/// Longest text of a deed that is kept, characters: some of it comes from outside.
const TEXT_MAX: usize = 512;

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Who: the name of an operator or subscriber, or of the system's user for a command.
    pub name: String,
    /// What they are; who is not in yet, or a subscriber: their deeds are bounded each for itself.
    pub role: Role,
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

    /// Puts down what changes nothing here, unless the same was by the same within `within_ms`, as far as their last deeds tell.
    pub fn put_down_once(&self, deed: Deed, within_ms: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            let since = now_ms().saturating_sub(within_ms);
            let again = tx
                .prepare_cached(
                    "SELECT 1 FROM (SELECT at, what, object FROM audit WHERE name = ?1 ORDER BY id DESC LIMIT 500)
                     WHERE at > ?2 AND what = ?3 AND object = ?4",
                )?
                .exists(params![deed.name, since, deed.what, cut(&deed.object)])?;
            if again { Ok(()) } else { insert(tx, &deed) }
        })
    }

    /// Deeds, the newest first: those before the row `before`, of or about one, at most `max`. What a command of a like-named user of the
    /// system did, or an operator, is not a subscriber's.
    pub fn audit(&self, of: Option<(&str, Role)>, before: Option<i64>, max: u32) -> Result<Vec<Done>, StoreError> {
        let before = before.unwrap_or(i64::MAX);
        self.read(|db| {
            let Some((name, role)) = of else {
                return Ok(db
                    .prepare_cached(
                        "SELECT id, at, name, by, source, what, object, owner, detail, own FROM audit
                         WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                    )?
                    .query_map(params![before, max], done)?
                    .collect::<Result<_, _>>()?);
            };
            Ok(db
                .prepare_cached(
                    "SELECT id, at, name, by, source, what, object, owner, detail, own FROM audit WHERE id IN (
                         SELECT id FROM (SELECT id FROM audit WHERE name = ?2 AND own >= ?4 AND id < ?1 ORDER BY id DESC LIMIT ?3)
                         UNION
                         SELECT id FROM (SELECT id FROM audit WHERE owner = ?2 AND id < ?1 ORDER BY id DESC LIMIT ?3))
                     ORDER BY id DESC LIMIT ?3",
                )?
                .query_map(params![before, name, max, own(role)], done)?
                .collect::<Result<_, _>>()?)
        })
    }
}

fn own(role: Role) -> bool {
    role == Role::Subscriber
}

fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(TEXT_MAX)
        .map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

pub(crate) fn insert(tx: &Connection, deed: &Deed) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO audit (at, name, by, source, what, object, owner, detail, own) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        now_ms(),
        deed.name,
        deed.by,
        deed.source,
        deed.what,
        cut(&deed.object),
        deed.owner,
        cut(&deed.detail),
        own(deed.role)
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
            role: if row.get(9)? { Role::Subscriber } else { Role::Operator },
        },
    })
}
