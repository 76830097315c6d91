//! How long messages are kept, by the API: what a change would do is foreseen, and made as it was seen.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::Office;
use segue_records::UnixMs;
use segue_store::Role;
use serde_json::{Value, json};

/// Bob has heard three messages.
async fn office() -> Office {
    let office = Office::open().await;
    for (n, id) in (1..).zip(["01A", "01B", "01C"]) {
        office.deposit(id, "bob", |_| ());
        office.store.mark_heard(id, fixture::now() - 1_000 + n).unwrap();
    }
    office
}

#[tokio::test]
async fn what_a_change_would_do_is_foreseen_and_changes_nothing() {
    let office = office().await;
    let bob = office.browser("bob").await;
    let change = json!({ "heard_max": 1 });
    let path = "/api/v1/subscribers/bob/retention";
    let preview = format!("{path}/preview");
    let foreseen = bob.change("POST", &preview, Some(&change)).await.json();
    assert_eq!(foreseen["going"], 2, "{foreseen}");
    let fates: Vec<_> = foreseen["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["fate"])
        .collect();
    assert_eq!(fates, ["deleted", "deleted", "kept"]);
    assert_eq!(foreseen["messages"][0]["rule"], "heard_max");
    assert_eq!(bob.get(path).await.json()["heard_max"], Value::Null);
    assert_eq!(office.store.messages("bob").unwrap().len(), 3);
    // What one has not seen is not deleted.
    office.deposit("01D", "bob", |_| ());
    office.store.mark_heard("01D", fixture::now()).unwrap();
    let seen = json!({ "heard_max": 1, "seen": foreseen["seen"] });
    bob.change("PATCH", path, Some(&seen)).await.problem(412);
    assert_eq!(office.store.messages("bob").unwrap().len(), 4);
    assert_eq!(bob.get(path).await.json()["heard_max"], Value::Null);
    let foreseen = bob.change("POST", &preview, Some(&change)).await.json();
    let seen = json!({ "heard_max": 1, "seen": foreseen["seen"] });
    let changed = bob.change("PATCH", path, Some(&seen)).await.json();
    assert_eq!(changed["evicted"], json!(["01A", "01B", "01C"]), "{changed}");
    let wrong = json!({ "trash_ms": null });
    bob.change("POST", &preview, Some(&wrong)).await.problem(422);
}

#[tokio::test]
async fn a_preview_says_what_goes_at_another_moment_and_nobody_is_asked_for_a_run() {
    let office = office().await;
    let bob = office.browser("bob").await;
    let path = "/api/v1/subscribers/bob/retention";
    let set = json!({ "heard_age_ms": 60_000 });
    assert_eq!(bob.change("PATCH", path, Some(&set)).await.json()["evicted"], json!([]));
    let soon = UnixMs(fixture::now() + 3_600_000).rfc3339();
    let foreseen = bob.get(&format!("{path}/preview?at={soon}")).await.json();
    assert_eq!(
        (&foreseen[0]["fate"], &foreseen[0]["rule"]),
        (&json!("deleted"), &json!("heard_age"))
    );
    bob.get(&format!("{path}/preview?at=soon")).await.problem(422);
    // The server applies the rules itself, by a clock that it watches.
    let root = office.browser("root").await;
    for run in [format!("{path}/run"), "/api/v1/retention/run".to_owned()] {
        root.change("POST", &run, None).await.problem(404);
    }
    assert_eq!(office.store.messages("bob").unwrap().len(), 3);
}

#[tokio::test]
async fn of_a_removed_subscriber_operators_are_told_what_their_rules_did() {
    let office = office().await;
    office.deposit("01E", "eve", |_| ());
    let root = office.browser("root").await;
    office.store.mark_heard("01E", fixture::now() - 3_600_000).unwrap();
    let set = json!({ "heard_age_ms": 60_000 });
    let path = "/api/v1/subscribers/eve/retention";
    let done = root.change("PATCH", path, Some(&set)).await.json();
    assert_eq!(done["evicted"], json!(["01E"]), "{done}");
    root.change("DELETE", "/api/v1/subscribers/eve", None).await;
    let audit = root.get(&format!("{path}/audit")).await.json();
    assert_eq!(audit[0]["message"], "01E", "{audit}");
    root.get("/api/v1/subscribers/nobody/retention/preview")
        .await
        .problem(404);
}

/// What stands in a page's field.
fn value<'a>(page: &'a str, name: &str) -> &'a str {
    let from = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
    from.split('"').next().unwrap()
}

