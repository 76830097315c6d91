//! Via (RFC 3261 §20.42; `rport` RFC 3581; IPv6 RFC 5118 §4.5).

use std::{fmt, net::IpAddr, net::SocketAddr, str::FromStr};

use crate::{
    limits::PARAMS_MAX,
    params::Params,
    split::{cut, is_token, split_outside},
    uri::{Host, parse_host_port},
};

/// The transport that a Via names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// SCTP.
    Sctp,
    /// TLS over SCTP.
    TlsSctp,
    /// WebSocket.
    Ws,
    /// Secure WebSocket.
    Wss,
    /// Any other token.
    Other(Box<str>),
}

impl From<rsip::Transport> for Transport {
    fn from(transport: rsip::Transport) -> Self {
        match transport {
            rsip::Transport::Udp => Transport::Udp,
            rsip::Transport::Tcp => Transport::Tcp,
            rsip::Transport::Tls => Transport::Tls,
            rsip::Transport::Sctp => Transport::Sctp,
            rsip::Transport::TlsSctp => Transport::TlsSctp,
            rsip::Transport::Ws => Transport::Ws,
            rsip::Transport::Wss => Transport::Wss,
        }
    }
}

impl Transport {
    /// As on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Sctp => "SCTP",
            Transport::TlsSctp => "TLS-SCTP",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
            Transport::Other(name) => name,
        }
    }
}

/// One Via value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Via {
    /// `2.0`; others are kept so that a 505 can be answered.
    pub version: Box<str>,
    /// The transport.
    pub transport: Transport,
    /// sent-by's host.
    pub host: Host,
    /// sent-by's port, if written.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params,
}

impl Via {
    /// Ours, for a request: with a branch and an empty `rport` (RFC 3581 §3).
    pub fn new(transport: Transport, host: impl Into<Host>, port: Option<u16>, branch: &str) -> Via {
        let mut params = Params::default();
        params.set("branch", Some(branch));
        params.set("rport", None);
        Via {
            version: "2.0".into(),
            transport,
            host: host.into(),
            port,
            params,
        }
    }

    /// The branch.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// Where the request was seen to come from. Brackets around IPv6 are optional (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The port it was seen to come from: `Some(None)` asks for it (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|port| port.parse().ok())
    }

    /// Port of sent-by, or the default of its transport.
    pub fn port_or_default(&self) -> u16 {
        let default = if matches!(self.transport, Transport::Tls | Transport::TlsSctp | Transport::Wss) {
            5061
        } else {
            5060
        };
        self.port.unwrap_or(default)
    }

    /// Note the source of a request (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn stamp(&mut self, source: SocketAddr) {
        let asked = self.params.has("rport");
        if asked {
            self.params.set("rport", Some(&source.port().to_string()));
        }
        let ip = source.ip().to_canonical();
        if asked || self.host.ip() != Some(ip) {
            self.params.set("received", Some(&ip.to_string()));
        } else {
            // A `received` that the sender made up must not steer our responses.
            self.params.remove("received");
        }
    }

    /// Read one value (no comma list).
    pub(crate) fn parse(text: &str) -> Result<Via, &'static str> {
        let (protocol, rest) = text.split_once('/').ok_or("Via misses its protocol")?;
        let (version, rest) = rest.split_once('/').ok_or("Via misses its version")?;
        let (protocol, version, rest) = (protocol.trim(), version.trim(), rest.trim_start());
        if !protocol.eq_ignore_ascii_case("SIP") || version.is_empty() || !version.bytes().all(is_token) {
            return Err("Via has no proper protocol");
        }
        let at = rest.find([' ', '\t']).ok_or("Via misses its sent-by")?;
        let (transport, rest) = cut(rest, at);
        if transport.is_empty() || !transport.bytes().all(is_token) {
            return Err("Via has no proper transport");
        }
        let transport =
            rsip::Transport::from_str(transport).map_or_else(|_| Transport::Other(transport.into()), Transport::from);
        let rest = rest.trim();
        let at = rest.find(';').unwrap_or(rest.len());
        let (sent_by, params) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let (host, port) = parse_host_port(sent_by.trim(), true).map_err(|crate::uri::UriError(why)| why)?;
        Ok(Via {
            version: version.into(),
            transport,
            host,
            port,
            params: Params::parse(params, true)?,
        })
    }

    /// What can be read of the first of maybe broken values: enough to answer a broken request.
    pub(crate) fn salvage(value: &str) -> Option<Via> {
        let first = split_outside(value, b',').next()?;
        let mut pieces = split_outside(first, b';');
        let mut via = Via::parse(pieces.next()?).ok()?;
        // What is quoted steers nothing, and cut in half it would spoil the answer.
        for piece in pieces.take(PARAMS_MAX).filter(|piece| !piece.contains('"')) {
            let Ok(param) = Params::parse(&format!(";{piece}"), true) else {
                continue;
            };
            for (name, value) in param.iter() {
                via.params.set(name, value);
            }
        }
        Some(via)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/{}/{} {}", self.version, self.transport.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}
