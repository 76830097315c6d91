//! Uploads at their edges: two requests at once, a full disk, a server that ended in between.

use std::time::{Duration, Instant};

use segue_store::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    PIECE, TUS, append, begin, begun, clip,
    fixture::{self, Office},
    outcome,
};

#[tokio::test]
async fn one_request_brings_bytes_of_an_upload_and_another_waits_until_it_ends() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let to = begun(&bob, "hello", 1_000).await;
    let headers = [("Content-Length", "1000"), PIECE, TUS, ("Upload-Offset", "0")];
    let csrf = bob.csrf.clone().unwrap();
    let head = headers.iter().fold(
        format!(
            "PATCH {to} HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\nX-CSRF-Token: {csrf}\r\n",
            bob.cookie.as_ref().unwrap()
        ),
        |head, (name, value)| format!("{head}{name}: {value}\r\n"),
    );
    let mut stream = tokio::net::TcpStream::connect(office.address).await.unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    stream.write_all(&[b'a'; 600]).await.unwrap();
    // A byte that is not next is refused as such until the first has the file, and changes nothing.
    let until = Instant::now() + Duration::from_secs(10);
    let locked = loop {
        let answer = append(&bob, &to, 7, b"x").await;
        if answer.status == 423 {
            break answer.problem(423);
        }
        assert!(answer.status == 409 && Instant::now() < until, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(locked["fix"].as_str().unwrap().contains("offset"), "{locked}");
    // The first goes on undisturbed; then others may.
    stream.write_all(&[b'b'; 400]).await.unwrap();
    let mut said = [0; 12];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 204");
    let refused = outcome(&bob, &to).await;
    assert_eq!(
        (&refused["state"], &refused["offset"]),
        (&json!("refused"), &json!(1_000))
    );
}

#[tokio::test]
async fn what_the_disk_has_no_room_for_is_said_so_and_nothing_of_it_stays() {
    let office = Office::with(fixture::With {
        upload_max: u64::MAX,
        ..fixture::With::default()
    })
    .await;
    let bob = office.browser("bob").await;
    begin(&bob, "hello", None, 1 << 60).await.problem(507);
    assert_eq!(office.store.uploads().unwrap(), []);
    assert_eq!(
        std::fs::read_dir(office.store.data_dir().join("uploads"))
            .unwrap()
            .count(),
        0
    );
    begun(&bob, "hello", 5).await;
}

/// Bytes of which a server had begun to make a clip when it ended.
fn left_half_prepared(office: &Office, id: &str, bytes: &[u8]) {
    let deed = segue_store::Deed {
        name: "bob".to_owned(),
        role: Role::Subscriber,
        by: "session".to_owned(),
        source: String::new(),
        what: "clip.upload".to_owned(),
        object: format!("clip-{id}"),
        owner: Some("bob".to_owned()),
        detail: String::new(),
    };
    let store = &office.store;
    let upload = store
        .begin_upload(id, deed, bytes.len() as u64, fixture::now())
        .unwrap();
    let mut file = store.go_on_with_upload(&upload, 0).unwrap().unwrap();
    file.append(bytes).unwrap();
    file.close().unwrap();
    store.touch_upload(id, true, fixture::now()).unwrap();
    let (next, _) = store.next_upload("", fixture::now()).unwrap().unwrap();
    assert_eq!(next.id, id);
}

#[tokio::test]
async fn what_a_restart_left_half_prepared_is_prepared_by_the_next_server_or_refused_and_leaves_nothing() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    left_half_prepared(&office, "f11e", &clip());
    left_half_prepared(&office, "e000", b"no film");
    // This one's file has gone with the disk.
    left_half_prepared(&office, "90e1", b"words");
    let folder = office.store.data_dir().join("uploads");
    std::fs::remove_file(folder.join("90e1")).unwrap();
    for id in ["f11e", "e000", "90e1"] {
        let now = bob.get(&format!("/api/v1/uploads/{id}")).await.json();
        assert_eq!(now["state"], "preparing");
    }
    let _next = office.next_preparer();
    let made = outcome(&bob, "/api/v1/uploads/f11e").await;
    assert_eq!(made["state"], "ready", "{made}");
    bob.get("/api/v1/clips/clip-f11e").await.json();
    for id in ["e000", "90e1"] {
        let refused = outcome(&bob, &format!("/api/v1/uploads/{id}")).await;
        assert_eq!(refused["state"], "refused");
        assert!(!refused["why"].as_str().unwrap().is_empty(), "{refused}");
        bob.get(&format!("/api/v1/clips/clip-{id}")).await.problem(404);
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}
