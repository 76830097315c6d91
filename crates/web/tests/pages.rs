//! What the HTTP side answers, over a real socket.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{collections::BTreeMap, net::SocketAddr};

use segue_records::{Event, Happening, UnixMs};
use segue_store::Store;
use segue_web::{Events, Followers, Health, Hub, LoadHistory, LoadView, ProfilesShown, Site};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

fn site(status: &'static str, reasons: &'static [&'static str]) -> Site {
    let reasons = move || reasons.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>();
    Site {
        health: Box::new(move || Health {
            status: status.to_owned(),
            reasons: reasons(),
            version: "1".to_owned(),
            uptime_s: 2,
            calls: 3,
            unheard: 4,
            counters: BTreeMap::from([("sip_dropped".to_owned(), 5)]),
        }),
        not_ready: Box::new(reasons),
        metrics: Box::new(|| "# EOF\n".to_owned()),
        trunks: Box::new(|| serde_json::json!([{ "name": "main" }])),
        profiles: Box::new(|| None),
        seals: std::sync::Arc::new(Unsealed),
        trunking: std::sync::Arc::new(Unsealed),
        in_force: Box::new(ProfilesShown::default),
        reload: Box::new(|| Box::pin(std::future::ready(None))),
        load: std::sync::Arc::new(LoadView::default),
        load_history: LoadHistory::default(),
        may_call: Box::new(|ip| ip == std::net::IpAddr::from([10, 1, 2, 3])),
        live: segue_b2bua::LiveCalls::new().0,
        events: None,
        followers: Followers::Nobody,
        key: None,
    }
}

/// Keeps what it is given: what is sealed is for the server's own tests.
struct Unsealed;

impl segue_manage::Seals for Unsealed {
    fn password(&self, _: &str, password: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        match password {
            "" => Err("there is no password in it".to_owned()),
            word => Ok(vec![("office".to_owned(), word.as_bytes().to_vec())]),
        }
    }

    fn pin(&self, _: &str, digits: &str) -> Result<Vec<u8>, String> {
        let pin = segue_policy::Pin::chosen(digits).map_err(|wrong| wrong.to_string())?;
        Ok(pin.digits().as_bytes().to_vec())
    }
}

impl segue_manage::Trunking for Unsealed {
    fn stands_at(&self, _: &str) -> Option<String> {
        None
    }

    fn fits(&self, _: &segue_policy::Trunk) -> Result<(), segue_policy::TrunkError> {
        Ok(())
    }

    fn seal(&self, _: &str, password: &str) -> Result<Vec<u8>, String> {
        Ok(password.as_bytes().to_vec())
    }
}

async fn serving(site: Site) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(segue_web::serve(listener, site, None, std::future::pending()));
    address
}

async fn text(address: SocketAddr, line: &str, host: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

async fn ask(address: SocketAddr, line: &str) -> (String, serde_json::Value) {
    let (head, body) = text(address, line, "localhost").await;
    (head, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn health_is_said_as_json() {
    let (head, body) = ask(serving(site("ok", &[])).await, "GET /health").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!((body["status"].as_str(), body["calls"].as_u64()), (Some("ok"), Some(3)));
    assert_eq!(body["counters"]["sip_dropped"], 5);
}

#[tokio::test]
async fn a_sick_server_says_503_and_why() {
    let (head, body) = ask(serving(site("store", &["the store is gone"])).await, "GET /health").await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert_eq!(
        (body["status"].as_str(), body["reasons"][0].as_str()),
        (Some("store"), Some("the store is gone"))
    );
}

#[tokio::test]
async fn readiness_is_200_or_a_problem_with_its_reasons() {
    let (head, body) = ask(serving(site("ok", &[])).await, "GET /ready").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body["status"], "ready");
    let (head, body) = ask(
        serving(site("ok", &["it drains", "the disk is full"])).await,
        "GET /ready",
    )
    .await;
    assert!(
        head.starts_with("http/1.1 503") && head.contains("application/problem+json"),
        "{head}"
    );
    assert_eq!(body["reasons"], serde_json::json!(["it drains", "the disk is full"]));
    assert_eq!(body["detail"], "it drains; the disk is full");
}

#[tokio::test]
async fn metrics_say_their_type() {
    let (head, body) = text(serving(site("ok", &[])).await, "GET /metrics", "localhost").await;
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert_eq!(body, "# EOF\n");
}

#[tokio::test]
async fn anything_else_is_a_problem() {
    let address = serving(site("ok", &[])).await;
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

fn with_events(folder: &tempfile::TempDir) -> (Site, Hub) {
    let store = Store::open(folder.path()).unwrap();
    let hub = Hub::new("r", store.last_change().unwrap());
    let events = Events::new(hub.clone(), store, || UnixMs(0));
    (
        Site {
            events: Some(events),
            followers: Followers::ThisMachine,
            ..site("ok", &[])
        },
        hub,
    )
}

#[tokio::test]
async fn events_come_as_lines_of_json_while_they_happen() {
    let folder = tempfile::tempdir().unwrap();
    let (site, hub) = with_events(&folder);
    let address = serving(site).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = BufReader::new(stream);
    stream
        .get_mut()
        .write_all(b"GET /events HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        .await
        .unwrap();
    let mut line = String::new();
    while !line.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "{line}");
    }
    assert!(line.contains("application/x-ndjson"), "{line}");
    line.clear();
    stream.read_line(&mut line).await.unwrap();
    assert_eq!(
        line, "\n",
        "an empty line comes at once: from here on nothing is missed"
    );
    hub.publish(&Event::of_the_server(UnixMs(1), Happening::ServerStopping));
    line.clear();
    stream.read_line(&mut line).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (told["type"].as_str(), told["id"].as_str(), told["at"].as_str()),
        (Some("server.stopping"), Some("r-1-0"), Some("1970-01-01T00:00:00.001Z"))
    );
}

#[tokio::test]
async fn events_are_refused_off_loopback_under_foreign_names_and_at_no_place() {
    let (head, body) = ask(serving(site("ok", &[])).await, "GET /events").await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert!(body["detail"].as_str().unwrap().contains("http.events"), "{body}");
    let folder = tempfile::tempdir().unwrap();
    let (site, hub) = with_events(&folder);
    let address = serving(site).await;
    let (head, _) = text(address, "GET /events", "evil.example").await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
    // By a proxy somebody of elsewhere comes under our name.
    for name in ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"] {
        let (head, _) = text(address, "GET /events", &format!("localhost\r\n{name}: 203.0.113.9")).await;
        assert!(head.starts_with("http/1.1 403"), "{name}: {head}");
    }
    let (head, _) = ask(address, "GET /events?after=nothing").await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
    hub.close();
    let (head, _) = ask(address, "GET /events").await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
}

