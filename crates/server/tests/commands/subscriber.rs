//! `segue subscriber` beside a running store.

use crate::fixture::{Segue, clip, keys, sorted};
use segue_policy::AnswerAt;
use serde_json::{Value, json};

#[test]
fn a_subscriber_is_added_listed_changed_and_removed_beside_a_server() {
    let segue = Segue::new();
    let server = segue.store();
    server.put_clip(clip("ring")).unwrap();

    let added = segue.json(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1:5070",
        "--clip",
        "ring",
        "--hold",
        "6s",
        "--no-answer",
        "20s",
        "--greeting",
        "ring",
    ]);
    let expected = json!({"user": "bob", "targets": ["sip:bob@127.0.0.1:5070"], "numbers": [], "aliases": [],
                          "target_by": "host", "ring": "together",
                          "ring_ms": null, "clip": "ring", "hold_on": "clip", "hold_ms": 6000,
                          "no_answer_ms": 20000, "greeting": "ring", "answer_at": null, "menu": null, "language": null, "dnd": false,
                          "hours": [], "time_zone": "UTC",
                          "notify": {"by": [], "on": null, "mail": null, "attach": "poster", "webhook": null,
                                     "message_to": null, "language": null},
                          "caps": {}});
    assert_eq!(added, expected);
    assert_eq!(
        server.lookup("bob").unwrap().unwrap().subscriber.hold_ms,
        Some(6_000),
        "the server sees it at once"
    );

    let changed = segue.json(&[
        "subscriber",
        "set",
        "bob",
        "--hold",
        "1500ms",
        "--greeting",
        "none",
        "--clip",
        "none",
        "--no-answer",
        "none",
    ]);
    assert_eq!(
        (&changed["hold_ms"], &changed["greeting"], &changed["clip"]),
        (&json!(1500), &Value::Null, &Value::Null)
    );
    assert_eq!(changed["no_answer_ms"], Value::Null);
    assert_eq!(
        changed["targets"],
        json!(["sip:bob@127.0.0.1:5070"]),
        "what is not named stays"
    );

    let list = segue.json(&["subscriber", "list"]);
    assert_eq!(list, json!([changed]));
    assert_eq!(
        keys(&list[0]),
        sorted([
            "user",
            "targets",
            "numbers",
            "aliases",
            "target_by",
            "ring",
            "ring_ms",
            "clip",
            "hold_ms",
            "no_answer_ms",
            "greeting",
            "answer_at",
            "menu",
            "language",
            "hold_on",
            "dnd",
            "hours",
            "time_zone",
            "notify",
            "caps"
        ])
    );
    assert!(
        segue
            .ok(&["subscriber", "list"])
            .contains("bob   sip:bob@127.0.0.1:5070  -     1500 ms")
    );

    assert_eq!(segue.json(&["subscriber", "remove", "bob"])["removed"], true);
    assert_eq!(segue.json(&["subscriber", "list"]), json!([]));
    assert!(server.lookup("bob").unwrap().is_none());
}

#[test]
fn a_subscriber_says_when_callers_of_the_mailbox_are_answered() {
    let segue = Segue::new();
    let server = segue.store();
    segue.json(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--answer-at",
        "greeting",
    ]);
    let found = |value: &str| {
        let set = segue.json(&["subscriber", "set", "bob", "--answer-at", value]);
        (
            set["answer_at"].clone(),
            server.lookup("bob").unwrap().unwrap().subscriber.answer_at,
        )
    };
    let after = (json!("after_greeting"), Some(AnswerAt::AfterGreeting));
    assert_eq!(found("after_greeting"), after);
    assert_eq!(found("none"), (Value::Null, None));
    assert_eq!(found("after-greeting"), after);
    assert_eq!(found("greeting"), (json!("greeting"), Some(AnswerAt::Greeting)));
    let (_, said) = segue.fails(2, &["subscriber", "set", "bob", "--answer-at", "never"]);
    assert!(said.contains("'greeting' or 'after_greeting'"), "{said}");
}

