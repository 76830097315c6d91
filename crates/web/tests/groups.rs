//! Groups by the API: added and changed as a whole, by operators alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::Office;
use segue_store::Role;
use serde_json::json;

const ALL: &str = "/api/v1/groups";
const SALES: &str = "/api/v1/groups/sales";
const PAGE: &str = "/operator/groups";

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
async fn a_group_goes_as_a_subscriber_does_and_nobody_loses_a_message() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let sales = json!({ "group": "sales", "members": ["bob", "eve"] });
    assert_eq!(root.change("POST", ALL, Some(&sales)).await.status, 201);
    office.deposit("01A", "sales", |_| ());
    // What comes while nobody is in it stays in its own mailbox.
    let (none, both) = (json!({ "members": [] }), json!({ "members": ["bob", "eve"] }));
    root.change("PUT", SALES, Some(&none)).await;
    office.deposit("01B", "sales", |_| ());
    let bobs = root.change("DELETE", SALES, None).await.problem(409);
    assert!(bobs["detail"].as_str().unwrap().contains("no members"), "{bobs}");
    root.change("DELETE", "/api/v1/groups/bob", None).await.problem(409);
    assert!(office.store.subscriber("bob").is_ok(), "a subscriber is no group");

    root.change("PUT", SALES, Some(&both)).await;
    let seen = [("If-Match", "\"x\"")];
    root.change_with("DELETE", SALES, None, &seen).await.problem(412);
    let bob = office.browser("bob").await;
    bob.change("DELETE", SALES, None).await.problem(403);
    let tag = root.get(SALES).await.header("etag").unwrap();
    let gone = root.change_with("DELETE", SALES, None, &[("If-Match", &tag)]).await;
    assert_eq!((gone.status, gone.json()), (200, json!({ "messages_kept": 1 })));
    root.get(SALES).await.problem(404);
    root.change("DELETE", SALES, None).await.problem(404);
    assert_eq!(root.get(ALL).await.json()["items"], json!([]));
    for (mailbox, id) in [("bob", "01A"), ("eve", "01A-2"), ("sales", "01B")] {
        let kept = office.store.messages(mailbox).unwrap();
        assert_eq!(kept.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), [id]);
    }
    assert_eq!(bob.get("/api/v1/messages/01A/media").await.status, 200);
    let audit = office
        .store
        .audit(Some(("sales", Role::Subscriber)), None, 100)
        .unwrap();
    assert_eq!(audit[0].deed.what, "group.remove");
}

#[tokio::test]
async fn groups_are_added_changed_and_removed_on_their_page_and_members_see_them() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let wrong = root
        .form(PAGE, "act=save&seen=&group=sales&members=bob%2C+%3Cb%3E")
        .await;
    assert_eq!(wrong.status, 404);
    let text = wrong.text();
    assert!(
        text.contains("id=\"group-members-wrong\"") && text.contains("value=\"bob, &lt;b&gt;\""),
        "{text}"
    );
    assert!(office.store.groups().unwrap().is_empty());
    let nobody = root.form(PAGE, "act=save&seen=&group=sales&members=").await;
    assert!(
        nobody.status == 422 && nobody.text().contains("name somebody"),
        "{}",
        nobody.text()
    );

    let added = root.form(PAGE, "act=save&seen=&group=sales&members=bob").await;
    assert_eq!((added.status, added.header("location").as_deref()), (303, Some(PAGE)));
    let taken = root.form(PAGE, "act=save&seen=&group=sales&members=eve").await;
    assert!(
        taken.status == 409 && taken.text().contains("exists already"),
        "{}",
        taken.text()
    );
    let edit = root.get(&format!("{PAGE}?edit=sales")).await.text();
    let seen = edit
        .split("name=\"seen\" value=\"&quot;")
        .nth(1)
        .unwrap()
        .split("&quot;")
        .next()
        .unwrap();
    let change = format!("act=save&seen=%22{seen}%22&group=sales&members=bob%2Ceve");
    assert_eq!(root.form(PAGE, &change).await.status, 303);
    assert_eq!(office.store.group("sales").unwrap().members, ["bob", "eve"]);
    let late = root
        .form(PAGE, &format!("act=save&seen=%22{seen}%22&group=sales&members=eve"))
        .await;
    assert!(
        late.status == 412 && late.text().contains("value=\"bob, eve\""),
        "{}",
        late.text()
    );

    let bob = office.browser("bob").await;
    let own = bob.get("/settings").await.text();
    assert!(own.contains("You get the messages for sales, too."), "{own}");
    assert!(
        !own.contains("/operator/groups"),
        "who else is in it is an operator's to see"
    );
    let of_sales = root.get("/settings?user=sales").await.text();
    assert!(of_sales.contains("its messages are for bob, eve."), "{of_sales}");
    assert_eq!(bob.get(PAGE).await.status, 403);
    assert_eq!(bob.form(PAGE, "act=remove&group=sales&seen=%22x%22").await.status, 403);

    assert_eq!(root.form(PAGE, "act=remove&group=sales&seen=%22x%22").await.status, 412);
    let list = root.get(PAGE).await.text();
    let seen = list
        .split("name=\"seen\" value=\"&quot;")
        .nth(1)
        .unwrap()
        .split("&quot;")
        .next()
        .unwrap();
    let gone = root
        .form(PAGE, &format!("act=remove&group=sales&seen=%22{seen}%22"))
        .await;
    assert_eq!(gone.status, 303, "{}", gone.text());
    assert!(office.store.groups().unwrap().is_empty());
    assert!(!bob.get("/settings").await.text().contains("You get the messages for"));
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
