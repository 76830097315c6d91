//! `segue message` and `segue retention` beside a running store.

use std::fs;

use crate::fixture::{Segue, deposit, keys, sorted};
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
            "kind": "video", "state": "unheard", "media_state": "ready", "bytes": 7, "interrupted": true, "urgent": false,
            "pinned": false, "warned_at": null, "deleted_at": null, "deleted_by": null,
            "played_ms": null, "has_poster": false, "media_type": "video/mp4",
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
    assert_eq!((&set["heard_max"], &set["evicted"]), (&json!(2), &json!([])));

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
    assert_eq!(
        shown,
        json!({
            "user": "bob", "heard_max": null, "heard_age_ms": null, "unheard_max": null, "unheard_age_ms": null,
            "max_bytes": 2_000_000_000_u64, "max_seconds": null, "scope": "mailbox", "trash_ms": 604_800_000,
            "own": ["heard_max"],
        })
    );
}

#[test]
fn what_is_done_to_a_message_is_put_down_as_the_api_has_it_with_its_owner() {
    let (segue, _server) = with_messages(2);
    for (command, id) in [
        ("heard", "01M0"),
        ("unheard", "01M0"),
        ("pin", "01M0"),
        ("unpin", "01M0"),
        ("delete", "01M0"),
        ("undelete", "01M0"),
    ] {
        segue.ok(&["message", command, id]);
    }
    segue.ok(&["message", "delete", "01M1", "--now"]);
    segue.fails(3, &["message", "heard", "01M1"]);
    segue.ok(&["message", "show", "01M0"]);
    for file in ["one", "two"] {
        let file = segue.dir().join(file);
        segue.ok(&["message", "export", "01M0", file.to_str().unwrap()]);
    }
    let audit = segue.json(&["audit", "bob"]);
    let did: Vec<(&str, &str, &str)> = audit
        .as_array()
        .unwrap()
        .iter()
        .filter(|deed| deed["what"].as_str().unwrap().starts_with("message."))
        .map(|deed| {
            let word = |member: &str| deed[member].as_str().unwrap();
            assert_eq!((word("by"), word("owner")), ("command", "bob"));
            (word("what"), word("object"), word("detail"))
        })
        .collect();
    assert_eq!(
        did,
        [
            ("message.open", "01M0", ""),
            ("message.delete", "01M1", "freed"),
            ("message.undelete", "01M0", ""),
            ("message.delete", "01M0", ""),
            ("message.change", "01M0", "unpinned"),
            ("message.change", "01M0", "pinned"),
            ("message.change", "01M0", "unheard"),
            ("message.change", "01M0", "heard"),
        ],
        "who takes a copy twice is put down once; who only looks, and what is not there, not at all"
    );
}

