//! Subscribers and their targets by the API: what an operator does, and what a subscriber may do of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;
#[path = "subscribers/forms.rs"]
mod forms;

use fixture::Office;
use segue_store::Role;
use serde_json::{Value, json};

const ALL: &str = "/api/v1/subscribers";
const TARGETS: &str = "/api/v1/subscribers/bob/targets";

#[tokio::test]
async fn an_operator_adds_changes_finds_and_removes_subscribers() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let anna = json!({
        "user": "anna", "password": "apple-tree-7", "pin": "471100",
        "settings": {
            "numbers": ["030 111"], "aliases": ["sip:Anna@Example.org"], "hold_ms": 4000, "ring": "in-order",
            "targets": ["sip:anna@198.51.100.7", "tel:+1900555"], "caps": { "calls_at_once": 2 }, "answer_at": "after_greeting",
        },
    });
    let added = root.change("POST", ALL, Some(&anna)).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!(added.header("location").as_deref(), Some("/api/v1/subscribers/anna"));
    assert!(
        !added.text().contains("apple-tree") && !added.text().contains("471100"),
        "never told again"
    );
    let view = root.get(&format!("{ALL}/anna")).await.json();
    assert_eq!(view, added.json());
    assert_eq!(view["numbers"], json!(["+4930111"]), "as it is dialled");
    assert_eq!(
        (&view["ring"], &view["caps"]["calls_at_once"]),
        (&json!("in-order"), &json!(2))
    );
    assert_eq!(office.store.realms_of("anna").unwrap(), ["office"]);
    assert!(office.store.pin("anna").unwrap().is_some());

    let found = root.get(&format!("{ALL}?q=30111")).await.json();
    assert_eq!(
        (found["items"].as_array().unwrap().len(), &found["items"][0]["user"]),
        (1, &json!("anna"))
    );
    let first = root.get(&format!("{ALL}?limit=2")).await.json();
    let second = root
        .get(&format!("{ALL}?limit=2&cursor={}", first["next"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(
        (&first["items"][0]["user"], &second["items"][0]["user"]),
        (&json!("anna"), &json!("eve"))
    );

    let change = json!({ "numbers": [], "caps": {}, "target_by": "next-hop", "notify": { "by": ["mail"], "mail": "anna@example.com" } });
    let changed = root.change("PATCH", &format!("{ALL}/anna"), Some(&change)).await.json();
    assert_eq!(
        (&changed["numbers"], &changed["target_by"]),
        (&json!([]), &json!("next-hop"))
    );
    let pin = root
        .change("PUT", &format!("{ALL}/anna/pin"), Some(&json!({ "pin": null })))
        .await;
    assert_eq!((pin.status, office.store.pin("anna").unwrap()), (204, None));
    let password = json!({ "password": "quiet-river-2" });
    assert_eq!(
        root.change("PUT", &format!("{ALL}/anna/phone-password"), Some(&password))
            .await
            .status,
        204
    );

    office.deposit("01A", "anna", |_| ());
    let seen = [("If-Match", "\"x\"")];
    root.change_with("DELETE", &format!("{ALL}/anna"), None, &seen)
        .await
        .problem(412);
    let gone = root.change("DELETE", &format!("{ALL}/anna"), None).await;
    assert_eq!((gone.status, gone.json()), (200, json!({ "messages_kept": 1 })));
    root.get(&format!("{ALL}/anna")).await.problem(404);
    root.change("DELETE", &format!("{ALL}/anna"), None).await.problem(404);
    let audit = office.store.audit(Some(("anna", Role::Subscriber)), None, 100).unwrap();
    let deeds: Vec<&str> = audit.iter().map(|done| done.deed.what.as_str()).collect();
    assert_eq!(
        deeds,
        [
            "subscriber.remove",
            "subscriber.phone_password",
            "subscriber.pin",
            "subscriber.set",
            "subscriber.add"
        ]
    );
    assert!(!format!("{audit:?}").contains("quiet-river"), "{audit:?}");
}

#[tokio::test]
async fn several_are_added_at_once_or_none_of_them() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let import = format!("{ALL}/import");
    let anna = json!({ "user": "anna", "password": "apple-tree-7", "settings": { "numbers": ["030 111"] } });
    let ben = |settings: Value| json!([anna, { "user": "ben", "pin": "471100", "settings": settings }]);
    for (settings, status, said) in [
        (json!({ "ring_ms": 1 }), 422, "ring_ms: "),
        (json!({ "numbers": ["+4930111"] }), 409, "+4930111"),
        (json!({ "clip": "nothing" }), 404, "nothing"),
    ] {
        let problem = root.change("POST", &import, Some(&ben(settings))).await.problem(status);
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(said) && detail.contains("(number 2 of the list; nobody is added)"),
            "{detail}"
        );
        assert_eq!(office.store.subscribers().unwrap().len(), 2);
    }
    let added = root.change("POST", &import, Some(&ben(json!({})))).await;
    assert_eq!(
        (added.status, added.json()),
        (201, json!({ "added": 2, "users": ["anna", "ben"] }))
    );
    assert_eq!(office.store.realms_of("anna").unwrap(), ["office"]);
    assert!(office.store.pin("ben").unwrap().is_some());
    let many: Vec<Value> = (0..501).map(|n| json!({ "user": format!("u{n}") })).collect();
    root.change("POST", &import, Some(&json!(many))).await.problem(422);
    let bob = office.browser("bob").await;
    bob.change("POST", &import, Some(&json!([{ "user": "mallory" }])))
        .await
        .problem(403);
    assert_eq!(office.store.subscribers().unwrap().len(), 4);
    let audit = root.get("/api/v1/audit?name=root").await.json();
    assert_eq!(
        (&audit["items"][0]["what"], &audit["items"][0]["object"]),
        (&json!("subscriber.import"), &json!("2"))
    );
}

