//! Several messages at once: what a download of them brings.

use segue_mailbox::MediaState;
use segue_store::MediaFile;

use crate::{Access, MessageView, Refusal, Scope};

/// Most messages that one deed is done to.
pub const SEVERAL_MAX: usize = 100;

/// A message that is taken away as a file.
#[derive(Debug, Clone)]
pub struct Exported {
    /// What it is.
    pub message: MessageView,
    /// Its media; `None`: it is still being prepared.
    pub media: Option<MediaFile>,
}

impl Access {
    /// Messages with their media, each once, in the order that they are named in. Nothing is heard by that.
    ///
    /// # Errors
    /// None is named, or too many; one of them is not there, or another's.
    pub fn export_messages(&self, ids: &[String]) -> Result<Vec<Exported>, Refusal> {
        self.several(ids)?
            .into_iter()
            .map(|message| {
                let media = match message.media_state {
                    MediaState::Ready => self.message_media(&message.id, false)?,
                    MediaState::Raw => None,
                };
                Ok(Exported { message, media })
            })
            .collect()
    }

    /// Messages that something is to be done to, each once; all of them are there, and theirs.
    pub fn several(&self, ids: &[String]) -> Result<Vec<MessageView>, Refusal> {
        self.need(Scope::MessagesRead)?;
        let mut once: Vec<&String> = Vec::new();
        for id in ids.iter().take(SEVERAL_MAX.saturating_add(1)) {
            if !once.contains(&id) {
                once.push(id);
            }
        }
        if ids.is_empty() || ids.len() > SEVERAL_MAX {
            return Err(Refusal::invalid("id", format!("name 1 to {SEVERAL_MAX} messages")));
        }
        once.into_iter().map(|id| self.message(id)).collect()
    }
}
