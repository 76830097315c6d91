//! Notices and dead letters for operators; how subscribers are told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{Office, now};
use segue_policy::Channel;
use segue_store::Role;
use serde_json::{Value, json};

const EVIL: &str = "<img src=x onerror=alert(1)>";
const NOTIFY: &str = "/api/v1/subscribers/bob/notify";

/// Bob is told by mail; a notice of his was given up, one waits.
async fn office() -> Office {
    let office = Office::open().await;
    office
        .store
        .change_subscriber("bob", |bob| {
            bob.notify.by = vec![Channel::Mail];
            bob.notify.mail = Some("bob@example.com".to_owned());
        })
        .unwrap();
    office.deposit("01A", "bob", |_| ());
    let due = office
        .store
        .claim_notices(Channel::Mail, &[], 10, now(), 60_000)
        .unwrap();
    assert_eq!(due.len(), 1);
    assert!(
        office
            .store
            .notice_dead(due[0].attempt, &format!("550 {EVIL}"), now())
            .unwrap()
    );
    office.deposit("01B", "bob", |_| ());
    office
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_shown_retried_and_discarded_and_that_is_put_down() {
    let office = office().await;
    let root = office.program("root", Role::Operator, &["system:write"]);
    let all = root.get("/api/v1/notices").await.json();
    let [waits, dead] = ids(&all).try_into().unwrap();
    assert_eq!(all["items"][1]["state"], "dead", "the newest first: {all}");
    for (query, expected) in [
        ("state=dead", vec![dead.clone()]),
        ("state=waiting", vec![waits.clone()]),
        ("state=sent", vec![]),
        ("user=bob", vec![waits.clone(), dead.clone()]),
        ("user=eve", vec![]),
    ] {
        assert_eq!(
            ids(&root.get(&format!("/api/v1/notices?{query}")).await.json()),
            expected,
            "{query}"
        );
    }
    let first = root.get("/api/v1/notices?limit=1").await.json();
    let next = first["next"].as_str().unwrap();
    assert_eq!(
        ids(&root.get(&format!("/api/v1/notices?limit=1&cursor={next}")).await.json()),
        std::slice::from_ref(&dead)
    );
    root.get("/api/v1/notices?state=gone").await.problem(422);
    root.get("/api/v1/notices?cursor=x!").await.problem(422);
    root.get("/api/v1/notices?user=nobody").await.problem(404);
    for none in ["99", "x"] {
        root.get(&format!("/api/v1/notices/{none}")).await.problem(404);
    }

    let counts = root.get("/api/v1/notice-counts").await.json();
    let mail = counts
        .as_array()
        .unwrap()
        .iter()
        .find(|of| of["channel"] == "mail")
        .unwrap();
    assert_eq!((&mail["waiting"], &mail["dead"]), (&json!(1), &json!(1)));
    let one = root.get(&format!("/api/v1/notices/{dead}")).await.json();
    assert_eq!(
        (&one["attempts"], &one["said"]),
        (&json!(1), &json!(format!("550 {EVIL}")))
    );
    assert_eq!((&one["message_id"], &one["user"]), (&json!("01A"), &json!("bob")));

    let again = root
        .change("POST", &format!("/api/v1/notices/{dead}/retry"), None)
        .await
        .json();
    assert_eq!(
        (&again["state"], &again["settled_at"]),
        (&json!("waiting"), &Value::Null)
    );
    let none = root.change("POST", "/api/v1/notices/retry", None).await.json();
    assert_eq!(none["retried"], 0, "there are no dead letters any more");
    let path = format!("/api/v1/notices/{waits}");
    assert_eq!(root.change("DELETE", &path, None).await.status, 204);
    root.change("DELETE", &path, None).await.problem(404);
    assert_eq!(
        ids(&root.get("/api/v1/notices").await.json()),
        std::slice::from_ref(&dead)
    );

    let deeds = office.store.audit(Some(("bob", Role::Subscriber)), None, 10).unwrap();
    let put_down: Vec<(&str, &str)> = deeds
        .iter()
        .map(|done| (done.deed.what.as_str(), done.deed.object.as_str()))
        .filter(|(what, _)| what.starts_with("notice"))
        .collect();
    assert_eq!(
        put_down,
        [("notice.drop", waits.as_str()), ("notice.retry", dead.as_str())]
    );
}

#[tokio::test]
async fn who_may_only_look_changes_nothing_and_a_subscriber_does_not_see_what_receivers_say() {
    let office = office().await;
    let looks = office.program("root", Role::Operator, &["system:read"]);
    let [waits, dead] = ids(&looks.get("/api/v1/notices").await.json()).try_into().unwrap();
    looks
        .change("POST", &format!("/api/v1/notices/{dead}/retry"), None)
        .await
        .problem(403);
    looks.change("POST", "/api/v1/notices/retry", None).await.problem(403);
    looks
        .change("DELETE", &format!("/api/v1/notices/{waits}"), None)
        .await
        .problem(403);
    let bob = office.browser("bob").await;
    bob.get("/api/v1/notices").await.problem(403);
    bob.get(&format!("/api/v1/notices/{dead}")).await.problem(403);
    assert_eq!(bob.get("/operator/notices").await.status, 403);
    assert_eq!(
        bob.form("/operator/notices", &format!("act=drop&id={dead}"))
            .await
            .status,
        403
    );
    assert_eq!(office.nobody().get("/operator/notices").await.status, 303);
    assert_eq!(ids(&looks.get("/api/v1/notices").await.json()).len(), 2);
}

#[tokio::test]
async fn the_page_shows_dead_letters_as_text_and_tries_them_again() {
    let office = office().await;
    let root = office.browser("root").await;
    let text = root.get("/operator/notices?state=dead").await.text();
    assert!(
        text.contains("1 dead letter") && text.contains("Try all again"),
        "{text}"
    );
    assert!(text.contains("550 &lt;img") && !text.contains("<img"), "{text}");
    assert!(text.contains("/operator/calls/call-01A"), "{text}");
    let sent = root.form("/operator/notices", "act=retry-all&state=dead").await;
    assert_eq!(
        sent.header("location").as_deref(),
        Some("/operator/notices?user=&state=dead")
    );
    let text = root.get("/operator/notices?state=dead").await.text();
    assert!(
        text.contains("There are none.") && !text.contains("Try all again"),
        "{text}"
    );
    assert_eq!(root.form("/operator/notices", "act=drop&id=x").await.status, 404);
    assert_eq!(root.get("/operator/notices?state=x").await.status, 422);
}

#[tokio::test]
async fn a_subscriber_says_how_they_are_told_within_what_is_safe_an_operator_anyhow() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let before = bob.get(NOTIFY).await;
    assert_eq!(before.json()["by"], json!([]));
    let tag = before.header("etag").unwrap();
    let told = json!({
        "by": ["mail", "webhook"], "on": ["missed"], "mail": "bob@example.com", "attach": "yes",
        "webhook": "https://example.com/hook", "language": "de",
    });
    let set = bob.change_with("PUT", NOTIFY, Some(&told), &[("If-Match", &tag)]).await;
    assert_eq!(set.status, 200, "{}", set.text());
    assert_eq!(
        (&set.json()["on"], &set.json()["message_to"]),
        (&json!(["missed"]), &Value::Null)
    );
    // What is read can be put back; what has changed since is not overwritten.
    let put = bob.change("PUT", NOTIFY, Some(&set.json())).await;
    assert_eq!(put.json(), set.json());
    bob.change_with("PUT", NOTIFY, Some(&told), &[("If-Match", &tag)])
        .await
        .problem(412);
    for (wrong, field) in [
        (json!({ "by": ["mail"] }), "mail:"),
        (json!({ "by": ["pigeon"] }), "by:"),
        (json!({ "webhook": "http://127.0.0.1:8080/api" }), "webhook: 127.0.0.1"),
        (
            json!({ "webhook": "http://[::ffff:169.254.169.254]/" }),
            "webhook: ::ffff:",
        ),
        (json!({ "message_to": "sip:+1900555@198.51.100.1" }), "message_to:"),
        (json!({ "mail": "bob@example.com\r\nBcc: eve@example.com" }), "mail:"),
    ] {
        let problem = bob.change("PUT", NOTIFY, Some(&wrong)).await.problem(422);
        assert!(problem["detail"].as_str().unwrap().starts_with(field), "{problem}");
    }
    bob.change("PUT", NOTIFY, Some(&json!({ "pigeon": 1 })))
        .await
        .problem(400);
    assert_eq!(bob.get(NOTIFY).await.json(), set.json(), "nothing of it was taken");
    // 10.1.2.3 is allowed besides here.
    let named = json!({ "by": ["webhook"], "webhook": "http://10.1.2.3/hook" });
    assert_eq!(bob.change("PUT", NOTIFY, Some(&named)).await.status, 200);

    let root = office.browser("root").await;
    let anywhere = json!({ "webhook": "http://127.0.0.1:9/", "message_to": "sip:bob@198.51.100.1" });
    assert_eq!(root.change("PUT", NOTIFY, Some(&anywhere)).await.status, 200);
    // What an operator has set stays, whatever else of it they change.
    let mut kept = bob.get(NOTIFY).await.json();
    kept["by"] = json!(["webhook"]);
    assert_eq!(bob.change("PUT", NOTIFY, Some(&kept)).await.status, 200);
    let deeds = office.store.audit(Some(("bob", Role::Subscriber)), None, 1).unwrap();
    assert_eq!(deeds[0].deed.what, "notify.set");
}