#[tokio::test]
async fn a_locked_pin_is_seen_by_whose_it_is_and_unlocked_by_an_operator() {
    let office = Office::open().await;
    let (root, bob) = (office.browser("root").await, office.browser("bob").await);
    let pin = format!("{ALL}/bob/pin");
    let none = json!({ "is_set": false, "wrong_tries": 0, "locked_until": null });
    assert_eq!(bob.get(&pin).await.json(), none);
    let unlock = format!("{ALL}/bob/unlock");
    root.change("POST", &unlock, None).await.problem(404);
    root.change("PUT", &pin, Some(&json!({ "pin": "471100" }))).await;
    for _ in 0..5 {
        office.store.try_pin("bob", fixture::now()).unwrap();
    }
    let locked = bob.get(&pin).await.json();
    assert_eq!((&locked["is_set"], &locked["wrong_tries"]), (&json!(true), &json!(5)));
    assert!(locked["locked_until"].is_string(), "{locked}");
    bob.change("POST", &unlock, None).await.problem(403);
    assert_eq!(
        root.change("POST", &unlock, None).await.json(),
        json!({ "was_locked": true })
    );
    assert_eq!(
        root.change("POST", &unlock, None).await.json(),
        json!({ "was_locked": false })
    );
    let open = json!({ "is_set": true, "wrong_tries": 0, "locked_until": null });
    assert_eq!(bob.get(&pin).await.json(), open);
    let audit = office.store.audit(Some(("bob", Role::Subscriber)), None, 1).unwrap();
    assert_eq!(audit[0].deed.what, "subscriber.unlock");
}

#[tokio::test]
async fn a_number_is_explained_and_whose_it_is_told_to_whose_it_is_and_to_operators() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let numbers = json!({ "numbers": ["030 111"] });
    root.change("PATCH", &format!("{ALL}/eve"), Some(&numbers)).await;
    let ask = "/api/v1/numbers/explain?value=030%20111";
    let told = root.get(ask).await.json();
    assert_eq!(
        (&told["number"], &told["subscriber"], &told["value"]),
        (&json!("+4930111"), &json!("eve"), &json!("030 111")),
        "{told}"
    );
    assert_eq!(office.browser("eve").await.get(ask).await.json(), told);
    let bobs = office.browser("bob").await.get(ask).await.json();
    assert_eq!(
        (&bobs["number"], &bobs["rule"], &bobs["subscriber"]),
        (&told["number"], &told["rule"], &Value::Null)
    );
    let none = root.get("/api/v1/numbers/explain?value=bob").await.json();
    assert_eq!((&none["number"], &none["subscriber"]), (&Value::Null, &Value::Null));
    root.get("/api/v1/numbers/explain").await.problem(400);
    root.get(&format!("{ask}&profile=paris")).await.problem(422);
    let long = format!("/api/v1/numbers/explain?value={}", "1".repeat(257));
    root.get(&long).await.problem(422);
}

