//! Where calls go on to whose callee is no subscriber, and which of them may.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::RedirectTarget;

/// What becomes of a call to somebody who is no subscriber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCallee {
    /// 404.
    #[default]
    Reject,
    /// It goes on with its Request-URI as it came, if [`Destination`]s admit it.
    Forward,
}

/// What a next hop begins with that is a trunk: its name follows.
const TRUNK: &str = "trunk:";

/// The trunks that take the number, whichever those are: those whose `allow` names most of it first.
pub const ANY_TRUNK: &str = "*";

/// The most next hops of one profile key.
const HOPS_MAX: usize = 8;

/// Where to go next: a server, by a SIP URI with a host and no user, or a trunk, by `trunk:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NextHop(String);

/// Why a next hop is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is neither an address, a host, a SIP URI of a server nor \"trunk:\" and the name of a trunk")]
pub struct NextHopError(String);

impl NextHop {
    /// As a URI, e.g. `sip:192.0.2.1:5070;lr` or `trunk:carrier`.
    pub fn uri(&self) -> &str {
        &self.0
    }

    /// The trunk that it is, or [`ANY_TRUNK`].
    pub fn trunk(&self) -> Option<&str> {
        self.0.strip_prefix(TRUNK)
    }

    /// Whether it is to stand in a Route header (`;lr`); else requests just go there.
    pub fn is_route(&self) -> bool {
        self.0.split(';').skip(1).any(|param| {
            param
                .split('=')
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("lr"))
        })
    }
}

impl FromStr for NextHop {
    type Err = NextHopError;

    fn from_str(text: &str) -> Result<NextHop, NextHopError> {
        let wrong = || NextHopError(text.to_owned());
        // A name begins with a letter: `trunk:5060` is a host of that name.
        let is_trunk = |name: &str| name == ANY_TRUNK || crate::trunk::is_name(name);
        if text.strip_prefix(TRUNK).is_some_and(is_trunk) {
            return Ok(NextHop(text.to_owned()));
        }
        let lower = text.to_ascii_lowercase();
        let uri = match lower.starts_with("sip:") || lower.starts_with("sips:") {
            true => text.to_owned(),
            // An IPv6 address without port needs its brackets in a URI.
            false if text.parse::<std::net::Ipv6Addr>().is_ok() => format!("sip:[{text}]"),
            false => format!("sip:{text}"),
        };
        let (_, rest) = uri.split_once(':').ok_or_else(wrong)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~:;=[]".contains(c);
        if !rest.chars().all(plain) {
            return Err(wrong());
        }
        let host_port = rest.split(';').next().unwrap_or_default();
        let (host, port) = match (host_port.rfind(']'), host_port.rsplit_once(':')) {
            (Some(end), _) => {
                let (host, port) = host_port.split_at_checked(end.saturating_add(1)).ok_or_else(wrong)?;
                (host, (!port.is_empty()).then(|| port.strip_prefix(':').unwrap_or("-")))
            }
            (None, Some((host, port))) => (host, Some(port)),
            (None, None) => (host_port, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                matches!(
                    host.parse::<RedirectTarget>(),
                    Ok(RedirectTarget::Host(_) | RedirectTarget::Network(_))
                ) && !host.contains(['/', '[', ']'])
            }
        };
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        (is_host && is_port).then_some(NextHop(uri)).ok_or_else(wrong)
    }
}

impl TryFrom<String> for NextHop {
    type Error = NextHopError;

    fn try_from(text: String) -> Result<NextHop, NextHopError> {
        text.parse()
    }
}

impl From<NextHop> for String {
    fn from(hop: NextHop) -> String {
        hop.0
    }
}

/// One next hop or several, the next tried where no server of the one before takes the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHops(Vec<NextHop>);

impl NextHops {
    /// In order, at least one.
    pub fn iter(&self) -> impl Iterator<Item = &NextHop> {
        self.0.iter()
    }

    /// The trunks among them.
    pub fn trunks(&self) -> impl Iterator<Item = &str> {
        self.iter().filter_map(NextHop::trunk)
    }
}

impl TryFrom<Vec<NextHop>> for NextHops {
    type Error = NextHopsError;

    fn try_from(hops: Vec<NextHop>) -> Result<NextHops, NextHopsError> {
        match hops.len() {
            1..=HOPS_MAX => Ok(NextHops(hops)),
            count => Err(NextHopsError(count)),
        }
    }
}

/// Too few or too many.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0} next hops are not 1 to {HOPS_MAX}")]
pub struct NextHopsError(usize);

impl FromStr for NextHops {
    type Err = NextHopError;

    fn from_str(text: &str) -> Result<NextHops, NextHopError> {
        Ok(NextHops(vec![text.parse()?]))
    }
}

/// A next hop as a file has it: empty when there is none.
pub(crate) mod maybe {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::NextHop;

    pub(crate) fn serialize<S: Serializer>(hop: &Option<NextHop>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(hop.as_ref().map_or("", NextHop::uri))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NextHop>, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(D::Error::custom),
        }
    }
}

