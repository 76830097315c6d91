//! How long messages live: heard and unheard ones by independent rules.

use serde::{Deserialize, Serialize};

/// A mailbox's retention rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// At most this many heard messages; the oldest heard goes first. `None`: no limit.
    pub heard_max: Option<u32>,
}
