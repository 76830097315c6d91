//! A stored message.

use serde::{Deserialize, Serialize};

/// Video or audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Picture and sound.
    Video,
    /// Sound alone.
    Audio,
}

/// Consumed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has played it.
    Unheard,
    /// Played past 80 % or marked.
    Heard,
}

/// Whether the media is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaState {
    /// MP4 or WebM that browsers play.
    Ready,
    /// The raw spool; finalising is tried again at start.
    Raw,
}

/// One message, without its media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// ULID, 26 characters; sorts by arrival.
    pub id: String,
    /// The subscriber who owns it.
    pub mailbox: String,
    /// Our call's id.
    pub call_id: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// The caller's URI.
    pub from: String,
    /// The caller's display name.
    pub from_name: Option<String>,
    /// When the recording began, Unix milliseconds.
    pub received_at_ms: i64,
    /// When it was heard, Unix milliseconds.
    pub heard_at_ms: Option<i64>,
    /// Playing time.
    pub duration_ms: u64,
    /// Video or audio.
    pub kind: Kind,
    /// Whether its media is final.
    pub media_state: MediaState,
    /// Size of its media and poster in bytes.
    pub bytes: u64,
    /// The recording was cut by a crash and salvaged.
    pub interrupted: bool,
    /// The caller marked it urgent.
    pub urgent: bool,
    /// How the rules stand to it.
    pub keeping: Keeping,
}

/// How retention rules stand to a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// No rule counts or deletes it.
    pub pinned: bool,
    /// When its owner was warned that it will go, Unix milliseconds.
    pub warned_at_ms: Option<i64>,
    /// When it went to the trash, Unix milliseconds; `None`: it is in the mailbox.
    pub deleted_at_ms: Option<i64>,
    /// What put it there: `user`, or the name of a rule.
    pub deleted_by: Option<String>,
}

/// How much of a message somebody must have seen for it to count as heard, percent.
const HEARD_PERCENT: u64 = 80;

/// From where on in a message it counts as heard, milliseconds.
pub fn heard_after_ms(duration_ms: u64) -> u64 {
    duration_ms.saturating_mul(HEARD_PERCENT).checked_div(100).unwrap_or(0)
}

impl Message {
    /// Heard or unheard.
    pub fn state(&self) -> State {
        if self.heard_at_ms.is_some() {
            State::Heard
        } else {
            State::Unheard
        }
    }
}
