//! What subscribers are told of: plain data that the store queues and `jobs` delivers.

use serde::{Deserialize, Serialize};

use crate::{CallResult, UnixMs};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoticeEvent {
    /// A message is stored with its media.
    #[serde(rename = "message.committed")]
    MessageCommitted,
    /// A message that nobody has heard goes in seven days at the earliest.
    #[serde(rename = "message.expires")]
    MessageExpires,
    /// A message left its mailbox little room.
    #[serde(rename = "mailbox.nearly_full")]
    MailboxNearlyFull,
    /// A call ended without an answer and without a message.
    #[serde(rename = "call.missed")]
    CallMissed,
}

impl NoticeEvent {
    /// All of them.
    pub const ALL: &[NoticeEvent] = &[
        NoticeEvent::MessageCommitted,
        NoticeEvent::MessageExpires,
        NoticeEvent::MailboxNearlyFull,
        NoticeEvent::CallMissed,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            NoticeEvent::MessageCommitted => "message.committed",
            NoticeEvent::MessageExpires => "message.expires",
            NoticeEvent::MailboxNearlyFull => "mailbox.nearly_full",
            NoticeEvent::CallMissed => "call.missed",
        }
    }

    /// The event of this name.
    pub fn from_name(name: &str) -> Option<NoticeEvent> {
        NoticeEvent::ALL.iter().copied().find(|event| event.name() == name)
    }
}

/// What there is to tell of an event. What does not belong to it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeFacts {
    /// What happened.
    pub event: NoticeEvent,
    /// When: a message's recording or a missed call began, the owner was warned.
    pub at: UnixMs,
    /// Whose mailbox it is about.
    pub mailbox: String,
    /// Our call's id.
    pub call_id: Option<String>,
    /// Call-ID of the caller's leg.
    pub sip_call_id: Option<String>,
    /// The caller's URI; absent: the caller withholds it, or there is none.
    pub from: Option<String>,
    /// The caller's display name.
    pub from_name: Option<String>,
    /// The message.
    pub message_id: Option<String>,
    /// `video` or `audio`.
    pub kind: Option<String>,
    /// The message's length, milliseconds.
    pub duration_ms: Option<u64>,
    /// Bytes of its media.
    pub bytes: Option<u64>,
    /// How the missed call ended.
    pub result: Option<CallResult>,
    /// The message goes no sooner than then.
    pub expires_at: Option<UnixMs>,
    /// The limit that is nearly reached.
    pub limit: Option<NoticeLimit>,
}

/// A limit of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeLimit {
    /// The rule: `unheard_max`, `max_bytes` or `max_seconds`.
    pub rule: String,
    /// How much of it is used by messages that nobody has heard.
    pub used: u64,
    /// How much there may be.
    pub allowed: u64,
}

impl NoticeFacts {
    /// Nothing but what happened, when and to whose mailbox.
    pub fn new(event: NoticeEvent, mailbox: impl Into<String>, at: UnixMs) -> NoticeFacts {
        NoticeFacts {
            event,
            at,
            mailbox: mailbox.into(),
            call_id: None,
            sip_call_id: None,
            from: None,
            from_name: None,
            message_id: None,
            kind: None,
            duration_ms: None,
            bytes: None,
            result: None,
            expires_at: None,
            limit: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for event in NoticeEvent::ALL {
            assert_eq!(serde_json::to_value(event).unwrap(), event.name());
            assert_eq!(NoticeEvent::from_name(event.name()), Some(*event));
        }
        assert_eq!(NoticeEvent::from_name("call.answered"), None);
    }
}