#[test]
fn a_subscriber_has_several_targets_together_or_in_order() {
    let segue = Segue::new();
    let (desk, mobile) = ("sip:bob@127.0.0.1:5070", "sip:bob@127.0.0.1:5071");
    let added = segue.json(&["subscriber", "add", "bob", "--target", desk, "--target", mobile]);
    assert_eq!(
        (&added["targets"], &added["ring"]),
        (&json!([desk, mobile]), &json!("together"))
    );
    let changed = segue.json(&["subscriber", "set", "bob", "--ring", "in-order", "--ring-time", "12s"]);
    assert_eq!(
        (&changed["targets"], &changed["ring"], &changed["ring_ms"]),
        (&json!([desk, mobile]), &json!("in-order"), &json!(12_000))
    );
    assert!(
        segue
            .ok(&["subscriber", "list"])
            .contains(&format!("{desk}, then {mobile} (12 s each)"))
    );
    let plan = segue.store().lookup("bob").unwrap().unwrap().subscriber;
    assert_eq!((plan.targets.len(), plan.ring_ms), (2, Some(12_000)));
    let changed = segue.json(&["subscriber", "set", "bob", "--target", mobile, "--ring-time", "none"]);
    assert_eq!(
        (&changed["targets"], &changed["ring_ms"]),
        (&json!([mobile]), &Value::Null)
    );

    let (_, line) = segue.fails(2, &["subscriber", "set", "bob", "--target", desk, "--target", desk]);
    assert!(
        line.contains("is there twice; fix: name 1 to 10 different --target"),
        "{line}"
    );
    for wrong in ["--ring=never", "--ring-time=0s", "--ring-time=3m", "--ring-time=x"] {
        segue.fails(2, &["subscriber", "set", "bob", wrong]);
    }
    assert_eq!(segue.json(&["subscriber", "list"])[0]["targets"], json!([mobile]));
}

#[test]
fn a_subscriber_has_aliases_in_one_form_each_and_show_says_all() {
    let segue = Segue::new();
    segue.ok(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
        "--number",
        "+4930111",
    ]);
    let set = |args: &[&str]| segue.json(&[&["subscriber", "set", "bob"], args].concat());
    let changed = set(&["--alias", "sips:%72obert@Example.Org", "--alias", "tel:+49-30-222"]);
    assert_eq!(changed["aliases"], json!(["sip:robert@example.org", "tel:+4930222"]));
    assert_eq!(changed["numbers"], json!(["+4930111"]), "what is not named stays");
    let store = segue.store();
    assert_eq!(
        store.owner_of_alias("sip:robert@example.org").unwrap().as_deref(),
        Some("bob")
    );
    assert_eq!(segue.json(&["number", "explain", "+4930222"])["subscriber"], "bob");
    let mut all = segue.json(&["subscriber", "show", "bob"]);
    assert_eq!(all.as_object_mut().unwrap().remove("pin"), Some(Value::Null));
    assert_eq!(all, changed);
    let shown = segue.ok(&["subscriber", "show", "bob"]);
    assert!(
        shown.contains("numbers: +4930111\naliases: sip:robert@example.org tel:+4930222"),
        "{shown}"
    );
    let list = segue.ok(&["subscriber", "list"]);
    assert!(
        list.contains("+4930111") && list.contains("sip:robert@example.org tel:+4930222"),
        "{list}"
    );
    segue.fails(3, &["subscriber", "show", "eve"]);

    for (wrong, why) in [
        ("sip:robert@example.org:5070", "whatever the port"),
        ("sip:robert@example.org;transport=tcp", "whatever the port"),
        ("sip:example.org", "neither a SIP URI with a user"),
        ("mailto:robert@example.org", "neither a SIP URI with a user"),
        ("robert", "is no alias"),
        ("tel:112", "is no number that any profile knows"),
    ] {
        let (_, line) = segue.fails(2, &["subscriber", "set", "bob", "--alias", wrong]);
        assert!(line.contains(why) && line.contains("fix: write it"), "{line}");
    }
    let eve = ["subscriber", "add", "eve", "--target", "sip:eve@127.0.0.1", "--alias"];
    for (taken, why) in [
        (
            "sip:robert@example.org",
            "is that of subscriber 'bob'; fix: take it from them",
        ),
        ("sip:bob@example.org", "names subscriber 'bob'"),
        ("tel:+4930111", "names a number of subscriber 'bob'"),
    ] {
        let (_, line) = segue.fails(1, &[&eve[..], &[taken]].concat());
        assert!(line.contains(why), "{line}");
    }
    // Those that stay are named; none of them with 'none'.
    assert_eq!(set(&["--alias", "tel:+4930222"])["aliases"], json!(["tel:+4930222"]));
    segue.ok(&[&eve[..], &["sip:robert@example.org"]].concat());
    assert_eq!(set(&["--alias", "none"])["aliases"], json!([]));
}

