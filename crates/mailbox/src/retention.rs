//! How long messages live: heard and unheard ones by independent rules.

use serde::{Deserialize, Serialize};

/// A mailbox's retention rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// At most this many heard messages; the oldest heard goes first. `None`: no limit.
    pub heard_max: Option<u32>,
}

/// A heard message as the rules see it. The order is the order of going: smallest `heard_at_ms`, then `id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heard {
    /// When it was heard, Unix milliseconds.
    pub heard_at_ms: i64,
    /// The message.
    pub id: String,
}

impl Retention {
    /// Which of a mailbox's heard messages must go so that at most `heard_max` remain: the oldest heard first.
    ///
    /// Unheard messages are not its business: they are never passed in, so it can never name one.
    pub fn evict(&self, heard: impl IntoIterator<Item = Heard>) -> Vec<String> {
        let Some(max) = self.heard_max else {
            return Vec::new();
        };
        let mut heard: Vec<Heard> = heard.into_iter().collect();
        heard.sort();
        let excess = heard.len().saturating_sub(usize::try_from(max).unwrap_or(usize::MAX));
        heard.into_iter().take(excess).map(|h| h.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(list: &[(i64, &str)]) -> Vec<Heard> {
        list.iter()
            .map(|(at, id)| Heard {
                heard_at_ms: *at,
                id: (*id).to_owned(),
            })
            .collect()
    }

    #[test]
    fn without_a_limit_nothing_goes() {
        let rule = Retention { heard_max: None };
        assert!(rule.evict(heard(&[(1, "a"), (2, "b"), (3, "c")])).is_empty());
    }

    #[test]
    fn at_the_limit_nothing_goes() {
        let rule = Retention { heard_max: Some(3) };
        assert!(rule.evict(heard(&[(1, "a"), (2, "b"), (3, "c")])).is_empty());
    }

    #[test]
    fn past_the_limit_the_oldest_heard_goes_whatever_the_order_given() {
        let rule = Retention { heard_max: Some(2) };
        assert_eq!(rule.evict(heard(&[(30, "a"), (10, "c"), (20, "b")])), ["c"]);
    }

    #[test]
    fn heard_in_the_same_millisecond_the_smaller_id_goes() {
        let rule = Retention { heard_max: Some(1) };
        assert_eq!(rule.evict(heard(&[(5, "b"), (5, "a"), (5, "c")])), ["a", "b"]);
    }

    #[test]
    fn a_limit_of_zero_keeps_no_heard_message() {
        let rule = Retention { heard_max: Some(0) };
        assert_eq!(rule.evict(heard(&[(2, "b"), (1, "a")])), ["a", "b"]);
    }
}
