//! A copy of each SIP message for Homer, by HEPv3 over UDP ("HEP/EEP: the Homer Encapsulation Protocol, version 3").
//!
//! The copy must never cost a call: a datagram that the system does not take at once is lost, and counted.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{Peer, Protocol};

/// What a UDP datagram carries at most (IPv4), and HEP's length field can say.
const DATAGRAM_MAX: usize = 65_507;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To us.
    In,
    /// From us.
    Out,
}

/// How many copies went out and how many did not. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HepStats(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    lost: AtomicU64,
}

impl HepStats {
    /// Copies given to the network.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Relaxed)
    }

    /// Copies that the system did not take at once, or that no datagram holds.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }
}

/// Where copies go.
#[derive(Debug)]
pub struct Hep {
    socket: UdpSocket,
    capture_id: u32,
    buffer: Vec<u8>,
    stats: HepStats,
}

impl Hep {
    /// Copies for the collector at this address, which knows us by `capture_id`.
    ///
    /// # Errors
    /// No socket can be had, or the address has no route.
    pub fn to(collector: SocketAddr, capture_id: u32, stats: HepStats) -> std::io::Result<Hep> {
        let any: IpAddr = match collector {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(collector)?;
        socket.set_nonblocking(true)?;
        Ok(Hep {
            socket,
            capture_id,
            buffer: Vec::new(),
            stats,
        })
    }

    /// Sends a copy of a message that came from or goes to this peer.
    pub(super) fn copy(&mut self, way: Way, peer: &Peer, message: &[u8]) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let fits = encode(&mut self.buffer, way, peer, at, self.capture_id, message);
        // A collector that is down answers with ICMP, which fails the next send: that copy is lost too.
        let count = if fits && self.socket.send(&self.buffer).is_ok() {
            &self.stats.0.sent
        } else {
            &self.stats.0.lost
        };
        count.fetch_add(1, Relaxed);
    }
}

