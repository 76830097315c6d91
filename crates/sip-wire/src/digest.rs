//! Digest challenges and credentials (RFC 3261 §20.7, §20.28, §20.44; RFC 7616 §3.3, §3.4; RFC 8760 §2).

use std::{fmt, str::FromStr};

use crate::{
    Message,
    split::{is_token, quote, split_outside, take_quoted, unescape_quoted},
};

/// Parameters of one value.
const PARAMS_MAX: usize = 32;
/// Values of one header that are looked at.
const VALUES_MAX: usize = 16;

/// A hash function (RFC 8760 §2.1). The session variants are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DigestAlgorithm {
    /// MD5, which is meant where none is named.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256.
    Sha512_256,
}

impl DigestAlgorithm {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            DigestAlgorithm::Md5 => "MD5",
            DigestAlgorithm::Sha256 => "SHA-256",
            DigestAlgorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// `None`: one that we do not know.
    pub fn from_name(name: &str) -> Option<DigestAlgorithm> {
        let all = [Self::Md5, Self::Sha256, Self::Sha512_256];
        all.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }
}

/// WWW-Authenticate or Proxy-Authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose credentials are wanted.
    pub realm: String,
    /// What the answer is made with.
    pub nonce: String,
    /// Comes back as it is.
    pub opaque: Option<String>,
    /// The credentials were right, but their nonce too old.
    pub stale: bool,
    /// The hash function.
    pub algorithm: DigestAlgorithm,
    /// The qualities of protection that may be chosen; empty: as in RFC 2069, none.
    pub qop: Vec<String>,
}

/// Authorization or Proxy-Authorization.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub username: String,
    /// Where.
    pub realm: String,
    /// The challenge's.
    pub nonce: String,
    /// The Request-URI as the client had it.
    pub uri: String,
    /// Hexadecimal digits.
    pub response: String,
    /// The hash function.
    pub algorithm: DigestAlgorithm,
    /// The challenge's.
    pub opaque: Option<String>,
    /// Quality of protection, the client's nonce, and how often it has used the challenge's.
    pub protection: Option<Protection>,
}

/// `qop`, `cnonce` and `nc`: all three or none (RFC 7616 §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// `auth` or `auth-int`.
    pub qop: String,
    /// The client's nonce.
    pub cnonce: String,
    /// From 1.
    pub count: u32,
}

/// Not what it should be; credentials are not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DigestError(&'static str);

impl FromStr for Challenge {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Challenge, DigestError> {
        let params = Values::parse(text)?;
        Ok(Challenge {
            realm: params.wanted("realm")?,
            nonce: params.wanted("nonce")?,
            opaque: params.get("opaque").map(str::to_owned),
            stale: params
                .get("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            algorithm: params.algorithm()?,
            qop: match params.get("qop") {
                Some(list) => split_outside(list, b',')
                    .filter(|one| !one.is_empty())
                    .map(str::to_ascii_lowercase)
                    .collect(),
                None => Vec::new(),
            },
        })
    }
}

impl FromStr for Credentials {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Credentials, DigestError> {
        let params = Values::parse(text)?;
        let protection = match (params.get("qop"), params.get("cnonce"), params.get("nc")) {
            (None, _, _) => None,
            (Some(qop), Some(cnonce), Some(count)) => {
                let digits = count.len() == 8 && count.bytes().all(|byte| byte.is_ascii_hexdigit());
                let count = u32::from_str_radix(count, 16).ok().filter(|_| digits);
                Some(Protection {
                    qop: qop.to_ascii_lowercase(),
                    cnonce: cnonce.to_owned(),
                    count: count.ok_or(DigestError("nc is no number of eight digits"))?,
                })
            }
            _ => return Err(DigestError("qop stands without cnonce or nc")),
        };
        Ok(Credentials {
            username: params.wanted("username")?,
            realm: params.wanted("realm")?,
            nonce: params.wanted("nonce")?,
            uri: params.wanted("uri")?,
            response: params.wanted("response")?,
            algorithm: params.algorithm()?,
            opaque: params.get("opaque").map(str::to_owned),
            protection,
        })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", quote(&self.realm), quote(&self.nonce))?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        write!(f, ", algorithm={}", self.algorithm.as_str())?;
        if !self.qop.is_empty() {
            write!(f, ", qop={}", quote(&self.qop.join(",")))?;
        }
        Ok(())
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest username={}, realm={}, nonce={}, uri={}, response={}, algorithm={}",
            quote(&self.username),
            quote(&self.realm),
            quote(&self.nonce),
            quote(&self.uri),
            quote(&self.response),
            self.algorithm.as_str(),
        )?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        if let Some(protection) = &self.protection {
            // A qop that is no token came quoted, and goes so.
            let qop = &protection.qop;
            let token = !qop.is_empty() && qop.bytes().all(is_token);
            let qop = if token { qop.clone() } else { quote(qop) };
            write!(
                f,
                ", qop={qop}, cnonce={}, nc={:08x}",
                quote(&protection.cnonce),
                protection.count
            )?;
        }
        Ok(())
    }
}

