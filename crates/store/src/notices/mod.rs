//! Notices: what subscribers are told of.
//!
//! - here: a notice is written by the transaction of what happened, with a delivery for each recipient and channel that wants it. No
//!   message is acknowledged without them.
//! - `queue.rs`: deliveries are claimed with a lease, tried, and settled. A crash in the middle lets the lease run out, and it is tried
//!   again: at least once.
//! - `listed.rs`: what an operator sees, and does, of deliveries.

mod listed;
mod queue;

use rusqlite::{Connection, OptionalExtension, params};
use segue_mailbox::{Kept, Message, Retention, Rule, Scope, WARNING_MS, conversation};
use segue_policy::{About, Calling, Channel, Notify, Zone};
use segue_records::{NoticeEvent, NoticeFacts, NoticeLimit, UnixMs};

pub use listed::{Delivery, DeliveryState, NoticeCounts, WhichDeliveries};
pub use queue::{Attempt, Due};

use crate::{
    Store, StoreError,
    messages::{self, kind_name},
};

/// Deliveries of missed calls and warnings to one recipient by one channel that may wait; further ones are not queued. Messages are
/// bounded by their mailbox.
const WAITING_MAX: u32 = 200;

/// A mailbox is nearly full when its unheard messages take up this many parts of ten of a limit.
const NEARLY: u64 = 9;
/// Its owner is told of it no more often.
const NEARLY_FULL_EVERY_MS: i64 = 24 * 60 * 60 * 1000;

/// A message is stored: its notice, in the same transaction.
pub(crate) fn of_message(tx: &Connection, message: &Message, bytes: u64, now_ms: i64) -> Result<(), StoreError> {
    let mut facts = facts_of(message, NoticeEvent::MessageCommitted);
    facts.bytes = Some(bytes);
    add(tx, &facts, &message.id, now_ms, false)
}

/// The owner of a message is warned that it goes, in the transaction that notes the warning.
pub(crate) fn of_expiry(tx: &Connection, id: &str, now_ms: i64) -> Result<(), StoreError> {
    let Some(message) = messages::one(tx, "id = ?", id)? else {
        return Ok(());
    };
    let mut facts = facts_of(&message, NoticeEvent::MessageExpires);
    facts.at = UnixMs(now_ms);
    let warning_ms = i64::try_from(WARNING_MS).unwrap_or(i64::MAX);
    facts.expires_at = Some(UnixMs(now_ms.saturating_add(warning_ms)));
    // A message that was heard and is unheard again is warned of again.
    add(tx, &facts, &format!("{id}-{now_ms}"), now_ms, false)
}

impl Store {
    /// Tells of a missed call without waiting: whoever wants to be told of it is. `by_default`: so are those who say nothing of it. `done` runs on
    /// the store's thread after the commit. Error: [`StoreError::QueueFull`], then `done` does not run.
    pub fn tell_of_missed_later(
        &self,
        facts: NoticeFacts,
        by_default: bool,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let now_ms = crate::now_ms();
        self.inner
            .writer
            .submit(move |tx| of_missed(tx, facts, by_default, now_ms), done)
    }
}

/// A call was missed.
fn of_missed(tx: &Connection, mut facts: NoticeFacts, by_default: bool, now_ms: i64) -> Result<(), StoreError> {
    let from = facts.from.take().unwrap_or_default();
    (facts.from, facts.from_name) = shown(&from, facts.from_name.take().as_deref());
    let subject = facts.call_id.clone().unwrap_or_else(|| now_ms.to_string());
    add(tx, &facts, &subject, now_ms, by_default)
}

/// Whether anybody is told when a mailbox is nearly full.
pub(crate) fn warns(tx: &Connection, mailbox: &str) -> Result<bool, StoreError> {
    let all = recipients(tx, mailbox)?;
    Ok(all
        .iter()
        .any(|(_, notify)| !notify.by.is_empty() && notify.wants(About::Warning, false)))
}

