//! Reading messages, and their end.

use std::io::Write;

use rusqlite::{Connection, OptionalExtension, Row, params};
use segue_mailbox::{Keeping, Kind, MediaState, Message};

use crate::{
    Store, StoreError,
    blobs::{BlobId, Blobs, read_all},
    groups,
};

/// The columns of a [`Message`], in the order [`message`] reads them.
pub(crate) const COLUMNS: &str = "id, mailbox, call_id, sip_call_id, caller, caller_name, received_at, heard_at, duration_ms, \
                       kind, media_state, bytes, interrupted, pinned, warned_at, deleted_at, deleted_by, urgent";

/// What was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Type of the media, e.g. `video/mp4`.
    pub media_type: String,
    /// Bytes written.
    pub bytes: u64,
}

impl Store {
    /// One message, also in the trash. Error: [`StoreError::NotFound`].
    pub fn message(&self, id: &str) -> Result<Message, StoreError> {
        self.read(|db| one(db, "id = ?", id)?.ok_or_else(|| StoreError::not_found("message", id)))
    }

    /// A mailbox's messages, oldest first.
    pub fn messages(&self, mailbox: &str) -> Result<Vec<Message>, StoreError> {
        self.read(|db| many(db, "mailbox = ? AND deleted_at IS NULL ORDER BY id", [mailbox]))
    }

    /// The messages in a mailbox's trash, oldest first.
    pub fn trash(&self, mailbox: &str) -> Result<Vec<Message>, StoreError> {
        self.read(|db| many(db, "mailbox = ? AND deleted_at IS NOT NULL ORDER BY id", [mailbox]))
    }

    /// Messages whose media is still the raw spool, oldest first, at most `max`.
    pub fn raw_messages(&self, max: u32) -> Result<Vec<Message>, StoreError> {
        self.read(|db| many(db, "media_state = 'raw' ORDER BY id LIMIT ?", [max]))
    }

    /// The message that a call left, by the Call-ID of the caller's leg; the newest if there are several.
    pub fn message_by_sip_call_id(&self, sip_call_id: &str) -> Result<Option<Message>, StoreError> {
        self.read(|db| one(db, "sip_call_id = ? ORDER BY id DESC LIMIT 1", sip_call_id))
    }

    /// Writes a message's media piece by piece, under a lease: a message deleted meanwhile is still handed out whole, and
    /// freed afterwards. It does not make the message heard.
    ///
    /// Errors: [`StoreError::NotFound`]; [`StoreError::Io`] when `to` fails.
    pub fn export_media(&self, id: &str, to: &mut dyn Write) -> Result<Exported, StoreError> {
        let blobs = self.inner.blobs.clone();
        match self.lease_media(id) {
            Ok(mut lease) => {
                let (media, media_type) = (lease.media, lease.media_type.clone());
                let bytes = self.read(|db| {
                    blobs.read(db, media, &mut |piece| {
                        // Failing that (a full disk), what is being read can be saved all the same.
                        let _ = lease.renew();
                        to.write_all(piece).map_err(|e| StoreError::Io(e.to_string()))
                    })
                })?;
                Ok(Exported { media_type, bytes })
            }
            Err(StoreError::NotFound { what, name }) => Err(StoreError::NotFound { what, name }),
            // A full disk takes no lease; what is on it can be saved all the same.
            Err(_) => self.read(|db| {
                let (media, media_type): (i64, String) = db
                    .prepare_cached("SELECT media, media_type FROM message WHERE id = ?")?
                    .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?
                    .ok_or_else(|| StoreError::not_found("message", id))?;
                let bytes = blobs.read(db, BlobId(media), &mut |piece| {
                    to.write_all(piece).map_err(|e| StoreError::Io(e.to_string()))
                })?;
                Ok(Exported { media_type, bytes })
            }),
        }
    }

    /// What its media is, e.g. `video/mp4`.
    ///
    /// Errors: [`StoreError::NotFound`].
    pub fn media_type(&self, id: &str) -> Result<String, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT media_type FROM message WHERE id = ?")?
                .query_row([id], |row| row.get(0))
                .optional()?
                .ok_or_else(|| StoreError::not_found("message", id))
        })
    }

    /// A message's still picture.
    pub fn poster(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let blobs = self.inner.blobs.clone();
        self.read_media(|db| {
            let poster: Option<i64> = db
                .prepare_cached("SELECT poster FROM message WHERE id = ?")?
                .query_row([id], |row| row.get(0))
                .optional()?
                .ok_or_else(|| StoreError::not_found("message", id))?;
            poster.map(|poster| read_all(&blobs, db, BlobId(poster))).transpose()
        })
    }
}

/// Puts a message into the trash inside a transaction.
pub(crate) fn to_trash(tx: &Connection, id: &str, now_ms: i64, by: &str) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE message SET deleted_at = ?, deleted_by = ? WHERE id = ?")?
        .execute(params![now_ms, by, id])?;
    Ok(())
}

/// Frees a message inside a transaction; `false` when there is none. Its id is remembered as gone.
pub(crate) fn free(tx: &Connection, blobs: &Blobs, id: &str) -> Result<bool, StoreError> {
    let bytes: Option<(i64, Option<i64>)> = tx
        .prepare_cached("SELECT media, poster FROM message WHERE id = ?")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((media, poster)) = bytes else {
        return Ok(false);
    };
    tx.prepare_cached("DELETE FROM message WHERE id = ?")?.execute([id])?;
    for blob in [Some(media), poster].into_iter().flatten() {
        groups::drop_bytes(tx, blobs, BlobId(blob))?;
    }
    tx.prepare_cached("INSERT OR REPLACE INTO gone (id, at) VALUES (?, ?)")?
        .execute(params![id, crate::now_ms()])?;
    Ok(true)
}

pub(crate) fn one(db: &Connection, condition: &str, value: &str) -> Result<Option<Message>, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE {condition}"))?
        .query_row([value], message)
        .optional()?)
}

pub(crate) fn many(
    db: &Connection,
    condition: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Message>, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE {condition}"))?
        .query_map(values, message)?
        .collect::<Result<Vec<_>, _>>()?)
}

pub(crate) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let kind: String = row.get(9)?;
    let media_state: String = row.get(10)?;
    Ok(Message {
        id: row.get(0)?,
        mailbox: row.get(1)?,
        call_id: row.get(2)?,
        sip_call_id: row.get(3)?,
        from: row.get(4)?,
        from_name: row.get(5)?,
        received_at_ms: row.get(6)?,
        heard_at_ms: row.get(7)?,
        duration_ms: row.get(8)?,
        kind: if kind == kind_name(Kind::Video) {
            Kind::Video
        } else {
            Kind::Audio
        },
        media_state: if media_state == media_state_name(MediaState::Raw) {
            MediaState::Raw
        } else {
            MediaState::Ready
        },
        bytes: row.get(11)?,
        interrupted: row.get(12)?,
        urgent: row.get(17)?,
        keeping: Keeping {
            pinned: row.get(13)?,
            warned_at_ms: row.get(14)?,
            deleted_at_ms: row.get(15)?,
            deleted_by: row.get(16)?,
        },
    })
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "video",
        Kind::Audio => "audio",
    }
}

pub(crate) fn media_state_name(state: MediaState) -> &'static str {
    match state {
        MediaState::Ready => "ready",
        MediaState::Raw => "raw",
    }
}
