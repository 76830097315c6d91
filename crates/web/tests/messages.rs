//! Messages by the API: lists, search, tags, media in ranges, and what is done with them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{Office, media};
use segue_mailbox::{Kind, MediaState};
use segue_store::Role;
use serde_json::{Value, json};

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_list_comes_page_by_page_the_newest_first_and_misses_none() {
    let office = Office::open().await;
    for n in 0..7 {
        office.deposit(&format!("01A{n}"), "bob", |_| ());
        office.deposit(&format!("01B{n}"), "eve", |_| ());
    }
    let bob = office.browser("bob").await;
    let mut found = Vec::new();
    let mut path = "/api/v1/messages?limit=3".to_owned();
    let mut pages = 0;
    loop {
        let list = bob.get(&path).await.json();
        found.extend(ids(&list));
        pages += 1;
        // One that comes meanwhile moves nothing.
        office.deposit(&format!("01A9{pages}"), "bob", |_| ());
        match list["next"].as_str() {
            Some(next) => path = format!("/api/v1/messages?limit=3&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((found, pages), ((0..7).rev().map(|n| format!("01A{n}")).collect(), 3));
    let root = office.browser("root").await;
    assert_eq!(ids(&root.get("/api/v1/messages?limit=200").await.json()).len(), 17);
    let eves = root.get("/api/v1/messages?mailbox=eve&limit=2").await.json();
    assert_eq!(ids(&eves), ["01B6", "01B5"]);
    for wrong in ["limit=0", "limit=201", "cursor=%C2%A7"] {
        bob.get(&format!("/api/v1/messages?{wrong}")).await.problem(422);
    }
    bob.get("/api/v1/messages?trash=perhaps").await.problem(400);
}

#[tokio::test]
async fn messages_are_found_by_who_left_them_and_what_they_are() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |new| {
        new.message.from_name = Some("ÄRZTIN Öztürk".to_owned())
    });
    office.deposit("01B", "bob", |new| {
        new.message.from = "sip:+4930123@example.org".to_owned();
        new.message.kind = Kind::Audio;
    });
    let bob = office.browser("bob").await;
    let found = async |query: &str| ids(&bob.get(&format!("/api/v1/messages?{query}")).await.json());
    assert_eq!(found("q=%C3%A4rztin").await, ["01A"]);
    assert_eq!(found("q=4930").await, ["01B"]);
    assert_eq!(found("q=%25").await, Vec::<String>::new(), "no pattern of SQL");
    assert_eq!(found("kind=audio").await, ["01B"]);
    office.store.mark_heard("01A", 1).unwrap();
    assert_eq!(found("heard=false").await, ["01B"]);
    office.store.pin_message("01A", true, 1).unwrap();
    assert_eq!(found("pinned=true").await, ["01A"]);
    office.store.delete_message("01B", 1).unwrap();
    assert_eq!(
        (found("").await, found("trash=true").await),
        (vec!["01A".to_owned()], vec!["01B".to_owned()])
    );
}

#[tokio::test]
async fn what_one_has_is_not_sent_again_and_what_has_changed_is_not_changed_over() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let bob = office.browser("bob").await;
    let path = "/api/v1/messages/01A";
    let first = bob.get(path).await;
    let tag = first.header("etag").unwrap();
    let again = bob.get_with(path, &[("If-None-Match", &tag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag").unwrap(), tag);
    let change = json!({ "pinned": true });
    let changed = bob
        .change_with("PATCH", path, Some(&change), &[("If-Match", &tag)])
        .await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag").unwrap(), tag);
    let stale = bob
        .change_with("PATCH", path, Some(&json!({ "pinned": false })), &[("If-Match", &tag)])
        .await;
    assert_eq!(stale.problem(412)["code"], "changed");
    assert!(office.store.message("01A").unwrap().keeping.pinned);
    assert_eq!(bob.get_with(path, &[("If-None-Match", &tag)]).await.status, 200);
}

#[tokio::test]
async fn media_comes_whole_and_in_ranges_across_the_pieces_of_the_store() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let bob = office.browser("bob").await;
    let (all, path) = (media(), "/api/v1/messages/01A/media");
    let whole = bob.get(path).await;
    assert_eq!((whole.status, whole.body == all), (200, true));
    assert_eq!(whole.header("accept-ranges").as_deref(), Some("bytes"));
    assert_eq!(whole.header("content-type").as_deref(), Some("video/mp4"));
    assert_eq!(whole.header("x-content-type-options").as_deref(), Some("nosniff"));
    let length = all.len();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=262143-262144", 262_143, 262_145),
        ("bytes=100-599999", 100, length),
        ("bytes=524288-", 524_288, length),
        ("bytes=-7", length - 7, length),
        ("bytes=599990-700000", 599_990, length),
    ] {
        let part = bob.get_with(path, &[("Range", range)]).await;
        assert_eq!((part.status, part.body == all[from..to]), (206, true), "{range}");
        let said = format!("bytes {from}-{}/{length}", to - 1);
        assert_eq!(part.header("content-range"), Some(said), "{range}");
        assert_eq!(part.header("content-length"), Some((to - from).to_string()), "{range}");
    }
    let beyond = bob.get_with(path, &[("Range", "bytes=600000-")]).await;
    beyond.problem(416);
    assert_eq!(beyond.header("content-range").as_deref(), Some("bytes */600000"));
    for ignored in ["bytes=5-1", "bytes=0-1,3-4", "lines=1-2"] {
        assert_eq!(bob.get_with(path, &[("Range", ignored)]).await.status, 200, "{ignored}");
    }
    let tag = whole.header("etag").unwrap();
    let range = ("Range", "bytes=0-9");
    assert_eq!(bob.get_with(path, &[range, ("If-Range", &tag)]).await.status, 206);
    assert_eq!(bob.get_with(path, &[range, ("If-Range", "\"old\"")]).await.status, 200);
    assert_eq!(bob.get_with(path, &[("If-None-Match", &tag)]).await.status, 304);
    let head = bob.send("HEAD", path, None, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(length.to_string()));
    let saved = bob.get(&format!("{path}?download=true")).await;
    assert_eq!(
        saved.header("content-disposition").as_deref(),
        Some("attachment; filename=\"01A.mp4\"")
    );
    let poster = bob.get("/api/v1/messages/01A/poster").await;
    assert_eq!((poster.status, poster.text().as_str()), (200, "JPEG"));
}

#[tokio::test]
async fn what_could_be_taken_for_a_page_is_not_called_one() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |new| {
        new.media_type = "text/html".to_owned();
        new.message.media_state = MediaState::Raw;
        new.poster = None;
    });
    let bob = office.browser("bob").await;
    let media = bob.get("/api/v1/messages/01A/media").await;
    assert_eq!(
        media.header("content-type").as_deref(),
        Some("application/octet-stream")
    );
    assert!(
        media
            .header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    bob.get("/api/v1/messages/01A/poster").await.problem(404);
}

