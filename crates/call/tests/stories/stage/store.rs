//! The store of the stage: what it answers, and what it was told.

use segue_call::{Input, Output, StoreAction, StoreReply};
use segue_mailbox::Rule;

use super::Stage;

/// What the store says when asked for a place.
#[derive(Clone)]
pub enum PlaceReply {
    Reserved {
        longest_ms: u64,
        longest_bytes: Option<u64>,
    },
    Full(Rule),
    Fails,
}

/// How a recording becomes a clip for its caller.
#[derive(Clone, Copy)]
pub enum Preview {
    /// It takes this long, milliseconds.
    Takes(u64),
    Fails,
}

/// How long such a clip plays.
pub const TAKE_MS: u64 = 3_000;

impl Stage {
    /// What the store does by its contract.
    pub(super) fn react_of_store(&mut self, action: &StoreAction) {
        match action {
            StoreAction::Lookup { .. } => self.after(self.setup.lookup_ms, Input::Store(self.setup.lookup.clone())),
            StoreAction::Reserve {
                message_id, mailbox, ..
            } => {
                let reply = match self.setup.place.clone() {
                    PlaceReply::Reserved {
                        longest_ms,
                        longest_bytes,
                    } => StoreReply::Reserved {
                        mailbox: mailbox.clone(),
                        message_id: message_id.clone(),
                        longest_ms,
                        longest_bytes,
                    },
                    PlaceReply::Full(rule) => StoreReply::MailboxFull { rule },
                    PlaceReply::Fails => StoreReply::ReserveFailed { why: "locked".into() },
                };
                match self.setup.place_ms {
                    None => {}
                    Some(0) => self.call.handle(Input::Store(reply), self.now()),
                    Some(ms) => self.after(ms, Input::Store(reply)),
                }
            }
            StoreAction::Release { .. } => {}
            StoreAction::Deposit { .. } if self.setup.deposit_fails => {
                self.after(
                    100,
                    Input::Store(StoreReply::DepositFailed {
                        why: "disk full".into(),
                    }),
                );
            }
            StoreAction::Hold { .. } => {}
            StoreAction::Preview { message_id } => {
                let message_id = message_id.clone();
                let reply = match self.setup.preview {
                    Preview::Takes(_) => StoreReply::Previewed {
                        message_id,
                        clip: super::clip(-1, "take", TAKE_MS),
                    },
                    Preview::Fails => StoreReply::PreviewFailed {
                        message_id,
                        why: "no worker".into(),
                    },
                };
                let after_ms = match self.setup.preview {
                    Preview::Takes(ms) => ms,
                    Preview::Fails => 500,
                };
                self.after(after_ms, Input::Store(reply));
            }
            StoreAction::Deposit { message_id, .. } => {
                self.after(
                    100,
                    Input::Store(StoreReply::Deposited {
                        message_id: message_id.clone(),
                    }),
                );
            }
            StoreAction::Discard { .. } => {}
            StoreAction::Mailbox(action) => self.react_of_desk(action),
        }
    }

    pub fn stored(&self) -> Vec<StoreAction> {
        let store = |(_, o): &(u64, Output)| {
            if let Output::Store(action) = o {
                Some(action.clone())
            } else {
                None
            }
        };
        self.said.iter().filter_map(store).collect()
    }

    /// What the store was told, in short.
    pub fn store_did(&self) -> Vec<&'static str> {
        let words = self.stored().into_iter().map(|action| match action {
            StoreAction::Lookup { .. } => "lookup",
            StoreAction::Reserve { .. } => "reserve",
            StoreAction::Release { .. } => "release",
            StoreAction::Hold { .. } => "hold",
            StoreAction::Preview { .. } => "preview",
            StoreAction::Deposit { urgent: true, .. } => "deposit urgent",
            StoreAction::Deposit { .. } => "deposit",
            StoreAction::Discard { .. } => "discard",
            StoreAction::Mailbox(_) => "mailbox",
        });
        words.collect()
    }
}
