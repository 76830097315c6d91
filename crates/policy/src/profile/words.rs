//! The words that keys of a profile take.

use serde::{Deserialize, Serialize};

/// When provisional responses are sent reliably.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reliable {
    /// Whenever the caller says `Supported` or `Require: 100rel`.
    #[default]
    Supported,
    /// Only when the caller says `Require: 100rel`.
    Required,
    /// Always: a caller that does not say `Supported: 100rel` is refused with 421.
    Always,
}

/// What INVITEs to callees say of reliable provisional responses (RFC 3262 §4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReliableToCallee {
    /// `Supported: 100rel`.
    #[default]
    Supported,
    /// `Require: 100rel`; a callee that refuses that with 420 is asked again without.
    Required,
    /// Nothing; a callee that refuses that with 421 is asked again with `Require: 100rel`.
    Never,
}

/// Who refreshes sessions (RFC 4028), where that is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionRefresher {
    /// A callee may say; of callers we say that they do.
    #[default]
    Negotiated,
    /// We do.
    Segue,
    /// The peer does.
    Peer,
}

/// How a side is told of a call's way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// By History-Info (RFC 7044).
    #[default]
    HistoryInfo,
    /// By Diversion (RFC 5806).
    Diversion,
    /// By both.
    Both,
    /// Not at all.
    None,
}

/// What the Request-URI of a call says that a 3xx sends on (RFC 4458 §2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectUri {
    /// What the Contact of the 3xx says.
    #[default]
    AsItIs,
    /// And why: `cause`.
    Cause,
    /// And whose mailbox it would be: `target`, too. For voicemail systems.
    TargetAndCause,
}

/// When A gets the 200 for the mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerAt {
    /// Before the greeting.
    #[default]
    Greeting,
    /// After the greeting, before the beep.
    AfterGreeting,
}

/// Whose word counts about where a caller's media is. Its SDP may name any address: believed blindly, whoever is admitted could
/// have the clip sent to somebody who never asked for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaFrom {
    /// The address its SIP came from is believed; to any other nothing is sent before RTP has come from there.
    #[default]
    Proven,
    /// The caller is behind a NAT: its media comes from, and goes to, the address its SIP came from, whatever its SDP says.
    Nat,
    /// Its SDP is believed: the peers are trusted, and have their media elsewhere.
    Any,
}
