//! Trunks by the API and on their page: added, changed and removed beside the configuration, by operators alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::Office;
use segue_store::Role;
use serde_json::{Value, json};

const ALL: &str = "/api/v1/trunks";
const ONE: &str = "/api/v1/trunks/provider";
const PAGE: &str = "/operator/trunks";

fn provider() -> Value {
    json!({
        "name": "provider", "password": "open-sesame",
        "settings": {
            "registrar": "sip:provider.example", "register": true, "digest_user": "office", "allow": ["+49*"], "profile": "office",
        },
    })
}

fn kept(office: &Office) -> Value {
    let kept = office.store.trunk("provider").unwrap();
    serde_json::from_str(&kept.settings).unwrap()
}

#[tokio::test]
async fn an_operator_adds_a_trunk_changes_what_they_have_seen_of_it_and_removes_it() {
    let office = Office::open().await;
    let root = office.program("root", Role::Operator, &["system:write"]);
    let added = root.change("POST", ALL, Some(&provider())).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!(added.header("location").as_deref(), Some(ONE));
    let view = added.json();
    assert_eq!(
        (
            &view["settings"]["servers"][0]["uri"],
            &view["settings"]["expires_s"],
            &view["has_password"]
        ),
        (&json!("sip:provider.example"), &json!(3600), &json!(true))
    );
    assert!(!added.text().contains("sesame") && view["settings"].get("digest_secret").is_none());
    assert_eq!(
        office.store.trunk("provider").unwrap().sealed.as_deref(),
        Some(&b"open-sesame"[..])
    );

    // The server has not got it yet: it is there all the same, with the tag that it was added with.
    let shown = root.get(ONE).await;
    assert_eq!(
        (&shown.json()["settings"], &shown.json()["servers"]),
        (&view["settings"], &json!([]))
    );
    let tag = shown.header("etag").unwrap();
    assert_eq!(added.header("etag").as_ref(), Some(&tag));
    let list = root.get(ALL).await.json();
    assert_eq!(
        (&list[0]["name"], &list[0]["settings"], &list[0]["at"]),
        (&json!("main"), &Value::Null, &json!("/etc/segue/segue.toml:3:8"))
    );
    assert_eq!((&list[1]["name"], &list[1]["at"]), (&json!("provider"), &Value::Null));

    let change = json!({ "settings": { "allow": [], "calls_max": 4 } });
    let seen = [("If-Match", tag.as_str())];
    let changed = root.change_with("PATCH", ONE, Some(&change), &seen).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(
        (&kept(&office)["allow"], &kept(&office)["calls_max"]),
        (&json!([]), &json!(4))
    );
    assert_eq!(kept(&office)["digest_user"], "office", "what is not named stays");
    assert!(office.store.trunk("provider").unwrap().sealed.is_some());
    let late = json!({ "settings": { "calls_max": 5 } });
    root.change_with("PATCH", ONE, Some(&late), &seen).await.problem(412);
    assert_eq!(kept(&office)["calls_max"], 4);

    let password = json!({ "password": "quiet-river" });
    assert_eq!(root.change("PATCH", ONE, Some(&password)).await.status, 200);
    assert_eq!(
        office.store.trunk("provider").unwrap().sealed.as_deref(),
        Some(&b"quiet-river"[..])
    );
    let nobody = json!({ "settings": { "digest_user": "", "register": false } });
    let changed = root.change("PATCH", ONE, Some(&nobody)).await;
    assert_eq!(changed.json()["has_password"], false, "{}", changed.text());
    assert_eq!(office.store.trunk("provider").unwrap().sealed, None);

    let stale = [("If-Match", "\"0\"")];
    root.change_with("DELETE", ONE, None, &stale).await.problem(412);
    assert_eq!(root.change("DELETE", ONE, None).await.status, 204);
    root.get(ONE).await.problem(404);
    let audit = office.store.audit(Some(("root", Role::Operator)), None, 100).unwrap();
    let deeds: Vec<(&str, &str)> = audit
        .iter()
        .map(|done| (done.deed.what.as_str(), done.deed.object.as_str()))
        .filter(|(what, _)| what.starts_with("trunk."))
        .collect();
    assert_eq!(
        deeds,
        [
            ("trunk.remove", "provider"),
            ("trunk.set", "provider"),
            ("trunk.set", "provider"),
            ("trunk.set", "provider"),
            ("trunk.add", "provider")
        ],
        "what If-Match kept from being done is none"
    );
    assert!(!format!("{audit:?}").contains("river"), "{audit:?}");
}

