//! PINs: kept as argon2id hashes, sealed with the key of passwords. A hash alone would not do: of a copy of the database all four
//! digits are tried within minutes, however slow one try is.
//!
//! Hashing takes some tens of milliseconds and 19 MiB: never on the signalling thread.

use std::sync::{Mutex, PoisonError};

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use segue_b2bua::Unseal;
use segue_policy::Pin;

use crate::passwords::Sealer;

/// In place of a realm, which has no control character.
const PURPOSE: &str = "\u{1}pin";

/// One hash at a time: many callers who try at once take no more of the machine than one.
static TURN: Mutex<()> = Mutex::new(());

/// What a subscriber's PIN is checked by; `None`: the system gives no random numbers.
pub fn keep(sealer: &Sealer, user: &str, pin: &Pin) -> Option<Vec<u8>> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let hash = Argon2::default().hash_password(pin.digits().as_bytes()).ok()?;
    sealer.seal_text(user, PURPOSE, hash.to_string())
}

/// Whether this is the PIN that was kept. Where none was it takes as long, and is never right.
pub fn matches(sealer: &Sealer, user: &str, kept: Option<&[u8]>, pin: &Pin) -> bool {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let hash = kept.and_then(|kept| sealer.unseal(user, PURPOSE, kept));
    let digits = pin.digits().as_bytes();
    match hash.as_deref().and_then(|hash| PasswordHash::new(hash).ok()) {
        Some(hash) => Argon2::default().verify_password(digits, &hash).is_ok(),
        None => {
            let _ = Argon2::default().hash_password(digits);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_right_for_its_owner_alone_and_its_digits_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::of(dir.path()).unwrap();
        let pin = |digits| Pin::given(digits).unwrap();
        let kept = keep(&sealer, "bob", &pin("258014")).unwrap();
        let hash = sealer.unseal("bob", PURPOSE, &kept).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!kept.windows(6).any(|bytes| bytes == b"258014"));
        let is = |user, kept: Option<&[u8]>, digits| matches(&sealer, user, kept, &pin(digits));
        assert!(is("bob", Some(&kept), "258014"));
        assert!(!is("bob", Some(&kept), "258015"));
        assert!(!is("eve", Some(&kept), "258014"), "another's hash in one's place");
        assert!(!is("bob", None, "258014"));
        assert_ne!(keep(&sealer, "bob", &pin("258014")), Some(kept), "salted");
    }
}
