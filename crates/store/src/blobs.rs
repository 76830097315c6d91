//! Where media bytes live: in the database itself (`chunks.rs`), or in files beside it (`files.rs`). Each run of bytes
//! knows its place, so both can be read whatever the configuration says today.
//!
//! Bytes are brought in ahead of the transaction that makes them part of something, so that this transaction is short:
//! [`Blobs::stage`] writes them in pieces and syncs them, [`Blobs::link`] only flips a mark. A crash in between leaves a
//! staged run of bytes that nothing names, swept at the server's next start.
//!
//! The row is always there before its file, and gone before it: dropping bytes writes down that a file is to be removed, and
//! [`Blobs::unlink_dropped`] removes it once that has been committed. Bytes that somebody reads under a lease
//! (`leases.rs`) are doomed first and dropped after the last of them.

mod chunks;
mod files;

use std::{
    io::Read,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use self::files::Files;
use crate::{StoreError, leases, writer::Writer};

/// Bytes in one chunk, and in one piece handed out.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// Staged bytes of a command that nobody touched for this long are leftovers.
const COMMAND_STAGE_MS_MAX: i64 = 60 * 60 * 1000;

/// Files removed in one step.
const UNLINKS_MAX: usize = 64;

/// Where new media goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MediaStore {
    /// Into the database.
    #[default]
    Sqlite,
    /// Into files under `<data>/media`.
    Dir,
}

impl MediaStore {
    /// `sqlite` or `dir`.
    pub fn name(self) -> &'static str {
        match self {
            MediaStore::Sqlite => "sqlite",
            MediaStore::Dir => "dir",
        }
    }

    /// The place of this name.
    pub fn from_name(name: &str) -> Option<MediaStore> {
        [MediaStore::Sqlite, MediaStore::Dir]
            .into_iter()
            .find(|place| place.name() == name)
    }
}

/// A run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobId(pub(crate) i64);

/// Who stages or reads: what a server had begun is a leftover once another server starts; commands run beside the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stager {
    Server,
    Command,
}

impl Stager {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stager::Server => "server",
            Stager::Command => "command",
        }
    }
}

/// A run of bytes brought in, not yet part of anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Staged {
    pub(crate) id: BlobId,
    pub(crate) bytes: u64,
}

/// Files that have been removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unlinked {
    /// The next ones come after this run.
    pub(crate) last: BlobId,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// Keeps runs of bytes. What it does inside a transaction counts when that transaction commits.
#[derive(Debug)]
pub(crate) struct Blobs {
    files: Files,
    into_files: AtomicBool,
}

impl Blobs {
    pub(crate) fn new(data_dir: &Path) -> Blobs {
        Blobs {
            files: Files::new(data_dir),
            into_files: AtomicBool::new(false),
        }
    }

    /// Where new bytes go from now on.
    pub(crate) fn set_place(&self, place: MediaStore) {
        self.into_files.store(place == MediaStore::Dir, Relaxed);
    }

    fn place(&self) -> MediaStore {
        if self.into_files.load(Relaxed) {
            MediaStore::Dir
        } else {
            MediaStore::Sqlite
        }
    }

    /// Brings bytes in ahead: on the disk when this returns.
    pub(crate) fn stage(&self, writer: &Writer, stager: Stager, from: &mut dyn Read) -> Result<Staged, StoreError> {
        let place = self.place();
        let now_ms = crate::now_ms();
        let id = writer.write(move |tx| {
            tx.prepare_cached("INSERT INTO blob (staged, stager, staged_at, bytes, place) VALUES (1, ?, ?, 0, ?)")?
                .execute(params![stager.name(), now_ms, place.name()])?;
            Ok(BlobId(tx.last_insert_rowid()))
        })?;
        let filled = match place {
            MediaStore::Sqlite => chunks::fill(writer, id, from),
            MediaStore::Dir => self.files.write(id, from).and_then(|bytes| {
                writer.write(move |tx| {
                    tx.prepare_cached("UPDATE blob SET bytes = ? WHERE id = ?")?
                        .execute(params![bytes, id.0])?;
                    Ok(bytes)
                })
            }),
        };
        match filled {
            Ok(bytes) => Ok(Staged { id, bytes }),
            Err(e) => {
                // Best effort: what stays is swept at the next start.
                let _ = writer.write(move |tx| free(tx, id));
                Err(e)
            }
        }
    }