#[test]
fn a_list_longer_than_a_page_is_whole_and_in_order() {
    let (segue, server) = with_messages(0);
    for i in 0..201 {
        server.deposit(deposit(&format!("01M{i:03}"), "bob", b"media")).unwrap();
    }
    let list = segue.json(&["message", "list", "bob"]);
    let wanted: Vec<String> = (0..201).map(|i| format!("01M{i:03}")).collect();
    assert_eq!(ids(&list), wanted);
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

    // What is there stays, unless it is meant to go.
    fs::write(segue.dir().join("out.mp4"), b"mine").unwrap();
    let (said, _) = segue.fails(1, &["message", "export", "01M0", "out.mp4"]);
    assert_eq!(said["code"], "exists");
    assert_eq!(fs::read(segue.dir().join("out.mp4")).unwrap(), b"mine");
    segue.ok(&["message", "export", "01M0", "out.mp4", "--force"]);
    assert_eq!(fs::read(segue.dir().join("out.mp4")).unwrap(), b"media 0");
    // The name says what is in it.
    let (said, _) = segue.fails(1, &["message", "export", "01M0", "out.webm"]);
    assert_eq!(said["code"], "other_format");
    assert_eq!(said["fix"], "name it out.mp4, or leave the ending out");
    segue.fails(1, &["message", "export", "01M0", "out"]);
    fs::create_dir(segue.dir().join("folder")).unwrap();
    for (named, made) in [("mr.bob", "mr.bob.mp4"), ("folder", "folder/01M0.mp4")] {
        let wrote = segue.json(&["message", "export", "01M0", named]);
        assert_eq!(wrote["file"], made);
        fs::remove_file(segue.dir().join(made)).unwrap();
    }
    fs::remove_dir(segue.dir().join("folder")).unwrap();
    let piped = segue.run(&["message", "export", "01M0", "/dev/stdout"]);
    assert!(piped.out.starts_with("media 0"), "{}", piped.out);

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
fn a_deleted_message_is_in_the_trash_and_those_of_a_removed_subscriber_stay() {
    let (segue, server) = with_messages(3);
    let deleted = segue.json(&["message", "delete", "01M0"]);
    assert_eq!(
        keys(&deleted),
        sorted(["id", "deleted", "changed", "freed", "undelete_until"])
    );
    assert_eq!((&deleted["changed"], &deleted["freed"]), (&json!(true), &json!(false)));
    assert_eq!(segue.json(&["message", "delete", "01M0"])["changed"], false);
    assert_eq!(ids(&segue.json(&["message", "list", "bob"])), ["01M1", "01M2"]);
    let trash = segue.json(&["message", "list", "bob", "--trash"]);
    assert_eq!((ids(&trash), &trash[0]["deleted_by"]), (vec!["01M0"], &json!("user")));
    let text = segue.ok(&["message", "list", "bob", "--trash"]);
    assert!(text.contains("by user"), "{text}");
    let (said, _) = segue.fails(1, &["message", "heard", "01M0"]);
    assert!(said["fix"].as_str().unwrap().contains("undelete"), "{said}");

    let back = segue.json(&["message", "undelete", "01M0"]);
    assert_eq!(
        back,
        json!({"id": "01M0", "deleted": false, "changed": true, "evicted": []})
    );
    assert_eq!(segue.json(&["message", "delete", "01M0", "--now"])["freed"], true);
    segue.fails(3, &["message", "undelete", "01M0"]);
    assert_eq!(segue.json(&["subscriber", "remove", "bob"])["messages_kept"], 2);
    assert_eq!(ids(&segue.json(&["message", "list", "bob"])), ["01M1", "01M2"]);
    assert_eq!(server.totals().unwrap().trash, 0);
}

#[test]
fn each_rule_is_set_shown_and_given_back_to_the_default() {
    let (segue, _server) = with_messages(0);
    let set = segue.json(&[
        "retention",
        "set",
        "bob",
        "--heard-max",
        "20",
        "--heard-age",
        "90d",
        "--unheard-max",
        "50",
        "--unheard-age",
        "30d",
        "--max-bytes",
        "500MB",
        "--max-seconds",
        "7200",
        "--scope",
        "conversation",
        "--trash",
        "0",
    ]);
    let expected = [
        ("heard_max", json!(20)),
        ("heard_age_ms", json!(90 * 86_400_000_u64)),
        ("unheard_max", json!(50)),
        ("unheard_age_ms", json!(30 * 86_400_000_u64)),
        ("max_bytes", json!(500_000_000)),
        ("max_seconds", json!(7200)),
        ("scope", json!("conversation")),
        ("trash_ms", json!(0)),
    ];
    for (name, value) in &expected {
        assert_eq!(&set[*name], value, "{name}");
    }
    assert_eq!(set["own"].as_array().unwrap().len(), 8);
    let text = segue.ok(&["retention", "show", "bob"]);
    for line in ["--heard-age    90d", "--unheard-age  30d", "--trash        0ms"] {
        assert!(text.contains(line), "{text}");
    }
    let only = segue.json(&[
        "retention",
        "set",
        "bob",
        "--max-bytes",
        "default",
        "--scope",
        "default",
    ]);
    assert_eq!(
        (&only["max_bytes"], &only["scope"]),
        (&json!(2_000_000_000_u64), &json!("mailbox"))
    );
    assert_eq!(only["heard_max"], 20, "what was not given stays");
    for wrong in [
        ["--scope", "all"],
        ["--trash", "7"],
        ["--max-bytes", "1TB"],
        ["--heard-age", "soon"],
    ] {
        segue.fails(2, &["retention", "set", "bob", wrong[0], wrong[1]]);
    }
}

#[test]
fn the_configuration_says_what_mailboxes_do_that_say_nothing() {
    let (segue, _server) = with_messages(1);
    fs::write(
        segue.dir().join("segue.toml"),
        "[retention]\nheard_max = 0\nmax_bytes = \"none\"\ntrash = 0\nunheard_age = \"30d\"\n",
    )
    .unwrap();
    let shown = segue.json(&["retention", "show", "bob"]);
    assert_eq!((&shown["heard_max"], &shown["max_bytes"]), (&json!(0), &Value::Null));
    assert_eq!((&shown["trash_ms"], &shown["own"]), (&json!(0), &json!([])));
    assert_eq!(segue.json(&["message", "heard", "01M0"])["evicted"], json!(["01M0"]));
    fs::write(segue.dir().join("segue.toml"), "[retention]\nunheard_age = \"soon\"\n").unwrap();
    let (said, _) = segue.fails(1, &["retention", "show", "bob"]);
    assert!(
        said["message"].as_str().unwrap().contains("retention.unheard_age"),
        "{said}"
    );
}

#[test]
fn preview_says_what_run_then_does_and_audit_what_it_has_done() {
    let (segue, _server) = with_messages(3);
    // All of them came on 2024-02-29.
    segue.json(&["message", "pin", "01M2"]);
    assert_eq!(segue.json(&["message", "pin", "01M2"])["changed"], false);
    let set = segue.json(&["retention", "set", "bob", "--unheard-age", "30d"]);
    assert_eq!(set["warned"], json!(["01M0", "01M1"]));
    segue.json(&["message", "heard", "01M1"]);
    let listed = segue.json(&["message", "list", "bob"]);
    assert!(
        listed[0]["warned_at"].is_string() && listed[1]["warned_at"].is_null(),
        "{listed}"
    );

    let preview = segue.json(&["retention", "preview", "bob"]);
    let fates: Vec<_> = preview
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["fate"].as_str().unwrap())
        .collect();
    assert_eq!(fates, ["later", "kept", "pinned"]);
    assert_eq!(preview[0]["rule"], "unheard_age");
    let when = preview[0]["at"].as_str().unwrap().to_owned();
    assert_eq!(
        segue.json(&["retention", "run", "bob"])["evicted"],
        json!([]),
        "not yet"
    );
    let then = segue.json(&["retention", "preview", "bob", "--at", &when]);
    assert_eq!(
        (&then[0]["fate"], &then[0]["rule"]),
        (&json!("deleted"), &json!("unheard_age"))
    );

    let ran = segue.json(&["retention", "run", "--at", &when]);
    assert_eq!(keys(&ran), sorted(["at", "evicted", "freed", "warned"]));
    assert_eq!((&ran["at"], &ran["evicted"]), (&json!(when), &json!(["01M0"])));
    let audit = segue.json(&["retention", "audit", "bob"]);
    assert_eq!(
        (&audit[0]["rule"], &audit[0]["message"], &audit[0]["allowed"]),
        (&json!("unheard_age"), &json!("01M0"), &json!(30 * 86_400_000_u64))
    );
    assert!(audit[0]["found"].as_u64() > audit[0]["allowed"].as_u64());
    assert!(segue.ok(&["retention", "audit", "bob"]).contains("unheard_age"));
    assert_eq!(segue.json(&["message", "unpin", "01M2"])["changed"], true);
    segue.fails(2, &["retention", "run", "--at", "tomorrow"]);
    for command in ["preview", "run", "audit"] {
        segue.fails(3, &["retention", command, "eve"]);
    }
}

