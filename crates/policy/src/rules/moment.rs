//! When a call comes, by the subscriber's clock. Hours are those on the wall: in the night that has no 2:30 nobody calls at 2:30, and
//! in the one that has it twice both count.

use std::fmt;

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A time zone by its IANA name, e.g. `Europe/Berlin`; by default `UTC`. Its data is part of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

/// Why a time zone is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no time zone; it is named as IANA names it, e.g. Europe/Berlin or UTC")]
pub struct ZoneError(pub String);

impl Default for Zone {
    fn default() -> Zone {
        Zone("UTC".to_owned())
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(text: String) -> Result<Zone, ZoneError> {
        match TimeZone::get(&text) {
            Ok(zone) => Ok(Zone(zone.iana_name().unwrap_or(&text).to_owned())),
            Err(_) => Err(ZoneError(text)),
        }
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Zone {
    /// What the clock on the wall shows there.
    pub fn local(&self, unix_ms: i64) -> Local {
        let stamp = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        let zone = TimeZone::get(&self.0).unwrap_or(TimeZone::UTC);
        Local(zone.to_datetime(stamp))
    }

    /// The first moment at which the clock on the wall shows this, Unix milliseconds: `2026-03-29 14:30` or with a `T`.
    pub fn moment(&self, text: &str) -> Option<i64> {
        let at: DateTime = text.trim().replacen(' ', "T", 1).parse().ok()?;
        let zone = TimeZone::get(&self.0).ok()?;
        let stamp = zone.to_ambiguous_timestamp(at).compatible().ok()?;
        Some(stamp.as_millisecond())
    }
}

/// What a clock on the wall shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local(DateTime);

impl Local {
    /// The day, `2026-12-24`.
    pub fn day(self) -> String {
        self.0.date().to_string()
    }

    /// How much of it is over, milliseconds.
    pub fn since_midnight_ms(self) -> u64 {
        let of_minute = i64::from(self.0.second()) * 1_000 + i64::from(self.0.millisecond());
        u64::from(self.minute()) * 60_000 + u64::try_from(of_minute).unwrap_or(0)
    }

    fn minute(self) -> u16 {
        let (hour, minute) = (self.0.hour(), self.0.minute());
        u16::try_from(i32::from(hour) * 60 + i32::from(minute)).unwrap_or_default()
    }

    /// 1 to 12.
    pub fn month(self) -> u8 {
        u8::try_from(self.0.month()).unwrap_or_default()
    }

    /// 1 to 31.
    pub fn day_of_month(self) -> u8 {
        u8::try_from(self.0.day()).unwrap_or_default()
    }

    /// 0 to 23, and 0 to 59.
    pub fn time(self) -> (u8, u8) {
        let number = |part: i8| u8::try_from(part).unwrap_or_default();
        (number(self.0.hour()), number(self.0.minute()))
    }

    /// Days by the calendar from an earlier one to this.
    pub fn days_since(self, earlier: Local) -> u32 {
        let days = self.0.date().since(earlier.0.date()).map(|span| span.get_days());
        days.ok().and_then(|days| u32::try_from(days).ok()).unwrap_or_default()
    }

    /// 0: Monday.
    pub fn weekday(self) -> u8 {
        u8::try_from(self.0.weekday().to_monday_zero_offset()).unwrap_or_default()
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAYS.get(usize::from(self.weekday())).copied().unwrap_or_default();
        write!(f, "{day} {} {}", self.0.date(), clock(self.minute()))
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const EVERY_DAY: u8 = 0x7f;
const DAILY: &str = "daily";
const MINUTES: u16 = 24 * 60;

/// Hours of a week: `mon-fri 09:00-17:00`, `sat,sun 10:00-14:00`, `daily 22:00-06:00`. The end is not within; an end that is not
/// after the beginning is on the day after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Weekly {
    /// Bit 0: Monday.
    days: u8,
    from: u16,
    to: u16,
}

/// Why hours are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} are no hours: days and a time of the day, e.g. \"mon-fri 09:00-17:00\", \"sat,sun 10:00-14:00\" or \"daily 22:00-06:00\""
)]
pub struct WeeklyError(pub String);

impl Weekly {
    /// Whether this moment is within.
    pub fn holds(self, local: Local) -> bool {
        let (day, minute) = (local.weekday(), local.minute());
        let on = |day: u8| self.days & (1 << day) != 0;
        if self.from < self.to {
            return on(day) && (self.from..self.to).contains(&minute);
        }
        let before = day.checked_sub(1).unwrap_or(6);
        on(day) && minute >= self.from || on(before) && minute < self.to
    }
}

fn days(text: &str) -> Option<u8> {
    if text == DAILY {
        return Some(EVERY_DAY);
    }
    let at = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = 0u8;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (at(first)?, at(last)?);
        loop {
            days |= 1 << day;
            if day == last {
                break;
            }
            day = (day + 1) % DAYS.len();
        }
    }
    Some(days)
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= MINUTES).then_some(at)
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

impl TryFrom<String> for Weekly {
    type Error = WeeklyError;

