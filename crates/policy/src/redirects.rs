//! Where a redirected call may go on to.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A host or network that a 3xx may send a call to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RedirectTarget {
    /// A host name as it stands in the Contact, in lower case. What it resolves to does not count.
    Host(String),
    /// All names below a domain (`*.example.com`), in lower case.
    Below(String),
    /// Addresses.
    Network(IpNet),
}

/// Why an entry of `redirect_targets` is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is neither a host name, an address, a network nor \"*.\" and a domain")]
pub struct RedirectTargetError(String);

impl RedirectTarget {
    /// Whether this host (as a SIP URI writes it, an address without brackets) is meant.
    pub fn admits(&self, host: &str) -> bool {
        match self {
            RedirectTarget::Host(name) => host.eq_ignore_ascii_case(name),
            RedirectTarget::Below(domain) => {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(domain)
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            RedirectTarget::Network(net) => host.parse::<IpAddr>().is_ok_and(|ip| net.contains(&ip)),
        }
    }
}

impl FromStr for RedirectTarget {
    type Err = RedirectTargetError;

    fn from_str(text: &str) -> Result<RedirectTarget, RedirectTargetError> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(RedirectTarget::Network(net));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(RedirectTarget::Network(ip.into()));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, text),
        };
        let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        // A name whose last label is a number would be an address.
        let is_name = name.len() <= 253
            && name.split('.').all(label)
            && name
                .rsplit('.')
                .next()
                .is_some_and(|l| !l.bytes().all(|b| b.is_ascii_digit()));
        match (is_name, below) {
            (false, _) => Err(RedirectTargetError(text.to_owned())),
            (true, true) => Ok(RedirectTarget::Below(name.to_ascii_lowercase())),
            (true, false) => Ok(RedirectTarget::Host(name.to_ascii_lowercase())),
        }
    }
}

impl TryFrom<String> for RedirectTarget {
    type Error = RedirectTargetError;

    fn try_from(text: String) -> Result<RedirectTarget, RedirectTargetError> {
        text.parse()
    }
}

impl From<RedirectTarget> for String {
    fn from(target: RedirectTarget) -> String {
        target.to_string()
    }
}

impl fmt::Display for RedirectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedirectTarget::Host(name) => f.write_str(name),
            RedirectTarget::Below(domain) => write!(f, "*.{domain}"),
            RedirectTarget::Network(net) => write!(f, "{net}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_a_domain_or_a_network() {
        let admits = |entry: &str, host: &str| entry.parse::<RedirectTarget>().unwrap().admits(host);
        assert!(admits("PBX.example.com", "pbx.Example.com") && !admits("pbx.example.com", "example.com"));
        assert!(admits("*.example.com", "a.B.example.com") && !admits("*.example.com", "example.com"));
        assert!(!admits("*.example.com", "badexample.com"), "a domain ends at a dot");
        assert!(admits("192.0.2.0/24", "192.0.2.77") && !admits("192.0.2.0/24", "192.0.3.1"));
        assert!(admits("192.0.2.1", "192.0.2.1") && !admits("192.0.2.1", "192.0.2.2"));
        assert!(admits("2001:db8::/32", "2001:db8::7"));
        assert!(
            !admits("192.0.2.0/24", "host-192-0-2-1.example.com"),
            "names are not resolved"
        );
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bad in [
            "",
            "*",
            "*.",
            "a..b",
            "192.0.2.0/99",
            "192.0.2",
            "sip:pbx",
            "pbx:5060",
            "a b",
        ] {
            assert!(bad.parse::<RedirectTarget>().is_err(), "{bad}");
        }
    }
}
