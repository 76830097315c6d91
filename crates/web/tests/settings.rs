//! A subscriber's settings as a page: rules with a probe, do not disturb, how long messages are kept.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::Office;
use segue_policy::{Outcome, Rule, Then, Who, Why};

const EVIL: &str = "<img src=x onerror=alert(1)>";

/// Bob hangs up on who does not say who they are, and sends anybody else to the greeting while he is busy.
async fn office() -> Office {
    let office = Office::open().await;
    let rule = |from: Vec<Who>, why: Vec<Why>, then| Rule {
        from,
        why,
        outcome: Outcome {
            then: Some(then),
            ..Outcome::default()
        },
        ..Rule::default()
    };
    let rules = [
        rule(vec![Who::Anonymous], vec![], Then::HangUp),
        rule(vec![], vec![Why::Busy], Then::Greeting),
    ];
    let add = |all: &mut Vec<Rule>| {
        all.extend(rules);
        Ok(())
    };
    office.store.change_rules("bob", add).unwrap();
    office
}

#[tokio::test]
async fn rules_are_read_and_a_call_is_tried_against_them() {
    let office = office().await;
    let bob = office.browser("bob").await;
    let page = bob.get("/settings").await.text();
    assert!(page.contains("<strong>hang up</strong>"), "{page}");
    assert!(page.contains("straight to the greeting"), "{page}");
    let tried = bob.get("/settings?from=anonymous&at=2026-12-24T14%3A30").await.text();
    assert!(
        tried.contains("calls bob: anonymous; thu 2026-12-24 14:30 UTC"),
        "{tried}"
    );
    assert!(
        tried.contains("rule 1 acts: hang up") && tried.contains("refused with 433"),
        "{tried}"
    );
    let other = bob.get("/settings?from=%2B4930123456").await.text();
    assert!(
        other.contains("rule 1 does not act: it is for other callers"),
        "{other}"
    );
    // What cannot be read is said beside the question, and what was written stays.
    let wrong = bob.get("/settings?from=anonymous&at=yesterday").await;
    assert_eq!(wrong.status, 200);
    assert!(wrong.text().contains("is no moment") && wrong.text().contains("yesterday"));
    let evil = bob
        .get("/settings?from=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
        .await
        .text();
    assert!(!evil.contains(EVIL), "{evil}");
}

#[tokio::test]
async fn what_is_set_acts_at_once_and_is_put_down() {
    let office = office().await;
    office.deposit("01A", "bob", |_| ());
    office.store.mark_heard("01A", fixture::now()).unwrap();
    let bob = office.browser("bob").await;
    assert_eq!(bob.form("/settings", "act=dnd-on&user=bob").await.status, 303);
    assert!(office.store.subscriber("bob").unwrap().dnd);
    assert!(bob.get("/settings").await.text().contains("Do not disturb is on."));
    let kept = "act=retention&user=bob&heard_max=5&heard_age=30d&unheard_max=&unheard_age=&trash=2d";
    assert_eq!(bob.form("/settings", kept).await.status, 303);
    let rules = office.store.retention("bob").unwrap().effective;
    assert_eq!(
        (rules.heard_max, rules.heard_age_ms, rules.unheard_max, rules.trash_ms),
        (Some(5), Some(2_592_000_000), None, 172_800_000)
    );
    let page = bob.get("/settings").await.text();
    assert!(
        page.contains("value=\"30d\"") && page.contains("<td>01A</td>"),
        "it goes in 30 days: {page}"
    );
    let wrong = bob
        .form("/settings", "act=retention&user=bob&heard_max=many&trash=1d")
        .await;
    assert_eq!(wrong.status, 422);
    assert_eq!(office.store.retention("bob").unwrap().effective.heard_max, Some(5));
    let audit = office
        .browser("root")
        .await
        .get("/operator/audit?name=bob")
        .await
        .text();
    assert!(
        audit.contains("subscriber.set") && audit.contains("retention.set"),
        "{audit}"
    );
}

#[tokio::test]
async fn nobody_sets_anything_of_anothers_but_an_operator() {
    let office = office().await;
    let eve = office.browser("eve").await;
    // Her own, whomever she names.
    assert!(!eve.get("/settings?user=bob").await.text().contains("hang up"));
    for form in ["act=dnd-on&user=bob", "act=retention&user=bob&heard_max=0&trash=0s"] {
        assert_eq!(eve.form("/settings", form).await.status, 404, "{form}");
    }
    assert_eq!(
        eve.raw_form("/settings", "act=dnd-on&user=eve").await.status,
        403,
        "no token"
    );
    assert!(!office.store.subscriber("bob").unwrap().dnd && !office.store.subscriber("eve").unwrap().dnd);
    let root = office.browser("root").await;
    assert!(root.get("/settings").await.text().contains("name=\"user\""));
    assert!(root.get("/settings?user=bob").await.text().contains("Settings of bob"));
    assert_eq!(root.get("/settings?user=nobody").await.status, 404);
    assert_eq!(root.form("/settings", "act=dnd-on&user=bob").await.status, 303);
    assert!(office.store.subscriber("bob").unwrap().dnd);
}
