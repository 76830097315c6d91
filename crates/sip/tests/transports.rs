//! Transports over real loopback sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use segue_sip::{
    Peer, Protocol, Transmit,
    transport::{Limits, Received, Transports},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

const OPTIONS: &str = "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK1\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn next(transports: &mut Transports) -> Received {
    timeout(Duration::from_secs(10), transports.recv())
        .await
        .expect("nothing came in")
}

fn bound(transports: &Transports, protocol: Protocol) -> SocketAddr {
    transports
        .local_addrs()
        .into_iter()
        .find(|(p, _)| *p == protocol)
        .unwrap()
        .1
}

fn to(protocol: Protocol, local: SocketAddr, remote: SocketAddr, id: u64) -> Transmit {
    let peer = Peer {
        protocol,
        local,
        remote,
        flow: None,
    };
    Transmit {
        peer,
        domain: None,
        bytes: Bytes::from_static(OPTIONS.as_bytes()),
        id,
    }
}

#[tokio::test]
async fn a_message_cut_into_many_segments_arrives_whole_and_its_answer_takes_the_same_connection() {
    let mut x = Transports::bind(&[], &[any()]).unwrap();
    let mut a = TcpStream::connect(bound(&x, Protocol::Tcp)).await.unwrap();
    a.set_nodelay(true).unwrap();
    for piece in OPTIONS.as_bytes().chunks(40) {
        a.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let Received::Message(peer, message) = next(&mut x).await else {
        panic!("no message")
    };
    assert_eq!(message.call_id(), Some("c1"));
    assert_eq!(peer.remote, a.local_addr().unwrap());
    x.send(Transmit {
        peer,
        domain: None,
        bytes: Bytes::from_static(b"answer"),
        id: 7,
    });
    let mut answer = [0u8; 6];
    timeout(Duration::from_secs(5), a.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"answer");
}

#[tokio::test]
async fn two_messages_in_one_segment_are_two_messages() {
    let mut x = Transports::bind(&[], &[any()]).unwrap();
    let mut a = TcpStream::connect(bound(&x, Protocol::Tcp)).await.unwrap();
    let second = OPTIONS.replace("c1", "c2");
    a.write_all(format!("{OPTIONS}{second}").as_bytes()).await.unwrap();
    for expected in ["c1", "c2"] {
        let Received::Message(_, message) = next(&mut x).await else {
            panic!("no message")
        };
        assert_eq!(message.call_id(), Some(expected));
    }
}

#[tokio::test]
async fn a_keep_alive_is_answered() {
    let mut x = Transports::bind(&[], &[any()]).unwrap();
    let mut a = TcpStream::connect(bound(&x, Protocol::Tcp)).await.unwrap();
    a.write_all(b"\r\n\r\n").await.unwrap();
    // The shard's loop learns of the connection by receiving.
    let pong = async {
        let mut pong = [0u8; 2];
        a.read_exact(&mut pong).await.unwrap();
        pong
    };
    tokio::select! {
        pong = pong => assert_eq!(&pong, b"\r\n"),
        other = next(&mut x) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_and_dribbling_does_not_keep_it() {
    let limits = Limits {
        idle_new: Duration::from_millis(300),
        ..Limits::default()
    };
    let mut x = Transports::bind_with(&[], &[any()], limits).unwrap();
    let mut a = TcpStream::connect(bound(&x, Protocol::Tcp)).await.unwrap();
    let dribble = async {
        for byte in OPTIONS.as_bytes().iter().take(100) {
            if a.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = dribble => panic!("the connection outlived its deadline"),
        received = next(&mut x) => assert!(matches!(received, Received::FlowClosed(_)), "{received:?}"),
    }
}

#[tokio::test]
async fn connections_are_bounded() {
    let limits = Limits {
        connections_max: 2,
        ..Limits::default()
    };
    let x = Transports::bind_with(&[], &[any()], limits).unwrap();
    let addr = bound(&x, Protocol::Tcp);
    let _first = TcpStream::connect(addr).await.unwrap();
    let _second = TcpStream::connect(addr).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut third = TcpStream::connect(addr).await.unwrap();
    let read = timeout(Duration::from_secs(5), third.read(&mut [0u8; 1]))
        .await
        .expect("the third is still open");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn a_refused_connection_fails_every_transmit_that_waited_for_it() {
    let mut x = Transports::bind(&[], &[any()]).unwrap();
    let nobody = TcpListener::bind(any()).await.unwrap().local_addr().unwrap();
    let local = bound(&x, Protocol::Tcp);
    x.send(to(Protocol::Tcp, local, nobody, 41));
    x.send(to(Protocol::Tcp, local, nobody, 42));
    let mut failed = Vec::new();
    while failed.len() < 2 {
        if let Received::SendFailed(id) = next(&mut x).await {
            failed.push(id);
        }
    }
    failed.sort_unstable();
    assert_eq!(failed, [41, 42]);
}

#[tokio::test]
async fn a_second_message_takes_the_connection_that_is_open() {
    let mut x = Transports::bind(&[], &[any()]).unwrap();
    let b = TcpListener::bind(any()).await.unwrap();
    let (local, remote) = (bound(&x, Protocol::Tcp), b.local_addr().unwrap());
    x.send(to(Protocol::Tcp, local, remote, 1));
    let (mut stream, _) = timeout(Duration::from_secs(5), b.accept()).await.unwrap().unwrap();
    x.send(to(Protocol::Tcp, local, remote, 2));
    let mut both = vec![0u8; OPTIONS.len() * 2];
    timeout(Duration::from_secs(5), stream.read_exact(&mut both))
        .await
        .unwrap()
        .unwrap();
    assert!(
        timeout(Duration::from_millis(100), b.accept()).await.is_err(),
        "a second connection was made"
    );
}

#[tokio::test]
async fn how_long_a_message_has_waited_is_known_also_before_it_was_read() {
    let mut transports = Transports::bind(&[any()], &[any()]).unwrap();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = bound(&transports, Protocol::Udp);
    let mut waited = Duration::ZERO;
    // The system begins to stamp what comes some time after it was asked to.
    for _ in 0..20 {
        peer.send_to(OPTIONS.as_bytes(), local).unwrap();
        // Nothing of the runtime runs meanwhile: the datagram is in the system's hands.
        std::thread::sleep(Duration::from_millis(80));
        assert!(matches!(next(&mut transports).await, Received::Message(..)));
        waited = transports.waited();
        if waited >= Duration::from_millis(80) {
            break;
        }
    }
    assert!(
        (Duration::from_millis(80)..Duration::from_secs(9)).contains(&waited),
        "{waited:?}"
    );
    let mut stream = TcpStream::connect(bound(&transports, Protocol::Tcp)).await.unwrap();
    stream.write_all(OPTIONS.as_bytes()).await.unwrap();
    assert!(matches!(next(&mut transports).await, Received::Message(..)));
    assert!(
        transports.waited() < waited + Duration::from_secs(5),
        "that of this one"
    );
}

#[tokio::test]
async fn a_udp_destination_where_nobody_listens_fails_the_transmit() {
    let mut x = Transports::bind(&[any()], &[]).unwrap();
    let nobody = UdpSocket::bind(any()).await.unwrap().local_addr().unwrap();
    x.send(to(Protocol::Udp, bound(&x, Protocol::Udp), nobody, 9));
    assert!(matches!(next(&mut x).await, Received::SendFailed(9)));
}

#[tokio::test]
async fn a_udp_refusal_does_not_disturb_other_destinations() {
    let mut x = Transports::bind(&[any()], &[]).unwrap();
    let b = UdpSocket::bind(any()).await.unwrap();
    let nobody = UdpSocket::bind(any()).await.unwrap().local_addr().unwrap();
    let local = bound(&x, Protocol::Udp);
    x.send(to(Protocol::Udp, local, nobody, 1));
    tokio::time::sleep(Duration::from_millis(50)).await;
    x.send(to(Protocol::Udp, local, b.local_addr().unwrap(), 2));
    let mut datagram = [0u8; 2048];
    let (len, _) = timeout(Duration::from_secs(5), b.recv_from(&mut datagram))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&datagram[..len], OPTIONS.as_bytes());
    b.send_to(OPTIONS.as_bytes(), local).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(next(&mut x).await);
    }
    assert!(seen.iter().any(|r| matches!(r, Received::SendFailed(1))), "{seen:?}");
    assert!(seen.iter().any(|r| matches!(r, Received::Message(..))), "{seen:?}");
}

#[tokio::test]
async fn an_oversized_stream_message_is_said_and_the_connection_ends() {
    let mut x = Transports::bind(&[], &[any()]).unwrap();
    let mut a = TcpStream::connect(bound(&x, Protocol::Tcp)).await.unwrap();
    a.write_all(
        OPTIONS
            .replace("Content-Length: 0", "Content-Length: 900000")
            .as_bytes(),
    )
    .await
    .unwrap();
    let Received::Unparsable(_, error) = next(&mut x).await else {
        panic!("it was read")
    };
    assert_eq!(error.verdict, segue_sip_wire::Verdict::Answer(513));
    assert!(matches!(next(&mut x).await, Received::FlowClosed(_)));
}

#[tokio::test]
async fn a_port_in_use_is_said_with_its_address() {
    let taken = UdpSocket::bind(any()).await.unwrap();
    let addr = taken.local_addr().unwrap();
    let Err(error) = Transports::bind(&[addr], &[]) else {
        panic!("bound twice")
    };
    assert_eq!(error.addr, addr);
    assert!(error.why.contains("in use"), "{error}");
}

/// A connection on which one OPTIONS came in and was answered.
async fn answered(x: &mut Transports) -> (TcpStream, Peer) {
    let mut a = TcpStream::connect(bound(x, Protocol::Tcp)).await.unwrap();
    a.write_all(OPTIONS.as_bytes()).await.unwrap();
    let Received::Message(peer, _) = next(x).await else {
        panic!("the message did not arrive");
    };
    answer(x, peer, OPTIONS.as_bytes(), 7);
    let mut read = vec![0u8; OPTIONS.len()];
    a.read_exact(&mut read).await.unwrap();
    (a, peer)
}

fn answer(x: &mut Transports, peer: Peer, bytes: &[u8], id: u64) {
    let bytes = Bytes::copy_from_slice(bytes);
    x.send(Transmit {
        peer,
        domain: None,
        bytes,
        id,
    });
}

#[tokio::test]
async fn keep_alives_do_not_keep_a_stranger() {
    let limits = Limits {
        idle_new: Duration::from_millis(300),
        ..Limits::default()
    };
    let mut x = Transports::bind_with(&[], &[any()], limits).unwrap();
    let mut a = TcpStream::connect(bound(&x, Protocol::Tcp)).await.unwrap();
    let pings = async {
        for _ in 0..60 {
            let _ = a.write_all(b"\r\n\r\n").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = pings => panic!("the connection outlived its deadline"),
        received = next(&mut x) => assert!(matches!(received, Received::FlowClosed(_)), "{received:?}"),
    }
}

#[tokio::test]
async fn who_was_answered_may_be_silent_longer_but_a_message_must_come_to_its_end() {
    let limits = Limits {
        idle_new: Duration::from_millis(200),
        message: Duration::from_millis(300),
        ..Limits::default()
    };
    let mut x = Transports::bind_with(&[], &[any()], limits).unwrap();
    let (mut a, peer) = answered(&mut x).await;
    assert!(
        timeout(Duration::from_millis(600), x.recv()).await.is_err(),
        "still open"
    );
    a.write_all(b"OPTIONS sip:x").await.unwrap();
    let closed = next(&mut x).await;
    assert!(
        matches!(closed, Received::FlowClosed(id) if Some(id) == peer.flow),
        "{closed:?}"
    );
}

#[tokio::test]
async fn one_source_cannot_take_every_connection() {
    let limits = Limits {
        source_max: 1,
        ..Limits::default()
    };
    let mut x = Transports::bind_with(&[], &[any()], limits).unwrap();
    let (first, _) = answered(&mut x).await;
    let mut second = TcpStream::connect(bound(&x, Protocol::Tcp)).await.unwrap();
    let read = timeout(Duration::from_secs(5), second.read(&mut [0u8; 1]))
        .await
        .expect("the second is still open");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    drop(first);
    assert!(matches!(next(&mut x).await, Received::FlowClosed(_)));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (_third, _) = answered(&mut x).await;
}

#[tokio::test]
async fn what_is_queued_still_leaves_when_the_peer_stops_sending() {
    let mut x = Transports::bind(&[], &[any()]).unwrap();
    let (mut a, peer) = answered(&mut x).await;
    let large = vec![b'x'; 60_000];
    for id in 0..100 {
        answer(&mut x, peer, &large, 100 + id);
    }
    a.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut all = Vec::new();
    timeout(Duration::from_secs(10), a.read_to_end(&mut all))
        .await
        .expect("the end of the stream")
        .unwrap();
    assert_eq!(all.len(), 100 * large.len());
}

#[tokio::test]
async fn a_peer_that_does_not_read_fails_what_waits_for_it() {
    let limits = Limits {
        write: Duration::from_millis(200),
        write_queue: 200,
        ..Limits::default()
    };
    let mut x = Transports::bind_with(&[], &[any()], limits).unwrap();
    let (_a, peer) = answered(&mut x).await;
    let large = vec![b'x'; 65_000];
    for id in 0..200 {
        answer(&mut x, peer, &large, 100 + id);
    }
    let mut failed = Vec::new();
    loop {
        match next(&mut x).await {
            Received::SendFailed(id) => failed.push(id),
            Received::FlowClosed(_) => {}
            other => panic!("{other:?}"),
        }
        if failed.contains(&299) {
            break;
        }
    }
    assert!(
        failed.windows(2).all(|pair| pair[0] < pair[1]),
        "each once, in order: {failed:?}"
    );
}

/// Where the next message comes from; connections may end before.
async fn source(x: &mut Transports) -> Peer {
    loop {
        match next(x).await {
            Received::Message(peer, _) => return peer,
            Received::FlowClosed(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// `[::]` beside `0.0.0.0` at one port: each family has its socket, and a source is what it is.
#[tokio::test]
async fn both_families_have_the_same_port_and_answers_go_back_by_theirs() {
    let port = std::net::UdpSocket::bind("0.0.0.0:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let all = [
        SocketAddr::new([0, 0, 0, 0].into(), port),
        SocketAddr::new([0u16; 8].into(), port),
    ];
    let mut x = Transports::bind(&all, &all).unwrap();
    for host in ["127.0.0.1", "::1"] {
        let ip: std::net::IpAddr = host.parse().unwrap();
        let a = UdpSocket::bind((ip, 0)).await.unwrap();
        a.send_to(OPTIONS.as_bytes(), (ip, port)).await.unwrap();
        let peer = source(&mut x).await;
        assert_eq!(
            (peer.remote, peer.local.is_ipv4()),
            (a.local_addr().unwrap(), ip.is_ipv4())
        );
        // A request of ours that names no socket of that family leaves by one that can reach it.
        let other = *all.iter().find(|socket| socket.is_ipv4() != ip.is_ipv4()).unwrap();
        x.send(to(Protocol::Udp, other, peer.remote, 1));
        let mut buffer = [0; 2_000];
        let (len, from) = timeout(Duration::from_secs(5), a.recv_from(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((len, from.port()), (OPTIONS.len(), port));

        let mut a = TcpStream::connect((ip, port)).await.unwrap();
        a.write_all(OPTIONS.as_bytes()).await.unwrap();
        let peer = source(&mut x).await;
        assert_eq!(peer.remote, a.local_addr().unwrap());
        x.send(Transmit {
            peer,
            domain: None,
            bytes: Bytes::from_static(b"answer"),
            id: 7,
        });
        let mut answer = [0u8; 6];
        timeout(Duration::from_secs(5), a.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&answer, b"answer");
    }
}
