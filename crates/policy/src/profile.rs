//! A profile: how Segue behaves towards one kind of peer. Read from `sip-profiles/*.toml`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One profile file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name, also in logs.
    pub name: String,
    /// Listening sockets it serves, `address:port`; empty: all.
    #[serde(default)]
    pub listen: Vec<String>,
    /// Sources it admits.
    pub sources: Vec<IpNet>,
    /// When provisional responses are sent reliably (RFC 3262).
    #[serde(default)]
    pub reliable: Reliable,
    /// When A gets the 200 for the mailbox.
    #[serde(default)]
    pub answer_at: AnswerAt,
    /// Status sent to A when B rings: 180 or 183.
    #[serde(default = "default_ringing_status")]
    pub ringing_status: u16,
    /// Hold for subscribers that name none, milliseconds.
    #[serde(default)]
    pub hold_ms: u64,
    /// Longest hold, milliseconds.
    #[serde(default = "default_hold_max_ms")]
    pub hold_max_ms: u64,
    /// Ring time for subscribers that name none, milliseconds.
    #[serde(default = "default_no_answer_ms")]
    pub no_answer_ms: u64,
}

/// When provisional responses are sent reliably.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reliable {
    /// Whenever the caller says `Supported` or `Require: 100rel`.
    #[default]
    Supported,
    /// Only when the caller says `Require: 100rel`.
    Required,
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

fn default_ringing_status() -> u16 {
    183
}

fn default_hold_max_ms() -> u64 {
    60_000
}

fn default_no_answer_ms() -> u64 {
    20_000
}

impl Profile {
    /// Whether this profile serves a request that came from `source` to the listening socket `local`.
    pub fn matches(&self, local: &str, source: IpAddr) -> bool {
        (self.listen.is_empty() || self.listen.iter().any(|l| l == local))
            && self.sources.iter().any(|net| net.contains(&source))
    }
}
