//! Nobody reaches what is another's by any route: the routes come from the description of the API itself, so that a new one cannot be
//! forgotten here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use fixture::{Browser, Office};
use segue_mailbox::RenditionProfile;
use segue_policy::{Contact, Outcome, Rule, Rules, Subscriber, Then};
use segue_store::{Deed, NewClip, NewRendition, Role};
use serde_json::{Value, json};

/// What is in a path, and what stands there of eve's. A parameter of a new name must be added.
fn eves(parameter: &str) -> &'static str {
    match parameter {
        "id" => "01E",
        "user" => "eve",
        "call" => "call-01E",
        "token" => "TOKEN",
        "notice" => "1",
        "trunk" => "main",
        "place" => "1",
        "address" => "+4930111",
        "group" => "friends",
        "clip" => "for-eve",
        "upload" => "1e7e",
        other => panic!("what is '{other}' of eve's? say it here"),
    }
}

/// Bodies that would do, by operation; a change without one here has none.
fn body(operation: &str) -> Option<Value> {
    Some(match operation {
        "change_message" => json!({ "heard": true }),
        "change_subscriber" => json!({ "dnd": true }),
        "change_retention" | "preview_retention_change" => json!({ "heard_max": 0 }),
        "add_rule" | "set_rule" => json!({ "then": "hang-up" }),
        "move_rule" => json!({ "place": 1 }),
        "add_contact" => json!({ "address": "+4930222" }),
        "put_contact" => json!({ "groups": [] }),
        "set_contact_group" => json!({ "contacts": ["+4930111"] }),
        "add_target" => json!({ "uri": "registered" }),
        "move_target" => json!({ "place": 1 }),
        "add_subscriber" => json!({ "user": "mallory" }),
        "import_subscribers" => json!([{ "user": "mallory" }]),
        "put_subscriber" => json!({ "settings": { "dnd": true } }),
        "add_trunk" => json!({ "name": "mallory", "settings": { "servers": ["192.0.2.66"] } }),
        "change_trunk" => json!({ "settings": { "servers": ["192.0.2.66"] } }),
        "add_group" => json!({ "group": "mallory", "members": ["eve"] }),
        "set_group" => json!({ "members": ["bob"] }),
        "set_phone_password" => json!({ "password": "guessed" }),
        "set_pin" => json!({ "pin": "471100" }),
        "set_notify" => json!({ "by": ["mail"], "mail": "eve@example.com" }),
        "make_token" => json!({ "label": "mine", "scopes": ["messages:read"] }),
        _ => return None,
    })
}

/// Every route of the description: method, path, operation.
fn routes() -> Vec<(String, String, Value)> {
    let description: Value = serde_json::from_str(&segue_web::description()).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                routes.push((method.to_ascii_uppercase(), path.clone(), operation.clone()));
            }
        }
    }
    routes
}

/// The path with eve's things in it; whether there were any.
fn of_eve(path: &str, token: &str) -> (String, bool) {
    let mut parts: Vec<String> = Vec::new();
    let mut has_any = false;
    for part in path.split('/') {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(parameter) => {
                has_any = true;
                parts.push(eves(parameter).replace("TOKEN", token));
            }
            None => parts.push(part.to_owned()),
        }
    }
    (parts.join("/"), has_any)
}

struct Case {
    office: Office,
    token: String,
}

/// Eve has a clip of her own, with its pictures, and an upload that was none.
fn clips(office: &Office) {
    let deed = |clip: &str| Deed {
        name: "eve".to_owned(),
        role: Role::Subscriber,
        by: "session".to_owned(),
        source: String::new(),
        what: "clip.upload".to_owned(),
        object: clip.to_owned(),
        owner: Some("eve".to_owned()),
        detail: String::new(),
    };
    let upload = office.store.begin_upload("1e7d", deed("for-eve"), 9, 1).unwrap();
    let clip = NewClip {
        name: "for-eve".to_owned(),
        duration_ms: 1_000,
        renditions: vec![NewRendition {
            profile: RenditionProfile::Pcmu,
            profile_level_id: None,
            cache: vec![1; 100],
        }],
        poster: Some(b"JPEG".to_vec()),
    };
    let made = office.store.finish_upload(&upload, clip, 2).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"MP4").unwrap();
    office
        .store
        .set_clip_preview(made.id, "video/mp4", file.path())
        .unwrap();
    office.store.begin_upload("1e7e", deed("other"), 9, 3).unwrap();
    office.store.refuse_upload("1e7e", "For Eve alone", "", 4).unwrap();
}

/// Eve has a message, a token, a contact, a rule, clips, and is in a group that bob is not in.
async fn case() -> Case {
    let office = Office::open().await;
    office.deposit("01E", "eve", |new| {
        new.message.from_name = Some("For Eve alone".to_owned())
    });
    office.deposit("01B", "bob", |_| ());
    office
        .store
        .add_subscriber(Subscriber {
            user: "sales".to_owned(),
            targets: vec!["sip:sales@127.0.0.1".to_owned()],
            ..Subscriber::default()
        })
        .unwrap();
    office.store.add_member("sales", "eve").unwrap();
    office.deposit("01G", "sales", |_| ());
    let deciding = |rules: &mut Rules| {
        rules.contacts.push(Contact {
            address: "+4930111".to_owned().try_into().unwrap(),
            name: Some("For Eve alone".to_owned()),
            groups: vec!["friends".to_owned()],
        });
        rules.rules.push(Rule {
            outcome: Outcome {
                then: Some(Then::Greeting),
                ..Outcome::default()
            },
            ..Rule::default()
        });
        Ok(())
    };
    office.store.change_contacts("eve", deciding).unwrap();
    clips(&office);
    office.program("eve", Role::Subscriber, &["messages:read"]);
    let token = office.store.tokens(Some("eve")).unwrap()[0].id.clone();
    Case { office, token }
}