/// A message has come: whether it left its mailbox little room, by the unheard messages that count for its limits.
pub(crate) fn of_room(
    tx: &Connection,
    rules: &Retention,
    kept: &[Kept],
    message: &Message,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(limit) = nearly_full(rules, kept, message) else {
        return Ok(());
    };
    let told: Option<bool> = tx
        .prepare_cached("SELECT 1 FROM notice WHERE mailbox = ? AND event = ? AND created_at > ? LIMIT 1")?
        .query_row(
            params![
                message.mailbox,
                NoticeEvent::MailboxNearlyFull.name(),
                now_ms.saturating_sub(NEARLY_FULL_EVERY_MS)
            ],
            |row| row.get(0),
        )
        .optional()?;
    if told.is_some() {
        return Ok(());
    }
    let at = UnixMs(now_ms);
    let mut facts = NoticeFacts::new(NoticeEvent::MailboxNearlyFull, message.mailbox.clone(), at);
    facts.limit = Some(limit);
    add(tx, &facts, &message.id, now_ms, false)
}

/// The limit that this message brought into its last tenth.
fn nearly_full(rules: &Retention, kept: &[Kept], message: &Message) -> Option<NoticeLimit> {
    let of = conversation(&message.from);
    let counted = |m: &&Kept| {
        let same = rules.scope == Scope::Mailbox || m.conversation == of;
        m.counts() && m.heard_at_ms.is_none() && same
    };
    let counted: Vec<&Kept> = kept.iter().filter(counted).collect();
    let own = counted.iter().find(|m| m.id == message.id)?;
    let sum = |of: fn(&Kept) -> u64| counted.iter().fold(0_u64, |sum, m| sum.saturating_add(of(m)));
    let limits = [
        (
            Rule::UnheardMax,
            rules.unheard_max.map(u64::from),
            counted.len() as u64,
            1,
        ),
        (Rule::MaxBytes, rules.max_bytes, sum(|m| m.bytes), own.bytes),
        (
            Rule::MaxSeconds,
            rules.max_seconds,
            sum(|m| m.duration_ms) / 1_000,
            own.duration_ms / 1_000,
        ),
    ];
    let is_near = |used: u64, allowed: u64| used.saturating_mul(10) >= allowed.saturating_mul(NEARLY);
    limits.into_iter().find_map(|(rule, allowed, used, own)| {
        let allowed = allowed?;
        let crossed = is_near(used, allowed) && !is_near(used.saturating_sub(own), allowed);
        crossed.then(|| NoticeLimit {
            rule: rule.name().to_owned(),
            used,
            allowed,
        })
    })
}

