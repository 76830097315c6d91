//! Subscribers and their targets by forms alone.

use segue_store::Role;
use serde_json::{Value, json};

use crate::{
    ALL,
    fixture::{self, Office},
};

/// What a hidden field of a page says.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split_once('"').unwrap().0.replace("&quot;", "%22")
}

#[tokio::test]
async fn an_operator_keeps_subscribers_by_forms_alone_and_nobody_else_does() {
    const PAGE: &str = "/operator/subscribers";
    let office = Office::open().await;
    let (bob, root) = (office.browser("bob").await, office.browser("root").await);
    let anna = "act=save&seen=&user=anna&password=apple-tree-7&pin=&targets=&numbers=030+111&aliases=";
    assert_eq!(bob.get(PAGE).await.status, 403);
    assert_eq!(bob.form(PAGE, anna).await.status, 403);
    let wrong = root.form(PAGE, &anna.replace("030+111", "my+number")).await;
    let page = wrong.text();
    assert!(
        wrong.status == 422 && page.contains("id=\"subscriber-numbers-wrong\""),
        "{page}"
    );
    assert!(
        page.contains("value=\"my number\"") && !page.contains("apple-tree"),
        "{page}"
    );
    assert_eq!(root.form(PAGE, anna).await.status, 303);
    assert_eq!(office.store.subscriber("anna").unwrap().targets, ["registered"]);
    assert_eq!(office.store.realms_of("anna").unwrap(), ["office"]);
    let taken = root.form(PAGE, anna).await;
    assert!(
        taken.status == 409 && taken.text().contains("exists already"),
        "{}",
        taken.text()
    );

    let found = root.get(&format!("{PAGE}?q=30111")).await.text();
    assert!(
        found.contains("/settings?user=anna") && !found.contains("/settings?user=bob"),
        "{found}"
    );
    let page = root.get(&format!("{PAGE}?edit=anna")).await.text();
    let (_, form) = page.split_once("<details id=\"subscriber\" open").unwrap();
    let seen = hidden(form, "seen");
    let change = format!(
        "act=save&seen={seen}&user=anna&password=&pin=471100&targets=registered,sip:a@192.0.2.1&numbers=&aliases="
    );
    assert_eq!(root.form(PAGE, &change).await.status, 303);
    let now = office.store.subscriber("anna").unwrap();
    assert_eq!((now.targets.len(), now.numbers.len()), (2, 0));
    assert!(office.store.pin("anna").unwrap().is_some());
    assert_eq!(root.form(PAGE, &change).await.status, 412, "seen before that");
    assert_eq!(
        root.form(PAGE, &format!("act=remove&seen={seen}&user=anna"))
            .await
            .status,
        412
    );
    let page = root.get(&format!("{PAGE}?q=anna")).await.text();
    let (_, row) = page.split_once("<tbody>").unwrap();
    let remove = format!("act=remove&seen={}&user=anna", hidden(row, "seen"));
    assert_eq!(root.form(PAGE, &remove).await.status, 303);
    assert_eq!(office.store.subscribers().unwrap().len(), 2);
}

