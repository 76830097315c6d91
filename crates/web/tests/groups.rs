//! Groups by the API: added and changed as a whole, by operators alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::Office;
use segue_store::Role;
use serde_json::json;

const ALL: &str = "/api/v1/groups";
const SALES: &str = "/api/v1/groups/sales";

#[tokio::test]
async fn an_operator_adds_a_group_and_says_who_is_in_it() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let sales = json!({ "group": "sales", "members": ["bob"] });
    let added = root.change("POST", ALL, Some(&sales)).await;
    assert_eq!((added.status, added.json()), (201, sales.clone()), "{}", added.text());
    assert_eq!(added.header("location").as_deref(), Some(SALES));
    assert_eq!(root.get(ALL).await.json()["items"], json!([sales]));
    let tag = root.get(SALES).await.header("etag").unwrap();

    let both = json!({ "members": ["eve", "bob"] });
    let set = root.change_with("PUT", SALES, Some(&both), &[("If-Match", &tag)]).await;
    assert_eq!(set.json(), json!({ "group": "sales", "members": ["bob", "eve"] }));
    let none = json!({ "members": [] });
    root.change_with("PUT", SALES, Some(&none), &[("If-Match", &tag)])
        .await
        .problem(412);
    assert_eq!(office.store.group("sales").unwrap().members, ["bob", "eve"]);
    let eve = json!({ "members": ["eve"] });
    assert_eq!(root.change("PUT", SALES, Some(&eve)).await.status, 200);
    assert_eq!(office.store.group("sales").unwrap().members, ["eve"]);

    let audit = office
        .store
        .audit(Some(("sales", Role::Subscriber)), None, 100)
        .unwrap();
    let deeds: Vec<&str> = audit.iter().map(|done| done.deed.what.as_str()).collect();
    assert_eq!(
        deeds,
        ["group.set", "group.set", "group.add"],
        "what If-Match kept from being done is none"
    );
}

#[tokio::test]
async fn what_cannot_be_done_whole_is_not_done_at_all() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let wrong = json!({ "group": "sales", "members": ["bob", "nobody"] });
    root.change("POST", ALL, Some(&wrong)).await.problem(404);
    root.get(SALES).await.problem(404);
    root.change("POST", ALL, Some(&json!({ "group": "bob" })))
        .await
        .problem(409);
    let many: Vec<String> = (0..=100).map(|n| format!("m{n}")).collect();
    let many = json!({ "group": "sales", "members": many });
    let problem = root.change("POST", ALL, Some(&many)).await.problem(422);
    assert!(problem.to_string().contains("members"), "{problem}");

    let sales = json!({ "group": "sales", "members": ["bob"] });
    assert_eq!(root.change("POST", ALL, Some(&sales)).await.status, 201);
    let wrong = json!({ "members": ["eve", "sales"] });
    root.change("PUT", SALES, Some(&wrong)).await.problem(409);
    assert_eq!(
        office.store.group("sales").unwrap().members,
        ["bob"],
        "bob stays, eve did not come"
    );

    let bob = office.browser("bob").await;
    bob.get(SALES).await.problem(403);
    bob.change("PUT", SALES, Some(&json!({ "members": ["eve"] })))
        .await
        .problem(403);
}
