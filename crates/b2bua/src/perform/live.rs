//! Questions of other threads about the calls that are up, and the wish to end one.

use std::time::Duration;

use segue_records::LiveCall;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Performer, now};

/// Questions that may wait for the signalling thread.
const QUESTIONS_MAX: usize = 16;
/// Calls of one answer: what the signalling thread copies at once.
pub const LIVE_AT_ONCE: usize = 500;

/// The packet path tells what it counts within a millisecond; a thread that has died never does.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

/// Asks the signalling thread, from any other. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LiveCalls(mpsc::Sender<Question>);

/// Where the questions come out.
#[derive(Debug)]
pub struct LiveEnd(mpsc::Receiver<Question>);

#[derive(Debug)]
pub(super) enum Question {
    List {
        before: Option<String>,
        most: usize,
        answer: oneshot::Sender<Vec<LiveCall>>,
    },
    Show(String, oneshot::Sender<Option<LiveCall>>),
    HangUp(String, oneshot::Sender<bool>),
}

/// The server is ending, or its signalling thread has no time to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server does not tell of its calls now: it is busy, or ending")]
pub struct NoAnswer;

impl LiveCalls {
    /// Both ends.
    pub fn new() -> (LiveCalls, LiveEnd) {
        let (sender, end) = mpsc::channel(QUESTIONS_MAX);
        (LiveCalls(sender), LiveEnd(end))
    }

    /// The latest calls that are up and older than the call `before`, the latest first, at most `most` and [`LIVE_AT_ONCE`];
    /// without ladders.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn list(&self, before: Option<&str>, most: usize) -> Result<Vec<LiveCall>, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        let before = before.map(str::to_owned);
        let most = most.min(LIVE_AT_ONCE);
        self.ask(Question::List { before, most, answer })?;
        answered.await.map_err(|_| NoAnswer)
    }

    /// One call that is up, with its ladders so far, and what was counted of its packets.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn show(&self, id: &str) -> Result<Option<LiveCall>, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.ask(Question::Show(id.to_owned(), answer))?;
        let answered = timeout(COUNTED_WITHIN, answered).await.map_err(|_| NoAnswer)?;
        answered.map_err(|_| NoAnswer)
    }

    /// Ends a call in order; a recording under way is kept. `false`: it is not up.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn hang_up(&self, id: &str) -> Result<bool, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.ask(Question::HangUp(id.to_owned(), answer))?;
        answered.await.map_err(|_| NoAnswer)
    }

    fn ask(&self, question: Question) -> Result<(), NoAnswer> {
        self.0.try_send(question).map_err(|_| NoAnswer)
    }
}

impl LiveEnd {
    /// The next one; `None`: nobody will ask any.
    pub(super) async fn next(&mut self) -> Option<Question> {
        self.0.recv().await
    }
}

impl Performer {
    pub(super) fn asked(&mut self, question: Question) {
        // Who does not wait any more needs no answer.
        match question {
            Question::List { before, most, answer } => {
                let _ = answer.send(self.shard.live_calls(now(), before.as_deref(), most));
            }
            Question::Show(id, answer) => self.show(&id, answer),
            Question::HangUp(id, answer) => {
                let _ = answer.send(self.shard.hang_up(now(), &id));
            }
        }
    }
}
