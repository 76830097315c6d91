//! SIP over sockets: UDP, TCP and TLS on tokio. Bytes become messages here; nothing else is decided.
//!
//! Everything is bounded: connections, each connection's write queue, the way in. A queue that is full on UDP is a lost
//! datagram, which the transaction layer repairs; on a connection it is a failed send.

mod hep;
mod resolver;
mod stream;
mod tcp;
mod tls;
mod udp;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use segue_sip_wire::{Message, ParseError};
use tokio::sync::mpsc;

use crate::{FlowId, Peer, Protocol, Transmit};
use hep::Way;
pub use hep::{Hep, HepStats};
pub use resolver::{NotFound, Resolver};
use stream::{Flow, Flows};
pub use tls::{Tls, TlsError, TlsFile, TlsFiles, TlsRenewal};
use udp::UdpSender;

/// Received messages that may wait for the shard.
const INBOUND_DEPTH: usize = 4_096;

/// Times and bounds of the transports.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A TCP connection attempt.
    pub connect: Duration,
    /// A TLS handshake.
    pub handshake: Duration,
    /// One write to a connection.
    pub write: Duration,
    /// From the first byte of a message on a connection to its last.
    pub message: Duration,
    /// Silence on an accepted connection on which we have not sent anything: its source may be nobody we know.
    pub idle_new: Duration,
    /// Silence on any other connection.
    pub idle: Duration,
    /// Accepted connections at once.
    pub connections_max: usize,
    /// Of these from one source.
    pub source_max: usize,
    /// Messages that may wait to be written to one connection.
    pub write_queue: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            write: Duration::from_secs(5),
            message: Duration::from_secs(10),
            idle_new: Duration::from_secs(10),
            idle: Duration::from_secs(1_800),
            connections_max: 1_024,
            source_max: 256,
            write_queue: 256,
        }
    }
}

impl Limits {
    /// Connections at once, those that we open included.
    fn flows_max(&self) -> usize {
        self.connections_max.saturating_mul(2)
    }
}

/// A socket that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("{addr}: {why}")]
pub struct BindError {
    /// Which.
    pub addr: SocketAddr,
    /// The system's word.
    pub why: String,
}

/// What came in.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Peer, Message),
    /// Bytes that are none.
    Unparsable(Peer, ParseError),
    /// The transmit of this id could not be sent, or its destination refused it.
    SendFailed(u64),
    /// A connection has ended.
    FlowClosed(FlowId),
}

/// All SIP sockets of one shard.
pub struct Transports {
    udp: BTreeMap<SocketAddr, UdpSender>,
    /// Listening for connections, TCP before TLS.
    listening: Vec<(Protocol, SocketAddr)>,
    flows: Flows,
    inbound: mpsc::Receiver<Inbound>,
    hep: Option<Hep>,
    waited: Duration,
}

/// What socket tasks say.
#[derive(Debug)]
enum Inbound {
    Received(Received),
    /// The same, with when it arrived.
    Arrived(Instant, Received),
    /// A connection was accepted: this is the way to write to it.
    Accepted(FlowId, Flow),
}

impl Transports {
    /// Binds every socket or none. Port 0 takes a free one.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub fn bind(udp: &[SocketAddr], tcp: &[SocketAddr]) -> Result<Transports, BindError> {
        Transports::bind_with(udp, tcp, Limits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub fn bind_with(udp: &[SocketAddr], tcp: &[SocketAddr], limits: Limits) -> Result<Transports, BindError> {
        let (to_shard, inbound) = mpsc::channel(INBOUND_DEPTH);
        let mut senders = BTreeMap::new();
        for addr in udp {
            let (bound, sender) = udp::start(*addr, to_shard.clone()).map_err(|e| refused(*addr, &e))?;
            senders.insert(bound, sender);
        }
        let flows = Flows::new(to_shard, limits);
        let mut listening = Vec::new();
        for addr in tcp {
            let bound = tcp::listen(Protocol::Tcp, *addr, flows.shared()).map_err(|e| refused(*addr, &e))?;
            listening.push((Protocol::Tcp, bound));
        }
        Ok(Transports {
            udp: senders,
            listening,
            flows,
            inbound,
            hep: None,
            waited: Duration::ZERO,
        })
    }

    /// From now on each message, in and out, is copied there.
    pub fn copy_to(&mut self, hep: Hep) {
        self.hep = Some(hep);
    }

    /// Listens for TLS as well. What is given back takes new certificates.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub fn listen_tls(&mut self, addrs: &[SocketAddr], tls: Tls) -> Result<TlsRenewal, BindError> {
        let renewal = TlsRenewal(self.flows.shared());
        renewal.renew(tls);
        for addr in addrs {
            let bound = tcp::listen(Protocol::Tls, *addr, self.flows.shared()).map_err(|e| refused(*addr, &e))?;
            self.listening.push((Protocol::Tls, bound));
        }
        Ok(renewal)
    }

    /// What is bound, UDP first.
    pub fn local_addrs(&self) -> Vec<(Protocol, SocketAddr)> {
        let udp = self.udp.keys().map(|a| (Protocol::Udp, *a));
        udp.chain(self.listening.iter().copied()).collect()
    }

    /// The next thing that came in. Cancel-safe.
    pub async fn recv(&mut self) -> Received {
        loop {
            match self.inbound.recv().await {
                Some(Inbound::Accepted(id, flow)) => self.flows.insert(id, flow),
                Some(Inbound::Arrived(at, received)) => {
                    self.waited = at.elapsed();
                    if let (Some(hep), Received::Message(peer, message)) = (&mut self.hep, &received) {
                        hep.copy(Way::In, peer, &message.to_bytes());
                    }
                    return received;
                }
                Some(Inbound::Received(received)) => {
                    self.waited = Duration::ZERO;
                    if let Received::FlowClosed(id) = received {
                        self.flows.remove(id);
                    }
                    return received;
                }
                // `flows` holds a sender, so the channel never closes.
                None => std::future::pending().await,
            }
        }
    }

    /// How long what came in last had waited: by UDP since the system had it, by TCP since it was read.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// How much waits to be received.
    pub fn waiting(&self) -> usize {
        self.inbound.len()
    }

    /// Sends now, or queues. A failure comes back as `SendFailed`.
    pub fn send(&mut self, transmit: Transmit) {
        if let Some(hep) = &mut self.hep {
            hep.copy(Way::Out, &transmit.peer, &transmit.bytes);
        }
        match transmit.peer.protocol {
            Protocol::Tcp | Protocol::Tls => self.flows.send(transmit),
            Protocol::Udp => {
                // The one named, or the first that can reach it.
                let ipv4 = transmit.peer.remote.is_ipv4();
                let fits = |local: &SocketAddr| local.is_ipv4() == ipv4;
                let named = self
                    .udp
                    .get(&transmit.peer.local)
                    .filter(|_| fits(&transmit.peer.local));
                let other = || self.udp.iter().find(|(local, _)| fits(local)).map(|(_, sender)| sender);
                let bound = named.or_else(other);
                match bound {
                    Some(socket) => socket.send(&transmit),
                    None => self.flows.fail(transmit.id),
                }
            }
        }
    }
}

fn refused(addr: SocketAddr, error: &std::io::Error) -> BindError {
    let why = match error.kind() {
        std::io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        std::io::ErrorKind::PermissionDenied => "not allowed (ports below 1024 need CAP_NET_BIND_SERVICE)".to_owned(),
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    };
    BindError { addr, why }
}
