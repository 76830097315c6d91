//! Encrypted media by keys in descriptions (RFC 4568): what callers may use, and what callees are offered.

use serde::{Deserialize, Serialize};

/// What callers may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Srtp {
    /// RTP alone: offers of SRTP get 488.
    Off,
    /// Whichever they offer.
    #[default]
    Allow,
    /// SRTP alone: offers of RTP get 488.
    Require,
}

/// What callees are offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SrtpTo {
    /// RTP.
    Off,
    /// SRTP; who refuses that is asked again with RTP.
    Offer,
    /// SRTP alone.
    Require,
    /// As `Offer` for callers who use SRTP, as `Off` for others.
    #[default]
    AsCaller,
}
