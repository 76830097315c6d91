//! Values on the command line: durations, targets, and `none`, which clears an option.

use std::{fmt, str::FromStr};

use segue_mailbox::{Limit, Scope};
use segue_policy::{AnswerAt, HoldOn, Ring, TargetBy, Weekly, Zone};

/// A length of time: `[0-9]+(ms|s|m|h|d)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationMs(pub u64);

impl FromStr for DurationMs {
    type Err = String;

    fn from_str(text: &str) -> Result<DurationMs, String> {
        let wrong = || "a duration is a number and ms, s, m, h or d, e.g. 6s or 1500ms".to_owned();
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        // Times are kept as signed 64-bit milliseconds.
        number
            .checked_mul(unit_ms)
            .filter(|ms| i64::try_from(*ms).is_ok())
            .map(DurationMs)
            .ok_or_else(|| "that duration is too long".to_owned())
    }
}

impl fmt::Display for DurationMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1_000) {
            write!(f, "{} s", self.0 / 1_000)
        } else {
            write!(f, "{} ms", self.0)
        }
    }
}

/// A new value for an option, or `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrNone<T>(pub Option<T>);

impl<T: FromStr> FromStr for OrNone<T>
where
    T::Err: fmt::Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<OrNone<T>, String> {
        if text == "none" {
            return Ok(OrNone(None));
        }
        text.parse()
            .map(|value| OrNone(Some(value)))
            .map_err(|e: T::Err| e.to_string())
    }
}

/// A number of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Count, String> {
        text.parse()
            .map(Count)
            .map_err(|_| format!("a number of messages (0 to {})", u32::MAX))
    }
}

/// A number of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls(pub u32);

impl FromStr for Calls {
    type Err = String;

    fn from_str(text: &str) -> Result<Calls, String> {
        text.parse()
            .map(Calls)
            .map_err(|_| "a number of calls; 0: any".to_owned())
    }
}

/// Minutes of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minutes(pub u32);

impl FromStr for Minutes {
    type Err = String;

    fn from_str(text: &str) -> Result<Minutes, String> {
        let minutes = text.parse().ok().filter(|minutes| *minutes <= 1_440_000);
        minutes
            .map(Minutes)
            .ok_or_else(|| "a number of minutes; 0: any".to_owned())
    }
}

/// A number of bytes: `[0-9]+(kB|MB|GB|KiB|MiB|GiB)?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let wrong = || "a number of bytes, or with kB, MB, GB, KiB, MiB or GiB, e.g. 500MB".to_owned();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit: u64 = match unit {
            "" => 1,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .map(Bytes)
            .ok_or_else(wrong)
    }
}

/// A number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub u64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seconds, String> {
        text.parse::<u32>()
            .map(|seconds| Seconds(u64::from(seconds)))
            .map_err(|_| format!("a number of seconds (0 to {})", u32::MAX))
    }
}

/// A new value for a limit: `none` for no limit, `default` for the configuration's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLimit<T>(pub Limit<T>);

impl<T: FromStr<Err = String>> FromStr for NewLimit<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<NewLimit<T>, String> {
        match text {
            "none" => Ok(NewLimit(Limit::Off)),
            "default" => Ok(NewLimit(Limit::Default)),
            _ => text
                .parse()
                .map(|value| NewLimit(Limit::At(value)))
                .map_err(|e| format!("{e}; or 'none', or 'default'")),
        }
    }
}

impl<T> NewLimit<T> {
    /// The limit, each value taken out of its form on the command line.
    pub fn limit<U>(self, value: impl FnOnce(T) -> U) -> Limit<U> {
        match self.0 {
            Limit::Default => Limit::Default,
            Limit::Off => Limit::Off,
            Limit::At(given) => Limit::At(value(given)),
        }
    }
}

/// How long the trash keeps messages: a duration, or `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trash(pub u64);

impl FromStr for Trash {
    type Err = String;