    /// Makes staged bytes part of something.
    pub(crate) fn link(&self, tx: &Connection, staged: Staged) -> Result<(), StoreError> {
        let linked = tx
            .prepare_cached("UPDATE blob SET staged = 0 WHERE id = ? AND staged = 1 AND bytes = ?")?
            .execute(params![staged.id.0, staged.bytes])?;
        if linked == 1 {
            Ok(())
        } else {
            Err(StoreError::Sql("the staged bytes are gone".to_owned()))
        }
    }

    /// Drops bytes, staged or linked; those under a lease when the last of them has ended.
    pub(crate) fn drop_bytes(&self, tx: &Connection, id: BlobId) -> Result<(), StoreError> {
        let now_ms = crate::now_ms();
        let leased: bool = tx
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM lease WHERE blob = ? AND until > ? AND until <= ?)")?
            .query_row(params![id.0, now_ms, leases::until(now_ms)], |row| row.get(0))?;
        if leased {
            tx.prepare_cached("UPDATE blob SET doomed = 1 WHERE id = ?")?
                .execute([id.0])?;
            return Ok(());
        }
        free(tx, id)
    }

    /// Ends leases whose time has come, and those that end later than any lease does: the clock was set back. Then drops what
    /// was doomed and is read no more. Returns how many runs.
    pub(crate) fn drop_doomed(&self, tx: &Connection, now_ms: i64) -> Result<u64, StoreError> {
        tx.prepare_cached("DELETE FROM lease WHERE until <= ? OR until > ?")?
            .execute([now_ms, leases::until(now_ms)])?;
        free_all(
            tx,
            "SELECT id FROM blob WHERE doomed = 1 AND NOT EXISTS (SELECT 1 FROM lease WHERE blob = blob.id)",
            [],
        )
    }

    /// Hands out bytes piece by piece, in order.
    pub(crate) fn read(
        &self,
        snapshot: &Connection,
        id: BlobId,
        to: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let (expected, place) = row(snapshot, id)?;
        match place {
            MediaStore::Dir => self.files.read(id, expected, to),
            MediaStore::Sqlite => chunks::read(snapshot, id, expected, to),
        }
    }

    /// Bytes from one on, at most `max` of them; none past the end.
    pub(crate) fn read_at(
        &self,
        snapshot: &Connection,
        id: BlobId,
        from: u64,
        max: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let (length, place) = row(snapshot, id)?;
        let max = max.min(usize::try_from(length.saturating_sub(from)).unwrap_or(usize::MAX));
        match place {
            _ if max == 0 => Ok(Vec::new()),
            MediaStore::Dir => self.files.read_at(id, length, from, max),
            MediaStore::Sqlite => chunks::read_at(snapshot, id, from, max),
        }
    }

    /// How many bytes it is.
    pub(crate) fn size(&self, snapshot: &Connection, id: BlobId) -> Result<u64, StoreError> {
        Ok(row(snapshot, id)?.0)
    }

    /// Drops what a server that is no more has staged or was reading, and what commands left behind. Returns how many runs.
    pub(crate) fn sweep(&self, tx: &Connection, now_ms: i64) -> Result<u64, StoreError> {
        tx.execute("DELETE FROM lease WHERE holder = 'server'", [])?;
        let staged = free_all(
            tx,
            "SELECT id FROM blob WHERE staged = 1 AND (stager = 'server' OR abs(?1 - staged_at) > ?2) ORDER BY id",
            [now_ms, COMMAND_STAGE_MS_MAX],
        )?;
        Ok(staged.saturating_add(self.drop_doomed(tx, now_ms)?))
    }

    /// Removes some files whose bytes have been dropped, those after the run `after`, outside any transaction. A file that
    /// cannot be removed is tried again another time. `None`: there are no more.
    pub(crate) fn unlink_dropped(&self, conn: &Connection, after: BlobId) -> Result<Option<Unlinked>, StoreError> {
        let dropped = conn
            .prepare_cached("SELECT blob FROM unlink WHERE blob > ? ORDER BY blob LIMIT ?")?
            .query_map(params![after.0, UNLINKS_MAX], |row| row.get::<_, i64>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let Some(last) = dropped.last().copied() else {
            return Ok(None);
        };
        let mut bytes = 0_u64;
        let mut removed = Vec::new();
        for id in dropped {
            match self.files.remove(BlobId(id)) {
                Ok(length) => {
                    bytes = bytes.saturating_add(length);
                    removed.push(id);
                }
                Err(error) => tracing::warn!(%error, "the file of deleted media stays for now"),
            }
        }
        // Rolled back when it is dropped uncommitted: the writer goes on with this connection.
        let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
        for id in removed {
            tx.prepare_cached("DELETE FROM unlink WHERE blob = ?")?.execute([id])?;
        }
        tx.commit()?;
        Ok(Some(Unlinked {
            last: BlobId(last),
            bytes,
        }))
    }

    /// What of the media in files cannot be read whole: at most `max` of them, said in words.
    pub(crate) fn damaged_files(&self, snapshot: &Connection, max: usize) -> Result<Vec<String>, StoreError> {
        let mut damaged = Vec::new();
        let mut statement = snapshot.prepare_cached("SELECT id, bytes FROM blob WHERE place = 'dir' AND staged = 0")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if damaged.len() >= max {
                break;
            }
            match self.files.open(BlobId(row.get(0)?), row.get(1)?) {
                Ok(_) => {}
                Err(StoreError::Corrupt(why) | StoreError::Io(why)) => damaged.push(why),
                Err(other) => damaged.push(other.to_string()),
            }
        }
        Ok(damaged)
    }

    /// Whether a file could be stored now, where files are what new media becomes.
    pub(crate) fn try_writing(&self) -> Result<(), StoreError> {
        match self.place() {
            MediaStore::Sqlite => Ok(()),
            MediaStore::Dir => self.files.try_writing(),
        }
    }
}

