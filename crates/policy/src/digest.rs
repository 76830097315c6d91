//! Credentials in a profile: which hash functions, and where they may be sent.

use serde::{Deserialize, Serialize};

/// A hash function of digest authentication (RFC 8760), as a profile names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// MD5, for peers that know no other.
    #[serde(rename = "MD5")]
    Md5,
    /// SHA-256.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// SHA-512/256.
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
}

/// Whether callers must prove who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Their address is enough.
    #[default]
    None,
    /// By digest authentication.
    Digest,
}

/// Where our credentials may be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DigestOver {
    /// Over any transport: nobody can read the password out of them, but a weak one can be guessed.
    #[default]
    Any,
    /// By TLS alone.
    Tls,
}
