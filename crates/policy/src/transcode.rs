//! What is done where a caller and a callee have no codec in common.

use serde::{Deserialize, Serialize};

/// What is transcoded there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transcode {
    /// Nothing.
    Off,
    /// Sound.
    #[default]
    Audio,
}
