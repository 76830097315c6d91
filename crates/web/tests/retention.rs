//! How long messages are kept, by the API: what a change would do is foreseen, and made as it was seen.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::Office;
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
