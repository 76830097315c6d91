//! URIs (RFC 3261 §19.1, §25.1; others by RFC 3986 as opaque text).

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::params::Params;

/// The namespace of services (RFC 5031 §4.2).
const SERVICE: &str = "service:";

/// A URI's scheme.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966); the rest is opaque here.
    Tel,
    /// Any other, lower case; the rest is opaque.
    Other(Box<str>),
}

impl Scheme {
    /// Without the colon.
    pub fn as_str(&self) -> &str {
        match self {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Tel => "tel",
            Scheme::Other(name) => name,
        }
    }
}

/// Where a URI or a Via points.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A host name, as written.
    Name(Box<str>),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, in brackets on the wire.
    V6(Ipv6Addr),
}

impl Host {
    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(ip) => Some(IpAddr::V4(*ip)),
            Host::V6(ip) => Some(IpAddr::V6(*ip)),
        }
    }

    /// Equal without case.
    pub fn matches(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => self == other,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Host::V4(ip),
            IpAddr::V6(ip) => Host::V6(ip),
        }
    }
}

impl FromStr for Host {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner
                .strip_suffix(']')
                .ok_or(UriError("an IPv6 address misses its ']'"))?;
            return inner
                .parse()
                .map(Host::V6)
                .map_err(|_| UriError("no IPv6 address in the brackets"));
        }
        if let Ok(ip) = text.parse() {
            return Ok(Host::V4(ip));
        }
        let proper = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if text.is_empty() || !text.bytes().all(proper) {
            return Err(UriError("no proper host"));
        }
        Ok(Host::Name(text.into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(ip) => ip.fmt(f),
            Host::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

/// `host` or `host:port`, with spaces around the colon where `spaces` (Via's sent-by).
pub(crate) fn parse_host_port(text: &str, spaces: bool) -> Result<(Host, Option<u16>), UriError> {
    let split = match text.rfind(']') {
        Some(bracket) => text
            .get(bracket..)
            .and_then(|rest| rest.find(':'))
            .and_then(|at| at.checked_add(bracket)),
        None => text.find(':'),
    };
    let Some(at) = split else {
        return Ok((text.trim().parse()?, None));
    };
    let (host, port) = crate::split::cut(text, at);
    let (host, port) = if spaces {
        (host.trim(), port.trim())
    } else {
        (host, port)
    };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UriError("no proper port"));
    }
    let port = port.parse().map_err(|_| UriError("the port is above 65535"))?;
    Ok((host.parse()?, Some(port)))
}

/// Why a text is no URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UriError(pub(crate) &'static str);

