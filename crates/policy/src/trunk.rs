//! A trunk: the servers of one carrier or provider, how they are watched, and who we are to them. One `[[trunk]]` of `segue.toml`;
//! profiles name it by `next_hop = "trunk:NAME"`.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Algorithm, Destination, DigestOver, NextHop, is_e164, onward};

mod outward;

pub use outward::{CalleeFrom, CallerIdentity, NumberFormat, Outward};

/// Most trunks of a server.
pub const TRUNKS_MAX: usize = 256;
/// Most servers of a trunk.
const SERVERS_MAX: usize = 16;
/// Longest name, characters.
const NAME_MAX: usize = 32;

/// One trunk. What its table leaves out is as in [`Trunk::default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trunk {
    /// Its name: a letter, then letters, digits, `-` and `_`.
    pub name: String,
    /// Its servers.
    pub servers: Vec<TrunkServer>,
    /// How often each server is asked by OPTIONS whether it lives, milliseconds; 0: never.
    pub ping_ms: u64,
    /// Answers in a row that bring a server back.
    pub ping_up: u32,
    /// Pings in a row without a good answer after which a server is down.
    pub ping_down: u32,
    /// Calls that go out by it at once; 0: any number. Emergency calls are not stopped by it.
    pub calls_max: u32,
    /// Whether we register with it.
    pub register: bool,
    /// The registrar; none: the first server.
    #[serde(with = "onward::maybe")]
    pub registrar: Option<NextHop>,
    /// The user of our address-of-record there; empty: `digest_user`.
    pub user: String,
    /// The domain of our address-of-record and of whom we call by it; none: the registrar's.
    #[serde(with = "onward::maybe")]
    pub domain: Option<NextHop>,
    /// The user of our Contact; empty: one that nobody guesses.
    pub contact_user: String,
    /// How long a registration is to last, seconds.
    pub expires_s: u32,
    /// The profile of calls from its servers; empty: as `sources` say.
    pub profile: String,
    /// Where calls from it say whom they are for.
    pub callee: CalleeFrom,
    /// Where calls by it say who calls.
    pub identity: CallerIdentity,
    /// The number of callers without one of their own, in E.164; empty: the account's user.
    pub main_number: String,
    /// Numbers that it takes; empty: all, where a profile names it.
    pub allow: Vec<Destination>,
    /// Numbers that it does not take.
    pub deny: Vec<Destination>,
    /// What is dialled for a line.
    pub strip: String,
    /// How it wants numbers.
    pub number_format: NumberFormat,
    /// What it wants before each.
    pub add: String,
    /// Whether it takes emergency calls.
    pub emergency: bool,
    /// Who we are where its servers ask for credentials; empty: as the profile of its addresses says.
    pub digest_user: String,
    /// The realm that these credentials are for: they go to no other.
    pub digest_realm: String,
    /// The file (or `env:NAME`) with their password.
    pub digest_secret: String,
    /// Hash functions, the preferred one first (RFC 8760).
    pub digest_algorithms: Vec<Algorithm>,
    /// Where they may be sent.
    pub digest_over: DigestOver,
}

impl Default for Trunk {
    /// Without name and servers, which every trunk must have.
    fn default() -> Trunk {
        Trunk {
            name: String::new(),
            servers: Vec::new(),
            ping_ms: 30_000,
            ping_up: 2,
            ping_down: 3,
            calls_max: 0,
            register: false,
            registrar: None,
            user: String::new(),
            domain: None,
            contact_user: String::new(),
            expires_s: 3_600,
            profile: String::new(),
            callee: CalleeFrom::Auto,
            identity: CallerIdentity::Auto,
            main_number: String::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            strip: String::new(),
            number_format: NumberFormat::AsDialled,
            add: String::new(),
            emergency: false,
            digest_user: String::new(),
            digest_realm: String::new(),
            digest_secret: String::new(),
            digest_algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            digest_over: DigestOver::Any,
        }
    }
}

/// A server of a trunk, or the domain of several (RFC 3263): its URI alone, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct TrunkServer {
    /// A server, no trunk.
    pub uri: NextHop,
    /// Lower is tried first.
    pub order: u16,
    /// Share of the calls among those of one order (RFC 2782); those without are tried after these, in the order of the list.
    pub weight: u16,
}

/// As a file has it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "each is a server, e.g. \"192.0.2.1:5060\" or { uri = \"sbc.example.com\", order = 1, weight = 10 }"
)]
enum Written {
    Uri(NextHop),
    Table(Table),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    uri: NextHop,
    #[serde(default)]
    order: u16,
    #[serde(default)]
    weight: u16,
}

impl From<Written> for TrunkServer {
    fn from(written: Written) -> TrunkServer {
        let Table { uri, order, weight } = match written {
            Written::Table(table) => table,
            Written::Uri(uri) => Table {
                uri,
                order: 0,
                weight: 0,
            },
        };
        TrunkServer { uri, order, weight }
    }
}

