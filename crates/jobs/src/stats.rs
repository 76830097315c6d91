//! What the jobs count, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a worker was asked and how it went.
#[derive(Debug, Default)]
pub(crate) struct WorkCounters {
    pub done: AtomicU64,
    pub refused: AtomicU64,
    pub failed: AtomicU64,
    pub retried: AtomicU64,
}

/// Jobs of worker processes since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkStats {
    /// Done.
    pub done: u64,
    /// Refused: the input was at fault.
    pub refused: u64,
    /// Given up after the second attempt.
    pub failed: u64,
    /// Attempts that failed and were followed by another.
    pub retried: u64,
    /// Running now.
    pub busy: u64,
    /// The last attempt to start a process failed.
    pub cannot_start: bool,
}

impl WorkCounters {
    pub(crate) fn read(&self, busy: u64, cannot_start: bool) -> WorkStats {
        WorkStats {
            done: self.done.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            retried: self.retried.load(Relaxed),
            busy,
            cannot_start,
        }
    }
}

/// What became of recordings.
#[derive(Debug, Default)]
pub(crate) struct DepositCounters {
    pub ready: AtomicU64,
    pub raw: AtomicU64,
    pub dropped: AtomicU64,
    pub failed: AtomicU64,
}

/// Recordings since the start, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DepositStats {
    /// Stored, finished.
    pub ready: u64,
    /// Stored as the raw recording.
    pub raw: u64,
    /// Dropped: too short, nothing in them, or deleted meanwhile.
    pub dropped: u64,
    /// Not stored; tried again later.
    pub failed: u64,
    /// Waiting or at work.
    pub waiting: u64,
}

impl DepositCounters {
    pub(crate) fn read(&self, waiting: usize) -> DepositStats {
        DepositStats {
            ready: self.ready.load(Relaxed),
            raw: self.raw.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            failed: self.failed.load(Relaxed),
            waiting: waiting as u64,
        }
    }
}
