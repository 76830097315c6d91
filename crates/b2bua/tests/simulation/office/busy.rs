//! Who is in a call, by what crossed Segue's edge: who says so is busy to others meanwhile (`busy_at`).

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::wire::Msg;

/// Calls by their Call-IDs at the phones.
#[derive(Default)]
pub struct Busy {
    /// Whose phone has taken them.
    answered: BTreeMap<String, String>,
    /// Those that Segue has acknowledged, and whose they are.
    up: BTreeSet<(String, String)>,
    over: BTreeSet<String>,
}

impl Busy {
    /// A phone of theirs has taken this call.
    pub fn answers(&mut self, user: String, call_id: &str) {
        self.answered.insert(call_id.to_owned(), user);
    }

    /// Segue knows of it.
    pub fn is_up(&mut self, call_id: &str) {
        if let Some(user) = self.answered.get(call_id).filter(|_| !self.over.contains(call_id)) {
            self.up.insert((user.clone(), call_id.to_owned()));
        }
    }

    /// The call is over, for whomever.
    pub fn ended(&mut self, call_id: &str) {
        self.over.insert(call_id.to_owned());
        self.up.retain(|(_, of)| of != call_id);
    }

    fn call_of(&self, user: &str, but: &str) -> Option<&str> {
        let of_theirs = self.up.iter().filter(|(of, call_id)| of == user && call_id != but);
        of_theirs.map(|(_, call_id)| call_id.as_str()).next()
    }
}

impl World {
    /// A phone of this subscriber is called.
    pub(super) fn is_free(&mut self, user: &str, invite: &Msg) -> Result<(), String> {
        let place = (0..self.setup.busy.len()).find(|place| super::setup::name(*place) == user);
        let is_busy = place.is_some_and(|place| self.setup.busy[place]);
        match self.busy.call_of(user, invite.call_id()) {
            Some(other) if is_busy => Err(format!("{user} is called in {}, and is in {other}", invite.call_id())),
            Some(_) => {
                self.mark("a second call came to who takes several");
                Ok(())
            }
            None => Ok(()),
        }
    }
}
