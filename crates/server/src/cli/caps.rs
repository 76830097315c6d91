//! How much a subscriber may call, and in how many calls it is busy, on the command line.

use clap::Args;
use segue_policy::AccountCaps;

use super::value::{Calls, Minutes, OrNone};

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct CapOptions {
    /// How many calls they may make at once (0: any number), or 'none' for as the profile says
    #[arg(long, value_name = "N")]
    calls_at_once: Option<OrNone<Calls>>,
    /// How many they may begin a minute (0: any number), or 'none' for as the profile says
    #[arg(long, value_name = "N")]
    calls_per_minute: Option<OrNone<Calls>>,
    /// For how many minutes a day they may call, by their clock (0: any), or 'none' for as the profile says
    #[arg(long, value_name = "N")]
    minutes_per_day: Option<OrNone<Minutes>>,
    /// In how many calls at once, made or taken, callers find them busy (0: never), or 'none' for as the profile says
    #[arg(long, value_name = "N")]
    busy_at: Option<OrNone<Calls>>,
}

impl CapOptions {
    pub fn is_empty(&self) -> bool {
        *self == CapOptions::default()
    }

    pub fn apply(self, caps: &mut AccountCaps) {
        if let Some(OrNone(calls)) = self.calls_at_once {
            caps.calls_at_once = calls.map(|Calls(calls)| calls);
        }
        if let Some(OrNone(calls)) = self.calls_per_minute {
            caps.calls_per_minute = calls.map(|Calls(calls)| calls);
        }
        if let Some(OrNone(minutes)) = self.minutes_per_day {
            caps.minutes_per_day = minutes.map(|Minutes(minutes)| minutes);
        }
        if let Some(OrNone(calls)) = self.busy_at {
            caps.busy_at = calls.map(|Calls(calls)| calls);
        }
    }
}

/// As a person reads it; empty where all is as the profile says.
pub fn describe(caps: AccountCaps) -> String {
    let cap = |cap: Option<u32>, what: &str| match cap {
        None => None,
        Some(0) => Some(format!("any number of {what}")),
        Some(cap) => Some(format!("at most {cap} {what}")),
    };
    let all = [
        cap(caps.calls_at_once, "calls at once"),
        cap(caps.calls_per_minute, "calls a minute"),
        cap(caps.minutes_per_day, "minutes a day"),
    ];
    let busy = caps.busy_at.map(|calls| match calls {
        0 => "never busy by their own calls".to_owned(),
        1 => "busy in a call".to_owned(),
        more => format!("busy in {more} calls"),
    });
    all.into_iter()
        .flatten()
        .chain(busy)
        .map(|cap| format!(", {cap}"))
        .collect()
}
