//! `segue notice` and the notices' options of `segue subscriber`, beside a running store.

use crate::fixture::{Segue, deposit, keys, sorted};
use segue_policy::Channel;
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000_000;

fn with_two_dead_letters() -> (Segue, segue_store::Store) {
    let segue = Segue::new();
    let server = segue.store();
    segue.json(&[
        "subscriber",
        "add",
        "bob",
        "--notify",
        "webhook,mail",
        "--mail",
        "bob@example.com",
    ]);
    server.deposit_at(deposit("01A", "bob", b"media"), NOW).unwrap();
    for channel in [Channel::Mail, Channel::Webhook] {
        let due = server.claim_notices(channel, &[], 1, NOW, 60_000).unwrap();
        server
            .notice_dead(due[0].attempt, "550 5.1.1 no such user", NOW)
            .unwrap();
    }
    (segue, server)
}

fn rows(segue: &Segue, args: &[&str]) -> Vec<Value> {
    segue.json(args).as_array().unwrap().clone()
}

#[test]
fn dead_letters_are_listed_shown_retried_and_dropped() {
    let (segue, server) = with_two_dead_letters();
    let dead = rows(&segue, &["notice", "list", "--dead", "bob"]);
    assert_eq!(dead.len(), 2);
    assert_eq!(
        keys(&dead[0]),
        sorted([
            "id",
            "key",
            "event",
            "user",
            "channel",
            "state",
            "is_tried",
            "created_at",
            "attempts",
            "next_at",
            "settled_at",
            "said",
            "message_id",
            "call_id",
        ])
    );
    assert_eq!(
        (&dead[0]["said"], &dead[0]["message_id"], &dead[0]["attempts"]),
        (&json!("550 5.1.1 no such user"), &json!("01A"), &json!(1))
    );
    let id = dead[0]["id"].as_str().unwrap();
    let shown = segue.ok(&["notice", "show", id]);
    assert!(shown.contains("message.committed to bob by mail") && shown.contains("no such user"));
    assert!(rows(&segue, &["notice", "list", "--waiting"]).is_empty());
    assert_eq!(segue.json(&["notice", "retry", id])["state"], "waiting");
    assert_eq!(segue.json(&["notice", "retry", "--all"]), json!({"retried": 1}));
    assert_eq!(rows(&segue, &["notice", "list", "--waiting"]).len(), 2);
    let due = server
        .claim_notices(Channel::Mail, &[], 9, i64::MAX / 2, 60_000)
        .unwrap();
    assert_eq!(due.len(), 1, "the server has it again");
    segue.ok(&["notice", "drop", id]);
    let (said, _) = segue.fails(3, &["notice", "show", id]);
    assert_eq!(said["fix"], "see 'segue notice list'");
    segue.fails(2, &["notice", "retry"]);
    segue.fails(3, &["notice", "list", "nobody"]);
}

#[test]
fn who_is_told_of_what_and_how_is_the_subscribers_choice() {
    let segue = Segue::new();
    segue.store();
    let added = segue.json(&[
        "subscriber",
        "add",
        "bob",
        "--notify",
        "message,mail",
        "--mail",
        "bob@example.com",
        "--mail-attach",
        "yes",
        "--notify-on",
        "missed,message",
        "--notify-language",
        "de",
    ]);
    assert_eq!(
        added["notify"],
        json!({"by": ["mail", "message"], "on": ["message", "missed"], "mail": "bob@example.com", "attach": "yes",
               "webhook": null, "message_to": null, "language": "de"})
    );
    let set = segue.json(&[
        "subscriber",
        "set",
        "bob",
        "--notify",
        "webhook",
        "--webhook",
        "https://example.com/hook",
        "--message-to",
        "sip:bob@192.0.2.9",
        "--notify-on",
        "none",
        "--notify-language",
        "none",
        "--mail",
        "none",
    ]);
    assert_eq!(
        set["notify"],
        json!({"by": ["webhook"], "on": null, "mail": null, "attach": "yes", "webhook": "https://example.com/hook",
               "message_to": "sip:bob@192.0.2.9", "language": null})
    );
    let shown = segue.ok(&["subscriber", "show", "bob"]);
    assert!(
        shown.contains("told: by webhook to https://example.com/hook; of messages and warnings"),
        "{shown}"
    );
    let (said, _) = segue.fails(2, &["subscriber", "set", "bob", "--notify", "mail"]);
    assert!(
        said["fix"].as_str().unwrap().contains("--mail bob@example.com"),
        "{said}"
    );
    for (option, value, needed) in [
        ("--notify", "pigeon", "mail, webhook or message"),
        ("--notify-on", "birthdays", "message, missed or warning"),
        ("--mail", "bob@example.com,eve@example.com", "a mail address"),
        ("--webhook", "ftp://example.com", "http:// or https://"),
        ("--message-to", "tel:+4930123", "SIP URI"),
        ("--mail-attach", "perhaps", "yes, no or poster"),
    ] {
        let (said, _) = segue.fails(2, &["subscriber", "set", "bob", option, value]);
        assert!(said["fix"].as_str().unwrap().contains(needed), "{said}");
    }
    assert_eq!(
        segue.json(&["subscriber", "set", "bob", "--notify", "none"])["notify"]["by"],
        json!([])
    );
}
