//! Who calls, as a subscriber's rules see it.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::is_e164;

/// Most contacts of one subscriber.
pub const CONTACTS_MAX: usize = 1_000;

/// Most groups of one contact.
pub const GROUPS_MAX: usize = 10;

/// Longest URI of a contact, bytes.
const URI_BYTES_MAX: usize = 256;

/// The host of those who do not say who they are (RFC 3323 §4.1.1.3).
const NOBODYS_HOST: &str = "anonymous.invalid";
/// And their user part.
const NOBODY: &str = "anonymous";

/// A call as it arrives: what the rules are asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calling {
    /// The caller as it is shown: a SIP or tel URI.
    pub from: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

impl Calling {
    /// Whether the caller does not say who it is (RFC 3323).
    pub fn is_anonymous(&self) -> bool {
        split(&self.from)
            .is_some_and(|(user, host)| user.eq_ignore_ascii_case(NOBODY) || host.eq_ignore_ascii_case(NOBODYS_HOST))
    }
}

/// User and host of a SIP URI; `None` for others, and without a user.
fn split(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
        return None;
    }
    let (user, host) = rest.split_once('@')?;
    let user = user.split([':', ';']).next()?;
    let host = host.split([';', '?']).next()?;
    let host = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    (!user.is_empty() && !host.is_empty()).then_some((user, host))
}

/// A caller's address, or many that begin or end alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A number in E.164.
    Number(String),
    /// All numbers that begin so: a + and digits.
    Prefix(String),
    /// A SIP URI, by user and host; the host in lower case.
    Uri {
        /// As it is written: users differ by case (RFC 3261 §19.1.4).
        user: String,
        /// In lower case.
        host: String,
    },
    /// Everybody at this host, in lower case.
    Host(String),
}

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no address: a number in E.164 (+4930123456), the beginning of numbers (+4930*), a SIP URI (sip:alice@example.com) or \
     a host of many (sip:*@example.com)"
)]
pub struct AddressError(pub String);