/// Each key of a trunk, and what it wants.
pub const KEYS: &[(&str, &str)] = &[
    (
        "name",
        "a letter, then letters, digits, - and _, at most 32 of them, e.g. \"carrier\"",
    ),
    (
        "servers",
        "a list of 1 to 16 addresses, hosts or SIP URIs, tried in order, e.g. [\"192.0.2.1:5060\", \"sip:sbc.example.com;transport=tls\"], or tables, e.g. { uri = \"192.0.2.1\", order = 1, weight = 10 }",
    ),
    (
        "ping_ms",
        "milliseconds from 1000 to 3600000 between OPTIONS to each server; 0: none",
    ),
    ("ping_up", "answers in a row from 1 to 100 that bring a server back"),
    (
        "ping_down",
        "pings in a row from 1 to 100 without an answer after which a server is down",
    ),
    ("calls_max", "a number of calls that go out by it at once; 0: no limit"),
    ("register", "true or false: whether Segue registers with it (REGISTER)"),
    (
        "registrar",
        "the SIP URI that REGISTER names, e.g. \"sip:provider.example\"; empty: that of the first server",
    ),
    (
        "user",
        "the user of our address there, e.g. \"+4930123450\"; empty: digest_user",
    ),
    (
        "domain",
        "a host: the domain of our address and of whom we call by it; empty: the registrar's",
    ),
    (
        "contact_user",
        "the user of our Contact, 1 to 64 letters, digits, + - _ .; empty: one that nobody guesses",
    ),
    ("expires_s", "seconds from 60 to 86400 that a registration is to last"),
    (
        "profile",
        "the name of the profile that holds for calls from its servers; empty: as `sources` say",
    ),
    (
        "callee",
        "where calls from it say whom they are for: \"auto\", \"request-uri\", \"to\" or \"p-called-party-id\"",
    ),
    (
        "identity",
        "where calls by it say who calls: \"auto\", \"untouched\", \"from\", \"preferred\" or \"account\"",
    ),
    (
        "main_number",
        "a number in E.164, e.g. \"+4930123450\", shown for callers without one of their own",
    ),
    (
        "allow",
        "a list of numbers that it takes, e.g. [\"+49*\", \"*\"]; empty: all, if a profile names it",
    ),
    ("deny", "a list of numbers that it does not take, e.g. [\"+49900*\"]"),
    (
        "strip",
        "digits that are dialled for a line and are not of the number, e.g. \"9\"",
    ),
    (
        "number_format",
        "how it wants numbers: \"as_dialled\", \"e164\", \"plain\", \"national\" or \"international\"",
    ),
    ("add", "digits that it wants before each number"),
    ("emergency", "true or false: whether it takes emergency calls"),
    ("digest_user", "the user name that its servers know us by; empty: none"),
    ("digest_realm", "the realm that their challenges name"),
    (
        "digest_secret",
        "a file (mode 600) with the password alone, or \"env:NAME\" for an environment variable",
    ),
    (
        "digest_algorithms",
        "a list of \"SHA-256\", \"SHA-512-256\" and \"MD5\", the preferred one first",
    ),
    ("digest_over", "\"any\" or \"tls\""),
];

/// What is wrong with a trunk that reads well.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key} {why}")]
pub struct TrunkError {
    /// Which key of [`KEYS`].
    pub key: &'static str,
    /// What is wrong with it, after its name.
    pub why: String,
}

/// Whether a trunk may have this name.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.len() <= NAME_MAX && text.chars().all(plain)
}

impl Trunk {
    /// With what follows from what was said: the registrar is its server where no other is named.
    #[must_use]
    pub fn completed(mut self) -> Trunk {
        if let (true, Some(registrar)) = (self.servers.is_empty(), &self.registrar) {
            self.servers.push(TrunkServer {
                uri: registrar.clone(),
                order: 0,
                weight: 0,
            });
        }
        self
    }

