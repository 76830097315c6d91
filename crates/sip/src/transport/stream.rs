//! What TCP and TLS have in common: connections, their bounds and their queues. One task reads a connection, one writes it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use segue_sip_wire::{Frame, StreamFramer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Inbound, Limits, Received, tcp,
    tls::{self, Tls},
};
use crate::{FlowId, Peer, Protocol, Transmit};

const READ_BYTES: usize = 16 * 1024;

/// One connection, as far as a sender needs to know it.
#[derive(Debug)]
pub(super) struct Flow {
    /// What else may go by it; `None`: only who names it.
    alias: Option<Alias>,
    queue: mpsc::Sender<(u64, Bytes)>,
}

/// What a connection leads to. By TLS that is who has been proven to be there, not an address alone: "the client reuses the
/// connection only if … the URI used for RFC3263 server resolution matches one of the identities" (RFC 5923 §8.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alias {
    protocol: Protocol,
    remote: SocketAddr,
    domain: Option<Arc<str>>,
}

/// The way in of a connection's write queue, and its end.
type Queue = (mpsc::Sender<(u64, Bytes)>, mpsc::Receiver<(u64, Bytes)>);

/// All connections.
pub(super) struct Flows {
    flows: BTreeMap<FlowId, Flow>,
    /// The living connection to each place.
    by_alias: BTreeMap<Alias, FlowId>,
    shared: Arc<Shared>,
}

/// What every connection's tasks hold.
pub(super) struct Shared {
    to_shard: mpsc::Sender<Inbound>,
    pub(super) limits: Limits,
    /// Certificates, for handshakes from now on.
    pub(super) tls: Mutex<Option<Tls>>,
    next_id: AtomicU64,
    accepted: Arc<Semaphore>,
    /// Accepted connections by source.
    by_source: Mutex<BTreeMap<IpAddr, usize>>,
}

/// The place of one accepted connection among those that may be.
pub(super) struct Place {
    source: IpAddr,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// `None` when there are too many, of this source or of all.
    pub(super) fn take(source: IpAddr, shared: &Arc<Shared>) -> Option<Place> {
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
            tls: Mutex::default(),
            next_id: AtomicU64::new(1),
            accepted,
            by_source: Mutex::default(),
        });
        Flows {
            flows: BTreeMap::new(),
            by_alias: BTreeMap::new(),
            shared,
        }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(super) fn insert(&mut self, id: FlowId, flow: Flow) {
        if let Some(alias) = &flow.alias {
            self.by_alias.insert(alias.clone(), id);
        }
        self.flows.insert(id, flow);
    }

    pub(super) fn remove(&mut self, id: FlowId) {
        let Some(alias) = self.flows.remove(&id).and_then(|flow| flow.alias) else {
            return;
        };
        if self.by_alias.get(&alias) == Some(&id) {
            self.by_alias.remove(&alias);
        }
    }

    pub(super) fn fail(&self, transmit_id: u64) {
        let to_shard = self.shared.to_shard.clone();
        let failed = Inbound::Received(Received::SendFailed(transmit_id));
        if let Err(mpsc::error::TrySendError::Full(failed)) = to_shard.try_send(failed) {
            tokio::spawn(async move { to_shard.send(failed).await });
        }
    }

    /// By the connection the transmit names, one to the same place, or a new one.
    pub(super) fn send(&mut self, transmit: Transmit) {
        let Transmit {
            peer,
            bytes,
            id,
            domain,
        } = transmit;
        let alias = Alias {
            protocol: peer.protocol,
            remote: peer.remote,
            domain,
        };
        let known = peer
            .flow
            .filter(|f| self.flows.contains_key(f))
            .or_else(|| self.by_alias.get(&alias).copied());
        if known.is_none() && self.flows.len() >= self.shared.limits.flows_max() {
            tracing::warn!(remote = %peer.remote, "no connection was opened: too many are open");
            return self.fail(id);
        }
        let flow = known.unwrap_or_else(|| self.connect(&peer, alias));
        let queued = self.flows.get(&flow).map(|f| f.queue.try_send((id, bytes)));
        if !matches!(queued, Some(Ok(()))) {
            self.fail(id);
        }
    }

    fn connect(&mut self, peer: &Peer, alias: Alias) -> FlowId {
        let id = self.shared.new_id();
        let queue = self.shared.queue();
        let flow = Flow {
            alias: Some(alias.clone()),
            queue: queue.0.clone(),
        };
        self.insert(id, flow);
        let peer = Peer {
            flow: Some(id),
            ..*peer
        };
        tokio::spawn(connect(peer, id, alias.domain, queue, Arc::clone(&self.shared)));
        id
    }
}

