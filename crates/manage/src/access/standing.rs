//! One message as commands handle it: marked, pinned, deleted, restored, copied, and how it stands with others who have it.

use std::io::Write;

use segue_store::{Exported, MarkOutcome, Store};

use crate::{Access, MessageView, Refusal, Scope};

impl Access {
    /// The message that a call left, found by the Call-ID of its caller's leg; `None`: there is none, or it is another's.
    pub fn message_of_call(&self, sip_call_id: &str) -> Result<Option<MessageView>, Refusal> {
        self.need(Scope::MessagesRead)?;
        let Some(found) = self.store().message_by_sip_call_id(sip_call_id)? else {
            return Ok(None);
        };
        match self.message(&found.id) {
            // It may have gone since.
            Err(gone) if gone.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The same message in the mailboxes of others who have it, as far as who asks may see those.
    pub fn shared_with(&self, id: &str) -> Result<Vec<MessageView>, Refusal> {
        self.need(Scope::MessagesRead)?;
        self.owned_message(id)?;
        let others = self.store().shared_with(id)?;
        others
            .iter()
            .filter(|other| self.own_name().is_none_or(|own| own == other.mailbox))
            .map(|other| self.message(&other.id))
            .filter(|other| !other.as_ref().is_err_and(Refusal::is_not_found))
            .collect()
    }

    /// Marks a message heard or unheard, and says what the rules then took.
    pub fn mark_message(&self, id: &str, heard: bool) -> Result<MarkOutcome, Refusal> {
        let acting = self.acting_on(id, "message.change", if heard { "heard" } else { "unheard" })?;
        Ok(match heard {
            true => acting.mark_heard(id, self.now_ms())?,
            false => acting.mark_unheard(id, self.now_ms())?,
        })
    }

    /// Pins a message, so that no rule counts or deletes it, or lets them again.
    pub fn pin_message(&self, id: &str, pinned: bool) -> Result<MarkOutcome, Refusal> {
        let acting = self.acting_on(id, "message.change", if pinned { "pinned" } else { "unpinned" })?;
        Ok(acting.pin_message(id, pinned, self.now_ms())?)
    }

    /// Brings a message back from the trash, pinned if that is wanted.
    pub fn restore_message(&self, id: &str, pinned: bool) -> Result<MarkOutcome, Refusal> {
        let acting = self.acting_on(id, "message.undelete", if pinned { "pinned" } else { "" })?;
        Ok(acting.undelete_message(id, pinned, self.now_ms())?)
    }

    /// Frees a message at once, wherever it is: nothing brings it back.
    pub fn free_message(&self, id: &str) -> Result<(), Refusal> {
        Ok(self.acting_on(id, "message.delete", "freed")?.free_message(id)?)
    }

    /// Writes a message's media. That an operator has it is put down.
    pub fn export_media(&self, id: &str, to: &mut dyn Write) -> Result<Exported, Refusal> {
        self.need(Scope::MessagesRead)?;
        self.owned_message(id)?;
        let exported = self.store().export_media(id, to)?;
        // A full disk, which takes no row more, keeps nobody from saving a message elsewhere.
        let _ = self.opened(id);
        Ok(exported)
    }

    /// The store for a change of a message that is theirs.
    fn acting_on(&self, id: &str, what: &str, detail: &str) -> Result<Store, Refusal> {
        self.need(Scope::MessagesWrite)?;
        let owner = self.owned_message(id)?.message.mailbox;
        Ok(self.acting_so(what, id, &owner, detail.to_owned()))
    }
}