#[tokio::test]
async fn what_cannot_be_a_trunk_is_refused_with_its_member_and_none_is_added() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    for (settings, field) in [
        (json!({}), "servers"),
        (json!({ "servers": ["a b"] }), "servers"),
        (json!({ "servers": ["192.0.2.1"], "ping_ms": 5 }), "ping_ms"),
        (json!({ "servers": ["192.0.2.1"], "allow": ["b.example"] }), "allow"),
        (json!({ "servers": ["192.0.2.1"], "callee": "from" }), "callee"),
        (json!({ "servers": ["192.0.2.1"], "profile": "ofice" }), "profile"),
        (json!({ "servers": ["192.0.2.1"], "register": true }), "user"),
        (
            json!({ "registrar": "sip:a", "register": true, "digest_user": "u" }),
            "password",
        ),
    ] {
        let given = json!({ "name": "provider", "settings": settings });
        let problem = root.change("POST", ALL, Some(&given)).await.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{field}: ")), "{settings}: {detail}");
    }
    let server = json!({ "servers": ["192.0.2.1"] });
    let named = json!({ "name": "5", "settings": server });
    let problem = root.change("POST", ALL, Some(&named)).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().starts_with("name: "), "{problem}");
    let secret = json!({ "name": "provider", "password": "open-sesame", "settings": server });
    let problem = root.change("POST", ALL, Some(&secret)).await.problem(422);
    assert!(
        problem["detail"].as_str().unwrap().starts_with("password: "),
        "{problem}"
    );
    assert!(!problem.to_string().contains("sesame"));
    for unknown in [
        json!({ "name": "provider", "settings": { "servers": ["192.0.2.1"], "severs": [] } }),
        json!({ "name": "provider", "settings": { "servers": ["192.0.2.1"], "digest_secret": "/etc/passwd" } }),
        json!({ "name": "provider", "servers": ["192.0.2.1"] }),
    ] {
        root.change("POST", ALL, Some(&unknown)).await.problem(400);
    }
    let main = json!({ "name": "main", "settings": server });
    let problem = root.change("POST", ALL, Some(&main)).await.problem(409);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("/etc/segue/segue.toml:3:8"),
        "{problem}"
    );
    let problem = root
        .change("PATCH", "/api/v1/trunks/main", Some(&json!({})))
        .await
        .problem(409);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("/etc/segue/segue.toml:3:8"),
        "{problem}"
    );
    root.change("PATCH", ONE, Some(&json!({}))).await.problem(404);
    assert!(office.store.trunks().unwrap().trunks.is_empty());

    assert_eq!(root.change("POST", ALL, Some(&provider())).await.status, 201);
    root.change("POST", ALL, Some(&provider())).await.problem(409);
    let looks = office.program("root", Role::Operator, &["system:read"]);
    looks.change("POST", ALL, Some(&provider())).await.problem(403);
    looks.change("PATCH", ONE, Some(&json!({}))).await.problem(403);
    let bob = office.browser("bob").await;
    bob.change("POST", ALL, Some(&provider())).await.problem(403);
    bob.get(ONE).await.problem(403);
}

