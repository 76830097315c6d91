//! Heard and unheard, pinned and deleted, and what goes when a threshold is passed.
//!
//! The rules themselves are [`segue_mailbox::sweep`]; here they run inside the transaction that changed something, so
//! nobody ever sees more heard messages than they allow. `rules.rs` keeps the rules, `enforce.rs` does what they demand
//! and writes the audit, `run.rs` is for what only time brings, `reservations.rs` for callers who are still to speak.

mod enforce;
mod reservations;
mod rules;
mod run;

use rusqlite::{Connection, OptionalExtension, params};

use crate::{Store, StoreError, messages};

pub(crate) use enforce::{enforce, tell_of_room};
pub(crate) use reservations::Reservations;
pub use reservations::Reserve;
pub use rules::{ChangedRules, Rules};
pub use run::{AuditRow, Fate, Foreseen, RunReport};

/// What a change of one message did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkOutcome {
    /// It changed something. `false`: it was so already (another reader was faster), nothing was changed.
    pub changed: bool,
    /// Messages that the rules took in the same transaction, in order.
    pub evicted: Vec<String>,
}

/// What became of a message that somebody deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is in the trash until then, Unix milliseconds.
    ToTrash {
        /// When it is freed.
        until_ms: i64,
    },
    /// It was in the trash already and still is.
    Already,
    /// It is gone with its media.
    Freed,
}

impl Store {
    /// Marks a message heard at `now_ms`, and in the same transaction lets the oldest heard go past the thresholds.
    /// Only the first of several readers changes anything.
    ///
    /// Errors: [`StoreError::NotFound`]; [`StoreError::Refused`] in the trash.
    pub fn mark_heard(&self, id: &str, now_ms: i64) -> Result<MarkOutcome, StoreError> {
        self.change(id, now_ms, move |tx, id| {
            tx.prepare_cached("UPDATE message SET heard_at = ?, warned_at = NULL WHERE id = ? AND heard_at IS NULL")?
                .execute(params![now_ms, id])
        })
    }

    /// Marks a message unheard: the rules for unheard ones hold again, with a warning of their own.
    ///
    /// Errors: as [`Store::mark_heard`].
    pub fn mark_unheard(&self, id: &str, now_ms: i64) -> Result<MarkOutcome, StoreError> {
        self.change(id, now_ms, |tx, id| {
            // Who marks it new hears it anew.
            tx.prepare_cached("DELETE FROM stretch WHERE message = ?")?
                .execute([id])?;
            tx.prepare_cached(
                "UPDATE message SET heard_at = NULL, warned_at = NULL WHERE id = ? AND heard_at IS NOT NULL",
            )?
            .execute([id])
        })
    }

    /// Pins a message: no rule counts or deletes it. Or unpins it: the rules act on it at once.
    ///
    /// Errors: as [`Store::mark_heard`].
    pub fn pin_message(&self, id: &str, pinned: bool, now_ms: i64) -> Result<MarkOutcome, StoreError> {
        self.change(id, now_ms, move |tx, id| {
            tx.prepare_cached("UPDATE message SET pinned = ?1, warned_at = NULL WHERE id = ?2 AND pinned != ?1")?
                .execute(params![pinned, id])
        })
    }

    /// Deletes a message: into the trash, from which [`Store::undelete_message`] brings it back, or at once when its
    /// mailbox has none. Error: [`StoreError::NotFound`].
    pub fn delete_message(&self, id: &str, now_ms: i64) -> Result<Deleted, StoreError> {
        let id = id.to_owned();
        let with = self.enforcement();
        self.write(move |tx| {
            let Place { mailbox, deleted_at } = place(tx, &id)?;
            let trash_ms = with.rules(tx, &mailbox)?.trash_ms;
            if trash_ms == 0 {
                messages::free(tx, &with.blobs, &id)?;
                return Ok(Deleted::Freed);
            }
            if deleted_at.is_some() {
                return Ok(Deleted::Already);
            }
            messages::to_trash(tx, &id, now_ms, "user")?;
            let until_ms = now_ms.saturating_add(i64::try_from(trash_ms).unwrap_or(i64::MAX));
            Ok(Deleted::ToTrash { until_ms })
        })
    }

    /// Deletes a message with its media and notices, whether it was in the trash or not; nothing brings it back. Its
    /// media is freed when the last who reads it has ended. Error: [`StoreError::NotFound`].
    pub fn free_message(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        let blobs = self.inner.blobs.clone();
        self.write(move |tx| {
            if messages::free(tx, &blobs, &id)? {
                Ok(())
            } else {
                Err(StoreError::not_found("message", &id))
            }
        })
    }

    /// Brings a message back from the trash, heard or unheard as it was, and pinned if so asked. The rules act in the same
    /// transaction and may take older ones.
    ///
    /// Errors: [`StoreError::NotFound`]; [`StoreError::Refused`] when a rule would take it away again at once.
    pub fn undelete_message(&self, id: &str, pinned: bool, now_ms: i64) -> Result<MarkOutcome, StoreError> {
        let id = id.to_owned();
        let with = self.enforcement();
        self.write(move |tx| {
            let Place { mailbox, deleted_at } = place(tx, &id)?;
            if deleted_at.is_none() {
                return Ok(MarkOutcome::default());
            }
            // What it was warned of has happened: a later deletion is warned of anew.
            tx.prepare_cached(
                "UPDATE message SET deleted_at = NULL, deleted_by = NULL, warned_at = NULL, pinned = max(pinned, ?)
                 WHERE id = ?",
            )?
            .execute(params![pinned, id])?;
            let done = enforce(tx, &with, &mailbox, now_ms, Some(now_ms))?;
            if done.evicted.contains(&id) {
                return Err(StoreError::Refused {
                    why: format!("the rules of {mailbox} would delete message {id} again at once"),
                    fix: format!("keep it with 'segue message undelete {id} --pin', or change 'segue retention set'"),
                });
            }
            Ok(MarkOutcome {
                changed: true,
                evicted: done.evicted,
            })
        })
    }

    /// A change of one message that is not in the trash, and what the rules make of it.
    fn change(
        &self,
        id: &str,
        now_ms: i64,
        change: impl FnOnce(&Connection, &str) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<MarkOutcome, StoreError> {
        let id = id.to_owned();
        let with = self.enforcement();
        self.write(move |tx| {
            let Place { mailbox, deleted_at } = place(tx, &id)?;
            if deleted_at.is_some() {
                return Err(StoreError::in_trash(&id));
            }
            if change(tx, &id)? == 0 {
                return Ok(MarkOutcome::default());
            }
            let done = enforce(tx, &with, &mailbox, now_ms, None)?;
            Ok(MarkOutcome {
                changed: true,
                evicted: done.evicted,
            })
        })
    }
}

struct Place {
    mailbox: String,
    deleted_at: Option<i64>,
}

fn place(db: &Connection, id: &str) -> Result<Place, StoreError> {
    db.prepare_cached("SELECT mailbox, deleted_at FROM message WHERE id = ?")?
        .query_row([id], |row| {
            Ok(Place {
                mailbox: row.get(0)?,
                deleted_at: row.get(1)?,
            })
        })
        .optional()?
        .ok_or_else(|| StoreError::not_found("message", id))
}
