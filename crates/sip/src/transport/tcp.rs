//! SIP over TCP: one task reads a connection, one writes it.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use segue_sip_wire::{Frame, StreamFramer};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{Inbound, Limits, Received};
use crate::{FlowId, Peer, Protocol, Transmit};

const READ_BYTES: usize = 16 * 1024;

/// One connection, as far as a sender needs to know it.
#[derive(Debug)]
pub(super) struct Flow {
    remote: SocketAddr,
    queue: mpsc::Sender<(u64, Bytes)>,
}

/// All connections.
pub(super) struct Flows {
    flows: BTreeMap<FlowId, Flow>,
    /// The living connection to each remote address.
    by_remote: BTreeMap<SocketAddr, FlowId>,
    shared: Arc<Shared>,
}

/// What every connection's tasks hold.
struct Shared {
    to_shard: mpsc::Sender<Inbound>,
    limits: Limits,
    next_id: AtomicU64,
    accepted: Arc<Semaphore>,
}

impl Flows {
    pub(super) fn new(to_shard: mpsc::Sender<Inbound>, limits: Limits) -> Flows {
        let accepted = Arc::new(Semaphore::new(limits.connections_max));
        let shared = Arc::new(Shared {
            to_shard,
            limits,
            next_id: AtomicU64::new(1),
            accepted,
        });
        Flows {
            flows: BTreeMap::new(),
            by_remote: BTreeMap::new(),
            shared,
        }
    }

    /// Binds a listening socket and starts accepting.
    pub(super) fn listen(&self, addr: SocketAddr) -> io::Result<SocketAddr> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(1_024)?;
        let listener = TcpListener::from_std(socket.into())?;
        let local = listener.local_addr()?;
        tokio::spawn(accept(listener, local, Arc::clone(&self.shared)));
        Ok(local)
    }

    pub(super) fn insert(&mut self, id: FlowId, flow: Flow) {
        self.by_remote.insert(flow.remote, id);
        self.flows.insert(id, flow);
    }

    pub(super) fn remove(&mut self, id: FlowId) {
        let Some(flow) = self.flows.remove(&id) else { return };
        if self.by_remote.get(&flow.remote) == Some(&id) {
            self.by_remote.remove(&flow.remote);
        }
    }

    pub(super) fn fail(&self, transmit_id: u64) {
        let to_shard = self.shared.to_shard.clone();
        let failed = Inbound::Received(Received::SendFailed(transmit_id));
        if let Err(mpsc::error::TrySendError::Full(failed)) = to_shard.try_send(failed) {
            tokio::spawn(async move { to_shard.send(failed).await });
        }
    }

    /// By the connection the transmit names, one to the same address, or a new one.
    pub(super) fn send(&mut self, transmit: Transmit) {
        let Transmit { peer, bytes, id } = transmit;
        let known = peer
            .flow
            .filter(|f| self.flows.contains_key(f))
            .or_else(|| self.by_remote.get(&peer.remote).copied());
        let flow = known.unwrap_or_else(|| self.connect(&peer));
        let queued = self.flows.get(&flow).map(|f| f.queue.try_send((id, bytes)));
        if !matches!(queued, Some(Ok(()))) {
            self.fail(id);
        }
    }

    fn connect(&mut self, peer: &Peer) -> FlowId {
        let id = self.shared.new_id();
        let (queue, queued) = mpsc::channel(self.shared.limits.write_queue);
        self.insert(
            id,
            Flow {
                remote: peer.remote,
                queue: queue.clone(),
            },
        );
        let peer = Peer {
            flow: Some(id),
            ..*peer
        };
        tokio::spawn(connect(peer, id, queue, queued, Arc::clone(&self.shared)));
        id
    }
}

