//! `[[trunk]]` as it is read and checked, and `segue trunk` where there is no server.

use crate::fixture::Segue;

const TRUNK: &str = "\n[[trunk]]\nname = \"main\"\nservers = [\"192.0.2.1\"]\n";

/// With a profile that has this key, and this in the file.
fn with(profile: &str, settings: &str) -> Segue {
    let segue = Segue::new();
    let profiles = segue.dir().join("sip-profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    let text = format!("name = \"office\"\nsources = [\"127.0.0.0/8\"]\n{profile}\n");
    std::fs::write(profiles.join("office.toml"), text).unwrap();
    std::fs::write(segue.dir().join("segue.toml"), settings).unwrap();
    segue
}

#[test]
fn what_is_wrong_with_a_trunk_is_told_by_its_line_and_its_fix() {
    for (settings, message, fix) in [
        (
            "[trunk]\nname = \"a\"",
            "segue.toml:1:1: trunk is no list of tables",
            "[[trunk]]",
        ),
        ("trunk = [1]", "segue.toml:1:10: a trunk is no table", "[[trunk]]"),
        (
            "\n[[trunk]]\nname = \"a\"\nsevers = []",
            "segue.toml:4:1: unknown key trunk.severs",
            "did you mean servers?",
        ),
        (
            "\n[[trunk]]\nname = \"a\"\nservers = [7]",
            "segue.toml:4:11: trunk.servers: each is a server",
            "servers is a list of 1 to 16",
        ),
        (
            "\n[[trunk]]\nname = \"a\"\nservers = []",
            "segue.toml:4:11: trunk.servers is missing or empty",
            "servers is a list",
        ),
        (
            "\n[[trunk]]\nname = \"a\"\nservers = [\"b\"]\nping_ms = 5",
            "segue.toml:5:11: trunk.ping_ms = 5",
            "ping_ms is milliseconds from 1000",
        ),
        (
            "\n[[trunk]]\nname = \"a\"\nservers = [\"b\"]\nping_ms = \"often\"",
            "segue.toml:5:11: trunk.ping_ms: ",
            "ping_ms is milliseconds from 1000",
        ),
        (
            "\n[[trunk]]\nname = \"a\"\nservers = [\"b\"]\n[[trunk]]\nname = \"a\"\nservers = [\"c\"]",
            "segue.toml:6:8: name: \"a\" is the name of another trunk, at segue.toml:3:8",
            "name of its own",
        ),
        (
            "\n[[trunk]]\nname = \"a\"\nservers = [\"127.0.0.1:5060\"]",
            "segue.toml:4:11: trunk.servers: sip:127.0.0.1:5060 is this server itself",
            "carrier's servers",
        ),
        (
            "\n[[trunk]]\nname = \"a\"\nservers = [\"b\"]\ndigest_user = \"u\"\ndigest_realm = \"r\"\ndigest_secret = \"none\"",
            "segue.toml:7:17: digest_secret = ",
            "set digest_secret to a file",
        ),
    ] {
        let segue = with("", settings);
        let (said, _) = segue.fails(1, &["config", "check"]);
        assert!(
            said["message"].as_str().unwrap().contains(message),
            "{settings}: {said}"
        );
        assert!(said["fix"].as_str().unwrap().contains(fix), "{settings}: {said}");
    }
}

#[test]
fn a_profile_names_trunks_that_are_there() {
    for key in ["next_hop", "emergency_next_hop"] {
        let segue = with(&format!("{key} = [\"192.0.2.9\", \"trunk:man\"]"), TRUNK);
        let (said, _) = segue.fails(1, &["config", "check"]);
        let message = said["message"].as_str().unwrap();
        assert!(
            message.contains("office.toml:3:") && message.contains("there is no trunk \"man\""),
            "{said}"
        );
        assert_eq!(said["fix"], "did you mean \"trunk:main\"?");
    }
    let segue = with("next_hop = \"trunk:main\"", TRUNK);
    assert_eq!(segue.json(&["config", "check"])["ok"], true);
    let rows = segue.json(&["config"]);
    let row = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["key"] == "trunk")
        .unwrap();
    assert_eq!(
        (&row["value"][0], &row["source"]),
        (&"main".into(), &"segue.toml:2:3".into())
    );
    let unused = with("", TRUNK).json(&["config", "check"]);
    assert!(unused.to_string().contains("is named by no profile"), "{unused}");
}

#[test]
fn without_a_server_the_list_is_exit_5() {
    let segue = Segue::new();
    let (said, _) = segue.fails(5, &["trunk", "list"]);
    assert_eq!(said["code"], "no_server");
    assert!(!segue.data().exists(), "who only asks leaves nothing behind");
}