fn facts_of(message: &Message, event: NoticeEvent) -> NoticeFacts {
    let (from, from_name) = shown(&message.from, message.from_name.as_deref());
    NoticeFacts {
        call_id: known(&message.call_id),
        sip_call_id: known(&message.sip_call_id),
        from,
        from_name,
        message_id: Some(message.id.clone()),
        kind: Some(kind_name(message.kind).to_owned()),
        duration_ms: Some(message.duration_ms),
        bytes: Some(message.bytes),
        ..NoticeFacts::new(event, message.mailbox.clone(), UnixMs(message.received_at_ms))
    }
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The caller as subscribers see it: who withholds its identity has neither URI nor name (RFC 3323).
fn shown(from: &str, name: Option<&str>) -> (Option<String>, Option<String>) {
    let calling = Calling {
        from: from.to_owned(),
        at_ms: 0,
    };
    if from.is_empty() || calling.is_anonymous() {
        return (None, None);
    }
    (Some(from.to_owned()), name.map(str::to_owned))
}

/// Writes a notice and its deliveries. `subject` is what tells it from others of its event, whichever data directory they are of.
fn add(
    tx: &Connection,
    facts: &NoticeFacts,
    subject: &str,
    now_ms: i64,
    missed_by_default: bool,
) -> Result<(), StoreError> {
    let about = match facts.event {
        NoticeEvent::MessageCommitted => About::Message,
        NoticeEvent::CallMissed => About::Missed,
        NoticeEvent::MessageExpires | NoticeEvent::MailboxNearlyFull => About::Warning,
    };
    let mut ways: Vec<(String, Channel)> = Vec::new();
    for (recipient, notify) in recipients(tx, &facts.mailbox)? {
        if !notify.wants(about, missed_by_default) {
            continue;
        }
        for channel in notify.by {
            if about == About::Message || has_room(tx, &recipient, channel)? {
                ways.push((recipient.clone(), channel));
            }
        }
    }
    // What is about a message stands as long as the message does; the rest only as long as somebody is to be told.
    let message = match facts.event {
        NoticeEvent::MessageCommitted | NoticeEvent::MessageExpires => facts.message_id.as_deref(),
        NoticeEvent::CallMissed | NoticeEvent::MailboxNearlyFull if ways.is_empty() => return Ok(()),
        NoticeEvent::CallMissed | NoticeEvent::MailboxNearlyFull => None,
    };
    let json = serde_json::to_string(facts).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    tx.prepare_cached("INSERT INTO notice (mailbox, message, event, created_at, facts) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![facts.mailbox, message, facts.event.name(), now_ms, json])?;
    let notice = tx.last_insert_rowid();
    let mut insert = tx.prepare_cached(
        "INSERT OR IGNORE INTO delivery (key, notice, recipient, channel, state, since, next_at)
         VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?5)",
    )?;
    for (recipient, channel) in ways {
        let key = key(facts.event, channel, subject, &recipient);
        insert.execute(params![key, notice, recipient, channel.name(), now_ms])?;
    }
    Ok(())
}

/// Who is told of what happens to a mailbox.
fn recipients(tx: &Connection, mailbox: &str) -> Result<Vec<(String, Notify)>, StoreError> {
    Ok(notify_of(tx, mailbox)?
        .map(|(notify, _)| (mailbox.to_owned(), notify))
        .into_iter()
        .collect())
}

/// What a subscriber is told of, and by which clock; `None`: there is no such subscriber.
fn notify_of(db: &Connection, user: &str) -> Result<Option<(Notify, Zone)>, StoreError> {
    let found: Option<(String, String)> = db
        .prepare_cached("SELECT notify, zone FROM subscriber WHERE user = ?")?
        .query_row([user], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // One that cannot be read wants nothing.
    let read = |(json, zone): (String, String)| {
        (
            serde_json::from_str(&json).unwrap_or_default(),
            Zone::try_from(zone).unwrap_or_default(),
        )
    };
    Ok(found.map(read))
}

fn has_room(tx: &Connection, recipient: &str, channel: Channel) -> Result<bool, StoreError> {
    let waiting: u32 = tx
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM delivery WHERE recipient = ? AND channel = ? AND state = 'waiting' LIMIT ?)",
        )?
        .query_row(params![recipient, channel.name(), WAITING_MAX], |row| row.get(0))?;
    Ok(waiting < WAITING_MAX)
}

/// What receivers know a delivery by, however often it comes: of letters, digits, `-`, `_`, `+`, `~` and `%` alone, so that it may stand in a
/// Message-ID (RFC 5322 §3.2.3) and in a webhook's id, which has no full stop.
fn key(event: NoticeEvent, channel: Channel, subject: &str, recipient: &str) -> String {
    let escaped = |text: &str| {
        let mut out = String::with_capacity(text.len());
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'+' | b'~' => out.push(char::from(byte)),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        out
    };
    let event = event.name().replace(['.', '_'], "-");
    format!("{event}_{channel}_{}_{}", escaped(subject), escaped(recipient))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_stand_in_a_message_id_and_a_webhook_id() {
        let made = key(NoticeEvent::CallMissed, Channel::Mail, "01AB", "b.o_b*+49\r\n>");
        assert_eq!(made, "call-missed_mail_01AB_b%2Eo%5Fb%2A+49%0D%0A%3E");
    }

    #[test]
    fn who_withholds_an_identity_has_no_name_either() {
        assert_eq!(shown("sip:anonymous@anonymous.invalid", Some("Ann")), (None, None));
        assert_eq!(shown("", Some("Ann")), (None, None));
        let ann = shown("sip:ann@example.com", Some("Ann"));
        assert_eq!(ann, (Some("sip:ann@example.com".to_owned()), Some("Ann".to_owned())));
    }
}
