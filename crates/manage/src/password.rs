//! Passwords of people at a browser: kept as argon2id hashes (RFC 9106), each with a salt of its own.

use std::sync::{Mutex, PoisonError};

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};

use crate::Refusal;

/// Shortest password, characters (NIST SP 800-63B §5.1.1.2 asks for 8 at least).
pub const PASSWORD_MIN: usize = 10;
/// Longest, bytes.
const PASSWORD_MAX: usize = 256;

/// One hash at a time: each takes 19 MiB and some tens of milliseconds, and many who try at once take no more of the machine than one.
static TURN: Mutex<()> = Mutex::new(());

/// What a chosen password is checked by.
///
/// # Errors
/// It is too short or too long.
pub fn hash(password: &str) -> Result<String, Refusal> {
    if password.chars().count() < PASSWORD_MIN || password.len() > PASSWORD_MAX {
        return Err(Refusal::invalid(
            "password",
            format!("a password has {PASSWORD_MIN} characters at least and {PASSWORD_MAX} bytes at most"),
        ));
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|_| Refusal::no_random())?;
    Ok(hash.to_string())
}

/// Whether this is the password that was kept. Where none was it takes as long, and is never right.
pub(crate) fn matches(kept: Option<&str>, password: &str) -> bool {
    if password.len() > PASSWORD_MAX {
        return false;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match kept.and_then(|kept| PasswordHash::new(kept).ok()) {
        Some(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        None => {
            let _ = Argon2::default().hash_password(password.as_bytes());
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_argon2id_and_none_is_never_right() {
        let kept = hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(hash("correct horse").unwrap(), kept, "salted");
        assert!(matches(Some(&kept), "correct horse"));
        assert!(!matches(Some(&kept), "correct house"));
        assert!(!matches(None, "correct horse"));
        assert!(hash("short").is_err() && hash(&"x".repeat(257)).is_err());
    }
}
