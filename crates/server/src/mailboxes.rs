//! Carries what subscribers ask for by phone from the signalling side to the jobs and to what hashes PINs.

use std::sync::Arc;

use segue_jobs::Phone;
use segue_mailbox::{ClipInfo, RenditionProfile};
use segue_policy::Pin;
use segue_store::NewClip;

use crate::{passwords::Sealer, pins};

/// Serves them.
pub struct Mailboxes {
    pub phone: Phone,
    pub keys: Arc<Sealer>,
}

impl segue_b2bua::Mailboxes for Mailboxes {
    fn keep_pin(&self, user: &str, pin: &Pin) -> Option<Vec<u8>> {
        pins::keep(&self.keys, user, pin)
    }

    fn is_pin(&self, user: &str, kept: Option<&[u8]>, pin: &Pin) -> bool {
        pins::matches(&self.keys, user, kept, pin)
    }

    fn message(&self, id: &str, renditions: &[RenditionProfile]) -> Result<NewClip, String> {
        let made = self.phone.message(id, renditions);
        made.map_err(|error| {
            tracing::error!(message_id = id, %error, "a message could not be made ready to be played");
            error.to_string()
        })
    }

    fn clip_of(&self, recording: &str) -> Result<ClipInfo, String> {
        let made = self.phone.clip_of(recording);
        made.map_err(|error| {
            tracing::error!(recording, %error, "a recorded greeting could not be made a clip");
            error.to_string()
        })
    }
}
