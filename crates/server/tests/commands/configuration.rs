//! `segue config`, `segue doctor`, options and exit codes that all commands share.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    net::UdpSocket,
    path::Path,
};

use crate::fixture::{Segue, ended, keys, sorted};
use serde_json::{Value, json};

fn row<'a>(rows: &'a Value, field: &str, name: &str) -> &'a Value {
    rows.as_array()
        .unwrap()
        .iter()
        .find(|row| row[field] == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn config_prints_each_key_with_value_meaning_and_source() {
    let segue = Segue::new();
    fs::write(segue.dir().join("segue.toml"), "[sip]\nt1_ms = 100\n").unwrap();
    let output = segue
        .command(&["config", "--json"])
        .env("SEGUE_MEDIA_PORTS", "30000-30100")
        .output()
        .unwrap();
    let rows: Value = serde_json::from_str(&ended(output).out).unwrap();
    let names: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["key"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "data_dir",
            "media_store",
            "profiles_dir",
            "drain_ms",
            "log",
            "log_format",
            "sip.udp",
            "sip.tcp",
            "sip.tls",
            "sip.tls_certificate",
            "sip.tls_key",
            "sip.tls_ca",
            "sip.tls_client_ca",
            "sip.advertise",
            "sip.nameservers",
            "sip.t1_ms",
            "sip.pause_max_ms",
            "trunk",
            "hep.collector",
            "hep.capture_id",
            "media.address",
            "media.advertise",
            "media.ports",
            "media.transcode_max",
            "media.transcode_cpu",
            "record.min_ms",
            "record.max_ms",
            "record.silence_ms",
            "prompts.dir",
            "prompts.prepared",
            "retention.heard_max",
            "retention.heard_age",
            "retention.unheard_max",
            "retention.unheard_age",
            "retention.max_bytes",
            "retention.max_seconds",
            "retention.scope",
            "retention.trash",
            "records.csv",
            "records.jsonl",
            "records.rotate",
            "records.keep",
            "records.keep_max",
            "records.keep_age",
            "overload.delay_ms",
            "overload.calls_max",
            "overload.early_max",
            "overload.source_rate",
            "overload.source_calls_max",
            "overload.source_early_max",
            "overload.subscriber_calls_max",
            "registrar.contacts_max",
            "registrar.total_max",
            "registrar.expires_min_s",
            "registrar.expires_default_s",
            "registrar.expires_max_s",
            "test.seed",
            "http.listen",
            "http.events",
            "http.public",
            "http.proxies",
            "http.session_idle",
            "http.session_max",
            "http.upload_max",
            "mail.server",
            "mail.port",
            "mail.tls",
            "mail.user",
            "mail.password_file",
            "mail.from",
            "mail.attach_max",
            "webhook.url",
            "webhook.secret_file",
            "webhook.allow",
            "notice.give_up",
            "notice.language",
            "notice.link",
            "notice.tls_ca",
        ]
    );
    assert_eq!(keys(&rows[0]), sorted(["key", "value", "meaning", "source", "holds"]));
    assert_eq!(row(&rows, "key", "sip.t1_ms")["holds"], "restart");
    assert_eq!(row(&rows, "key", "drain_ms")["holds"], "live");
    assert_eq!(row(&rows, "key", "sip.t1_ms")["value"], 100);
    assert_eq!(row(&rows, "key", "sip.t1_ms")["source"], "segue.toml:2:1");
    assert_eq!(row(&rows, "key", "media.ports")["source"], "SEGUE_MEDIA_PORTS");
    assert_eq!(row(&rows, "key", "sip.udp")["value"], json!(["127.0.0.1:5060"]));
    assert_eq!(row(&rows, "key", "sip.udp")["source"], "default");
    assert_eq!(row(&rows, "key", "test.seed")["value"], Value::Null);
    let text = segue.ok(&["config", "--data", "/somewhere"]);
    let words: Vec<&str> = text
        .lines()
        .find(|l| l.starts_with("data_dir"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(words[..3], ["data_dir", "\"/somewhere\"", "--data"], "{text}");
    assert!(!Path::new("/somewhere").exists());
    assert!(!segue.data().exists(), "looking makes nothing");
}

#[test]
fn a_wrong_configuration_stops_every_command_with_its_line() {
    let segue = Segue::new();
    fs::write(segue.dir().join("segue.toml"), "\n[record]\nmax_s = 5\n").unwrap();
    for args in [["config"].as_slice(), &["subscriber", "list"], &["run"]] {
        let (said, line) = segue.fails(1, args);
        assert_eq!(said["code"], "bad_configuration");
        assert!(
            line.contains("segue.toml:3:1: unknown key record.max_s; fix: did you mean record.max_ms?"),
            "{line}"
        );
    }
    segue.ok(&["config", "--config", "/dev/null"]);
    let (_, line) = segue.fails(1, &["config", "--config", "absent.toml"]);
    assert!(line.contains("absent.toml cannot be read"), "{line}");
}

#[test]
fn config_check_reads_the_profiles_too_and_names_file_line_and_column() {
    let segue = Segue::new();
    let said = segue.json(&["config", "check"]);
    assert_eq!(
        said,
        json!({"ok": true, "profiles": ["softphone"], "warnings": [], "unknown_variables": []})
    );
    let misspelt = segue
        .command(&["config", "check"])
        .env("SEGUE_SIP_UPD", "127.0.0.1:5060")
        .env("SEGUE_DATA_DIR", "elsewhere")
        .output()
        .unwrap();
    let text = String::from_utf8(misspelt.stdout).unwrap();
    assert!(misspelt.status.success());
    assert!(text.contains("warning: SEGUE_SIP_UPD means nothing"), "{text}");
    assert!(!text.contains("SEGUE_DATA_DIR"), "{text}");
    fs::create_dir(segue.dir().join("sip-profiles")).unwrap();
    fs::write(
        segue.dir().join("sip-profiles/office.toml"),
        "name = \"office\"\nsources = [\"127.0.0.0/8\"]\nhold_ms = 99999\n",
    )
    .unwrap();
    for args in [["config", "check"].as_slice(), &["run"]] {
        let (said, line) = segue.fails(1, args);
        assert_eq!(said["code"], "bad_profile");
        let words = "sip-profiles/office.toml:3:11: hold_ms = 99999 is more than hold_max_ms = 60000; fix: hold_ms is";
        assert!(line.contains(words), "{line}");
    }
    let doctor = segue.run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.out.contains("office.toml:3:11: hold_ms"), "{}", doctor.out);
}

#[test]
fn an_example_is_active_once_it_has_its_sources() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sip-profiles/examples");
    let mut names = Vec::new();
    for entry in fs::read_dir(examples).unwrap() {
        let (path, segue) = (entry.unwrap().path(), Segue::new());
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let active = segue.dir().join("sip-profiles");
        fs::create_dir(&active).unwrap();
        fs::write(active.join("example.toml"), &text).unwrap();
        let (said, line) = segue.fails(1, &["config", "check"]);
        assert_eq!(said["code"], "bad_profile");
        assert!(line.contains("sources is missing or empty"), "{line}");
        let chosen = text.replace("# sources = []", "sources = [\"192.0.2.0/28\"]");
        assert_ne!(chosen, text, "{name} shows where they stand");
        fs::write(active.join("example.toml"), chosen).unwrap();
        let said = segue.json(&["config", "check"]);
        assert_eq!(said["profiles"], json!([name]));
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["carrier-generic", "carrier-ims", "office"]);
}