/// Length and place.
fn row(snapshot: &Connection, id: BlobId) -> Result<(u64, MediaStore), StoreError> {
    let (bytes, place): (u64, String) = snapshot
        .prepare_cached("SELECT bytes, place FROM blob WHERE id = ?")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or_else(|| StoreError::Corrupt(format!("blob {} is missing", id.0)))?;
    let place = MediaStore::from_name(&place)
        .ok_or_else(|| StoreError::Corrupt(format!("blob {} is in '{place}', wherever that is", id.0)))?;
    Ok((bytes, place))
}

/// Drops bytes whoever reads them.
fn free(tx: &Connection, id: BlobId) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM lease WHERE blob = ?")?.execute([id.0])?;
    tx.prepare_cached("INSERT OR IGNORE INTO unlink (blob) SELECT id FROM blob WHERE id = ? AND place = 'dir'")?
        .execute([id.0])?;
    tx.prepare_cached("DELETE FROM blob_chunk WHERE blob = ?")?
        .execute([id.0])?;
    tx.prepare_cached("DELETE FROM blob WHERE id = ?")?.execute([id.0])?;
    Ok(())
}

fn free_all(tx: &Connection, which: &str, values: impl rusqlite::Params) -> Result<u64, StoreError> {
    let ids = tx
        .prepare_cached(which)?
        .query_map(values, |row| row.get(0).map(BlobId))?
        .collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        free(tx, *id)?;
    }
    Ok(ids.len() as u64)
}

/// The whole run of bytes.
pub(crate) fn read_all(blobs: &Blobs, snapshot: &Connection, id: BlobId) -> Result<Vec<u8>, StoreError> {
    let size = usize::try_from(blobs.size(snapshot, id)?).unwrap_or(0);
    let mut all = Vec::with_capacity(size);
    blobs.read(snapshot, id, &mut |piece| {
        all.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(all)
}
