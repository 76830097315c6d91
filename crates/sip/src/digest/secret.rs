//! What a password is checked by.

use std::fmt;

use segue_sip_wire::DigestAlgorithm;

use super::{Asked, a1, response, response_by};

/// What is known of a password.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Itself.
    Password(String),
    /// What the digests of one user in one realm need of it (RFC 7616 §3.4.2): of no use in any other realm.
    Hashes(Hashes),
}

/// H(A1) by each algorithm, in hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashes([String; 3]);

/// In the order in which they are kept.
const ALGORITHMS: [DigestAlgorithm; 3] = [
    DigestAlgorithm::Md5,
    DigestAlgorithm::Sha256,
    DigestAlgorithm::Sha512_256,
];

impl Hashes {
    /// Of a password.
    #[must_use]
    pub fn new(username: &str, realm: &str, password: &str) -> Hashes {
        Hashes(ALGORITHMS.map(|algorithm| a1(algorithm, username, realm, password)))
    }

    /// As it is kept: the three with a space between them.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.join(" ")
    }

    /// From what was kept.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Hashes> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let hashes: [String; 3] = words.try_into().ok()?;
        let lengths = hashes.each_ref().map(String::len);
        let digits = |hash: &String| hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        (lengths == [32, 64, 64] && hashes.iter().all(digits)).then_some(Hashes(hashes))
    }

    fn of(&self, algorithm: DigestAlgorithm) -> &str {
        let [md5, sha256, sha512_256] = &self.0;
        match algorithm {
            DigestAlgorithm::Md5 => md5,
            DigestAlgorithm::Sha256 => sha256,
            DigestAlgorithm::Sha512_256 => sha512_256,
        }
    }
}

impl Secret {
    /// The response to a challenge.
    pub(super) fn response(&self, asked: Asked<'_>) -> String {
        match self {
            Secret::Password(password) => response(asked, password),
            Secret::Hashes(hashes) => response_by(asked, hashes.of(asked.algorithm)),
        }
    }
}

/// Neither goes into a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_stand_for_their_password_and_are_kept_as_text() {
        let hashes = Hashes::new("bob", "office", "sesame");
        let kept = Hashes::from_text(&hashes.to_text()).unwrap();
        assert_eq!(kept, hashes);
        for algorithm in ALGORITHMS {
            let asked = Asked {
                algorithm,
                username: "bob",
                realm: "office",
                nonce: "n",
                method: "REGISTER",
                uri: "sip:x",
                protection: None,
            };
            let by_password = Secret::Password("sesame".to_owned()).response(asked);
            assert_eq!(
                Secret::Hashes(kept.clone()).response(asked),
                by_password,
                "{algorithm:?}"
            );
        }
        for broken in [
            "",
            "a b c",
            &hashes.to_text()[1..],
            &hashes.to_text().replacen(' ', "x", 1),
        ] {
            assert!(Hashes::from_text(broken).is_none(), "{broken}");
        }
        assert!(!format!("{kept:?}{:?}", Secret::Hashes(hashes)).contains(&kept.to_text()[..32]));
    }
}
