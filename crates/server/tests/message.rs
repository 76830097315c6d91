//! `segue message` and `segue retention` beside a running store.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::fs;

use fixture::{Segue, deposit, keys, sorted};
use serde_json::{Value, json};

fn with_messages(n: usize) -> (Segue, segue_store::Store) {
    let segue = Segue::new();
    segue.ok(&["subscriber", "add", "bob", "--target", "sip:bob@127.0.0.1"]);
    let server = segue.store();
    for i in 0..n {
        server
            .deposit(deposit(&format!("01M{i}"), "bob", format!("media {i}").as_bytes()))
            .unwrap();
    }
    (segue, server)
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect()
}

#[test]
fn a_row_says_everything_in_the_fixed_words() {
    let (segue, _server) = with_messages(1);
    let list = segue.json(&["message", "list", "bob"]);
    assert_eq!(
        list,
        json!([{
            "id": "01M0", "mailbox": "bob", "call_id": "01CALL", "sip_call_id": "01M0@a", "from": "sip:a@127.0.0.1",
            "from_name": null, "received_at": "2024-02-29T23:59:59.007Z", "heard_at": null, "duration_ms": 4250,
            "kind": "video", "state": "unheard", "media_state": "ready", "bytes": 7, "interrupted": true,
        }])
    );
    let text = segue.ok(&["message", "list", "bob"]);
    assert!(
        text.contains("01M0  unheard  2024-02-29T23:59:59.007Z  sip:a@127.0.0.1  video  4.2 s"),
        "{text}"
    );
    assert!(text.contains("interrupted"), "{text}");
}

#[test]
fn heard_ones_go_past_the_threshold_in_the_order_they_were_heard() {
    let (segue, server) = with_messages(4);
    let set = segue.json(&["retention", "set", "bob", "--heard-max", "2"]);
    assert_eq!(set, json!({"user": "bob", "heard_max": 2, "evicted": []}));

    assert_eq!(segue.json(&["message", "heard", "01M2"])["evicted"], json!([]));
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert_eq!(segue.json(&["message", "heard", "01M0"])["evicted"], json!([]));
    std::thread::sleep(std::time::Duration::from_millis(2));
    let third = segue.json(&["message", "heard", "01M3"]);
    assert_eq!(
        third,
        json!({"id": "01M3", "state": "heard", "changed": true, "evicted": ["01M2"]})
    );

    let list = segue.json(&["message", "list", "bob"]);
    assert_eq!(ids(&list), ["01M0", "01M1", "01M3"]);
    assert_eq!(server.messages("bob").unwrap().len(), 3, "the server sees the same");
    assert_eq!(
        (&list[0]["state"], &list[1]["state"]),
        (&json!("heard"), &json!("unheard"))
    );
    let heard_at = list[0]["heard_at"].as_str().unwrap();
    assert!(heard_at.len() == 24 && heard_at.ends_with('Z'), "{heard_at}");

    let again = segue.json(&["message", "heard", "01M3"]);
    assert_eq!((&again["changed"], &again["evicted"]), (&json!(false), &json!([])));
    assert_eq!(
        segue.json(&["retention", "set", "bob", "--heard-max", "1"])["evicted"],
        json!(["01M0"])
    );
    assert_eq!(segue.json(&["message", "unheard", "01M3"])["changed"], true);
    assert_eq!(
        segue.json(&["retention", "set", "bob", "--heard-max", "none"])["heard_max"],
        Value::Null
    );
    let shown = segue.json(&["retention", "show", "bob"]);
    assert_eq!(shown, json!({"user": "bob", "heard_max": null}));
}

#[test]
fn two_commands_at_once_mark_one_message_once() {
    let (segue, _server) = with_messages(1);
    let marks: Vec<_> = (0..4)
        .map(|_| {
            segue
                .command(&["message", "heard", "01M0", "--json"])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let changed = marks
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .filter(|output| serde_json::from_slice::<Value>(&output.stdout).unwrap()["changed"] == true)
        .count();
    assert_eq!(changed, 1);
}

#[test]
fn export_writes_the_media_and_does_not_count_as_hearing() {
    let (segue, _server) = with_messages(1);
    let wrote = segue.json(&["message", "export", "01M0", "out.mp4"]);
    assert_eq!(keys(&wrote), sorted(["id", "file", "media_type", "bytes"]));
    assert_eq!(
        (&wrote["media_type"], &wrote["bytes"]),
        (&json!("video/mp4"), &json!(7))
    );
    assert_eq!(fs::read(segue.dir().join("out.mp4")).unwrap(), b"media 0");
    assert_eq!(segue.json(&["message", "list", "bob"])[0]["state"], "unheard");

    segue.fails(3, &["message", "export", "01XX", "other.mp4"]);
    assert!(!segue.dir().join("other.mp4").exists());
    let (said, _) = segue.fails(1, &["message", "export", "01M0", "no/such/dir/out.mp4"]);
    assert_eq!(said["code"], "unwritable");
    let left: Vec<_> = fs::read_dir(segue.dir())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "the data and the exported file, no half ones: {left:?}");
}

#[test]
fn what_is_not_there_is_not_found() {
    let (segue, _server) = with_messages(0);
    assert_eq!(segue.json(&["message", "list", "bob"]), json!([]));
    for args in [
        ["message", "list", "eve"].as_slice(),
        &["message", "heard", "01XX"],
        &["message", "unheard", "01XX"],
        &["message", "delete", "01XX"],
        &["retention", "show", "eve"],
        &["retention", "set", "eve", "--heard-max", "3"],
    ] {
        assert_eq!(segue.fails(3, args).0["code"], "not_found", "{args:?}");
    }
    segue.fails(2, &["retention", "set", "bob"]);
    segue.fails(2, &["retention", "set", "bob", "--heard-max", "-1"]);
    segue.fails(2, &["retention", "set", "bob", "--heard-max", "many"]);
}

#[test]
fn a_deleted_message_is_gone_and_those_of_a_removed_subscriber_stay() {
    let (segue, _server) = with_messages(2);
    assert_eq!(
        segue.json(&["message", "delete", "01M0"]),
        json!({"id": "01M0", "deleted": true})
    );
    assert_eq!(segue.json(&["subscriber", "remove", "bob"])["messages_kept"], 1);
    assert_eq!(ids(&segue.json(&["message", "list", "bob"])), ["01M1"]);
}