    fn from_str(text: &str) -> Result<Trash, String> {
        match text {
            "0" => Ok(Trash(0)),
            _ => text
                .parse()
                .map(|DurationMs(ms)| Trash(ms))
                .map_err(|e: String| format!("{e}; or 0, which frees at once")),
        }
    }
}

/// A new value for something that has a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrDefault<T>(pub Option<T>);

impl<T: FromStr<Err = String>> FromStr for OrDefault<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<OrDefault<T>, String> {
        if text == "default" {
            return Ok(OrDefault(None));
        }
        text.parse()
            .map(|value| OrDefault(Some(value)))
            .map_err(|e| format!("{e}; or 'default'"))
    }
}

/// What limits count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeName(pub Scope);

impl FromStr for ScopeName {
    type Err = String;

    fn from_str(text: &str) -> Result<ScopeName, String> {
        Scope::from_name(text)
            .map(ScopeName)
            .ok_or_else(|| "'mailbox' or 'conversation'".to_owned())
    }
}

/// A moment, Unix milliseconds: RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub i64);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        segue_manage::written::moment(text).map(Moment)
    }
}

/// Where a subscriber is reached: a `sip:` URI that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(pub String);

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        segue_manage::written::target(text).map(|()| Target(text.to_owned()))
    }
}

/// How several targets ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RingWord {
    /// All at once
    Together,
    /// One after the other, as they were named
    InOrder,
}

impl From<RingWord> for Ring {
    fn from(word: RingWord) -> Ring {
        match word {
            RingWord::Together => Ring::Together,
            RingWord::InOrder => Ring::InOrder,
        }
    }
}

/// By what targets are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TargetByWord {
    /// Their own hosts
    Host,
    /// What is left of the call's Route, else next_hop of the caller's profile
    NextHop,
}

impl From<TargetByWord> for TargetBy {
    fn from(word: TargetByWord) -> TargetBy {
        match word {
            TargetByWord::Host => TargetBy::Host,
            TargetByWord::NextHop => TargetBy::NextHop,
        }
    }
}

/// What callers are held on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HoldOnWord {
    /// The clip
    Clip,
    /// The greeting; the clip where there is none
    Greeting,
}

impl From<HoldOnWord> for HoldOn {
    fn from(word: HoldOnWord) -> HoldOn {
        match word {
            HoldOnWord::Clip => HoldOn::Clip,
            HoldOnWord::Greeting => HoldOn::Greeting,
        }
    }
}

/// When callers get the 200 for the mailbox, in the words of the profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerWord(pub AnswerAt);

impl FromStr for AnswerWord {
    type Err = String;

    fn from_str(text: &str) -> Result<AnswerWord, String> {
        match text {
            "greeting" => Ok(AnswerWord(AnswerAt::Greeting)),
            "after_greeting" | "after-greeting" => Ok(AnswerWord(AnswerAt::AfterGreeting)),
            _ => Err("callers are answered at 'greeting' or 'after_greeting'".to_owned()),
        }
    }
}

/// Whether there is a menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MenuWord(pub bool);

impl FromStr for MenuWord {
    type Err = String;

    fn from_str(text: &str) -> Result<MenuWord, String> {
        match text {
            "on" => Ok(MenuWord(true)),
            "off" => Ok(MenuWord(false)),
            _ => Err("the menu is 'on' or 'off'".to_owned()),
        }
    }
}

/// The time that a target rings: as long as a call may be unanswered at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingTime(pub u64);

impl FromStr for RingTime {
    type Err = String;

    fn from_str(text: &str) -> Result<RingTime, String> {
        match text.parse::<DurationMs>()?.0 {
            ms @ 1_000..=170_000 => Ok(RingTime(ms)),
            _ => Err("a target rings for 1s to 170s".to_owned()),
        }
    }
}