#[test]
fn preview_says_what_other_limits_would_do_and_sets_none_of_them() {
    let (segue, _server) = with_messages(3);
    for id in ["01M0", "01M1", "01M2"] {
        segue.json(&["message", "heard", id]);
    }
    let before = segue.json(&["retention", "show", "bob"]);
    let would = |limits: &[&str]| -> Vec<(String, String)> {
        let preview = segue.json(&[&["retention", "preview", "bob"], limits].concat());
        let rows = preview
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["fate"] == "deleted");
        let of = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        rows.map(|row| (of(row, "id"), of(row, "rule"))).collect()
    };
    let gone = |ids: &[&str], rule: &str| -> Vec<(String, String)> {
        ids.iter().map(|id| ((*id).to_owned(), rule.to_owned())).collect()
    };
    assert_eq!(would(&[]), []);
    assert_eq!(would(&["--heard-max", "1"]), gone(&["01M0", "01M1"], "heard_max"));
    assert_eq!(
        would(&["--max-seconds", "0"]),
        gone(&["01M0", "01M1", "01M2"], "max_seconds")
    );
    assert_eq!(
        would(&["--max-bytes", "0"]),
        gone(&["01M0", "01M1", "01M2"], "max_bytes")
    );
    assert_eq!(segue.json(&["retention", "show", "bob"]), before, "nothing was set");
    assert_eq!(segue.json(&["message", "list", "bob"]).as_array().unwrap().len(), 3);
    // What it says is what happens.
    let set = segue.json(&["retention", "set", "bob", "--heard-max", "1"]);
    assert_eq!(set["evicted"], json!(["01M0", "01M1"]));
    segue.fails(2, &["retention", "preview", "bob", "--max-bytes", "much"]);
}

