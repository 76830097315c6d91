//! Where media bytes live.
//!
//! Bytes are brought in ahead of the transaction that makes them part of something, so that this transaction is short:
//! [`Blobs::stage`] writes them in pieces, [`Blobs::link`] only flips a mark. A crash in between leaves a staged run
//! of bytes that nothing names, swept at the server's next start.

use std::io::Read;

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    StoreError,
    writer::{TRANSACTION_BYTES_MAX, Writer},
};

/// Bytes in one chunk.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// Staged bytes of a command that nobody touched for this long are leftovers.
const COMMAND_STAGE_MS_MAX: i64 = 60 * 60 * 1000;

/// A run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobId(pub(crate) i64);

/// Who stages: what a server staged is a leftover once another server starts; commands run beside the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stager {
    Server,
    Command,
}

impl Stager {
    fn name(self) -> &'static str {
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

/// Keeps runs of bytes. What it does inside a transaction counts when that transaction commits.
pub(crate) trait Blobs: Send + Sync {
    /// Brings bytes in ahead, in transactions of at most 1 MiB.
    fn stage(&self, writer: &Writer, stager: Stager, from: &mut dyn Read) -> Result<Staged, StoreError>;
    /// Makes staged bytes part of something.
    fn link(&self, tx: &Connection, staged: Staged) -> Result<(), StoreError>;
    /// Drops bytes, staged or linked.
    fn drop_bytes(&self, tx: &Connection, id: BlobId) -> Result<(), StoreError>;
    /// Hands out bytes piece by piece, in order.
    fn read(
        &self,
        snapshot: &Connection,
        id: BlobId,
        to: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError>;
    /// How many bytes it is.
    fn size(&self, snapshot: &Connection, id: BlobId) -> Result<u64, StoreError>;
    /// Drops what a server that is no more has staged, and what commands left behind. Returns how many runs.
    fn sweep(&self, tx: &Connection, now_ms: i64) -> Result<u64, StoreError>;
}

/// Bytes in the database itself, in chunks of 256 KiB.
pub(crate) struct SqliteBlobs;

impl Blobs for SqliteBlobs {
    fn stage(&self, writer: &Writer, stager: Stager, from: &mut dyn Read) -> Result<Staged, StoreError> {
        let now_ms = crate::now_ms();
        let id = writer.write(move |tx| {
            tx.prepare_cached("INSERT INTO blob (staged, stager, staged_at, bytes) VALUES (1, ?, ?, 0)")?
                .execute(params![stager.name(), now_ms])?;
            Ok(BlobId(tx.last_insert_rowid()))
        })?;
        match fill(writer, id, from) {
            Ok(bytes) => Ok(Staged { id, bytes }),
            Err(e) => {
                // Best effort: what stays is swept at the next start.
                let _ = writer.write(move |tx| SqliteBlobs.drop_bytes(tx, id));
                Err(e)
            }
        }
    }

    fn link(&self, tx: &Connection, staged: Staged) -> Result<(), StoreError> {
        let linked = tx
            .prepare_cached("UPDATE blob SET staged = 0 WHERE id = ? AND staged = 1 AND bytes = ?")?
            .execute(params![staged.id.0, staged.bytes])?;
        if linked == 1 {
            Ok(())
        } else {
            Err(StoreError::Sql("the staged bytes are gone".to_owned()))
        }
    }

    fn drop_bytes(&self, tx: &Connection, id: BlobId) -> Result<(), StoreError> {
        tx.prepare_cached("DELETE FROM blob_chunk WHERE blob = ?")?
            .execute([id.0])?;
        tx.prepare_cached("DELETE FROM blob WHERE id = ?")?.execute([id.0])?;
        Ok(())
    }

    fn read(
        &self,
        snapshot: &Connection,
        id: BlobId,
        to: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let mut statement = snapshot.prepare_cached("SELECT data FROM blob_chunk WHERE blob = ? ORDER BY seq")?;
        let mut rows = statement.query([id.0])?;
        let mut total = 0_u64;
        while let Some(row) = rows.next()? {
            let data = row
                .get_ref(0)?
                .as_blob()
                .map_err(|e| StoreError::Corrupt(e.to_string()))?;
            to(data)?;
            total = total.saturating_add(data.len() as u64);
        }
        let expected = self.size(snapshot, id)?;
        if total == expected {
            Ok(total)
        } else {
            Err(StoreError::Corrupt(format!(
                "blob {} has {total} of its {expected} bytes",
                id.0
            )))
        }
    }

    fn size(&self, snapshot: &Connection, id: BlobId) -> Result<u64, StoreError> {
        snapshot
            .prepare_cached("SELECT bytes FROM blob WHERE id = ?")?
            .query_row([id.0], |row| row.get(0))
            .optional()?
            .ok_or_else(|| StoreError::Corrupt(format!("blob {} is missing", id.0)))
    }

    fn sweep(&self, tx: &Connection, now_ms: i64) -> Result<u64, StoreError> {
        let mut statement = tx.prepare(
            "SELECT id FROM blob WHERE staged = 1 AND (stager = 'server' OR abs(?1 - staged_at) > ?2) ORDER BY id",
        )?;
        let leftovers = statement
            .query_map([now_ms, COMMAND_STAGE_MS_MAX], |row| row.get(0).map(BlobId))?
            .collect::<Result<Vec<_>, _>>()?;
        for id in &leftovers {
            self.drop_bytes(tx, *id)?;
        }
        Ok(leftovers.len() as u64)
    }
}

/// Appends everything that `from` gives, at most 1 MiB a transaction.
fn fill(writer: &Writer, id: BlobId, from: &mut dyn Read) -> Result<u64, StoreError> {
    let mut seq = 0_i64;
    let mut total = 0_u64;
    loop {
        let mut chunks = Vec::new();
        let mut bytes = 0_usize;
        while bytes < TRANSACTION_BYTES_MAX {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            (&mut *from)
                .take(CHUNK_BYTES as u64)
                .read_to_end(&mut chunk)
                .map_err(|e| StoreError::Io(e.to_string()))?;
            if chunk.is_empty() {
                break;
            }
            bytes = bytes.saturating_add(chunk.len());
            chunks.push(chunk);
        }
        if chunks.is_empty() {
            return Ok(total);
        }
        let first = seq;
        seq = seq.saturating_add(i64::try_from(chunks.len()).unwrap_or(i64::MAX));
        total = total.saturating_add(bytes as u64);
        let now_ms = crate::now_ms();
        writer.write_bytes(bytes, move |tx| {
            let mut insert = tx.prepare_cached("INSERT INTO blob_chunk (blob, seq, data) VALUES (?, ?, ?)")?;
            for (seq, chunk) in (first..).zip(&chunks) {
                insert.execute(params![id.0, seq, chunk])?;
            }
            tx.prepare_cached("UPDATE blob SET bytes = bytes + ?, staged_at = ? WHERE id = ?")?
                .execute(params![bytes, now_ms, id.0])?;
            Ok(())
        })?;
    }
}

/// The whole run of bytes.
pub(crate) fn read_all(blobs: &dyn Blobs, snapshot: &Connection, id: BlobId) -> Result<Vec<u8>, StoreError> {
    let size = usize::try_from(blobs.size(snapshot, id)?).unwrap_or(0);
    let mut all = Vec::with_capacity(size);
    blobs.read(snapshot, id, &mut |piece| {
        all.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(all)
}
