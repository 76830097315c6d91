//! `segue admin`, `segue token`, `segue audit` and how subscribers come to their pages.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::fixture::Segue;
use serde_json::json;

fn password_file(segue: &Segue, password: &str) -> String {
    let path = segue.dir().join("password");
    fs::write(&path, password).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[test]
fn an_operator_is_made_with_a_password_or_a_link_and_never_with_a_default() {
    let segue = Segue::new();
    let made = segue.json(&["admin", "create", "ann"]);
    let link = made["link"].as_str().unwrap();
    assert!(link.starts_with("http://127.0.0.1:8080/login/link/"), "{link}");
    assert!(link.rsplit('/').next().unwrap().len() >= 43);
    let file = password_file(&segue, "correct horse\n");
    segue.json(&["admin", "create", "root", "--password-file", &file]);
    let listed = segue.json(&["admin", "list"]);
    let has: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["name"], &one["has_password"]))
        .collect();
    assert_eq!(has, [(&json!("ann"), &json!(false)), (&json!("root"), &json!(true))]);
    let file = password_file(&segue, "short");
    let (_, said) = segue.fails(1, &["admin", "password", "root", "--password-file", &file]);
    assert!(said.contains("10 characters"), "{said}");
    segue.fails(1, &["admin", "create", "root"]);
    segue.fails(1, &["admin", "create", "eve", "--prompt"]);
    segue.fails(3, &["admin", "link", "nobody"]);
    segue.json(&["admin", "remove", "ann"]);
    segue.fails(3, &["admin", "remove", "ann"]);
    // Only its hash is kept.
    let bytes = fs::read(segue.data().join("segue.db")).unwrap();
    assert!(!bytes.windows(13).any(|found| found == b"correct horse"));
}

#[test]
fn one_name_is_one_who_logs_in() {
    let segue = Segue::new();
    segue.json(&["subscriber", "add", "bob"]);
    let (_, said) = segue.fails(1, &["admin", "create", "bob"]);
    assert!(said.contains("'bob' is the name of a subscriber"), "{said}");
    segue.json(&["admin", "create", "eve"]);
    segue.json(&["subscriber", "add", "eve"]);
    let (_, said) = segue.fails(1, &["subscriber", "link", "eve"]);
    assert!(said.contains("an operator"), "{said}");
}

#[test]
fn a_subscriber_gets_a_link_or_a_web_password_and_tokens_have_scopes() {
    let segue = Segue::new();
    segue.json(&["subscriber", "add", "bob"]);
    let made = segue.json(&["subscriber", "link", "bob", "--within", "10m"]);
    assert!(made["link"].as_str().unwrap().contains("/login/link/"));
    let file = password_file(&segue, "correct horse");
    segue.json(&["subscriber", "web-password", "bob", "--password-file", &file]);
    segue.json(&["subscriber", "web-password", "bob", "--none"]);
    segue.fails(2, &["subscriber", "web-password", "bob"]);
    segue.fails(3, &["subscriber", "link", "nobody"]);
    let made = segue.json(&["token", "create", "bob", "--scope", "messages:read", "--expires", "1h"]);
    assert!(made["token"].as_str().unwrap().starts_with("segue_"));
    let listed = segue.run(&["token", "list", "--json"]).out;
    assert!(listed.contains("messages:read") && !listed.contains(made["token"].as_str().unwrap()));
    segue.fails(1, &["token", "create", "bob", "--scope", "calls:read"]);
    segue.fails(2, &["token", "create", "bob", "--scope", "all"]);
    segue.fails(3, &["token", "create", "bob", "--operator", "--scope", "calls:read"]);
    let id = made["id"].as_str().unwrap();
    segue.json(&["token", "revoke", id]);
    segue.fails(3, &["token", "revoke", id]);
}

#[test]
fn what_commands_do_is_put_down() {
    let segue = Segue::new();
    segue.json(&["subscriber", "add", "bob"]);
    segue.json(&["subscriber", "list"]);
    segue.json(&["retention", "set", "bob", "--heard-max", "5"]);
    segue.json(&["admin", "create", "root"]);
    segue.fails(3, &["subscriber", "remove", "nobody"]);
    let audit = segue.json(&["audit"]);
    let did: Vec<String> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|deed| {
            format!(
                "{} {}",
                deed["what"].as_str().unwrap(),
                deed["object"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        did,
        [
            "login.link root",
            "operator.create root",
            "retention.set bob",
            "subscriber.add bob"
        ],
        "who only looks, and what was refused, is not there"
    );
    assert!(audit[0]["by"] == "command" && !audit[0]["name"].as_str().unwrap().is_empty());
}
