//! TCP sockets: listening, accepting, connecting.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{
    stream::{Place, Shared, accepted},
    tls,
};
use crate::Protocol;

/// Binds a listening socket and starts accepting, for TCP or TLS.
pub(super) fn listen(protocol: Protocol, addr: SocketAddr, shared: Arc<Shared>) -> io::Result<SocketAddr> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(1_024)?;
    let listener = TcpListener::from_std(socket.into())?;
    let local = listener.local_addr()?;
    tokio::spawn(accept(protocol, listener, local, shared));
    Ok(local)
}

async fn accept(protocol: Protocol, listener: TcpListener, local: SocketAddr, shared: Arc<Shared>) {
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
        let _ = stream.set_nodelay(true);
        let (way, shared) = ((protocol, local, remote), Arc::clone(&shared));
        if protocol == Protocol::Tcp {
            tokio::spawn(accepted(stream.into_split(), way, place, shared));
            continue;
        }
        tokio::spawn(async move {
            match tls::accept(stream, &shared).await {
                Ok(stream) => accepted(tokio::io::split(stream), way, place, shared).await,
                // Scanners do this all day.
                Err(why) => tracing::debug!(%remote, why, "a TLS handshake failed"),
            }
        });
    }
}

/// From our listening address, so that the peer sees who we say we are.
pub(super) async fn open(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if local.is_ipv4() == remote.is_ipv4() && !local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(local.ip(), 0))?;
    }
    let stream = socket.connect(remote).await?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
