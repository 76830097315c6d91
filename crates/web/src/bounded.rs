//! As many connections at once as are good for the rest of the process: each takes one of the files that calls need, too. Who does not
//! read what is sent gives its place back.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

/// Connections at once: all who may follow events, and 64 more. Who comes later waits until one ends.
pub(crate) const CONNECTIONS_MAX: usize = 320;

/// How many of all places one source may have, an address or of IPv6 a /64: a quarter. Others get in whatever it does.
const OF_ONE: usize = 4;

/// A socket that takes so many connections and no more.
pub(crate) struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    sources: Sources,
    of_one_max: usize,
    /// Through these many others come.
    proxies: Vec<IpNet>,
    unread: Duration,
}

/// One of them.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Duration,
    /// Runs while its peer takes nothing of what is to be sent.
    stuck: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
    _counted: Option<Counted>,
}

/// How many connections each source has.
type Sources = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// One of a source's connections.
struct Counted {
    source: IpAddr,
    sources: Sources,
}

impl Counted {
    /// Error: the source has as many as it may have.
    fn one(sources: &Sources, ip: IpAddr, most: usize) -> Result<Counted, ()> {
        let source = match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
            ip => ip,
        };
        let mut counts = sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_default();
        if *count >= most {
            return Err(());
        }
        *count += 1;
        Ok(Counted {
            source,
            sources: Arc::clone(sources),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

/// Who is at its other end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub SocketAddr);

impl Bounded {
    /// `unread`: how long somebody may take nothing of what is sent.
    pub(crate) fn new(listener: TcpListener, connections: usize, unread: Duration, proxies: Vec<IpNet>) -> Bounded {
        Bounded {
            listener,
            room: Arc::new(Semaphore::new(connections)),
            sources: Sources::default(),
            of_one_max: connections.div_ceil(OF_ONE),
            proxies,
            unread,
        }
    }

    /// The next one; who stops waiting for it loses none. A source that has too many is hung up on.
    pub(crate) async fn accept(&mut self) -> (Connection, SocketAddr) {
        // It is never closed, so there is a place at some time.
        let place = Arc::clone(&self.room).acquire_owned().await.ok();
        // What accepting fails with is met as axum does for its own sockets.
        loop {
            let (stream, remote) = Listener::accept(&mut self.listener).await;
            let is_proxy = self.proxies.iter().any(|net| net.contains(&remote.ip().to_canonical()));
            let counted = match is_proxy {
                true => None,
                false => match Counted::one(&self.sources, remote.ip(), self.of_one_max) {
                    Ok(counted) => Some(counted),
                    Err(()) => continue,
                },
            };
            let connection = Connection {
                stream,
                unread: self.unread,
                stuck: None,
                _place: place,
                _counted: counted,
            };
            return (connection, remote);
        }
    }
}

impl Connection {
    /// What writing came to; it fails when nothing could be written for too long.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let unread = self.unread;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(unread)));
        match stuck.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
