//! A subscriber's settings as a page: rules with a probe, contacts, do not disturb, how long messages are kept.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::Office;
use segue_policy::{Outcome, Rule, Then, Who, Why};
use segue_store::Role;

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
    let kept = "act=save&user=bob&heard_max=5&heard_age=30d&unheard_max=&unheard_age=&trash=2d";
    assert_eq!(bob.form("/settings/kept", kept).await.status, 303);
    let rules = office.store.retention("bob").unwrap().effective;
    assert_eq!(
        (rules.heard_max, rules.heard_age_ms, rules.unheard_max, rules.trash_ms),
        (Some(5), Some(2_592_000_000), None, 172_800_000)
    );
    let page = bob.get("/settings").await.text();
    assert!(
        page.contains("value=\"30d\"") && page.contains("it was heard long ago"),
        "it goes in 30 days: {page}"
    );
    let wrong = bob
        .form("/settings/kept", "act=save&user=bob&heard_max=many&trash=1d")
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
    assert!(
        !eve.get("/settings?user=bob")
            .await
            .text()
            .contains("<strong>hang up</strong>")
    );
    for (path, form) in [
        ("/settings", "act=dnd-on&user=bob"),
        ("/settings/kept", "act=save&user=bob&heard_max=0&trash=0s"),
        ("/settings/kept", "act=look&user=bob&heard_max=0&trash=0s"),
    ] {
        assert_eq!(eve.form(path, form).await.status, 404, "{form}");
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

/// What a hidden field of a page says.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split_once('"').unwrap().0.replace("&quot;", "%22")
}

#[tokio::test]
async fn a_rule_is_made_changed_moved_and_removed_by_forms_alone() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let made = "act=save&user=bob&from=business,+030+123456&at=sat,sun+10:00-14:00;+mon-fri+09:00-17:00&why=busy&why=no-answer\
                &then=forward&forward=tel:%2B4930999&clip=&hold=&greeting=none&message=no"
        .replace(' ', "");
    let answer = bob.form("/settings/rules?from=anonymous", &made).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    // Back to the question that was tried.
    assert_eq!(
        answer.header("location").as_deref(),
        Some("/settings?from=anonymous#rules")
    );
    let second = "act=save&user=bob&then=greeting&hold=&from=&at=&on=2026-12-24";
    assert_eq!(bob.form("/settings/rules", second).await.status, 303);
    let page = bob.get("/settings").await.text();
    let sentence = "When a caller of group business or +4930123456 calls sat-sun 10:00-14:00 or mon-fri 09:00-17:00 and the line is busy \
                    or nobody answers: ";
    assert!(page.contains(sentence), "{page}");
    assert!(
        page.contains("<strong>forward to tel:+4930999, greeting none, no message</strong>"),
        "{page}"
    );

    let seen = hidden(&page, "seen");
    let up = bob
        .form("/settings/rules", &format!("act=up&user=bob&place=2&seen={seen}"))
        .await;
    assert_eq!(up.status, 303);
    let rules = office.store.rules_of("bob").unwrap().rules;
    assert_eq!(rules[0].outcome.then, Some(Then::Greeting));
    // The same once more, as it was seen: it is the other rule's place now.
    let late = bob
        .form("/settings/rules", &format!("act=remove&user=bob&place=2&seen={seen}"))
        .await;
    assert_eq!(late.status, 412);
    assert!(late.text().contains("It has been changed meanwhile"), "{}", late.text());
    assert_eq!(office.store.rules_of("bob").unwrap().rules, rules);

    // The form of a rule has it as it is.
    let page = bob.get("/settings?edit=2").await.text();
    assert!(
        page.contains("Change rule 2") && page.contains("value=\"business, +4930123456\""),
        "{page}"
    );
    assert!(page.contains("value=\"busy\" checked"), "{page}");
    let seen = hidden(&page, "seen");
    let other = format!("act=save&user=bob&place=2&seen={seen}&from=&at=&on=&then=hang-up&hold=");
    assert_eq!(bob.form("/settings/rules", &other).await.status, 303);
    assert_eq!(
        office.store.rules_of("bob").unwrap().rules[1].outcome.then,
        Some(Then::HangUp)
    );
    // Seen before that: what was typed stays, for a rule of its own.
    let late = bob.form("/settings/rules", &other).await;
    assert_eq!(late.status, 412);
    assert!(late.text().contains("would be a new one") && !late.text().contains("Change rule 2</summary>"));
    let seen = hidden(&late.text(), "seen");
    let gone = bob
        .form("/settings/rules", &format!("act=remove&user=bob&place=1&seen={seen}"))
        .await;
    assert_eq!(gone.status, 303);
    assert_eq!(office.store.rules_of("bob").unwrap().rules.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    for (fields, id, says) in [
        (
            "from=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E&then=ring",
            "rule-from",
            "is nobody",
        ),
        ("at=monday+morning&then=ring", "rule-at", "are no hours"),
        ("on=tomorrow&then=ring", "rule-on", "is no date"),
        (
            "then=forward&forward=tel:%2B1900555",
            "rule-forward",
            "calls from here do not go to",
        ),
        ("then=ring&hold=long", "rule-hold", "e.g. 8s"),
        ("from=anonymous&then=", "rule-then", "decides nothing"),
        ("why=busy&then=ring", "rule-why", "the rule is for afterwards"),
    ] {
        let answer = bob
            .form("/settings/rules", &format!("act=save&user=bob&greeting=&{fields}"))
            .await;
        let page = answer.text();
        assert_eq!(answer.status, 422, "{fields}: {page}");
        let (_, said) = page
            .split_once(&format!("id=\"{id}-wrong\" role=\"alert\">"))
            .unwrap_or_else(|| panic!("{id}: {page}"));
        assert!(said.split_once("</p>").unwrap().0.contains(says), "{fields}: {said}");
        assert!(!page.contains(EVIL), "text stays text");
        assert!(page.contains("<details id=\"rule\" open"), "{page}");
    }
    let page = bob
        .form(
            "/settings/rules",
            "act=save&user=bob&from=family&at=monday+morning&then=ring&hold=8s",
        )
        .await
        .text();
    for typed in [
        "value=\"family\"",
        "value=\"monday morning\"",
        "value=\"8s\"",
        "<option value=\"ring\" selected>",
    ] {
        assert!(page.contains(typed), "{typed}: {page}");
    }
    assert!(page.contains("aria-describedby=\"rule-at-wrong\"") && page.contains("aria-invalid=\"true\""));
    let missing = bob
        .form("/settings/rules", "act=save&user=bob&clip=nothing&hold=")
        .await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("no clip named"), "{}", missing.text());
    assert_eq!(office.store.rules_of("bob").unwrap().rules, []);
    assert_eq!(bob.get("/settings/rules").await.status, 303, "loaded anew");
}

