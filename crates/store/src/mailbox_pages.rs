//! Mailboxes as people look at them: page by page, the newest first, with what a player needs.

use rusqlite::{Connection, OptionalExtension};
use segue_mailbox::{Kind, Message};

use crate::{
    Store, StoreError,
    blobs::BlobId,
    looking::{END, LOOKED_AT_MAX, Looked, Sought},
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
    pub fn messages_page(&self, query: &MessageQuery) -> Result<Looked<MessageRow>, StoreError> {
        self.read(|db| {
            let Looked { found, ended_at } = ids(db, query)?;
            let rows = found.iter().map(|id| one_row(db, id));
            Ok(Looked {
                found: rows.filter_map(Result::transpose).collect::<Result<_, _>>()?,
                ended_at,
            })
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

/// Goes through a mailbox by its index alone, which has all that is asked; through all mailboxes by the messages themselves.
fn ids(db: &Connection, query: &MessageQuery) -> Result<Looked<String>, StoreError> {
    const SEEN: &str = "id, deleted_at IS NOT NULL, heard_at IS NOT NULL, pinned, kind, caller, caller_name";
    let sought = query.text.as_deref().map(Sought::new);
    let before = query.before.as_deref().unwrap_or(END);
    let of_one = format!("SELECT {SEEN} FROM message WHERE mailbox = ?1 AND id < ?2 ORDER BY id DESC");
    let of_all = format!("SELECT {SEEN} FROM message WHERE id < ?1 ORDER BY id DESC");
    let mut statement = db.prepare_cached(if query.mailbox.is_some() { &of_one } else { &of_all })?;
    let mut rows = match &query.mailbox {
        Some(mailbox) => statement.query([mailbox.as_str(), before])?,
        None => statement.query([before])?,
    };
    let mut found = Vec::new();
    let mut looked_at = 0;
    while found.len() < query.max
        && let Some(row) = rows.next()?
    {
        if fits(query, sought.as_ref(), row)? {
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

fn fits(query: &MessageQuery, sought: Option<&Sought>, row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
    let is = |column: usize| row.get::<_, bool>(column);
    if is(1)? != query.trash || query.heard.is_some_and(|heard| is(2) != Ok(heard)) {
        return Ok(false);
    }
    if query.pinned.is_some_and(|pinned| is(3) != Ok(pinned)) {
        return Ok(false);
    }
    if let Some(kind) = query.kind
        && row.get_ref(4)?.as_str()? != kind_name(kind)
    {
        return Ok(false);
    }
    let Some(sought) = sought else { return Ok(true) };
    let has = |column: usize| -> rusqlite::Result<bool> {
        let text = row.get_ref(column)?.as_str_or_null()?;
        Ok(text.is_some_and(|text| sought.is_in(text)))
    };
    Ok(has(5)? || has(6)?)
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
