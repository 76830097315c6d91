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

use segue_mailbox::{Ask, Grant, Held, Rule, admit, conversation};

use super::enforce::kept;
use crate::{Store, StoreError};

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
    /// By mailbox, then by message.
    held: Mutex<BTreeMap<String, BTreeMap<String, Place>>>,
}

#[derive(Debug)]
struct Place {
    held: Held,
    until: Instant,
}

impl Reservations {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Place>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place back; none is left of it.
    pub(crate) fn release(&self, mailbox: &str, message_id: &str) {
        let mut all = self.lock();
        if let Some(places) = all.get_mut(mailbox) {
            places.remove(message_id);
            if places.is_empty() {
                all.remove(mailbox);
            }
        }
    }
}

impl Store {
    /// Reserves a place for one message at the monotonic time `now`, or says which rule has no room. Two who ask at once
    /// never get the last place both. Asking again for the same message replaces its place.
    ///
    /// It is released by the deposit of that message or by [`Store::release`].
    pub fn reserve(&self, reserve: &Reserve, now: Instant) -> Result<Result<Grant, Rule>, StoreError> {
        let Reserve {
            message_id,
            mailbox,
            from,
            ask,
        } = reserve;
        let conversation = conversation(from);
        let with = self.enforcement();
        // Held over the look into the store: a message is seen as a place until after its commit, never as neither.
        let mut all = self.inner.reservations.lock();
        let (rules, kept) = self.read(|db| Ok((with.rules(db, mailbox)?, kept(db, mailbox)?)))?;
        let places = all.entry(mailbox.clone()).or_default();
        places.retain(|id, place| place.until > now && id != message_id);
        let held = places.values().map(|place| &place.held);
        let admitted = admit(&rules, &kept, held, &conversation, *ask);
        if let Ok(grant) = admitted {
            let until = now
                .checked_add(Duration::from_millis(ask.longest_ms).saturating_add(BESIDES))
                .unwrap_or(now);
            let held = Held { conversation, grant };
            places.insert(message_id.clone(), Place { held, until });
        } else if places.is_empty() {
            all.remove(mailbox);
        }
        Ok(admitted)
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
            .values()
            .map(|places| places.len() as u64)
            .sum()
    }
}
