//! Leases of those who read media: what is deleted meanwhile is there until the last of them has ended.
//!
//! A lease has an end of its own, so that a reader that crashed keeps nothing for ever; one that reads on renews it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{OptionalExtension, params};

use crate::{Inner, Store, StoreError, blobs::BlobId, now_ms};

/// How long a lease lasts unless it is renewed.
const LEASE: Duration = Duration::from_secs(10 * 60);

/// A lease of a message's media; it ends when dropped.
pub(crate) struct Lease {
    inner: Arc<Inner>,
    id: i64,
    renewed: Instant,
    pub(crate) media: BlobId,
    pub(crate) media_type: String,
}

impl Store {
    /// Takes a lease of a message's media. Error: [`StoreError::NotFound`].
    pub(crate) fn lease_media(&self, message: &str) -> Result<Lease, StoreError> {
        let holder = self.inner.stager;
        let message = message.to_owned();
        let (id, media, media_type) = self.write(move |tx| {
            let (media, media_type): (i64, String) = tx
                .prepare_cached("SELECT media, media_type FROM message WHERE id = ?")?
                .query_row([&message], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .ok_or_else(|| StoreError::not_found("message", &message))?;
            tx.prepare_cached("INSERT INTO lease (blob, holder, until) VALUES (?, ?, ?)")?
                .execute(params![media, holder.name(), until(now_ms())])?;
            Ok((tx.last_insert_rowid(), BlobId(media), media_type))
        })?;
        Ok(Lease {
            inner: Arc::clone(&self.inner),
            id,
            renewed: Instant::now(),
            media,
            media_type,
        })
    }
}

impl Lease {
    /// To be called while reading: prolongs the lease when half of it is over.
    pub(crate) fn renew(&mut self) -> Result<(), StoreError> {
        if self.renewed.elapsed() < LEASE / 2 {
            return Ok(());
        }
        self.renewed = Instant::now();
        let id = self.id;
        self.inner.writer.write(move |tx| {
            tx.prepare_cached("UPDATE lease SET until = ? WHERE id = ?")?
                .execute(params![until(now_ms()), id])?;
            Ok(())
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (id, blobs) = (self.id, Arc::clone(&self.inner.blobs));
        // Failing that, its time ends it.
        let _ = self.inner.writer.write(move |tx| {
            tx.prepare_cached("DELETE FROM lease WHERE id = ?")?.execute([id])?;
            blobs.drop_doomed(tx, now_ms())
        });
    }
}

/// When a lease ends that is taken at `now_ms`, Unix milliseconds.
pub(crate) fn until(now_ms: i64) -> i64 {
    now_ms.saturating_add(i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX))
}
