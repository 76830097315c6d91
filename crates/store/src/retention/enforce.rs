//! Does what the rules demand, inside a transaction, and writes down each deletion.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, params};
use segue_mailbox::{Act, Deletion, Kept, Message, Retention, Scope, conversation, sweep};

use super::rules;
use crate::{Store, StoreError, blobs::Blobs, messages, notices};

/// What enforcing takes, to carry into a transaction.
#[derive(Clone)]
pub(crate) struct Enforcement {
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) defaults: Retention,
}

impl Enforcement {
    pub(crate) fn rules(&self, db: &Connection, mailbox: &str) -> Result<Retention, StoreError> {
        Ok(rules::own(db, mailbox)?.over(self.defaults))
    }
}

impl Store {
    pub(crate) fn enforcement(&self) -> Enforcement {
        Enforcement {
            blobs: self.inner.blobs.clone(),
            defaults: self.retention_defaults(),
        }
    }
}

/// What was done to a mailbox.
#[derive(Debug, Default)]
pub(crate) struct Enforced {
    /// Messages that left it, in order; some to the trash, some for good.
    pub(crate) evicted: Vec<String>,
    /// Messages freed from the trash.
    pub(crate) freed: Vec<String>,
    /// Messages whose owner has been warned.
    pub(crate) warned: Vec<String>,
}

/// Applies a mailbox's rules. What it does bears the date `now_ms`; ages count up to `ages_at`, or not at all.
pub(crate) fn enforce(
    tx: &Connection,
    with: &Enforcement,
    mailbox: &str,
    now_ms: i64,
    ages_at: Option<i64>,
) -> Result<Enforced, StoreError> {
    enforce_some(tx, with, mailbox, now_ms, ages_at, usize::MAX)
}

/// The same, at most `max` acts: the rest is for a further transaction.
pub(super) fn enforce_some(
    tx: &Connection,
    with: &Enforcement,
    mailbox: &str,
    now_ms: i64,
    ages_at: Option<i64>,
    max: usize,
) -> Result<Enforced, StoreError> {
    let rules = with.rules(tx, mailbox)?;
    let mut done = Enforced::default();
    let counts = rules.heard_max.is_some() || rules.max_bytes.is_some() || rules.max_seconds.is_some();
    if !counts && ages_at.is_none() && rules.trash_ms != 0 {
        return Ok(done);
    }
    let kept = kept(tx, mailbox)?;
    let by_id: BTreeMap<&str, &Kept> = kept.iter().map(|m| (m.id.as_str(), m)).collect();
    for act in sweep(&rules, &kept, ages_at).into_iter().take(max) {
        match act {
            Act::Warn { id } => {
                warn(tx, &id, now_ms)?;
                done.warned.push(id);
            }
            Act::Trash(deletion) => {
                audit(
                    tx,
                    &rules,
                    mailbox,
                    by_id.get(deletion.id.as_str()).copied(),
                    &deletion,
                    now_ms,
                )?;
                messages::to_trash(tx, &deletion.id, now_ms, deletion.rule.name())?;
                done.evicted.push(deletion.id);
            }
            Act::Free(deletion) => {
                let message = by_id.get(deletion.id.as_str()).copied();
                audit(tx, &rules, mailbox, message, &deletion, now_ms)?;
                messages::free(tx, &with.blobs, &deletion.id)?;
                if message.is_some_and(|m| m.deleted_at_ms.is_some()) {
                    done.freed.push(deletion.id);
                } else {
                    done.evicted.push(deletion.id);
                }
            }
        }
    }
    Ok(done)
}

/// A mailbox's messages as the rules see them, the trash among them.
pub(super) fn kept(db: &Connection, mailbox: &str) -> Result<Vec<Kept>, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT id, caller, received_at, heard_at, warned_at, deleted_at, pinned, bytes, duration_ms
             FROM message WHERE mailbox = ? ORDER BY id",
        )?
        .query_map([mailbox], |row| {
            Ok(Kept {
                id: row.get(0)?,
                conversation: conversation(&row.get::<_, String>(1)?),
                received_at_ms: row.get(2)?,
                heard_at_ms: row.get(3)?,
                warned_at_ms: row.get(4)?,
                deleted_at_ms: row.get(5)?,
                is_pinned: row.get(6)?,
                bytes: row.get(7)?,
                duration_ms: row.get(8)?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?)
}

/// The notice and its date, in one transaction: the message goes no sooner than seven days after.
fn warn(tx: &Connection, id: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE message SET warned_at = ? WHERE id = ?")?
        .execute(params![now_ms, id])?;
    notices::of_expiry(tx, id, now_ms)
}

/// A message has come, and what the rules demanded is done: its owner is told where little room is left.
pub(crate) fn tell_of_room(
    tx: &Connection,
    with: &Enforcement,
    message: &Message,
    now_ms: i64,
) -> Result<(), StoreError> {
    let rules = with.rules(tx, &message.mailbox)?;
    let counts = rules.unheard_max.is_some() || rules.max_bytes.is_some() || rules.max_seconds.is_some();
    if !counts || !notices::warns(tx, &message.mailbox)? {
        return Ok(());
    }
    notices::of_room(tx, &rules, &kept(tx, &message.mailbox)?, message, now_ms)
}

fn audit(
    tx: &Connection,
    rules: &Retention,
    mailbox: &str,
    message: Option<&Kept>,
    deletion: &Deletion,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(message) = message else {
        return Ok(());
    };
    let together = (rules.scope == Scope::Conversation).then_some(&message.conversation);
    tx.prepare_cached(
        "INSERT INTO retention_audit (at, mailbox, conversation, message, rule, allowed, found, received_at, heard_at,
                                      warned_at, deleted_at, bytes, duration_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        now_ms,
        mailbox,
        together,
        message.id,
        deletion.rule.name(),
        deletion.allowed,
        deletion.found,
        message.received_at_ms,
        message.heard_at_ms,
        message.warned_at_ms,
        message.deleted_at_ms,
        message.bytes,
        message.duration_ms,
    ])?;
    Ok(())
}
