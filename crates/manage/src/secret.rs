//! What is made by chance and kept by its hash alone.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest, hmac,
    rand::{SecureRandom, SystemRandom},
};
use segue_store::SecretHash;

use crate::Refusal;

/// 256 bits by chance, as text. It is shown once and not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Longest text that is looked at.
const TEXT_MAX: usize = 100;

impl Secret {
    /// A new one; `prefix` says what it is to people and to scanners of leaked secrets.
    pub fn new(prefix: &str) -> Result<Secret, Refusal> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Refusal::no_random())?;
        Ok(Secret(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// 128 bits by chance as letters and digits, to name something that is no secret.
    pub fn id() -> Result<String, Refusal> {
        let mut bytes = [0_u8; 16];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Refusal::no_random())?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// One that somebody says.
    pub fn said(text: &str) -> Option<Secret> {
        (!text.is_empty() && text.len() <= TEXT_MAX).then(|| Secret(text.to_owned()))
    }

    /// To hand it out.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        let mut hash = SecretHash::default();
        let digest = digest::digest(&digest::SHA256, self.0.as_bytes());
        hash.copy_from_slice(digest.as_ref());
        hash
    }

    /// What pages and programs of its session say with each change (CSRF): whoever does not hold the session cannot know it, and
    /// it does not give the session away.
    pub fn csrf(&self) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key(), CSRF))
    }

    /// Whether this is it, in the same time for each wrong one.
    pub fn is_csrf(&self, said: &str) -> bool {
        let said = URL_SAFE_NO_PAD.decode(said).unwrap_or_default();
        hmac::verify(&self.key(), CSRF, &said).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes())
    }
}

const CSRF: &[u8] = b"segue csrf";

/// A short name by chance, e.g. of a token.
pub(crate) fn short_id() -> Result<String, Refusal> {
    let mut bytes = [0_u8; 6];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Refusal::no_random())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_the_same_and_its_csrf_is_its_own() {
        let (one, other) = (Secret::new("").unwrap(), Secret::new("").unwrap());
        assert_ne!(one.text(), other.text());
        assert_ne!(one.hash(), other.hash());
        assert!(one.is_csrf(&one.csrf()));
        assert!(!one.is_csrf(&other.csrf()) && !one.is_csrf("") && !one.is_csrf("%"));
        assert!(!format!("{one:?}").contains(one.text()));
        assert_eq!(Secret::said(&"x".repeat(101)), None);
    }
}
