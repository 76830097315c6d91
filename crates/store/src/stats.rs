//! What the store counts: written by its writer thread, read by anyone.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds of the classes of commit times, microseconds; a last class takes what is longer.
pub const COMMIT_US: [u64; 10] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000,
];

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: [AtomicU64; COMMIT_US.len() + 1],
    commit_us: AtomicU64,
    failed: AtomicU64,
    writes: AtomicU64,
    pub(crate) queued: AtomicU64,
    freed_bytes: AtomicU64,
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed by this process, by how long the commit (its sync to disk) took: the classes of [`COMMIT_US`],
    /// then longer ones.
    pub commits: [u64; COMMIT_US.len() + 1],
    /// All of that time, microseconds.
    pub commit_us: u64,
    /// Transactions that could not be committed.
    pub failed: u64,
    /// Writes carried by them; several share a transaction.
    pub writes: u64,
    /// Writes that wait.
    pub queued: u64,
    /// Bytes given back to the system: of the database file, and of files with media.
    pub freed_bytes: u64,
}

/// The size of the database file and of the media beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes in the file that are free for reuse.
    pub free_bytes: u64,
    /// Bytes of media in files of their own.
    pub file_bytes: u64,
}

impl Counters {
    pub(crate) fn committed(&self, took: Duration, writes: usize) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = COMMIT_US.iter().position(|most| us <= *most).unwrap_or(COMMIT_US.len());
        if let Some(counter) = self.commits.get(class) {
            counter.fetch_add(1, Relaxed);
        }
        self.commit_us.fetch_add(us, Relaxed);
        self.writes.fetch_add(writes as u64, Relaxed);
        self.queued.fetch_sub(writes as u64, Relaxed);
    }

    pub(crate) fn failed(&self, writes: usize) {
        self.failed.fetch_add(1, Relaxed);
        self.queued.fetch_sub(writes as u64, Relaxed);
    }

    pub(crate) fn freed(&self, bytes: u64) {
        self.freed_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        let mut commits = [0; COMMIT_US.len() + 1];
        for (read, counter) in commits.iter_mut().zip(&self.commits) {
            *read = counter.load(Relaxed);
        }
        Stats {
            commits,
            commit_us: self.commit_us.load(Relaxed),
            failed: self.failed.load(Relaxed),
            writes: self.writes.load(Relaxed),
            queued: self.queued.load(Relaxed),
            freed_bytes: self.freed_bytes.load(Relaxed),
        }
    }
}
