//! Webhooks to a real web server.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use segue_jobs::notices::{Hook, Secrets, Settings};
use segue_policy::{Channel, Notify};
use segue_store::DeliveryState;
use serde_json::Value;

use super::{Office, by, now_ms};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>);

impl Seen {
    fn all(&self) -> Vec<(String, HeaderMap, Bytes)> {
        self.0.lock().unwrap().clone()
    }

    fn paths(&self) -> Vec<String> {
        self.all().into_iter().map(|(path, ..)| path).collect()
    }
}

/// A receiver whose path says what it does. It ends with the process.
fn receiver() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let app = Router::new().fallback(any(answer)).with_state(seen.clone());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    (address, seen)
}

async fn answer(State(seen): State<Seen>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let before = {
        let mut seen = seen.0.lock().unwrap();
        let before = seen.iter().filter(|(of, ..)| *of == path).count();
        seen.push((path.clone(), headers, body));
        before
    };
    match path.as_str() {
        "/later" if before == 0 => (StatusCode::SERVICE_UNAVAILABLE, "not yet").into_response(),
        "/pause" => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "120")]).into_response(),
        "/gone" => (StatusCode::GONE, "we moved out").into_response(),
        "/broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/moved" => (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            StatusCode::OK.into_response()
        }
        // Its status is there; what follows has no end.
        "/endless" => Response::new(Body::from_stream(futures_util::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 8192]))
        }))),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

fn settings(url: Option<String>, allow: &[&str]) -> Settings {
    let secrets = Secrets::parse(SECRET).unwrap();
    let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
    Settings {
        first_pause: Duration::from_millis(100),
        link: Some("https://mail.example.com/m/{id}".to_owned()),
        webhook: Some(Arc::new(Hook::new(url, secrets, allow, None).unwrap())),
        ..Settings::default()
    }
}

const HERE: &[&str] = &["127.0.0.0/8"];

fn at(url: String) -> Notify {
    Notify {
        webhook: Some(url),
        ..by(Channel::Webhook)
    }
}

/// What docs/notices.md tells receivers to do, with nothing of ours.
fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| headers[name].to_str().unwrap();
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [
        header("webhook-id").as_bytes(),
        b".",
        header("webhook-timestamp").as_bytes(),
        b".",
        body,
    ]
    .concat();
    let mut signatures = header("webhook-signature").split(' ');
    signatures.any(|one| {
        let signature = STANDARD.decode(one.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, &signed, &signature).is_ok()
    })
}

#[test]
fn a_webhook_is_signed_tried_again_and_known_by_its_id() {
    let (address, seen) = receiver();
    let office = Office::new();
    office.add("bob", by(Channel::Webhook));
    office.leave("01A", "bob", b"media");
    let _running = office.start(settings(Some(format!("http://{address}/later")), HERE));
    let sent = office.comes_to("bob", DeliveryState::Sent);
    assert_eq!((sent.attempts, sent.said.as_deref()), (2, Some("204")));
    let all = seen.all();
    assert_eq!(all.len(), 2);
    for (_, headers, body) in &all {
        assert!(is_signed(headers, body));
        assert_eq!(headers["webhook-id"], "message-committed_webhook_01A_bob");
        assert_eq!(headers["content-type"], "application/json");
        let said: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(said["type"], "message.committed");
        assert_eq!(said["timestamp"], "2026-01-01T00:00:00.000Z");
        let data = &said["data"];
        assert_eq!(
            (&data["user"], &data["message_id"], &data["from"]),
            (&"bob".into(), &"01A".into(), &"sip:ann@example.org".into())
        );
        assert_eq!(data["link"], "https://mail.example.com/m/01A");
    }
    let mut forged = all[0].2.to_vec();
    forged[10] ^= 1;
    assert!(!is_signed(&all[0].1, &forged));
    assert_eq!(
        (
            office.stats.sent(Channel::Webhook),
            office.stats.again(Channel::Webhook)
        ),
        (1, 1)
    );
    assert_eq!(*office.told.lock().unwrap(), ["notice.sent"]);
}