impl Address {
    /// Whether this is the caller, who is shown so and has this number in E.164.
    pub fn is(&self, from: &str, number: Option<&str>) -> bool {
        match self {
            Address::Number(own) => number == Some(own),
            Address::Prefix(prefix) => number.is_some_and(|number| number.starts_with(prefix.as_str())),
            Address::Uri { user, host } => {
                split(from).is_some_and(|(u, h)| u == user.as_str() && h.eq_ignore_ascii_case(host))
            }
            Address::Host(host) => split(from).is_some_and(|(_, h)| h.eq_ignore_ascii_case(host)),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Address, AddressError> {
        let wrong = || AddressError(text.clone());
        if let Some(prefix) = text.strip_suffix('*').filter(|prefix| prefix.starts_with('+')) {
            let digits = prefix.strip_prefix('+').unwrap_or_default();
            let proper = (1..=15).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|b| b.is_ascii_digit());
            return proper.then(|| Address::Prefix(prefix.to_owned())).ok_or_else(wrong);
        }
        if is_e164(&text) {
            return Ok(Address::Number(text));
        }
        let proper =
            text.len() <= URI_BYTES_MAX && !text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '%');
        let (user, host) = split(&text).filter(|_| proper).ok_or_else(wrong)?;
        let host = host.to_ascii_lowercase();
        match user {
            "*" => Ok(Address::Host(host)),
            user if user.contains('*') => Err(wrong()),
            user => Ok(Address::Uri {
                user: user.to_owned(),
                host,
            }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Number(number) => f.write_str(number),
            Address::Prefix(prefix) => write!(f, "{prefix}*"),
            Address::Uri { user, host } => write!(f, "sip:{user}@{host}"),
            Address::Host(host) => write!(f, "sip:*@{host}"),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

/// Somebody whom a subscriber knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Theirs.
    pub address: Address,
    /// What they are called.
    pub name: Option<String>,
    /// The groups that they are in.
    pub groups: Vec<String>,
}

/// Why a group's name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a group is 1 to 32 of a-z, 0-9, - and _, a letter first, and not 'anonymous' or 'unknown', e.g. business")]
pub struct GroupError;

/// Whether a group may be named so.
///
/// # Errors
/// [`GroupError`].
pub fn check_group(name: &str) -> Result<(), GroupError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    let proper = (1..=32).contains(&name.len())
        && name.bytes().all(plain)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && ![ANONYMOUS, UNKNOWN].contains(&name);
    proper.then_some(()).ok_or(GroupError)
}

const ANONYMOUS: &str = "anonymous";
const UNKNOWN: &str = "unknown";

/// For whom a rule is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Who {
    /// Who does not say who they are.
    Anonymous,
    /// Who does, and is no contact.
    Unknown,
    /// The contacts of a group.
    Group(String),
    /// These.
    Address(Address),
}

impl TryFrom<String> for Who {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Who, AddressError> {
        match text.as_str() {
            ANONYMOUS => Ok(Who::Anonymous),
            UNKNOWN => Ok(Who::Unknown),
            group if check_group(group).is_ok() => Ok(Who::Group(text)),
            _ => Address::try_from(text).map(Who::Address),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Anonymous => f.write_str(ANONYMOUS),
            Who::Unknown => f.write_str(UNKNOWN),
            Who::Group(name) => f.write_str(name),
            Who::Address(address) => address.fmt(f),
        }
    }
}

impl From<Who> for String {
    fn from(who: Who) -> String {
        who.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn an_address_is_a_number_a_prefix_a_uri_or_a_host() {
        for (text, from, number, is) in [
            ("+4930123", "sip:030123@pbx", Some("+4930123"), true),
            ("+4930123", "sip:030123@pbx", Some("+49301234"), false),
            ("+4930123", "sip:+4930123@pbx", None, false),
            ("+4930*", "tel:+4930123", Some("+4930123"), true),
            ("+4930*", "tel:+4940123", Some("+4940123"), false),
            (
                "sip:alice@Example.com",
                "sips:alice@EXAMPLE.com:5061;transport=tls",
                None,
                true,
            ),
            ("sip:alice@example.com", "sip:Alice@example.com", None, false),
            ("sip:alice@[2001:db8::1]", "sip:alice@[2001:DB8::1]:5060", None, true),
            ("sip:*@example.com", "sip:bob@example.com", None, true),
            ("sip:*@example.com", "sip:bob@a.example.com", None, false),
            ("sip:*@example.com", "sip:example.com", None, false),
        ] {
            assert_eq!(address(text).is(from, number), is, "{text} {from}");
            assert_eq!(address(&address(text).to_string()), address(text), "{text}");
        }
        for bad in [
            "",
            "alice",
            "030123",
            "+0301",
            "+*",
            "*",
            "sip:example.com",
            "sip:a*@b",
            "sip:a b@c",
            "tel:+4930123",
            "+49*30",
        ] {
            assert!(Address::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_does_not_say_who_they_are_is_anonymous() {
        let calling = |from: &str| Calling {
            from: from.to_owned(),
            at_ms: 0,
        };
        for from in [
            "sip:anonymous@anonymous.invalid",
            "sip:x@anonymous.invalid",
            "sip:Anonymous@example.com",
        ] {
            assert!(calling(from).is_anonymous(), "{from}");
        }
        for from in [
            "sip:alice@example.com",
            "tel:+4930123",
            "sip:anonymous.invalid@example.com",
            "",
        ] {
            assert!(!calling(from).is_anonymous(), "{from}");
        }
    }

    #[test]
    fn groups_are_words() {
        for (text, who) in [
            ("anonymous", Some(Who::Anonymous)),
            ("unknown", Some(Who::Unknown)),
            ("business", Some(Who::Group("business".into()))),
            ("+49*", Some(Who::Address(Address::Prefix("+49".into())))),
            ("Business", None),
            ("9to5", None),
        ] {
            assert_eq!(Who::try_from(text.to_owned()).ok(), who, "{text}");
        }
    }
}
