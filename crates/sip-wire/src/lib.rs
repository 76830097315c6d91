//! SIP bytes to messages and back (RFC 3261 §7, §25); the only crate that names `rsip`.

/// Placeholder until the parser lands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri;
/// Placeholder until the parser lands.
#[derive(Debug, Clone)]
pub struct Message;
