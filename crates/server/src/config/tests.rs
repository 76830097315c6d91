//! What configuration is taken, and what is refused with which words.

use std::{collections::BTreeMap, fs};

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new(text: &str) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("segue.toml"), text).unwrap();
        Fixture { dir }
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, Failure> {
        let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
        let file = self.dir.path().join("segue.toml");
        Config::from_parts(
            Some(&file),
            &|name| environment.get(name).map(|v| (*v).to_owned()),
            None,
        )
    }

    fn refused(&self) -> String {
        self.load(&[]).unwrap_err().to_string()
    }
}

fn key(name: &str) -> &'static Key {
    KEYS.iter().find(|k| k.name == name).unwrap()
}

#[test]
fn without_a_file_the_defaults_hold() {
    let config = Config::from_parts(None, &|_| None, None).unwrap();
    assert_eq!(config.sip_udp, ["127.0.0.1:5060".parse().unwrap()]);
    assert_eq!(config.sip_tcp, config.sip_udp);
    assert_eq!(config.http_listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.data_dir, Path::new("./segue-data"));
    for key in KEYS.iter().filter(|k| k.name != "profiles_dir") {
        assert_eq!(config.source(key), Source::Default, "{}", key.name);
    }
}

#[test]
fn a_file_says_its_keys_and_lines() {
    let fixture = Fixture::new(
        "data_dir = \"data\"\n\n[sip]\nudp = [\"127.0.0.1:0\", \"127.0.0.2:5070\"]\ntcp = []\nt1_ms = 50\n\n\
         [media]\nports = \"30000-30100\"\n[record]\nmin_ms = 0x10\n[test]\nseed = 7\n",
    );
    let config = fixture.load(&[]).unwrap();
    assert_eq!(config.data_dir, fixture.dir.path().join("data"));
    assert_eq!(config.sip_udp.len(), 2);
    assert!(config.sip_tcp.is_empty());
    assert_eq!(
        (config.sip_t1_ms, config.media_ports.clone(), config.record_min_ms),
        (50, 30_000..=30_100, 16)
    );
    assert_eq!(config.test_seed, Some(7));
    let said = config.source(key("sip.t1_ms")).to_string();
    assert!(said.ends_with("segue.toml:6:1"), "{said}");
}

#[test]
fn dotted_keys_are_the_same_keys() {
    let config = Fixture::new("sip.t1_ms = 60\nrecord.max_ms = 5000\nmedia_store = \"dir\"\n")
        .load(&[])
        .unwrap();
    assert_eq!(config.media_store, MediaStore::Dir);
    assert_eq!((config.sip_t1_ms, config.record_max_ms), (60, 5_000));
}

