//! Who may be called, and what their callers meet.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One subscriber, as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// User part of their SIP address.
    pub user: String,
    /// Where they are reached, a SIP URI.
    pub target: String,
    /// Name of the clip played to callers.
    pub clip: Option<String>,
    /// Hold time before they are invited, milliseconds; absent: the profile's.
    pub hold_ms: Option<u64>,
    /// Ring time before the greeting, milliseconds; absent: the profile's.
    pub no_answer_ms: Option<u64>,
    /// Name of the clip played as their greeting.
    pub greeting: Option<String>,
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