impl Shared {
    fn new_id(&self) -> FlowId {
        FlowId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn queue(&self) -> Queue {
        mpsc::channel(self.limits.write_queue)
    }

    async fn say(&self, received: Received) {
        if matches!(received, Received::SendFailed(KEEP_ALIVE)) {
            return;
        }
        let inbound = match received {
            Received::Message(..) | Received::Unparsable(..) => Inbound::Arrived(Instant::now().into(), received),
            _ => Inbound::Received(received),
        };
        let _ = self.to_shard.send(inbound).await;
    }
}

/// An accepted connection, with its place, until it ends. By TCP others may send to its source by it; by TLS nobody has shown
/// whose it is, so that it serves its own requests and dialogs alone.
pub(super) async fn accepted(
    (reader, writer): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (protocol, local, remote): (Protocol, SocketAddr, SocketAddr),
    place: Place,
    shared: Arc<Shared>,
) {
    let id = shared.new_id();
    let queue = shared.queue();
    let flow = Flow {
        alias: (protocol == Protocol::Tcp).then_some(Alias {
            protocol,
            remote,
            domain: None,
        }),
        queue: queue.0.clone(),
    };
    if shared.to_shard.send(Inbound::Accepted(id, flow)).await.is_err() {
        return;
    }
    let peer = Peer {
        protocol,
        local,
        remote,
        flow: Some(id),
    };
    serve((reader, writer), peer, id, queue, shared, Some(place)).await;
}

async fn connect(peer: Peer, id: FlowId, domain: Option<Arc<str>>, mut queue: Queue, shared: Arc<Shared>) {
    let opened = match timeout(shared.limits.connect, tcp::open(peer.local, peer.remote)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) | Err(_) => return end(id, &mut queue.1, &shared).await,
    };
    if peer.protocol == Protocol::Tcp {
        return serve(opened.into_split(), peer, id, queue, shared, None).await;
    }
    match tls::connect(opened, peer.remote, domain.as_deref(), &shared).await {
        Ok(stream) => serve(tokio::io::split(stream), peer, id, queue, shared, None).await,
        Err(why) => {
            tracing::warn!(remote = %peer.remote, domain = domain.as_deref(), why, "no TLS connection could be made");
            end(id, &mut queue.1, &shared).await;
        }
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

/// Both directions until either ends.
async fn serve(
    (reader, writer): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    peer: Peer,
    id: FlowId,
    (answers, mut queued): Queue,
    shared: Arc<Shared>,
    place: Option<Place>,
) {
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

async fn read(mut reader: impl AsyncRead + Unpin, answers: &mpsc::Sender<(u64, Bytes)>, talk: &Talk) {
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

async fn write(mut writer: impl AsyncWrite + Unpin, queued: &mut mpsc::Receiver<(u64, Bytes)>, talk: &Talk) {
    write_queued(&mut writer, queued, talk).await;
    // TLS says that it closes (RFC 5923 §8.3).
    let _ = timeout(talk.shared.limits.write, writer.shutdown()).await;
}

async fn write_queued(writer: &mut (impl AsyncWrite + Unpin), queued: &mut mpsc::Receiver<(u64, Bytes)>, talk: &Talk) {
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
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        match timeout(talk.shared.limits.write, written).await {
            Ok(Ok(())) if transmit == KEEP_ALIVE => {}
            Ok(Ok(())) => talk.known.store(true, Ordering::Relaxed),
            _ => return talk.shared.say(Received::SendFailed(transmit)).await,
        }
    }
}
