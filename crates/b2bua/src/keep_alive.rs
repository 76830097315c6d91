//! When phones behind NATs are pinged, so that calls still reach them (RFC 5626 §4.4 in effect). Pure: each `now` is an argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use segue_sip::PingId;

/// Between any two pings: 500 a second at most. With more phones than that allows, each is pinged less often.
const APART: Duration = Duration::from_millis(2);

/// Whose contact, and its URI.
pub(crate) type Phone = (String, String);

/// All contacts that are pinged.
#[derive(Debug, Default)]
pub(crate) struct KeepAlive {
    phones: BTreeMap<Phone, State>,
    due: BTreeSet<(Instant, Phone)>,
    /// Those on their way.
    pings: BTreeMap<PingId, Phone>,
    /// No ping before.
    next: Option<Instant>,
}

#[derive(Debug)]
struct State {
    /// Its place in `due`; `None`: an answer is waited for.
    at: Option<Instant>,
    /// Pings in a row without an answer.
    lost: u32,
}

impl KeepAlive {
    /// A phone has just been heard: it is pinged this much later, unless it is pinged already.
    pub fn add(&mut self, now: Instant, phone: Phone, every: Duration) {
        if self.phones.contains_key(&phone) {
            return;
        }
        let state = State { at: None, lost: 0 };
        self.phones.insert(phone.clone(), state);
        self.wait(now, &phone, every);
    }

    /// A phone is pinged no more.
    pub fn remove(&mut self, phone: &Phone) {
        if let Some(at) = self.phones.remove(phone).and_then(|state| state.at) {
            self.due.remove(&(at, phone.clone()));
        }
    }

    /// The phone to ping now, if there is one; what comes of it is told by `pinged`.
    pub fn due(&mut self, now: Instant) -> Option<Phone> {
        if self.next.is_some_and(|next| next > now) {
            return None;
        }
        let (at, phone) = self.due.first().filter(|(at, _)| *at <= now).cloned()?;
        self.due.remove(&(at, phone.clone()));
        if let Some(state) = self.phones.get_mut(&phone) {
            state.at = None;
        }
        self.next = now.checked_add(APART);
        Some(phone)
    }

    /// It is on its way; `None`: it could not be sent, which counts as no answer.
    pub fn pinged(&mut self, now: Instant, phone: &Phone, ping: Option<PingId>, every: Duration) -> u32 {
        match ping {
            Some(ping) => {
                self.pings.insert(ping, phone.clone());
                0
            }
            None => self.heard(now, phone, false, every),
        }
    }

    /// Whose ping this is, which has come to its end.
    pub fn take(&mut self, ping: PingId) -> Option<Phone> {
        self.pings.remove(&ping)
    }

    /// A phone has answered, or not: how many pings in a row it has not.
    pub fn heard(&mut self, now: Instant, phone: &Phone, answered: bool, every: Duration) -> u32 {
        let Some(state) = self.phones.get_mut(phone) else {
            return 0;
        };
        state.lost = if answered { 0 } else { state.lost.saturating_add(1) };
        let lost = state.lost;
        self.wait(now, phone, every);
        lost
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let (first, _) = self.due.first()?;
        Some(self.next.map_or(*first, |next| next.max(*first)))
    }

    fn wait(&mut self, now: Instant, phone: &Phone, every: Duration) {
        let Some(state) = self.phones.get_mut(phone) else {
            return;
        };
        let at = now.checked_add(every).unwrap_or(now);
        // A phone that has come back while its ping was out waits already.
        if let Some(before) = state.at.replace(at) {
            self.due.remove(&(before, phone.clone()));
        }
        self.due.insert((at, phone.clone()));
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do to begin with")]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn phone(n: u32) -> Phone {
        ("bob".to_owned(), format!("sip:bob@10.0.0.{n}"))
    }

    #[test]
    fn each_phone_is_pinged_in_its_time_and_counted_while_it_is_silent() {
        let (start, mut all) = (Instant::now(), KeepAlive::default());
        all.add(start, phone(1), EVERY);
        all.add(start + EVERY / 2, phone(1), EVERY);
        assert_eq!(all.due(start + EVERY - APART), None);
        let now = start + EVERY;
        assert_eq!(all.poll_timeout(), Some(now), "said again it is pinged no later");
        assert_eq!(all.due(now), Some(phone(1)));
        assert_eq!(all.pinged(now, &phone(1), Some(PingId(7)), EVERY), 0);
        assert_eq!(all.poll_timeout(), None, "an answer is waited for");
        assert_eq!(all.take(PingId(7)), Some(phone(1)));
        assert_eq!(all.heard(now, &phone(1), false, EVERY), 1);
        let now = now + EVERY;
        assert_eq!(all.due(now), Some(phone(1)));
        assert_eq!(all.pinged(now, &phone(1), None, EVERY), 2);
        assert_eq!(all.heard(now, &phone(1), true, EVERY), 0);
        all.remove(&phone(1));
        assert_eq!((all.poll_timeout(), all.due(now + EVERY)), (None, None));
        assert_eq!(all.heard(now, &phone(1), false, EVERY), 0);
    }

    #[test]
    fn so_many_a_second_and_none_is_forgotten() {
        let (start, mut all) = (Instant::now(), KeepAlive::default());
        (0..200).for_each(|n| all.add(start, phone(n), EVERY));
        let (mut now, mut pinged) = (start + EVERY, BTreeSet::new());
        while let Some(at) = all.poll_timeout() {
            now = now.max(at);
            pinged.insert(all.due(now).unwrap());
            assert_eq!(all.due(now), None);
        }
        assert_eq!(pinged.len(), 200);
        assert_eq!(now, start + EVERY + APART * 199);
    }
}
