//! Who has a password in the realm `office`, and credentials as a phone makes them.

use std::{collections::BTreeMap, sync::Arc};

use md5::Digest;
use segue_b2bua::{Directory, Secrets, Unseal};
use segue_sip::{Hashes, Realm};
use segue_sip_wire::{Challenge, DigestAlgorithm};
use segue_store::Listed;

const OFFICE: &str = "office";

/// What was sealed, as it is.
struct Open;

impl Unseal for Open {
    fn unseal(&self, _user: &str, _realm: &str, sealed: &[u8]) -> Option<String> {
        String::from_utf8(sealed.to_vec()).ok()
    }
}

/// A subscriber with this password.
pub fn listed(user: &str, password: &str) -> Listed {
    let hashes = Hashes::new(user, OFFICE, password).to_text();
    Listed {
        user: user.to_owned(),
        secrets: vec![(OFFICE.to_owned(), hashes.into_bytes())],
        ..Listed::default()
    }
}

/// The subscribers that there are.
pub fn directory(subscribers: Vec<Listed>) -> Directory {
    let kept = segue_store::Directory {
        version: 1,
        subscribers,
    };
    Directory::of(kept, &Open)
}

/// What a profile of the realm asks with.
pub fn secrets(algorithms: &[DigestAlgorithm]) -> Secrets {
    let realm = Realm {
        name: OFFICE.to_owned(),
        algorithms: algorithms.to_vec(),
        users: BTreeMap::new(),
    };
    Secrets {
        realm: Some(Arc::new(realm)),
        ..Secrets::default()
    }
}

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
