//! Who must be at the other end of a TLS connection (RFC 5922 §7.3).

#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use segue_sip_wire::{Host, Message};

use crate::api::{Peer, Protocol};

/// A transport parameter that a `sips:` URI may have: "tcp" is TLS over TCP there (RFC 3261 §26.2.2).
pub(crate) fn is_secure(transport: &str) -> bool {
    ["tls", "tcp"].iter().any(|name| transport.eq_ignore_ascii_case(name))
}

/// Of a request the domain of the URI that it goes to first, of a response sent-by's host. `None` for an address, which proves
/// itself, and where there is no TLS.
pub(crate) fn domain_of(message: &Message, peer: Peer) -> Option<Arc<str>> {
    if peer.protocol != Protocol::Tls {
        return None;
    }
    if !message.is_request() {
        return name(&message.top_via().ok()?.host);
    }
    let routes = message.routes("Route").unwrap_or_default();
    // A strict router stands in the Request-URI (RFC 3261 §12.2.1.1).
    let first = routes.first().filter(|route| route.uri.param("lr").is_some());
    let uri = first.map(|route| &route.uri).or(message.request_uri());
    name(uri?.host()?)
}

/// Who must be at a host, when that is a name.
pub(crate) fn name(host: &Host) -> Option<Arc<str>> {
    match host {
        Host::Name(name) => Some(Arc::from(name.to_ascii_lowercase())),
        _ => None,
    }
}