#[test]
fn the_environment_counts_more_than_the_file() {
    let fixture = Fixture::new("[sip]\nt1_ms = 50\n");
    let environment = [
        ("SEGUE_SIP_T1_MS", "70"),
        ("SEGUE_SIP_UDP", "127.0.0.1:1, 127.0.0.1:2"),
        ("SEGUE_SIP_TCP", ""),
        ("SEGUE_DATA_DIR", "/elsewhere"),
    ];
    let config = fixture.load(&environment).unwrap();
    assert_eq!(
        (config.sip_t1_ms, config.sip_udp.len(), config.sip_tcp.len()),
        (70, 2, 0)
    );
    assert_eq!(
        config.source(key("sip.t1_ms")),
        Source::Environment("SEGUE_SIP_T1_MS".to_owned())
    );
    assert_eq!(config.data_dir, Path::new("/elsewhere"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let refused = Fixture::new("[sip]\nupd = [\"127.0.0.1:5060\"]\n").refused();
    assert!(refused.contains("segue.toml:2:1: unknown key sip.upd"), "{refused}");
    assert!(refused.contains("did you mean sip.udp?"), "{refused}");
    let refused = Fixture::new("\n\n[sips]\nx = 1\n").refused();
    assert!(refused.contains(":3:2: unknown key sips"), "{refused}");
}

#[test]
fn what_cannot_be_is_refused_with_its_line() {
    for (text, words) in [
        (
            "[sip]\nt1_ms = 0",
            ":2:1: sip.t1_ms = 0: a whole number from 1 to 10000",
        ),
        (
            "sip.udp = \"here\"",
            ":1:5: sip.udp = \"here\": \"address:port\" is needed",
        ),
        ("sip.udp = [5060]", ":1:5: sip.udp = [5060]"),
        (
            "sip.udp = [\"127.0.0.1:5060\", \"127.0.0.1:5060\"]",
            "stands there twice",
        ),
        ("media.ports = \"29999-20000\"", "20000 is less than 29999"),
        (
            "media.ports = \"20000-20008\"",
            "these are 9 ports, and one call needs 10",
        ),
        ("media.ports = \"80-90\"", "below 1024"),
        (
            "media.transcode_max = \"some\"",
            "from 0 to 10000 is needed, or \"auto\"",
        ),
        ("media.transcode_cpu = 0", "from 1 to 100"),
        ("media.address = \"localhost\"", "an IP address is needed"),
        (
            "media_store = \"s3\"",
            ":1:1: media_store = \"s3\": \"sqlite\" or \"dir\" is needed",
        ),
        ("test.seed = -1", ":1:6: test.seed = -1"),
        ("test.seed = true", ":1:6: test.seed = (boolean)"),
        ("sip.advertise = \"a b\"", "a host or host:port is needed"),
        ("sip = 5", ":1:1: unknown key sip"),
        ("[sip\n", ":1:5: "),
        ("sip.udp = []\nsip.tcp = []", "nobody can call"),
        (
            "record.min_ms = 9000\nrecord.max_ms = 8000",
            ":1:8: record.min_ms = 9000 is more than",
        ),
        ("sip.udp = [\"0.0.0.0:5060\"]", "set sip.advertise"),
        ("media.address = \"0.0.0.0\"", "set media.advertise"),
    ] {
        let refused = Fixture::new(text).refused();
        assert!(refused.contains(words), "{text}\n  said: {refused}\n  not: {words}");
        assert!(refused.contains("; fix: "), "{refused}");
    }
}

#[test]
fn files_of_records_are_read_and_refused_with_their_line() {
    let fixture = Fixture::new(
        "[records]\ncsv = \"out/calls.csv\"\njsonl = \"/var/calls.jsonl\"\nrotate = [\"10MB\", \"daily\"]\nkeep = 7\n",
    );
    let files = fixture.load(&[]).unwrap().records.files();
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].path, fixture.dir.path().join("out/calls.csv"));
    assert_eq!(files[1].path, Path::new("/var/calls.jsonl"));
    for file in files {
        assert_eq!(
            (file.max_bytes, file.daily, file.keep),
            (Some(10_000_000), true, Some(7))
        );
    }
    let config = fixture.load(&[("SEGUE_RECORDS_ROTATE", "daily,5kB"), ("SEGUE_RECORDS_KEEP", "none")]);
    let file = config.unwrap().records.files().remove(0);
    assert_eq!((file.max_bytes, file.daily, file.keep), (Some(5_000), true, None));
    for (text, words) in [
        (
            "[records]\nrotate = \"weekly\"",
            ":2:1: records.rotate = \"weekly\": a size",
        ),
        (
            "records.rotate = \"10\"",
            ":1:9: records.rotate = \"10\": a size of at least 1000",
        ),
        ("records.rotate = [\"daily\", \"none\"]", ":1:9: records.rotate"),
        ("records.rotate = [\"1MB\", \"2MB\"]", "one size"),
        ("records.keep = \"many\"", ":1:9: records.keep"),
        ("records.csv = 5", ":1:9: records.csv = 5: a string is needed"),
        ("records.cvs = \"x\"", "did you mean records.csv?"),
        (
            "records.csv = \"x\"\nrecords.jsonl = \"x\"",
            ":2:9: records.csv and records.jsonl are the same file",
        ),
    ] {
        let refused = Fixture::new(text).refused();
        assert!(refused.contains(words), "{text}\n  said: {refused}\n  not: {words}");
    }
}

#[test]
fn a_seed_off_loopback_is_refused() {
    for text in [
        "test.seed = 1\nhttp.listen = \"192.0.2.1:80\"",
        "test.seed = 1\nsip.tcp = [\"192.0.2.1:5060\"]",
        "test.seed = 1\nmedia.address = \"192.0.2.1\"",
    ] {
        let refused = Fixture::new(text).refused();
        assert!(refused.contains("192.0.2.1 is not loopback"), "{text}: {refused}");
    }
}