/// Writes the whole datagram; whether it fits into one. `at` is Unix time.
fn encode(out: &mut Vec<u8>, way: Way, peer: &Peer, at: Duration, capture_id: u32, message: &[u8]) -> bool {
    out.clear();
    out.extend_from_slice(b"HEP3\0\0");
    let (source, destination) = match way {
        Way::In => (peer.remote, peer.local),
        Way::Out => (peer.local, peer.remote),
    };
    let is_v6 = source.is_ipv6() || destination.is_ipv6();
    chunk(out, 0x0001, &[if is_v6 { 10 } else { 2 }]);
    chunk(
        out,
        0x0002,
        &[match peer.protocol {
            Protocol::Udp => 17,
            Protocol::Tcp | Protocol::Tls => 6,
        }],
    );
    for (v4, v6, address) in [(0x0003, 0x0005, source.ip()), (0x0004, 0x0006, destination.ip())] {
        match address {
            IpAddr::V4(ip) if !is_v6 => chunk(out, v4, &ip.octets()),
            // One family for both.
            IpAddr::V4(ip) => chunk(out, v6, &ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => chunk(out, v6, &ip.octets()),
        }
    }
    chunk(out, 0x0007, &source.port().to_be_bytes());
    chunk(out, 0x0008, &destination.port().to_be_bytes());
    // The field has 32 bits, until 2106.
    chunk(
        out,
        0x0009,
        &u32::try_from(at.as_secs()).unwrap_or(u32::MAX).to_be_bytes(),
    );
    chunk(out, 0x000a, &at.subsec_micros().to_be_bytes());
    const SIP: u8 = 1;
    chunk(out, 0x000b, &[SIP]);
    chunk(out, 0x000c, &capture_id.to_be_bytes());
    let payload_at = out.len();
    chunk(out, 0x000f, message);
    hide_keys(out.get_mut(payload_at..).unwrap_or_default());
    let fits = out.len() <= DATAGRAM_MAX;
    if let (Ok(length), Some(field)) = (u16::try_from(out.len()), out.get_mut(4..6)) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    fits
}

/// What stands before a key of SRTP in a description (RFC 4568 §9.2).
const KEY_AHEAD: &[u8] = b"inline:";

/// Overwrites keys of SRTP, each as long as it was: whoever reads copies of messages shall not hear what was said.
fn hide_keys(message: &mut [u8]) {
    let mut at = 0;
    while let Some(rest) = message.get_mut(at..).filter(|rest| rest.len() > KEY_AHEAD.len()) {
        let (head, key) = rest.split_at_mut(KEY_AHEAD.len());
        if !head.eq_ignore_ascii_case(KEY_AHEAD) {
            at = at.saturating_add(1);
            continue;
        }
        let is_key = |byte: &&mut u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        key.iter_mut().take_while(is_key).for_each(|byte| *byte = b'x');
        at = at.saturating_add(KEY_AHEAD.len());
    }
}

/// One chunk of the generic vendor: vendor, type, length with these six bytes, content.
fn chunk(out: &mut Vec<u8>, kind: u16, content: &[u8]) {
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&kind.to_be_bytes());
    let length = u16::try_from(content.len().saturating_add(6)).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(content);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    /// The chunks of a datagram: type and content.
    fn chunks(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        assert_eq!(&bytes[..4], b"HEP3");
        assert_eq!(usize::from(u16::from_be_bytes([bytes[4], bytes[5]])), bytes.len());
        let mut rest = &bytes[6..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            assert_eq!(&rest[..2], [0, 0], "the generic vendor");
            let length = usize::from(u16::from_be_bytes([rest[4], rest[5]]));
            found.push((u16::from_be_bytes([rest[2], rest[3]]), rest[6..length].to_vec()));
            rest = &rest[length..];
        }
        found
    }

    fn peer(local: &str, remote: &str) -> Peer {
        Peer {
            protocol: Protocol::Udp,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            flow: None,
        }
    }

    #[test]
    fn a_message_that_came_says_from_where_to_where_and_when() {
        let mut out = Vec::new();
        let peer = peer("192.0.2.1:5060", "192.0.2.9:5070");
        let at = Duration::from_micros(1_700_000_000_000_042);
        assert!(encode(
            &mut out,
            Way::In,
            &peer,
            at,
            2001,
            b"OPTIONS sip:x SIP/2.0\r\n\r\n"
        ));
        let expected: Vec<(u16, Vec<u8>)> = vec![
            (1, vec![2]),
            (2, vec![17]),
            (3, vec![192, 0, 2, 9]),
            (4, vec![192, 0, 2, 1]),
            (7, 5070_u16.to_be_bytes().to_vec()),
            (8, 5060_u16.to_be_bytes().to_vec()),
            (9, 1_700_000_000_u32.to_be_bytes().to_vec()),
            (10, 42_u32.to_be_bytes().to_vec()),
            (11, vec![1]),
            (12, 2001_u32.to_be_bytes().to_vec()),
            (15, b"OPTIONS sip:x SIP/2.0\r\n\r\n".to_vec()),
        ];
        assert_eq!(chunks(&out), expected);
    }

    #[test]
    fn one_that_goes_by_ipv6_says_so() {
        let mut out = Vec::new();
        let peer = peer("[2001:db8::1]:5060", "[2001:db8::9]:5070");
        assert!(encode(&mut out, Way::Out, &peer, Duration::ZERO, 1, b"x"));
        let found = chunks(&out);
        assert_eq!(found[0], (1, vec![10]));
        assert_eq!(found[2].0, 5);
        assert_eq!(found[2].1[..4], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!((found[2].1[15], found[3].1[15]), (1, 9), "from us to the peer");
    }

    #[test]
    fn what_no_datagram_holds_is_not_sent_cut() {
        let mut out = Vec::new();
        let peer = peer("192.0.2.1:5060", "192.0.2.9:5070");
        assert!(!encode(&mut out, Way::In, &peer, Duration::ZERO, 1, &[b'x'; 65_500]));
    }

    #[test]
    fn keys_of_srtp_are_not_in_the_copy() {
        let message = b"INVITE sip:x SIP/2.0\r\nContent-Length: 99\r\n\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 \
            inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4\r\na=crypto:2 X INLINE:ab+/cd==;inline:efgh\r\ninline:";
        let mut out = Vec::new();
        let peer = peer("192.0.2.1:5060", "192.0.2.9:5070");
        assert!(encode(&mut out, Way::Out, &peer, Duration::ZERO, 1, message));
        let copy = chunks(&out).pop().unwrap().1;
        assert_eq!(copy.len(), message.len());
        let copy = String::from_utf8(copy).unwrap();
        assert!(
            copy.ends_with("inline:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx|2^20|1:4\r\na=crypto:2 X INLINE:xxxxxxxx;inline:xxxx\r\ninline:"),
            "{copy}"
        );
        assert!(copy.starts_with("INVITE sip:x SIP/2.0\r\nContent-Length: 99\r\n"));
    }
}
