//! Limits of bytes and playing time, as they are typed; those of numbers and ages are read where all settings are.

use segue_mailbox::Limit;
use segue_manage::Refusal;

use super::{age, invalid};

/// The largest first, so that what is shown is the shortest.
const UNITS: [(&str, u64); 6] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
];

/// `500MB`, `2 GiB`, `4096`; empty: no limit.
pub(super) fn bytes(field: &'static str, text: &str) -> Result<Limit<u64>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Limit::Off);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "" => Some(1),
        unit => UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor),
    };
    let read = || {
        number
            .parse::<u64>()
            .ok()?
            .checked_mul(unit?)
            .filter(|bytes| i64::try_from(*bytes).is_ok())
    };
    read().map(Limit::At).ok_or_else(|| {
        invalid(
            field,
            "a number of bytes, or with kB, MB, GB, KiB, MiB or GiB, is needed, e.g. 500MB, or nothing for no limit",
        )
    })
}

/// As it is typed.
pub(super) fn shown_bytes(bytes: u64) -> String {
    let whole = UNITS.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// A playing time in whole seconds: `2h`, `90m`; empty: no limit.
pub(super) fn seconds(field: &'static str, text: &str) -> Result<Limit<u64>, Refusal> {
    match age(field, text)? {
        Limit::At(ms) if ms.is_multiple_of(1_000) && u32::try_from(ms / 1_000).is_ok() => Ok(Limit::At(ms / 1_000)),
        Limit::At(_) => Err(invalid(
            field,
            "whole seconds are needed, and fewer than that, e.g. 2h, or nothing for no limit",
        )),
        limit => Ok(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_a_unit_or_without_and_shown_so_that_they_are_read_again() {
        for (said, wanted) in [("500MB", 500_000_000), ("2 gib", 2 << 30), ("4096", 4096), (" 0 ", 0)] {
            assert_eq!(bytes("max_bytes", said), Ok(Limit::At(wanted)), "{said}");
            assert_eq!(
                bytes("max_bytes", &shown_bytes(wanted)),
                Ok(Limit::At(wanted)),
                "{said}"
            );
        }
        assert_eq!(
            ["500000000", "4096", "1001"].map(|n| shown_bytes(n.parse().unwrap_or_default())),
            ["500MB", "4KiB", "1001"]
        );
        assert_eq!(bytes("max_bytes", " "), Ok(Limit::Off));
        for wrong in [
            "MB",
            "-1",
            "1.5GB",
            "5 parsecs",
            "9223372036854775808",
            "99999999999GiB",
        ] {
            assert!(bytes("max_bytes", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn playing_time_is_whole_seconds() {
        assert_eq!(seconds("max_seconds", "2h"), Ok(Limit::At(7_200)));
        assert_eq!(seconds("max_seconds", ""), Ok(Limit::Off));
        for wrong in ["1500ms", "2", "50000d"] {
            assert!(seconds("max_seconds", wrong).is_err(), "{wrong}");
        }
    }
}
