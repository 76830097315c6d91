//! As many connections at once as are good for the rest of the process: each takes one of the files that calls need, too. Who does not
//! read what is sent gives its place back.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

/// Connections at once: all who may follow events, and 64 more. Who comes later waits until one ends.
pub(crate) const CONNECTIONS_MAX: usize = 320;

/// A socket that takes so many connections and no more.
pub(crate) struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    unread: Duration,
}

/// One of them.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Duration,
    /// Runs while its peer takes nothing of what is to be sent.
    stuck: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Who is at its other end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub SocketAddr);

impl Bounded {
    /// `unread`: how long somebody may take nothing of what is sent.
    pub(crate) fn new(listener: TcpListener, connections: usize, unread: Duration) -> Bounded {
        Bounded {
            listener,
            room: Arc::new(Semaphore::new(connections)),
            unread,
        }
    }

    /// The next one; who stops waiting for it loses none.
    pub(crate) async fn accept(&mut self) -> (Connection, SocketAddr) {
        // It is never closed, so there is a place at some time.
        let place = Arc::clone(&self.room).acquire_owned().await.ok();
        // What accepting fails with is met as axum does for its own sockets.
        let (stream, remote) = Listener::accept(&mut self.listener).await;
        let connection = Connection {
            stream,
            unread: self.unread,
            stuck: None,
            _place: place,
        };
        (connection, remote)
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
