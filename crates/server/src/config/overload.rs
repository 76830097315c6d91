//! `[overload]`: when new calls are turned away.

use std::time::Duration;

use segue_b2bua::{Caps, Limits};

/// Well under T1 (500 ms), after which peers send again what they sent.
const DELAY_MS: u64 = 50;

/// The keys of `[overload]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// How long messages may wait to be handled, milliseconds; `None`: for ever.
    pub delay_ms: Option<u64>,
    /// How many calls there may be.
    pub caps: Caps,
}

impl Default for Overload {
    /// No bound but that of the delay.
    fn default() -> Overload {
        Overload {
            delay_ms: Some(DELAY_MS),
            caps: Caps::default(),
        }
    }
}

impl Overload {
    /// As the shard takes it.
    pub fn limits(&self) -> Limits {
        Limits {
            delay: self.delay_ms.map(Duration::from_millis),
            caps: self.caps,
            ..Limits::default()
        }
    }
}