#[test]
fn open_plays_with_what_is_here_and_says_what_to_install_where_nothing_is() {
    use std::os::unix::fs::PermissionsExt;
    let (segue, server) = with_messages(1);
    let programs = segue.dir().join("programs");
    fs::create_dir(&programs).unwrap();
    let open = |args: &[&str]| segue.command(args).env("PATH", &programs).output().unwrap();
    let none = open(&["message", "open", "01M0", "--json"]);
    let said: Value = serde_json::from_slice(&none.stderr).unwrap();
    assert_eq!((none.status.code(), &said["code"]), (Some(1), &json!("no_player")));
    assert!(said["fix"].as_str().unwrap().contains("message export 01M0"), "{said}");

    // A player that notes what it was given.
    let player = programs.join("ffplay");
    let noted = segue.dir().join("noted");
    fs::write(
        &player,
        format!(
            "#!/bin/sh\nfor last; do :; done\n/bin/cat \"$last\" > {}\n",
            noted.display()
        ),
    )
    .unwrap();
    fs::set_permissions(&player, fs::Permissions::from_mode(0o755)).unwrap();
    let played = open(&["message", "open", "01M0", "--json"]);
    let said: Value = serde_json::from_slice(&played.stdout).unwrap();
    assert_eq!(said, json!({"id": "01M0", "player": "ffplay"}));
    assert_eq!(fs::read(&noted).unwrap(), b"media 0");
    assert_eq!(
        server.message("01M0").unwrap().heard_at_ms,
        None,
        "it does not count as heard"
    );

    fs::write(&player, "#!/bin/sh\nexit 3\n").unwrap();
    let failed = open(&["message", "open", "01M0", "--json"]);
    let said: Value = serde_json::from_slice(&failed.stderr).unwrap();
    assert_eq!(said["code"], "player_failed");
    segue.fails(3, &["message", "open", "01XX"]);
}