#[test]
fn who_gives_phones_or_lines_no_way_to_help_is_warned() {
    let warned = |profile: &str, trunk: &str| {
        let said = with(profile, trunk).json(&["config", "check"]);
        said["warnings"].to_string()
    };
    let none = "knows no emergency numbers";
    assert!(warned("registrar = true", "").contains(none));
    let out = "unknown_callee = \"forward\"\nnext_hop = \"trunk:main\"\ndestinations = [\"*\"]";
    assert!(warned(out, TRUNK).contains(none));
    assert!(!warned("", "").contains("emergency"));
    let knows = format!("emergency_numbers = [\"112\"]\n{out}");
    assert!(!warned(&knows, TRUNK).contains("emergency"), "it is named");
    let any = knows.replace("trunk:main", "trunk:*");
    assert!(warned(&any, TRUNK).contains("no trunk takes emergency calls"));
    let takes = format!("{TRUNK}\nemergency = true");
    assert!(!warned(&any, &takes).contains("emergency"));
}

#[test]
fn a_trunk_is_added_changed_and_removed_by_commands_and_its_password_is_nowhere_in_the_open() {
    let segue = with("next_hop = \"trunk:provider\"", "");
    let password = segue.dir().join("password");
    std::fs::write(&password, "open-sesame\n").unwrap();
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let add = [
        "trunk",
        "add",
        "provider",
        "--registrar",
        "sip:provider.example",
        "--user",
        "office",
    ];
    let (said, _) = segue.fails(1, &[&add[..], &["--allow", "+49x"]].concat());
    assert!(said["message"].as_str().unwrap().starts_with("--allow: "), "{said}");
    let (said, _) = segue.fails(1, &add);
    assert!(
        said["message"].as_str().unwrap().starts_with("--password-file: "),
        "{said}"
    );
    let file = ["--password-file", password.to_str().unwrap()];
    let added = segue.json(
        &[
            &add[..],
            &file,
            &["--allow", "+49*", "--allow", "+43*", "--profile", "office"],
        ]
        .concat(),
    );
    assert_eq!(
        (&added["register"], &added["servers"][0]["uri"]),
        (&true.into(), &"sip:provider.example".into())
    );
    assert_eq!(added["allow"], serde_json::json!(["+49*", "+43*"]));
    assert_eq!(segue.json(&["config", "check"])["ok"], true, "profiles may name it");
    let (said, _) = segue.fails(1, &[&add[..], &file].concat());
    assert!(said["fix"].as_str().unwrap().contains("trunk set"), "{said}");
    let set = segue.json(&[
        "trunk",
        "set",
        "provider",
        "--main-number",
        "+4930765",
        "--allow",
        "none",
        "--expires",
        "10m",
    ]);
    assert_eq!(
        (
            &set["main_number"],
            &set["allow"],
            &set["expires_s"],
            &set["digest_user"]
        ),
        (
            &"+4930765".into(),
            &serde_json::json!([]),
            &600.into(),
            &"office".into()
        )
    );
    let held = std::fs::read(segue.data().join("segue.db")).unwrap();
    assert!(!held.windows(11).any(|bytes| bytes == b"open-sesame"));
    // One name is one trunk.
    std::fs::write(segue.dir().join("segue.toml"), TRUNK.replace("main", "provider")).unwrap();
    let (said, _) = segue.fails(1, &["config", "check"]);
    assert!(
        said["message"]
            .as_str()
            .unwrap()
            .contains("was added by a command as well"),
        "{said}"
    );
    segue.fails(1, &["trunk", "set", "provider", "--emergency", "on"]);
    assert_eq!(segue.json(&["trunk", "remove", "provider"])["removed"], true);
    assert_eq!(segue.json(&["config", "check"])["ok"], true);
    for command in [
        &["trunk", "set", "provider", "--emergency", "on"][..],
        &["trunk", "remove", "provider"],
    ] {
        let (said, _) = segue.fails(1, command);
        assert!(said["message"].as_str().unwrap().contains("segue.toml:3:"), "{said}");
    }
    let (said, _) = segue.fails(1, &["trunk", "add", "own", "--address", "127.0.0.1:5060"]);
    assert!(
        said["message"].as_str().unwrap().contains("this server itself"),
        "{said}"
    );
    let (said, _) = segue.fails(
        1,
        &["trunk", "add", "x", "--address", "192.0.2.1", "--profile", "ofice"],
    );
    assert!(said["message"].as_str().unwrap().contains("no profile"), "{said}");
}

#[test]
fn a_profile_without_sources_is_for_a_trunk_or_for_nobody() {
    let segue = with("next_hop = \"trunk:main\"", TRUNK);
    let profile = segue.dir().join("sip-profiles/provider.toml");
    std::fs::write(profile, "name = \"provider\"\ncountry_code = \"49\"\n").unwrap();
    let nobody = segue.json(&["config", "check"]).to_string();
    assert!(
        nobody.contains("provider.toml: sources is missing or empty") && nobody.contains("no trunk names"),
        "{nobody}"
    );
    let named = format!("{TRUNK}profile = \"provider\"\n");
    std::fs::write(segue.dir().join("segue.toml"), named).unwrap();
    assert_eq!(segue.json(&["config", "check"])["warnings"], serde_json::json!([]));
}
