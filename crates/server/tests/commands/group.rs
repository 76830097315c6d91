//! `segue group`: one message for several.

use crate::fixture::{Segue, deposit};
use serde_json::json;

#[test]
fn a_group_has_members_and_its_message_says_how_it_stands_with_each() {
    let segue = Segue::new();
    for user in ["ann", "bob"] {
        segue.ok(&["subscriber", "add", user]);
    }
    let added = segue.json(&["group", "add", "sales", "--member", "ann"]);
    assert_eq!(added, json!({"group": "sales", "members": ["ann"]}));
    segue.ok(&["group", "member", "add", "sales", "bob"]);
    let listed = segue.json(&["group", "list"]);
    assert_eq!(listed, json!([{"group": "sales", "members": ["ann", "bob"]}]));
    segue.store().deposit(deposit("01M", "sales", b"media")).unwrap();
    segue.ok(&["message", "heard", "01M"]);
    segue.ok(&["message", "pin", "01M-2"]);
    let text = segue.ok(&["message", "show", "01M"]);
    assert!(text.contains("ann: heard\nbob: unheard, pinned"), "{text}");
    let shown = segue.json(&["message", "show", "01M-2"]);
    assert_eq!(
        (&shown["mailbox"], &shown["others"][0]["mailbox"]),
        (&json!("bob"), &json!("ann"))
    );
    segue.ok(&["group", "member", "remove", "sales", "ann"]);
    assert_eq!(
        segue.json(&["message", "list", "ann"])[0]["id"],
        "01M",
        "what she has stays hers"
    );
}

#[test]
fn a_group_is_removed_and_its_members_keep_what_they_have() {
    let segue = Segue::new();
    for user in ["ann", "bob"] {
        segue.ok(&["subscriber", "add", user]);
    }
    segue.ok(&["group", "add", "sales", "--member", "ann"]);
    segue.store().deposit(deposit("01M", "sales", b"media")).unwrap();
    let (said, _) = segue.fails(1, &["group", "remove", "ann"]);
    assert!(
        said["fix"].as_str().unwrap().contains("subscriber remove ann"),
        "{said}"
    );
    segue.fails(3, &["group", "remove", "nobody"]);
    let removed = segue.json(&["group", "remove", "sales"]);
    assert_eq!(removed, json!({"group": "sales", "removed": true, "messages_kept": 0}));
    assert_eq!(segue.json(&["group", "list"]), json!([]));
    assert_eq!(segue.json(&["message", "list", "ann"])[0]["id"], "01M");
    segue.fails(3, &["subscriber", "show", "sales"]);
}

#[test]
fn a_group_that_cannot_have_one_of_its_members_is_not_added() {
    let segue = Segue::new();
    segue.ok(&["subscriber", "add", "ann"]);
    segue.fails(3, &["group", "add", "sales", "--member", "ann", "--member", "nobody"]);
    segue.fails(3, &["subscriber", "show", "sales"]);
    segue.ok(&["group", "add", "sales", "--member", "ann"]);
}
