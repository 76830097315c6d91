//! Who may be called, and what their callers meet.

use serde::{Deserialize, Serialize};

/// One subscriber, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// User part of their SIP address.
    pub user: String,
    /// Where they are reached, a SIP URI.
    pub target: String,
    /// Name of the clip played to callers.
    pub clip: Option<String>,
    /// Hold time before they are invited, milliseconds; absent: the profile's.
    pub hold_ms: Option<u64>,
    /// Ring time before the greeting, milliseconds; absent: the profile's.
    pub no_answer_ms: Option<u64>,
    /// Name of the clip played as their greeting.
    pub greeting: Option<String>,
}