#[tokio::test]
async fn a_trunk_is_added_changed_and_removed_on_its_page() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let page = root.get(PAGE).await.text();
    assert!(
        page.contains("sip:192.0.2.1") && page.contains("/etc/segue/segue.toml:3:8"),
        "{page}"
    );
    assert!(!page.contains("?edit=main"), "that of segue.toml is changed there");

    let wrong = root
        .form(PAGE, "act=save&seen=&name=provider&registrar=sip%3Aprovider.example&digest_user=%3Cb%3E&allow=%2B49x&password=open-sesame")
        .await;
    assert_eq!(wrong.status, 422);
    let text = wrong.text();
    assert!(
        text.contains("id=\"trunk-allow-wrong\"") && text.contains("value=\"+49x\""),
        "{text}"
    );
    assert!(
        text.contains("value=\"&lt;b&gt;\"") && !text.contains("sesame"),
        "{text}"
    );
    assert!(office.store.trunks().unwrap().trunks.is_empty());
    let wrong = root
        .form(PAGE, "act=save&seen=&name=provider&servers=192.0.2.1&calls_max=many")
        .await;
    assert!(
        wrong.text().contains("id=\"trunk-calls_max-wrong\""),
        "{}",
        wrong.text()
    );

    let fields = "name=provider&registrar=sip%3Aprovider.example&digest_user=office&allow=%2B49*%2C+%2B43*&profile=office&emergency=yes";
    let added = root
        .form(PAGE, &format!("act=save&seen=&password=open-sesame&{fields}"))
        .await;
    assert_eq!((added.status, added.header("location").as_deref()), (303, Some(PAGE)));
    let trunk = kept(&office);
    assert_eq!(
        (
            &trunk["register"],
            &trunk["allow"],
            &trunk["emergency"],
            &trunk["servers"][0]["uri"]
        ),
        (
            &json!(true),
            &json!(["+49*", "+43*"]),
            &json!(true),
            &json!("sip:provider.example")
        )
    );
    assert_eq!(
        office.store.trunk("provider").unwrap().sealed.as_deref(),
        Some(&b"open-sesame"[..])
    );
    let there = root
        .form(PAGE, &format!("act=save&seen=&password=open-sesame&{fields}"))
        .await;
    assert_eq!(there.status, 409);
    assert!(there.text().contains("exists already"));

    let edit = root.get(&format!("{PAGE}?edit=provider")).await.text();
    let seen = edit
        .split("name=\"seen\" value=\"&quot;")
        .nth(1)
        .unwrap()
        .split("&quot;")
        .next()
        .unwrap();
    assert!(
        edit.contains("value=\"+49*, +43*\"") && !edit.contains("sesame"),
        "{edit}"
    );
    let change = format!("act=save&seen=%22{seen}%22&{fields}&main_number=%2B4930765");
    assert_eq!(root.form(PAGE, &change).await.status, 303);
    assert_eq!(kept(&office)["main_number"], "+4930765");
    assert!(
        office.store.trunk("provider").unwrap().sealed.is_some(),
        "an empty field leaves it"
    );
    let late = root.form(PAGE, &change).await;
    assert_eq!(late.status, 412);
    assert!(late.text().contains("changed meanwhile"), "{}", late.text());

    assert_eq!(root.form(PAGE, "act=test&name=main").await.status, 303);
    assert_eq!(office.store.take_asked_trunks().unwrap(), ["main"]);
    let main = root.form(PAGE, "act=remove&name=main").await;
    assert!(
        main.status == 409 && main.text().contains("segue.toml:3:8"),
        "{}",
        main.text()
    );
    let stale = format!("act=remove&seen=%22{seen}%22&name=provider");
    assert_eq!(root.form(PAGE, &stale).await.status, 412, "it was changed since");
    let list = root.get(PAGE).await.text();
    let (_, row) = list.split_once("<tbody>").unwrap();
    let now = row.split("name=\"seen\" value=\"&quot;").nth(1).unwrap();
    let (now, _) = now.split_once("&quot;").unwrap();
    let remove = format!("act=remove&seen=%22{now}%22&name=provider");
    assert_eq!(root.form(PAGE, &remove).await.status, 303);
    assert!(office.store.trunks().unwrap().trunks.is_empty());

    let bob = office.browser("bob").await;
    assert_eq!(bob.get(PAGE).await.status, 403);
    assert_eq!(bob.form(PAGE, &format!("act=save&seen=&{fields}")).await.status, 403);
    assert_eq!(office.nobody().get(PAGE).await.status, 303);
}