#[test]
fn a_target_may_be_a_number_and_be_reached_by_the_next_hop() {
    let segue = Segue::new();
    let added = segue.json(&[
        "subscriber",
        "add",
        "bob",
        "--target",
        "tel:+4915112345",
        "--target",
        "sip:bob@mobile.example",
        "--target-by",
        "next-hop",
    ]);
    assert_eq!(
        (&added["targets"], &added["target_by"]),
        (
            &json!(["tel:+4915112345", "sip:bob@mobile.example"]),
            &json!("next-hop")
        )
    );
    let shown = segue.ok(&["subscriber", "show", "bob"]);
    assert!(shown.contains("by the next hop"), "{shown}");
    assert_eq!(
        segue.json(&["subscriber", "set", "bob", "--target-by", "host"])["target_by"],
        "host"
    );
    segue.fails(2, &["subscriber", "set", "bob", "--target-by", "pigeon"]);
}

#[test]
fn bad_input_is_refused_with_its_fix_and_nothing_is_changed() {
    let segue = Segue::new();
    segue.ok(&["subscriber", "add", "bob", "--target", "sip:bob@127.0.0.1"]);
    let before = segue.json(&["subscriber", "list"]);

    for target in ["bob", "tel:+1", "sips:e@127.0.0.1;transport=udp", "sip:", "none", ""] {
        let (_, line) = segue.fails(2, &["subscriber", "add", "eve", "--target", target]);
        assert!(line.contains("--target"), "{line}");
    }
    for hold in ["6", "6 s", "six", "-6s", "1.5s"] {
        let flag = format!("--hold={hold}");
        let (said, line) = segue.fails(2, &["subscriber", "set", "bob", &flag]);
        assert!(
            line.contains("'--hold <DURATION>'; fix: a duration is a number and ms, s, m, h or d"),
            "{line}"
        );
        assert_eq!(said["code"], "usage");
    }
    segue.fails(2, &["subscriber", "add", "b b", "--target", "sip:b@127.0.0.1"]);
    segue.fails(2, &["subscriber", "set", "bob"]);
    let (said, line) = segue.fails(1, &["subscriber", "add", "bob", "--target", "sip:b@127.0.0.1"]);
    assert_eq!(said["code"], "refused");
    assert!(
        line.contains("exists already; fix: change it with 'segue subscriber set bob"),
        "{line}"
    );
    let (said, line) = segue.fails(3, &["subscriber", "set", "bob", "--clip", "nowhere"]);
    assert_eq!(said["code"], "not_found");
    assert!(line.contains("no clip named 'nowhere'"), "{line}");
    segue.fails(3, &["subscriber", "set", "eve", "--hold", "6s"]);
    segue.fails(3, &["subscriber", "remove", "eve"]);

    assert_eq!(segue.json(&["subscriber", "list"]), before);
}

#[test]
fn asking_where_there_is_no_data_leaves_nothing_behind() {
    let segue = Segue::new();
    assert_eq!(segue.json(&["subscriber", "list"]), serde_json::json!([]));
    assert_eq!(segue.json(&["call", "list"]), serde_json::json!([]));
    assert_eq!(segue.run(&["message", "list", "bob", "--data", "mistyped"]).code, 3);
    assert_eq!(segue.run(&["subscriber", "set", "bob", "--hold", "2s"]).code, 3);
    assert!(!segue.data().exists() && !segue.dir().join("mistyped").exists());
}

