//! How long messages live: heard and unheard ones by independent rules.
//!
//! - `sweep.rs`: what must go, be warned of or be freed now.
//! - `admission.rs`: whether one more caller may leave a message, and how long a one.
//! - `clock.rs`: whether the wall clock can be trusted with ages.
//!
//! What the rules mean to an operator, and which tests show it: `docs/retention.md`.

mod admission;
mod clock;
mod sweep;

use serde::{Deserialize, Serialize};

pub use admission::{Ask, Grant, Held, admit};
pub use clock::ClockGuard;
pub use sweep::{Act, Deletion, Due, Kept, sweep};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// An unheard message is deleted no sooner than this after its warning notice, milliseconds.
pub const WARNING_MS: u64 = 7 * DAY_MS;

/// The undelete window unless somebody says otherwise, milliseconds.
pub const TRASH_MS: u64 = 7 * DAY_MS;

/// A mailbox's retention rules. `None`: no limit.
///
/// Pinned messages and those in the trash are neither counted nor deleted by any rule but `trash_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// At most this many heard messages; the oldest heard goes first.
    pub heard_max: Option<u32>,
    /// A message goes this long after it was heard, milliseconds.
    pub heard_age_ms: Option<u64>,
    /// No further caller may leave a message when this many are unheard. Deletes nothing.
    pub unheard_max: Option<u32>,
    /// An unheard message goes this long after it was received, but no sooner than [`WARNING_MS`] after its warning.
    pub unheard_age_ms: Option<u64>,
    /// Bytes of all messages: the oldest heard make room; when unheard ones alone fill it, callers are refused.
    pub max_bytes: Option<u64>,
    /// Playing time of all messages in seconds; otherwise as `max_bytes`.
    pub max_seconds: Option<u64>,
    /// What the four limits on numbers, bytes and seconds count together.
    pub scope: Scope,
    /// A deleted message can be had back for this long, milliseconds; 0: it is freed at once.
    pub trash_ms: u64,
}

impl Retention {
    /// Whether some message goes by these sooner than by `other`. What is counted together in another way may do so, too.
    pub fn deletes_more_than(&self, other: &Retention) -> bool {
        fn is_less<T: PartialOrd>(new: Option<T>, old: Option<T>) -> bool {
            new.is_some_and(|new| old.is_none_or(|old| new < old))
        }
        is_less(self.heard_max, other.heard_max)
            || is_less(self.heard_age_ms, other.heard_age_ms)
            || is_less(self.unheard_age_ms, other.unheard_age_ms)
            || is_less(self.max_bytes, other.max_bytes)
            || is_less(self.max_seconds, other.max_seconds)
            || self.scope != other.scope
            || self.trash_ms < other.trash_ms
    }
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            heard_max: None,
            heard_age_ms: None,
            unheard_max: None,
            unheard_age_ms: None,
            max_bytes: None,
            max_seconds: None,
            scope: Scope::Mailbox,
            trash_ms: TRASH_MS,
        }
    }
}

/// What limits count together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All messages of a mailbox.
    #[default]
    Mailbox,
    /// One caller's messages to a mailbox ([`conversation`]).
    Conversation,
}

impl Scope {
    /// Its word in tables and output.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Mailbox => "mailbox",
            Scope::Conversation => "conversation",
        }
    }

    /// The scope of this name.
    pub fn from_name(name: &str) -> Option<Scope> {
        [Scope::Mailbox, Scope::Conversation]
            .into_iter()
            .find(|scope| scope.name() == name)
    }
}

/// What a mailbox says about one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limit<T> {
    /// Nothing: the default holds.
    #[default]
    Default,
    /// There is none, whatever the default.
    Off,
    /// This one.
    At(T),
}

impl<T> Limit<T> {
    fn over(self, default: Option<T>) -> Option<T> {
        match self {
            Limit::Default => default,
            Limit::Off => None,
            Limit::At(value) => Some(value),
        }
    }
}

/// A mailbox's own rules, over the defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in `Retention`")]
pub struct OwnRules {
    pub heard_max: Limit<u32>,
    pub heard_age_ms: Limit<u64>,
    pub unheard_max: Limit<u32>,
    pub unheard_age_ms: Limit<u64>,
    pub max_bytes: Limit<u64>,
    pub max_seconds: Limit<u64>,
    pub scope: Option<Scope>,
    pub trash_ms: Option<u64>,
}

