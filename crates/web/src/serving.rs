//! Connections are taken and served, and let go when nothing comes of them: `axum::serve` waits for a request without end.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use ipnet::IpNet;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    bounded::{Bounded, CONNECTIONS_MAX, Connection, Peer},
    paced::Paced,
};

/// How long whom is waited for. Each is about progress: answers without end and long uploads have all the time that they need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The head of a request is to be there, from the connection's begin or the end of the answer before.
    pub head: Duration,
    /// Nothing comes of a body that we want more of.
    pub body: Duration,
    /// Nothing is taken of an answer. A browser whose film is paused takes none; it asks again for what is left.
    pub unread: Duration,
    /// Connections at once.
    pub connections: usize,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            unread: Duration::from_secs(120),
            connections: CONNECTIONS_MAX,
        }
    }
}

/// Serves until `stop` completes, then answers what is under way.
/// `proxies`: through whom many come.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    patience: Patience,
    proxies: Vec<IpNet>,
    stop: impl Future<Output = ()>,
) {
    let mut listener = Bounded::new(listener, patience.connections, patience.unread, proxies);
    let (closing, is_closing) = watch::channel(());
    let mut open = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (connection, remote) = listener.accept() => {
                open.spawn(one(connection, remote, routes.clone(), patience, is_closing.clone()));
            }
            // A panic of one is that one's end.
            Some(_) = open.join_next() => (),
            () = &mut stop => break,
        }
    }
    drop(listener);
    closing.send_replace(());
    while open.join_next().await.is_some() {}
}

async fn one(
    connection: Connection,
    remote: SocketAddr,
    routes: Router,
    patience: Patience,
    mut is_closing: watch::Receiver<()>,
) {
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| Body::new(Paced::new(body, patience.body)));
        request.extensions_mut().insert(ConnectInfo(Peer(remote)));
        let answer = routes.call(request);
        async move { Ok::<Response, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .serve_connection(TokioIo::new(connection), service);
    let mut served = pin!(served);
    loop {
        tokio::select! {
            // Who hung up, said nothing or no HTTP: that is theirs.
            _ = served.as_mut() => return,
            Ok(()) = is_closing.changed() => served.as_mut().graceful_shutdown(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use axum::{body::Bytes, http::StatusCode, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::{sleep, timeout},
    };

    use super::*;

    /// Longer than any patience here by far: whoever is not let go by then never is.
    const NEVER: Duration = Duration::from_secs(20);

    fn patience() -> Patience {
        let all = Duration::from_millis(250);
        Patience {
            head: all,
            body: all,
            unread: all,
            connections: 1,
        }
    }

    async fn serving(patience: Patience) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = |bytes: Result<Bytes, axum::extract::rejection::BytesRejection>| async move {
            match bytes {
                Ok(bytes) => (StatusCode::OK, bytes.len().to_string()),
                Err(_) => (StatusCode::REQUEST_TIMEOUT, String::new()),
            }
        };
        let routes = Router::new()
            .route("/", get(|| async { "here" }).post(taken))
            .route("/slowly", get(|| async { Body::from_stream(slowly()) }))
            .route("/large", get(|| async { vec![0_u8; 64 << 20] }));
        tokio::spawn(serve(listener, routes, patience, Vec::new(), std::future::pending()));
        address
    }

    /// Eight pieces, together three times as long as anybody is waited for here.
    fn slowly() -> impl futures_util::Stream<Item = Result<&'static str, Infallible>> {
        futures_util::stream::unfold(0, |piece| async move {
            sleep(patience().head * 3 / 8).await;
            (piece < 8).then_some((Ok("piece "), piece + 1))
        })
    }

    /// All that the other side says until it hangs up.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut said = Vec::new();
        // One that is let go while it still sends is reset.
        let _ = timeout(NEVER, stream.read_to_end(&mut said)).await.unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }

    async fn is_served(address: SocketAddr) {
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        assert!(rest(&mut next).await.ends_with("here"));
    }

    #[tokio::test]
    async fn who_says_nothing_is_let_go_and_the_place_is_free() {
        let address = serving(patience()).await;
        for begun in ["", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(begun.as_bytes()).await.unwrap();
            // There is one place alone: this one waits for it.
            is_served(address).await;
            let said = rest(&mut silent).await;
            assert_eq!(said.contains("200 OK"), begun.ends_with("\r\n\r\n"), "{begun}: {said}");
        }
    }

    #[tokio::test]
    async fn one_source_leaves_places_to_others() {
        let patience = Patience {
            head: NEVER,
            connections: 8,
            ..patience()
        };
        let address = serving(patience).await;
        // It holds two of eight, and is hung up on with each further one.
        let held = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        for _ in 0..8 {
            let mut more = TcpStream::connect(address).await.unwrap();
            assert_eq!(rest(&mut more).await, "");
        }
        let other = tokio::net::TcpSocket::new_v4().unwrap();
        other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = other.connect(address).await.unwrap();
        other
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        assert!(rest(&mut other).await.ends_with("here"));
        drop(held);
        // Its places are free again.
        loop {
            let mut again = TcpStream::connect(address).await.unwrap();
            let _ = again
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await;
            if rest(&mut again).await.ends_with("here") {
                break;
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let address = serving(patience()).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfive.")
            .await
            .unwrap();
        is_served(address).await;
        assert!(rest(&mut slow).await.starts_with("HTTP/1.1 408"));
        // One byte now and then is no progress to speak of.
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            .await
            .unwrap();
        let (mut reads, mut writes) = slow.split();
        let drip = async {
            while writes.write_all(b".").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let mut first = [0_u8; 12];
        tokio::select! {
            read = timeout(NEVER, reads.read_exact(&mut first)) => { read.unwrap().unwrap(); }
            () = drip => panic!("it is answered before it is let go"),
        }
        assert_eq!(&first, b"HTTP/1.1 408");
    }

    #[tokio::test]
    async fn a_body_that_goes_on_is_waited_for_longer_than_one_that_does_not() {
        let patience = patience();
        let address = serving(patience).await;
        let mut steady = TcpStream::connect(address).await.unwrap();
        let piece = vec![b'.'; 4_000];
        let pieces = 16_u32;
        let bytes = piece.len() * pieces as usize;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n");
        steady.write_all(head.as_bytes()).await.unwrap();
        let pause = patience.body * 2 / pieces;
        for _ in 0..pieces {
            sleep(pause).await;
            steady.write_all(&piece).await.unwrap();
        }
        assert!(rest(&mut steady).await.ends_with(&bytes.to_string()));
    }

    #[tokio::test]
    async fn an_answer_that_takes_long_is_not_cut() {
        let address = serving(patience()).await;
        let mut follower = TcpStream::connect(address).await.unwrap();
        follower
            .write_all(b"GET /slowly HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(rest(&mut follower).await.matches("piece ").count(), 8);
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_let_go() {
        let address = serving(patience()).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        is_served(address).await;
        assert!(rest(&mut idle).await.len() < 64 << 20);
    }
}