    fn try_from(text: String) -> Result<Weekly, WeeklyError> {
        let lower = text.trim().to_ascii_lowercase();
        let read = || {
            let (on, times) = lower.split_once(' ')?;
            let (from, to) = times.trim().split_once('-')?;
            let (from, to) = (minutes(from.trim())?, minutes(to.trim())?);
            (from != to && from < MINUTES).then_some(Weekly {
                days: days(on)?,
                from,
                to,
            })
        };
        read().ok_or_else(|| WeeklyError(text.clone()))
    }
}

impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |day: usize| self.days & (1 << day) != 0;
        let mut runs: Vec<String> = Vec::new();
        let mut day = 0;
        while let Some(first) = (day..DAYS.len()).find(|day| on(*day)) {
            let last = (first..DAYS.len()).take_while(|day| on(*day)).last().unwrap_or(first);
            let name = |day: usize| DAYS.get(day).copied().unwrap_or_default();
            runs.push(match last - first {
                0 => name(first).to_owned(),
                _ => format!("{}-{}", name(first), name(last)),
            });
            day = last + 1;
        }
        let days = if self.days == EVERY_DAY {
            DAILY.to_owned()
        } else {
            runs.join(",")
        };
        write!(f, "{days} {}-{}", clock(self.from), clock(self.to))
    }
}

impl From<Weekly> for String {
    fn from(weekly: Weekly) -> String {
        weekly.to_string()
    }
}

/// A date, or several in a row with both ends: `2026-12-24`, `2026-12-24..2027-01-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dates {
    first: Date,
    last: Date,
}

/// Why dates are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no date: write 2026-12-24, or 2026-12-24..2027-01-01 with both days included")]
pub struct DatesError(pub String);

impl Dates {
    /// Whether this moment is on one of them.
    pub fn holds(self, local: Local) -> bool {
        (self.first..=self.last).contains(&local.0.date())
    }
}

impl TryFrom<String> for Dates {
    type Error = DatesError;

    fn try_from(text: String) -> Result<Dates, DatesError> {
        let (first, last) = text.split_once("..").unwrap_or((&text, &text));
        let date = |text: &str| text.trim().parse::<Date>().ok().filter(|_| text.trim().len() == 10);
        match (date(first), date(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Dates { first, last }),
            _ => Err(DatesError(text)),
        }
    }
}

impl fmt::Display for Dates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}..{}", self.first, self.last),
        }
    }
}

