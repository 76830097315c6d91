//! A key that was pressed, as the body of an INFO tells it: `application/dtmf-relay` (`Signal=5`, `Duration=160`) or
//! `application/dtmf` (`5`). No RFC defines these; phones and gateways agree on them (RFC 6086 §2 calls it a legacy usage).

use bytes::Bytes;

/// Longest body read, bytes.
const BODY_MAX: usize = 256;
/// Longest press that is taken as told, milliseconds.
const DURATION_MS_MAX: u16 = 10_000;

/// A key and how long it was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPress {
    /// `0`-`9`, `*`, `#`, `A`-`D`.
    pub key: char,
    /// Milliseconds, at most 10,000.
    pub duration_ms: u16,
}

/// The body is of a type that tells of keys, but tells of none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body tells of no key")]
pub struct NoKey;

impl KeyPress {
    /// The type of what [`KeyPress::body`] gives.
    pub const CONTENT_TYPE: &str = "application/dtmf-relay";
    /// Every type that is read.
    pub const CONTENT_TYPES: &str = "application/dtmf-relay, application/dtmf";
    /// For a press whose length nobody told.
    pub const DURATION_MS: u16 = 160;

    /// Reads an INFO's body; `None` when its type has nothing to do with keys.
    pub fn read(content_type: &str, body: &[u8]) -> Option<Result<KeyPress, NoKey>> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let text = body
            .get(..body.len().min(BODY_MAX))
            .and_then(|b| std::str::from_utf8(b).ok());
        let text = text.filter(|_| body.len() <= BODY_MAX);
        if essence.eq_ignore_ascii_case("application/dtmf-relay") {
            Some(text.and_then(relayed).ok_or(NoKey))
        } else if essence.eq_ignore_ascii_case("application/dtmf") {
            // Some send what belongs into the other type.
            let press = text.and_then(|t| key(t).map(KeyPress::of).or_else(|| relayed(t)));
            Some(press.ok_or(NoKey))
        } else {
            None
        }
    }

    /// This key, pressed for the usual time.
    pub fn of(key: char) -> KeyPress {
        KeyPress {
            key,
            duration_ms: KeyPress::DURATION_MS,
        }
    }

    /// The body that tells of it.
    pub fn body(&self) -> Bytes {
        format!("Signal={}\r\nDuration={}\r\n", self.key, self.duration_ms).into()
    }
}

/// `Signal=5`, `Duration=160`, each on a line of its own.
fn relayed(text: &str) -> Option<KeyPress> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (said, value) = line.split_once('=')?;
            said.trim().eq_ignore_ascii_case(name).then_some(value)
        })
    };
    let key = key(field("Signal")?)?;
    let told: Option<u32> = field("Duration").and_then(|value| value.trim().parse().ok());
    let duration_ms = told
        .filter(|ms| *ms > 0)
        .map_or(KeyPress::DURATION_MS, |ms| u16::try_from(ms).unwrap_or(DURATION_MS_MAX));
    Some(KeyPress {
        key,
        duration_ms: duration_ms.min(DURATION_MS_MAX),
    })
}

/// A key by its sign, or by its number as telephone-events count (RFC 4733 §3.2): 10 is `*`, 11 is `#`.
fn key(text: &str) -> Option<char> {
    let text = text.trim();
    let mut signs = text.chars();
    match (signs.next(), signs.next()) {
        (Some(sign), None) => {
            let sign = sign.to_ascii_uppercase();
            matches!(sign, '0'..='9' | '*' | '#' | 'A'..='D').then_some(sign)
        }
        _ => match text {
            "10" => Some('*'),
            "11" => Some('#'),
            "12" => Some('A'),
            "13" => Some('B'),
            "14" => Some('C'),
            "15" => Some('D'),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &str) -> Option<Result<(char, u16), NoKey>> {
        KeyPress::read(content_type, body.as_bytes()).map(|read| read.map(|press| (press.key, press.duration_ms)))
    }

    #[test]
    fn both_types_tell_of_a_key() {
        for (content_type, body, told) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=250\r\n", ('5', 250)),
            ("application/dtmf-relay", "Signal= *\nDuration= 100", ('*', 100)),
            ("Application/DTMF-Relay; charset=utf-8", "signal=11\r\n", ('#', 160)),
            (
                "application/dtmf-relay",
                "Duration=99999999\r\nSignal=a\r\n",
                ('A', 10_000),
            ),
            ("application/dtmf-relay", "Signal=1\r\nDuration=0\r\n", ('1', 160)),
            ("application/dtmf-relay", "Signal=1\r\nDuration=-5\r\n", ('1', 160)),
            ("application/dtmf", "#", ('#', 160)),
            ("application/dtmf", " 10\r\n", ('*', 160)),
            ("application/dtmf", "Signal=7\r\nDuration=90\r\n", ('7', 90)),
        ] {
            assert_eq!(read(content_type, body), Some(Ok(told)), "{content_type}: {body:?}");
        }
    }

    #[test]
    fn what_tells_of_no_key_is_told_apart_from_other_types() {
        let long = format!("Signal=5\r\n{}", "x".repeat(BODY_MAX));
        for body in [
            "",
            "Signal=",
            "Signal=16",
            "Signal=55",
            "Signal=é",
            "5",
            "Signal",
            &long,
        ] {
            assert_eq!(read("application/dtmf-relay", body), Some(Err(NoKey)), "{body:?}");
        }
        assert_eq!(KeyPress::read("application/dtmf", b"\xff"), Some(Err(NoKey)));
        assert_eq!(read("application/sdp", "5"), None);
        assert_eq!(read("", ""), None);
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for key in "0123456789*#ABCD".chars() {
            let press = KeyPress { key, duration_ms: 95 };
            assert_eq!(KeyPress::read(KeyPress::CONTENT_TYPE, &press.body()), Some(Ok(press)));
        }
    }
}
