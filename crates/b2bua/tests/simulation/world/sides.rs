//! The packet path and the store at the shard's side.

use segue_b2bua::CallKey;
use segue_call::{LegId, MediaAction, MediaEvent, StoreAction, StoreReply};

use super::{Pending, Seen, World};
use crate::{callee::Callee, dice::MS, media_model::Fires, store_model::Kept};

impl World {
    /// Whose call it is; nobody is looked up for an emergency call, which is alone in its run.
    fn call_of(&self, key: CallKey) -> usize {
        let alone = (self.setup.scenarios.len() == 1).then_some(0);
        let call = self.keys.get(&key).copied().or(alone);
        call.expect("something of a call that was looked up")
    }

    pub(super) fn perform(&mut self, key: CallKey, action: MediaAction) {
        let call = self.call_of(key);
        self.keys.entry(key).or_insert(call);
        self.note(Seen::Media {
            call,
            action: action.clone(),
        });
        if let MediaAction::Record { manifest, .. } = &action {
            let before = self.recordings.insert(call, manifest.message_id.clone());
            assert_eq!(before, None, "one recording a call");
        }
        let script = self.setup.scenarios[call].media.clone();
        for (at, fires) in self.media.perform(self.now, key, &action, &script) {
            self.later(at, Pending::Fires(key, fires));
        }
    }

    pub(super) fn fire(&mut self, key: CallKey, fires: Fires) {
        let call = self.call_of(key);
        let dark = |leg| {
            if leg == LegId::A {
                self.callers[call].dies_at()
            } else {
                self.callees[call].dies_at()
            }
        };
        let dark_at = (dark(LegId::A), dark(LegId(1)));
        let dark = |leg| if leg == LegId::A { dark_at.0 } else { dark_at.1 };
        let (events, more) = self.media.fire(self.now, key, fires, dark);
        for (at, fires) in more {
            self.later(at, Pending::Fires(key, fires));
        }
        for event in events {
            if matches!(event, MediaEvent::Recorded { .. }) {
                self.ledger.synced(&self.recordings[&call]);
            }
            // Events of one call arrive in order, a little later.
            let line = self.media_line.entry(key).or_default();
            *line = (*line).max(self.now + self.dice.between(0, 2 * MS));
            let at = *line;
            self.later(at, Pending::Media(key, event));
        }
    }

    pub(super) fn store(&mut self, key: CallKey, action: StoreAction) {
        let call = match &action {
            StoreAction::Lookup { user, .. } => {
                let call = self
                    .callees
                    .iter()
                    .position(|b| b.phone.user == *user)
                    .expect("a callee of this run");
                assert_eq!(self.keys.insert(key, call), None, "looked up twice");
                call
            }
            _ => self.call_of(key),
        };
        self.note(Seen::Store {
            call,
            action: action.clone(),
        });
        let script = self.setup.scenarios[call].store.clone();
        match action {
            StoreAction::Lookup { user, .. } => {
                let targets = 1 + self.setup.scenarios[call].more.len();
                let mine = self.callees.iter().zip(&self.called_by).filter(|(_, of)| **of == call);
                let mine = mine.take(targets);
                let target = |callee: &Callee| {
                    let param = if callee.script.wants_tcp { ";transport=tcp" } else { "" };
                    format!("sip:{}@{}{param}", callee.phone.user, callee.phone.address)
                };
                let targets = mine.map(|(callee, _)| target(callee)).collect();
                let reply = script.reply(&user, targets, &self.setup.profile);
                self.later(self.now + script.lookup_takes, Pending::Store(key, reply));
            }
            StoreAction::Reserve {
                mailbox, message_id, ..
            } => {
                let reply = script.place(mailbox, message_id);
                self.later(self.now + script.place_takes, Pending::Store(key, reply));
            }
            StoreAction::Release { message_id, .. } => self.places.released(&message_id),
            StoreAction::Deposit { message_id, .. } => {
                self.ledger.goes(&message_id, Kept::Synced, Kept::Depositing);
                let at = self.now + script.deposit_takes;
                let reply = if script.deposit_fails {
                    self.ledger.goes(&message_id, Kept::Depositing, Kept::Refused);
                    StoreReply::DepositFailed {
                        why: "the disk is full".into(),
                    }
                } else {
                    StoreReply::Deposited { message_id }
                };
                self.later(at, Pending::Store(key, reply));
            }
            StoreAction::Mailbox(_) => panic!("nobody calls a service in this house"),
            StoreAction::Hold { .. } => {}
            StoreAction::Preview { message_id } => {
                let why = "no worker is free".into();
                let reply = StoreReply::PreviewFailed { message_id, why };
                self.later(self.now + script.deposit_takes, Pending::Store(key, reply));
            }
            StoreAction::Discard { message_id } => self.ledger.goes(&message_id, Kept::Synced, Kept::Discarded),
        }
    }
}
