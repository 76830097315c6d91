//! SIP over UDP. A destination that answers with ICMP "unreachable" is reported against the last transmit to it.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::sys::{
    socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt},
    time::TimeSpec,
};
use segue_sip_wire::Message;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::{io::Interest, net::UdpSocket, sync::mpsc};

use super::{Inbound, Received};
use crate::{Peer, Protocol, Transmit};

/// Datagrams up to this size are received (RFC 3261 §18.1.1).
const DATAGRAM_MAX: usize = 65_535;
/// Asked of the system for each direction; it may give less.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Transmits remembered for ICMP errors.
const RECENT_MAX: usize = 512;
/// ICMP errors read in one go.
const ERRORS_MAX: usize = 64;
/// No datagram waits for longer than this.
const WAITED_MAX: Duration = Duration::from_secs(10);

/// The sending side of one socket.
pub(super) struct UdpSender {
    socket: Arc<UdpSocket>,
    recent: Arc<Mutex<Recent>>,
    to_shard: mpsc::Sender<Inbound>,
}

/// The last transmits by destination, so that an ICMP error finds its own.
#[derive(Default)]
struct Recent(VecDeque<(SocketAddr, u64)>);

impl Recent {
    fn note(&mut self, remote: SocketAddr, id: u64) {
        if self.0.len() >= RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((remote, id));
    }

    /// The transmits to this destination, each once.
    fn take(&mut self, remote: SocketAddr) -> Vec<u64> {
        let ids = self.0.iter().filter(|(r, _)| *r == remote).map(|(_, id)| *id).collect();
        self.0.retain(|(r, _)| *r != remote);
        ids
    }
}

/// Binds a socket and starts its reader.
pub(super) fn start(addr: SocketAddr, to_shard: mpsc::Sender<Inbound>) -> io::Result<(SocketAddr, UdpSender)> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
    // Smaller buffers than asked for are no fault.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    if addr.is_ipv6() {
        // `[::]` beside `0.0.0.0`: each socket has its own family, and sources are what they seem.
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    // How long a datagram waits before it is read is known by the system alone.
    // Without the other one an unreachable destination is found only by the transaction's time-out.
    let _ = setsockopt(&socket, sockopt::ReceiveTimestampns, &true);
    let _ = match addr {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
    };
    let socket = Arc::new(UdpSocket::from_std(socket.into())?);
    let bound = socket.local_addr()?;
    let recent = Arc::default();
    let sender = UdpSender {
        socket: Arc::clone(&socket),
        recent: Arc::clone(&recent),
        to_shard: to_shard.clone(),
    };
    tokio::spawn(read(socket, bound, recent, to_shard));
    Ok((bound, sender))
}

impl UdpSender {
    pub(super) fn send(&self, transmit: &Transmit) {
        let remote = transmit.peer.remote;
        self.recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(remote, transmit.id);
        // Straight to the system: tokio's own try_send_to knows only the readiness of its last poll.
        let (socket, to) = (SockRef::from(&*self.socket), remote.into());
        let mut sent = socket.send_to(&transmit.bytes, &to);
        if sent
            .as_ref()
            .is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
        {
            // The error of an earlier datagram; this one has not been tried.
            sent = socket.send_to(&transmit.bytes, &to);
        }
        match sent {
            Ok(_) => {}
            // The socket's buffer is full: a lost datagram, sent again by its transaction.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                tracing::debug!(%remote, "a datagram was dropped: the socket's buffer is full");
            }
            Err(e) => {
                tracing::debug!(%remote, error = %e, "a datagram could not be sent");
                let _ = self
                    .to_shard
                    .try_send(Inbound::Received(Received::SendFailed(transmit.id)));
            }
        }
    }
}

async fn read(socket: Arc<UdpSocket>, local: SocketAddr, recent: Arc<Mutex<Recent>>, to_shard: mpsc::Sender<Inbound>) {
    let mut buffer = vec![0u8; DATAGRAM_MAX];
    let mut space = nix::cmsg_space!(TimeSpec);
    loop {
        // The error queue wakes nobody who waits for reading alone.
        let Ok(ready) = socket.ready(Interest::READABLE | Interest::ERROR).await else {
            return;
        };
        if ready.is_error() {
            for id in refused(&socket, &recent) {
                if to_shard
                    .send(Inbound::Received(Received::SendFailed(id)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
        // An error here is of an earlier datagram, told by the error queue.
        let next = socket.try_io(Interest::READABLE, || next_datagram(&socket, &mut buffer, &mut space));
        let Ok((len, Some(remote), waited)) = next else {
            continue;
        };
        let now = Instant::now();
        let arrived = now.checked_sub(waited).unwrap_or(now);
        let datagram = buffer.get(..len).unwrap_or_default();
        // CRLF keep-alives need no answer on UDP (RFC 5626 §4.4.2 uses STUN).
        if datagram.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            continue;
        }
        let peer = Peer {
            protocol: Protocol::Udp,
            local,
            remote,
            flow: None,
        };
        let received = match Message::parse_datagram(datagram) {
            Ok(message) => Received::Message(peer, message),
            Err(error) => Received::Unparsable(peer, error),
        };
        if to_shard.send(Inbound::Arrived(arrived, received)).await.is_err() {
            return;
        }
    }
}

/// One datagram: its length, where it came from, and how long it has waited since the system had it.
fn next_datagram(
    socket: &UdpSocket,
    buffer: &mut [u8],
    space: &mut [u8],
) -> io::Result<(usize, Option<SocketAddr>, Duration)> {
    let mut iov = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut iov, Some(space), MsgFlags::MSG_DONTWAIT)?;
    let stamp = message.cmsgs().ok().and_then(|mut all| {
        all.find_map(|one| match one {
            ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
            _ => None,
        })
    });
    // The stamp is wall-clock time. Where the clock has been set meanwhile, nothing is known.
    let waited = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .zip(stamp)
        .and_then(|(now, stamp)| now.checked_sub(stamp))
        .filter(|waited| *waited < WAITED_MAX);
    let remote = message.address.as_ref().and_then(socket_addr);
    Ok((message.bytes, remote, waited.unwrap_or_default()))
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|a| SocketAddr::from((a.ip(), a.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| SocketAddr::from((a.ip(), a.port()))))
}

/// Reads the socket's error queue: the transmits that ICMP says did not arrive.
fn refused(socket: &UdpSocket, recent: &Mutex<Recent>) -> Vec<u64> {
    let mut ids = Vec::new();
    for _ in 0..ERRORS_MAX {
        let Ok(Some(remote)) = socket.try_io(Interest::ERROR, || next_error(socket)) else {
            break;
        };
        ids.extend(recent.lock().unwrap_or_else(PoisonError::into_inner).take(remote));
    }
    ids
}

/// One entry of the error queue: where the datagram that failed had gone.
fn next_error(socket: &UdpSocket) -> io::Result<Option<SocketAddr>> {
    let mut head = [0u8; 64];
    let mut iov = [IoSliceMut::new(&mut head)];
    let mut space = nix::cmsg_space!([u8; 128]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut iov, Some(&mut space), flags)?;
    let icmp = message.cmsgs()?.any(|c| {
        matches!(
            c,
            ControlMessageOwned::Ipv4RecvErr(..) | ControlMessageOwned::Ipv6RecvErr(..)
        )
    });
    Ok(message.address.filter(|_| icmp).as_ref().and_then(socket_addr))
}
