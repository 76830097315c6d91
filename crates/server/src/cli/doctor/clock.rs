//! The system's clock: certificates, Identity (RFC 8224) and retention go by it.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::Check;
use crate::config::Config;

const NAME: &str = "clock";
const FIX: &str = "keep it by NTP (apt-get install systemd-timesyncd, or chrony)";

/// What was written may be this far ahead: file systems of another machine differ a little.
const AHEAD_MAX: Duration = Duration::from_secs(60);
/// This program is no older: 1 January 2026, Unix seconds.
const EARLIEST_S: u64 = 1_767_225_600;

/// What those who keep the clock leave behind.
const KEEPERS: [(&str, &str); 4] = [
    ("/run/systemd/timesync/synchronized", "systemd-timesyncd"),
    ("/run/chrony/chronyd.pid", "chrony"),
    ("/run/ntpd.pid", "ntpd"),
    ("/run/openntpd.pid", "openntpd"),
];

pub(super) fn check(config: &Config) -> Check {
    let now = SystemTime::now();
    let written = fs::metadata(config.data_dir.join("segue.db")).and_then(|found| found.modified());
    judged(
        now,
        written.ok(),
        KEEPERS.into_iter().find(|(file, _)| Path::new(file).exists()),
    )
}

fn judged(now: SystemTime, written: Option<SystemTime>, keeper: Option<(&str, &str)>) -> Check {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    if since.as_secs() < EARLIEST_S {
        return Check::wrong(NAME, "it stands before 2026", FIX);
    }
    let ahead = written.and_then(|written| written.duration_since(now).ok());
    if let Some(ahead) = ahead.filter(|ahead| *ahead > AHEAD_MAX) {
        let found = format!(
            "it has gone back: the database was last written {} s from now",
            ahead.as_secs()
        );
        return Check::wrong(NAME, found, FIX);
    }
    let moment = segue_records::UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).rfc3339();
    match keeper {
        Some((_, who)) => Check::ok(NAME, format!("{moment}, kept by {who}")),
        // In a container another keeps it.
        None => Check::ok(NAME, format!("{moment}; who keeps it is not to be seen here")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn a_clock_that_stands_wrong_is_told() {
        let now = UNIX_EPOCH + Duration::from_secs(EARLIEST_S + 1_000);
        let state = |now, written| judged(now, written, None).state;
        assert_eq!(state(now, None), State::Ok);
        assert_eq!(state(now, Some(now + Duration::from_secs(59))), State::Ok);
        assert_eq!(state(now, Some(now + Duration::from_secs(61))), State::Wrong);
        assert_eq!(state(UNIX_EPOCH, None), State::Wrong);
        let kept = judged(now, Some(now), Some(("/x", "chrony")));
        assert!(kept.found.ends_with("kept by chrony"), "{}", kept.found);
    }
}