#[tokio::test]
async fn a_message_is_heard_past_four_fifths_and_the_rules_act_at_once() {
    let office = Office::open().await;
    office
        .store
        .set_retention("bob", 0, |own| own.heard_max = segue_mailbox::Limit::At(1))
        .unwrap();
    office.deposit("01A", "bob", |_| ());
    office.deposit("01B", "bob", |_| ());
    let bob = office.browser("bob").await;
    let played = async |id: &str, parts: &[(u64, u64)]| {
        let path = format!("/api/v1/messages/{id}");
        let parts: Vec<Value> = parts
            .iter()
            .map(|(from, to)| json!({ "from_ms": from, "to_ms": to }))
            .collect();
        let at = parts.last().map(|part| part["to_ms"].clone());
        let body = json!({ "played_ms": at, "played": parts });
        let changed = bob.change("PATCH", &path, Some(&body)).await.json();
        (
            changed["state"].as_str().unwrap().to_owned(),
            changed["played_ms"].as_u64(),
        )
    };
    let (heard, unheard) = ("heard".to_owned(), "unheard".to_owned());
    // To seek to the end is not to hear it, nor is what lies behind it.
    let end = [(9_990, 10_000), (10_000, 99_999)];
    assert_eq!(played("01A", &end).await, (unheard.clone(), Some(10_000)));
    assert_eq!(played("01A", &[(0, 7_989)]).await, (unheard, Some(7_989)));
    assert_eq!(played("01A", &[(7_000, 7_990)]).await, (heard.clone(), Some(7_990)));
    assert_eq!(played("01B", &[(1_000, 9_000)]).await, (heard, Some(9_000)));
    // No more than one heard one is kept: the older went.
    let gone = bob.get("/api/v1/messages/01A").await.json();
    assert_eq!(gone["deleted_by"], "heard_max");
    let unheard = bob
        .change("PATCH", "/api/v1/messages/01B", Some(&json!({ "heard": false })))
        .await
        .json();
    assert_eq!(unheard["state"], "unheard");
}