#[test]
fn a_data_directory_of_another_version_is_refused_by_every_command_and_left_as_it_was() {
    let segue = Segue::new();
    segue.ok(&["subscriber", "add", "bob", "--target", "sip:bob@127.0.0.1"]);
    let file = segue.data().join("segue.db");
    let mut open = fs::OpenOptions::new().write(true).open(&file).unwrap();
    open.seek(SeekFrom::Start(60)).unwrap();
    let newer = segue_store::VERSION + 1;
    open.write_all(&newer.to_be_bytes()).unwrap();
    drop(open);
    let contents = || {
        let mut all: Vec<_> = fs::read_dir(segue.data()).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all.into_iter()
            .map(|path| (fs::read(&path).unwrap(), path))
            .collect::<Vec<_>>()
    };
    let before = contents();
    for args in [
        ["subscriber", "list"].as_slice(),
        &["message", "heard", "01X"],
        &["call", "list"],
        &["clip", "list"],
        &["wait", "call", "--sip-call-id", "x", "--timeout", "1s"],
    ] {
        let (said, line) = segue.fails(1, args);
        assert_eq!(said["code"], "other_version", "{args:?}");
        assert!(
            line.contains(&format!(
                "schema version {newer}; this Segue reads version {}; fix: ",
                segue_store::VERSION
            )),
            "{line}"
        );
    }
    assert_eq!(segue.run(&["doctor"]).code, 1);
    assert!(contents() == before, "nothing was changed");
}

