//! Contacts, groups and rules by the API.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{Browser, Office};
use segue_policy::{Outcome, Rule, Then};
use segue_store::Role;
use serde_json::{Value, json};

const RULES: &str = "/api/v1/subscribers/bob/rules";
const CONTACTS: &str = "/api/v1/subscribers/bob/contacts";
const GROUPS: &str = "/api/v1/subscribers/bob/groups";

async fn rules(browser: &Browser) -> Vec<Value> {
    browser.get(RULES).await.json().as_array().unwrap().clone()
}

#[tokio::test]
async fn rules_are_added_changed_moved_and_removed_and_that_is_put_down() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let business = json!({
        "from": ["business", "030 123456"], "at": ["mon-fri 09:00-17:00"], "why": ["no-answer", "busy"],
        "then": "forward", "forward": "sip:deputy@192.0.2.9", "message": false,
    });
    let added = bob.change("POST", RULES, Some(&business)).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!(
        added.header("location").as_deref(),
        Some("/api/v1/subscribers/bob/rules/1")
    );
    assert_eq!(
        added.json()["from"],
        json!(["business", "+4930123456"]),
        "as it is dialled"
    );
    let first = json!({ "from": ["anonymous"], "then": "hang-up", "place": 1 });
    assert_eq!(bob.change("POST", RULES, Some(&first)).await.json()["place"], 1);
    let all = rules(&bob).await;
    assert_eq!(
        (&all[0]["then"], &all[1]["forward"]),
        (&json!("hang-up"), &json!("sip:deputy@192.0.2.9"))
    );
    assert_eq!(
        bob.get(&format!("{RULES}/2")).await.json(),
        all[1],
        "one is as in the list"
    );

    // What was read can be put back, changed or not.
    let mut second = all[1].clone();
    second["why"] = json!(["busy"]);
    assert_eq!(
        bob.change("PUT", &format!("{RULES}/2"), Some(&second)).await.json()["why"],
        json!(["busy"])
    );
    let moved = bob
        .change("PATCH", &format!("{RULES}/2"), Some(&json!({ "place": 1 })))
        .await;
    assert_eq!((moved.status, &moved.json()["then"]), (200, &json!("forward")));
    assert_eq!(rules(&bob).await[1]["then"], "hang-up");
    assert_eq!(bob.change("DELETE", &format!("{RULES}/1"), None).await.status, 204);
    let left = rules(&bob).await;
    assert_eq!((left.len(), &left[0]["then"]), (1, &json!("hang-up")));

    let audit = bob.get("/api/v1/audit").await.json();
    let deeds: Vec<&str> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deed| deed["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        &deeds[..5],
        ["rule.remove", "rule.move", "rule.set", "rule.add", "rule.add"]
    );
    assert!(
        audit["items"][4]["detail"]
            .as_str()
            .unwrap()
            .contains("forward to sip:deputy@192.0.2.9")
    );
}

#[tokio::test]
async fn what_cannot_be_a_rule_is_refused_with_its_field_and_nothing_is_changed() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    for (rule, field) in [
        (json!({ "from": ["<script>"], "then": "ring" }), "from"),
        (json!({ "why": ["asleep"], "then": "ring" }), "why"),
        (json!({ "at": ["monday"], "then": "ring" }), "at"),
        (json!({ "on": ["2026-13-01"], "then": "ring" }), "on"),
        (json!({ "then": "explode" }), "then"),
        (json!({ "from": ["anonymous"] }), "then"),
        (json!({ "then": "forward" }), "forward"),
        (json!({ "then": "ring", "forward": "sip:x@192.0.2.9" }), "forward"),
        (json!({ "then": "forward", "forward": "mailto:x" }), "forward"),
        (json!({ "then": "hang-up", "message": true }), "then"),
        (json!({ "why": ["busy"], "then": "ring" }), "why"),
        (json!({ "clip": "../x" }), "clip"),
        (json!({ "hold_ms": 86_400_001_u64 }), "hold_ms"),
    ] {
        let problem = bob.change("POST", RULES, Some(&rule)).await.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{field}: ")), "{rule}: {detail}");
        assert!(problem["fix"].is_string(), "{problem}");
    }
    bob.change("POST", RULES, Some(&json!({ "when": "now" })))
        .await
        .problem(400);
    bob.change("POST", RULES, Some(&json!({ "clip": "nothing" })))
        .await
        .problem(404);
    bob.change("POST", RULES, Some(&json!({ "then": "ring", "place": 2 })))
        .await
        .problem(409);
    for path in ["0", "1", "x", "-1"] {
        bob.get(&format!("{RULES}/{path}")).await.problem(404);
        bob.change("DELETE", &format!("{RULES}/{path}"), None)
            .await
            .problem(404);
    }
    let reader = office.program("bob", Role::Subscriber, &["settings:read"]);
    reader
        .change("POST", RULES, Some(&json!({ "then": "ring" })))
        .await
        .problem(403);
    assert_eq!(rules(&bob).await, Vec::<Value>::new());

    let add = |all: &mut Vec<Rule>| {
        let ring = Rule {
            outcome: Outcome {
                then: Some(Then::Ring),
                ..Outcome::default()
            },
            ..Rule::default()
        };
        all.extend(std::iter::repeat_n(ring, 100));
        Ok(())
    };
    office.store.change_rules("bob", add).unwrap();
    bob.change("POST", RULES, Some(&json!({ "then": "ring" })))
        .await
        .problem(409);
}

