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
