//! Keys that a peer presses, told by telephone-event (RFC 4733), by INFO, or by phones that are set to both, in both ways at once.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    cx::Cx,
    io::{LegAction, LegId, MediaAction},
    legs::Leg,
};

/// The same press is told in both ways within this time: a telephone-event as it begins, an INFO often only as it ends.
const BOTH_WAYS: Duration = Duration::from_millis(1_500);

/// Presses that may wait for being told the other way.
const WAITING_MAX: usize = 16;

/// How a key was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// By telephone-event.
    Event,
    /// By INFO.
    Info {
        /// How long it was pressed.
        duration_ms: u64,
    },
}

/// The presses that were told one way so far.
#[derive(Debug, Default)]
pub(crate) struct Keys(VecDeque<Press>);

#[derive(Debug)]
struct Press {
    leg: LegId,
    key: char,
    by_event: bool,
    at: Instant,
}

impl Keys {
    /// Whether this is a new press, and not one that was told the other way before.
    pub fn is_new(&mut self, leg: LegId, key: char, told: Told, now: Instant) -> bool {
        let by_event = told == Told::Event;
        self.0
            .retain(|press| now.saturating_duration_since(press.at) <= BOTH_WAYS);
        let twin = self
            .0
            .iter()
            .position(|press| press.leg == leg && press.key == key && press.by_event != by_event);
        if let Some(twin) = twin {
            self.0.remove(twin);
            return false;
        }
        if self.0.len() >= WAITING_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Press {
            leg,
            key,
            by_event,
            at: now,
        });
        true
    }
}

impl Cx {
    /// A key of one side of the bridge for the other, in the way that side agreed on. Between two sides with telephone-event
    /// the packet path has carried it already.
    pub fn pass_key_on(&mut self, to: LegId, key: char, told: Told) {
        let by_event = self.takes_events(to);
        match (told, by_event) {
            (Told::Event, true) => {}
            (Told::Info { duration_ms }, true) => self.media(MediaAction::TellKey {
                leg: to,
                key,
                duration_ms,
            }),
            (Told::Info { duration_ms }, false) => self.tell_key(to, key, duration_ms),
            // The press has only begun: its length is not known.
            (Told::Event, false) => self.tell_key(to, key, segue_sip_wire::KeyPress::DURATION_MS.into()),
        }
    }

    fn tell_key(&mut self, to: LegId, key: char, duration_ms: u64) {
        let leg = match to {
            LegId::A => Some(self.legs.a),
            to => self.legs.b.get(to).map(|branch| branch.leg),
        };
        if leg == Some(Leg::Up) {
            self.leg(to, LegAction::TellKey { key, duration_ms });
        }
    }

    /// Whether a peer has agreed to telephone-event.
    fn takes_events(&self, leg: LegId) -> bool {
        let agreed = match leg {
            LegId::A => self.a.agreed.as_ref(),
            leg => self.legs.b.get(leg).and_then(|branch| branch.agreed.as_ref()),
        };
        let audio = agreed.and_then(|agreed| agreed.audio.as_ref());
        audio.is_some_and(|audio| audio.dtmf_payload_type.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: Told = Told::Info { duration_ms: 100 };

    #[allow(clippy::disallowed_methods, reason = "an `Instant` has no other beginning")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_press_told_both_ways_counts_once_in_either_order() {
        for (first, second) in [(Told::Event, INFO), (INFO, Told::Event)] {
            let (mut keys, now) = (Keys::default(), start());
            assert!(keys.is_new(LegId::A, '1', first, now));
            assert!(!keys.is_new(LegId::A, '1', second, now + BOTH_WAYS));
            assert!(
                keys.is_new(LegId::A, '1', second, now + BOTH_WAYS),
                "its twin is used up"
            );
        }
    }

    #[test]
    fn two_quick_presses_told_both_ways_are_two() {
        let (mut keys, now) = (Keys::default(), start());
        let told = [Told::Event, Told::Event, INFO, INFO];
        let new = told.map(|told| keys.is_new(LegId::A, '1', told, now));
        assert_eq!(new, [true, true, false, false]);
    }

    #[test]
    fn other_keys_other_legs_and_later_presses_are_new() {
        let (mut keys, now) = (Keys::default(), start());
        assert!(keys.is_new(LegId::A, '1', Told::Event, now));
        assert!(keys.is_new(LegId::A, '2', INFO, now));
        assert!(keys.is_new(LegId(1), '1', INFO, now));
        let later = now + BOTH_WAYS + Duration::from_millis(1);
        assert!(keys.is_new(LegId::A, '1', INFO, later));
    }

    #[test]
    fn a_flood_of_keys_is_kept_in_bounds() {
        let (mut keys, now) = (Keys::default(), start());
        for _ in 0..10_000 {
            assert!(keys.is_new(LegId::A, '1', INFO, now));
        }
        assert_eq!(keys.0.len(), WAITING_MAX);
    }
}