/// A subscriber has callers sent where a phone of theirs could call, an operator anywhere.
#[tokio::test]
async fn a_subscriber_forwards_no_further_than_a_phone_calls() {
    let office = Office::open().await;
    let (bob, root) = (office.browser("bob").await, office.browser("root").await);
    let to = |uri: &str| json!({ "then": "forward", "forward": uri });
    for uri in ["tel:+1900555", "sip:+1900555@198.51.100.1", "sip:x@127.0.0.1:9"] {
        let problem = bob.change("POST", RULES, Some(&to(uri))).await.problem(422);
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .starts_with("forward: calls from here"),
            "{problem}"
        );
    }
    assert_eq!(bob.change("POST", RULES, Some(&to("tel:+4930999"))).await.status, 201);
    assert_eq!(root.change("POST", RULES, Some(&to("tel:+1900555"))).await.status, 201);
    // What an operator set is moved and removed, but not for other callers than they said.
    let wider = json!({ "from": ["unknown"], "then": "forward", "forward": "tel:+1900555" });
    bob.change("PUT", &format!("{RULES}/2"), Some(&wider))
        .await
        .problem(422);
    let up = json!({ "place": 1 });
    assert_eq!(bob.change("PATCH", &format!("{RULES}/2"), Some(&up)).await.status, 200);
    assert_eq!(bob.change("DELETE", &format!("{RULES}/1"), None).await.status, 204);
    // Whose a forward is stays, whoever mends something else of it: it is asked again at each call.
    let is_own = || office.store.rules_of("bob").unwrap().rules[0].own;
    assert!(is_own());
    let busy = json!({ "why": ["busy"], "then": "forward", "forward": "tel:+4930999" });
    assert_eq!(root.change("PUT", &format!("{RULES}/1"), Some(&busy)).await.status, 200);
    assert!(is_own(), "an operator said when, not where");
    assert_eq!(
        root.change("PUT", &format!("{RULES}/1"), Some(&to("tel:+1900555")))
            .await
            .status,
        200
    );
    assert!(!is_own());
}

#[tokio::test]
async fn who_changes_rules_that_another_has_changed_is_told_so() {
    let office = Office::open().await;
    let (bob, root) = (office.browser("bob").await, office.browser("root").await);
    for from in ["anonymous", "unknown", "friends"] {
        bob.change("POST", RULES, Some(&json!({ "from": [from], "then": "greeting" })))
            .await;
    }
    let tag = bob.get(RULES).await.header("etag").unwrap();
    let second = bob.get(&format!("{RULES}/2")).await.header("etag").unwrap();
    // Meanwhile the first becomes the last: what was the second is the first.
    root.change("PATCH", &format!("{RULES}/1"), Some(&json!({ "place": 3 })))
        .await;
    for seen in [&tag, &second] {
        let seen = [("If-Match", seen.as_str())];
        let up = json!({ "place": 1 });
        let other = json!({ "then": "ring" });
        bob.change_with("PATCH", &format!("{RULES}/2"), Some(&up), &seen)
            .await
            .problem(412);
        bob.change_with("PUT", &format!("{RULES}/2"), Some(&other), &seen)
            .await
            .problem(412);
        bob.change_with("DELETE", &format!("{RULES}/2"), None, &seen)
            .await
            .problem(412);
    }
    bob.change_with("POST", RULES, Some(&json!({ "then": "ring" })), &[("If-Match", &tag)])
        .await
        .problem(412);
    let order: Vec<Value> = rules(&bob).await.iter().map(|rule| rule["from"][0].clone()).collect();
    assert_eq!(order, ["unknown", "friends", "anonymous"]);
    // And what was not done is not put down.
    let audit = office.store.audit(Some(("bob", Role::Subscriber)), None, 100).unwrap();
    assert_eq!(
        audit.iter().filter(|done| done.deed.what.starts_with("rule.")).count(),
        4
    );
    let tag = bob.get(RULES).await.header("etag").unwrap();
    let gone = bob
        .change_with("DELETE", &format!("{RULES}/3"), None, &[("If-Match", &tag)])
        .await;
    assert_eq!(gone.status, 204);
}