impl OwnRules {
    /// The rules that hold.
    pub fn over(self, default: Retention) -> Retention {
        Retention {
            heard_max: self.heard_max.over(default.heard_max),
            heard_age_ms: self.heard_age_ms.over(default.heard_age_ms),
            unheard_max: self.unheard_max.over(default.unheard_max),
            unheard_age_ms: self.unheard_age_ms.over(default.unheard_age_ms),
            max_bytes: self.max_bytes.over(default.max_bytes),
            max_seconds: self.max_seconds.over(default.max_seconds),
            scope: self.scope.unwrap_or(default.scope),
            trash_ms: self.trash_ms.unwrap_or(default.trash_ms),
        }
    }
}

/// A rule, by its name in tables, output and documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// [`Retention::heard_max`].
    HeardMax,
    /// [`Retention::heard_age_ms`].
    HeardAge,
    /// [`Retention::unheard_max`].
    UnheardMax,
    /// [`Retention::unheard_age_ms`].
    UnheardAge,
    /// [`Retention::max_bytes`].
    MaxBytes,
    /// [`Retention::max_seconds`].
    MaxSeconds,
    /// [`Retention::trash_ms`].
    Trash,
}

impl Rule {
    /// Its word in tables and output.
    pub fn name(self) -> &'static str {
        match self {
            Rule::HeardMax => "heard_max",
            Rule::HeardAge => "heard_age",
            Rule::UnheardMax => "unheard_max",
            Rule::UnheardAge => "unheard_age",
            Rule::MaxBytes => "max_bytes",
            Rule::MaxSeconds => "max_seconds",
            Rule::Trash => "trash",
        }
    }
}

/// One caller, whatever port, parameters or case of the host their URI came with: `user@host`. A number in E.164 is the same caller by
/// whatever host it comes: just the number.
///
/// Callers who withhold their identity are one caller to us.
pub fn conversation(caller: &str) -> String {
    let bare = caller.split(['?', ';', '>']).next().unwrap_or(caller);
    let bare = bare.split_once(':').map_or(bare, |(scheme, rest)| {
        let is_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphabetic());
        if is_scheme { rest } else { bare }
    });
    match bare.rsplit_once('@') {
        Some((user, _)) if is_global_number(user) => user.to_owned(),
        Some((user, host)) => format!("{user}@{}", without_port(host).to_ascii_lowercase()),
        None => without_port(bare).to_ascii_lowercase(),
    }
}

/// A `+` and 2 to 15 digits.
fn is_global_number(user: &str) -> bool {
    let digits = user.strip_prefix('+').unwrap_or_default();
    (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // Inside an IPv6 reference a colon parts groups.
        Some((name, port))
            if port.chars().all(|c| c.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_is_one_conversation_however_their_uri_is_written() {
        for same in [
            "sip:ann@example.com",
            "SIP:ann@Example.COM:5060",
            "sips:ann@example.com;transport=tls",
            "sip:ann@example.com;user=phone?subject=x",
        ] {
            assert_eq!(conversation(same), "ann@example.com", "{same}");
        }
        assert_ne!(
            conversation("sip:Ann@example.com"),
            "ann@example.com",
            "users have case"
        );
        assert_eq!(conversation("sip:a@[2001:DB8::1]:5060"), "a@[2001:db8::1]");
        assert_eq!(conversation("sip:a@[2001:db8::1]"), "a@[2001:db8::1]");
        for same in [
            "tel:+49301234;ext=5",
            "sip:+49301234@trunk.example",
            "sip:+49301234@192.0.2.1:5080;user=phone",
        ] {
            assert_eq!(conversation(same), "+49301234", "{same}");
        }
        assert_eq!(conversation("sip:49301234@192.0.2.1"), "49301234@192.0.2.1");
        assert_eq!(conversation("sip:192.0.2.1:5070"), "192.0.2.1");
        assert_eq!(conversation(""), "");
    }

    #[test]
    fn a_mailbox_own_rules_stand_over_the_defaults() {
        let defaults = Retention {
            heard_max: Some(20),
            unheard_max: Some(50),
            ..Retention::default()
        };
        assert_eq!(OwnRules::default().over(defaults), defaults);
        let own = OwnRules {
            heard_max: Limit::Off,
            unheard_max: Limit::At(3),
            scope: Some(Scope::Conversation),
            trash_ms: Some(0),
            ..OwnRules::default()
        };
        let rules = own.over(defaults);
        assert_eq!((rules.heard_max, rules.unheard_max), (None, Some(3)));
        assert_eq!((rules.scope, rules.trash_ms), (Scope::Conversation, 0));
    }
}
