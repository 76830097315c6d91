//! The mailbox page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::Office;
use segue_mailbox::{Kind, MediaState};

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

#[tokio::test]
async fn messages_are_shown_with_who_when_and_how_long_and_can_be_played() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |new| new.message.urgent = true);
    office.deposit("01B", "bob", |new| {
        new.message.kind = Kind::Audio;
        new.poster = None;
    });
    office.deposit("01C", "bob", |new| new.message.media_state = MediaState::Raw);
    office.deposit("01E", "eve", |_| ());
    office.store.mark_heard("01B", 1).unwrap();
    let bob = office.browser("bob").await;
    let answer = bob.get("/messages").await;
    let page = answer.text();
    for wanted in [
        r#"<video controls playsinline preload="none" poster="/api/v1/messages/01A/poster" src="/api/v1/messages/01A/media""#,
        r#"<audio controls preload="none" src="/api/v1/messages/01B/media""#,
        r#"<time datetime="2023-11-14T22:13:20.000Z">2023-11-14 22:13 UTC</time>"#,
        "<strong>Alice</strong>",
        "sip:alice@example.org",
        "0:10",
        "Urgent",
        "2 new, 1 heard",
        "still being prepared",
    ] {
        assert!(page.contains(wanted), "{wanted}\n{page}");
    }
    assert!(!page.contains("01E"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );
    // Nothing inline: neither a script, nor a style, nor a handler.
    assert!(
        !page.contains("<style") && !page.contains("style=") && !page.contains(" on"),
        "{page}"
    );
    for script in page.split("<script").skip(1) {
        assert!(script.starts_with(r#" type="module" src="/assets/"#), "{script}");
    }
    for file in page.split('"').filter(|value| value.starts_with("/assets/")) {
        let answer = bob.get(file).await;
        assert_eq!(answer.status, 200, "{file}");
        assert!(answer.header("cache-control").unwrap().contains("immutable"));
    }
}

#[tokio::test]
async fn what_callers_say_of_themselves_stays_text() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |new| {
        new.message.from_name = Some(EVIL.to_owned());
        new.message.from = format!("sip:{EVIL}@x");
        new.message.sip_call_id = EVIL.to_owned();
    });
    let bob = office.browser("bob").await;
    let evil: String = EVIL.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for path in [
        "/messages".to_owned(),
        format!("/messages?q={evil}"),
        format!("/messages?deleted={evil}&show={evil}"),
        format!("/login?next=/{evil}"),
        format!("/login/link/{evil}"),
        format!("/{evil}"),
    ] {
        let answer = bob.get(&path).await;
        let page = answer.text();
        let is_html = answer.header("content-type").is_some_and(|kind| kind.contains("html"));
        assert!(
            !is_html || (!page.contains("<script>alert") && !page.contains("<img")),
            "{path}\n{page}"
        );
    }
    let page = bob.get("/messages").await.text();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
}

#[tokio::test]
async fn buttons_do_what_they_say_without_a_script_and_a_deletion_is_undone() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    office.deposit("01E", "eve", |_| ());
    let bob = office.browser("bob").await;
    let press = async |act: &str| {
        let answer = bob
            .form("/messages/01A", &format!("act={act}&back=%2Fmessages%3Fshow%3Dnew"))
            .await;
        assert_eq!(answer.status, 303, "{act}: {}", answer.text());
        answer.header("location").unwrap()
    };
    assert_eq!(press("pin").await, "/messages?show=new");
    assert!(office.store.message("01A").unwrap().keeping.pinned);
    press("heard").await;
    assert!(office.store.message("01A").unwrap().heard_at_ms.is_some());
    press("unheard").await;
    press("unpin").await;
    let back = press("delete").await;
    assert_eq!(back, "/messages?show=new&deleted=01A");
    let page = bob.get(&back).await.text();
    assert!(page.contains(r#"value="undelete""#) && page.contains("Undo"), "{page}");
    assert!(bob.get("/messages?show=trash").await.text().contains("Restore"));
    press("undelete").await;
    assert_eq!(office.store.message("01A").unwrap().keeping.deleted_at_ms, None);
    assert_eq!(bob.form("/messages/01E", "act=delete").await.status, 404);
    assert_eq!(bob.form("/messages/01A", "act=explode").await.status, 422);
    let elsewhere = bob
        .form("/messages/01A", "act=pin&back=https%3A%2F%2Fevil.example")
        .await;
    assert_eq!(elsewhere.header("location").as_deref(), Some("/messages"));
}

#[tokio::test]
async fn a_long_mailbox_is_shown_in_parts_and_searched() {
    let office = Office::open().await;
    for n in 0..51 {
        office.deposit(&format!("01A{n:02}"), "bob", |new| {
            new.message.from_name = Some(format!("Caller {n}"))
        });
    }
    let bob = office.browser("bob").await;
    let first = bob.get("/messages").await.text();
    assert!(first.contains("m-01A50") && !first.contains("m-01A00"));
    let next = first
        .split(r#"rel="next" href=""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let second = bob.get(&next.replace("&amp;", "&")).await.text();
    assert!(
        second.contains("m-01A00") && !second.contains(r#"rel="next""#),
        "{second}"
    );
    let found = bob.get("/messages?q=caller+7").await.text();
    assert_eq!(found.matches("data-id=").count(), 1);
    assert!(bob.get("/messages?q=nobody").await.text().contains("Nothing found."));
}

#[tokio::test]
async fn who_is_known_has_the_name_that_their_contact_has_and_each_day_stands_once() {
    let office = Office::open().await;
    let contact = |address: &str, name: &str| segue_policy::Contact {
        address: address.to_owned().try_into().unwrap(),
        name: Some(name.to_owned()),
        groups: Vec::new(),
    };
    office.store.put_contact("bob", contact("+4930111", "Mother")).unwrap();
    office.store.put_contact("bob", contact("+4940*", "Hamburg")).unwrap();
    office
        .store
        .put_contact("eve", contact("sip:alice@example.org", "Of eve alone"))
        .unwrap();
    let day_ms = 86_400_000;
    for (n, from) in [
        "sip:030111@example.org",
        "sip:040222@example.org",
        "sip:alice@example.org",
    ]
    .into_iter()
    .enumerate()
    {
        office.deposit(&format!("01{n}"), "bob", |new| {
            new.message.from = from.to_owned();
            new.message.received_at_ms += i64::try_from(n / 2).unwrap() * day_ms;
        });
    }
    let page = office.browser("bob").await.get("/messages").await.text();
    // The list's own name comes first, what the caller said of itself after it.
    assert!(
        page.contains("<strong>Mother</strong> <span class=\"address\">(Alice) </span>"),
        "{page}"
    );
    assert!(!page.contains("Hamburg") && !page.contains("Of eve alone"), "{page}");
    let days: Vec<&str> = page
        .split(r#"<h2 class="day">"#)
        .skip(1)
        .map(|rest| &rest[..10])
        .collect();
    assert_eq!(days, ["2023-11-15", "2023-11-14"]);
    // An operator sees them by the names of those whose they are.
    let page = office.browser("root").await.get("/messages").await.text();
    assert!(page.contains("<strong>Mother</strong>"), "{page}");
}
