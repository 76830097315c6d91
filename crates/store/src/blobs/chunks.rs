//! Bytes in the database itself, in chunks of 256 KiB.

use std::io::Read;

use rusqlite::{Connection, params};

use super::{BlobId, CHUNK_BYTES};
use crate::{
    StoreError,
    writer::{TRANSACTION_BYTES_MAX, Writer},
};

/// Appends everything that `from` gives, at most 1 MiB a transaction. Returns how much it was.
pub(super) fn fill(writer: &Writer, id: BlobId, from: &mut dyn Read) -> Result<u64, StoreError> {
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

/// Hands out the chunks in order. Error: [`StoreError::Corrupt`] when they are not `expected` bytes.
pub(super) fn read(
    snapshot: &Connection,
    id: BlobId,
    expected: u64,
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
    if total == expected {
        Ok(total)
    } else {
        Err(StoreError::Corrupt(format!(
            "blob {} has {total} of its {expected} bytes",
            id.0
        )))
    }
}

/// Bytes from one on, at most `max` of them, which are there. Every chunk but the last is full.
pub(super) fn read_at(snapshot: &Connection, id: BlobId, from: u64, max: usize) -> Result<Vec<u8>, StoreError> {
    let chunk_bytes = CHUNK_BYTES as u64;
    let (first, skip) = (from / chunk_bytes, from % chunk_bytes);
    let mut skip = usize::try_from(skip).unwrap_or(0);
    let mut statement =
        snapshot.prepare_cached("SELECT data FROM blob_chunk WHERE blob = ? AND seq >= ? ORDER BY seq")?;
    let mut rows = statement.query(params![id.0, i64::try_from(first).unwrap_or(i64::MAX)])?;
    let mut bytes = Vec::with_capacity(max);
    while bytes.len() < max {
        let Some(row) = rows.next()? else {
            return Err(StoreError::Corrupt(format!("blob {} lacks a chunk", id.0)));
        };
        let data = row
            .get_ref(0)?
            .as_blob()
            .map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let data = data.get(std::mem::take(&mut skip)..).unwrap_or_default();
        let wanted = max.saturating_sub(bytes.len()).min(data.len());
        bytes.extend_from_slice(data.get(..wanted).unwrap_or_default());
    }
    Ok(bytes)
}
