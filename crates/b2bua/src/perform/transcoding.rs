//! Processes that transcode for calls: taken when a call wants one, and ended with it.

use std::sync::Arc;

use segue_call::MediaEvent;
use segue_media::{Command, Kind, transcode::TranscodeLink};

use super::{Performer, now};
use crate::CallKey;

/// Starts processes that transcode, within a budget; `jobs` does.
pub trait Transcoding: Send + Sync {
    /// One for a call's sound, or for its pictures: the way to it, and what ends it when it is dropped.
    ///
    /// # Errors
    /// Why there is none, in one sentence.
    fn take(&self, kind: Kind) -> Result<(Arc<TranscodeLink>, Box<dyn Send>), String>;
}

/// Those of one call; they end with this.
#[derive(Default)]
pub(super) struct Processes {
    sound: Option<Box<dyn Send>>,
    pictures: Option<Box<dyn Send>>,
}

impl Processes {
    fn of(&mut self, kind: Kind) -> &mut Option<Box<dyn Send>> {
        match kind {
            Kind::Audio => &mut self.sound,
            Kind::Video => &mut self.pictures,
        }
    }
}

impl Performer {
    /// A call wants a process, or another one.
    pub(super) fn transcode(&mut self, key: CallKey, kind: Kind) {
        // The one before makes room.
        self.transcoders.entry(key).or_default().of(kind).take();
        let event = match self.transcoding.take(kind) {
            Ok((link, process)) => match self.command(key, Command::Transcode { kind, by: Some(link) }) {
                None => {
                    *self.transcoders.entry(key).or_default().of(kind) = Some(process);
                    MediaEvent::Transcoding { kind }
                }
                Some(why) => MediaEvent::NoTranscoder { kind, why },
            },
            Err(why) => {
                let what = match kind {
                    Kind::Audio => "sound",
                    Kind::Video => "pictures",
                };
                tracing::warn!(call = key.0, what, why, "a call is not transcoded");
                MediaEvent::NoTranscoder { kind, why }
            }
        };
        self.shard.handle_media(now(), key, event);
    }

    /// A call needs none any more.
    pub(super) fn end_transcode(&mut self, key: CallKey, kind: Kind) {
        let process = self
            .transcoders
            .get_mut(&key)
            .and_then(|processes| processes.of(kind).take());
        if process.is_some() {
            self.command(key, Command::Transcode { kind, by: None });
        }
    }
}
