//! Clips and greetings by the API: uploads that are resumed, what becomes of them, who may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "clips/edges.rs"]
mod edges;
mod fixture;

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use fixture::{Answer, Browser, Office, UPLOAD_MAX};
use segue_mailbox::RenditionProfile;
use segue_store::{NewClip, NewRendition, Role};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PIECE: (&str, &str) = ("Content-Type", "application/offset+octet-stream");
const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");

/// A second of a picture and a sound.
fn clip() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.mkv");
    let sources = [
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        "color=blue:s=160x120:r=15:d=1",
        "-f",
        "lavfi",
        "-i",
        "sine=440:r=8000:d=1",
        "-c:v",
        "ffv1",
        "-c:a",
        "pcm_s16le",
    ];
    let done = std::process::Command::new("ffmpeg").args(sources).arg(&file).status();
    assert!(done.unwrap().success());
    std::fs::read(file).unwrap()
}

fn metadata(name: &str, user: Option<&str>) -> String {
    let user = user
        .map(|user| format!(",user {}", STANDARD.encode(user)))
        .unwrap_or_default();
    format!("name {}{user}", STANDARD.encode(name))
}

async fn begin(browser: &Browser, name: &str, user: Option<&str>, bytes: usize) -> Answer {
    let (metadata, bytes) = (metadata(name, user), bytes.to_string());
    let headers = [
        TUS,
        ("Upload-Length", bytes.as_str()),
        ("Upload-Metadata", metadata.as_str()),
    ];
    browser.bytes("POST", "/api/v1/uploads", b"", &headers).await
}

/// Where the bytes of a begun upload go.
async fn begun(browser: &Browser, name: &str, bytes: usize) -> String {
    let answer = begin(browser, name, None, bytes).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(answer.header("upload-expires").unwrap().ends_with(" GMT"));
    answer.header("location").unwrap()
}

async fn append(browser: &Browser, to: &str, offset: usize, bytes: &[u8]) -> Answer {
    let offset = offset.to_string();
    browser
        .bytes("PATCH", to, bytes, &[TUS, PIECE, ("Upload-Offset", offset.as_str())])
        .await
}

async fn offset(browser: &Browser, of: &str) -> usize {
    let answer = browser.bytes("HEAD", of, b"", &[TUS]).await;
    assert_eq!(
        (answer.status, answer.header("tus-resumable").as_deref()),
        (200, Some("1.0.0"))
    );
    answer.header("upload-offset").unwrap().parse().unwrap()
}

