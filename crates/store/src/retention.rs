//! Heard and unheard, and what goes when a threshold is passed.
//!
//! The rule itself is [`Retention::evict`]; here it runs inside the transaction that changed something, so nobody ever
//! sees more heard messages than the rule allows.

use rusqlite::{Connection, OptionalExtension, params};
use segue_mailbox::{Heard, Retention};

use crate::{Store, StoreError, blobs::Blobs, messages};

/// What marking did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkOutcome {
    /// The mark changed something. `false`: it was so already (another reader was faster), nothing was changed.
    pub changed: bool,
    /// Messages that went, oldest heard first.
    pub evicted: Vec<String>,
}

impl Store {
    /// Marks a message heard at `now_ms`, and in the same transaction lets the oldest heard go past the threshold.
    /// Only the first of several readers changes anything. Error: [`StoreError::NotFound`].
    pub fn mark_heard(&self, id: &str, now_ms: i64) -> Result<MarkOutcome, StoreError> {
        let id = id.to_owned();
        let blobs = self.inner.blobs.clone();
        self.write(move |tx| {
            let marked: Option<String> = tx
                .prepare_cached("UPDATE message SET heard_at = ? WHERE id = ? AND heard_at IS NULL RETURNING mailbox")?
                .query_row(params![now_ms, id], |row| row.get(0))
                .optional()?;
            let Some(mailbox) = marked else {
                exists(tx, &id)?;
                return Ok(MarkOutcome::default());
            };
            let evicted = enforce(tx, blobs.as_ref(), &mailbox)?;
            Ok(MarkOutcome { changed: true, evicted })
        })
    }

    /// Marks a message unheard. Error: [`StoreError::NotFound`].
    pub fn mark_unheard(&self, id: &str) -> Result<MarkOutcome, StoreError> {
        let id = id.to_owned();
        self.write(move |tx| {
            let changed = tx
                .prepare_cached("UPDATE message SET heard_at = NULL WHERE id = ? AND heard_at IS NOT NULL")?
                .execute([&id])?;
            if changed == 0 {
                exists(tx, &id)?;
            }
            Ok(MarkOutcome {
                changed: changed > 0,
                evicted: Vec::new(),
            })
        })
    }

    /// A subscriber's rules. Error: [`StoreError::NotFound`].
    pub fn retention(&self, user: &str) -> Result<Retention, StoreError> {
        self.read(|db| {
            subscriber_exists(db, user)?;
            rules(db, user)
        })
    }

    /// Sets a subscriber's rules; they act at once, in the same transaction. Returns what went, oldest heard first.
    /// Error: [`StoreError::NotFound`].
    pub fn set_retention(&self, user: &str, retention: Retention) -> Result<Vec<String>, StoreError> {
        let user = user.to_owned();
        let blobs = self.inner.blobs.clone();
        self.write(move |tx| {
            subscriber_exists(tx, &user)?;
            tx.prepare_cached("INSERT OR REPLACE INTO retention (mailbox, heard_max) VALUES (?, ?)")?
                .execute(params![user, retention.heard_max.map_or(-1, i64::from)])?;
            enforce(tx, blobs.as_ref(), &user)
        })
    }
}

/// Applies a mailbox's rules inside a transaction; returns what went.
fn enforce(tx: &Connection, blobs: &dyn Blobs, mailbox: &str) -> Result<Vec<String>, StoreError> {
    let rules = rules(tx, mailbox)?;
    if rules.heard_max.is_none() {
        return Ok(Vec::new());
    }
    let heard = tx
        .prepare_cached("SELECT heard_at, id FROM message WHERE mailbox = ? AND heard_at IS NOT NULL")?
        .query_map([mailbox], |row| {
            Ok(Heard {
                heard_at_ms: row.get(0)?,
                id: row.get(1)?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let evicted = rules.evict(heard);
    for id in &evicted {
        messages::delete(tx, blobs, id)?;
    }
    Ok(evicted)
}

fn rules(db: &Connection, mailbox: &str) -> Result<Retention, StoreError> {
    let heard_max: Option<Option<i64>> = db
        .prepare_cached("SELECT heard_max FROM retention WHERE mailbox = ?")?
        .query_row([mailbox], |row| row.get(0))
        .optional()?;
    Ok(Retention {
        heard_max: heard_max.flatten().and_then(|n| u32::try_from(n).ok()),
    })
}

fn exists(db: &Connection, id: &str) -> Result<(), StoreError> {
    db.prepare_cached("SELECT 1 FROM message WHERE id = ?")?
        .exists([id])?
        .then_some(())
        .ok_or_else(|| StoreError::not_found("message", id))
}

fn subscriber_exists(db: &Connection, user: &str) -> Result<(), StoreError> {
    db.prepare_cached("SELECT 1 FROM subscriber WHERE user = ?")?
        .exists([user])?
        .then_some(())
        .ok_or_else(|| StoreError::not_found("subscriber", user))
}
