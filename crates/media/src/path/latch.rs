//! Symmetric RTP: packets go to where packets come from, once, and only within the signalled address.

use std::net::SocketAddr;

/// Where one RTP or RTCP flow goes to and may come from.
#[derive(Debug, Clone, Default)]
pub struct Latch {
    signalled: Option<SocketAddr>,
    latched: Option<SocketAddr>,
}

impl Latch {
    /// Takes what the peer signalled. A change lets it latch anew, a repetition changes nothing.
    pub fn signal(&mut self, address: Option<SocketAddr>) {
        if self.signalled != address {
            self.signalled = address;
            self.latched = None;
        }
    }

    /// Where to send; `None` while the peer wants nothing (RFC 3264 §8.4).
    pub fn remote(&self) -> Option<SocketAddr> {
        self.signalled.and(self.latched.or(self.signalled))
    }

    /// Whether a packet from `from` may be the peer's.
    pub fn admits(&self, from: SocketAddr) -> bool {
        match (self.latched, self.signalled) {
            (Some(latched), _) => latched == from,
            (None, Some(signalled)) => signalled.ip() == from.ip(),
            (None, None) => false,
        }
    }

    /// A valid packet came from `from`, which was admitted: the first one latches.
    pub fn heard(&mut self, from: SocketAddr) {
        if self.latched.is_none() {
            self.latched = Some(from);
        }
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
}
