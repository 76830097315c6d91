//! What is stored.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Refusal, Scope};

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StorageView {
    /// Subscribers.
    pub subscribers: u64,
    /// Messages in mailboxes.
    pub messages: u64,
    /// Those of them that nobody has heard.
    pub unheard: u64,
    /// Bytes of all messages in mailboxes.
    pub message_bytes: u64,
    /// Messages in the trash: they are freed when their time is over.
    pub trash: u64,
    /// Their bytes.
    pub trash_bytes: u64,
    /// Records of ended calls.
    pub calls: u64,
    /// Bytes in use of the database.
    pub used_bytes: u64,
    /// Bytes in its file that are free for reuse.
    pub free_bytes: u64,
    /// Bytes of media in files beside it.
    pub file_bytes: u64,
}

impl Access {
    /// How much is stored.
    pub fn storage(&self) -> Result<StorageView, Refusal> {
        self.need(Scope::SystemRead)?;
        let (totals, space) = (self.store().totals()?, self.store().space()?);
        Ok(StorageView {
            subscribers: totals.subscribers,
            messages: totals.messages,
            unheard: totals.unheard,
            message_bytes: totals.message_bytes,
            trash: totals.trash,
            trash_bytes: totals.trash_bytes,
            calls: totals.calls,
            used_bytes: space.used_bytes,
            free_bytes: space.free_bytes,
            file_bytes: space.file_bytes,
        })
    }
}
