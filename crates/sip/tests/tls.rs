//! TLS over real loopback sockets, with certificates made here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use segue_sip::{
    Peer, Protocol, Transmit,
    transport::{Limits, Received, Tls, TlsFile, TlsFiles, TlsRenewal, Transports},
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

const OPTIONS: &str = "OPTIONS sip:x@b.example;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\nFrom: <sip:a@a.example>;tag=1\r\nTo: <sip:x@b.example>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

/// A root of our own.
struct Root(CertifiedIssuer<'static, KeyPair>);

impl Root {
    fn new() -> Root {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Root(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key of who has these names.
    fn sign(&self, names: &[SanType]) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.to_vec();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// One that has these DNS names, and believes only in this root.
    fn tls(&self, names: &[&str]) -> Tls {
        let names: Vec<SanType> = names.iter().map(|name| dns(name)).collect();
        self.tls_of(&names, None)
    }

    fn tls_of(&self, names: &[SanType], client_ca: Option<&Root>) -> Tls {
        let ((certificate, key), ca) = (self.sign(names), self.pem());
        let client_ca = client_ca.map(Root::pem);
        Tls::new(TlsFiles {
            certificate: certificate.as_bytes(),
            key: key.as_bytes(),
            ca: Some(ca.as_bytes()),
            client_ca: client_ca.as_deref().map(str::as_bytes),
        })
        .unwrap()
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// Sockets that speak TLS.
struct Side {
    transports: Transports,
    addr: SocketAddr,
    renewal: TlsRenewal,
}

impl Side {
    fn new(tls: Tls) -> Side {
        Side::with(tls, Limits::default())
    }

    fn with(tls: Tls, limits: Limits) -> Side {
        let mut transports = Transports::bind_with(&[], &[], limits).unwrap();
        let renewal = transports.listen_tls(&["127.0.0.1:0".parse().unwrap()], tls).unwrap();
        let addr = transports.local_addrs()[0].1;
        Side {
            transports,
            addr,
            renewal,
        }
    }

    /// Sends OPTIONS to `domain` at an address.
    fn ask(&mut self, remote: SocketAddr, domain: Option<&str>, id: u64) {
        let peer = Peer {
            protocol: Protocol::Tls,
            local: self.addr,
            remote,
            flow: None,
        };
        self.say(peer, domain, OPTIONS, id);
    }

    fn say(&mut self, peer: Peer, domain: Option<&str>, text: &str, id: u64) {
        self.transports.send(Transmit {
            peer,
            domain: domain.map(Arc::from),
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            id,
        });
    }

    async fn next(&mut self) -> Received {
        timeout(Duration::from_secs(10), self.transports.recv())
            .await
            .expect("nothing came in")
    }

    async fn hears(&mut self) -> Peer {
        match self.next().await {
            Received::Message(peer, _) => peer,
            other => panic!("{other:?}"),
        }
    }

    async fn fails(&mut self, id: u64) {
        loop {
            match self.next().await {
                Received::SendFailed(failed) => return assert_eq!(failed, id),
                Received::FlowClosed(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn who_proves_the_name_is_asked_and_both_directions_take_the_one_connection() {
    let root = Root::new();
    let (mut a, mut b) = (Side::new(root.tls(&["a.example"])), Side::new(root.tls(&["b.example"])));
    a.ask(b.addr, Some("b.example"), 1);
    let from = b.hears().await;
    assert_eq!(from.protocol, Protocol::Tls);
    // A request of theirs comes by it too (RFC 5923 §8.1).
    b.say(from, None, OPTIONS, 2);
    let back = a.hears().await;
    assert_eq!(back.remote, b.addr);
    a.ask(b.addr, Some("b.example"), 3);
    assert_eq!(b.hears().await.flow, from.flow, "a second connection was made");
}

#[tokio::test]
async fn who_has_another_name_or_another_root_is_told_nothing() {
    let (root, other) = (Root::new(), Root::new());
    let mut a = Side::new(root.tls(&["a.example"]));
    let mut b = Side::new(root.tls(&["b.example", "*.wild.example"]));
    let stranger = Side::new(other.tls(&["b.example"]));
    for (remote, domain) in [
        (b.addr, Some("c.example")),
        (b.addr, Some("x.wild.example")),
        (b.addr, None),
        (stranger.addr, Some("b.example")),
    ] {
        a.ask(remote, domain, 7);
        a.fails(7).await;
    }
    // Nor is the connection of one name used for another (RFC 5923 §8.1).
    a.ask(b.addr, Some("b.example"), 1);
    b.hears().await;
    a.ask(b.addr, Some("c.example"), 8);
    a.fails(8).await;
    assert!(timeout(Duration::from_millis(50), b.transports.recv()).await.is_err());
}

#[tokio::test]
async fn a_sip_uri_or_an_address_in_the_certificate_is_a_name_too() {
    let root = Root::new();
    let mut a = Side::new(root.tls(&["a.example"]));
    let uri = SanType::URI("sip:example.com".try_into().unwrap());
    let mut b = Side::new(root.tls_of(&[uri, dns("pbx.example.com")], None));
    a.ask(b.addr, Some("example.com"), 1);
    b.hears().await;
    let mut c = Side::new(root.tls_of(&[SanType::IpAddress([127, 0, 0, 1].into())], None));
    a.ask(c.addr, None, 2);
    c.hears().await;
    a.ask(b.addr, Some("pbx.example.com"), 3);
    a.fails(3).await;
}

#[tokio::test]
async fn new_certificates_hold_for_new_connections_and_the_old_ones_go_on() {
    let (root, next) = (Root::new(), Root::new());
    let (mut a, mut b) = (Side::new(root.tls(&["a.example"])), Side::new(root.tls(&["b.example"])));
    a.ask(b.addr, Some("b.example"), 1);
    let first = b.hears().await;
    b.renewal.renew(next.tls(&["b.example"]));
    a.ask(b.addr, Some("b.example"), 2);
    assert_eq!(b.hears().await.flow, first.flow);
    // Who connects now and believes only in the old root is not talked to.
    let mut late = Side::new(root.tls(&["c.example"]));
    late.ask(b.addr, Some("b.example"), 3);
    late.fails(3).await;
    let mut new = Side::new(next.tls(&["d.example"]));
    new.ask(b.addr, Some("b.example"), 4);
    assert_ne!(b.hears().await.flow, first.flow);
}

#[tokio::test]
async fn where_clients_must_show_a_certificate_only_those_of_the_root_are_heard() {
    let (root, other) = (Root::new(), Root::new());
    let mut b = Side::new(root.tls_of(&[dns("b.example")], Some(&root)));
    let mut a = Side::new(root.tls(&["a.example"]));
    a.ask(b.addr, Some("b.example"), 1);
    b.hears().await;
    // This one trusts the server, but its own certificate comes from elsewhere.
    let ((certificate, key), ca) = (other.sign(&[dns("a.example")]), root.pem());
    let tls = Tls::new(TlsFiles {
        certificate: certificate.as_bytes(),
        key: key.as_bytes(),
        ca: Some(ca.as_bytes()),
        client_ca: None,
    });
    let mut stranger = Side::new(tls.unwrap());
    stranger.ask(b.addr, Some("b.example"), 2);
    assert!(
        timeout(Duration::from_millis(300), b.transports.recv()).await.is_err(),
        "it was heard"
    );
}

#[tokio::test]
async fn a_connection_without_a_handshake_ends_in_time() {
    let limits = Limits {
        handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    let b = Side::with(Root::new().tls(&["b.example"]), limits);
    let mut silent = TcpStream::connect(b.addr).await.unwrap();
    let began = Instant::now();
    let read = timeout(Duration::from_secs(5), silent.read(&mut [0u8; 1]))
        .await
        .expect("still open");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert!(began.elapsed() >= Duration::from_millis(250), "it had no time");
}

#[tokio::test]
async fn a_server_that_does_not_shake_hands_fails_what_waits_for_it() {
    let limits = Limits {
        handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    let mut a = Side::with(Root::new().tls(&["a.example"]), limits);
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    a.ask(deaf.local_addr().unwrap(), Some("b.example"), 5);
    a.fails(5).await;
}

#[test]
fn what_cannot_be_used_is_named() {
    let root = Root::new();
    let ((certificate, key), (_, other)) = (root.sign(&[dns("a.example")]), root.sign(&[dns("b.example")]));
    let tried = |certificate: &str, key: &str, ca: Option<&str>| {
        let tls = Tls::new(TlsFiles {
            certificate: certificate.as_bytes(),
            key: key.as_bytes(),
            ca: ca.map(str::as_bytes),
            client_ca: None,
        });
        tls.unwrap_err().file
    };
    assert_eq!(tried("", &key, None), TlsFile::Certificate);
    assert_eq!(tried(&certificate, &certificate, None), TlsFile::Key);
    assert_eq!(tried(&certificate, &other, None), TlsFile::Key);
    assert_eq!(tried(&certificate, &key, Some("nothing")), TlsFile::Ca);
}
