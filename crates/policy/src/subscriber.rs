//! Who may be called, and what their callers meet.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{AccountCaps, AnswerAt, HoldOn, Language, Notify, Ring, TargetBy, Weekly, Zone};

/// One subscriber, as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// User part of their SIP address.
    pub user: String,
    /// Where they are reached, SIP URIs; in order the first is called first.
    pub targets: Vec<String>,
    /// Those of the targets that they have set themselves: they ring where they may have callers sent alone.
    #[serde(default)]
    pub own_targets: Vec<String>,
    /// Their numbers, in E.164; nobody else has these.
    pub numbers: Vec<String>,
    /// Other addresses of theirs, each in the one form in which it is looked up: `sip:user@host` without port and parameters, the host in
    /// lower case, or `tel:` and a number in E.164. Nobody else has these.
    pub aliases: Vec<String>,
    /// By what their targets are reached.
    pub target_by: TargetBy,
    /// How several targets ring.
    pub ring: Ring,
    /// How long each target rings in order, milliseconds; absent: [`DEFAULT_RING_MS`](crate::DEFAULT_RING_MS).
    pub ring_ms: Option<u64>,
    /// Name of the clip played to callers.
    pub clip: Option<String>,
    /// What callers are held on.
    pub hold_on: HoldOn,
    /// Hold time before they are invited, milliseconds; absent: the profile's.
    pub hold_ms: Option<u64>,
    /// Ring time before the greeting, milliseconds; absent: the profile's.
    pub no_answer_ms: Option<u64>,
    /// Name of the clip played as their greeting.
    pub greeting: Option<String>,
    /// When callers get the 200 for the mailbox; absent: as the profile says.
    pub answer_at: Option<AnswerAt>,
    /// Their callers choose what they leave, and what becomes of it; absent: as the profile says.
    pub menu: Option<bool>,
    /// In which language they and their callers are spoken to; absent: the profile's.
    pub language: Option<Language>,
    /// They want not to be disturbed: nobody rings, unless a rule says so.
    pub dnd: bool,
    /// When they may be called; empty: at all hours.
    pub hours: Vec<Weekly>,
    /// By which clock.
    pub zone: Zone,
    /// What they are told of, and how.
    pub notify: Notify,
    /// How much they may call.
    #[serde(default)]
    pub caps: AccountCaps,
}

/// Most hours of one subscriber.
pub const HOURS_MAX: usize = 50;

/// Most numbers of one subscriber.
pub const NUMBERS_MAX: usize = 100;

/// Most aliases of one subscriber.
pub const ALIASES_MAX: usize = 100;

/// The user, or the number, that an alias names: what nobody else may be called either.
pub fn user_of_alias(alias: &str) -> &str {
    let (_, rest) = alias.split_once(':').unwrap_or(("", alias));
    rest.split('@').next().unwrap_or(rest)
}

/// Most targets of one subscriber.
pub const TARGETS_MAX: usize = 10;

/// Why a list of targets is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetsError {
    /// There is none, or there are too many.
    #[error("a subscriber has 1 to {TARGETS_MAX} targets, not {0}")]
    Count(usize),
    /// One is there twice.
    #[error("the target {0} is there twice")]
    Twice(String),
}

/// Whether a subscriber may have these targets.
///
/// # Errors
/// [`TargetsError`].
pub fn check_targets(targets: &[String]) -> Result<(), TargetsError> {
    if targets.is_empty() || targets.len() > TARGETS_MAX {
        return Err(TargetsError::Count(targets.len()));
    }
    let twice = targets
        .iter()
        .enumerate()
        .find(|(at, target)| targets.iter().take(*at).any(|before| before == *target));
    match twice {
        Some((_, target)) => Err(TargetsError::Twice(target.clone())),
        None => Ok(()),
    }
}

/// Longest user name, bytes.
const USER_BYTES_MAX: usize = 64;

/// Why a user name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a user is 1 to 64 letters, digits or any of - _ . ! ~ * + (the part before '@' in their SIP address)")]
pub struct UserError;

/// Whether a subscriber may have this name: what stands unescaped in the user part of a URI (RFC 3261 §25.1,
/// `unreserved`) and in a shell line.
pub fn check_user(user: &str) -> Result<(), UserError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.!~*+".contains(c);
    if user.is_empty() || user.len() > USER_BYTES_MAX || user.starts_with('-') || !user.chars().all(plain) {
        return Err(UserError);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_few_and_each_is_there_once() {
        let list = |n: usize| (0..n).map(|n| format!("sip:bob@192.0.2.{n}")).collect::<Vec<_>>();
        assert_eq!(check_targets(&list(TARGETS_MAX)), Ok(()));
        assert_eq!(check_targets(&[]), Err(TargetsError::Count(0)));
        assert_eq!(check_targets(&list(11)), Err(TargetsError::Count(11)));
        let twice = [list(2), list(1)].concat();
        assert_eq!(
            check_targets(&twice),
            Err(TargetsError::Twice("sip:bob@192.0.2.0".into()))
        );
    }

    #[test]
    fn an_alias_names_a_user_or_a_number() {
        assert_eq!(user_of_alias("sip:robert@example.org"), "robert");
        assert_eq!(user_of_alias("tel:+4930123"), "+4930123");
    }

    #[test]
    fn users_are_what_stands_before_the_at_sign() {
        for good in ["bob", "+4930123456", "b.o_b-7", "B"] {
            assert_eq!(check_user(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "-bob",
            "bob@example.com",
            "b ob",
            "bob;x",
            "bøb",
            "sip:bob",
            &"b".repeat(65),
        ] {
            assert_eq!(check_user(bad), Err(UserError), "{bad}");
        }
    }
}
