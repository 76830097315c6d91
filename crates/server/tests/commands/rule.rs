//! Contacts and rules on the command line, and what `segue rule explain` says of them.

use std::fs;

use crate::fixture::{Segue, clip, keys, sorted};
use serde_json::{Value, json};

/// Bob, with a clip and a greeting, where numbers are Berlin's.
fn segue() -> Segue {
    let segue = Segue::new();
    let profiles = segue.dir().join("sip-profiles");
    fs::create_dir(&profiles).unwrap();
    let text = "name = \"berlin\"\nsources = [\"127.0.0.0/8\"]\ncountry_code = \"49\"\narea_code = \"30\"\nhold_ms = 6000\nhold_max_ms = 20000\n";
    fs::write(profiles.join("berlin.toml"), text).unwrap();
    {
        let store = segue.store();
        for name in ["ring", "jazz", "sorry", "busy"] {
            store.put_clip(clip(name)).unwrap();
        }
    }
    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@192.0.2.7",
        "--clip",
        "ring",
        "--greeting",
        "sorry",
        "--time-zone",
        "Europe/Berlin",
    ]);
    segue
}

fn add(segue: &Segue, args: &[&str]) -> Value {
    segue.json(&[&["rule", "add", "bob"], args].concat())
}

fn explain(segue: &Segue, args: &[&str]) -> Value {
    segue.json(&[&["rule", "explain", "bob"], args].concat())
}

#[test]
fn contacts_are_added_changed_listed_and_removed() {
    let segue = segue();
    let mother = segue.json(&[
        "contact",
        "add",
        "bob",
        "030 123-456",
        "--name",
        "Mother",
        "--group",
        "family",
    ]);
    assert_eq!(
        mother,
        json!({"address": "+4930123456", "name": "Mother", "groups": ["family"]})
    );
    for address in ["+49307654*", "sip:Alice@Example.com", "sip:*@office.example"] {
        segue.ok(&[
            "contact", "add", "bob", address, "--group", "work", "--group", "vip", "--group", "work",
        ]);
    }
    let list = segue.json(&["contact", "list", "bob"]);
    let addresses: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["address"].as_str().unwrap())
        .collect();
    assert_eq!(
        addresses,
        [
            "+4930123456",
            "+49307654*",
            "sip:*@office.example",
            "sip:Alice@example.com"
        ]
    );
    assert_eq!(list[1]["groups"], json!(["vip", "work"]));
    let changed = segue.json(&["contact", "add", "bob", "123456", "--group", "vip"]);
    assert_eq!(
        changed,
        json!({"address": "+4930123456", "name": null, "groups": ["vip"]})
    );
    assert!(segue.ok(&["contact", "list", "bob"]).contains("+4930123456"));
    assert_eq!(
        segue.json(&["contact", "remove", "bob", "+49 30 123456"])["removed"],
        true
    );
    for (code, args, says) in [
        (
            3,
            vec!["contact", "remove", "bob", "+4930123456"],
            "no contact named '+4930123456'",
        ),
        (3, vec!["contact", "list", "nobody"], "no subscriber named 'nobody'"),
        (
            3,
            vec!["contact", "add", "nobody", "+4930123456"],
            "no subscriber named 'nobody'",
        ),
        (2, vec!["contact", "add", "bob", "mother"], "\"mother\" is no address"),
        (2, vec!["contact", "add", "bob", "+49*30"], "is no address"),
        (
            2,
            vec!["contact", "add", "bob", "+491", "--group", "unknown"],
            "'unknown'",
        ),
        (
            2,
            vec!["contact", "add", "bob", "+491", "--name", "a\nb"],
            "on one line",
        ),
    ] {
        assert!(segue.fails(code, &args).1.contains(says), "{args:?}");
    }
}

