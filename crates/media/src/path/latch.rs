//! Symmetric RTP: packets go to where packets come from, once, and only within the address that is trusted.

use std::net::{IpAddr, SocketAddr};

use crate::Trust;

/// Where one RTP or RTCP flow goes to and may come from.
#[derive(Debug, Clone, Default)]
pub struct Latch {
    trust: Trust,
    signalled: Option<SocketAddr>,
    latched: Option<SocketAddr>,
    /// RTP of the same peer has come from here.
    proven: Option<IpAddr>,
}

impl Latch {
    /// Whose word counts from now on.
    pub fn trust(&mut self, trust: Trust) {
        self.trust = trust;
    }

    /// Takes what the peer signalled. A change lets it latch anew, a repetition changes nothing.
    pub fn signal(&mut self, address: Option<SocketAddr>) {
        if self.signalled != address {
            self.signalled = address;
            self.latched = None;
        }
    }

    /// Where to send; `None` while the peer wants nothing (RFC 3264 §8.4), or has not shown that it is there.
    pub fn remote(&self) -> Option<SocketAddr> {
        let signalled = self.signalled?;
        self.latched.or_else(|| {
            let believed = match self.trust {
                Trust::Signalled => true,
                Trust::Proven(source) => [Some(source), self.proven].contains(&Some(signalled.ip())),
                Trust::Nat(source) => source == signalled.ip(),
            };
            believed.then_some(signalled)
        })
    }

    /// Whether a packet from `from` may be the peer's.
    pub fn admits(&self, from: SocketAddr) -> bool {
        match (self.latched, self.signalled, self.trust) {
            (Some(latched), ..) => latched == from,
            (None, Some(_), Trust::Nat(source)) => source == from.ip(),
            (None, Some(signalled), Trust::Signalled | Trust::Proven(_)) => signalled.ip() == from.ip(),
            (None, None, _) => false,
        }
    }

    /// A valid packet came from `from`, which was admitted: the first one latches.
    pub fn heard(&mut self, from: SocketAddr) {
        if self.latched.is_none() {
            self.latched = Some(from);
        }
    }

    /// RTP of this peer came from here, on this flow or another of its own.
    pub fn proven(&mut self, from: IpAddr) {
        self.proven = Some(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn latch() -> Latch {
        let mut latch = Latch::default();
        latch.signal(Some(at("192.0.2.1:4000")));
        latch
    }

    #[test]
    fn the_first_packet_of_the_signalled_host_moves_the_port() {
        let mut latch = latch();
        assert!(latch.admits(at("192.0.2.1:5555")));
        latch.heard(at("192.0.2.1:5555"));
        assert_eq!(latch.remote(), Some(at("192.0.2.1:5555")));
    }

    #[test]
    fn it_latches_only_once() {
        let mut latch = latch();
        latch.heard(at("192.0.2.1:5555"));
        assert!(!latch.admits(at("192.0.2.1:6666")));
        latch.heard(at("192.0.2.1:6666"));
        assert_eq!(latch.remote(), Some(at("192.0.2.1:5555")));
    }

    #[test]
    fn another_host_is_never_admitted() {
        assert!(!latch().admits(at("192.0.2.9:4000")));
    }

    #[test]
    fn only_a_new_signalled_address_lets_it_move() {
        let mut latch = latch();
        latch.heard(at("192.0.2.1:5555"));
        latch.signal(Some(at("192.0.2.1:4000")));
        assert_eq!(latch.remote(), Some(at("192.0.2.1:5555")));
        latch.signal(Some(at("192.0.2.1:7000")));
        assert_eq!(latch.remote(), Some(at("192.0.2.1:7000")));
    }

    #[test]
    fn a_peer_that_wants_nothing_gets_nothing() {
        let mut latch = latch();
        latch.heard(at("192.0.2.1:5555"));
        latch.signal(None);
        assert_eq!(latch.remote(), None);
        assert!(!latch.admits(at("192.0.2.1:5555")));
    }

    #[test]
    fn nothing_goes_to_an_address_that_has_not_shown_itself() {
        let (source, elsewhere) = (at("198.51.100.7:5060").ip(), at("192.0.2.1:5555"));
        let mut latch = latch();
        latch.trust(Trust::Proven(source));
        assert_eq!(latch.remote(), None);
        assert!(
            !latch.admits(SocketAddr::new(source, 4_000)),
            "SIP's address did not signal itself"
        );
        assert!(latch.admits(elsewhere));
        latch.heard(elsewhere);
        assert_eq!(latch.remote(), Some(elsewhere));
        // Moved to yet another address: that one has to show itself again.
        latch.signal(Some(at("203.0.113.3:4000")));
        assert_eq!(latch.remote(), None);
        // What the peer's other flow has shown counts for this one.
        latch.proven(at("203.0.113.3:1").ip());
        assert_eq!(latch.remote(), Some(at("203.0.113.3:4000")));
        latch.signal(Some(SocketAddr::new(source, 4_000)));
        assert_eq!(
            latch.remote(),
            Some(SocketAddr::new(source, 4_000)),
            "SIP came from there"
        );
    }

    #[test]
    fn behind_a_nat_the_address_of_its_sip_counts() {
        let source = at("198.51.100.7:31000");
        let mut latch = latch();
        latch.trust(Trust::Nat(source.ip()));
        assert_eq!(latch.remote(), None, "a private address, or somebody else's");
        assert!(!latch.admits(at("192.0.2.1:4000")));
        assert!(latch.admits(source));
        latch.heard(source);
        assert_eq!(latch.remote(), Some(source));
    }
}