#[tokio::test]
async fn a_deleted_message_can_be_had_back_and_who_did_it_is_put_down() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let bob = office.browser("bob").await;
    let deleted = bob.change("DELETE", "/api/v1/messages/01A", None).await.json();
    assert_eq!(deleted["state"], "trash");
    assert!(deleted["until"].is_string());
    let refused = bob
        .change("PATCH", "/api/v1/messages/01A", Some(&json!({ "pinned": true })))
        .await;
    refused.problem(409);
    let back = bob.change("POST", "/api/v1/messages/01A/undelete", None).await.json();
    assert_eq!(back["deleted_at"], Value::Null);
    let deeds = bob.get("/api/v1/audit?limit=3").await.json();
    let did: Vec<_> = deeds["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deed| {
            (
                deed["what"].as_str().unwrap(),
                deed["name"].as_str().unwrap(),
                deed["by"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        did,
        [
            ("message.undelete", "bob", "session"),
            ("message.delete", "bob", "session"),
            ("login", "bob", "password")
        ]
    );
}

#[tokio::test]
async fn a_message_comes_back_pinned_and_goes_for_good_where_that_is_asked_for() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    office.deposit("01B", "bob", |_| ());
    let bob = office.browser("bob").await;
    bob.change("DELETE", "/api/v1/messages/01A", None).await;
    let back = bob
        .change("POST", "/api/v1/messages/01A/undelete?pin=true", None)
        .await
        .json();
    assert_eq!((&back["deleted_at"], &back["pinned"]), (&Value::Null, &json!(true)));
    // Out of the mailbox, and out of the trash.
    bob.change("DELETE", "/api/v1/messages/01B", None).await;
    let eve = office.browser("eve").await;
    for id in ["01A", "01B"] {
        let path = format!("/api/v1/messages/{id}?now=true");
        eve.change("DELETE", &path, None).await.problem(404);
        let gone = bob.change("DELETE", &path, None).await.json();
        assert_eq!(gone, json!({ "state": "gone", "until": null }));
        bob.get(&format!("/api/v1/messages/{id}")).await.problem(404);
        bob.change("POST", &format!("/api/v1/messages/{id}/undelete"), None)
            .await
            .problem(404);
    }
    let totals = office.store.totals().unwrap();
    assert_eq!((totals.messages, totals.trash), (0, 0));
    bob.change("DELETE", "/api/v1/messages/01A?now=perhaps", None)
        .await
        .problem(400);
    let deeds = bob.get("/api/v1/audit?limit=1").await.json();
    assert_eq!(
        (&deeds["items"][0]["what"], &deeds["items"][0]["detail"]),
        (&json!("message.delete"), &json!("freed"))
    );
}