#[tokio::test]
async fn another_s_things_are_not_there_by_any_route() {
    let Case { office, token } = case().await;
    let browsers = [
        office.browser("bob").await,
        office.program("bob", Role::Subscriber, &["messages:write", "settings:write"]),
    ];
    let before = (
        office.store.message("01E").unwrap(),
        office.store.subscriber("eve").unwrap(),
        office.store.rules_of("eve").unwrap(),
        office.store.contacts("eve").unwrap(),
        (office.store.clips().unwrap(), office.store.uploads().unwrap()),
    );
    let mut tried = 0;
    for bob in &browsers {
        for (method, path, operation) in routes() {
            let (path, has_any) = of_eve(&path, &token);
            let name = operation["operationId"].as_str().unwrap();
            if !has_any {
                continue;
            }
            let answer = bob.change(&method, &path, body(name).as_ref()).await;
            tried += 1;
            // Calls and accounts are operators', and a token sees no tokens: these are forbidden whatever is in them.
            let is = |tag: &str| operation["tags"].as_array().unwrap().iter().any(|said| said == tag);
            let forbidden = is("calls") || is("system") || (bob.bearer.is_some() && is("tokens"));
            answer.problem(if forbidden { 403 } else { 404 });
            assert!(!answer.text().contains("For Eve alone"), "{method} {path}");
        }
    }
    assert!(tried >= 40, "{tried}");
    assert_eq!(
        before,
        (
            office.store.message("01E").unwrap(),
            office.store.subscriber("eve").unwrap(),
            office.store.rules_of("eve").unwrap(),
            office.store.contacts("eve").unwrap(),
            (office.store.clips().unwrap(), office.store.uploads().unwrap()),
        )
    );
    assert_eq!(office.store.tokens(Some("eve")).unwrap().len(), 1);
    // The very same, of eve herself and of an operator, are there: the routes were tried as they are meant.
    for who in ["eve", "root"] {
        let browser = office.browser(who).await;
        for (method, path, operation) in routes() {
            let (path, has_any) = of_eve(&path, &token);
            let is_operators = ["calls", "system"].iter().any(|tag| operation["tags"][0] == *tag);
            // What is followed has no end that this browser understands.
            let is_followed = operation["operationId"] == "upload_events";
            if has_any && method == "GET" && !is_operators && !is_followed {
                assert_eq!(browser.get(&path).await.status, 200, "{who} {path}");
            }
        }
    }
}

#[tokio::test]
async fn no_list_has_anything_of_another_s_in_it() {
    let Case { office, .. } = case().await;
    let bob = office.browser("bob").await;
    for (method, path, operation) in routes() {
        if method != "GET" || path.contains('{') || operation["operationId"] == "events" {
            continue;
        }
        for query in ["", "?mailbox=eve", "?q=eve", "?name=eve", "?user=eve"] {
            let answer = bob.get(&format!("{path}{query}")).await;
            let text = answer.text().replace("'eve'", "");
            for others in ["01E", "01G", "For Eve alone", "\"eve\"", "sales", "for-eve"] {
                assert!(!text.contains(others), "{path}{query}: {text}");
            }
        }
    }
    bob.get("/api/v1/messages?mailbox=eve").await.problem(404);
    bob.get("/api/v1/audit?name=root").await.problem(404);
}

#[tokio::test]
async fn nobody_reaches_anything_without_being_let_in() {
    let Case { office, token } = case().await;
    let wrong = [
        office.nobody(),
        Browser {
            cookie: Some("segue=x".to_owned()),
            csrf: Some("x".to_owned()),
            ..office.nobody()
        },
        Browser {
            bearer: Some("segue_x".to_owned()),
            ..office.nobody()
        },
    ];
    for browser in &wrong {
        for (method, path, operation) in routes() {
            let (path, _) = of_eve(&path, &token);
            let name = operation["operationId"].as_str().unwrap();
            if name == "login" {
                continue;
            }
            browser.change(&method, &path, body(name).as_ref()).await.problem(401);
        }
        for page in ["/messages", "/"] {
            let answer = browser.get(page).await;
            assert_eq!(answer.status, 303, "{page}");
        }
    }
}

#[tokio::test]
async fn members_of_a_group_see_its_messages_each_as_their_own() {
    let Case { office, .. } = case().await;
    let eve = office.browser("eve").await;
    let list = eve.get("/api/v1/messages").await.json();
    let ids: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].clone())
        .collect();
    assert_eq!(ids, ["01G", "01E"]);
    office
        .browser("bob")
        .await
        .get("/api/v1/messages/01G")
        .await
        .problem(404);
}

#[tokio::test]
async fn every_change_wants_the_token_against_forged_requests() {
    let Case { office, token } = case().await;
    let bob = office.browser("bob").await;
    for (method, path, operation) in routes() {
        let name = operation["operationId"].as_str().unwrap();
        if method == "GET" || name == "login" {
            continue;
        }
        let (path, _) = of_eve(&path, &token);
        let answer = bob.send(&method, &path, body(name).as_ref(), &[]).await;
        assert_eq!(answer.problem(403)["code"], "csrf", "{method} {path}");
    }
    assert_eq!(bob.get("/api/v1/session").await.status, 200, "still logged in");
}