#[tokio::test]
async fn whoever_shows_the_key_of_the_data_directory_may_ask_wherever_the_server_listens() {
    let address = serving(Site {
        key: Some("0123abcd".to_owned()),
        ..site("ok", &[])
    })
    .await;
    let with = |key: &str| format!("10.0.0.1\r\nAuthorization: Bearer {key}");
    let (head, _) = text(address, "GET /trunks", &with("0123abcd")).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    for wrong in ["", "0123abc", "0123abcde", "0123abce", "0"] {
        let (head, _) = text(address, "GET /trunks", &with(wrong)).await;
        assert!(head.starts_with("http/1.1 403"), "{wrong}: {head}");
    }
}

#[tokio::test]
async fn calls_are_told_to_whom_events_are_and_by_a_server_that_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (open, _hub) = with_events(&folder);
    let open = serving(open).await;
    let closed = serving(site("ok", &[])).await;
    for page in ["GET /calls", "GET /calls/01JNA4X0000000000000000000"] {
        let (head, body) = ask(closed, page).await;
        assert!(head.starts_with("http/1.1 403"), "{head}");
        assert!(body["detail"].as_str().unwrap().contains("not loopback"), "{body}");
        // Nobody is at the other end.
        let (head, body) = ask(open, page).await;
        assert!(head.starts_with("http/1.1 503"), "{head}");
        assert!(body["detail"].as_str().unwrap().contains("busy, or ending"), "{body}");
    }
}

#[tokio::test]
async fn trunks_are_told_to_whom_events_are() {
    let folder = tempfile::tempdir().unwrap();
    let (open, _hub) = with_events(&folder);
    let (head, body) = ask(serving(open).await, "GET /trunks").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, serde_json::json!([{ "name": "main" }]));
    let (head, body) = ask(serving(site("ok", &[])).await, "GET /trunks").await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert!(body["detail"].as_str().unwrap().contains("not loopback"), "{body}");
}

/// Whoever open connections and say nothing take 320 of the files that calls need, and no more.
#[tokio::test]
async fn connections_that_say_nothing_are_bounded_and_another_is_served_when_one_goes() {
    let address = serving(site("ok", &[])).await;
    let mut silent = Vec::new();
    // One source has a quarter at most.
    for n in 0..320 {
        let source = tokio::net::TcpSocket::new_v4().unwrap();
        source
            .bind(format!("127.0.0.{}:0", 2 + n / 80).parse().unwrap())
            .unwrap();
        silent.push(source.connect(address).await.unwrap());
    }
    let asked = tokio::spawn(ask(address, "GET /health"));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!asked.is_finished(), "one more is taken");
    silent.pop();
    let (head, _) = tokio::time::timeout(std::time::Duration::from_secs(10), asked)
        .await
        .unwrap()
        .unwrap();
    assert!(head.starts_with("http/1.1 200"), "{head}");
}