#[tokio::test]
async fn what_cannot_be_a_subscriber_is_refused_with_its_field_and_nobody_is_added() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    for (settings, field) in [
        (json!({ "numbers": ["not one"] }), "numbers"),
        (json!({ "aliases": ["robert"] }), "aliases"),
        (json!({ "targets": [] }), "targets"),
        (json!({ "targets": ["http://x"] }), "targets"),
        (json!({ "targets": ["registered", "registered"] }), "targets"),
        (json!({ "ring_ms": 1 }), "ring_ms"),
        (json!({ "hold_ms": 86_400_001_u64 }), "hold_ms"),
        (json!({ "notify": { "by": ["mail"] } }), "notify"),
        (
            json!({ "notify": { "by": ["webhook"], "webhook": "file:///etc/passwd" } }),
            "notify",
        ),
        (
            json!({ "notify": { "by": ["message"], "message_to": "tel:+49111" } }),
            "notify",
        ),
    ] {
        let given = json!({ "user": "anna", "settings": settings });
        let problem = root.change("POST", ALL, Some(&given)).await.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{field}: ")), "{settings}: {detail}");
    }
    for (given, field) in [
        (json!({ "user": "an na" }), "user"),
        (json!({ "user": "anna", "password": "" }), "password"),
        (json!({ "user": "anna", "pin": "12" }), "pin"),
    ] {
        let problem = root.change("POST", ALL, Some(&given)).await.problem(422);
        assert!(
            problem["detail"].as_str().unwrap().starts_with(&format!("{field}: ")),
            "{problem}"
        );
        assert!(!problem["detail"].as_str().unwrap().contains("12 "), "never the digits");
    }
    root.change("POST", ALL, Some(&json!({ "user": "bob" })))
        .await
        .problem(409);
    let clip = json!({ "user": "anna", "settings": { "clip": "nothing" } });
    root.change("POST", ALL, Some(&clip)).await.problem(404);
    root.change("POST", ALL, Some(&json!({ "user": "anna", "vip": true })))
        .await
        .problem(400);
    let reader = office.program("root", Role::Operator, &["settings:write"]);
    reader
        .change("POST", ALL, Some(&json!({ "user": "anna" })))
        .await
        .problem(403);
    assert_eq!(office.store.subscribers().unwrap().len(), 2);
}

#[tokio::test]
async fn a_subscriber_is_reached_no_further_than_a_phone_calls_and_sets_nothing_of_an_operators() {
    let office = Office::open().await;
    let (bob, root) = (office.browser("bob").await, office.browser("root").await);
    for uri in [
        "as-called",
        "tel:+1900555",
        "sip:bob@198.51.100.1",
        "sip:x@127.0.0.1:22",
    ] {
        let problem = bob
            .change("POST", TARGETS, Some(&json!({ "uri": uri })))
            .await
            .problem(422);
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("calls from here do not go to"),
            "{problem}"
        );
        let all = json!({ "targets": ["registered", uri] });
        bob.change("PATCH", &format!("{ALL}/bob"), Some(&all))
            .await
            .problem(422);
    }
    bob.change("POST", TARGETS, Some(&json!({ "uri": "mailto:x" })))
        .await
        .problem(422);
    for given in [
        json!({ "numbers": ["+49111"] }),
        json!({ "aliases": [] }),
        json!({ "target_by": "next-hop" }),
        json!({ "notify": { "by": ["webhook"], "webhook": "http://127.0.0.1/" } }),
        json!({ "caps": { "calls_at_once": 0 } }),
    ] {
        bob.change("PATCH", &format!("{ALL}/bob"), Some(&given))
            .await
            .problem(403);
    }
    bob.change("POST", ALL, Some(&json!({ "user": "mallory" })))
        .await
        .problem(403);
    bob.change("DELETE", &format!("{ALL}/bob"), None).await.problem(403);
    let password = json!({ "password": "mine" });
    bob.change("PUT", &format!("{ALL}/bob/phone-password"), Some(&password))
        .await
        .problem(403);

    // Whose a target is decides where it may lead, at each call.
    let own = || office.store.subscriber("bob").unwrap().own_targets;
    let added = bob
        .change(
            "POST",
            TARGETS,
            Some(&json!({ "uri": "sip:bob@192.0.2.9", "place": 1 })),
        )
        .await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!(
        root.change("POST", TARGETS, Some(&json!({ "uri": "tel:+1900555" })))
            .await
            .status,
        201
    );
    assert_eq!(own(), ["sip:bob@192.0.2.9"]);
    let in_order = json!({ "ring": "in-order", "ring_ms": 20_000 });
    assert_eq!(
        bob.change("PATCH", &format!("{ALL}/bob"), Some(&in_order)).await.status,
        200
    );
    let targets = bob.get(TARGETS).await;
    let uris = |all: &Value| -> Vec<String> {
        all["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| target["uri"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        uris(&targets.json()),
        ["sip:bob@192.0.2.9", "sip:bob@127.0.0.1:5070", "tel:+1900555"]
    );
    assert_eq!(
        (&targets.json()["ring"], &targets.json()["ring_ms"]),
        (&json!("in-order"), &json!(20_000))
    );
    assert_eq!(
        bob.get(&format!("{TARGETS}/3")).await.json(),
        json!({ "place": 3, "uri": "tel:+1900555" })
    );
    // What an operator has set stays with the rest, in whatever place.
    let tag = targets.header("etag").unwrap();
    let first = json!({ "place": 1 });
    let moved = bob
        .change_with("PATCH", &format!("{TARGETS}/3"), Some(&first), &[("If-Match", &tag)])
        .await;
    assert_eq!(uris(&moved.json())[0], "tel:+1900555");
    assert_eq!(own(), ["sip:bob@192.0.2.9"], "moved, they stay whose they are");
    bob.change_with("DELETE", &format!("{TARGETS}/1"), None, &[("If-Match", &tag)])
        .await
        .problem(412);
    bob.change("PATCH", &format!("{TARGETS}/1"), Some(&json!({ "place": 4 })))
        .await
        .problem(422);
    for _ in 0..2 {
        assert_eq!(bob.change("DELETE", &format!("{TARGETS}/1"), None).await.status, 204);
    }
    bob.change("DELETE", &format!("{TARGETS}/1"), None).await.problem(422);
    for place in ["0", "2", "x"] {
        bob.change("DELETE", &format!("{TARGETS}/{place}"), None)
            .await
            .problem(404);
    }
    assert_eq!(
        office.store.subscriber("bob").unwrap().targets,
        ["sip:bob@127.0.0.1:5070"]
    );
}