/// When a subscriber may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours(pub Weekly);

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Hours, String> {
        Weekly::try_from(text.to_owned()).map(Hours).map_err(|e| e.to_string())
    }
}

/// A subscriber's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName(pub Zone);

impl FromStr for ZoneName {
    type Err = String;

    fn from_str(text: &str) -> Result<ZoneName, String> {
        Zone::try_from(text.to_owned()).map(ZoneName).map_err(|e| e.to_string())
    }
}

/// A state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnOff {
    /// It is so
    On,
    /// It is not
    Off,
}

/// A clip's name where one is chosen (it may not exist; the store says so).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipName(pub String);

impl FromStr for ClipName {
    type Err = String;

    fn from_str(text: &str) -> Result<ClipName, String> {
        segue_mailbox::check_clip_name(text)
            .map(|()| ClipName(text.to_owned()))
            .map_err(|e| e.to_string())
    }
}

/// A subscriber's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User(pub String);

impl FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<User, String> {
        segue_policy::check_user(text)
            .map(|()| User(text.to_owned()))
            .map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, ms) in [
            ("0ms", 0),
            ("1500ms", 1_500),
            ("6s", 6_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(text.parse(), Ok(DurationMs(ms)), "{text}");
        }
        for text in [
            "",
            "6",
            "s",
            "6 s",
            "-6s",
            "6sec",
            "1.5s",
            "6S",
            "1h30m",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert!(text.parse::<DurationMs>().is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_are_a_number_and_maybe_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1_500),
            ("2kB", 2_000),
            ("500MB", 500_000_000),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "GB", "-1", "1.5GB", "1 GB", "1gb", "99999999999GB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_is_a_value_none_or_default() {
        assert_eq!("20".parse(), Ok(NewLimit(Limit::At(Count(20)))));
        assert_eq!("none".parse(), Ok(NewLimit::<Count>(Limit::Off)));
        assert_eq!("default".parse(), Ok(NewLimit::<Count>(Limit::Default)));
        assert!("-1".parse::<NewLimit<Count>>().is_err());
        assert_eq!("0".parse(), Ok(OrDefault(Some(Trash(0)))));
        assert_eq!("7d".parse(), Ok(OrDefault(Some(Trash(604_800_000)))));
        assert!("7".parse::<Trash>().is_err());
    }

    #[test]
    fn moments_are_rfc_3339_whatever_the_zone() {
        for text in ["1970-01-01T00:00:01.250Z", "1970-01-01T01:00:01.250+01:00"] {
            assert_eq!(text.parse(), Ok(Moment(1_250)), "{text}");
        }
        for text in ["", "now", "2026-03-01", "2026-03-01T12:00:00"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn none_clears() {
        assert_eq!("none".parse(), Ok(OrNone::<DurationMs>(None)));
        assert_eq!("6s".parse(), Ok(OrNone(Some(DurationMs(6_000)))));
        assert!("never".parse::<OrNone<DurationMs>>().is_err());
    }

    #[test]
    fn targets_are_sip_uris_that_can_be_called() {
        for good in [
            "sip:bob@192.0.2.7",
            "sip:bob@192.0.2.7:5070;transport=tcp",
            "sip:bob@[2001:db8::1]:5060",
            "sip:bob@192.0.2.7;transport=tls",
            "sips:bob@pbx.example.com",
            "sip:192.0.2.7",
            "tel:+49301234",
        ] {
            assert!(good.parse::<Target>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "bob",
            "bob@192.0.2.7",
            "tel:49301234",
            "tel:+49-30-1234",
            "tel:+49301234;ext=1",
            "sips:bob@192.0.2.7;transport=udp",
            "sip:",
            "sip:bob@192.0.2.7:0",
            "sip:bob@192.0.2.7:99999",
            "sip:bob@192.0.2.7;transport=ws",
            "sip:bob@192.0.2.7?x=y",
            "sip:b b@192.0.2.7",
            "none",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
