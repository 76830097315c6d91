//! Whether one more caller may leave a message. Asked, and a place reserved, before the beep.

use super::{Kept, Retention, Rule, Scope};

/// What a caller asks room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The longest message there may be, milliseconds.
    pub longest_ms: u64,
    /// A message shorter than this is of no use to anybody: with less room than for that the mailbox is full.
    pub least_ms: u64,
    /// What a second of it is taken to need, bytes.
    pub bytes_per_s: u64,
}

/// Room for one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// It may last this long, milliseconds.
    pub longest_ms: u64,
    /// And is expected to need no more than this, bytes.
    pub bytes: u64,
    /// Where a rule counts bytes it may need no more than that; `None`: none does.
    pub longest_bytes: Option<u64>,
}

/// A place that an earlier caller holds and has not filled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Whose: [`super::conversation`].
    pub conversation: String,
    /// What was granted.
    pub grant: Grant,
}

/// Whether a caller may leave a message beside what is kept and held; else the rule that has no room.
///
/// Heard messages take no room: they make way when the message comes ([`super::sweep`]).
pub fn admit<'a>(
    rules: &Retention,
    kept: impl IntoIterator<Item = &'a Kept>,
    held: impl IntoIterator<Item = &'a Held>,
    conversation: &str,
    ask: Ask,
) -> Result<Grant, Rule> {
    let same = |of: &str| rules.scope == Scope::Mailbox || of == conversation;
    let (mut count, mut bytes, mut played_ms) = (0_u64, 0_u64, 0_u64);
    let mut add = |more_bytes: u64, more_ms: u64| {
        count = count.saturating_add(1);
        bytes = bytes.saturating_add(more_bytes);
        played_ms = played_ms.saturating_add(more_ms);
    };
    for message in kept {
        if message.counts() && message.heard_at_ms.is_none() && same(&message.conversation) {
            add(message.bytes, message.duration_ms);
        }
    }
    for place in held {
        if same(&place.conversation) {
            add(place.grant.bytes, place.grant.longest_ms);
        }
    }
    if rules.unheard_max.is_some_and(|max| count >= u64::from(max)) {
        return Err(Rule::UnheardMax);
    }
    let least_ms = ask.least_ms.min(ask.longest_ms);
    let mut longest_ms = ask.longest_ms;
    if let Some(max) = rules.max_seconds {
        longest_ms = longest_ms.min(max.saturating_mul(1000).saturating_sub(played_ms));
        if longest_ms < least_ms {
            return Err(Rule::MaxSeconds);
        }
    }
    if let Some(max) = rules.max_bytes {
        let room = max.saturating_sub(bytes);
        let room_ms = room
            .saturating_mul(1000)
            .checked_div(ask.bytes_per_s)
            .unwrap_or(u64::MAX);
        longest_ms = longest_ms.min(room_ms);
        if longest_ms < least_ms {
            return Err(Rule::MaxBytes);
        }
    }
    let bytes = longest_ms.saturating_mul(ask.bytes_per_s) / 1000;
    Ok(Grant {
        longest_ms,
        bytes,
        longest_bytes: rules.max_bytes.map(|_| bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask = Ask {
        longest_ms: 60_000,
        least_ms: 5_000,
        bytes_per_s: 1_000,
    };
    const WHOLE: Grant = Grant {
        longest_ms: 60_000,
        bytes: 60_000,
        longest_bytes: None,
    };

    fn message(id: &str, conversation: &str) -> Kept {
        Kept {
            id: id.to_owned(),
            conversation: conversation.to_owned(),
            received_at_ms: 0,
            heard_at_ms: None,
            warned_at_ms: None,
            deleted_at_ms: None,
            is_pinned: false,
            bytes: 10_000,
            duration_ms: 10_000,
        }
    }

    fn held(conversation: &str, longest_ms: u64) -> Held {
        Held {
            conversation: conversation.to_owned(),
            grant: Grant {
                longest_ms,
                bytes: longest_ms,
                longest_bytes: None,
            },
        }
    }

    #[test]
    fn without_a_limit_everybody_may() {
        let kept = ["a", "b"].map(|id| message(id, "x"));
        assert_eq!(admit(&Retention::default(), &kept, &[], "x", ASK), Ok(WHOLE));
    }

    #[test]
    fn places_held_by_others_count_as_messages() {
        let rules = Retention {
            unheard_max: Some(3),
            ..Retention::default()
        };
        let kept = [message("a", "x")];
        assert_eq!(admit(&rules, &kept, &[held("y", 1)], "x", ASK), Ok(WHOLE));
        let two = [held("y", 1), held("z", 1)];
        assert_eq!(admit(&rules, &kept, &two, "x", ASK), Err(Rule::UnheardMax));
    }

    #[test]
    fn heard_pinned_and_deleted_ones_take_no_room() {
        let rules = Retention {
            unheard_max: Some(1),
            max_bytes: Some(60_000),
            max_seconds: Some(60),
            ..Retention::default()
        };
        let mut kept = ["a", "b", "c"].map(|id| message(id, "x"));
        for m in &mut kept {
            m.heard_at_ms = (m.id == "a").then_some(1);
            m.is_pinned = m.id == "b";
            m.deleted_at_ms = (m.id == "c").then_some(1);
        }
        let whole = Grant {
            longest_bytes: Some(60_000),
            ..WHOLE
        };
        assert_eq!(admit(&rules, &kept, &[], "x", ASK), Ok(whole));
    }

    #[test]
    fn the_last_room_is_given_as_a_shorter_message_and_less_than_the_least_is_none() {
        let seconds = |max| Retention {
            max_seconds: Some(max),
            ..Retention::default()
        };
        let bytes = |max| Retention {
            max_bytes: Some(max),
            ..Retention::default()
        };
        let kept = [message("a", "x")];
        let twenty = Grant {
            longest_ms: 20_000,
            bytes: 20_000,
            longest_bytes: None,
        };
        assert_eq!(admit(&seconds(30), &kept, &[], "x", ASK), Ok(twenty));
        let in_bytes = Grant {
            longest_bytes: Some(20_000),
            ..twenty
        };
        assert_eq!(admit(&bytes(30_000), &kept, &[], "x", ASK), Ok(in_bytes));
        assert_eq!(admit(&seconds(14), &kept, &[], "x", ASK), Err(Rule::MaxSeconds));
        assert_eq!(admit(&bytes(14_999), &kept, &[], "x", ASK), Err(Rule::MaxBytes));
        assert_eq!(
            admit(&bytes(30_000), &kept, &[held("y", 16_000)], "x", ASK),
            Err(Rule::MaxBytes),
            "what others hold is not given twice"
        );
    }

    #[test]
    fn in_conversation_scope_only_the_callers_own_messages_count() {
        let rules = Retention {
            unheard_max: Some(1),
            scope: Scope::Conversation,
            ..Retention::default()
        };
        let kept = [message("a", "x")];
        assert_eq!(admit(&rules, &kept, &[held("z", 1)], "y", ASK), Ok(WHOLE));
        assert_eq!(admit(&rules, &kept, &[], "x", ASK), Err(Rule::UnheardMax));
        assert_eq!(admit(&rules, &[], &[held("x", 1)], "x", ASK), Err(Rule::UnheardMax));
    }
}
