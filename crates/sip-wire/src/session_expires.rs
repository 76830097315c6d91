//! The headers of session timers (RFC 4028 §4, §5).

use std::fmt;

use crate::{Message, split::split_outside};

/// Who refreshes a session, as seen from the request that Session-Expires stands in or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// Who sent the request.
    Uac,
    /// Who answered it.
    Uas,
}

/// Session-Expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    /// The session interval, seconds.
    pub interval_s: u32,
    /// `None`: left open.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// `delta-seconds *(SEMI se-params)`; `None` for what is none. A refresher that nobody knows is left open.
    fn parse(value: &str) -> Option<Self> {
        let mut parts = split_outside(value, b';');
        let interval_s = delta_seconds(parts.next()?)?;
        let refresher = parts.find_map(|param| {
            let (name, value) = param.split_once('=')?;
            let value = value.trim();
            let is = |name: &str| value.eq_ignore_ascii_case(name);
            match name.trim().eq_ignore_ascii_case("refresher") {
                true if is("uac") => Some(Refresher::Uac),
                true if is("uas") => Some(Refresher::Uas),
                _ => None,
            }
        });
        Some(Self { interval_s, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.interval_s)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// `1*DIGIT` (RFC 3261 §25.1); what is too long for us is the most that we can say.
fn delta_seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

impl Message {
    /// Session-Expires, or `x`; `None` also for what cannot be read.
    pub fn session_expires(&self) -> Option<SessionExpires> {
        SessionExpires::parse(self.header("Session-Expires")?)
    }

    /// Min-SE, seconds; `None` also for what cannot be read.
    pub fn min_se(&self) -> Option<u32> {
        delta_seconds(split_outside(self.header("Min-SE")?, b';').next()?)
    }

    /// Whether the peer says that it knows session timers: "the 'timer' option tag" (RFC 4028 §7.1).
    pub fn supports_timer(&self) -> bool {
        self.has_token("Supported", "timer") || self.has_token("Require", "timer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageBuilder, Method};

    fn with(name: &str, value: &str) -> Message {
        MessageBuilder::request(&Method::Update, &"sip:b@127.0.0.1".parse().unwrap())
            .header(name, value)
            .build()
    }

    #[test]
    fn an_interval_is_read_with_or_without_refresher_by_both_its_names() {
        let read = |name, value| {
            let said = with(name, value).session_expires();
            said.map(|said| (said.interval_s, said.refresher))
        };
        assert_eq!(read("Session-Expires", "1800"), Some((1_800, None)));
        assert_eq!(read("x", "90;refresher=uac"), Some((90, Some(Refresher::Uac))));
        assert_eq!(
            read("session-expires", " 4000 ; a=b;Refresher = UAS"),
            Some((4_000, Some(Refresher::Uas)))
        );
        assert_eq!(read("x", "90;refresher=both"), Some((90, None)));
        assert_eq!(read("x", "99999999999999"), Some((u32::MAX, None)));
        for none in ["", "-1", "1.5", "soon", ";refresher=uac", "٣"] {
            assert_eq!(read("x", none), None, "{none}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for refresher in [None, Some(Refresher::Uac), Some(Refresher::Uas)] {
            let said = SessionExpires {
                interval_s: 1_800,
                refresher,
            };
            assert_eq!(with("x", &said.to_string()).session_expires(), Some(said));
        }
    }

    #[test]
    fn the_least_interval_is_read() {
        assert_eq!(with("Min-SE", "120;lr").min_se(), Some(120));
        assert_eq!(with("Min-SE", "none").min_se(), None);
    }
}
