//! Several messages at once: as one archive, and by the buttons of the page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::io::{Cursor, Read};

use fixture::{Browser, Office, media};
use segue_mailbox::{Kind, MediaState};
use segue_store::{MediaSource, Role};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use zip::ZipArchive;

const EVIL: &str = "..\\../evil\u{202e}\r\n:?*<>|\"name";

/// What is in an archive, in its order.
fn files(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|n| {
            let mut file = archive.by_index(n).unwrap();
            assert_eq!(file.compression(), zip::CompressionMethod::Stored);
            let mut bytes = Vec::new();
            // Reading to the end checks its CRC.
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn export(ids: &[&str]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("id={id}")).collect();
    format!("/api/v1/messages/export?{}", ids.join("&"))
}

#[tokio::test]
async fn several_messages_come_as_one_archive_with_an_index_and_stay_unheard() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    office.deposit("01B", "bob", |new| {
        new.message.from_name = Some("ALICE".to_owned());
        new.message.kind = Kind::Audio;
        new.media_type = "audio/webm".to_owned();
        new.media = MediaSource::Bytes(b"small".to_vec());
    });
    office.deposit("01C", "bob", |new| new.message.from_name = Some("alice".to_owned()));
    office.deposit("01D", "bob", |new| new.message.from_name = Some(EVIL.to_owned()));
    office.deposit("01F", "bob", |new| new.message.media_state = MediaState::Raw);
    let bob = office.program("bob", Role::Subscriber, &["messages:read"]);
    let answer = bob.get(&export(&["01A", "01B", "01C", "01D", "01F", "01A"])).await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/zip"));
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!(length, answer.body.len(), "its length was known before");
    let named = answer.header("content-disposition").unwrap();
    assert!(
        named.starts_with("attachment; filename=\"messages-20") && named.ends_with(".zip\""),
        "{named}"
    );

    let files = files(&answer.body);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let at = "2023-11-14 22.13.20 UTC";
    let wanted = [
        "index.json".to_owned(),
        format!("{at} Alice.mp4"),
        format!("{at} ALICE.webm"),
        format!("{at} alice (2).mp4"),
        format!("{at} evil name.mp4"),
    ];
    assert_eq!(names, wanted);
    assert_eq!(
        (files[1].1.clone(), files[2].1.as_slice()),
        (media(), b"small".as_slice())
    );
    let index: Value = serde_json::from_slice(&files[0].1).unwrap();
    let index = index.as_array().unwrap();
    assert_eq!(index.len(), 5);
    assert_eq!(index[0]["file"], wanted[1].as_str());
    for (member, value) in [
        ("id", json!("01A")),
        ("from", json!("sip:alice@example.org")),
        ("from_name", json!("Alice")),
        ("received_at", json!("2023-11-14T22:13:20.000Z")),
        ("duration_ms", json!(10_000)),
        ("state", json!("unheard")),
    ] {
        assert_eq!(index[0][member], value);
    }
    assert_eq!(
        (&index[4]["file"], &index[4]["media_state"]),
        (&Value::Null, &json!("raw"))
    );
    assert!(office.store.message("01A").unwrap().heard_at_ms.is_none());
}

