//! How phones are told that messages wait (RFC 3842).

use serde::{Deserialize, Serialize};

/// Who is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageWaiting {
    /// Who subscribes.
    #[default]
    Subscribed,
    /// Each registered contact, without asking.
    Unsolicited,
    /// Who subscribes, and each registered contact that does not.
    Both,
}

impl MessageWaiting {
    /// Whether SUBSCRIBE is taken.
    pub fn takes_subscriptions(self) -> bool {
        self != MessageWaiting::Unsolicited
    }

    /// Whether contacts are told that have not asked.
    pub fn is_unsolicited(self) -> bool {
        self != MessageWaiting::Subscribed
    }
}
