//! Mailboxes as people look at them: page by page, the newest first, with what a player needs.

use rusqlite::{Connection, OptionalExtension, params_from_iter, types::Value};
use segue_mailbox::{Kind, Message};

use crate::{
    Store, StoreError,
    blobs::BlobId,
    messages::{COLUMNS, kind_name, message},
};

/// Which messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageQuery {
    /// Of this mailbox; `None`: of all.
    pub mailbox: Option<String>,
    /// Those in the trash instead.
    pub trash: bool,
    /// Heard or unheard ones alone.
    pub heard: Option<bool>,
    /// Pinned or unpinned ones alone.
    pub pinned: Option<bool>,
    /// Those of this kind alone.
    pub kind: Option<Kind>,
    /// Those whose caller's address or name has this in it, in whatever case.
    pub text: Option<String>,
    /// Those that came before the message of this id.
    pub before: Option<String>,
    /// At most so many.
    pub max: usize,
}

/// A message with what a player needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// The message.
    pub message: Message,
    /// How far it was played, milliseconds: where a player goes on.
    pub played_ms: Option<u64>,
    /// It has a still picture.
    pub has_poster: bool,
    /// What its media is, e.g. `video/mp4`.
    pub media_type: String,
}

/// Bytes that never change, to be read from anywhere. Their row may go meanwhile: then reading fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    blob: i64,
    /// What it is, e.g. `video/mp4`.
    pub media_type: String,
    /// How long, bytes.
    pub bytes: u64,
}

impl MediaFile {
    pub(crate) fn new(blob: i64, media_type: String, bytes: u64) -> MediaFile {
        MediaFile {
            blob,
            media_type,
            bytes,
        }
    }

    /// The same for the same bytes, another for others.
    pub fn tag(&self) -> String {
        format!("m{}-{}", self.blob, self.bytes)
    }
}

impl Store {
    /// Messages, the newest first.
    pub fn messages_page(&self, query: &MessageQuery) -> Result<Vec<MessageRow>, StoreError> {
        let mut conditions = vec![match query.trash {
            true => "deleted_at IS NOT NULL".to_owned(),
            false => "deleted_at IS NULL".to_owned(),
        }];
        let mut values: Vec<Value> = Vec::new();
        if let Some(mailbox) = &query.mailbox {
            conditions.push("mailbox = ?".to_owned());
            values.push(mailbox.clone().into());
        }
        if let Some(before) = &query.before {
            conditions.push("id < ?".to_owned());
            values.push(before.clone().into());
        }
        if let Some(heard) = query.heard {
            let not = if heard { " NOT" } else { "" };
            conditions.push(format!("heard_at IS{not} NULL"));
        }
        if let Some(pinned) = query.pinned {
            conditions.push("pinned = ?".to_owned());
            values.push(i64::from(pinned).into());
        }
        if let Some(kind) = query.kind {
            conditions.push("kind = ?".to_owned());
            values.push(kind_name(kind).to_owned().into());
        }
        let sql = format!("{} WHERE {} ORDER BY id DESC", select(), conditions.join(" AND "));
        let text = query.text.as_deref().map(str::to_lowercase);
        self.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            let mut found = Vec::new();
            while found.len() < query.max
                && let Some(row) = rows.next()?
            {
                if let Some(text) = &text {
                    // Compared here: SQLite knows the case of ASCII alone.
                    let has = |column: usize| -> Result<bool, rusqlite::Error> {
                        let value = row.get_ref(column)?.as_str_or_null()?;
                        Ok(value.is_some_and(|value| value.to_lowercase().contains(text)))
                    };
                    if !has(4)? && !has(5)? {
                        continue;
                    }
                }
                found.push(message_row(row)?);
            }
            Ok(found)
        })
    }

    /// One message, also in the trash. Error: [`StoreError::NotFound`].
    pub fn message_row(&self, id: &str) -> Result<MessageRow, StoreError> {
        self.read(|db| one_row(db, id)?.ok_or_else(|| StoreError::not_found("message", id)))
    }

    /// The media of a message, or its still picture (JPEG); `None`: it has no picture. Error: [`StoreError::NotFound`].
    pub fn media_file(&self, id: &str, poster: bool) -> Result<Option<MediaFile>, StoreError> {
        let column = if poster { "m.poster" } else { "m.media" };
        self.read(|db| {
            let found: Option<(Option<i64>, String, Option<u64>)> = db
                .prepare_cached(&format!(
                    "SELECT b.id, m.media_type, b.bytes FROM message m LEFT JOIN blob b ON b.id = {column} WHERE m.id = ?"
                ))?
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let (blob, media_type, bytes) = found.ok_or_else(|| StoreError::not_found("message", id))?;
            Ok(blob.zip(bytes).map(|(blob, bytes)| MediaFile {
                blob,
                media_type: if poster { "image/jpeg".to_owned() } else { media_type },
                bytes,
            }))
        })
    }

    /// A piece of media from a byte on, at most `max` long; empty at its end.
    ///
    /// Error: [`StoreError::Corrupt`] when it has gone meanwhile.
    pub fn read_media_at(&self, file: &MediaFile, from: u64, max: usize) -> Result<Vec<u8>, StoreError> {
        let blobs = self.inner.blobs.clone();
        self.read(|db| blobs.read_at(db, BlobId(file.blob), from, max))
    }
}

pub(crate) fn one_row(db: &Connection, id: &str) -> Result<Option<MessageRow>, StoreError> {
    let sql = format!("{} WHERE id = ?", select());
    Ok(db.prepare_cached(&sql)?.query_row([id], message_row).optional()?)
}

fn select() -> String {
    format!(
        "SELECT {COLUMNS}, (SELECT ms FROM played p WHERE p.message = message.id), poster IS NOT NULL, media_type
         FROM message"
    )
}

fn message_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<MessageRow> {
    Ok(MessageRow {
        message: message(row)?,
        played_ms: row.get(18)?,
        has_poster: row.get(19)?,
        media_type: row.get(20)?,
    })
}
