//! What the HTTP side answers, over a real socket.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{collections::BTreeMap, net::SocketAddr};

use segue_web::Health;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

async fn serving(status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let health = move || Health {
        status: status.to_owned(),
        version: "1".to_owned(),
        uptime_s: 2,
        calls: 3,
        unheard: 4,
        counters: BTreeMap::from([("sip_dropped".to_owned(), 5)]),
    };
    tokio::spawn(segue_web::serve(listener, health, std::future::pending()));
    address
}

async fn ask(address: SocketAddr, line: &str) -> (String, serde_json::Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn health_is_said_as_json() {
    let (head, body) = ask(serving("ok").await, "GET /health").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!((body["status"].as_str(), body["calls"].as_u64()), (Some("ok"), Some(3)));
    assert_eq!(body["counters"]["sip_dropped"], 5);
}

#[tokio::test]
async fn a_sick_server_says_503() {
    let (head, body) = ask(serving("store_failed").await, "GET /health").await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert_eq!(body["status"], "store_failed");
}

#[tokio::test]
async fn anything_else_is_a_problem() {
    let address = serving("ok").await;
    let (head, body) = ask(address, "GET /nothing").await;
    assert!(
        head.starts_with("http/1.1 404") && head.contains("application/problem+json"),
        "{head}"
    );
    assert_eq!(body["status"], 404);
    let (head, _) = ask(address, "POST /health").await;
    assert!(
        head.starts_with("http/1.1 405") && head.contains("application/problem+json"),
        "{head}"
    );
}
