//! SIP over TCP: one task reads a connection, one writes it.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
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
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout, timeout_at},
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
    /// Accepted connections by source.
    by_source: Mutex<BTreeMap<IpAddr, usize>>,
}

/// The place of one accepted connection among those that may be.
struct Place {
    source: IpAddr,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// `None` when there are too many, of this source or of all.
    fn take(source: IpAddr, shared: &Arc<Shared>) -> Option<Place> {
        let permit = Arc::clone(&shared.accepted).try_acquire_owned().ok()?;
        let mut sources = shared.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_default();
        if *count >= shared.limits.source_max {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place {
            source,
            shared: Arc::clone(shared),
            _permit: permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.shared.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

impl Flows {
    pub(super) fn new(to_shard: mpsc::Sender<Inbound>, limits: Limits) -> Flows {
        let accepted = Arc::new(Semaphore::new(limits.connections_max));
        let shared = Arc::new(Shared {
            to_shard,
            limits,
            next_id: AtomicU64::new(1),
            accepted,
            by_source: Mutex::default(),
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
        if known.is_none() && self.flows.len() >= self.shared.limits.flows_max() {
            tracing::warn!(remote = %peer.remote, "no connection was opened: too many are open");
            return self.fail(id);
        }
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
        let Some(place) = Place::take(remote.ip(), &shared) else {
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
        tokio::spawn(serve(stream, peer, id, queue, queued, Arc::clone(&shared), Some(place)));
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
    place: Option<Place>,
) {
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let flow = Talk {
        peer,
        known: AtomicBool::new(place.is_none()),
        ended: Notify::new(),
        shared,
    };
    // What is queued when the peer stops sending still leaves: it may only have closed its own direction.
    tokio::join!(
        async {
            tokio::select! {
                () = read(reader, &answers, &flow) => {}
                () = flow.ended.notified() => {}
            }
            flow.ended.notify_one();
        },
        async {
            write(writer, &mut queued, &flow).await;
            flow.ended.notify_one();
        }
    );
    end(id, &mut queued, &flow.shared).await;
}

/// What both directions of one connection know.
struct Talk {
    peer: Peer,
    /// We have sent something on it, or opened it: the peer is no stranger, for strangers get no answer.
    known: AtomicBool,
    /// One direction has ended.
    ended: Notify,
    shared: Arc<Shared>,
}

impl Talk {
    /// How long the peer may be silent.
    fn patience(&self) -> Duration {
        let limits = &self.shared.limits;
        if self.known.load(Ordering::Relaxed) {
            limits.idle
        } else {
            limits.idle_new
        }
    }
}

async fn read(mut reader: OwnedReadHalf, answers: &mpsc::Sender<(u64, Bytes)>, talk: &Talk) {
    let (peer, shared) = (talk.peer, &talk.shared);
    let mut framer = StreamFramer::new();
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let mut heard = Instant::now();
    // A message must be whole in time from its first byte: dribbling does not extend it.
    let mut whole_by: Option<Instant> = None;
    loop {
        buffer.clear();
        let patient_until = heard + talk.patience();
        let until = whole_by.map_or(patient_until, |whole_by| whole_by.min(patient_until));
        match timeout_at(until, reader.read_buf(&mut buffer)).await {
            Ok(Ok(len)) if len > 0 => {}
            // We answered meanwhile: the peer is known now and has longer.
            Err(_) if whole_by.is_none() && heard + talk.patience() > until => continue,
            _ => return,
        }
        if framer.push(&buffer).is_err() {
            return;
        }
        loop {
            match framer.poll_frame() {
                Ok(None) => break,
                // Keep-alives keep a connection only when it is known what for.
                Ok(Some(Frame::KeepAlive)) => {
                    if talk.known.load(Ordering::Relaxed) {
                        heard = Instant::now();
                    }
                    // Best effort: a full queue means that more than a keep-alive is on its way.
                    let _ = answers.try_send((KEEP_ALIVE, Bytes::from_static(b"\r\n")));
                }
                Ok(Some(Frame::Message(message))) => {
                    whole_by = None;
                    heard = Instant::now();
                    shared.say(Received::Message(peer, message)).await;
                }
                Err(error) => {
                    whole_by = None;
                    shared.say(Received::Unparsable(peer, error)).await;
                }
            }
        }
        if framer.is_broken() {
            // Time for the answer to be queued before the connection goes.
            tokio::time::sleep(Duration::from_millis(200)).await;
            return;
        }
        if framer.is_partial() && whole_by.is_none() {
            whole_by = Some(Instant::now() + shared.limits.message);
        }
    }
}

/// No transmit: nobody waits for its failure.
const KEEP_ALIVE: u64 = 0;

async fn write(mut writer: OwnedWriteHalf, queued: &mut mpsc::Receiver<(u64, Bytes)>, talk: &Talk) {
    loop {
        let next = tokio::select! {
            biased;
            next = queued.recv() => next,
            () = talk.ended.notified() => {
                queued.close();
                continue;
            }
        };
        let Some((transmit, bytes)) = next else { return };
        match timeout(talk.shared.limits.write, writer.write_all(&bytes)).await {
            Ok(Ok(())) if transmit == KEEP_ALIVE => {}
            Ok(Ok(())) => talk.known.store(true, Ordering::Relaxed),
            _ => return talk.shared.say(Received::SendFailed(transmit)).await,
        }
    }
}