#[test]
fn private_addresses_are_refused_by_name_or_number_unless_they_are_named() {
    let (address, seen) = receiver();
    let office = Office::new();
    let port = address.port();
    // A name is looked up first: what it resolves to counts, whatever it is called.
    for (user, host) in [
        ("a", "127.0.0.1"),
        ("b", "localhost"),
        ("c", "[::ffff:127.0.0.1]"),
        ("d", "0.0.0.0"),
    ] {
        office.add(user, at(format!("http://{host}:{port}/hook")));
        office.leave(&format!("01{user}"), user, b"media");
    }
    let running = office.start(settings(None, &["10.0.0.0/8"]));
    for user in ["a", "b", "c", "d"] {
        let dead = office.comes_to(user, DeliveryState::Dead);
        let said = dead.said.unwrap();
        assert!(said.contains("webhook.allow"), "{said}");
    }
    assert!(seen.paths().is_empty());
    drop(running);
    // Named in the configuration, and tried again.
    assert_eq!(office.store.retry_dead_notices(now_ms()), Ok(4));
    let _running = office.start(settings(None, HERE));
    for user in ["a", "b", "c"] {
        office.comes_to(user, DeliveryState::Sent);
    }
    office.comes_to("d", DeliveryState::Dead);
}

#[test]
fn a_slow_receiver_and_one_without_an_end_hold_up_nobody() {
    let (address, seen) = receiver();
    let office = Office::new();
    for n in 0..8 {
        let user = format!("slow{n}");
        office.add(&user, at(format!("http://{address}/slow")));
        office.leave(&format!("01S{n}"), &user, b"media");
        office.leave(&format!("02S{n}"), &user, b"media");
    }
    office.add("endless", at(format!("http://{address}/endless")));
    office.leave("01E", "endless", b"media");
    office.add("bob", at(format!("http://{address}/hook")));
    office.leave("01B", "bob", b"media");
    let _running = office.start(settings(None, HERE));
    office.comes_to("bob", DeliveryState::Sent);
    let hanging = (0..8).filter(|n| office.of(&format!("slow{n}"))[0].is_tried).count();
    assert!(hanging > 0, "bob's went out while others hung");
    assert_eq!(
        office.comes_to("endless", DeliveryState::Sent).said.as_deref(),
        Some("200")
    );
    let failed = office.until("slow0", |one| one.said.is_some());
    assert!(failed.said.unwrap().contains("within 2 s"));
    // One at a time of each recipient.
    assert!(seen.paths().iter().filter(|path| *path == "/slow").count() <= 16);
}

#[test]
fn what_receivers_say_decides_and_redirects_are_not_followed() {
    let (address, seen) = receiver();
    let office = Office::new();
    for user in ["moved", "gone", "pause", "broken"] {
        office.add(user, at(format!("http://{address}/{user}")));
        office.leave(&format!("01{user}"), user, b"media");
    }
    office.add("nobody", at("http://127.0.0.1:9/".to_owned()));
    office.leave("01nobody", "nobody", b"media");
    let settings = Settings {
        first_pause: Duration::from_secs(60),
        ..settings(None, HERE)
    };
    let running = office.start(settings.clone());
    let moved = office.until("moved", |one| one.said.is_some());
    assert_eq!(moved.state, DeliveryState::Waiting);
    assert!(moved.said.unwrap().contains("not followed"));
    let gone = office.comes_to("gone", DeliveryState::Dead);
    assert_eq!(gone.said.as_deref(), Some("410 we moved out"));
    let pause = office.until("pause", |one| one.said.is_some());
    assert!(pause.next_at.unwrap().0 >= now_ms() + 100_000, "{pause:?}");
    let nobody = office.until("nobody", |one| one.said.is_some());
    assert!(nobody.said.unwrap().contains("refused"));
    assert!(!seen.paths().contains(&"/elsewhere".to_owned()));
    // Past its time it is a dead letter, with what was said last.
    drop(running);
    let id = office.of("broken")[0].id;
    office.store.retry_notice(id, now_ms() - 60_000).unwrap();
    let _running = office.start(Settings {
        give_up: Duration::from_secs(30),
        ..settings
    });
    let dead = office.comes_to("broken", DeliveryState::Dead);
    assert!(dead.said.unwrap().starts_with("500; given up after"));
}
