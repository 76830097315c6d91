//! The last hour of the load: a ring of samples in memory, each with what was counted since the one before.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use segue_records::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use super::LoadView;

/// How often the running server takes a sample.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Samples that are kept, the newest: an hour of them.
pub const SAMPLES_MAX: usize = 720;

/// How busy the server was, the last hour at most; of this run of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoadHistoryView {
    /// How often a sample is taken, milliseconds.
    pub every_ms: u64,
    /// Oldest first.
    pub samples: Vec<LoadSample>,
}

/// How busy the server was at one moment, and since the sample before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoadSample {
    /// When it was taken, in UTC (RFC 3339).
    pub at: String,
    /// The same for our own pages.
    #[serde(skip)]
    pub at_ms: UnixMs,
    /// Since when its counts are, milliseconds.
    pub over_ms: u64,
    /// Calls at that moment.
    pub calls: u64,
    /// Of them those whose caller waited for an answer.
    pub early: u64,
    /// New calls that came since the sample before, those turned away among them.
    pub attempts: u64,
    /// What was refused since, of all reasons.
    pub refused: u64,
    /// What this process took since, percent of all cores.
    pub cpu_percent: u64,
    /// What transcoding took of all cores, percent.
    pub transcoding_cpu_percent: u64,
    /// Sessions of the packet path.
    pub media_sessions: u64,
    /// New calls a second that were let in; `null`: as many as came.
    pub admitted_per_s: Option<u64>,
}

/// The samples, by whom they are taken and by whom they are shown.
#[derive(Debug, Clone, Default)]
pub struct LoadHistory(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    /// What was counted when, at the sample before.
    before: Option<(Instant, Counted)>,
    samples: VecDeque<LoadSample>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    attempts: u64,
    refused: u64,
    cpu_ms: u64,
}

impl LoadHistory {
    /// Takes a sample; the first one is only what the next is counted from. `at` is what the clock on the wall says `now`.
    pub fn note(&self, at: UnixMs, now: Instant, load: &LoadView) {
        let counted = Counted {
            attempts: load.attempts,
            refused: load.refused.iter().map(|one| one.count).fold(0, u64::saturating_add),
            cpu_ms: load.cpu_ms,
        };
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((then, before)) = ring.before.replace((now, counted)) else {
            return;
        };
        let over_ms = u64::try_from(now.saturating_duration_since(then).as_millis()).unwrap_or(u64::MAX);
        let there = over_ms.saturating_mul(load.cores).max(1);
        let taken = counted.cpu_ms.saturating_sub(before.cpu_ms).saturating_mul(100);
        let sample = LoadSample {
            at: at.rfc3339(),
            at_ms: at,
            over_ms,
            calls: load.calls.now,
            early: load.early.now,
            attempts: counted.attempts.saturating_sub(before.attempts),
            refused: counted.refused.saturating_sub(before.refused),
            // Half a percent and more is one.
            cpu_percent: taken.saturating_add(there / 2) / there,
            transcoding_cpu_percent: load.transcoding_cpu_percent.now,
            media_sessions: load.media_sessions,
            admitted_per_s: load.admitted_per_s,
        };
        while ring.samples.len() >= SAMPLES_MAX {
            ring.samples.pop_front();
        }
        ring.samples.push_back(sample);
    }

    /// What is kept.
    pub fn view(&self) -> LoadHistoryView {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        LoadHistoryView {
            every_ms: u64::try_from(SAMPLE_EVERY.as_millis()).unwrap_or(u64::MAX),
            samples: ring.samples.iter().cloned().collect(),
        }
    }
}
