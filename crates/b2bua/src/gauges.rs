//! What a shard counts and how it fares, readable from any thread.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use segue_call::Now;

use crate::{Shard, ShardStats, TrunkStatus};

/// What a shard counts, readable from any thread.
#[derive(Debug, Default)]
pub struct Gauges {
    calls: AtomicU64,
    closing: AtomicBool,
    inbox: AtomicU64,
    moved: Mutex<Option<Instant>>,
    stats: Mutex<ShardStats>,
    trunks: Mutex<Trunks>,
}

/// The trunks as they were when something had changed last.
#[derive(Debug, Default)]
struct Trunks {
    told: Arc<[TrunkStatus]>,
    at: Option<Instant>,
}

/// Changes of trunks are told at most this often: their calls come and go all the time.
const TRUNKS_EVERY: Duration = Duration::from_millis(250);

impl Gauges {
    /// Calls alive now.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether new callers are turned away because the server is to end.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// New calls since the start, those turned away among them.
    pub fn attempts(&self) -> u64 {
        let stats = self.stats();
        stats.calls.saturating_add(stats.turned_away.unbegun)
    }

    /// Notes that wait for the shard.
    pub fn inbox_depth(&self) -> u64 {
        self.inbox.load(Ordering::Relaxed)
    }

    /// How long ago the shard has last shown itself, which it does every second. Zero before it has begun.
    pub fn silent_for(&self) -> Duration {
        let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Counters since the start.
    pub fn stats(&self) -> ShardStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trunks as they are, at most a second or so old.
    pub fn trunks(&self) -> Arc<[TrunkStatus]> {
        let trunks = self.trunks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&trunks.told)
    }

    pub(crate) fn set_trunks(&self, now: Now, shard: &mut Shard) {
        let mut trunks = self.trunks.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |at: Instant| now.mono.saturating_duration_since(at) < TRUNKS_EVERY;
        if trunks.at.is_some_and(is_fresh) {
            return;
        }
        if let Some(told) = shard.changed_trunks(now) {
            (trunks.told, trunks.at) = (told.into(), Some(now.mono));
        }
    }

    /// Counters since the start, by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let stats = self.stats();
        [
            ("turned_away", stats.turned_away.sum()),
            ("admission_rate", stats.rate.unwrap_or(0)),
            ("calls", stats.calls),
            ("sip_unknown_source", stats.unknown_source),
            ("sip_unparsable", stats.unparsable),
            ("call_panics", stats.panics),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into()
    }

    pub(crate) fn set(&self, shard: &Shard, inbox_depth: usize) {
        self.calls.store(shard.call_count() as u64, Ordering::Relaxed);
        self.closing.store(shard.is_closing(), Ordering::Relaxed);
        self.inbox.store(inbox_depth as u64, Ordering::Relaxed);
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = shard.stats();
    }
}
