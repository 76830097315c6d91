//! A profile: how Segue behaves towards one kind of peer. Read from `sip-profiles/*.toml`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

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

/// The whole early phase stays under this, so no profile may plan more (call-flow rule: 170 s).
const EARLY_MAX_MS: u64 = 170_000;

/// What is wrong with a profile that reads well.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// `name` is empty.
    #[error("name is empty: give the profile a name for logs")]
    NoName,
    /// `sources` is empty.
    #[error("sources is empty, so nobody is admitted: add a network, e.g. sources = [\"127.0.0.0/8\"]")]
    NoSources,
    /// `ringing_status` is neither 180 nor 183.
    #[error("ringing_status = {0}: use 180 or 183")]
    RingingStatus(u16),
    /// A time is longer than an early dialog may last.
    #[error("{key} = {ms}: at most {EARLY_MAX_MS}, since an early dialog may not last longer")]
    TooLong {
        /// Which key.
        key: &'static str,
        /// Its value.
        ms: u64,
    },
    /// Nobody would ever ring.
    #[error("no_answer_ms = 0: the callee would never ring; use e.g. 20000")]
    NeverRings,
}

impl Profile {
    /// Whether its values make sense together.
    pub fn check(&self) -> Result<(), ProfileError> {
        if self.name.trim().is_empty() {
            return Err(ProfileError::NoName);
        }
        if self.sources.is_empty() {
            return Err(ProfileError::NoSources);
        }
        if !matches!(self.ringing_status, 180 | 183) {
            return Err(ProfileError::RingingStatus(self.ringing_status));
        }
        for (key, ms) in [
            ("hold_ms", self.hold_ms),
            ("hold_max_ms", self.hold_max_ms),
            ("no_answer_ms", self.no_answer_ms),
        ] {
            if ms > EARLY_MAX_MS {
                return Err(ProfileError::TooLong { key, ms });
            }
        }
        if self.no_answer_ms == 0 {
            return Err(ProfileError::NeverRings);
        }
        Ok(())
    }

    /// Whether this profile serves a request that came from `source` to the listening socket `local`.
    pub fn matches(&self, local: &str, source: IpAddr) -> bool {
        (self.listen.is_empty() || self.listen.iter().any(|l| l == local))
            && self.sources.iter().any(|net| net.contains(&source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Profile {
        toml::from_str(text).unwrap()
    }

    fn smallest() -> Profile {
        read("name = \"p\"\nsources = [\"10.0.0.0/8\"]")
    }

    #[test]
    fn a_name_and_sources_are_enough() {
        let profile = smallest();
        assert_eq!(profile.check(), Ok(()));
        assert_eq!(profile.reliable, Reliable::Supported);
        assert_eq!(profile.answer_at, AnswerAt::Greeting);
        assert_eq!(
            (
                profile.ringing_status,
                profile.hold_ms,
                profile.hold_max_ms,
                profile.no_answer_ms
            ),
            (183, 0, 60_000, 20_000)
        );
    }

    #[test]
    fn the_profile_that_comes_with_segue_says_its_defaults() {
        let shipped = read(include_str!("../../../sip-profiles/softphone.toml"));
        assert_eq!(shipped.check(), Ok(()));
        let mut defaults = read("name = \"softphone\"\nsources = [\"127.0.0.0/8\"]");
        defaults.listen = Vec::new();
        assert_eq!(shipped, defaults);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "name = \"p\"\nsources = [\"10.0.0.0/8\"]\nsurces = []",
            "name = \"p\"\nsources = [\"10.0.0.0/99\"]",
            "name = \"p\"\nsources = [\"ten\"]",
            "name = \"p\"",
            "name = \"p\"\nsources = [\"10.0.0.0/8\"]\nanswer_at = \"never\"",
        ] {
            assert!(toml::from_str::<Profile>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let with = |change: fn(&mut Profile)| {
            let mut profile = smallest();
            change(&mut profile);
            profile.check()
        };
        assert_eq!(with(|p| p.name = " ".to_owned()), Err(ProfileError::NoName));
        assert_eq!(with(|p| p.sources.clear()), Err(ProfileError::NoSources));
        assert_eq!(with(|p| p.ringing_status = 181), Err(ProfileError::RingingStatus(181)));
        assert_eq!(with(|p| p.no_answer_ms = 0), Err(ProfileError::NeverRings));
        assert_eq!(
            with(|p| p.hold_max_ms = 200_000),
            Err(ProfileError::TooLong {
                key: "hold_max_ms",
                ms: 200_000
            })
        );
    }

    #[test]
    fn the_listening_socket_counts_first_then_the_source() {
        let mut profile = smallest();
        let (inside, outside) = ("10.1.2.3".parse().unwrap(), "11.1.2.3".parse().unwrap());
        assert!(profile.matches("192.0.2.1:5060", inside));
        assert!(!profile.matches("192.0.2.1:5060", outside));
        profile.listen = vec!["192.0.2.1:5060".to_owned()];
        assert!(profile.matches("192.0.2.1:5060", inside));
        assert!(!profile.matches("192.0.2.1:5080", inside));
    }
}
