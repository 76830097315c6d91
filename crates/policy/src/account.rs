//! How much a subscriber may call who has proven who it is, and in how many calls callers find it busy.

use serde::{Deserialize, Serialize};

use crate::Profile;

/// Caps of one account. Absent in a subscriber's: the profile's; 0: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountCaps {
    /// Calls at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_at_once: Option<u32>,
    /// New calls a minute: so many at once, then one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u32>,
    /// Answered minutes a day, by the subscriber's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes_per_day: Option<u32>,
    /// In so many calls, made or taken, callers find it busy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_at: Option<u32>,
}

impl AccountCaps {
    /// What holds for calls by this profile: `None` where there is no limit.
    #[must_use]
    pub fn at(self, profile: &Profile) -> AccountCaps {
        let holds = |own: Option<u32>, of_profile: u32| Some(own.unwrap_or(of_profile)).filter(|cap| *cap > 0);
        AccountCaps {
            calls_at_once: holds(self.calls_at_once, profile.account_calls_max),
            calls_per_minute: holds(self.calls_per_minute, profile.account_calls_per_minute),
            minutes_per_day: holds(self.minutes_per_day, profile.account_minutes_per_day),
            busy_at: holds(self.busy_at, profile.busy_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_subscriber_leaves_open_the_profile_says_and_nought_is_no_limit() {
        let profile = Profile {
            account_calls_max: 2,
            account_calls_per_minute: 10,
            ..Profile::default()
        };
        let own = AccountCaps {
            calls_at_once: Some(0),
            minutes_per_day: Some(60),
            ..AccountCaps::default()
        };
        let holds = own.at(&profile);
        assert_eq!(
            (holds.calls_at_once, holds.calls_per_minute, holds.minutes_per_day),
            (None, Some(10), Some(60))
        );
        let busy = |own: Option<u32>, of_profile: u32| {
            let profile = Profile {
                busy_at: of_profile,
                ..Profile::default()
            };
            let own = AccountCaps {
                busy_at: own,
                ..AccountCaps::default()
            };
            own.at(&profile).busy_at
        };
        assert_eq!(
            [busy(None, 0), busy(None, 1), busy(Some(0), 1), busy(Some(2), 1)],
            [None, Some(1), None, Some(2)]
        );
        assert_eq!(AccountCaps::default().at(&Profile::default()), AccountCaps::default());
        let kept = serde_json::to_string(&own).unwrap();
        assert_eq!(kept, r#"{"calls_at_once":0,"minutes_per_day":60}"#);
        assert_eq!(serde_json::from_str::<AccountCaps>(&kept).unwrap(), own);
    }
}
