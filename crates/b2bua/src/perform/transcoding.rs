//! Processes that transcode for calls: taken when a call wants one, and ended with it.

use std::sync::Arc;

use segue_call::MediaEvent;
use segue_media::{Command, transcode::TranscodeLink};

use super::{Performer, now};
use crate::CallKey;

/// Starts processes that transcode, within a budget; `jobs` does.
pub trait Transcoding: Send + Sync {
    /// One for a call: the way to it, and what ends it when it is dropped.
    ///
    /// # Errors
    /// Why there is none, in one sentence.
    fn take(&self) -> Result<(Arc<TranscodeLink>, Box<dyn Send>), String>;
}

impl Performer {
    /// A call wants a process, or another one.
    pub(super) fn transcode(&mut self, key: CallKey) {
        // The one before makes room.
        self.transcoders.remove(&key);
        let event = match self.transcoding.take() {
            Ok((link, process)) => match self.command(key, Command::Transcode { by: Some(link) }) {
                None => {
                    self.transcoders.insert(key, process);
                    MediaEvent::Transcoding
                }
                Some(why) => MediaEvent::NoTranscoder { why },
            },
            Err(why) => {
                tracing::warn!(call = key.0, why, "a call is not transcoded");
                MediaEvent::NoTranscoder { why }
            }
        };
        self.shard.handle_media(now(), key, event);
    }

    /// A call needs none any more.
    pub(super) fn end_transcode(&mut self, key: CallKey) {
        if self.transcoders.remove(&key).is_some() {
            self.command(key, Command::Transcode { by: None });
        }
    }
}