/// Without what a secret could be guessed from.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials of {} in {}", self.username, self.realm)
    }
}

/// The parameters of one value, unquoted.
struct Values(Vec<(String, String)>);

impl Values {
    fn parse(text: &str) -> Result<Values, DigestError> {
        let (scheme, rest) = text
            .trim()
            .split_once([' ', '\t'])
            .ok_or(DigestError("there is nothing after the scheme"))?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(DigestError("the scheme is not Digest"));
        }
        let mut values: Vec<(String, String)> = Vec::new();
        for piece in split_outside(rest, b',').filter(|piece| !piece.is_empty()) {
            if values.len() >= PARAMS_MAX {
                return Err(DigestError("there are too many parameters"));
            }
            let (name, value) = piece.split_once('=').ok_or(DigestError("a parameter has no value"))?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(DigestError("a parameter has no proper name"));
            }
            let value = match take_quoted(value) {
                Some((inner, "")) => unescape_quoted(inner),
                None if !value.is_empty() && value.bytes().all(is_token) => value.to_owned(),
                _ => return Err(DigestError("a parameter has no proper value")),
            };
            if value.contains(char::is_control) {
                return Err(DigestError("a parameter has control characters"));
            }
            // Whoever reads the first and whoever reads the last would not mean the same.
            if values.iter().any(|(known, _)| *known == name) {
                return Err(DigestError("a parameter comes twice"));
            }
            values.push((name, value));
        }
        Ok(Values(values))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn wanted(&self, name: &str) -> Result<String, DigestError> {
        let value = self.get(name).ok_or(DigestError("a parameter is missing"))?;
        Ok(value.to_owned())
    }

    fn algorithm(&self) -> Result<DigestAlgorithm, DigestError> {
        match self.get("algorithm") {
            None => Ok(DigestAlgorithm::Md5),
            Some(name) => DigestAlgorithm::from_name(name).ok_or(DigestError("the algorithm is not known")),
        }
    }
}

impl Message {
    /// The challenges of a header, in order; "the client MUST ignore any challenge it does not understand" (RFC 8760 §2.4).
    pub fn challenges(&self, header: &str) -> Vec<Challenge> {
        let values = self.headers(header).take(VALUES_MAX);
        values.filter_map(|value| value.parse().ok()).collect()
    }

    /// The credentials of a header that are of this realm, if there are some that can be read.
    pub fn credentials(&self, header: &str, realm: &str) -> Option<Credentials> {
        let mut values = self.headers(header).take(VALUES_MAX);
        values.find_map(|value| value.parse().ok().filter(|read: &Credentials| read.realm == realm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_and_written() {
        let text = "Digest realm=\"a, \\\"b\\\"\", nonce=\"n\", opaque=\"o\", stale=TRUE , algorithm=SHA-256 ,qop=\"auth,auth-int\", x=y";
        let read: Challenge = text.parse().unwrap();
        assert_eq!(
            (read.realm.as_str(), read.stale, read.algorithm),
            ("a, \"b\"", true, DigestAlgorithm::Sha256)
        );
        assert_eq!(read.qop, ["auth", "auth-int"]);
        assert_eq!(read.to_string().parse::<Challenge>(), Ok(read));
        let old: Challenge = "digest nonce=\"n\",realm=\"r\"".parse().unwrap();
        assert_eq!((old.algorithm, old.qop.len()), (DigestAlgorithm::Md5, 0));
    }

    #[test]
    fn credentials_are_read_and_written_and_do_not_show_in_logs() {
        let text = "Digest username=\"bob\", realm=\"r\", nonce=\"n\", uri=\"sip:x@y\", response=\"0123abcd\", algorithm=MD5, \
                    qop=auth, cnonce=\"c\", nc=0000000a";
        let read: Credentials = text.parse().unwrap();
        assert_eq!(read.protection.as_ref().map(|p| p.count), Some(10));
        assert_eq!(read.to_string(), text);
        assert!(!format!("{read:?}").contains("0123"));
    }

    #[test]
    fn what_is_not_whole_or_not_known_is_refused() {
        for text in [
            "Basic realm=\"r\", nonce=\"n\"",
            "Digest",
            "Digest realm=\"r\"",
            "Digest realm=\"r\", nonce=\"n\", nonce=\"m\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
            "Digest realm=\"r, nonce=n",
            "Digest realm=\"r\"x, nonce=\"n\"",
        ] {
            assert!(text.parse::<Challenge>().is_err(), "{text}");
        }
        let whole = "Digest username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"\"";
        assert!(whole.parse::<Credentials>().is_ok());
        for more in [
            ", qop=auth",
            ", qop=auth, cnonce=\"c\", nc=1",
            ", qop=auth, cnonce=\"c\", nc=+000000a",
        ] {
            assert!(format!("{whole}{more}").parse::<Credentials>().is_err(), "{more}");
        }
    }
}