#[test]
fn a_pin_is_set_from_a_private_file_shown_without_its_digits_and_unlocked() {
    use std::{fs, os::unix::fs::PermissionsExt};

    let segue = Segue::new();
    let file = segue.dir().join("pin");
    let write = |digits: &str, mode: u32| {
        fs::write(&file, digits).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    };
    let path = file.to_str().unwrap().to_owned();
    write("258014\n", 0o600);
    segue.json(&["subscriber", "add", "bob", "--pin-file", &path]);
    let pin = || segue.json(&["subscriber", "show", "bob"])["pin"].clone();
    assert_eq!(pin(), json!({"wrong_tries": 0, "locked_until": null}));
    for digits in ["1234", "123", "12345678901", "secret"] {
        write(digits, 0o600);
        let refused = segue.run(&["subscriber", "set", "bob", "--pin-file", &path]);
        let told = refused.err;
        assert_eq!(refused.code, 1, "{told}");
        assert!(
            told.contains("4 to 10 digits") && !told.contains(&format!(" {digits}")),
            "{told}"
        );
    }
    write("258014", 0o644);
    let open = segue.run(&["subscriber", "set", "bob", "--pin-file", &path]);
    assert!(open.err.contains("chmod 600"));

    let store = segue.store();
    for _ in 0..5 {
        store.try_pin("bob", i64::MAX / 2).unwrap();
    }
    assert!(pin()["locked_until"].is_string());
    assert_eq!(
        segue.json(&["subscriber", "unlock", "bob"]),
        json!({"user": "bob", "was_locked": true})
    );
    assert_eq!(pin(), json!({"wrong_tries": 0, "locked_until": null}));
    segue.json(&["subscriber", "set", "bob", "--pin-file", "none"]);
    assert_eq!(pin(), Value::Null);
    assert_eq!(segue.run(&["subscriber", "unlock", "bob"]).code, 3);
}

