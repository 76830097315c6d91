//! Notices on their way: what the store has queued goes out by mail, webhook and SIP MESSAGE.
//!
//! - `notifier.rs`: the thread that claims, tries and settles; `schedule.rs`: when it is tried again.
//! - `words.rs`: what is said, in the recipient's language.
//! - `mail.rs`, `webhook.rs` (by `http.rs`, which knows where it may connect: `addresses.rs`), `message.rs`: the ways.

mod addresses;
mod http;
mod mail;
mod message;
mod notifier;
mod schedule;
mod stats;
mod webhook;
mod words;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use segue_policy::Language;

pub use addresses::is_public;
pub use mail::{MailServer, MailTls, Mailer};
pub use message::{Deliver, Delivered, SipMessage};
pub use notifier::{Notifier, NotifierThread, Told};
pub use schedule::FIRST_PAUSE;
pub use stats::NoticeStats;
pub use webhook::{Hook, Secrets};

/// How notices go out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long one is tried.
    pub give_up: Duration,
    /// The pause after the first attempt; it doubles with each.
    pub first_pause: Duration,
    /// The language of those who chose none.
    pub language: Language,
    /// Where a message is seen: a URL with `{id}` for the message's; `None`: nowhere.
    pub link: Option<String>,
    /// Mail; `None`: there is none.
    pub mail: Option<Arc<Mailer>>,
    /// Webhooks; `None`: there are none.
    pub webhook: Option<Arc<Hook>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            give_up: Duration::from_secs(24 * 60 * 60),
            first_pause: FIRST_PAUSE,
            language: Language::En,
            link: None,
            mail: None,
            webhook: None,
        }
    }
}

impl Settings {
    /// Where a message is seen.
    fn link_to(&self, message_id: &str) -> Option<String> {
        self.link.as_ref().map(|link| link.replace("{id}", message_id))
    }
}

/// The settings that hold now; a change holds from the next attempt on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct NoticeSettings(Arc<Mutex<Arc<Settings>>>);

impl NoticeSettings {
    /// These.
    pub fn new(settings: Settings) -> NoticeSettings {
        NoticeSettings(Arc::new(Mutex::new(Arc::new(settings))))
    }

    /// From now on these.
    pub fn set(&self, settings: Settings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Whether webhooks may be at this address: it is public, or one of those that are allowed besides.
    pub fn may_call(&self, ip: IpAddr) -> bool {
        match &self.now().webhook {
            Some(hook) => hook.may_call(ip),
            None => is_public(ip),
        }
    }

    fn now(&self) -> Arc<Settings> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// The receiver has it; what it said.
    Sent(String),
    /// Not now; why, and when it wants to be asked again.
    Again(String, Option<Duration>),
    /// Never; why.
    Dead(String),
}

/// What a receiver says may be long, and may be anything.
fn short(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().take(CHARS_MAX).map(plain).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