#[tokio::test]
async fn the_page_sets_it_by_a_form_and_loses_nothing_of_what_is_wrong() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let page = bob.get("/settings/notices").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Without any nobody is told"), "{}", page.text());
    let fields = "user=bob&by_mail=on&on_missed=on&mail=bob%40example.com&attach=yes&webhook=&message_to=&language=de";
    let sent = bob.form("/settings/notices", fields).await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    let told = office.store.subscriber("bob").unwrap().notify;
    assert_eq!((told.mail.as_deref(), told.webhook), (Some("bob@example.com"), None));
    let text = bob.get("/settings/notices").await.text();
    assert!(text.contains("name=\"by_mail\" value=\"on\" checked"), "{text}");
    assert!(!text.contains("name=\"by_webhook\" value=\"on\" checked"), "{text}");

    let wrong = bob
        .form(
            "/settings/notices",
            "user=bob&by_mail=on&mail=%3Cimg%20src%3Dx%3E&attach=poster",
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.text().contains("role=\"alert\"") && wrong.text().contains("&lt;img"),
        "{}",
        wrong.text()
    );
    assert!(!wrong.text().contains("<img"), "{}", wrong.text());
    assert_eq!(bob.form("/settings/notices", "user=eve&attach=no").await.status, 404);
    let own = bob.get("/settings/notices?user=eve").await.text();
    assert!(
        own.contains("name=\"user\" value=\"bob\"") && !own.contains("value=\"eve\""),
        "{own}"
    );
    let root = office.browser("root").await;
    assert!(root.get("/settings/notices").await.text().contains("Subscriber"));
    assert!(
        root.get("/settings/notices?user=bob")
            .await
            .text()
            .contains("bob@example.com")
    );
}