#[tokio::test]
async fn contacts_and_groups_are_kept_by_forms_alone() {
    let office = Office::open().await;
    let bob = office.browser("bob").await;
    let mother =
        "act=save&user=bob&seen=&address=030+76543210&name=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E&groups=family,+vip";
    assert_eq!(bob.form("/settings/contacts", mother).await.status, 303);
    let page = bob.get("/settings").await.text();
    assert!(page.contains("<td>family, vip</td>") && !page.contains(EVIL), "{page}");
    let twice = bob.form("/settings/contacts", mother).await;
    assert_eq!(twice.status, 412);
    let wrong = bob
        .form(
            "/settings/contacts",
            "act=save&user=bob&seen=&address=mother&name=Mum&groups=",
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("id=\"contact-address-wrong\"") && wrong.text().contains("value=\"Mum\""));

    let page = bob.get("/settings?contact=%2B493076543210").await.text();
    assert!(page.contains("Change +493076543210"), "{page}");
    let (_, form) = page.split_once("<details id=\"contact\"").unwrap();
    let change = format!(
        "act=save&user=bob&seen={}&address=%2B493076543210&name=Mother&groups=family",
        hidden(form, "seen")
    );
    assert_eq!(bob.form("/settings/contacts", &change).await.status, 303);
    assert_eq!(
        bob.form("/settings/contacts", &change).await.status,
        412,
        "seen before that"
    );
    assert_eq!(office.store.contacts("bob").unwrap()[0].name.as_deref(), Some("Mother"));

    let rule = "act=save&user=bob&from=family&then=ring&hold=";
    assert_eq!(bob.form("/settings/rules", rule).await.status, 303);
    let page = bob.get("/settings").await.text();
    let (_, groups) = page.split_once("<h3>Groups</h3>").unwrap();
    assert!(groups.contains("for it is rule 1"), "{groups}");
    let rename = format!(
        "act=rename&user=bob&seen={}&group=family&name=kin",
        hidden(groups, "seen")
    );
    assert_eq!(bob.form("/settings/contacts", &rename).await.status, 303);
    assert!(
        bob.get("/settings")
            .await
            .text()
            .contains("When a caller of group kin calls")
    );
    let page = bob.get("/settings").await.text();
    let (_, groups) = page.split_once("<h3>Groups</h3>").unwrap();
    let empty = format!("act=empty&user=bob&seen={}&group=kin", hidden(groups, "seen"));
    let used = bob.form("/settings/contacts", &empty).await;
    assert!(
        used.status == 409 && used.text().contains("rule 1 is for the group kin"),
        "{}",
        used.text()
    );
    let (_, row) = page.split_once("<td>kin</td>").unwrap();
    let remove = format!(
        "act=remove&user=bob&seen={}&address=%2B493076543210",
        hidden(row, "seen")
    );
    assert_eq!(bob.form("/settings/contacts", &remove).await.status, 303);
    assert_eq!(office.store.contacts("bob").unwrap(), []);
}

