//! A subscriber's rules: what their callers meet, by who calls, when, and why nobody takes the call (docs/rules.md).
//!
//! One ordered list serves two decisions. **Before anybody rings** a rule counts if it names no reason, or one that keeps the subscriber
//! from being called now (`dnd`, `out-of-hours`, `offline`). **When nobody takes the call** a rule counts if it names why. In each the
//! first rule that counts and is for this caller and moment acts; what it leaves open stays as it was.

mod caller;
mod decide;
mod moment;
#[cfg(test)]
mod reference;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use caller::{Address, AddressError, CONTACTS_MAX, Calling, Contact, GROUPS_MAX, GroupError, Who, check_group};
pub use decide::{Decided, Decision, Facts, First, OnMissed, Passed, Rules};
pub use moment::{Dates, DatesError, Local, Weekly, WeeklyError, Zone, ZoneError};

/// Most rules of one subscriber.
pub const SUBSCRIBER_RULES_MAX: usize = 100;

/// Most entries of one list of a rule.
const ENTRIES_MAX: usize = 50;

/// Why a caller does not reach the subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// They want not to be disturbed.
    Dnd,
    /// It is outside their hours.
    OutOfHours,
    /// Not registered; or, once called, not to be reached.
    Offline,
    /// They rang for as long as they may.
    NoAnswer,
    /// 486, 600.
    Busy,
    /// 403, 603, 607, 608.
    Declined,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 6] = [
        Why::Dnd,
        Why::OutOfHours,
        Why::Offline,
        Why::NoAnswer,
        Why::Busy,
        Why::Declined,
    ];

    /// Its word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Dnd => "dnd",
            Why::OutOfHours => "out-of-hours",
            Why::Offline => "offline",
            Why::NoAnswer => "no-answer",
            Why::Busy => "busy",
            Why::Declined => "declined",
        }
    }

    /// Whether it is known before anybody rings.
    pub fn is_before(self) -> bool {
        matches!(self, Why::Dnd | Why::OutOfHours | Why::Offline)
    }

    /// Whether it comes of a call that was tried.
    pub fn is_after(self) -> bool {
        matches!(self, Why::Offline | Why::NoAnswer | Why::Busy | Why::Declined)
    }
}

/// A clip by its name, or none at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ClipChoice {
    /// None.
    None,
    /// This one.
    Clip(String),
}

/// The word for no clip, which no clip can be named by.
const NONE: &str = "none";

impl ClipChoice {
    /// Its name, if it is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            ClipChoice::None => None,
            ClipChoice::Clip(name) => Some(name),
        }
    }
}

impl From<String> for ClipChoice {
    fn from(text: String) -> ClipChoice {
        if text == NONE {
            ClipChoice::None
        } else {
            ClipChoice::Clip(text)
        }
    }
}

impl From<ClipChoice> for String {
    fn from(choice: ClipChoice) -> String {
        match choice {
            ClipChoice::None => NONE.to_owned(),
            ClipChoice::Clip(name) => name,
        }
    }
}

/// What is done with a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Held and put through, even to a subscriber who is not available.
    Ring,
    /// Straight to the greeting.
    Greeting,
    /// Refused, or hung up on.
    HangUp,
    /// Put through to this SIP URI in place of the subscriber's own targets.
    Forward(String),
}

/// What a rule decides; what is absent stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
    /// What the caller is held on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<ClipChoice>,
    /// For how long, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
    /// The greeting: a clip with pictures, one of sound alone, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<ClipChoice>,
    /// Whether a message may be left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<bool>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Who calls, any of these; empty: anybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Who>,
    /// Why, any of these; empty: always, before anybody rings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<Why>,
    /// At which hours, any of these; empty: at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Weekly>,
    /// On which dates, any of these; empty: on all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Dates>,
    /// What it decides.
    pub outcome: Outcome,
    /// The subscriber has set it themselves: it forwards no further than they may ([`Subscriber::may_send`](crate::Subscriber)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// Why a rule is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RuleError {
    /// It decides nothing.
    #[error("the rule decides nothing")]
    Nothing,
    /// A list is too long.
    #[error("a rule names at most {ENTRIES_MAX} of a kind")]
    TooMany,
    /// Something of before anybody rings, in a rule for afterwards.
    #[error("a clip, a hold and ringing come before anybody has rung, and the rule is for afterwards")]
    TooLate,
    /// What follows is not reached.
    #[error("a caller who is hung up on meets neither clip, hold, greeting nor message")]
    NotReached,
    /// There is no hold without ringing.
    #[error("a caller who goes straight to the greeting is not held: no clip, no hold")]
    NotHeld,
}

impl Rule {
    /// Whether this can be a rule.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn check(&self) -> Result<(), RuleError> {
        let Outcome {
            then,
            clip,
            hold_ms,
            greeting,
            message,
        } = &self.outcome;
        if self.outcome == Outcome::default() {
            return Err(RuleError::Nothing);
        }
        if [self.from.len(), self.why.len(), self.at.len(), self.on.len()]
            .iter()
            .any(|n| *n > ENTRIES_MAX)
        {
            return Err(RuleError::TooMany);
        }
        let held = clip.is_some() || hold_ms.is_some();
        let after_alone = !self.why.is_empty() && !self.why.iter().any(|why| why.is_before());
        if after_alone && (held || *then == Some(Then::Ring)) {
            return Err(RuleError::TooLate);
        }
        match then {
            Some(Then::HangUp) if held || greeting.is_some() || message.is_some() => Err(RuleError::NotReached),
            Some(Then::Greeting) if held => Err(RuleError::NotHeld),
            _ => Ok(()),
        }
    }

    /// The clips that it names.
    pub fn clips(&self) -> impl Iterator<Item = &str> {
        let choices = [&self.outcome.clip, &self.outcome.greeting];
        choices.into_iter().flatten().filter_map(ClipChoice::name)
    }
}