/// A configuration whose phones register.
fn office(segue: &Segue) {
    let profiles = segue.dir().join("profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    let profile = "name = \"phones\"\nsources = [\"127.0.0.0/8\"]\nregistrar = true\nauth_realm = \"office\"\n";
    std::fs::write(profiles.join("phones.toml"), profile).unwrap();
    let settings = "profiles_dir = \"profiles\"\n[sip]\nudp = [\"127.0.0.1:5060\"]\ntcp = [\"127.0.0.1:5070\"]\n";
    std::fs::write(segue.dir().join("segue.toml"), settings).unwrap();
}

/// Writes a table that its owner alone may read.
fn table(segue: &Segue, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = segue.dir().join("office.csv");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_subscribers_of_a_table_are_added() {
    let segue = Segue::new();
    office(&segue);
    table(
        &segue,
        "\u{feff}user;password;pin;number;hold;hours;time-zone;target\n\
         anna;three four;4711;+4930111|+4930112;4s;mon-fri 09:00-17:00|sat 10:00-12:00;Europe/Berlin;\n\
         \n\
         ben;five six;;;;;;sip:ben@127.0.0.1:5071|registered\n",
    );
    let added = segue.json(&["subscriber", "import", "office.csv"]);
    assert_eq!(added, json!({"added": 2, "users": ["anna", "ben"]}));
    let anna = segue.json(&["subscriber", "show", "anna"]);
    assert_eq!(
        (&anna["numbers"], &anna["hold_ms"], &anna["time_zone"], &anna["targets"]),
        (
            &json!(["+4930111", "+4930112"]),
            &json!(4000),
            &json!("Europe/Berlin"),
            &json!(["registered"])
        )
    );
    assert_eq!(anna["hours"].as_array().unwrap().len(), 2);
    assert_eq!(anna["pin"]["wrong_tries"], 0);
    let ben = segue.json(&["subscriber", "show", "ben"]);
    assert_eq!(ben["targets"], json!(["sip:ben@127.0.0.1:5071", "registered"]));
    assert_eq!(ben["pin"], Value::Null);
    let store = segue.store();
    for user in ["anna", "ben"] {
        assert_eq!(store.realms_of(user).unwrap(), ["office"]);
    }
}

#[test]
fn of_a_table_with_a_fault_nobody_is_added() {
    let segue = Segue::new();
    office(&segue);
    let refused = |text: &str, code: i32, parts: &[&str]| {
        table(&segue, text);
        let (said, _) = segue.fails(code, &["subscriber", "import", "office.csv"]);
        let said = said.to_string();
        for part in parts {
            assert!(said.contains(part), "{part:?} in {said}");
        }
        assert_eq!(segue.json(&["subscriber", "list"]), json!([]), "{text}");
    };
    refused(
        "user,hold\nanna,4s\nben,4 apples\n",
        2,
        &["office.csv:3:", "4 apples", "nothing is imported"],
    );
    refused(
        "user,password\nanna,secret\nanna,secret\n",
        1,
        &["office.csv:3:", "exists already"],
    );
    refused("user,clip\nanna,\nben,none-such\n", 3, &["office.csv:3:", "none-such"]);
    refused(
        "user,password\nanna\n",
        2,
        &["office.csv:2:", "1 cells under 2 columns"],
    );
    refused("user,pin\nanna,12\n", 1, &["office.csv:2:", "the column 'pin'"]);
    refused(
        "user,colour\nanna,red\n",
        2,
        &["office.csv:1:", "'colour'", "time-zone"],
    );
    refused("user,password-file\nanna,x\n", 2, &["'password-file'"]);
    refused("password\nsecret\n", 2, &["'user'"]);
    refused("user,user\nanna,ben\n", 2, &["two columns"]);
    refused("user\n", 2, &["no line"]);
    refused("user\n--all\n", 2, &["office.csv:2:"]);
    table(&segue, "user,password\nanna,secret\n");

    let path = segue.dir().join("office.csv");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (said, _) = segue.fails(1, &["subscriber", "import", "office.csv"]);
    assert!(said.to_string().contains("chmod 600"), "{said}");
    assert_eq!(segue.json(&["subscriber", "list"]), json!([]));
}

#[test]
fn a_card_says_what_a_phone_needs() {
    let segue = Segue::new();
    office(&segue);
    table(&segue, "user,password\nanna,secret\nben,\n");
    segue.json(&["subscriber", "import", "office.csv"]);
    let card = segue.json(&["subscriber", "card", "anna", "--svg", "anna.svg"]);
    assert_eq!(card["uri"], "sip:anna@127.0.0.1;transport=udp");
    assert_eq!(card["others"], json!(["127.0.0.1:5070 over tcp"]));
    assert_eq!(card["has_password"], true);
    let picture = std::fs::read_to_string(segue.dir().join("anna.svg")).unwrap();
    assert!(
        picture.starts_with("<?xml") && picture.contains("<svg"),
        "{picture:.80}"
    );
    let alone = segue.ok(&["subscriber", "card", "anna", "--svg", "-"]);
    assert_eq!(alone.trim_end(), picture.trim_end());
    let card = segue.json(&[
        "subscriber",
        "card",
        "ben",
        "--server",
        "sip.example.com",
        "--transport",
        "tcp",
    ]);
    assert_eq!(card["uri"], "sip:ben@sip.example.com:5070;transport=tcp");
    assert_eq!(card["has_password"], false);
    let text = segue.ok(&["subscriber", "card", "ben"]);
    assert!(
        text.contains("none yet: 'segue subscriber set ben --password-file FILE'"),
        "{text}"
    );
    assert!(!text.contains("secret"));
    // The code is there, and is a square of half blocks.
    let code: Vec<&str> = text.lines().filter(|line| line.contains('\u{2588}')).collect();
    assert!(
        code.len() >= 10 && code.iter().all(|line| line.chars().count() == code[0].chars().count()),
        "{text}"
    );
    segue.fails(3, &["subscriber", "card", "nobody"]);
    segue.fails(2, &["subscriber", "card", "ben", "--transport", "tls"]);
}

#[test]
fn how_much_a_subscriber_may_call_is_set_shown_and_left_to_the_profile_again() {
    let segue = Segue::new();
    segue.json(&["subscriber", "add", "bob", "--calls-at-once", "2"]);
    let set = segue.json(&[
        "subscriber",
        "set",
        "bob",
        "--calls-per-minute",
        "0",
        "--minutes-per-day",
        "90",
    ]);
    let all = json!({"calls_at_once": 2, "calls_per_minute": 0, "minutes_per_day": 90});
    assert_eq!(set["caps"], all);
    let busy = segue.json(&["subscriber", "set", "bob", "--busy-at", "1"]);
    assert_eq!(busy["caps"]["busy_at"], json!(1));
    assert!(segue.ok(&["subscriber", "show", "bob"]).contains("busy in a call"));
    segue.json(&["subscriber", "set", "bob", "--busy-at", "none"]);
    let shown = segue.ok(&["subscriber", "show", "bob"]);
    assert!(
        shown.contains("at most 2 calls at once, any number of calls a minute, at most 90 minutes a day"),
        "{shown}"
    );
    let back = segue.json(&[
        "subscriber",
        "set",
        "bob",
        "--calls-at-once",
        "none",
        "--minutes-per-day",
        "none",
    ]);
    assert_eq!(back["caps"], json!({"calls_per_minute": 0}));
}
