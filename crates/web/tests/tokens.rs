//! Tokens of programs: what they may, and for how long.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{Browser, Office};
use segue_store::Role;
use serde_json::json;

#[tokio::test]
async fn a_token_may_what_its_scopes_say_and_no_more() {
    let office = Office::open().await;
    office.deposit("01A", "bob", |_| ());
    let heard = json!({ "heard": true });
    let asks = [
        ("GET", "/api/v1/messages", None, "messages:read"),
        ("PATCH", "/api/v1/messages/01A", Some(&heard), "messages:write"),
        ("GET", "/api/v1/subscribers/bob", None, "settings:read"),
        ("GET", "/api/v1/calls", None, "calls:read"),
        ("GET", "/api/v1/health", None, "system:read"),
        ("GET", "/api/v1/trunks", None, "system:read"),
        ("GET", "/api/v1/registrations", None, "settings:read"),
    ];
    for (_, _, _, scope) in asks {
        let program = office.program("root", Role::Operator, &[scope]);
        for (method, path, body, needed) in asks {
            let answer = program.change(method, path, body).await;
            let may = scope == needed || (scope == "messages:write" && needed == "messages:read");
            match may {
                true => assert_eq!(answer.status, 200, "{scope}: {path}"),
                false => assert!(
                    answer.problem(403)["detail"].as_str().unwrap().contains(needed),
                    "{scope}: {path}"
                ),
            }
        }
    }
}

#[tokio::test]
async fn a_subscriber_makes_sees_and_revokes_tokens_of_their_own_by_a_session_alone() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let made = bob
        .change(
            "POST",
            "/api/v1/tokens",
            Some(&json!({ "label": "phone book", "scopes": ["messages:read"] })),
        )
        .await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let program = Browser {
        bearer: made["token"].as_str().map(str::to_owned),
        ..office.nobody()
    };
    assert_eq!(program.get("/api/v1/messages").await.status, 200);
    program.get("/api/v1/tokens").await.problem(403);
    let list = bob.get("/api/v1/tokens").await;
    assert_eq!(list.json()[0]["label"], "phone book");
    assert!(!list.text().contains(program.bearer.as_deref().unwrap()), "said once");
    for scopes in [
        json!(["calls:read"]),
        json!(["system:write"]),
        json!([]),
        json!(["all"]),
    ] {
        let answer = bob
            .change(
                "POST",
                "/api/v1/tokens",
                Some(&json!({ "label": "x", "scopes": scopes })),
            )
            .await;
        answer.problem(422);
    }
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    office
        .browser("eve")
        .await
        .change("DELETE", &path, None)
        .await
        .problem(404);
    assert_eq!(bob.change("DELETE", &path, None).await.status, 204);
    program.get("/api/v1/messages").await.problem(401);
}

#[tokio::test]
async fn a_token_counts_until_its_time_is_over() {
    let office = Office::open().await;
    let new = |expires_in_s| segue_manage::NewToken {
        label: "x".to_owned(),
        scopes: vec!["messages:read".to_owned()],
        expires_in_s,
    };
    for (expires_in_s, status) in [(Some(0), 401), (Some(60), 200), (None, 200)] {
        let made = office
            .command()
            .add_token(Some(("bob", Role::Subscriber)), new(expires_in_s))
            .unwrap();
        let program = Browser {
            bearer: Some(made.token),
            ..office.nobody()
        };
        assert_eq!(program.get("/api/v1/messages").await.status, status, "{expires_in_s:?}");
    }
    let removed = office.store.remove_subscriber("bob");
    assert_eq!((removed, office.store.tokens(None).unwrap().len()), (Ok(()), 0));
}