/// What the form of a page says, field by field as a browser sends it, but for what `change` says otherwise.
fn as_sent(page: &str, change: &[(&str, &str)]) -> String {
    let (_, form) = page.split_once("<details id=\"subscriber\" open").unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"').unwrap().0.replace("&quot;", "\""))
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut select = None;
    for tag in form.split('<').skip(1) {
        let said = |name| attribute(tag, name).unwrap_or_default();
        match tag.split([' ', '>']).next().unwrap() {
            "input" if said("type") == "checkbox" && !tag.contains(" checked") => {}
            "input" if said("name") != "csrf" => pairs.push((said("name"), said("value"))),
            "select" => select = Some(said("name")),
            "option" if tag.contains(" selected") => pairs.push((select.clone().unwrap(), said("value"))),
            _ => {}
        }
    }
    pairs.retain(|(name, _)| change.iter().all(|(changed, _)| changed != name));
    pairs.push(("act".to_owned(), "save".to_owned()));
    pairs.extend(
        change
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let sent = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    sent.collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn an_operator_sets_by_the_form_what_the_api_sets_and_what_is_wrong_is_said_beside_its_field() {
    const PAGE: &str = "/operator/subscribers";
    let office = Office::open().await;
    let root = office.browser("root").await;
    let at = format!("{PAGE}?edit=bob");
    let before = root.get(&format!("{ALL}/bob")).await.json();
    // What is sent as it stands changes nothing.
    let page = root.get(&at).await.text();
    assert_eq!(root.form(PAGE, &as_sent(&page, &[])).await.status, 303);
    assert_eq!(root.get(&format!("{ALL}/bob")).await.json(), before);

    let all = [
        ("ring", "in-order"),
        ("ring_each", "20s"),
        ("target_by", "next-hop"),
        ("hold_on", "greeting"),
        ("hold", "1500ms"),
        ("no_answer", "20 s"),
        ("answer_at", "after_greeting"),
        ("menu", "off"),
        ("language", "de"),
        ("hours", "mon-fri 09:00-17:00; sat,sun 10:00-14:00"),
        ("time_zone", "Europe/Berlin"),
        ("calls_at_once", "2"),
        ("calls_per_minute", "0"),
        ("minutes_per_day", "60"),
        ("by", "mail"),
        ("by", "message"),
        ("on", "missed"),
        ("mail", "bob@example.com"),
        ("attach", "no"),
        ("webhook", "https://example.com/hook"),
        ("message_to", "sip:bob@192.0.2.7"),
        ("told_language", "en"),
    ];
    for (field, wrong) in [
        ("ring", "never"),
        ("ring_each", "200ms"),
        ("hold", "eight"),
        ("hold", "2d"),
        ("no_answer", "5"),
        ("menu", "maybe"),
        ("language", "tlh"),
        ("hours", "every morning"),
        ("time_zone", "Mars/Olympus"),
        ("calls_at_once", "two"),
        ("busy_at", "-1"),
        ("by", "pigeon"),
        ("mail", ""),
        ("webhook", "ftp://example.com"),
        ("message_to", "bob"),
        ("told_language", "tlh"),
    ] {
        let mut typed = all.to_vec();
        typed.retain(|(name, _)| *name != field);
        typed.push((field, wrong));
        let refused = root.form(PAGE, &as_sent(&page, &typed)).await;
        let text = refused.text();
        assert_eq!(refused.status, 422, "{field} {wrong}: {text}");
        let (_, said) = text.split_once(&format!("id=\"subscriber-{field}-wrong\"")).unwrap();
        assert!(said.starts_with(" role=\"alert\">"), "{field}: {said}");
        // What was typed stays, and stands where it is seen.
        let open = text.split("<details class=\"part\" open>").count() - 1;
        assert_eq!(open, 1, "{field}: {text}");
        assert!(text.contains("value=\"mon-fri 09:00-17:00; sat,sun 10:00-14:00\"") || field == "hours");
    }
    assert_eq!(
        root.get(&format!("{ALL}/bob")).await.json(),
        before,
        "all of it, or nothing"
    );

    assert_eq!(root.form(PAGE, &as_sent(&page, &all)).await.status, 303);
    let view = root.get(&format!("{ALL}/bob")).await.json();
    let mut expected = before;
    for (name, value) in [
        ("ring", json!("in-order")),
        ("ring_ms", json!(20_000)),
        ("target_by", json!("next-hop")),
        ("hold_on", json!("greeting")),
        ("hold_ms", json!(1_500)),
        ("no_answer_ms", json!(20_000)),
        ("answer_at", json!("after_greeting")),
        ("menu", json!(false)),
        ("language", json!("de")),
        ("hours", json!(["mon-fri 09:00-17:00", "sat-sun 10:00-14:00"])),
        ("time_zone", json!("Europe/Berlin")),
        (
            "caps",
            json!({ "calls_at_once": 2, "calls_per_minute": 0, "minutes_per_day": 60 }),
        ),
        (
            "notify",
            json!({
                "by": ["mail", "message"], "on": ["missed"], "mail": "bob@example.com", "attach": "no",
                "webhook": "https://example.com/hook", "message_to": "sip:bob@192.0.2.7", "language": "en",
            }),
        ),
    ] {
        expected[name] = value;
    }
    assert_eq!(view, expected);
    // The form has it all again, and takes it away.
    let page = root.get(&at).await.text();
    assert_eq!(root.form(PAGE, &as_sent(&page, &[])).await.status, 303);
    assert_eq!(root.get(&format!("{ALL}/bob")).await.json(), expected);
    let none = [
        "hold",
        "no_answer",
        "calls_at_once",
        "minutes_per_day",
        "hours",
        "time_zone",
        "menu",
    ];
    assert_eq!(
        root.form(PAGE, &as_sent(&page, &none.map(|name| (name, ""))))
            .await
            .status,
        303
    );
    let view = root.get(&format!("{ALL}/bob")).await.json();
    assert_eq!(
        (
            &view["hold_ms"],
            &view["caps"],
            &view["hours"],
            &view["time_zone"],
            &view["menu"]
        ),
        (
            &Value::Null,
            &json!({ "calls_per_minute": 0 }),
            &json!([]),
            &json!("UTC"),
            &Value::Null
        )
    );
    // Another has changed it meanwhile: the form has what is so now, and can be sent.
    let late = root.form(PAGE, &as_sent(&page, &[("hold", "9s")])).await;
    assert!(
        late.status == 412 && late.text().contains("changed meanwhile"),
        "{}",
        late.text()
    );
    let again = root.form(PAGE, &as_sent(&late.text(), &[("hold", "9s")])).await;
    assert_eq!(again.status, 303);
    assert_eq!(office.store.subscriber("bob").unwrap().hold_ms, Some(9_000));
}

#[tokio::test]
async fn a_clip_of_somebodys_own_is_chosen_for_nobody_else_by_form_or_api() {
    const PAGE: &str = "/operator/subscribers";
    let office = Office::open().await;
    let root = office.browser("root").await;
    fixture::clip(&office, "eves", Some("eve"));
    fixture::clip(&office, "welcome", None);
    let bob = root.get(&format!("{PAGE}?edit=bob")).await.text();
    assert!(
        bob.contains("<option value=\"welcome\">") && !bob.contains("eves"),
        "{bob}"
    );
    assert!(
        root.get(&format!("{PAGE}?edit=eve"))
            .await
            .text()
            .contains("<option value=\"eves\">")
    );
    for field in ["clip", "greeting"] {
        let refused = root.form(PAGE, &as_sent(&bob, &[(field, "eves")])).await;
        let beside = format!("id=\"subscriber-{field}-wrong\"");
        assert!(
            refused.status == 422 && refused.text().contains(&beside),
            "{}",
            refused.text()
        );
        let settings = json!({ "settings": { field: "eves" } });
        let problem = root
            .change("PUT", &format!("{ALL}/bob"), Some(&settings))
            .await
            .problem(422);
        assert!(
            problem["detail"].as_str().unwrap().starts_with(&format!("{field}: ")),
            "{problem}"
        );
        let new = json!({ "user": "anna", "settings": { field: "eves" } });
        root.change("POST", ALL, Some(&new)).await.problem(422);
    }
    let both = [("clip", "welcome"), ("greeting", "welcome")];
    assert_eq!(root.form(PAGE, &as_sent(&bob, &both)).await.status, 303);
    let bob = office.store.subscriber("bob").unwrap();
    assert_eq!(
        (bob.clip.as_deref(), bob.greeting.as_deref()),
        (Some("welcome"), Some("welcome"))
    );
}

#[tokio::test]
async fn a_subscriber_keeps_their_targets_by_forms_alone() {
    const PAGE: &str = "/settings/targets";
    let office = Office::open().await;
    let (bob, eve) = (office.browser("bob").await, office.browser("eve").await);
    let seen = |page: &str| hidden(page.split_once("Where they are reached").unwrap().1, "seen");
    let tag = seen(&bob.get("/settings").await.text());
    let wrong = bob
        .form(PAGE, &format!("act=add&user=bob&seen={tag}&uri=tel:%2B1900555"))
        .await;
    let page = wrong.text();
    assert!(
        wrong.status == 422 && page.contains("id=\"target-uri-wrong\""),
        "{page}"
    );
    assert!(page.contains("value=\"tel:+1900555\""), "{page}");
    let add = format!("act=add&user=bob&seen={tag}&uri=registered");
    assert_eq!(eve.form(PAGE, &add).await.status, 404);
    assert_eq!(bob.form(PAGE, &add).await.status, 303);
    assert_eq!(
        bob.form(PAGE, &add.replace("registered", "tel:%2B49301")).await.status,
        412,
        "seen before that"
    );
    let tag = seen(&bob.get("/settings").await.text());
    assert_eq!(
        bob.form(PAGE, &format!("act=in-order&user=bob&seen={tag}"))
            .await
            .status,
        303
    );
    let tag = seen(&bob.get("/settings").await.text());
    assert_eq!(
        bob.form(PAGE, &format!("act=up&user=bob&place=2&seen={tag}"))
            .await
            .status,
        303
    );
    assert_eq!(office.store.subscriber("bob").unwrap().targets[0], "registered");
    let tag = seen(&bob.get("/settings").await.text());
    assert_eq!(
        bob.form(PAGE, &format!("act=remove&user=bob&place=2&seen={tag}"))
            .await
            .status,
        303
    );
    assert_eq!(office.store.subscriber("bob").unwrap().targets, ["registered"]);
}

#[tokio::test]
async fn a_form_that_is_wrong_in_its_last_field_changes_nothing() {
    const PAGE: &str = "/operator/subscribers";
    let office = Office::open().await;
    let root = office.browser("root").await;
    let page = root.get(&format!("{PAGE}?edit=bob")).await.text();
    let (_, form) = page.split_once("<details id=\"subscriber\" open").unwrap();
    let seen = hidden(form, "seen");
    let before = office.store.subscriber("bob").unwrap();
    let realms = office.store.realms_of("bob").unwrap();
    let all = |pin: &str| {
        format!(
            "act=save&seen={seen}&user=bob&password=quiet-river-2&pin={pin}&targets=registered&numbers=030+222&aliases="
        )
    };
    let wrong = root.form(PAGE, &all("12")).await;
    assert!(
        wrong.status == 422 && wrong.text().contains("id=\"subscriber-pin-wrong\""),
        "{}",
        wrong.text()
    );
    assert_eq!(office.store.subscriber("bob").unwrap(), before);
    assert_eq!(office.store.realms_of("bob").unwrap(), realms);
    assert_eq!(root.form(PAGE, &all("471100")).await.status, 303);
    assert_eq!(office.store.subscriber("bob").unwrap().numbers, ["+4930222"]);
    assert_eq!(office.store.realms_of("bob").unwrap(), ["office"]);
    let audit = office.store.audit(Some(("bob", Role::Subscriber)), None, 3).unwrap();
    let deeds: Vec<&str> = audit.iter().map(|done| done.deed.what.as_str()).collect();
    assert_eq!(deeds, ["subscriber.set", "subscriber.pin", "subscriber.phone_password"]);
    // Seen before that: neither settings nor password change.
    let pin = office.store.try_pin("bob", fixture::now()).unwrap();
    assert_eq!(root.form(PAGE, &all("0815123")).await.status, 412);
    let segue_store::PinGate::Open { sealed, .. } = pin else {
        panic!("{pin:?}");
    };
    let now = office.store.try_pin("bob", fixture::now()).unwrap();
    assert!(matches!(now, segue_store::PinGate::Open { sealed: now, .. } if now == sealed));
}
