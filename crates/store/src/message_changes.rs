//! Changes of a message as a whole: what was played of it, heard, pinned; one transaction, with what the rules make of it.

use rusqlite::{Connection, params};
use segue_mailbox::Played;

use crate::{Deed, MessageRow, Store, StoreError, audit, mailbox_pages::one_row, retention::enforce};

/// What is to be changed of a message; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageChanges {
    /// Where a player goes on, milliseconds.
    pub played_ms: Option<u64>,
    /// Parts that were played, from and to in milliseconds; added to what was played before. What lies behind the message's end does not
    /// count. As much as [`Played::is_heard`] wants makes it heard, unless `heard` says something else.
    pub played: Vec<(u64, u64)>,
    /// It counts as heard, or not.
    pub heard: Option<bool>,
    /// No rule counts or deletes it, or they do.
    pub pinned: Option<bool>,
}

impl Store {
    /// Changes a message that is as `is_so` wants it, and says what it is then; what it was last, where a rule has freed it at once. What was
    /// changed is put down, each by its own name (`message.heard`, ...), if this handle acts for somebody.
    ///
    /// Errors: [`StoreError::NotFound`]; [`StoreError::Changed`]; [`StoreError::Refused`] for `heard` and `pinned` in the trash.
    pub fn change_message(
        &self,
        id: &str,
        now_ms: i64,
        changes: MessageChanges,
        is_so: impl FnOnce(&MessageRow) -> bool + Send + 'static,
    ) -> Result<MessageRow, StoreError> {
        let (id, with, deed) = (id.to_owned(), self.enforcement(), self.deed.clone());
        self.inner.writer.write(move |tx| {
            let row = one_row(tx, &id)?.ok_or_else(|| StoreError::not_found("message", &id))?;
            if !is_so(&row) {
                return Err(StoreError::Changed);
            }
            let in_trash = row.message.keeping.deleted_at_ms.is_some();
            if in_trash && (changes.heard.is_some() || changes.pinned.is_some()) {
                return Err(StoreError::in_trash(&id));
            }
            let duration_ms = row.message.duration_ms;
            if let Some(ms) = changes.played_ms {
                tx.prepare_cached("INSERT OR REPLACE INTO played (message, ms) VALUES (?, ?)")?
                    .execute(params![id, stored(ms.min(duration_ms))])?;
            }
            let mut heard = changes.heard;
            if !changes.played.is_empty() {
                let played = add_played(tx, &id, &changes.played, duration_ms)?;
                if heard.is_none() && !in_trash && played.is_heard(duration_ms) {
                    heard = Some(true);
                }
            }
            let mut did = Vec::new();
            if let Some(pinned) = changes.pinned.filter(|pinned| *pinned != row.message.keeping.pinned) {
                tx.prepare_cached("UPDATE message SET pinned = ?, warned_at = NULL WHERE id = ?")?
                    .execute(params![pinned, id])?;
                did.push(if pinned { "message.pin" } else { "message.unpin" });
            }
            if let Some(heard) = heard.filter(|heard| *heard != row.message.heard_at_ms.is_some()) {
                tx.prepare_cached("UPDATE message SET heard_at = ?, warned_at = NULL WHERE id = ?")?
                    .execute(params![heard.then_some(now_ms), id])?;
                did.push(if heard { "message.heard" } else { "message.unheard" });
                if !heard {
                    // Who marks it new hears it anew.
                    tx.prepare_cached("DELETE FROM stretch WHERE message = ?")?
                        .execute([&id])?;
                }
            }
            let changed = one_row(tx, &id)?.unwrap_or(row);
            if did.is_empty() {
                return Ok(changed);
            }
            for what in did {
                if let Some(deed) = &deed {
                    let deed = Deed {
                        what: what.to_owned(),
                        ..Deed::clone(deed)
                    };
                    audit::insert(tx, &deed)?;
                }
            }
            enforce(tx, &with, &changed.message.mailbox, now_ms, None)?;
            Ok(one_row(tx, &id)?.unwrap_or(changed))
        })
    }

    /// What was played of a message, in whatever sessions.
    pub fn played(&self, id: &str) -> Result<Played, StoreError> {
        self.read(|db| played(db, id))
    }
}

fn played(db: &Connection, id: &str) -> Result<Played, StoreError> {
    let mut played = Played::default();
    let mut parts = db.prepare_cached("SELECT from_ms, to_ms FROM stretch WHERE message = ?")?;
    for part in parts.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (from, to) = part?;
        played.add(from, to);
    }
    Ok(played)
}

fn add_played(tx: &Connection, id: &str, parts: &[(u64, u64)], duration_ms: u64) -> Result<Played, StoreError> {
    let before = played(tx, id)?;
    let mut now = before.clone();
    for &(from, to) in parts {
        now.add(from, to.min(duration_ms));
    }
    let now = now.within(duration_ms);
    if now != before {
        tx.prepare_cached("DELETE FROM stretch WHERE message = ?")?
            .execute([id])?;
        let mut add = tx.prepare_cached("INSERT INTO stretch (message, from_ms, to_ms) VALUES (?, ?, ?)")?;
        for &(from, to) in now.parts() {
            add.execute(params![id, stored(from), stored(to)])?;
        }
    }
    Ok(now)
}

fn stored(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
