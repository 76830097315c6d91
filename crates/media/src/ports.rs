//! RTP ports: random even ones of a range, each with the RTCP port above it (RFC 3550 §11).

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::MediaError;

/// What an RTP socket holds: two seconds of video at 2 Mbit/s, so that a thread that was kept away loses nothing.
const RTP_BUFFER: usize = 512 * 1024;

/// Ports that others hold are passed over this often before the range counts as taken.
const TRIES_MAX: usize = 128;

/// The free ports. Shared by those who open legs; never touched on the packet path.
#[derive(Debug, Clone)]
pub struct PortPool {
    address: IpAddr,
    range: (u16, u16),
    free: Arc<Mutex<Free>>,
}

#[derive(Debug)]
struct Free {
    ports: Vec<u16>,
    leased: u64,
    rng: StdRng,
}

/// Two bound sockets; gives its ports back when dropped.
#[derive(Debug)]
pub struct Pair {
    /// RTP, non-blocking.
    pub rtp: UdpSocket,
    /// RTCP, non-blocking.
    pub rtcp: UdpSocket,
    /// Gives the ports back after the sockets are closed: fields drop in order.
    pub lease: Lease,
}

/// A leased port and the one above it.
#[derive(Debug)]
pub struct Lease {
    /// The RTP port.
    pub port: u16,
    pool: PortPool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut free = self.pool.lock();
        free.ports.push(self.port);
        free.leased = free.leased.saturating_sub(1);
    }
}

impl PortPool {
    /// All even ports of a range whose odd neighbour is in it too.
    ///
    /// # Errors
    /// [`MediaError::Config`] for a range without a pair.
    pub fn new(address: IpAddr, range: RangeInclusive<u16>, rng: StdRng) -> Result<PortPool, MediaError> {
        let (first, last) = range.into_inner();
        let ports: Vec<u16> = (first.max(1)..last).filter(|port| port % 2 == 0).collect();
        if ports.is_empty() {
            return Err(MediaError::Config(format!(
                "media.ports {first}-{last} holds no even port with its neighbour; give at least four ports for a call"
            )));
        }
        let free = Free { ports, leased: 0, rng };
        Ok(PortPool {
            address,
            range: (first, last),
            free: Arc::new(Mutex::new(free)),
        })
    }

    /// How many pairs are leased.
    pub fn leased(&self) -> u64 {
        self.lock().leased
    }

    /// Binds a random pair.
    ///
    /// # Errors
    /// [`MediaError::NoPorts`] when all are taken, [`MediaError::System`] when the address cannot be bound at all.
    pub fn lease(&self) -> Result<Pair, MediaError> {
        let (first, last) = self.range;
        let mut taken_by_others = Vec::new();
        let mut result = Err(MediaError::NoPorts { first, last });
        for _ in 0..TRIES_MAX {
            let Some(port) = self.take() else {
                break;
            };
            let lease = Lease {
                port,
                pool: self.clone(),
            };
            match self.bind_pair(port) {
                Ok((rtp, rtcp)) => {
                    result = Ok(Pair { rtp, rtcp, lease });
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => taken_by_others.push(lease),
                Err(source) => {
                    result = Err(MediaError::System {
                        what: "binding an RTP port",
                        source,
                    });
                    break;
                }
            }
        }
        // Only now, so that none was tried twice.
        drop(taken_by_others);
        result
    }

    fn take(&self) -> Option<u16> {
        let free = &mut *self.lock();
        if free.ports.is_empty() {
            return None;
        }
        let index = free.rng.random_range(0..free.ports.len());
        free.leased = free.leased.saturating_add(1);
        Some(free.ports.swap_remove(index))
    }

    fn bind_pair(&self, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        let rtp = bind(SocketAddr::new(self.address, port))?;
        // The system may grant less; that is no reason to refuse the call.
        let buffers = SockRef::from(&rtp);
        let _ = buffers.set_recv_buffer_size(RTP_BUFFER);
        let _ = buffers.set_send_buffer_size(RTP_BUFFER);
        let rtcp = bind(SocketAddr::new(self.address, port.saturating_add(1)))?;
        Ok((rtp, rtcp))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    // Flags of the one call: setting them later takes four more, for each of a leg's sockets.
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // What comes by IPv4 comes to a socket of IPv4.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A generator that is fixed by a seed, or by the system's entropy.
pub fn rng(seed: Option<u64>) -> StdRng {
    match seed {
        Some(seed) => StdRng::seed_from_u64(seed),
        None => rand::make_rng(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// A range of its own for each test and process, below the system's own ports.
    fn range(test: u16, len: u16) -> RangeInclusive<u16> {
        let first = 2_000 + (std::process::id() % 500) as u16 * 16 + test * 4;
        first..=first + len - 1
    }

    fn pool(range: RangeInclusive<u16>) -> PortPool {
        PortPool::new(LOCALHOST, range, rng(Some(1))).unwrap()
    }

    #[test]
    fn a_pair_is_even_and_its_neighbour() {
        let pair = pool(range(0, 4)).lease().unwrap();
        assert_eq!(pair.lease.port % 2, 0);
        assert_eq!(pair.rtp.local_addr().unwrap().port(), pair.lease.port);
        assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.lease.port + 1);
    }

    #[test]
    fn an_empty_range_says_which() {
        let range = range(1, 4);
        let (first, last) = (*range.start(), *range.end());
        let pool = pool(range);
        let both = [pool.lease().unwrap(), pool.lease().unwrap()];
        let error = pool.lease().unwrap_err();
        let why = format!("no free RTP port pair in {first}-{last}; widen media.ports");
        assert_eq!(error.to_string(), why);
        drop(both);
        assert_eq!(pool.leased(), 0);
        assert!(pool.lease().is_ok(), "what was given back is there again");
    }

    #[test]
    fn a_port_that_another_holds_is_passed_over() {
        let range = range(2, 4);
        let first = *range.start();
        let other = UdpSocket::bind((LOCALHOST, first + 1)).unwrap();
        assert_eq!(pool(range).lease().unwrap().lease.port, first + 2);
        drop(other);
    }

    #[test]
    fn a_range_without_a_pair_is_refused() {
        assert!(PortPool::new(LOCALHOST, 2_001..=2_002, rng(None)).is_err());
    }
}
