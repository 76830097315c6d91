//! Storing a message: acknowledged when its transaction has committed.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension, params};
use segue_mailbox::{MediaState, Message};

use crate::{
    Store, StoreError,
    blobs::{Blobs, Staged},
    groups,
    messages::{kind_name, media_state_name},
    notices,
    retention::{enforce, tell_of_room},
};

/// Where bytes come from.
#[derive(Debug, Clone)]
pub enum MediaSource {
    /// A file; read in pieces, never whole.
    File(PathBuf),
    /// Bytes at hand.
    Bytes(Vec<u8>),
}

impl From<&Path> for MediaSource {
    fn from(path: &Path) -> MediaSource {
        MediaSource::File(path.to_owned())
    }
}

/// A message and its media.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// The row. Its `bytes` is ignored (the store counts them), and so is `heard_at_ms`: it begins unheard.
    pub message: Message,
    /// The media.
    pub media: MediaSource,
    /// Its type, e.g. `video/mp4`; `application/x-segue-spool` for a raw spool.
    pub media_type: String,
    /// A still picture (JPEG).
    pub poster: Option<Vec<u8>>,
}

/// What became of a deposit. All of them mean: the recording's file is no longer needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposited {
    /// Committed now.
    New,
    /// A message of this id was there already, with its media; nothing was changed.
    Already,
    /// A message of this id was there and has been deleted since; it stays so.
    Gone,
}

impl Store {
    /// Stores a message: bytes are brought in ahead, then **one transaction** commits message, media and notice.
    /// `Ok` means acknowledged. Doing it again with the same id changes nothing. In the same transaction the mailbox's
    /// rules make room; afterwards the place reserved for it is free.
    ///
    /// Errors: [`StoreError::Refused`] without a byte of media, [`StoreError::Full`], [`StoreError::Io`]; after an
    /// error nothing of the message is there.
    pub fn deposit(&self, deposit: Deposit) -> Result<Deposited, StoreError> {
        self.deposit_at(deposit, crate::now_ms())
    }

    /// The same at a given wall clock.
    pub fn deposit_at(&self, deposit: Deposit, now_ms: i64) -> Result<Deposited, StoreError> {
        let (mailbox, id) = (deposit.message.mailbox.clone(), deposit.message.id.clone());
        let deposited = self.bring_in(deposit, now_ms);
        if deposited.is_ok() {
            self.release(&mailbox, &id);
        }
        deposited
    }

    fn bring_in(&self, deposit: Deposit, now_ms: i64) -> Result<Deposited, StoreError> {
        let Deposit {
            message,
            media,
            media_type,
            poster,
        } = deposit;
        let id = message.id.clone();
        if let Some(known) = self.read(|db| known(db, &id))? {
            return Ok(known);
        }
        let staged = self.stage_media(&media, poster)?;
        let with = self.enforcement();
        let shares = self.inner.reservations.shares(&id);
        let outcome = self.write(move |tx| {
            if let Some(known) = known(tx, &message.id)? {
                staged.discard(tx, &with.blobs)?;
                return Ok(known);
            }
            staged.link(tx, &with.blobs)?;
            let bytes = staged.bytes();
            for message in groups::rows(tx, message, |member, message| {
                shares.admit(member, message.duration_ms, bytes)
            })? {
                insert(tx, &message, &media_type, &staged)?;
                notices::of_message(tx, &message, staged.bytes(), now_ms)?;
                enforce(tx, &with, &message.mailbox, now_ms, None)?;
                tell_of_room(tx, &with, &message, now_ms)?;
            }
            Ok(Deposited::New)
        });
        if outcome.is_err() {
            self.discard_staged(staged);
        }
        outcome
    }