#[tokio::test]
async fn contacts_and_groups_are_changed_and_rules_follow_a_new_name() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let mother = json!({ "address": "030 765 43210", "name": "<b>Mother</b>", "groups": ["family", "family"] });
    let added = bob.change("POST", CONTACTS, Some(&mother)).await;
    assert_eq!((added.status, &added.json()["address"]), (201, &json!("+493076543210")));
    assert_eq!(added.json()["groups"], json!(["family"]));
    let at = added.header("location").unwrap();
    bob.change("POST", CONTACTS, Some(&mother)).await.problem(409);
    let harbour = json!({ "name": "Harbour Ltd", "groups": ["business"] });
    let put = bob
        .change("PUT", &format!("{CONTACTS}/+4940123*"), Some(&harbour))
        .await;
    assert_eq!(
        put.json(),
        json!({ "address": "+4940123*", "name": "Harbour Ltd", "groups": ["business"] })
    );
    assert_eq!(bob.get(&format!("{CONTACTS}/%2B4940123%2A")).await.json(), put.json());
    let seen = [("If-None-Match", "*")];
    bob.change_with("PUT", &format!("{CONTACTS}/+4940123*"), Some(&harbour), &seen)
        .await
        .problem(412);
    let tag = bob.get(&at).await.header("etag").unwrap();
    bob.change("PUT", &at, Some(&json!({ "name": "Mum", "groups": ["family"] })))
        .await;
    bob.change_with("DELETE", &at, None, &[("If-Match", &tag)])
        .await
        .problem(412);

    for (contact, field) in [
        (json!({ "address": "mother" }), "address"),
        (json!({ "address": "+491", "name": "a\nb" }), "name"),
        (json!({ "address": "+491", "groups": ["Big Group"] }), "groups"),
        (
            json!({ "address": "+491", "groups": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] }),
            "groups",
        ),
    ] {
        let problem = bob.change("POST", CONTACTS, Some(&contact)).await.problem(422);
        assert!(
            problem["detail"].as_str().unwrap().starts_with(&format!("{field}: ")),
            "{problem}"
        );
    }

    bob.change("POST", RULES, Some(&json!({ "from": ["family"], "then": "ring" })))
        .await;
    let groups = bob.get(GROUPS).await.json();
    assert_eq!(
        groups[1],
        json!({ "name": "family", "contacts": ["+493076543210"], "rules": [1] })
    );
    let both = json!({ "contacts": ["+493076543210", "+4940123*"] });
    let set = bob.change("PUT", &format!("{GROUPS}/family"), Some(&both)).await.json();
    assert_eq!(set["contacts"], json!(["+493076543210", "+4940123*"]));
    let problem = bob
        .change(
            "PUT",
            &format!("{GROUPS}/family"),
            Some(&json!({ "contacts": ["+49111"] })),
        )
        .await;
    assert!(problem.problem(404)["detail"].as_str().unwrap().contains("+49111"));
    let renamed = bob
        .change("PUT", &format!("{GROUPS}/family"), Some(&json!({ "name": "kin" })))
        .await;
    assert_eq!((renamed.status, &renamed.json()["rules"]), (200, &json!([1])));
    assert_eq!(rules(&bob).await[0]["from"], json!(["kin"]));
    bob.change("PUT", &format!("{GROUPS}/kin"), Some(&json!({ "name": "business" })))
        .await
        .problem(409);
    // A rule for a group that is gone would be for nobody, or for everybody.
    bob.change("DELETE", &format!("{GROUPS}/kin"), None).await.problem(409);
    assert_eq!(
        bob.change("DELETE", &format!("{GROUPS}/business"), None).await.status,
        204
    );
    bob.get(&format!("{GROUPS}/business")).await.problem(404);
    bob.change("PUT", &format!("{GROUPS}/nobody"), Some(&json!({ "contacts": [] })))
        .await
        .problem(404);
    assert_eq!(bob.change("DELETE", &at, None).await.status, 204);
    bob.change("DELETE", &at, None).await.problem(404);
    assert_eq!(bob.get(CONTACTS).await.json().as_array().unwrap().len(), 1);
}