#[test]
fn profiles_are_read_in_the_order_of_their_names() {
    let fixture = Fixture::new("");
    let dir = fixture.dir.path().join("sip-profiles");
    fs::create_dir(&dir).unwrap();
    for (file, name) in [("20-b.toml", "b"), ("10-a.toml", "a")] {
        fs::write(
            dir.join(file),
            format!("name = \"{name}\"\nsources = [\"127.0.0.0/8\"]"),
        )
        .unwrap();
    }
    fs::write(dir.join("README"), "not a profile").unwrap();
    let config = fixture.load(&[]).unwrap();
    let names: Vec<String> = load_profiles(&config).unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_broken_profile_is_named_with_its_line() {
    for (text, words) in [
        (
            "name = \"p\"\nsources = [\"127.0.0.0/8\"]\nsurces = 1\n",
            "p.toml:3:1: unknown key surces; fix: did you mean sources?",
        ),
        (
            "sources = [\"10.0.0.0/8\"]",
            "p.toml:1:1: name is missing; fix: name is a name",
        ),
        (
            "name = \"p\"\nsources = [\"127.0.0.0/8\"]\nlisten = [\"here\"]",
            "p.toml:3:10: listen has \"here\", which is no \"address:port\"",
        ),
        (
            "name = \"p\"\nsources = [\"127.0.0.0/99\"]",
            "p.toml:2:11: sources: \"127.0.0.0/99\" is no network: prefixes of IPv4 go from /0 to /32; fix: sources is a list",
        ),
        (
            "name = \"p\"\nsources = [\"127.0.0.0/8\"]\n\n  hold_ms = \"6s\"",
            "p.toml:4:13: hold_ms: invalid type: string",
        ),
        (
            "name = \"p\"\nsources = [\"127.0.0.0/8\"]\nhold_max_ms = 170001",
            "p.toml:3:15: hold_max_ms = 170001",
        ),
        (
            "name = \"p\"\nsources = [\"127.0.0.0/8\"]\nanswer_at = \"never\"",
            "fix: answer_at is \"greeting\" or \"after_greeting\"",
        ),
        (
            "name = \"p\"\nsources = [\"127.0.0.0/8\"]\ndigest_user = \"us\"\ndigest_secret = \"s\"",
            "p.toml:3:15: digest_realm and digest_user belong together",
        ),
        ("name = \"p\"\nname = \"q\"", "p.toml:2:1: duplicate key"),
        ("name = \"p\"\n[sources", "p.toml:2:"),
    ] {
        let fixture = Fixture::new("profiles_dir = \"mine\"");
        let dir = fixture.dir.path().join("mine");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("p.toml"), text).unwrap();
        let refused = load_profiles(&fixture.load(&[]).unwrap()).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    let empty = Fixture::new("profiles_dir = \"nowhere\"");
    assert!(
        load_profiles(&empty.load(&[]).unwrap())
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

#[test]
fn an_address_of_each_family_may_be_named() {
    let fixture = Fixture::new(
        "[sip]\nudp = [\"0.0.0.0:5060\", \"[::]:5060\"]\ntcp = []\nadvertise = [\"192.0.2.1\", \"[2001:db8::1]:5070\"]\n\
         [media]\naddress = [\"10.0.0.1\", \"::1\"]\nadvertise = \"192.0.2.1\"\n",
    );
    let config = fixture.load(&[]).unwrap();
    let said: Vec<_> = config.sip_udp.iter().map(|bind| config.advertised_for(*bind)).collect();
    assert_eq!(said, [Some("192.0.2.1"), Some("[2001:db8::1]:5070")]);
    let media: Vec<_> = config
        .media_addresses()
        .map(|a| (a.bind.to_string(), a.advertise.to_string()))
        .collect();
    let pair = |bind: &str, advertise: &str| (bind.to_owned(), advertise.to_owned());
    assert_eq!(media, [pair("10.0.0.1", "192.0.2.1"), pair("::1", "::1")]);
    let config = fixture.load(&[("SEGUE_MEDIA_ADDRESS", "::1, 192.0.2.1")]).unwrap();
    assert_eq!(config.media_address.len(), 2);
}

#[test]
fn addresses_that_serve_nobody_are_refused() {
    for (text, told) in [
        (
            "[media]\naddress = [\"127.0.0.1\", \"127.0.0.2\"]",
            "one of IPv4 and one of IPv6",
        ),
        ("[media]\naddress = []", "a value is needed"),
        (
            "[media]\nadvertise = \"2001:db8::1\"",
            "has no media.address of its family",
        ),
        ("[media]\naddress = \"::\"\nadvertise = \"::\"", "could send media to"),
        (
            "[sip]\nudp = [\"[::]:5060\"]\nadvertise = \"192.0.2.1\"",
            "no address that a peer could answer to",
        ),
    ] {
        let refused = Fixture::new(text).refused();
        assert!(refused.contains(told), "{text}: {refused}");
    }
}
