//! `segue clip` beside a running store. Preparing real files is shown by the tests of the worker and of the calls.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fixture;

use std::fs;

use fixture::{Segue, clip, keys, sorted};
use serde_json::json;

#[test]
fn clips_are_listed_with_who_uses_them_and_the_beep_is_ours() {
    let segue = Segue::new();
    let server = segue.store();
    server.put_clip(clip("ring")).unwrap();
    server.put_clip(clip("beep")).unwrap();
    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--greeting",
        "ring",
    ]);
    let list = segue.json(&["clip", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        keys(&list[0]),
        sorted(["id", "name", "duration_ms", "bytes", "renditions", "used_by"])
    );
    assert!(list[0]["id"].is_string());
    assert_eq!(list[0]["renditions"][0], json!({"profile": "pcmu", "bytes": 100}));
    assert_eq!(
        (&list[0]["duration_ms"], &list[0]["used_by"]),
        (&json!(3000), &json!(["bob"]))
    );
    assert!(
        segue
            .ok(&["clip", "list"])
            .contains("ring  3.0 s   pcmu, h264-360-1  200    bob")
    );
}

#[test]
fn a_clip_in_use_is_not_removed() {
    let segue = Segue::new();
    segue.store().put_clip(clip("ring")).unwrap();
    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--clip",
        "ring",
    ]);
    let (said, line) = segue.fails(1, &["clip", "remove", "ring"]);
    assert_eq!(said["code"], "refused");
    assert!(line.contains("used by bob; fix: "), "{line}");
    segue.ok(&["subscriber", "set", "bob", "--clip", "none"]);
    assert_eq!(
        segue.json(&["clip", "remove", "ring"]),
        json!({"name": "ring", "removed": true})
    );
    segue.fails(3, &["clip", "remove", "ring"]);
}

#[test]
fn what_is_no_clip_is_refused_and_nothing_is_changed() {
    let segue = Segue::new();
    fs::write(segue.dir().join("empty.mp4"), b"").unwrap();
    fs::write(segue.dir().join("some.mp4"), b"x").unwrap();
    for (file, words) in [
        ("absent.mp4", "cannot be read"),
        (".", "it is no file"),
        ("empty.mp4", "it is empty"),
    ] {
        let (said, line) = segue.fails(1, &["clip", "add", "ring", file]);
        assert_eq!(said["code"], "unreadable");
        assert!(line.contains(words), "{line}");
    }
    for name in ["none", "beep", "a b", "", "../x"] {
        segue.fails(2, &["clip", "add", name, "some.mp4"]);
    }
    assert_eq!(segue.json(&["clip", "list"]), json!([]));
}
