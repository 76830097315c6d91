//! Which addresses and names are ours.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use segue_call::Incoming;
use segue_policy::RedirectTarget;
use segue_sip::{Local, Protocol};
use segue_sip_wire::{Host, Uri};

/// Where we listen, by address and by name.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    sockets: Arc<[SocketAddr]>,
    names: Arc<[(String, u16)]>,
    /// As the first socket is said.
    host: Arc<str>,
}

impl Own {
    pub(crate) fn of(sockets: &[Local]) -> Own {
        let addresses = sockets.iter().flat_map(|socket| {
            let host: Option<IpAddr> = socket.advertise.trim_matches(['[', ']']).parse().ok();
            let advertised = host.map(|ip| SocketAddr::new(ip, default_port(socket)));
            [Some(socket.bind), socket.advertise.parse().ok().or(advertised)]
        });
        let names = sockets.iter().filter_map(|socket| {
            let (name, port) = match socket.advertise.rsplit_once(':') {
                Some((name, port)) => (name, port.parse().ok()?),
                None => (socket.advertise.as_str(), default_port(socket)),
            };
            let is_name = name.contains(|c: char| c.is_ascii_alphabetic()) && !name.contains(':');
            is_name.then(|| (name.to_ascii_lowercase(), port))
        });
        Own {
            sockets: addresses.flatten().collect(),
            names: names.collect(),
            host: sockets.first().map_or("localhost", |socket| &socket.advertise).into(),
        }
    }

    /// `host[:port]`, where a URI of ours is to name us.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether a URI names one of our own sockets.
    pub(crate) fn is_here(&self, uri: &Uri) -> bool {
        let port = uri.port_or_default();
        self.has(uri, |own| own == port)
    }

    /// Whether who is named by this URI is one of ours: its host is one of these domains, or an address or name of our own.
    pub(crate) fn serves(&self, uri: &Uri, domains: &[RedirectTarget]) -> bool {
        let bare = match uri.host() {
            Some(Host::V6(ip)) => ip.to_string(),
            Some(host) => host.to_string(),
            None => return true,
        };
        let is_port = |own: u16| uri.port().is_none_or(|port| port == own);
        let bare = bare.trim_end_matches('.');
        domains.is_empty() || domains.iter().any(|domain| domain.admits(bare)) || self.has(uri, is_port)
    }

    fn has(&self, uri: &Uri, is_port: impl Fn(u16) -> bool) -> bool {
        match uri.host() {
            None => false,
            Some(Host::Name(name)) => {
                let mut names = self.names.iter();
                names.any(|(own, port)| own.eq_ignore_ascii_case(name.trim_end_matches('.')) && is_port(*port))
            }
            Some(host) => host.ip().is_some_and(|ip| {
                let ip = ip.to_canonical();
                let is_own =
                    |own: &SocketAddr| own.ip().to_canonical() == ip || own.ip().is_unspecified() && ip.is_loopback();
                self.sockets.iter().any(|own| is_own(own) && is_port(own.port()))
            }),
        }
    }

    /// Tells a call.
    pub(crate) fn tell(&self, incoming: &mut Incoming) {
        incoming.own_sockets = Arc::clone(&self.sockets);
        incoming.own_names = Arc::clone(&self.names);
    }
}

/// What peers take where the port is not said (RFC 3261 §19.1.2).
fn default_port(socket: &Local) -> u16 {
    match socket.protocol {
        Protocol::Tls => 5061,
        _ => 5060,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_tls_the_port_that_is_not_said_is_another() {
        let local = |advertise: &str| Local {
            protocol: Protocol::Tls,
            bind: "10.0.0.1:5071".parse().unwrap(),
            advertise: advertise.into(),
        };
        let own = Own::of(&["sbc.example.com", "192.0.2.1", "192.0.2.2:5070"].map(local));
        assert_eq!(*own.names, [("sbc.example.com".to_owned(), 5061)]);
        let said = ["10.0.0.1:5071", "192.0.2.1:5061", "10.0.0.1:5071", "192.0.2.2:5070"];
        let said = said.map(|said| said.parse::<SocketAddr>().unwrap());
        assert!(said.iter().all(|said| own.sockets.contains(said)), "{:?}", own.sockets);
        assert!(!own.sockets.contains(&"192.0.2.1:5060".parse().unwrap()));
    }

    #[test]
    fn a_mapped_address_is_the_one_that_it_maps() {
        let local = |bind: &str| Local {
            protocol: Protocol::Udp,
            bind: bind.parse().unwrap(),
            advertise: "sbc.example.com".into(),
        };
        let is_here = |own: &Own, uri: &str| own.is_here(&uri.parse().unwrap());
        let one = Own::of(&[local("10.0.0.1:5060")]);
        for uri in [
            "sip:b@10.0.0.1",
            "sip:b@[::ffff:10.0.0.1]",
            "sip:b@[::ffff:a00:1]:5060",
            "sip:b@SBC.example.com.",
        ] {
            assert!(is_here(&one, uri), "{uri}");
        }
        assert!(!is_here(&one, "sip:b@10.0.0.1:5070") && !is_here(&one, "sip:b@10.0.0.2"));
        let any = Own::of(&[local("[::]:5060")]);
        assert!(is_here(&any, "sip:b@127.0.0.1") && is_here(&any, "sip:b@[::ffff:127.0.0.1]"));
    }

    #[test]
    fn what_we_advertise_is_ours_too() {
        let local = |advertise: &str| Local {
            protocol: Protocol::Udp,
            bind: "10.0.0.1:5070".parse().unwrap(),
            advertise: advertise.into(),
        };
        let own = Own::of(
            &[
                "SBC.example.com",
                "b.example.com:5070",
                "192.0.2.1",
                "[2001:db8::2]",
                "[2001:db8::1]:5080",
            ]
            .map(local),
        );
        let names: Vec<(&str, u16)> = own.names.iter().map(|(name, port)| (name.as_str(), *port)).collect();
        assert_eq!(names, [("sbc.example.com", 5060), ("b.example.com", 5070)]);
        for ours in [
            "10.0.0.1:5070",
            "192.0.2.1:5060",
            "[2001:db8::2]:5060",
            "[2001:db8::1]:5080",
        ] {
            assert!(own.sockets.contains(&ours.parse().unwrap()), "{ours}");
        }
    }
}