#[tokio::test]
async fn another_s_message_is_not_there_and_too_many_are_refused() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    office.deposit("01E", "eve", |_| ());
    let bob = office.browser("bob").await;
    let not_there = bob.get(&export(&["01A", "01E"])).await.problem(404);
    let unknown = bob.get(&export(&["01A", "01X"])).await.problem(404);
    let said = |problem: &Value| problem["detail"].as_str().unwrap().replace("01E", "01X");
    assert_eq!(said(&not_there), said(&unknown));
    bob.get("/api/v1/messages/export").await.problem(422);
    let many: Vec<String> = (0..101).map(|n| format!("01A{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    bob.get(&export(&many)).await.problem(422);
    office.nobody().get(&export(&["01A"])).await.problem(401);
    let other = office.program("bob", Role::Subscriber, &["settings:write"]);
    other.get(&export(&["01A"])).await.problem(403);

    // An operator has them all, and that is put down for each owner.
    let root = office.browser("root").await;
    assert_eq!(root.get(&export(&["01A", "01E"])).await.status, 200);
    let audit = root.get("/api/v1/audit?name=eve").await.text();
    let mine = bob.get("/api/v1/audit").await.text();
    assert!(
        audit.contains("message.open") && mine.contains("message.open"),
        "{audit}\n{mine}"
    );
}

#[tokio::test]
async fn a_message_that_is_freed_meanwhile_breaks_the_download_off() {
    let office = Office::open().await;
    // Longer than what lies between us and who takes it.
    let long = vec![7_u8; 24_000_000];
    for id in ["01A", "01B"] {
        office.deposit(id, "bob", |new| new.media = MediaSource::Bytes(long.clone()));
    }
    let bob = office.browser("bob").await;
    let mut stream = bob.begin("GET", &export(&["01A", "01B"]), b"", &[]).await;
    let mut head = vec![0; 1_000];
    stream.read_exact(&mut head).await.unwrap();
    let said = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = said
        .split("content-length: ")
        .nth(1)
        .unwrap()
        .split('\r')
        .next()
        .unwrap();
    let length: usize = length.parse().unwrap();
    assert!(length > 48_000_000, "{length}");
    office.store.free_message("01B").unwrap();
    let mut rest = Vec::new();
    // An error or an early end, as the system tells it.
    let _ = stream.read_to_end(&mut rest).await;
    let came = head.len() + rest.len();
    assert!(came < length, "{came} of {length}");
    let end = rest.windows(4).rposition(|four| four == b"PK\x05\x06");
    assert_eq!(end, None, "no archive that lacks one looks whole");
}

/// Presses a button for several, as the page's form does without a script.
async fn press(bob: &Browser, act: &str, ids: &[&str]) -> fixture::Answer {
    let ids: Vec<String> = ids.iter().map(|id| format!("&id={id}")).collect();
    let fields = format!("back=%2Fmessages%3Fq%3Dalice&act={act}{}", ids.concat());
    bob.form("/messages", &fields).await
}

#[tokio::test]
async fn what_is_chosen_on_the_page_is_taken_marked_deleted_and_had_back() {
    let office = Office::open().await;
    for id in ["01A", "01B", "01C"] {
        office.deposit(id, "bob", |_| ());
    }
    office.deposit("01E", "eve", |_| ());
    let bob = office.browser("bob").await;
    let page = bob.get("/messages").await.text();
    for wanted in [
        r#"<input type="checkbox" name="id" value="01A" form="chosen""#,
        r#"id="chosen" method="post" action="/messages""#,
        r#"value="download""#,
    ] {
        assert!(page.contains(wanted), "{wanted}\n{page}");
    }

    let taken = press(&bob, "download", &["01A", "01C"]).await;
    assert_eq!(taken.status, 303, "{}", taken.text());
    let at = taken.header("location").unwrap();
    assert_eq!(at, "/api/v1/messages/export?id=01A&id=01C");
    assert_eq!(files(&bob.get(&at).await.body).len(), 3);

    let state = |id: &str| {
        let message = office.store.message(id).unwrap();
        (message.heard_at_ms.is_some(), message.keeping.deleted_at_ms.is_some())
    };
    let marked = press(&bob, "heard", &["01A", "01B"]).await;
    assert_eq!(marked.header("location").as_deref(), Some("/messages?q=alice"));
    assert_eq!(
        ["01A", "01B", "01C"].map(state),
        [(true, false), (true, false), (false, false)]
    );

    // Another's among them: it is not there, and nothing is done to any.
    for act in ["heard", "delete", "download", "explode"] {
        assert_eq!(press(&bob, act, &["01C", "01E"]).await.status, 404, "{act}");
    }
    assert_eq!(press(&bob, "explode", &["01C"]).await.status, 422);
    assert_eq!([state("01C"), state("01E")], [(false, false); 2]);

    let deleted = press(&bob, "delete", &["01A", "01C"]).await.header("location").unwrap();
    assert_eq!(deleted, "/messages?q=alice&deleted=01A%2C01C");
    assert_eq!(
        ["01A", "01B", "01C"].map(state),
        [(true, true), (true, false), (false, true)]
    );
    let page = bob.get(&deleted).await.text();
    let notice = page
        .split("form class=\"notice\"")
        .nth(1)
        .unwrap()
        .split("</form>")
        .next()
        .unwrap();
    assert!(
        notice.contains("2 messages deleted.") && notice.contains("Undo"),
        "{notice}"
    );
    assert!(notice.contains(r#"name="id" value="01A""#) && notice.contains(r#"name="id" value="01C""#));
    press(&bob, "undelete", &["01A", "01C"]).await;
    assert_eq!(["01A", "01C"].map(state), [(true, false), (false, false)]);

    let none = press(&bob, "delete", &[]).await.header("location").unwrap();
    assert!(bob.get(&none).await.text().contains("No message was chosen."), "{none}");
    let forged = bob.raw_form("/messages", "act=delete&id=01A").await;
    assert_eq!((forged.status, state("01A")), (403, (true, false)));
}