    /// Whether its values make sense, each and together.
    pub fn check(&self) -> Result<(), TrunkError> {
        let wrong = |key, why: String| Err(TrunkError { key, why });
        if self.name.is_empty() {
            return wrong("name", "is missing".into());
        }
        if !is_name(&self.name) {
            return wrong("name", format!("= {:?}", self.name));
        }
        if self.servers.is_empty() {
            return wrong("servers", "is missing or empty".into());
        }
        if self.servers.len() > SERVERS_MAX {
            return wrong("servers", format!("has {} servers", self.servers.len()));
        }
        if let Some(trunk) = self.servers.iter().find_map(|server| server.uri.trunk()) {
            return wrong("servers", format!("has the trunk {trunk}, which is no server"));
        }
        for (at, server) in self.servers.iter().enumerate() {
            if self.servers.iter().take(at).any(|other| other.uri == server.uri) {
                return wrong("servers", format!("has {} twice", server.uri.uri()));
            }
        }
        if self.ping_ms != 0 && !(1_000..=3_600_000).contains(&self.ping_ms) {
            return wrong("ping_ms", format!("= {}", self.ping_ms));
        }
        for (key, count) in [("ping_up", self.ping_up), ("ping_down", self.ping_down)] {
            if !(1..=100).contains(&count) {
                return wrong(key, format!("= {count}"));
            }
        }
        if self.digest_algorithms.is_empty() {
            return wrong(
                "digest_algorithms",
                "is empty, so no challenge could be answered".into(),
            );
        }
        for (key, hop) in [("registrar", &self.registrar), ("domain", &self.domain)] {
            if let Some(hop) = hop.as_ref().filter(|hop| hop.trunk().is_some()) {
                return wrong(key, format!("= {:?}", hop.uri()));
            }
        }
        if self.register && self.account_user().is_empty() {
            return wrong("user", "and digest_user are empty: whom shall it register?".into());
        }
        if !(60..=86_400).contains(&self.expires_s) {
            return wrong("expires_s", format!("= {}", self.expires_s));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-_.".contains(c);
        if self.contact_user.len() > 64 || !self.contact_user.chars().all(plain) {
            return wrong("contact_user", format!("= {:?}", self.contact_user));
        }
        if !self.main_number.is_empty() && !is_e164(&self.main_number) {
            return wrong("main_number", format!("= {:?}", self.main_number));
        }
        let is_digits =
            |text: &str| text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit() || b"+*#".contains(&b));
        for (key, text) in [("strip", &self.strip), ("add", &self.add)] {
            if !is_digits(text) {
                return wrong(key, format!("= {text:?}"));
            }
        }
        for (key, entries) in [("allow", &self.allow), ("deny", &self.deny)] {
            if let Some(place) = entries.iter().find(|entry| matches!(entry, Destination::Place(_))) {
                return wrong(key, format!("has {:?}, which is no number", place.to_string()));
            }
        }
        let account = [
            ("digest_realm", &self.digest_realm),
            ("digest_secret", &self.digest_secret),
        ];
        for (key, value) in account {
            // The first challenge to a REGISTER names the realm where nothing else does.
            let may_lack = key == "digest_realm" && self.register;
            if value.is_empty() != self.digest_user.is_empty() && !(may_lack && value.is_empty()) {
                return wrong(key, "and digest_user belong together: one of them is missing".into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Trunk {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_server_is_a_uri_or_a_table_with_order_and_weight() {
        let trunk = read(
            "name = \"main\"\nservers = [\"192.0.2.1\", { uri = \"sip:b.example.com;transport=tls\", order = 2, weight = 60 }, \
             { uri = \"192.0.2.3\" }]",
        );
        assert_eq!(trunk.check(), Ok(()));
        let servers: Vec<_> = trunk.servers.iter().map(|s| (s.uri.uri(), s.order, s.weight)).collect();
        assert_eq!(
            servers,
            [
                ("sip:192.0.2.1", 0, 0),
                ("sip:b.example.com;transport=tls", 2, 60),
                ("sip:192.0.2.3", 0, 0)
            ]
        );
        for bad in ["{ uri = \"a\", wieght = 1 }", "{ order = 1 }", "7", "\"a b\""] {
            assert!(toml::from_str::<Trunk>(&format!("servers = [{bad}]")).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_key() {
        for (text, key) in [
            ("", "name"),
            ("name = \"5\"\nservers = [\"a\"]", "name"),
            ("name = \"a\"", "servers"),
            ("name = \"a\"\nservers = [\"trunk:b\"]", "servers"),
            ("name = \"a\"\nservers = [\"192.0.2.1\", \"192.0.2.1\"]", "servers"),
            ("name = \"a\"\nservers = [\"b\"]\nping_ms = 999", "ping_ms"),
            ("name = \"a\"\nservers = [\"b\"]\nping_up = 0", "ping_up"),
            ("name = \"a\"\nservers = [\"b\"]\nping_down = 101", "ping_down"),
            ("name = \"a\"\nservers = [\"b\"]\ndigest_user = \"u\"", "digest_realm"),
            ("name = \"a\"\nservers = [\"b\"]\nregister = true", "user"),
            (
                "name = \"a\"\nservers = [\"b\"]\nregister = true\ndigest_user = \"u\"",
                "digest_secret",
            ),
            ("name = \"a\"\nservers = [\"b\"]\nregistrar = \"trunk:b\"", "registrar"),
            ("name = \"a\"\nservers = [\"b\"]\nexpires_s = 59", "expires_s"),
            (
                "name = \"a\"\nservers = [\"b\"]\ncontact_user = \"a b\"",
                "contact_user",
            ),
            ("name = \"a\"\nservers = [\"b\"]\nmain_number = \"030\"", "main_number"),
            ("name = \"a\"\nservers = [\"b\"]\nallow = [\"b.example\"]", "allow"),
            ("name = \"a\"\nservers = [\"b\"]\nstrip = \"x\"", "strip"),
            (
                "name = \"a\"\nservers = [\"b\"]\ndigest_algorithms = []",
                "digest_algorithms",
            ),
        ] {
            assert_eq!(read(text).check().unwrap_err().key, key, "{text}");
        }
    }

    #[test]
    fn every_field_is_a_key() {
        let table = toml::Table::try_from(Trunk::default()).unwrap();
        let mut fields: Vec<&str> = table.keys().map(String::as_str).collect();
        let mut keys: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        fields.sort_unstable();
        keys.sort_unstable();
        assert_eq!(fields, keys);
    }
}
