//! Wall-clock moments and how they are written.

use serde::{Deserialize, Serialize};

/// Wall-clock time, milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMs(pub i64);

const DAY_MS: i64 = 86_400_000;

impl UnixMs {
    /// RFC 3339 in UTC with milliseconds: `2026-03-01T12:00:00.250Z`.
    pub fn rfc3339(self) -> String {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let in_day = self.0.rem_euclid(DAY_MS);
        let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1_000 % 60);
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            in_day % 1_000
        )
    }
}

/// Year, month and day (proleptic Gregorian) of a day counted from 1970-01-01.
///
/// Counts in eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
fn civil(day: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    let from_march_0000 = day.saturating_add(719_468);
    let era = from_march_0000.div_euclid(ERA_DAYS);
    let of_era = from_march_0000.rem_euclid(ERA_DAYS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 {
        months_from_march + 3
    } else {
        months_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_with_milliseconds() {
        // Expected values from `date -u -d @SECONDS`.
        for (ms, written) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_007, "2024-02-29T23:59:59.007Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(UnixMs(ms).rfc3339(), written);
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut last = UnixMs(-2 * DAY_MS).rfc3339();
        for day in -1..60_000 {
            let next = UnixMs(day * DAY_MS).rfc3339();
            assert!(next > last, "{last} then {next}");
            last = next;
        }
        assert!(last.starts_with("2134-04-10"), "{last}");
    }
}
