//! One contact of a subscriber, and how it is reached.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Instant,
};

use segue_sip_wire::{Host, Uri};

/// What a REGISTER came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// As a URI's `transport` names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }
}

/// A transport that we do not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no transport that is spoken here")]
pub struct UnknownTransport;

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Transport, UnknownTransport> {
        [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownTransport)
    }
}

/// Where a REGISTER came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// By what.
    pub transport: Transport,
    /// Our socket.
    pub local: SocketAddr,
    /// The sender's address as we see it.
    pub remote: SocketAddr,
    /// Its connection, while that lives; a restart forgets it.
    pub flow: Option<u64>,
}

/// One contact of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where the subscriber says it is.
    pub contact: Uri,
    /// How much it is preferred, thousandths.
    pub q: u16,
    /// Until when.
    pub until: Instant,
    /// Call-ID of the REGISTER that said so last.
    pub call_id: String,
    /// Its CSeq.
    pub cseq: u32,
    /// `+sip.instance`, as written: the device (RFC 5626 §4.1).
    pub instance: Option<String>,
    /// `reg-id`: which of the device's flows.
    pub reg_id: Option<u32>,
    /// Path, first hop first, as written (RFC 3327).
    pub path: Vec<String>,
    /// User-Agent.
    pub user_agent: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// It is called where it came from, whatever its contact says: it is behind a NAT, or has a connection.
    pub by_source: bool,
}

impl Binding {
    /// Its Path as the Route of requests to it (RFC 3327 §5.3).
    pub fn route(&self) -> Vec<Uri> {
        let uri = |text: &String| Some(text.parse::<segue_sip_wire::NameAddr>().ok()?.uri);
        self.path.iter().filter_map(uri).collect()
    }

    /// Whether calls may still go there, wherever the binding was kept.
    pub fn may_be_called(&self, places: &dyn Places) -> bool {
        let route = self.route();
        // A hop that no longer reads would have the next one called.
        let reads = route.len() == self.path.len();
        let at = route.first().unwrap_or(&self.contact);
        let is_open = || !is_nowhere(at) && !places.is_here(at) && (is_at(at, &self.source) || places.admits(at));
        self.by_source || reads && is_open()
    }
}

/// Whether who says to be at `contact` is elsewhere, seen from here: behind a NAT. A host name is believed; on a connection only the
/// address counts, as its port there is nobody's.
pub(crate) fn is_elsewhere(contact: &Uri, source: &Source) -> bool {
    let Some(ip) = contact.host().and_then(Host::ip) else {
        return false;
    };
    let port = contact.port().unwrap_or(5060);
    ip.to_canonical() != source.remote.ip().to_canonical()
        || source.transport == Transport::Udp && port != source.remote.port()
}

/// What is known of places that subscribers name.
pub trait Places {
    /// Whether a URI names this server.
    fn is_here(&self, uri: &Uri) -> bool;
    /// Whether subscribers may be called there though they register from elsewhere.
    fn admits(&self, uri: &Uri) -> bool;
}

/// Whether a URI names the address that a REGISTER came from, whatever the port.
pub(crate) fn is_at(uri: &Uri, source: &Source) -> bool {
    let ip = uri.host().and_then(Host::ip);
    ip.is_some_and(|ip| ip.to_canonical() == source.remote.ip().to_canonical())
}

/// Whether nobody's phone is there: the address is that of many or of none, or not the one that the host says.
pub(crate) fn is_nowhere(uri: &Uri) -> bool {
    let of_nobody = |ip: IpAddr| {
        let ip = ip.to_canonical();
        ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST)
    };
    uri.host().and_then(Host::ip).is_some_and(of_nobody) || uri.port() == Some(0) || uri.param("maddr").is_some()
}
