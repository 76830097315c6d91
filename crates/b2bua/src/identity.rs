//! Who the ends of a call are, on all its legs (Session-ID, RFC 7989), and so which calls are here already.

use std::collections::BTreeMap;

use segue_call::{LegAction, LegEvent, LegId};
use segue_sip::{Endpoint, SessionId};
use segue_sip_wire::SessionUuid;

use crate::{CallKey, entry::Leg};

/// The ends of one call.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The caller, by its own word or ours.
    pub caller: SessionUuid,
    /// The mailbox, and a callee that names itself not.
    ours: SessionUuid,
    /// The leg that A talks to.
    answered_by: Option<LegId>,
}

impl Ends {
    pub(crate) fn new(caller: SessionUuid, ours: SessionUuid) -> Ends {
        Ends {
            caller,
            ours,
            answered_by: None,
        }
    }

    /// A leg has said something: the legs at the other side of us hear who it is.
    pub(crate) fn heard(&mut self, endpoint: &mut Endpoint, legs: &BTreeMap<LegId, Leg>, leg: LegId, event: &LegEvent) {
        if matches!(event, LegEvent::Answered { .. }) {
            self.answered_by = Some(leg);
        }
        let Some(uuid) = legs.get(&leg).and_then(|heard| endpoint.peer_uuid(heard.session)) else {
            return;
        };
        if leg == LegId::A {
            self.caller = uuid;
            for (_, callee) in legs.iter().filter(|(other, _)| **other != LegId::A) {
                endpoint.speak_for(callee.session, uuid);
            }
        } else if self.answered_by == Some(leg) || self.answered_by.is_none() && legs.len() == 2 {
            // While several ring nobody knows who the caller's peer will be.
            speak_to_a(endpoint, legs, uuid);
        }
    }

    /// Before a leg is told something.
    pub(crate) fn says(
        &mut self,
        endpoint: &mut Endpoint,
        legs: &BTreeMap<LegId, Leg>,
        leg: LegId,
        action: &LegAction,
    ) {
        match action {
            LegAction::Bye { .. } if self.answered_by == Some(leg) => self.answered_by = None,
            LegAction::Answer { .. } => {
                let callee: Option<SessionId> = self.answered_by.and_then(|by| legs.get(&by)).map(|leg| leg.session);
                let named = callee.and_then(|callee| endpoint.peer_uuid(callee));
                speak_to_a(endpoint, legs, named.unwrap_or(self.ours));
            }
            _ => {}
        }
    }
}

fn speak_to_a(endpoint: &mut Endpoint, legs: &BTreeMap<LegId, Leg>, uuid: SessionUuid) {
    if let Some(a) = legs.get(&LegId::A) {
        endpoint.speak_for(a.session, uuid);
    }
}

/// The calls that are here, by their caller and whom they called.
#[derive(Debug, Default)]
pub(crate) struct Present(BTreeMap<(SessionUuid, String), CallKey>);

impl Present {
    /// The call of this caller to this user.
    pub(crate) fn find(&self, caller: SessionUuid, user: &str) -> Option<CallKey> {
        self.0.get(&(caller, user.to_owned())).copied()
    }

    pub(crate) fn add(&mut self, caller: SessionUuid, user: String, key: CallKey) {
        self.0.insert((caller, user), key);
    }

    pub(crate) fn remove(&mut self, caller: SessionUuid, user: &str, key: CallKey) {
        if self.find(caller, user) == Some(key) {
            self.0.remove(&(caller, user.to_owned()));
        }
    }
}
