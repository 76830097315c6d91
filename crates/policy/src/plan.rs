//! The plan for one call, decided before anything is said to the caller.

use serde::{Deserialize, Serialize};

use crate::{Profile, Subscriber};

/// What this call will do, all defaults resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The mailbox that a message would go to.
    pub mailbox: String,
    /// Where the callee is reached, a SIP URI.
    pub target: String,
    /// The clip to hold the caller on, by name.
    pub clip: Option<String>,
    /// From the first clip packet to the INVITE to B, milliseconds; 0: clip while ringing.
    pub hold_ms: u64,
    /// From the INVITE to B to the greeting, milliseconds.
    pub no_answer_ms: u64,
    /// The greeting, by name.
    pub greeting: Option<String>,
}

impl Plan {
    /// The plan for a call to `subscriber` under `profile`.
    pub fn new(subscriber: &Subscriber, profile: &Profile) -> Plan {
        Plan {
            mailbox: subscriber.user.clone(),
            target: subscriber.target.clone(),
            clip: subscriber.clip.clone(),
            hold_ms: subscriber.hold_ms.unwrap_or(profile.hold_ms).min(profile.hold_max_ms),
            no_answer_ms: subscriber.no_answer_ms.unwrap_or(profile.no_answer_ms),
            greeting: subscriber.greeting.clone(),
        }
    }
}