#[tokio::test]
async fn nobody_changes_rules_or_contacts_of_anothers_by_a_form_but_an_operator() {
    let office = office().await;
    let eve = office.browser("eve").await;
    let before = office.store.rules_of("bob").unwrap();
    for (path, form) in [
        ("/settings/rules", "act=save&user=bob&then=ring&hold="),
        ("/settings/rules", "act=remove&user=bob&place=1&seen=*"),
        ("/settings/rules", "act=down&user=bob&place=1&seen=*"),
        (
            "/settings/contacts",
            "act=save&user=bob&seen=&address=%2B4930111&name=&groups=",
        ),
    ] {
        let answer = eve.form(path, form).await;
        assert_eq!(answer.status, 404, "{form}");
        assert!(!answer.text().contains("hang up"), "{form}");
        assert_eq!(office.nobody().raw_form(path, form).await.status, 303, "to the login");
    }
    assert_eq!(
        eve.raw_form("/settings/rules", "act=save&user=eve&then=ring")
            .await
            .status,
        403,
        "no token"
    );
    assert_eq!(office.store.rules_of("bob").unwrap(), before);
    assert_eq!(office.store.contacts("bob").unwrap(), []);
    let root = office.browser("root").await;
    let made = root
        .form(
            "/settings/rules?user=bob",
            "act=save&user=bob&then=forward&forward=tel:%2B1900555&hold=",
        )
        .await;
    assert_eq!(made.header("location").as_deref(), Some("/settings?user=bob#rules"));
    let audit = office.store.audit(Some(("bob", Role::Subscriber)), None, 1).unwrap();
    assert_eq!(
        (audit[0].deed.name.as_str(), audit[0].deed.what.as_str()),
        ("root", "rule.add")
    );
}

#[tokio::test]
async fn room_playing_time_and_what_is_counted_together_are_limits_too_and_are_foreseen() {
    let office = office().await;
    for id in ["01A", "01B"] {
        office.deposit(id, "bob", |_| ());
        office.store.mark_heard(id, fixture::now()).unwrap();
    }
    let bob = office.browser("bob").await;
    let form = |act: &str, more: &str| {
        format!("act={act}&user=bob&heard_max=&heard_age=&unheard_max=&unheard_age=&trash=2d&{more}")
    };
    // Each is 10 s long and has 600,004 bytes: with half as much, one goes.
    for (limits, why) in [
        ("max_bytes=700+kB&max_seconds=&scope=mailbox", "700000 allowed"),
        ("max_bytes=&max_seconds=15s&scope=mailbox", "15 allowed"),
    ] {
        let looked = bob.form("/settings/kept", &form("look", limits)).await.text();
        assert!(
            looked.contains("1 message goes now.") && looked.contains(why),
            "{limits}: {looked}"
        );
        // Saved without having seen that, it is shown first.
        assert_eq!(bob.form("/settings/kept", &form("save", limits)).await.status, 200);
        assert_eq!(office.store.retention("bob").unwrap().effective.max_seconds, None);
    }
    let limits = "max_bytes=5GB&max_seconds=2h&scope=conversation";
    assert_eq!(bob.form("/settings/kept", &form("save", limits)).await.status, 303);
    let rules = office.store.retention("bob").unwrap().effective;
    assert_eq!(
        (rules.max_bytes, rules.max_seconds, rules.scope.name()),
        (Some(5_000_000_000), Some(7_200), "conversation")
    );
    let page = bob.get("/settings").await.text();
    for wanted in [
        r#"value="5GB""#,
        r#"value="2h""#,
        r#"<option value="conversation" selected>"#,
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    // A form without them leaves them as they are.
    bob.form("/settings/kept", &form("save", "x=")).await;
    assert_eq!(
        office.store.retention("bob").unwrap().effective.max_bytes,
        Some(5_000_000_000)
    );
    for (limits, field, why) in [
        ("max_bytes=5+parsecs", "max_bytes", "e.g. 500MB"),
        ("max_seconds=1500ms", "max_seconds", "whole seconds"),
        ("scope=galaxy", "scope", "conversation"),
    ] {
        let wrong = bob.form("/settings/kept", &form("save", limits)).await;
        let page = wrong.text();
        assert_eq!(wrong.status, 422, "{limits}");
        let said = format!("id=\"kept-{field}-wrong\"");
        assert!(page.contains(&said) && page.contains(why), "{limits}: {page}");
    }
    let typed = bob
        .form("/settings/kept", &form("save", "max_bytes=5+parsecs"))
        .await
        .text();
    assert!(typed.contains(r#"value="5 parsecs""#), "what was typed stays: {typed}");
}