/// A URI. Equality and hash are those of the text's parts; see [`Uri::matches`] for RFC 3261 §19.1.4.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    scheme: Scheme,
    parts: Parts,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Parts {
    Sip(Box<SipParts>),
    Opaque(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SipParts {
    user: Option<Box<str>>,
    password: Option<Box<str>>,
    host: Host,
    port: Option<u16>,
    params: Params,
    headers: Option<Box<str>>,
}

impl Uri {
    /// A `sip:` URI. The user is escaped as needed.
    pub fn sip(user: Option<&str>, host: impl Into<Host>, port: Option<u16>) -> Uri {
        let user = user
            .filter(|user| !user.is_empty())
            .map(|user| escape_user(user).into());
        let parts = SipParts {
            user,
            password: None,
            host: host.into(),
            port,
            params: Params::default(),
            headers: None,
        };
        Uri {
            scheme: Scheme::Sip,
            parts: Parts::Sip(Box::new(parts)),
        }
    }

    fn parts(&self) -> Option<&SipParts> {
        match &self.parts {
            Parts::Sip(parts) => Some(parts),
            Parts::Opaque(_) => None,
        }
    }

    fn parts_mut(&mut self) -> Option<&mut SipParts> {
        match &mut self.parts {
            Parts::Sip(parts) => Some(parts),
            Parts::Opaque(_) => None,
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Whether it is a `sip:` or `sips:` URI (else 416).
    pub fn is_sip(&self) -> bool {
        self.parts().is_some()
    }

    /// Whether it is a `urn:`, e.g. of an emergency service (RFC 5031).
    pub fn is_urn(&self) -> bool {
        matches!(self.scheme(), Scheme::Other(name) if &**name == "urn")
    }

    /// Whether it is a `sips:` URI.
    pub fn is_sips(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// Whether it leads to TLS: `sips:`, or `transport=tls` (RFC 5630 §3.1.4).
    pub fn wants_tls(&self) -> bool {
        self.is_sips()
            || self
                .param("transport")
                .is_some_and(|name| name.eq_ignore_ascii_case("tls"))
    }

    /// What follows the scheme of a URI that is no SIP URI, e.g. a number of `tel:`.
    pub fn opaque(&self) -> Option<&str> {
        match &self.parts {
            Parts::Sip(_) => None,
            Parts::Opaque(rest) => Some(rest),
        }
    }

    /// Whether it is a service URN (`urn:service:`, RFC 5031); URN namespaces ignore case (RFC 8141 §3.1).
    pub fn is_service(&self) -> bool {
        let Parts::Opaque(rest) = &self.parts else { return false };
        let begins = rest
            .get(..SERVICE.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(SERVICE));
        self.scheme.as_str() == "urn" && begins
    }

    /// The user, percent-decoded. Bytes that are no UTF-8 are replaced.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.user_raw().map(unescape)
    }

    /// The user as written.
    pub fn user_raw(&self) -> Option<&str> {
        self.parts()?.user.as_deref()
    }

    /// The host; `None` in schemes other than sip and sips.
    pub fn host(&self) -> Option<&Host> {
        self.parts().map(|parts| &parts.host)
    }

    /// The same as text, an address without brackets; empty: it has none.
    pub fn bare_host(&self) -> String {
        match self.host() {
            Some(Host::V6(ip)) => ip.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        }
    }

    /// The port, if written.
    pub fn port(&self) -> Option<u16> {
        self.parts()?.port
    }

    /// A URI parameter's value as written; `""` when it has none.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.parts()?.params.get(name)
    }

    /// All URI parameters.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.parts().into_iter().flat_map(|parts| parts.params.iter())
    }

    /// What follows `?`, as written.
    pub fn headers(&self) -> Option<&str> {
        self.parts()?.headers.as_deref()
    }

    /// The same without URI parameters and headers.
    pub fn without_params(&self) -> Uri {
        let mut uri = self.without_headers();
        if let Some(parts) = uri.parts_mut() {
            parts.params = Params::default();
        }
        uri
    }

    /// The same without `?headers`: they must not be in a Request-URI (RFC 3261 §19.1.1).
    pub fn without_headers(&self) -> Uri {
        let mut uri = self.clone();
        if let Some(parts) = uri.parts_mut() {
            parts.headers = None;
        }
        uri
    }

    /// The same with a URI parameter set.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Uri {
        let mut uri = self.clone();
        if let Some(parts) = uri.parts_mut() {
            parts.params.set(name, value);
        }
        uri
    }

    /// RFC 3261 §19.1.4: the same resource.
    pub fn matches(&self, other: &Uri) -> bool {
        let (Some(a), Some(b)) = (self.parts(), other.parts()) else {
            return self == other;
        };
        let same_text = |a: &Option<Box<str>>, b: &Option<Box<str>>| match (a, b) {
            (Some(a), Some(b)) => unescape(a) == unescape(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        self.scheme == other.scheme
            && same_text(&a.user, &b.user)
            && same_text(&a.password, &b.password)
            && a.host.matches(&b.host)
            && a.port == b.port
            && params_match(&a.params, &b.params)
            && headers_match(a.headers.as_deref(), b.headers.as_deref())
    }
}

/// These make another resource even when only one URI has them (§19.1.4).
const TELLING: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

fn params_match(a: &Params, b: &Params) -> bool {
    // A name that comes twice (§19.1.1 forbids it) counts as it came first, on both sides.
    let same = |(name, value): (&str, Option<&str>)| match b.get(&unescape(name)) {
        Some(other) => {
            let first = a.get(&unescape(name)).or(value).unwrap_or("");
            unescape(first).eq_ignore_ascii_case(&unescape(other))
        }
        None => !TELLING.iter().any(|telling| name.eq_ignore_ascii_case(telling)),
    };
    a.iter().all(same) && TELLING.iter().all(|telling| a.has(telling) == b.has(telling))
}

fn headers_match(a: Option<&str>, b: Option<&str>) -> bool {
    let sorted = |headers: Option<&str>| {
        let mut all: Vec<(String, String)> = headers
            .unwrap_or_default()
            .split('&')
            .map(|header| header.split_once('=').unwrap_or((header, "")))
            .map(|(name, value)| (unescape(name).to_ascii_lowercase(), unescape(value).into_owned()))
            .collect();
        all.sort();
        all
    };
    a == b || sorted(a) == sorted(b)
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text
            .bytes()
            .any(|byte| byte <= b' ' || byte == 0x7f || matches!(byte, b'<' | b'>' | b'"'))
        {
            return Err(UriError("a URI holds no spaces, quotes or angle brackets"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError("a URI needs a scheme"))?;
        let mut bytes = scheme.bytes();
        let proper = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !bytes.next().is_some_and(|first| first.is_ascii_alphabetic()) || !bytes.all(proper) {
            return Err(UriError("no proper URI scheme"));
        }
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "sip" => Scheme::Sip,
            "sips" => Scheme::Sips,
            "tel" => Scheme::Tel,
            other => Scheme::Other(other.into()),
        };
        if !matches!(scheme, Scheme::Sip | Scheme::Sips) {
            if rest.is_empty() {
                return Err(UriError("nothing follows the URI scheme"));
            }
            return Ok(Uri {
                scheme,
                parts: Parts::Opaque(rest.into()),
            });
        }
        Ok(Uri {
            scheme,
            parts: Parts::Sip(Box::new(parse_sip(rest)?)),
        })
    }
}

fn parse_sip(rest: &str) -> Result<SipParts, UriError> {
    // `;`, `?` and `/` may stand in a user, `@` only after it (§25.1).
    let (user, password, rest) = match rest.split_once('@') {
        Some((info, rest)) => {
            let (user, password) = match info.split_once(':') {
                Some((user, password)) => (user, Some(password.into())),
                None => (info, None),
            };
            if user.is_empty() {
                return Err(UriError("the user before '@' is empty"));
            }
            (Some(user.into()), password, rest)
        }
        None => (None, None, rest),
    };
    let (rest, headers) = match rest.split_once('?') {
        Some((rest, headers)) => (rest, Some(headers.into())),
        None => (rest, None),
    };
    let at = rest.find(';').unwrap_or(rest.len());
    let (host_port, params) = rest.split_at_checked(at).unwrap_or((rest, ""));
    let (host, port) = parse_host_port(host_port, false)?;
    let params = Params::parse(params, false).map_err(UriError)?;
    Ok(SipParts {
        user,
        password,
        host,
        port,
        params,
        headers,
    })
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.as_str())?;
        let parts = match &self.parts {
            Parts::Opaque(rest) => return f.write_str(rest),
            Parts::Sip(parts) => parts,
        };
        if let Some(user) = &parts.user {
            f.write_str(user)?;
            if let Some(password) = &parts.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        parts.host.fmt(f)?;
        if let Some(port) = parts.port {
            write!(f, ":{port}")?;
        }
        parts.params.fmt(f)?;
        match &parts.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// Resolve `%HH` once (never again on the result, RFC 3986 §2.4). An incomplete escape stays as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let hex = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0usize;
    while let Some(&byte) = bytes.get(at) {
        let digits = (
            hex(bytes.get(at.saturating_add(1))),
            hex(bytes.get(at.saturating_add(2))),
        );
        if let (b'%', (Some(high), Some(low))) = (byte, digits) {
            out.push(high.wrapping_shl(4) | low);
            at = at.saturating_add(3);
        } else {
            out.push(byte);
            at = at.saturating_add(1);
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Escape what a user part may not hold (§25.1 `user`).
fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
