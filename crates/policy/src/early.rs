//! What a profile says of what flows before the answer.

use serde::{Deserialize, Serialize};

/// When a peer of our trust domain is told by P-Early-Media what may flow before the answer (RFC 5009). Others never are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PEarlyMedia {
    /// When its INVITE says `P-Early-Media: supported`.
    #[default]
    Supported,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whose early media is passed to a caller who is played nothing by us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalleeEarlyMedia {
    /// That of a callee's side in our trust domain which asks for it by P-Early-Media (RFC 5009).
    #[default]
    Authorized,
    /// Any callee's, unless its P-Early-Media says otherwise.
    Any,
    /// Nobody's.
    Never,
}

/// What callees are told of preconditions (RFC 3312). A caller's own are met or refused here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreconditionsToCallee {
    /// Nothing.
    #[default]
    Strip,
    /// That our resources are there, and that theirs are wished for.
    Offer,
}
