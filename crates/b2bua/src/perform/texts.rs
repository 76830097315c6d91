//! Texts that other threads want sent, and what becomes of them.

use tokio::sync::mpsc;

use super::{Performer, now};
use crate::{Text, TextKey, TextOutcome};

/// Texts that may wait for the signalling thread.
const TEXTS_MAX: usize = 64;

/// Is told what became of a text, once, on the signalling thread: it must return at once.
pub type TextDone = Box<dyn FnOnce(TextOutcome) + Send>;

/// Takes texts, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct TextSender(mpsc::Sender<(Text, TextDone)>);

/// Where they come out.
pub struct TextsEnd(mpsc::Receiver<(Text, TextDone)>);

impl TextSender {
    /// Both ends.
    pub fn new() -> (TextSender, TextsEnd) {
        let (sender, end) = mpsc::channel(TEXTS_MAX);
        (TextSender(sender), TextsEnd(end))
    }

    /// Sends a text. Where there are too many, or nobody sends any more, `done` is told so at once.
    pub fn send(&self, text: Text, done: TextDone) {
        if let Err(error) = self.0.try_send((text, done)) {
            let (mpsc::error::TrySendError::Full((_, done)) | mpsc::error::TrySendError::Closed((_, done))) = error;
            done(TextOutcome::NotNow("too many texts wait to be sent".to_owned(), None));
        }
    }
}

impl TextsEnd {
    /// The next one; `None`: nobody will send any.
    pub(super) async fn next(&mut self) -> Option<(Text, TextDone)> {
        self.0.recv().await
    }
}

impl Performer {
    pub(super) fn text(&mut self, text: Text, done: TextDone) {
        // Keys grow: no two that live are the same.
        let key = TextKey(
            self.texting
                .last_key_value()
                .map_or(0, |(TextKey(last), _)| last.wrapping_add(1)),
        );
        self.texting.insert(key, done);
        self.shard.handle_text(now(), key, text);
    }

    pub(super) fn texted(&mut self, key: TextKey, outcome: TextOutcome) {
        if let Some(done) = self.texting.remove(&key) {
            done(outcome);
        }
    }
}