impl Shared {
    fn new_id(&self) -> FlowId {
        FlowId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    async fn say(&self, received: Received) {
        if matches!(received, Received::SendFailed(KEEP_ALIVE)) {
            return;
        }
        let _ = self.to_shard.send(Inbound::Received(received)).await;
    }
}

async fn accept(listener: TcpListener, local: SocketAddr, shared: Arc<Shared>) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors: wait for some to come back instead of spinning.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&shared.accepted).try_acquire_owned() else {
            tracing::warn!(%remote, "a connection was refused: too many are open");
            continue;
        };
        let id = shared.new_id();
        let (queue, queued) = mpsc::channel(shared.limits.write_queue);
        if shared
            .to_shard
            .send(Inbound::Accepted(
                id,
                Flow {
                    remote,
                    queue: queue.clone(),
                },
            ))
            .await
            .is_err()
        {
            return;
        }
        let peer = Peer {
            protocol: Protocol::Tcp,
            local,
            remote,
            flow: Some(id),
        };
        tokio::spawn(serve(
            stream,
            peer,
            id,
            queue,
            queued,
            Arc::clone(&shared),
            Some(permit),
        ));
    }
}

async fn connect(
    peer: Peer,
    id: FlowId,
    queue: mpsc::Sender<(u64, Bytes)>,
    mut queued: mpsc::Receiver<(u64, Bytes)>,
    shared: Arc<Shared>,
) {
    match timeout(shared.limits.connect, open(peer.local, peer.remote)).await {
        Ok(Ok(stream)) => serve(stream, peer, id, queue, queued, shared, None).await,
        Ok(Err(_)) | Err(_) => end(id, &mut queued, &shared).await,
    }
}

/// The connection is gone, and with it what waited to be written.
async fn end(id: FlowId, queued: &mut mpsc::Receiver<(u64, Bytes)>, shared: &Shared) {
    queued.close();
    shared.say(Received::FlowClosed(id)).await;
    while let Ok((transmit, _)) = queued.try_recv() {
        shared.say(Received::SendFailed(transmit)).await;
    }
}

/// From our listening address, so that the peer sees who we say we are.
async fn open(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if local.is_ipv4() == remote.is_ipv4() && !local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(local.ip(), 0))?;
    }
    socket.connect(remote).await
}

/// Both directions until either ends.
async fn serve(
    stream: TcpStream,
    peer: Peer,
    id: FlowId,
    answers: mpsc::Sender<(u64, Bytes)>,
    mut queued: mpsc::Receiver<(u64, Bytes)>,
    shared: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
) {
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    tokio::select! {
        () = read(reader, peer, permit.is_some(), &answers, &shared) => {}
        () = write(writer, &mut queued, &shared) => {}
    }
    end(id, &mut queued, &shared).await;
}

async fn read(
    mut reader: OwnedReadHalf,
    peer: Peer,
    accepted: bool,
    answers: &mpsc::Sender<(u64, Bytes)>,
    shared: &Shared,
) {
    let mut framer = StreamFramer::new();
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let mut idle = if accepted {
        shared.limits.idle_new
    } else {
        shared.limits.idle
    };
    // The deadline for a whole message stands from its first byte: dribbling does not extend it.
    let mut deadline = tokio::time::Instant::now() + idle;
    loop {
        buffer.clear();
        match tokio::time::timeout_at(deadline, reader.read_buf(&mut buffer)).await {
            Ok(Ok(len)) if len > 0 => {}
            _ => return,
        }
        if framer.push(&buffer).is_err() {
            return;
        }
        loop {
            match framer.poll_frame() {
                Ok(None) => break,
                Ok(Some(Frame::KeepAlive)) => {
                    deadline = tokio::time::Instant::now() + idle;
                    // Best effort: a full queue means that more than a keep-alive is on its way.
                    let _ = answers.try_send((KEEP_ALIVE, Bytes::from_static(b"\r\n")));
                }
                Ok(Some(Frame::Message(message))) => {
                    idle = shared.limits.idle;
                    deadline = tokio::time::Instant::now() + idle;
                    shared.say(Received::Message(peer, message)).await;
                }
                Err(error) => shared.say(Received::Unparsable(peer, error)).await,
            }
        }
        if framer.is_broken() {
            // Time for the answer to leave before the connection goes.
            tokio::time::sleep(Duration::from_millis(200)).await;
            return;
        }
    }
}

/// No transmit: nobody waits for its failure.
const KEEP_ALIVE: u64 = 0;

async fn write(mut writer: OwnedWriteHalf, queued: &mut mpsc::Receiver<(u64, Bytes)>, shared: &Shared) {
    while let Some((transmit, bytes)) = queued.recv().await {
        match timeout(shared.limits.write, writer.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            _ => return shared.say(Received::SendFailed(transmit)).await,
        }
    }
}