#[tokio::test]
async fn the_page_says_what_goes_before_it_is_saved_and_asks_anew_where_that_changes() {
    let office = office().await;
    office.deposit("01D", "bob", |new| {
        new.message.from_name = Some("<b>Ann</b>".to_owned())
    });
    office.store.mark_heard("01D", 1).unwrap();
    let bob = office.browser("bob").await;
    let limits = "user=bob&heard_max=3&heard_age=&unheard_max=&unheard_age=&trash=1d";
    let ask = async |more: &str| bob.form("/settings/kept", &format!("{limits}&{more}")).await;
    // Saved without a look: it is asked first. Saved by a look that is over: likewise.
    let asked = ask("act=save").await.text();
    assert!(asked.contains("If you save this, 1 message goes now."), "{asked}");
    assert!(
        asked.contains("&lt;b&gt;Ann&lt;/b&gt;") && asked.contains("4 heard messages, 3 allowed"),
        "{asked}"
    );
    assert_eq!(office.store.messages("bob").unwrap().len(), 4);
    office.deposit("01E", "bob", |_| ());
    office.store.mark_heard("01E", 2).unwrap();
    let stale = format!("act=save&seen={}", value(&asked, "seen"));
    let other = ask(&stale).await.text();
    assert!(
        other.contains("2 messages go now") && other.contains("changed meanwhile"),
        "{other}"
    );
    assert_eq!(office.store.retention("bob").unwrap().effective.heard_max, None);
    let seen = format!("act=save&seen={}", value(&other, "seen"));
    assert_eq!(ask(&seen).await.status, 303);
    assert_eq!(office.store.messages("bob").unwrap().len(), 3);
    // What has gone, and why, stays on the page; where nothing would go it is saved at once.
    let page = bob.get("/settings").await.text();
    assert!(page.contains("too many heard messages"), "{page}");
    let looked = ask("act=look").await.text();
    assert!(looked.contains("nothing goes now"), "{looked}");
    assert_eq!(ask("act=save").await.status, 303);
    assert_eq!(ask("act=other").await.status, 422);
}

#[tokio::test]
async fn a_token_that_may_not_delete_messages_sets_no_limit_that_deletes_more() {
    let office = office().await;
    let path = "/api/v1/subscribers/bob/retention";
    let limited = office.program("bob", Role::Subscriber, &["settings:write"]);
    for tighter in [
        json!({ "heard_max": 1 }),
        json!({ "heard_age_ms": 1 }),
        json!({ "unheard_age_ms": 1 }),
        json!({ "max_bytes": 1 }),
        json!({ "max_seconds": 1 }),
        json!({ "scope": "conversation" }),
        json!({ "trash_ms": 0 }),
    ] {
        let problem = limited.change("PATCH", path, Some(&tighter)).await.problem(403);
        assert!(
            problem["detail"].as_str().unwrap().contains("messages:write"),
            "{problem}"
        );
    }
    assert_eq!(office.store.messages("bob").unwrap().len(), 3);
    let both = office.program("bob", Role::Subscriber, &["settings:write", "messages:write"]);
    let set = both.change("PATCH", path, Some(&json!({ "heard_max": 2 }))).await;
    assert_eq!((set.status, set.json()["evicted"].clone()), (200, json!(["01A"])));
    // What keeps them longer, or only turns callers away, is a setting like others.
    for looser in [
        json!({ "heard_max": 3 }),
        json!({ "heard_max": null }),
        json!({ "unheard_max": 1 }),
    ] {
        assert_eq!(
            limited.change("PATCH", path, Some(&looser)).await.status,
            200,
            "{looser}"
        );
    }
}
