//! How many messages somebody has, as phones are told (RFC 3842 §5.2, RFC 3938 §3).

use std::fmt::Write;

/// Messages of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Unheard.
    pub new: u64,
    /// Heard.
    pub old: u64,
    /// Of the new ones, those that are urgent.
    pub urgent_new: u64,
    /// Of the old ones.
    pub urgent_old: u64,
}

/// Messages of a mailbox, without its trash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sound alone.
    pub voice: Count,
    /// With a picture.
    pub video: Count,
}

impl Summary {
    /// Type of [`Summary::body`].
    pub const CONTENT_TYPE: &'static str = "application/simple-message-summary";

    /// The body of a NOTIFY. `account`: the URI whose messages they are.
    pub fn body(&self, account: &str) -> String {
        let waiting = if self.voice.new > 0 || self.video.new > 0 {
            "yes"
        } else {
            "no"
        };
        let mut body = format!("Messages-Waiting: {waiting}\r\nMessage-Account: {account}\r\n");
        for (kind, count) in [("Voice", self.voice), ("Video", self.video)] {
            // "All counters have a maximum value of 4,294,967,295" (RFC 3842 §3.5).
            let [new, old, urgent_new, urgent_old] =
                [count.new, count.old, count.urgent_new, count.urgent_old].map(|count| count.min(u32::MAX.into()));
            let _ = write!(body, "{kind}-Message: {new}/{old} ({urgent_new}/{urgent_old})\r\n");
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_counted_and_old_ones_alone_wait_for_nobody() {
        let voice = Count {
            new: 1,
            old: 3,
            urgent_new: 0,
            urgent_old: 1,
        };
        let summary = Summary {
            voice,
            ..Summary::default()
        };
        assert_eq!(
            summary.body("sip:bob@example.com"),
            "Messages-Waiting: yes\r\nMessage-Account: sip:bob@example.com\r\nVoice-Message: 1/3 (0/1)\r\nVideo-Message: 0/0 (0/0)\r\n"
        );
        let heard = Summary {
            voice: Count { new: 0, ..voice },
            video: Count {
                old: u64::from(u32::MAX) + 1,
                ..Count::default()
            },
        };
        let body = heard.body("sip:bob@example.com");
        assert!(body.starts_with("Messages-Waiting: no\r\n"), "{body}");
        assert!(body.ends_with("Video-Message: 0/4294967295 (0/0)\r\n"), "{body}");
        let video = Summary {
            video: Count {
                new: 1,
                ..Count::default()
            },
            ..Summary::default()
        };
        assert!(
            video
                .body("sip:bob@example.com")
                .starts_with("Messages-Waiting: yes\r\n")
        );
    }
}
