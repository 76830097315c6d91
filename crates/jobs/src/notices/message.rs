//! Notices by SIP MESSAGE (RFC 3428). Whoever speaks SIP sends them: [`Deliver`].

use std::{sync::Arc, time::Duration};

use segue_policy::Language;
use segue_records::UnixMs;
use segue_store::Due;
use tokio::sync::oneshot;

use super::{Outcome, Settings, words::Words};

/// Whoever sends it has given up by then: all of a contact's servers, each for 64·T1.
const PATIENCE: Duration = Duration::from_secs(80);

/// A text for one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipMessage {
    /// Whose.
    pub user: String,
    /// Where to, a SIP URI; `None`: wherever they are registered.
    pub to: Option<String>,
    /// What is said.
    pub text: String,
    /// In which language.
    pub language: Language,
    /// When it was made.
    pub at: UnixMs,
    /// It says nothing any more after so long.
    pub expires: Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// A 2xx: somebody has it. What they said.
    Taken(String),
    /// Nobody has it yet; why, and when they want to be asked again.
    NotNow(String, Option<Duration>),
    /// Nobody will have it.
    Never(String),
}

/// Sends SIP; the server wires it.
pub trait Deliver: Send + Sync {
    /// Sends a MESSAGE. `done` is called once, from any thread.
    fn deliver(&self, message: SipMessage, done: Box<dyn FnOnce(Delivered) + Send>);
}

pub(super) async fn send(deliver: &Arc<dyn Deliver>, due: &Due, settings: &Settings, left: Duration) -> Outcome {
    let language = due.notify.language.unwrap_or(settings.language);
    let message = SipMessage {
        user: due.recipient.clone(),
        to: due.notify.message_to.clone(),
        text: Words::of(language, &due.zone).short(&due.facts),
        language,
        at: due.facts.at,
        expires: left,
    };
    let (done, ended) = oneshot::channel();
    deliver.deliver(
        message,
        Box::new(move |delivered| {
            // Whoever waited may have given up.
            let _ = done.send(delivered);
        }),
    );
    match tokio::time::timeout(PATIENCE, ended).await {
        Ok(Ok(Delivered::Taken(said))) => Outcome::Sent(said),
        Ok(Ok(Delivered::NotNow(why, after))) => Outcome::Again(why, after),
        Ok(Ok(Delivered::Never(why))) => Outcome::Dead(why),
        Ok(Err(_)) => Outcome::Again("the SIP side has ended".to_owned(), None),
        Err(_) => Outcome::Again("the SIP side did not answer".to_owned(), None),
    }
}
