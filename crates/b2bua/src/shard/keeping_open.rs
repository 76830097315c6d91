//! Phones behind NATs are asked OPTIONS now and then: a NAT forgets who is silent.

use std::time::{Duration, Instant};

use segue_call::Now;
use segue_registrar::{Binding, Change, Transport, What};
use segue_sip::PingId;

use super::Shard;
use crate::{keep_alive::Phone, registrations::peer};

impl Shard {
    /// How often a phone is pinged, and after how many pings in vain it is no longer called; `None`: it needs none.
    fn pinging(&self, binding: &Binding) -> Option<(Duration, u32)> {
        if !binding.by_source || binding.source.transport != Transport::Udp {
            return None;
        }
        let profile = self.admission.profile_for(&peer(&binding.source)).ok()?;
        let every = Duration::from_millis(profile.nat_ping_ms);
        (profile.nat && !every.is_zero()).then_some((every, profile.nat_ping_lost_max))
    }

    /// Who has come is pinged from now on, who has gone no more.
    pub(super) fn keep_open(&mut self, now: Now, changes: &[Change]) {
        for Change { user, what, binding } in changes {
            let phone = (user.clone(), binding.contact.to_string());
            let here = matches!(what, What::Added | What::Refreshed);
            match self.pinging(binding).filter(|_| here) {
                Some((every, _)) => self.keep_alive.add(now.mono, phone, every),
                None => self.keep_alive.remove(&phone),
            }
        }
    }

    /// Pings who is due.
    pub(super) fn ping_phones(&mut self, now: Now) {
        while let Some(phone) = self.keep_alive.due(now.mono) {
            let Some((binding, (every, lost_max))) = self.pinged_binding(&phone, now.mono) else {
                self.keep_alive.remove(&phone);
                continue;
            };
            let ping = self
                .endpoint
                .ping_back(now.mono, peer(&binding.source), &binding.contact);
            let lost = self.keep_alive.pinged(now.mono, &phone, ping, every);
            self.forget_the_lost(now, &phone, lost, lost_max);
        }
    }

    /// What a ping has come to, if it was one of these.
    pub(super) fn phone_answered(&mut self, now: Now, ping: PingId, answered: bool) {
        let Some(phone) = self.keep_alive.take(ping) else {
            return;
        };
        let Some((_, (every, lost_max))) = self.pinged_binding(&phone, now.mono) else {
            return self.keep_alive.remove(&phone);
        };
        let lost = self.keep_alive.heard(now.mono, &phone, answered, every);
        self.forget_the_lost(now, &phone, lost, lost_max);
    }

    fn pinged_binding(&self, (user, contact): &Phone, now: Instant) -> Option<(Binding, (Duration, u32))> {
        let mut all = self.registrar.bindings(user);
        let binding = all.find(|binding| binding.until > now && binding.contact.to_string() == *contact)?;
        Some((binding.clone(), self.pinging(binding)?))
    }

    /// Who answers no more is not called, where the profile says so.
    fn forget_the_lost(&mut self, now: Now, (user, contact): &Phone, lost: u32, lost_max: u32) {
        if lost_max == 0 || lost < lost_max {
            return;
        }
        let Ok(contact) = contact.parse() else { return };
        let mut changes = self.registrar.remove(user, Some(&contact));
        for change in &mut changes {
            change.what = What::Lost;
        }
        self.note_registrations(now, changes);
    }
}