#[test]
fn rules_are_added_moved_listed_and_removed() {
    let segue = segue();
    let first = add(
        &segue,
        &["--from", "work", "--from", "030 123", "--clip", "jazz", "--hold", "3s"],
    );
    assert_eq!(
        first,
        json!({"place": 1, "from": ["work", "+4930123"], "why": [], "at": [], "on": [], "then": null, "forward": null,
               "clip": "jazz", "hold_ms": 3000, "greeting": null, "message": null})
    );
    let second = add(
        &segue,
        &[
            "--why",
            "busy",
            "--why",
            "no-answer",
            "--at",
            "mon-fri 09:00-17:00",
            "--on",
            "2026-12-24..2026-12-26",
            "--greeting",
            "busy",
            "--message",
            "no",
        ],
    );
    assert_eq!(
        keys(&second),
        sorted([
            "place", "from", "why", "at", "on", "then", "forward", "clip", "hold_ms", "greeting", "message"
        ])
    );
    assert_eq!(
        (&second["why"], &second["at"]),
        (&json!(["busy", "no-answer"]), &json!(["mon-fri 09:00-17:00"]))
    );
    assert_eq!((&second["message"], &second["place"]), (&json!(false), &json!(2)));
    let third = add(
        &segue,
        &[
            "--place",
            "1",
            "--why",
            "declined",
            "--forward",
            "sip:deputy@192.0.2.9",
            "--greeting",
            "none",
        ],
    );
    assert_eq!(
        (&third["place"], &third["then"], &third["forward"], &third["greeting"]),
        (
            &json!(1),
            &json!("forward"),
            &json!("sip:deputy@192.0.2.9"),
            &json!("none")
        )
    );
    let outcomes = || {
        let list = segue.json(&["rule", "list", "bob"]);
        let rows = list.as_array().unwrap().clone();
        rows.iter()
            .map(|row| json!([row["clip"], row["greeting"]]).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(outcomes(), ["[null,\"none\"]", "[\"jazz\",null]", "[null,\"busy\"]"]);
    assert_eq!(segue.json(&["rule", "move", "bob", "3", "1"])["place"], 1);
    assert_eq!(outcomes(), ["[null,\"busy\"]", "[null,\"none\"]", "[\"jazz\",null]"]);
    segue.ok(&["rule", "move", "bob", "1", "2"]);
    assert_eq!(outcomes(), ["[null,\"none\"]", "[null,\"busy\"]", "[\"jazz\",null]"]);
    let table = segue.ok(&["rule", "list", "bob"]);
    assert!(
        table.contains("busy, no-answer  mon-fri 09:00-17:00 on 2026-12-24..2026-12-26  greeting busy, no message"),
        "{table}"
    );
    assert!(
        segue
            .fails(1, &["clip", "remove", "busy"])
            .1
            .contains("is used by rule 2 of bob")
    );
    assert_eq!(segue.json(&["rule", "remove", "bob", "2"])["removed"], true);
    assert_eq!(outcomes(), ["[null,\"none\"]", "[\"jazz\",null]"]);
    segue.ok(&["clip", "remove", "busy"]);
}

#[test]
fn what_is_no_rule_is_refused_with_what_would_be_one() {
    let segue = segue();
    for (code, args, says) in [
        (2, vec!["--from", "work"], "the rule decides nothing"),
        (2, vec!["--from", "Work", "--clip", "jazz"], "\"Work\" is nobody"),
        (2, vec!["--from", "sip:", "--clip", "jazz"], "is no address"),
        (2, vec!["--why", "busy", "--clip", "jazz"], "the rule is for afterwards"),
        (2, vec!["--then", "hang-up", "--greeting", "none"], "hung up on"),
        (2, vec!["--then", "greeting", "--hold", "1s"], "is not held"),
        (
            2,
            vec!["--then", "ring", "--forward", "sip:a@192.0.2.1"],
            "cannot be used with",
        ),
        (2, vec!["--forward", "as-called"], "no place to forward to"),
        (2, vec!["--at", "9-17", "--clip", "none"], "days and a time of the day"),
        (2, vec!["--on", "24.12.2026", "--clip", "none"], "2026-12-24"),
        (2, vec!["--why", "tired", "--clip", "none"], "tired"),
        (3, vec!["--clip", "none-such"], "no clip named 'none-such'"),
        (1, vec!["--clip", "none", "--place", "3"], "there is no place 3"),
        (1, vec!["--clip", "none", "--place", "0"], "there is no place 0"),
    ] {
        let (_, line) = segue.fails(code, &[&["rule", "add", "bob"], args.as_slice()].concat());
        assert!(line.contains(says), "{args:?}: {line}");
    }
    assert_eq!(segue.json(&["rule", "list", "bob"]), json!([]));
    assert!(
        segue
            .fails(1, &["rule", "remove", "bob", "1"])
            .1
            .contains("bob has no rules")
    );
    assert!(
        segue
            .fails(3, &["rule", "list", "eve"])
            .1
            .contains("no subscriber named 'eve'")
    );
    assert!(
        segue
            .fails(2, &["rule", "explain", "bob", "--from", "x", "--at", "noon"])
            .1
            .contains("by the clock of Europe/Berlin")
    );
    assert!(
        segue
            .fails(2, &["subscriber", "set", "bob", "--time-zone", "Berlin"])
            .1
            .contains("Europe/Berlin")
    );
    assert!(
        segue
            .fails(
                2,
                &[
                    "subscriber",
                    "set",
                    "bob",
                    "--hours",
                    "none",
                    "--hours",
                    "daily 09:00-17:00"
                ]
            )
            .1
            .contains("alone")
    );
}

#[test]
fn explain_says_which_rule_acts_and_why_those_before_it_do_not() {
    let segue = segue();
    segue.ok(&["contact", "add", "bob", "+4930765*", "--group", "work"]);
    add(&segue, &["--from", "anonymous", "--then", "hang-up"]);
    add(
        &segue,
        &[
            "--from",
            "work",
            "--at",
            "mon-fri 09:00-17:00",
            "--clip",
            "jazz",
            "--hold",
            "60s",
        ],
    );
    add(
        &segue,
        &["--from", "work", "--why", "busy", "--forward", "sip:deputy@192.0.2.9"],
    );
    add(&segue, &["--why", "busy", "--greeting", "busy", "--message", "no"]);
    // 2026-11-27 is a Friday.
    let noon = ["--from", "sip:0307651@pbx", "--at", "2026-11-27 12:00"];
    let said = explain(&segue, &noon);
    assert_eq!(
        (&said["number"], &said["groups"], &said["local"], &said["time_zone"]),
        (
            &json!("+49307651"),
            &json!(["work"]),
            &json!("fri 2026-11-27 12:00"),
            &json!("Europe/Berlin")
        )
    );
    let before = &said["decisions"][0];
    assert_eq!((&before["why"], &before["rule"]), (&json!(null), &json!(2)));
    assert_eq!(before["passed"], json!([{"place": 1, "because_of": "from"}]));
    assert_eq!(
        (
            &before["outcome"]["did"],
            &before["outcome"]["clip"],
            &before["outcome"]["hold_ms"]
        ),
        (&json!("ring"), &json!("jazz"), &json!(20_000)),
        "the profile bounds the hold"
    );
    let of = |said: &Value, why: &str| {
        said["decisions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|d| d["why"] == why)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&of(&said, "busy")["rule"], &of(&said, "busy")["outcome"]["did"]),
        (&json!(3), &json!("forward"))
    );
    let no_answer = of(&said, "no-answer");
    assert_eq!(
        (&no_answer["rule"], &no_answer["outcome"]["greeting"]),
        (&json!(null), &json!("sorry"))
    );
    assert_eq!(no_answer["passed"].as_array().unwrap().len(), 4);
    // The same as a call's moment says it, in UTC; and after hours.
    let utc = explain(&segue, &["--from", "0307651", "--at", "2026-11-27T16:00:00Z"]);
    assert_eq!(
        (&utc["local"], &utc["decisions"][0]["rule"]),
        (&json!("fri 2026-11-27 17:00"), &json!(null))
    );
    assert_eq!(
        utc["decisions"][0]["passed"][1],
        json!({"place": 2, "because_of": "at"})
    );
    // Other callers, and one reason alone.
    let other = explain(&segue, &["--from", "sip:eve@example.com", "--why", "busy"]);
    assert_eq!(other["decisions"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&of(&other, "busy")["rule"], &of(&other, "busy")["outcome"]["message"]),
        (&json!(4), &json!(false))
    );
    let anonymous = explain(&segue, &["--from", "anonymous"]);
    assert_eq!(anonymous["decisions"].as_array().unwrap().len(), 1, "nobody rings");
    assert_eq!(anonymous["decisions"][0]["outcome"]["did"], "hang-up");
    let text = segue.ok(&[&["rule", "explain", "bob"], &noon[..], &["--why", "busy"]].concat());
    for line in [
        "sip:0307651@pbx (+49307651) calls bob: a contact in work; fri 2026-11-27 12:00 Europe/Berlin",
        "before anybody rings:",
        "  rule 1 does not act: it is for other callers: anonymous",
        "  rule 2 acts: clip jazz, hold 60 s",
        "  so: held on jazz for 20 s, then sip:bob@192.0.2.7 rings",
        "nobody takes the call (busy):",
        "  rule 3 acts: forward to sip:deputy@192.0.2.9",
        "  so: sip:deputy@192.0.2.9 rings; if that fails, the greeting sorry, a message",
    ] {
        assert!(text.lines().any(|said| said == line), "{line}\n{text}");
    }
}

#[test]
fn explain_says_in_how_many_calls_the_subscriber_is_busy() {
    let segue = segue();
    segue.ok(&["contact", "add", "bob", "+4930765", "--group", "family"]);
    add(&segue, &["--from", "family", "--then", "ring"]);
    let busy_at = |from: &str| explain(&segue, &["--from", from])["decisions"][0]["outcome"]["busy_at"].clone();
    assert_eq!(busy_at("+441"), Value::Null, "call waiting");
    segue.json(&["subscriber", "set", "bob", "--busy-at", "1"]);
    assert_eq!(busy_at("+441"), json!(1));
    assert_eq!(busy_at("+4930765"), Value::Null, "the rule puts its callers through");
    let text = segue.ok(&["rule", "explain", "bob", "--from", "+441"]);
    assert!(
        text.contains("if the subscriber is in a call already: busy, at once"),
        "{text}"
    );
}

#[test]
fn dnd_and_hours_send_callers_to_the_greeting_unless_a_rule_says_ring() {
    let segue = segue();
    segue.ok(&["contact", "add", "bob", "+4930765", "--group", "family"]);
    add(&segue, &["--from", "family", "--why", "dnd", "--then", "ring"]);
    let at = |from: &str, at: &str| {
        let said = explain(&segue, &["--from", from, "--at", at]);
        let first = &said["decisions"][0];
        format!(
            "{} {} {}",
            first["rule"],
            first["outcome"]["did"].as_str().unwrap(),
            first["outcome"]["not_available"]
        )
    };
    assert_eq!(at("+441", "2026-11-27 12:00"), "null ring []");
    let set = segue.json(&[
        "subscriber",
        "set",
        "bob",
        "--dnd",
        "on",
        "--hours",
        "mon-fri 09:00-17:00",
        "--hours",
        "sat 10:00-12:00",
    ]);
    assert_eq!(
        (&set["dnd"], &set["hours"], &set["time_zone"]),
        (
            &json!(true),
            &json!(["mon-fri 09:00-17:00", "sat 10:00-12:00"]),
            &json!("Europe/Berlin")
        )
    );
    assert_eq!(at("+441", "2026-11-27 12:00"), "null greeting [\"dnd\"]");
    assert_eq!(at("+4930765", "2026-11-27 12:00"), "1 ring [\"dnd\"]");
    let off = segue.json(&["subscriber", "set", "bob", "--dnd", "off"]);
    assert_eq!(
        (&off["dnd"], &off["hours"]),
        (&json!(false), &set["hours"]),
        "what is not named stays"
    );
    assert_eq!(at("+441", "2026-11-27 18:00"), "null greeting [\"out-of-hours\"]");
    assert_eq!(at("+4930765", "2026-11-27 18:00"), "null greeting [\"out-of-hours\"]");
    let none = segue.json(&["subscriber", "set", "bob", "--hours", "none", "--time-zone", "none"]);
    assert_eq!((&none["hours"], &none["time_zone"]), (&json!([]), &json!("UTC")));
    assert_eq!(at("+441", "2026-11-27 18:00"), "null ring []");
    let offline = explain(&segue, &["--from", "+441", "--why", "offline"]);
    assert_eq!(
        (
            &offline["decisions"][1]["why"],
            &offline["decisions"][0]["outcome"]["did"]
        ),
        (&json!("offline"), &json!("ring"))
    );
}

/// The words of a line of the page, as a shell takes them.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn the_example_of_the_page_is_as_it_says() {
    let segue = segue();
    {
        let store = segue.store();
        for name in ["garden", "showreel", "holidays"] {
            store.put_clip(clip(name)).unwrap();
        }
    }
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rules.md")).unwrap();
    let run = |line: &str| {
        let words = words(line);
        segue.ok(&words.iter().skip(1).map(String::as_str).collect::<Vec<_>>())
    };
    let commands: Vec<&str> = page.lines().filter(|line| line.starts_with("segue ")).collect();
    assert_eq!(commands.len(), 10);
    for line in commands {
        run(line);
    }
    let (_, shown) = page.split_once("$ ").unwrap();
    let (line, answer) = shown.split_once('\n').unwrap();
    assert_eq!(run(line).trim_end(), answer.split_once("\n```").unwrap().0);
    // The table.
    for (from, at, why, before, missed) in [
        ("anonymous", "2026-11-30 10:00", "busy", json!([1, "hang-up"]), None),
        (
            "+493076543210",
            "2026-11-30 23:00",
            "no-answer",
            json!([2, "ring"]),
            Some(json!([null, "sorry"])),
        ),
        (
            "+4940123456",
            "2026-11-30 10:00",
            "busy",
            json!([3, "ring"]),
            Some(json!([4, "sorry"])),
        ),
        (
            "sip:x@partner.example",
            "2026-11-30 10:00",
            "declined",
            json!([3, "ring"]),
            Some(json!([null, "sorry"])),
        ),
        (
            "+441",
            "2026-11-30 10:00",
            "busy",
            json!([null, "ring"]),
            Some(json!([6, "busy"])),
        ),
        (
            "+441",
            "2026-12-25 10:00",
            "busy",
            json!([null, "ring"]),
            Some(json!([6, "busy"])),
        ),
        ("+441", "2026-12-26 10:00", "busy", json!([5, "greeting"]), None),
        ("+441", "2026-11-30 23:00", "busy", json!([null, "greeting"]), None),
    ] {
        let said = explain(&segue, &["--from", from, "--at", at, "--why", why]);
        let first = &said["decisions"][0];
        assert_eq!(json!([first["rule"], first["outcome"]["did"]]), before, "{from} {at}");
        let second = &said["decisions"][1];
        let second = (!second.is_null()).then(|| json!([second["rule"], second["outcome"]["greeting"]]));
        assert_eq!(second, missed, "{from} {at}");
    }
}
