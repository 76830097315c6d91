//! How busy the server is, and was.

mod history;

pub use history::{LoadHistory, LoadHistoryView, LoadSample, SAMPLE_EVERY, SAMPLES_MAX};

use serde::Serialize;
use utoipa::ToSchema;

/// How busy the server is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoadView {
    /// Calls now.
    pub calls: Used,
    /// Of them those whose caller waits for an answer.
    pub early: Used,
    /// Places of transcoding that are taken: processes for sound; pictures take several.
    pub transcoding: Used,
    /// What transcoding takes of all cores, percent; at its most no further call gets any.
    pub transcoding_cpu_percent: Used,
    /// What this process takes, percent of all cores, since it was asked last or in the second before.
    pub cpu_percent: u64,
    /// Processor time that this process has taken since its start, milliseconds.
    pub cpu_ms: u64,
    /// Cores.
    pub cores: u64,
    /// New calls since the start, those turned away among them.
    pub attempts: u64,
    /// Sessions of the packet path.
    pub media_sessions: u64,
    /// RTP ports that are leased.
    pub media_ports: u64,
    /// Notes that wait for the signalling thread.
    pub inbox: u64,
    /// New calls a second that are let in while messages wait too long; `null`: as many as come.
    pub admitted_per_s: Option<u64>,
    /// How long messages may wait until new calls are limited, milliseconds; `null`: for ever.
    pub delay_ms: Option<u64>,
    /// Since the start, what was refused and why.
    pub refused: Vec<Refused>,
}

/// How much of something is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Used {
    /// Now.
    pub now: u64,
    /// At most; `null`: there is no limit.
    pub max: Option<u64>,
}

/// What was refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refused {
    /// A word for programs.
    pub reason: String,
    /// The same for people.
    pub words: String,
    /// The setting that bounds it, where there is one.
    pub setting: Option<String>,
    /// How often.
    pub count: u64,
}