impl From<Dates> for String {
    fn from(dates: Dates) -> String {
        dates.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Zone {
        Zone::try_from("Europe/Berlin".to_owned()).unwrap()
    }

    fn weekly(text: &str) -> Weekly {
        Weekly::try_from(text.to_owned()).unwrap()
    }

    /// Unix milliseconds of a moment in UTC.
    fn utc(text: &str) -> i64 {
        Zone::default().moment(text).unwrap()
    }

    #[test]
    fn hours_are_days_and_times() {
        for (text, shown) in [
            ("mon-fri 09:00-17:00", "mon-fri 09:00-17:00"),
            ("Sat,Sun 10:00-14:00", "sat-sun 10:00-14:00"),
            ("fri-mon 22:00-06:00", "mon,fri-sun 22:00-06:00"),
            ("mon-sun 00:00-24:00", "daily 00:00-24:00"),
            ("mon,wed,fri 08:30-12:00", "mon,wed,fri 08:30-12:00"),
        ] {
            assert_eq!(weekly(text).to_string(), shown, "{text}");
            assert_eq!(weekly(shown), weekly(text), "{text}");
        }
        for bad in [
            "",
            "mon",
            "09:00-17:00",
            "mon-fri",
            "mon 9-17",
            "mon 09:00-25:00",
            "mon 24:00-06:00",
            "mon 09:60-10:00",
            "mon 09:00-09:00",
            "xyz 09:00-17:00",
            "mon, 09:00-17:00",
        ] {
            assert!(Weekly::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_begin_and_end_to_the_minute_and_pass_midnight() {
        for (hours, at, holds) in [
            // 2026-11-27 is a Friday.
            ("mon-fri 09:00-17:00", "2026-11-27 08:59", false),
            ("mon-fri 09:00-17:00", "2026-11-27 09:00", true),
            ("mon-fri 09:00-17:00", "2026-11-27 16:59", true),
            ("mon-fri 09:00-17:00", "2026-11-27 17:00", false),
            ("mon-fri 09:00-17:00", "2026-11-28 12:00", false),
            ("fri 22:00-06:00", "2026-11-27 23:00", true),
            ("fri 22:00-06:00", "2026-11-28 05:59", true),
            ("fri 22:00-06:00", "2026-11-28 06:00", false),
            ("fri 22:00-06:00", "2026-11-27 05:00", false),
            ("sun 22:00-06:00", "2026-11-30 01:00", true),
            ("daily 00:00-24:00", "2026-11-30 23:59", true),
            ("fri 18:00-24:00", "2026-11-28 00:00", false),
        ] {
            assert_eq!(
                weekly(hours).holds(Zone::default().local(utc(at))),
                holds,
                "{hours} {at}"
            );
        }
    }

    #[test]
    fn dates_are_whole_days_of_the_subscriber() {
        let dates = Dates::try_from("2026-12-24..2026-12-26".to_owned()).unwrap();
        for (at, holds) in [
            ("2026-12-23 22:59", false),
            ("2026-12-23 23:00", true),
            ("2026-12-26 22:59", true),
            ("2026-12-26 23:00", false),
        ] {
            assert_eq!(dates.holds(berlin().local(utc(at))), holds, "{at}");
        }
        for bad in [
            "",
            "2026-02-30",
            "2026-12-26..2026-12-24",
            "24.12.2026",
            "2026-12-24T10:00",
            "20261224",
        ] {
            assert!(Dates::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_follow_the_clock_on_the_wall_when_summer_begins() {
        // Berlin, 2026-03-29: 01:59 CET is followed by 03:00 CEST, at 01:00 UTC.
        let local = |at: &str| berlin().local(utc(at));
        assert_eq!(local("2026-03-29 00:59").to_string(), "sun 2026-03-29 01:59");
        assert_eq!(local("2026-03-29 01:00").to_string(), "sun 2026-03-29 03:00");
        let missing = weekly("sun 02:00-03:00");
        assert!((0..1440).all(|minute| !missing.holds(berlin().local(utc("2026-03-29 00:00") + minute * 60_000))));
        // Nine in the morning is an hour earlier by UTC from that day on.
        let office = weekly("daily 09:00-17:00");
        for (at, open) in [
            ("2026-03-28 07:59", false),
            ("2026-03-28 08:00", true),
            ("2026-03-29 06:59", false),
            ("2026-03-29 07:00", true),
            ("2026-03-29 14:59", true),
            ("2026-03-29 15:00", false),
        ] {
            assert_eq!(office.holds(local(at)), open, "{at}");
        }
        // A moment that the clock never shows is taken as if it had not been put forward.
        assert_eq!(berlin().moment("2026-03-29 02:30"), Some(utc("2026-03-29 01:30")));
    }

    #[test]
    fn hours_follow_the_clock_on_the_wall_when_summer_ends() {
        // Berlin, 2026-10-25: 02:59 CEST is followed by 02:00 CET, at 01:00 UTC.
        let local = |at: &str| berlin().local(utc(at));
        let twice = weekly("sun 02:00-03:00");
        let minutes = (0..1440).filter(|minute| twice.holds(berlin().local(utc("2026-10-24 22:00") + minute * 60_000)));
        assert_eq!(minutes.count(), 120, "the hour is there twice");
        for (at, within) in [
            ("2026-10-24 23:59", false),
            ("2026-10-25 00:00", true),
            ("2026-10-25 01:59", true),
            ("2026-10-25 02:00", false),
        ] {
            assert_eq!(twice.holds(local(at)), within, "{at}");
        }
        assert_eq!(
            berlin().moment("2026-10-25 02:30"),
            Some(utc("2026-10-25 00:30")),
            "the first of both"
        );
        let night = weekly("sat 22:00-06:00");
        assert!(night.holds(local("2026-10-25 04:59")) && !night.holds(local("2026-10-25 05:00")));
    }

    #[test]
    fn the_southern_summer_and_odd_offsets_count_too() {
        let zone = |name: &str| Zone::try_from(name.to_owned()).unwrap();
        assert_eq!(
            zone("Asia/Kathmandu").local(utc("2026-01-01 00:00")).to_string(),
            "thu 2026-01-01 05:45"
        );
        assert_eq!(
            zone("Australia/Lord_Howe").local(utc("2026-01-01 00:00")).to_string(),
            "thu 2026-01-01 11:00"
        );
        assert_eq!(
            zone("Australia/Lord_Howe").local(utc("2026-07-01 00:00")).to_string(),
            "wed 2026-07-01 10:30"
        );
        assert_eq!(zone("europe/berlin"), berlin(), "names as IANA writes them");
        for bad in ["", "Berlin", "CEST+2", "../etc/passwd"] {
            assert!(Zone::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