/// The secret that a page says.
fn secret(page: &str) -> String {
    let secret = page
        .split(r#"<code id="secret">"#)
        .nth(1)
        .unwrap_or_else(|| panic!("{page}"));
    secret.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_made_on_the_page_said_once_and_revoked() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let page = bob.get("/settings/tokens").await.text();
    assert!(
        page.contains("No tokens yet.") && page.contains("messages:write"),
        "{page}"
    );
    assert!(
        !page.contains("calls:") && !page.contains("system:"),
        "those are operators': {page}"
    );
    assert!(bob.get("/settings").await.text().contains(r#"href="/settings/tokens""#));

    let form = "label=phone+%3Cb%3Ebook&scope=messages%3Aread&scope=settings%3Aread&lasting=2592000";
    let made = bob.form("/settings/tokens", form).await;
    assert_eq!(
        (made.status, made.header("cache-control").as_deref()),
        (201, Some("no-store"))
    );
    let secret = secret(&made.text());
    let program = Browser {
        bearer: Some(secret.clone()),
        ..office.nobody()
    };
    assert_eq!(program.get("/api/v1/messages").await.status, 200);
    // That it was used is written before what is written now.
    office.deposit("01A", "bob", |_| ());
    assert_eq!(program.change("DELETE", "/api/v1/messages/01A", None).await.status, 403);
    let page = bob.get("/settings/tokens").await.text();
    assert!(!page.contains(&secret), "said once");
    assert!(
        page.contains("phone &lt;b&gt;book") && page.contains("messages:read, settings:read"),
        "{page}"
    );
    let token = office.store.tokens(Some("bob")).unwrap().remove(0);
    let lasts_ms = token.expires_at_ms.unwrap() - token.created_at_ms;
    assert_eq!(lasts_ms, 2_592_000_000);
    assert!(!page.contains("<td>never</td>"), "it was used: {page}");

    // What is wrong is said beside its field, and what was typed stays.
    for (form, why) in [
        ("label=&scope=messages%3Aread&lasting=", "1 to 100 characters"),
        ("label=mine&lasting=", "name one at least"),
        ("label=mine&scope=calls%3Aread&lasting=", "for operators"),
        ("label=mine&scope=messages%3Aread&lasting=soon", "a number of seconds"),
    ] {
        let wrong = bob.form("/settings/tokens", form).await;
        let page = wrong.text();
        assert_eq!(wrong.status, 422, "{form}");
        assert!(page.contains(why) && !page.contains("id=\"secret\""), "{form}: {page}");
        assert!(!form.contains("mine") || page.contains("value=\"mine\""), "{page}");
    }
    assert_eq!(office.store.tokens(None).unwrap().len(), 1);

    // Neither a program, nor another, nor a forged form has a hand in it.
    let path = format!("/settings/tokens/{}", token.id);
    assert_eq!(program.get("/settings/tokens").await.status, 403);
    assert_eq!(program.form("/settings/tokens", form).await.status, 403);
    assert_eq!(program.form(&path, "").await.status, 403);
    assert_eq!(office.browser("eve").await.form(&path, "").await.status, 404);
    assert_eq!(bob.raw_form(&path, "").await.status, 403);
    // An operator has a page of their own tokens, not of bob's.
    let root = office.browser("root").await;
    let page = root.get("/settings/tokens").await.text();
    assert!(
        page.contains("system:write") && !page.contains("&lt;b&gt;book"),
        "{page}"
    );
    assert_eq!(root.form(&path, "").await.status, 404);
    assert_eq!(
        root.form("/settings/tokens", "label=x&scope=system%3Aread&lasting=")
            .await
            .status,
        201
    );

    assert_eq!(
        bob.form(&path, "").await.header("location").as_deref(),
        Some("/settings/tokens")
    );
    assert_eq!(program.get("/api/v1/messages").await.status, 401);
    assert!(bob.get("/settings/tokens").await.text().contains("No tokens yet."));
    let audit = root.get("/operator/audit?name=bob").await.text();
    assert!(
        audit.contains("token.create") && audit.contains("token.revoke"),
        "{audit}"
    );
}
