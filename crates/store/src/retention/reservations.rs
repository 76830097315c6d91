//! Places for callers who are still to speak.
//!
//! A place is asked for before the beep, so that nobody speaks to a full mailbox, and counts like a message until its
//! message is committed or it is given back. Places are kept in memory: they end with the server, whose calls end then,
//! too. A call that never says how it ended loses its place after a while.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use segue_mailbox::{Ask, Grant, Held, Kept, Retention, Rule, admit, conversation};

use super::enforce::kept;
use crate::{Store, StoreError, groups};

/// A place is held no longer than the longest message, and this for greeting, finalising and a busy store.
const BESIDES: Duration = Duration::from_secs(30 * 60);

/// Who asks for a place, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The id that the message will have.
    pub message_id: String,
    /// The subscriber who will own it.
    pub mailbox: String,
    /// The caller's URI.
    pub from: String,
    /// How much room.
    pub ask: Ask,
}

/// The places held now.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    held: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    /// By mailbox, then by message.
    by_mailbox: BTreeMap<String, BTreeMap<String, Place>>,
    /// Messages for groups, and the members who have a place for them.
    shared: BTreeMap<String, Vec<String>>,
}

/// Members of a group who had a place for a message before it was spoken, with what they were granted.
#[derive(Debug, Default)]
pub(crate) struct Shares(BTreeMap<String, Grant>);

impl Shares {
    /// Whether a member has a place for what has become of it. Nobody holds any (the server was started anew): all have.
    pub(crate) fn admit(&self, member: &str, duration_ms: u64, bytes: u64) -> bool {
        let Some(most) = self.0.values().copied().reduce(wider) else {
            return true;
        };
        // Who has the most place takes it whatever it has become: nothing that was spoken is lost.
        let duration_ms = duration_ms.min(most.longest_ms);
        let bytes = most.longest_bytes.map_or(bytes, |most| bytes.min(most));
        self.0.get(member).is_some_and(|grant| {
            grant.longest_ms >= duration_ms && grant.longest_bytes.is_none_or(|longest| longest >= bytes)
        })
    }
}

/// The one with more room.
fn wider(one: Grant, other: Grant) -> Grant {
    let room = |grant: &Grant| (grant.longest_ms, grant.longest_bytes.unwrap_or(u64::MAX));
    if room(&other) > room(&one) { other } else { one }
}

#[derive(Debug)]
struct Place {
    held: Held,
    until: Instant,
}

impl Reservations {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place back; none is left of it.
    pub(crate) fn release(&self, mailbox: &str, message_id: &str) {
        let mut all = self.lock();
        let shared = all.shared.remove(message_id);
        all.give_back(mailbox, message_id);
        for member in shared.into_iter().flatten() {
            all.give_back(&member, message_id);
        }
    }

    /// Who of a group has a place for a message.
    pub(crate) fn shares(&self, message_id: &str) -> Shares {
        let all = self.lock();
        let members = all.shared.get(message_id).into_iter().flatten();
        let granted = |member: &String| {
            let place = all.by_mailbox.get(member)?.get(message_id)?;
            Some((member.clone(), place.held.grant))
        };
        Shares(members.filter_map(granted).collect())
    }
}

impl Places {
    fn give_back(&mut self, mailbox: &str, message_id: &str) {
        if let Some(places) = self.by_mailbox.get_mut(mailbox) {
            places.remove(message_id);
            if places.is_empty() {
                self.by_mailbox.remove(mailbox);
            }
        }
    }

    /// Takes a place in one mailbox, where its rules have room beside what is kept and held.
    fn take(&mut self, mailbox: &str, rules: &Retention, kept: &[Kept], new: &New<'_>) -> Result<Grant, Rule> {
        let places = self.by_mailbox.entry(mailbox.to_owned()).or_default();
        places.retain(|id, place| place.until > new.now && id != new.message_id);
        let held = places.values().map(|place| &place.held);
        let admitted = admit(rules, kept, held, &new.conversation, new.ask);
        if let Ok(grant) = admitted {
            let longest = Duration::from_millis(new.ask.longest_ms).saturating_add(BESIDES);
            let until = new.now.checked_add(longest).unwrap_or(new.now);
            let conversation = new.conversation.clone();
            let held = Held { conversation, grant };
            places.insert(new.message_id.to_owned(), Place { held, until });
        } else if places.is_empty() {
            self.by_mailbox.remove(mailbox);
        }
        admitted
    }
}

/// A place that is asked for.
struct New<'a> {
    message_id: &'a str,
    conversation: String,
    ask: Ask,
    now: Instant,
}

impl Store {
    /// Reserves a place for one message at the monotonic time `now`, or says which rule has no room. Two who ask at once
    /// never get the last place both. Asking again for the same message replaces its place.
    ///
    /// Of a group each member's rules are asked, and those of the group as for an empty mailbox: there is a place where one member has one,
    /// as long as the member with the most has; the message will be theirs alone who have place for it.
    ///
    /// It is released by the deposit of that message or by [`Store::release`].
    pub fn reserve(&self, reserve: &Reserve, now: Instant) -> Result<Result<Grant, Rule>, StoreError> {
        let Reserve {
            message_id,
            mailbox,
            from,
            ask,
        } = reserve;
        let mut new = New {
            message_id,
            conversation: conversation(from),
            ask: *ask,
            now,
        };
        let with = self.enforcement();
        // Held over the look into the store: a message is seen as a place until after its commit, never as neither.
        let mut all = self.inner.reservations.lock();
        let read = |db: &Connection| {
            let members = groups::members(db, mailbox)?;
            let whose = if members.is_empty() {
                vec![mailbox.clone()]
            } else {
                members
            };
            let of = |owner: String| Ok((with.rules(db, &owner)?, kept(db, &owner)?, owner));
            let all: Vec<_> = whose.into_iter().map(of).collect::<Result<_, StoreError>>()?;
            Ok((with.rules(db, mailbox)?, all))
        };
        let (of_group, mailboxes) = self.read(read)?;
        if let [(rules, kept, owner)] = &mailboxes[..]
            && owner == mailbox
        {
            return Ok(all.take(mailbox, rules, kept, &new));
        }
        match admit(&of_group, &[], &[], &new.conversation, *ask) {
            Ok(grant) => new.ask.longest_ms = grant.longest_ms,
            Err(rule) => return Ok(Err(rule)),
        }
        let (mut granted, mut refused, mut members) = (None, None, Vec::new());
        for (rules, kept, owner) in mailboxes {
            match all.take(&owner, &rules, &kept, &new) {
                Ok(grant) => {
                    granted = Some(granted.map_or(grant, |before| wider(before, grant)));
                    members.push(owner);
                }
                Err(rule) => refused = refused.or(Some(rule)),
            }
        }
        let Places { by_mailbox, shared } = &mut *all;
        shared.retain(|id, members| {
            let holds = |member| {
                by_mailbox
                    .get(member)
                    .is_some_and(|places: &BTreeMap<_, _>| places.contains_key(id))
            };
            id != message_id && members.iter().any(holds)
        });
        if !members.is_empty() {
            shared.insert(message_id.clone(), members);
        }
        Ok(granted.ok_or(refused.unwrap_or(Rule::UnheardMax)))
    }

    /// Gives a place back whose caller leaves no message.
    pub fn release(&self, mailbox: &str, message_id: &str) {
        self.inner.reservations.release(mailbox, message_id);
    }

    /// Places held now, in all mailboxes.
    pub fn reservations(&self) -> u64 {
        self.inner
            .reservations
            .lock()
            .by_mailbox
            .values()
            .map(|places| places.len() as u64)
            .sum()
    }
}