/// The same with several: a string, or a list of them.
pub(crate) mod several {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{NextHop, NextHops};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a next hop or a list of them")]
    enum Written {
        One(String),
        More(Vec<String>),
    }

    pub(crate) fn serialize<S: Serializer>(hops: &Option<NextHops>, to: S) -> Result<S::Ok, S::Error> {
        match hops.as_ref().map_or(&[][..], |hops| &hops.0) {
            [] => to.serialize_str(""),
            [one] => to.serialize_str(one.uri()),
            more => more.serialize(to),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NextHops>, D::Error> {
        let written = match Written::deserialize(from)? {
            Written::One(text) if text.is_empty() => Vec::new(),
            Written::One(text) => vec![text],
            Written::More(texts) => texts,
        };
        if written.is_empty() {
            return Ok(None);
        }
        let hops = written.iter().map(|text| text.parse::<NextHop>());
        let hops: Vec<NextHop> = hops.collect::<Result<_, _>>().map_err(D::Error::custom)?;
        hops.try_into().map(Some).map_err(D::Error::custom)
    }
}

/// What may be called beyond the subscribers: without such a rule Segue relays to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Destination {
    /// Whatever goes to the profile's own next hop (`*`).
    Anything,
    /// Numbers that begin like this (`+49*`), or just this one.
    Number {
        /// A `+` or none, then digits.
        digits: String,
        /// It is only the beginning.
        more: bool,
    },
    /// A host or network.
    Place(RedirectTarget),
}

/// Why an entry of `destinations` is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is neither \"*\", a number (\"+49*\", \"+4930123456\"), a host name, an address, a network nor \"*.\" and a domain"
)]
pub struct DestinationError(String);

/// A callee beyond the subscribers, as its Request-URI names it.
#[derive(Debug, Clone, Copy)]
pub struct Callee<'a> {
    /// Its number, when it has one, without visual separators.
    pub number: Option<&'a str>,
    /// The same in E.164, by the numbering of the caller's profile.
    pub e164: Option<&'a str>,
    /// The host of its Request-URI, an address without brackets; empty when there is none (`tel:`).
    pub host: &'a str,
}

impl Destination {
    /// Whether a call to this callee may go to the profile's own next hop.
    pub fn admits_callee(&self, callee: Callee<'_>) -> bool {
        match self {
            Destination::Anything => true,
            Destination::Number { .. } => {
                let numbers = [callee.number, callee.e164];
                numbers.into_iter().flatten().any(|number| self.fits(number).is_some())
            }
            Destination::Place(place) => place.admits(callee.host),
        }
    }

    /// How much of a number this entry names, characters; `None`: it is not for that number.
    pub fn fits(&self, number: &str) -> Option<usize> {
        match self {
            Destination::Anything => Some(0),
            Destination::Number { digits, more: true } => number.starts_with(digits).then_some(digits.len()),
            Destination::Number { digits, more: false } => (number == digits).then_some(digits.len()),
            Destination::Place(_) => None,
        }
    }

    /// Whether a call may go to this host because its caller says so, by Route or Request-URI.
    pub fn admits_place(&self, host: &str) -> bool {
        matches!(self, Destination::Place(place) if place.admits(host))
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Destination, DestinationError> {
        if text == "*" {
            return Ok(Destination::Anything);
        }
        let (digits, more) = match text.strip_suffix('*') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let bare = digits.strip_prefix('+').unwrap_or(digits);
        if !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit()) {
            let digits = digits.to_owned();
            return Ok(Destination::Number { digits, more });
        }
        let place = text.parse().map_err(|_| DestinationError(text.to_owned()))?;
        Ok(Destination::Place(place))
    }
}

impl TryFrom<String> for Destination {
    type Error = DestinationError;