    /// Replaces the raw spool of a message by finished media, in one transaction. `false`: the message is not raw any
    /// more, nothing was changed.
    ///
    /// Errors: [`StoreError::NotFound`] when it has been deleted; otherwise as [`Store::deposit`].
    pub fn replace_media(
        &self,
        id: &str,
        media: MediaSource,
        media_type: &str,
        poster: Option<Vec<u8>>,
        duration_ms: u64,
    ) -> Result<bool, StoreError> {
        let staged = self.stage_media(&media, poster)?;
        let with = self.enforcement();
        let (id, media_type) = (id.to_owned(), media_type.to_owned());
        let outcome = self.write(move |tx| {
            let blobs = &with.blobs;
            let (old, old_poster, state): (i64, Option<i64>, String) = tx
                .prepare_cached("SELECT media, poster, media_state FROM message WHERE id = ?")?
                .query_row([&id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?
                .ok_or_else(|| StoreError::not_found("message", &id))?;
            if state != media_state_name(MediaState::Raw) {
                staged.discard(tx, blobs)?;
                return Ok(false);
            }
            staged.link(tx, blobs)?;
            // Each member of a group has it in a mailbox of its own.
            let mailboxes: Vec<String> = tx
                .prepare_cached("SELECT mailbox FROM message WHERE media = ? ORDER BY id")?
                .query_map([old], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            tx.prepare_cached(
                "UPDATE message SET media = ?, media_type = ?, poster = ?, bytes = ?, duration_ms = ?, media_state = ?
                 WHERE media = ?",
            )?
            .execute(params![
                staged.media.id.0,
                media_type,
                staged.poster.map(|p| p.id.0),
                staged.bytes(),
                duration_ms,
                media_state_name(MediaState::Ready),
                old
            ])?;
            for old in [Some(old), old_poster].into_iter().flatten() {
                blobs.drop_bytes(tx, crate::blobs::BlobId(old))?;
            }
            // It may need more room than its raw recording did.
            for mailbox in mailboxes {
                enforce(tx, &with, &mailbox, crate::now_ms(), None)?;
            }
            Ok(true)
        });
        if outcome.is_err() {
            self.discard_staged(staged);
        }
        outcome
    }

    fn stage_media(&self, media: &MediaSource, poster: Option<Vec<u8>>) -> Result<StagedMedia, StoreError> {
        let media = match media {
            MediaSource::File(path) => {
                let mut file = fs::File::open(path).map_err(|e| StoreError::Path {
                    path: path.clone(),
                    why: e.to_string(),
                })?;
                self.stage(&mut file)?
            }
            MediaSource::Bytes(bytes) => self.stage(&mut bytes.as_slice())?,
        };
        let mut staged = StagedMedia { media, poster: None };
        if media.bytes == 0 {
            self.discard_staged(staged);
            return Err(StoreError::Refused {
                why: "the message has no media".to_owned(),
                fix: "look at the log of the recording".to_owned(),
            });
        }
        if let Some(poster) = poster.filter(|p| !p.is_empty()) {
            match self.stage(&mut poster.as_slice()) {
                Ok(poster) => staged.poster = Some(poster),
                Err(e) => {
                    self.discard_staged(staged);
                    return Err(e);
                }
            }
        }
        Ok(staged)
    }

    pub(crate) fn stage(&self, from: &mut dyn Read) -> Result<Staged, StoreError> {
        self.inner.blobs.stage(&self.inner.writer, self.inner.stager, from)
    }

    /// Best effort: what stays is swept at the next start.
    fn discard_staged(&self, staged: StagedMedia) {
        let blobs = self.inner.blobs.clone();
        let _ = self.write(move |tx| staged.discard(tx, &blobs));
    }
}

#[derive(Debug, Clone, Copy)]
struct StagedMedia {
    media: Staged,
    poster: Option<Staged>,
}

impl StagedMedia {
    fn bytes(&self) -> u64 {
        self.media.bytes.saturating_add(self.poster.map_or(0, |p| p.bytes))
    }

    fn link(&self, tx: &Connection, blobs: &Blobs) -> Result<(), StoreError> {
        blobs.link(tx, self.media)?;
        self.poster.map_or(Ok(()), |poster| blobs.link(tx, poster))
    }

    fn discard(&self, tx: &Connection, blobs: &Blobs) -> Result<(), StoreError> {
        blobs.drop_bytes(tx, self.media.id)?;
        self.poster.map_or(Ok(()), |poster| blobs.drop_bytes(tx, poster.id))
    }
}

fn known(db: &Connection, id: &str) -> Result<Option<Deposited>, StoreError> {
    let found: Option<bool> = db
        .prepare_cached("SELECT 1 FROM message WHERE id = ?1 UNION ALL SELECT 0 FROM gone WHERE id = ?1 LIMIT 1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(found.map(|there| if there { Deposited::Already } else { Deposited::Gone }))
}

fn insert(tx: &Connection, message: &Message, media_type: &str, staged: &StagedMedia) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO message (id, mailbox, call_id, sip_call_id, caller, caller_name, received_at, heard_at,
                              duration_ms, kind, media_state, bytes, interrupted, media, media_type, poster, urgent)
         VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        message.id,
        message.mailbox,
        message.call_id,
        message.sip_call_id,
        message.from,
        message.from_name,
        message.received_at_ms,
        message.duration_ms,
        kind_name(message.kind),
        media_state_name(message.media_state),
        staged.bytes(),
        message.interrupted,
        staged.media.id.0,
        media_type,
        staged.poster.map(|p| p.id.0),
        message.urgent,
    ])?;
    Ok(())
}