#[test]
fn data_and_config_are_taken_before_and_after_the_command() {
    let segue = Segue::new();
    segue.ok(&[
        "--data",
        "here",
        "subscriber",
        "add",
        "bob",
        "--target",
        "sip:bob@127.0.0.1",
    ]);
    fs::write(segue.dir().join("other.toml"), "data_dir = \"here\"").unwrap();
    assert_eq!(
        segue.json(&["subscriber", "list", "--config", "other.toml"])[0]["user"],
        "bob"
    );
    assert_eq!(segue.json(&["subscriber", "list", "--data", "here"])[0]["user"], "bob");
    assert_eq!(segue.json(&["subscriber", "list"]), json!([]));
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let segue = Segue::new();
    for args in [
        ["dance"].as_slice(),
        &["subscriber", "dance"],
        &["subscriber", "list", "extra"],
        &["config", "--loud"],
    ] {
        assert_eq!(segue.fails(2, args).0["code"], "usage");
    }
    assert_eq!(segue.run(&[]).code, 2);
    assert_eq!(segue.run(&["--help"]).code, 0);
    assert!(segue.ok(&["--version"]).starts_with("segue "));
    assert!(!segue.ok(&["--help"]).contains("media-worker"));
}

#[test]
fn a_misspelt_option_names_the_one_that_was_meant() {
    let segue = Segue::new();
    let misspelt = segue.fails(2, &["subscriber", "set", "bob", "--hld", "1s"]).0;
    assert_eq!(misspelt["message"], "unexpected argument '--hld' found");
    assert_eq!(misspelt["fix"], "a similar argument exists: '--hold'");
    let negative = segue.fails(2, &["subscriber", "set", "bob", "--hold", "-1s"]).0;
    assert_eq!(negative["message"], "unexpected argument '-1' found");
    assert_eq!(negative["fix"], "use it as: segue subscriber set [OPTIONS] <USER>");
}

#[test]
fn no_ready_file_of_an_earlier_run_outlives_the_start() {
    let segue = Segue::new();
    let _server = segue.store();
    fs::write(segue.dir().join("ready.json"), "{}").unwrap();
    assert_eq!(segue.run(&["run", "--ready-file", "ready.json"]).code, 1);
    assert!(!segue.dir().join("ready.json").exists());
}

#[test]
fn doctor_says_what_is_wrong_with_its_fix() {
    let segue = Segue::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = format!("[sip]\nudp = [\"{address}\"]\ntcp = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n");
    fs::write(segue.dir().join("segue.toml"), settings).unwrap();

    let sick = segue.run(&["doctor", "--json"]);
    assert_eq!((sick.code, sick.err.as_str()), (1, ""));
    let rows: Value = serde_json::from_str(&sick.out).unwrap();
    assert_eq!(keys(&rows[0]), sorted(["check", "state", "found", "fix"]));
    let port = row(&rows, "check", "sip.udp");
    assert_eq!(port["state"], "wrong");
    assert_eq!(port["found"], format!("{address} is in use by another program"));
    assert!(port["fix"].as_str().unwrap().contains("set sip.udp to another port"));
    for well in [
        "configuration",
        "profiles",
        "data directory",
        "sip.tcp",
        "http.listen",
        "media",
        "gstreamer",
    ] {
        assert_eq!(row(&rows, "check", well)["state"], "ok", "{well}: {rows}");
    }
    assert!(!segue.data().exists(), "looking makes nothing");

    drop(taken);
    assert_eq!(segue.run(&["doctor"]).code, 0);
    fs::create_dir(segue.dir().join("sip-profiles")).unwrap();
    let text = segue.run(&["doctor"]);
    assert_eq!(text.code, 1);
    assert!(text.out.contains("no *.toml file is in it; fix: "), "{}", text.out);
}

#[test]
fn doctor_knows_a_running_server_from_another_program() {
    let segue = Segue::new();
    let _server = segue.store();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = taken.local_addr().unwrap().to_string();
    let output = segue
        .command(&["doctor", "--json"])
        .envs([
            ("SEGUE_SIP_UDP", udp.as_str()),
            ("SEGUE_SIP_TCP", ""),
            ("SEGUE_HTTP_LISTEN", "127.0.0.1:0"),
            ("SEGUE_SPI_UDP", "x"),
        ])
        .output()
        .unwrap();
    let rows: Value = serde_json::from_str(&ended(output).out).unwrap();
    assert_eq!(row(&rows, "check", "sip.udp")["state"], "ok");
    assert_eq!(
        row(&rows, "check", "environment")["found"],
        "SEGUE_SPI_UDP means nothing"
    );
}