    fn try_from(text: String) -> Result<Destination, DestinationError> {
        text.parse()
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> String {
        destination.to_string()
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Anything => f.write_str("*"),
            Destination::Number { digits, more } => write!(f, "{digits}{}", if *more { "*" } else { "" }),
            Destination::Place(place) => place.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnswerAt, Profile};

    #[test]
    fn a_next_hop_is_an_address_a_host_or_a_server() {
        for (text, uri) in [
            ("192.0.2.1", "sip:192.0.2.1"),
            ("192.0.2.1:5070", "sip:192.0.2.1:5070"),
            ("2001:db8::1", "sip:[2001:db8::1]"),
            ("[2001:db8::1]:5070", "sip:[2001:db8::1]:5070"),
            ("sbc.example.com", "sip:sbc.example.com"),
            ("sip:sbc.example.com;transport=tcp", "sip:sbc.example.com;transport=tcp"),
        ] {
            assert_eq!(text.parse::<NextHop>().unwrap().uri(), uri, "{text}");
        }
        for bad in [
            "",
            "sip:",
            "sip:bob@sbc.example.com",
            "tel:+49",
            "192.0.2.1:0",
            "192.0.2.1:70000",
            "[2001:db8::1]5070",
            "192.0.2.0/24",
            "a b",
            "sip:a?b=c",
            "sip:a\r\nVia: b",
        ] {
            assert!(bad.parse::<NextHop>().is_err(), "{bad}");
        }
        assert!("sip:192.0.2.1;lr".parse::<NextHop>().unwrap().is_route());
        assert!(!"sip:192.0.2.1;lrx".parse::<NextHop>().unwrap().is_route());
    }

    #[test]
    fn next_hops_are_one_or_a_list_and_may_be_trunks() {
        let read = |text: &str| {
            let profile: Profile = toml::from_str(&format!("next_hop = {text}")).map_err(|e| e.message().to_owned())?;
            let written = toml::Value::try_from(&profile).unwrap()["next_hop"].to_string();
            Ok::<_, String>((profile.next_hop, written))
        };
        assert_eq!(read("\"\""), Ok((None, "\"\"".to_owned())));
        assert_eq!(read("[]").unwrap().0, None);
        let (hops, written) = read("[\"trunk:main\", \"192.0.2.1\"]").unwrap();
        let hops = hops.unwrap();
        assert_eq!(written, "[\"trunk:main\", \"sip:192.0.2.1\"]");
        assert_eq!(hops.trunks().collect::<Vec<_>>(), ["main"]);
        assert_eq!(read("\"trunk:main\"").unwrap().1, "\"trunk:main\"");
        // A host may have that name.
        let host = read("\"trunk:5060\"").unwrap().0.unwrap();
        assert_eq!(host.trunks().count(), 0);
        for bad in ["\"trunk:\"", "\"trunk:a b\"", "[\"trunk:main\", \"\"]", "7"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let nine = format!("[{}]", ["\"192.0.2.1\""; 9].join(", "));
        assert!(read(&nine).unwrap_err().contains("not 1 to 8"));
    }

    #[test]
    fn a_callee_is_admitted_by_its_number_or_its_host() {
        let admits = |entry: &str, number: Option<&str>, host: &str| {
            entry.parse::<Destination>().unwrap().admits_callee(Callee {
                number,
                e164: None,
                host,
            })
        };
        assert!(admits("+49*", Some("+4930123"), "x.example") && !admits("+49*", Some("+4830123"), "x.example"));
        assert!(admits("+4930123", Some("+4930123"), "") && !admits("+4930123", Some("+49301234"), ""));
        assert!(!admits("+49*", None, "+4930.example"), "a host is no number");
        assert!(admits("*.example", None, "ims.example") && !admits("*.example", None, "example"));
        assert!(admits("*", None, "anywhere.example"));
    }

    #[test]
    fn a_number_is_admitted_as_it_is_dialled_and_in_e164() {
        let profile = Profile {
            country_code: "49".into(),
            area_code: "30".into(),
            number_rules: vec!["115 -> +49115".to_owned().try_into().unwrap()],
            ..Profile::default()
        };
        let admits = |entry: &str, dialled: &str| {
            let e164 = profile.normalise(dialled).number;
            let callee = Callee {
                number: Some(dialled),
                e164: e164.as_deref(),
                host: "",
            };
            entry.parse::<Destination>().unwrap().admits_callee(callee)
        };
        for dialled in ["+4930123", "004930123", "030123", "123"] {
            assert!(admits("+4930*", dialled) && admits("+4930123", dialled), "{dialled}");
            assert!(!admits("+4940*", dialled), "{dialled}");
        }
        assert!(
            admits("0049*", "004930123") && !admits("0049*", "+4930123"),
            "an entry is as it is written"
        );
        assert!(admits("115", "115") && admits("+49115", "115"));
        assert!(!admits("+49*", "0043123"), "abroad");
    }

    #[test]
    fn where_the_caller_sends_it_only_places_admit() {
        let admits = |entry: &str, host: &str| entry.parse::<Destination>().unwrap().admits_place(host);
        assert!(admits("192.0.2.0/24", "192.0.2.7") && admits("sbc.example.com", "SBC.example.com"));
        assert!(!admits("*", "192.0.2.7") && !admits("192*", "192.0.2.7"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in ["", "+", "+*", "+49x", "**", "+49**", "sip:bob@x", "a b"] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
        for good in ["*", "+49*", "110", "10.0.0.0/8", "*.example.com", "host.example"] {
            assert_eq!(good.parse::<Destination>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn the_carrier_profiles_forward_hold_for_six_seconds_and_answer_late() {
        for (text, trusted) in [
            (
                include_str!("../../../sip-profiles/examples/carrier-generic.toml"),
                false,
            ),
            (include_str!("../../../sip-profiles/examples/carrier-ims.toml"), true),
        ] {
            let carrier: Profile = toml::from_str(text).unwrap();
            assert_eq!(carrier.check(), Ok(()));
            assert!(carrier.sources.is_empty(), "nobody is admitted by an example");
            let held = (carrier.hold_ms, carrier.hold_max_ms, carrier.answer_at);
            assert_eq!(held, (6_000, 20_000, AnswerAt::AfterGreeting));
            assert_eq!((carrier.trusted, carrier.ringing_status), (trusted, 180));
            assert_eq!(carrier.unknown_callee, UnknownCallee::Forward);
            assert!(carrier.destinations.is_empty(), "no open relay");
        }
    }
}