#[tokio::test]
async fn a_subscriber_is_put_as_a_whole_new_or_in_place_of_what_was_seen() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let at = format!("{ALL}/anna");
    let anna = json!({ "password": "apple-tree-7", "settings": { "numbers": ["030 111"], "hold_ms": 4000 } });
    let only_new = [("If-None-Match", "*")];
    root.change_with("PUT", &at, Some(&anna), &[("If-Match", "*")])
        .await
        .problem(412);
    let put = root.change_with("PUT", &at, Some(&anna), &only_new).await;
    assert_eq!(
        (put.status, put.header("location")),
        (201, Some(at.clone())),
        "{}",
        put.text()
    );
    assert_eq!(put.json(), root.get(&at).await.json());
    assert_eq!(put.json()["targets"], json!(["registered"]));
    root.change_with("PUT", &at, Some(&anna), &only_new).await.problem(412);
    let tag = put.header("etag").unwrap();
    let other = json!({ "pin": "471100", "settings": { "dnd": true } });
    let put = root.change_with("PUT", &at, Some(&other), &[("If-Match", &tag)]).await;
    let view = put.json();
    assert_eq!(
        (put.status, &view["hold_ms"], &view["numbers"], &view["dnd"]),
        (200, &Value::Null, &json!([]), &json!(true)),
        "what is absent is as for a new one"
    );
    assert_eq!(
        office.store.realms_of("anna").unwrap(),
        ["office"],
        "their password stays"
    );
    assert!(office.store.pin("anna").unwrap().is_some());
    root.change_with("PUT", &at, Some(&anna), &[("If-Match", &tag)])
        .await
        .problem(412);
    root.change("PUT", &at, Some(&json!({ "pin": "12" })))
        .await
        .problem(422);
    root.change("PUT", &at, Some(&json!({ "settings": { "clip": "nothing" } })))
        .await
        .problem(404);
    root.change("PUT", "/api/v1/subscribers/an%20na", Some(&json!({})))
        .await
        .problem(422);
    let bob = office.browser("bob").await;
    bob.change("PUT", &format!("{ALL}/bob"), Some(&json!({})))
        .await
        .problem(403);
    assert!(office.store.subscriber("anna").unwrap().dnd);
}

#[tokio::test]
async fn a_member_that_is_not_known_or_cannot_be_read_is_refused_within_others_too() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    for (change, member) in [
        (
            json!({ "caps": { "calls_at_ones": 1 } }),
            "caps: it has no member \"calls_at_ones\"",
        ),
        (
            json!({ "dnd": true, "notify": { "mial": "x" } }),
            "notify: it has no member \"mial\"",
        ),
        (
            json!({ "dnd": true, "caps": { "busy_at": 1, "calls_at_once": "two" } }),
            "caps: calls_at_once: ",
        ),
        (
            json!({ "dnd": true, "caps": { "minutes_per_day": -1 } }),
            "caps: minutes_per_day: ",
        ),
        (json!({ "dnd": true, "caps": 7 }), "caps: an object is needed"),
        (json!({ "dnd": true, "notify": { "by": "mail" } }), "notify: by: "),
        (
            json!({ "dnd": true, "notify": { "language": "tlh" } }),
            "notify: language: ",
        ),
    ] {
        let problem = root
            .change("PATCH", &format!("{ALL}/bob"), Some(&change))
            .await
            .problem(422);
        assert!(problem["detail"].as_str().unwrap().starts_with(member), "{problem}");
    }
    assert!(!office.store.subscriber("bob").unwrap().dnd);
}
