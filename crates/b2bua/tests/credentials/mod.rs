//! Credentials as a phone makes them.

use md5::Digest;
use segue_sip_wire::{Challenge, DigestAlgorithm};

/// What a phone makes of a challenge, computed here.
pub fn authorization(challenge: &Challenge, user: &str, password: &str, method: &str, uri: &str) -> String {
    let hash = |text: String| -> String {
        let bytes = match challenge.algorithm {
            DigestAlgorithm::Md5 => md5::Md5::digest(text.as_bytes()).to_vec(),
            _ => ring::digest::digest(&ring::digest::SHA256, text.as_bytes())
                .as_ref()
                .to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (realm, nonce) = (&challenge.realm, &challenge.nonce);
    let (a1, a2) = (
        hash(format!("{user}:{realm}:{password}")),
        hash(format!("{method}:{uri}")),
    );
    let response = hash(format!("{a1}:{nonce}:00000001:c:auth:{a2}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm={}, qop=auth, cnonce=\"c\", nc=00000001",
        challenge.algorithm.as_str()
    )
}