#[tokio::test]
async fn an_operator_who_opens_a_message_is_put_down_for_its_owner_to_see() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let root = office.browser("root").await;
    let media = "/api/v1/messages/01A/media";
    // However it is asked for piece by piece, it is one deed.
    for range in ["bytes=1-", "bytes=-999999", "bytes=5-6,7-8", "bytes=0-"] {
        root.get_with(media, &[("Range", range)]).await;
    }
    office.deposit("01B", "bob", |_| ());
    root.send("HEAD", "/api/v1/messages/01B/media", None, &[]).await;
    let bob = office.browser("bob").await;
    bob.get("/api/v1/messages/01A/media").await;
    let deeds = bob.get("/api/v1/audit").await.json();
    let opened: Vec<_> = deeds["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["what"] == "message.open")
        .collect();
    assert_eq!(opened.len(), 1, "{deeds}");
    assert_eq!(
        (opened[0]["name"].as_str(), opened[0]["object"].as_str()),
        (Some("root"), Some("01A"))
    );
}

#[tokio::test]
async fn a_body_that_is_wrong_changes_nothing_and_says_why() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let bob = office.program("bob", Role::Subscriber, &["messages:write"]);
    let path = "/api/v1/messages/01A";
    let unknown = bob
        .change("PATCH", path, Some(&json!({ "heard": true, "mailbox": "eve" })))
        .await;
    assert!(unknown.problem(400)["detail"].as_str().unwrap().contains("mailbox"));
    bob.change("PATCH", path, Some(&json!("x".repeat(70_000))))
        .await
        .problem(413);
    bob.change("PATCH", path, None).await.problem(415);
    bob.change("PUT", path, None).await.problem(405);
    bob.get("/api/v1/nothing").await.problem(404);
    bob.get("/api/nothing").await.problem(404);
    assert_eq!(office.store.message("01A").unwrap().heard_at_ms, None);
}

#[tokio::test]
async fn parts_that_are_none_are_refused_and_change_nothing() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let bob = office.program("bob", Role::Subscriber, &["messages:write"]);
    let part = json!({ "from_ms": 0, "to_ms": 9_000 });
    for (parts, status) in [
        (json!([part, { "from_ms": 2, "to_ms": 1 }]), 422),
        (json!(vec![part.clone(); 201]), 422),
        (json!([{ "from_ms": -1, "to_ms": 9_000 }]), 400),
        (json!([{ "from_ms": 0 }]), 400),
    ] {
        let body = json!({ "played": parts });
        bob.change("PATCH", "/api/v1/messages/01A", Some(&body))
            .await
            .problem(status);
    }
    assert_eq!(office.store.message("01A").unwrap().heard_at_ms, None);
    // A program may say that it was heard.
    let said = bob
        .change("PATCH", "/api/v1/messages/01A", Some(&json!({ "heard": true })))
        .await;
    assert_eq!(said.json()["state"], "heard");
}

#[tokio::test]
async fn of_two_who_change_what_they_have_seen_at_once_one_is_refused() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let bob = office.program("bob", Role::Subscriber, &["messages:write", "settings:write"]);
    let paths = ["/api/v1/messages/01A", "/api/v1/subscribers/bob/retention"];
    for (path, n) in paths.into_iter().flat_map(|path| (0..10).map(move |n| (path, n))) {
        let tag = bob.get(path).await.header("etag").unwrap().to_owned();
        let body = |by: u32| match path.contains("retention") {
            true => json!({ "unheard_max": 100 + 2 * n + by }),
            false => json!({ "played_ms": 10 + 2 * n + by }),
        };
        let seen = [("If-Match", tag.as_str())];
        let (one, other) = (body(0), body(1));
        let (one, other) = tokio::join!(
            bob.change_with("PATCH", path, Some(&one), &seen),
            bob.change_with("PATCH", path, Some(&other), &seen)
        );
        let mut got = [one.status, other.status];
        got.sort_unstable();
        assert_eq!(got, [200, 412], "{path}, try {n}");
    }
}
