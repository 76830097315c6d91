//! Digest authentication, both sides (RFC 3261 §22, RFC 7616, RFC 8760): pure, with moments and random words as arguments.

#![deny(clippy::arithmetic_side_effects)]

mod client;
mod guard;
mod secret;

use std::fmt::Write;

use md5::{Digest, Md5};
use ring::digest::{SHA256, SHA512_256, digest};
use segue_sip_wire::DigestAlgorithm;

pub use client::Account;
pub(crate) use client::{Accounts, Kind};
pub use guard::{Guard, Proof, Realm, User, backing_off::BackingOff};
pub use secret::{Hashes, Secret};

/// What a response is made of, besides the secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub algorithm: DigestAlgorithm,
    pub username: &'a str,
    pub realm: &'a str,
    pub nonce: &'a str,
    pub method: &'a str,
    pub uri: &'a str,
    /// `None`: as in RFC 2069.
    pub protection: Option<Protected<'a>>,
}

/// Quality of protection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protected<'a> {
    pub qop: &'a str,
    pub cnonce: &'a str,
    pub count: u32,
    /// The message's body, for `auth-int`.
    pub body: Option<&'a [u8]>,
}

/// The response, in hexadecimal digits (RFC 7616 §3.4.1).
pub(crate) fn response(asked: Asked<'_>, secret: &str) -> String {
    let a1 = a1(asked.algorithm, asked.username, asked.realm, secret);
    response_by(asked, &a1)
}

/// The same from what is kept in place of the secret.
fn response_by(asked: Asked<'_>, a1: &str) -> String {
    let hash = |text: &str| hash(asked.algorithm, text.as_bytes());
    let whole = asked.protection.and_then(|protected| protected.body);
    let a2 = match whole {
        None => hash(&format!("{}:{}", asked.method, asked.uri)),
        Some(body) => {
            let body = self::hash(asked.algorithm, body);
            hash(&format!("{}:{}:{body}", asked.method, asked.uri))
        }
    };
    match asked.protection {
        None => hash(&format!("{a1}:{}:{a2}", asked.nonce)),
        Some(Protected { qop, cnonce, count, .. }) => {
            hash(&format!("{a1}:{}:{count:08x}:{cnonce}:{qop}:{a2}", asked.nonce))
        }
    }
}

/// H(A1) (RFC 7616 §3.4.2).
fn a1(algorithm: DigestAlgorithm, username: &str, realm: &str, secret: &str) -> String {
    hash(algorithm, format!("{username}:{realm}:{secret}").as_bytes())
}

/// In hexadecimal digits (RFC 8760 §2.2).
fn hash(algorithm: DigestAlgorithm, bytes: &[u8]) -> String {
    match algorithm {
        DigestAlgorithm::Md5 => hex(&Md5::digest(bytes)),
        DigestAlgorithm::Sha256 => hex(digest(&SHA256, bytes).as_ref()),
        DigestAlgorithm::Sha512_256 => hex(digest(&SHA512_256, bytes).as_ref()),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1.
    fn mufasa(algorithm: DigestAlgorithm) -> String {
        let asked = Asked {
            algorithm,
            username: "Mufasa",
            realm: "http-auth@example.org",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            method: "GET",
            uri: "/dir/index.html",
            protection: Some(Protected {
                qop: "auth",
                cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                count: 1,
                body: None,
            }),
        };
        response(asked, "Circle of Life")
    }

    #[test]
    fn the_example_of_rfc_7616_by_md5_and_sha_256() {
        assert_eq!(mufasa(DigestAlgorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            mufasa(DigestAlgorithm::Sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    /// RFC 7616 §3.9.2: its user name is hashed there (`userhash`), which we do not do; the response is of the name itself.
    #[test]
    fn the_example_of_rfc_7616_by_sha_512_256() {
        let asked = Asked {
            algorithm: DigestAlgorithm::Sha512_256,
            username: "J\u{e4}s\u{f8}n Doe",
            realm: "api@example.org",
            nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            method: "GET",
            uri: "/doe.json",
            protection: Some(Protected {
                qop: "auth",
                cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm",
                count: 1,
                body: None,
            }),
        };
        // The response that the RFC prints there comes of no SHA-512/256; this one is by another implementation (OpenSSL's).
        assert_eq!(
            response(asked, "Secret, or not?"),
            "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c"
        );
    }

    #[test]
    fn an_empty_body_is_hashed_as_the_empty_string() {
        // RFC 8760 §2.6, bullet 7.
        assert_eq!(
            hash(DigestAlgorithm::Sha256, b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    /// RFC 2617 §3.5 without qop is the form of RFC 2069.
    #[test]
    fn without_qop_the_form_of_rfc_2069() {
        let asked = Asked {
            algorithm: DigestAlgorithm::Md5,
            username: "Mufasa",
            realm: "testrealm@host.com",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            method: "GET",
            uri: "/dir/index.html",
            protection: None,
        };
        assert_eq!(response(asked, "Circle Of Life"), "670fd8c2df070c60b045671b8b24ff02");
    }
}