/// What has become of it.
async fn outcome(browser: &Browser, of: &str) -> Value {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let now = browser.get(of).await.json();
        if ["ready", "refused"].contains(&now["state"].as_str().unwrap()) {
            return now;
        }
        assert!(Instant::now() < until, "{now}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_clip_comes_in_parts_goes_on_after_a_break_is_shown_chosen_and_deleted() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let file = clip();
    let to = begun(&bob, "hello", file.len()).await;
    assert_eq!(offset(&bob, &to).await, 0);
    let third = file.len() / 3;
    let answer = append(&bob, &to, 0, &file[..third]).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(answer.header("upload-offset"), Some(third.to_string()));
    // A request that promises more than it brings before its connection ends: what came is kept.
    let (half, csrf) = (file.len() / 2, bob.csrf.clone().unwrap());
    let mut head = format!(
        "PATCH {to} HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\nX-CSRF-Token: {csrf}\r\nUpload-Offset: {third}\r\n",
        bob.cookie.as_ref().unwrap()
    );
    head.push_str(&format!(
        "{}: {}\r\nContent-Length: {}\r\n\r\n",
        PIECE.0,
        PIECE.1,
        file.len() - third
    ));
    let mut stream = tokio::net::TcpStream::connect(office.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&file[third..half]).await.unwrap();
    drop(stream);
    let until = Instant::now() + Duration::from_secs(10);
    while offset(&bob, &to).await != half {
        assert!(Instant::now() < until, "{}", offset(&bob, &to).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It is given back when it is on the disk.
    while append(&bob, &to, 0, b"x").await.status == 423 {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What is not next is refused, and changes nothing.
    for wrong in [0, third, half + 1] {
        assert_eq!(
            append(&bob, &to, wrong, &file[half..half + 1]).await.problem(409)["code"],
            "offset"
        );
    }
    assert_eq!(append(&bob, &to, half, &file[half..]).await.status, 204);
    let ready = outcome(&bob, &to).await;
    assert_eq!(
        (&ready["state"], &ready["owner"], &ready["name"]),
        (&json!("ready"), &json!("bob"), &json!("hello"))
    );
    assert_eq!(offset(&bob, &to).await, file.len());
    append(&bob, &to, file.len(), b"").await.problem(409);
    // The clip is his alone, with its picture and as a browser plays it.
    let shown = bob.get("/api/v1/clips/hello").await.json();
    assert_eq!((&shown["owner"], &shown["has_poster"]), (&json!("bob"), &json!(true)));
    assert!(
        (900..=1_000).contains(&shown["duration_ms"].as_u64().unwrap()),
        "{shown}"
    );
    assert_eq!(shown["renditions"].as_array().unwrap().len(), 20);
    assert!(
        bob.get("/api/v1/clips/hello/poster")
            .await
            .body
            .starts_with(&[0xff, 0xd8])
    );
    let part = bob
        .get_with("/api/v1/clips/hello/preview", &[("Range", "bytes=4-7")])
        .await;
    assert_eq!(
        (part.status, part.header("content-type").as_deref()),
        (206, Some("video/mp4"))
    );
    assert_eq!(part.body, b"ftyp");
    office
        .browser("eve")
        .await
        .get("/api/v1/clips/hello")
        .await
        .problem(404);
    // Chosen, it cannot be deleted; then it can.
    let chosen = bob
        .change("PATCH", "/api/v1/subscribers/bob", Some(&json!({ "clip": "hello" })))
        .await;
    assert_eq!(chosen.status, 200);
    assert_eq!(bob.get("/api/v1/clips/hello").await.json()["uses"][0]["as"], "clip");
    let why = bob.change("DELETE", "/api/v1/clips/hello", None).await.problem(409);
    assert!(why["detail"].as_str().unwrap().contains("used by bob"), "{why}");
    bob.change("PATCH", "/api/v1/subscribers/bob", Some(&json!({ "clip": null })))
        .await;
    assert_eq!(bob.change("DELETE", "/api/v1/clips/hello", None).await.status, 204);
    assert_eq!(bob.get("/api/v1/clips").await.json()["items"], json!([]));
    // Who did it stands in the audit, with the deed.
    let deeds = bob.get("/api/v1/audit").await.json();
    let deeds: Vec<&Value> = deeds["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deed| &deed["what"])
        .collect();
    assert_eq!(
        deeds[..4],
        ["clip.remove", "subscriber.set", "subscriber.set", "clip.upload"]
    );
    assert_eq!(
        std::fs::read_dir(office.store.data_dir().join("uploads"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn what_is_no_media_is_refused_with_its_reason_and_leaves_the_clip_that_is_there() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let to = begun(&bob, "hello", 5).await;
    assert_eq!(append(&bob, &to, 0, b"words").await.status, 204);
    let refused = outcome(&bob, &to).await;
    assert_eq!(refused["state"], "refused");
    assert!(!refused["why"].as_str().unwrap().is_empty(), "{refused}");
    assert!(refused["fix"].as_str().unwrap().contains("audio or video"), "{refused}");
    bob.get("/api/v1/clips/hello").await.problem(404);
    // Followed, it is told and over.
    let mut stream = bob.begin("GET", &format!("{to}/events"), b"", &[]).await;
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(
        told.contains("event: upload\n") && told.contains("\"state\":\"refused\""),
        "{told}"
    );
    assert_eq!(bob.change("DELETE", &to, None).await.status, 204);
    bob.get(&to).await.problem(404);
}

#[tokio::test]
async fn what_cannot_be_taken_is_said_before_a_byte_of_it_comes() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let options = bob.bytes("OPTIONS", "/api/v1/uploads", b"", &[]).await;
    assert_eq!(options.header("tus-max-size"), Some(UPLOAD_MAX.to_string()));
    assert_eq!(
        options.header("tus-extension").as_deref(),
        Some("creation,termination,expiration")
    );
    let long = usize::try_from(UPLOAD_MAX).unwrap() + 1;
    begin(&bob, "a", None, long).await.problem(413);
    assert_eq!(begin(&bob, "a", None, 0).await.problem(422)["code"], "invalid");
    for name in ["", "none", "../x", "a b", "\u{e4}", "-a"] {
        begin(&bob, name, None, 5).await.problem(422);
    }
    begin(&bob, "a", Some("eve"), 5).await.problem(404);
    bob.bytes("POST", "/api/v1/uploads", b"", &[TUS]).await.problem(400);
    let other = [
        ("Tus-Resumable", "0.2.2"),
        ("Upload-Length", "5"),
        ("Upload-Metadata", "name YQ=="),
    ];
    bob.bytes("POST", "/api/v1/uploads", b"", &other).await.problem(412);
    // Pieces: more than was said, of another type, another's.
    let to = begun(&bob, "a", 5).await;
    append(&bob, &to, 0, b"sixsix").await.problem(413);
    bob.bytes("PATCH", &to, b"x", &[TUS, ("Upload-Offset", "0")])
        .await
        .problem(415);
    bob.bytes("PATCH", &to, b"x", &[TUS, PIECE]).await.problem(400);
    append(&office.browser("eve").await, &to, 0, b"words")
        .await
        .problem(404);
    assert_eq!(offset(&bob, &to).await, 0);
    let reader = office.program("bob", Role::Subscriber, &["settings:read"]);
    assert_eq!(offset(&reader, &to).await, 0);
    append(&reader, &to, 0, b"words").await.problem(403);
    begin(&reader, "b", None, 5).await.problem(403);
    // So many at a time and no more, until one is given up.
    for name in ["b", "c", "d"] {
        begun(&bob, name, 5).await;
    }
    let full = begin(&bob, "e", None, 5).await.problem(409);
    assert!(full["detail"].as_str().unwrap().contains("too many"), "{full}");
    assert_eq!(bob.change("DELETE", &to, None).await.status, 204);
    begun(&bob, "e", 5).await;
    // Other routes take no more than before.
    let long = "x".repeat(70_000);
    let answer = bob
        .change("PATCH", "/api/v1/subscribers/bob", Some(&json!({ "clip": long })))
        .await;
    answer.problem(413);
}

#[tokio::test]
async fn an_operator_s_clip_is_for_all_and_a_name_that_is_another_s_is_taken() {
    let office = Office::open().await;
    let (root, bob) = (office.browser("root").await, office.browser("bob").await);
    let file = clip();
    let to = begun(&root, "all", file.len()).await;
    assert_eq!(append(&root, &to, 0, &file).await.status, 204);
    assert_eq!(outcome(&root, &to).await["state"], "ready");
    bob.get(&to).await.problem(404);
    assert_eq!(bob.get("/api/v1/clips").await.json()["items"][0]["owner"], Value::Null);
    assert_eq!(
        bob.change("PATCH", "/api/v1/subscribers/bob", Some(&json!({ "greeting": "all" })))
            .await
            .status,
        200
    );
    let taken = begin(&bob, "all", None, 5).await.problem(409);
    assert!(taken["detail"].as_str().unwrap().contains("taken"), "{taken}");
    bob.change("DELETE", "/api/v1/clips/all", None).await.problem(403);
    // An operator gives one to a subscriber.
    assert_eq!(begin(&root, "for-bob", Some("bob"), 5).await.json()["owner"], "bob");
    begin(&root, "for-bob", Some("nobody"), 5).await.problem(404);
}

/// A clip of somebody's own is not put before another's callers: they would see whatever its owner makes of it.
#[tokio::test]
async fn nobody_is_given_what_another_may_change() {
    let office = Office::open().await;
    let (root, bob) = (office.browser("root").await, office.browser("bob").await);
    let file = clip();
    let to = begun(&bob, "bobs", file.len()).await;
    assert_eq!(append(&bob, &to, 0, &file).await.status, 204);
    assert_eq!(outcome(&bob, &to).await["state"], "ready");
    for key in ["clip", "greeting"] {
        let refused = root
            .change("PATCH", "/api/v1/subscribers/eve", Some(&json!({ key: "bobs" })))
            .await;
        let problem = refused.problem(422);
        assert!(
            problem["detail"].as_str().unwrap().contains("is bob's own"),
            "{problem}"
        );
        let chosen = root
            .change("PATCH", "/api/v1/subscribers/bob", Some(&json!({ key: "bobs" })))
            .await;
        assert_eq!(chosen.status, 200, "{}", chosen.text());
    }
    let rule = json!({ "clip": "bobs" });
    root.change("POST", "/api/v1/subscribers/eve/rules", Some(&rule))
        .await
        .problem(422);
    assert_eq!(
        root.change("POST", "/api/v1/subscribers/bob/rules", Some(&rule))
            .await
            .status,
        201
    );
}

/// A file of some kilobytes that would keep the decoder at work for an hour, and everybody else waiting.
#[tokio::test]
async fn what_an_older_version_did_not_make_of_a_clip_is_made_for_whose_it_is() {
    let office = Office::open().await;
    let (bob, eve) = (office.browser("bob").await, office.browser("eve").await);
    let file = clip();
    let to = begun(&bob, "hello", file.len()).await;
    append(&bob, &to, 0, &file).await;
    assert_eq!(outcome(&bob, &to).await["state"], "ready");
    // As an older version had it.
    let whole = office.store.clip("hello").unwrap();
    let kept = [RenditionProfile::Opus, RenditionProfile::H264W640Mode1];
    let old = |name: &str| NewClip {
        name: name.to_owned(),
        duration_ms: whole.duration_ms,
        renditions: kept
            .iter()
            .map(|profile| NewRendition {
                profile: *profile,
                profile_level_id: Some([0x42, 0xc0, 0x1e]).filter(|_| profile.is_video()),
                cache: office.store.rendition(whole.id, *profile).unwrap().unwrap(),
            })
            .collect(),
        poster: None,
    };
    let older = office.store.put_clip(old("old")).unwrap();
    office.store.own_clip("old", "bob", 1).unwrap();
    office.store.put_clip(old("ours")).unwrap();
    let path = "/api/v1/clips/old/refresh";
    eve.change("POST", path, None).await.problem(404);
    bob.change("POST", "/api/v1/clips/ours/refresh", None)
        .await
        .problem(403);
    let before = bob.get("/api/v1/clips/old").await.json();
    assert_eq!(before["missing"].as_array().unwrap().len(), older.missing().len());
    let done = bob.change("POST", path, None).await;
    let made = done.json();
    assert_eq!((done.status, &made["missing"]), (200, &json!([])), "{made}");
    assert_eq!(
        (&made["owner"], &made["duration_ms"]),
        (&json!("bob"), &before["duration_ms"])
    );
    let now = office.store.clip("old").unwrap();
    let kept_as_it_was = office.store.rendition(now.id, kept[0]).unwrap();
    assert_eq!(kept_as_it_was, office.store.rendition(whole.id, kept[0]).unwrap());
    // There is nothing to be done twice; what was done is put down once.
    assert_eq!(bob.change("POST", path, None).await.json()["id"], made["id"]);
    let audit = office.store.audit(Some(("bob", Role::Subscriber)), None, 10).unwrap();
    let deeds = audit.iter().filter(|done| done.deed.what == "clip.refresh");
    assert_eq!(deeds.map(|done| done.deed.object.as_str()).collect::<Vec<_>>(), ["old"]);
    let broken = NewClip {
        renditions: vec![NewRendition {
            profile: RenditionProfile::Pcmu,
            profile_level_id: None,
            cache: vec![1; 100],
        }],
        ..old("broken")
    };
    office.store.put_clip(broken).unwrap();
    let root = office.browser("root").await;
    root.change("POST", "/api/v1/clips/broken/refresh", None)
        .await
        .problem(409);
}

#[tokio::test]
async fn more_pictures_than_anybody_can_decode_in_time_are_refused_at_once() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("huge.mp4");
    let source = "color=c=black:s=4096x4096:r=240";
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "40"])
        .args(["-c:v", "libx264", "-preset", "ultrafast"])
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    let file = std::fs::read(file).unwrap();
    let to = begun(&bob, "huge", file.len()).await;
    assert_eq!(append(&bob, &to, 0, &file).await.status, 204);
    let refused = outcome(&bob, &to).await;
    assert_eq!(refused["state"], "refused");
    assert!(
        refused["why"].as_str().unwrap().contains("4096x4096 at 240"),
        "{refused}"
    );
}

/// A form with a file in it, as a browser without a script sends it.
fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(format!("--SEAM\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    body.extend(b"--SEAM\r\nContent-Disposition: form-data; name=\"file\"; filename=\"<b>.mkv\"\r\n");
    body.extend(b"Content-Type: video/x-matroska\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--SEAM--\r\n");
    body
}

const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=SEAM");

#[tokio::test]
async fn the_page_works_without_a_script() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let page = bob.get("/clips").await.text();
    assert!(
        page.contains("No clips yet.") && page.contains("multipart/form-data"),
        "{page}"
    );
    let csrf = bob.csrf.clone().unwrap();
    // The token comes before the file, or nothing of the file is taken.
    for wrong in [&[("name", "hello")][..], &[("csrf", "x"), ("name", "hello")]] {
        assert_eq!(
            bob.bytes("POST", "/clips", &form(wrong, b"words"), &[FORM])
                .await
                .status,
            403
        );
    }
    let fields = [("csrf", csrf.as_str()), ("name", "hello")];
    let long = vec![0; usize::try_from(UPLOAD_MAX).unwrap()];
    assert_eq!(
        bob.bytes("POST", "/clips", &form(&fields, &long), &[FORM]).await.status,
        413
    );
    assert_eq!(
        bob.bytes("POST", "/clips", &form(&fields, b""), &[FORM]).await.status,
        422
    );
    assert_eq!(office.store.uploads().unwrap(), []);
    // No media: the page says so, and what is done about it.
    assert_eq!(
        bob.bytes("POST", "/clips", &form(&fields, b"words"), &[FORM])
            .await
            .status,
        303
    );
    let uploads = bob.get("/api/v1/uploads").await.json();
    let upload = format!("/api/v1/uploads/{}", uploads[0]["id"].as_str().unwrap());
    assert_eq!(outcome(&bob, &upload).await["bytes"], 5);
    let page = bob.get("/clips").await.text();
    assert!(page.contains("is no clip: ") && page.contains("To mend it: "), "{page}");
    // A film: it becomes a clip, is chosen by a button, kept as long as it is, and deleted.
    assert_eq!(
        bob.bytes("POST", "/clips", &form(&fields, &clip()), &[FORM])
            .await
            .status,
        303
    );
    let uploads = bob.get("/api/v1/uploads").await.json();
    let upload = format!("/api/v1/uploads/{}", uploads[1]["id"].as_str().unwrap());
    assert_eq!(outcome(&bob, &upload).await["state"], "ready");
    let page = bob.get("/clips").await.text();
    assert!(page.contains("/api/v1/clips/hello/preview"), "{page}");
    let act = |act: &str| format!("act={act}&user=bob&clip=hello");
    assert_eq!(bob.form("/clips/act", &act("greeting")).await.status, 303);
    assert_eq!(
        office.store.subscriber("bob").unwrap().greeting.as_deref(),
        Some("hello")
    );
    assert!(bob.get("/clips").await.text().contains("The greeting is hello."));
    let refused = bob.form("/clips/act", &act("delete")).await;
    assert!(
        refused.status == 409 && refused.text().contains("used by bob"),
        "{}",
        refused.text()
    );
    assert_eq!(bob.form("/clips/act", &act("no-greeting")).await.status, 303);
    assert_eq!(bob.form("/clips/act", &act("delete")).await.status, 303);
    assert!(bob.get("/clips").await.text().contains("No clips yet."));
    // Nobody acts for another.
    assert_eq!(bob.form("/clips/act", "act=no-clip&user=eve").await.status, 404);
}

#[tokio::test]
async fn nobody_follows_more_uploads_than_they_may() {
    let office = Office::open().await;
    let (bob, eve) = (office.browser("bob").await, office.browser("eve").await);
    let events = format!("{}/events", begun(&bob, "hello", 1_000).await);
    let hers = format!("{}/events", begun(&eve, "hers", 1_000).await);
    let mut follows = Vec::new();
    for _ in 0..8 {
        let mut stream = bob.begin("GET", &events, b"", &[]).await;
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        follows.push(stream);
    }
    bob.get(&events).await.problem(503);
    // Another may, and so may they again as soon as one has gone.
    let mut stream = eve.begin("GET", &hers, b"", &[]).await;
    stream.read_exact(&mut [0; 15]).await.unwrap();
    drop(follows.pop());
    let mut statuses = Vec::new();
    for _ in 0..200 {
        let mut stream = bob.begin("GET", &events, b"", &[]).await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        statuses.push(first);
        if &first == b"HTTP/1.1 200" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the place did not come back: {statuses:?}");
}
