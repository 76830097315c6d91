use super::*;

fn read(text: &str) -> Profile {
    toml::from_str(text).unwrap()
}

fn smallest() -> Profile {
    read("name = \"p\"\nsources = [\"10.0.0.0/8\"]")
}

#[test]
fn a_name_and_sources_are_enough() {
    let profile = smallest();
    assert_eq!(profile.check(), Ok(()));
    assert_eq!(profile.reliable, Reliable::Supported);
    assert_eq!(profile.reliable_to_callee, ReliableToCallee::Supported);
    assert_eq!(profile.preconditions_to_callee, PreconditionsToCallee::Strip);
    assert_eq!(profile.p_early_media, PEarlyMedia::Supported);
    assert_eq!(profile.callee_early_media, CalleeEarlyMedia::Authorized);
    assert_eq!(profile.answer_at, AnswerAt::Greeting);
    assert!(!profile.trusted);
    assert_eq!(
        (
            profile.ringing_status,
            profile.hold_ms,
            profile.hold_max_ms,
            profile.no_answer_ms
        ),
        (183, 0, 60_000, 20_000)
    );
}

#[test]
fn the_profile_that_comes_with_segue_says_its_defaults() {
    let shipped = read(include_str!("../../../../sip-profiles/softphone.toml"));
    assert_eq!(shipped.check(), Ok(()));
    let mut defaults = read("name = \"softphone\"\nsources = [\"127.0.0.0/8\"]");
    defaults.listen = Vec::new();
    // What an office dials, and a carrier's numbering may have another use for.
    let codes = ["*97", "*98", "*78", "*79"].map(|code| shipped.service(code).is_some());
    assert_eq!(codes, [true; 4]);
    defaults.service_codes = shipped.service_codes.clone();
    assert_eq!(shipped, defaults);
}

#[test]
fn what_is_not_known_is_refused() {
    for text in [
        "name = \"p\"\nsources = [\"10.0.0.0/8\"]\nsurces = []",
        "name = \"p\"\nsources = [\"10.0.0.0/99\"]",
        "name = \"p\"\nsources = [\"ten\"]",
        "name = \"p\"\nsources = [\"10.0.0.0/8\"]\nanswer_at = \"never\"",
    ] {
        assert!(toml::from_str::<Profile>(text).is_err(), "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_its_key() {
    type Change = fn(&mut Profile);
    let wrong: [(Change, &str); 33] = [
        (
            |p| p.outbound_proxy = Some("sip:sbc.example.com".parse().unwrap()),
            "outbound_proxy",
        ),
        (|p| p.mailbox_users = vec!["voice mail".to_owned()], "mailbox_users"),
        (|p| p.mailbox_users = vec!["u".to_owned(); 17], "mailbox_users"),
        (
            |p| p.service_codes = vec!["*97 -> mailbox".to_owned().try_into().unwrap(); 33],
            "service_codes",
        ),
        (|p| p.prolonged_note = "n".repeat(121), "prolonged_note"),
        (|p| p.prolonged_note = "a\r\nVia: b".to_owned(), "prolonged_note"),
        (|p| p.prolonged_note = " ".to_owned(), "prolonged_note"),
        (|p| p.country_code = "+49".to_owned(), "country_code"),
        (|p| p.emergency_numbers = vec!["help".to_owned()], "emergency_numbers"),
        (|p| p.name = " ".to_owned(), "name"),
        (|p| p.name = "a\nb".to_owned(), "name"),
        (|p| p.name = "n".repeat(65), "name"),
        (|p| p.listen = vec!["here".to_owned()], "listen"),
        (|p| p.digest_algorithms.clear(), "digest_algorithms"),
        (|p| p.auth_realm.clear(), "auth_realm"),
        (|p| p.digest_user = "us".to_owned(), "digest_realm"),
        (|p| p.digest_secret = "file".to_owned(), "digest_secret"),
        (|p| p.ringing_status = 181, "ringing_status"),
        (|p| p.hold_max_ms = 200_000, "hold_max_ms"),
        (|p| p.hold_ms = 60_001, "hold_ms"),
        (|p| p.no_answer_ms = 0, "no_answer_ms"),
        (|p| p.no_answer_ms = 170_001, "no_answer_ms"),
        (|p| (p.hold_ms, p.hold_max_ms) = (1, 0), "hold_ms"),
        (|p| p.rtp_gone_ms = 999, "rtp_gone_ms"),
        (|p| p.nat_ping_ms = 4_999, "nat_ping_ms"),
        (|p| p.nat_ping_ms = 600_001, "nat_ping_ms"),
        (|p| p.session_expires_s = 89, "session_expires_s"),
        (|p| p.session_expires_s = 86_401, "session_expires_s"),
        (|p| (p.session_expires_s, p.min_se_s) = (100, 101), "session_expires_s"),
        (|p| p.min_se_s = 0, "min_se_s"),
        (|p| p.rtp_gone_ms = 3_600_001, "rtp_gone_ms"),
        (|p| p.call_max_ms = 999, "call_max_ms"),
        (|p| p.call_max_ms = 604_800_001, "call_max_ms"),
    ];
    for (change, key) in wrong {
        let mut profile = smallest();
        change(&mut profile);
        assert_eq!(profile.check().unwrap_err().key, key, "{profile:?}");
    }
}

#[test]
fn the_listening_socket_counts_first_then_the_source() {
    let mut profile = smallest();
    let (inside, outside) = ("10.1.2.3".parse().unwrap(), "11.1.2.3".parse().unwrap());
    assert!(profile.matches("192.0.2.1:5060", inside));
    assert!(!profile.matches("192.0.2.1:5060", outside));
    profile.listen = vec!["192.0.2.1:5060".to_owned()];
    assert!(profile.matches("192.0.2.1:5060", inside));
    assert!(!profile.matches("192.0.2.1:5080", inside));
}

#[test]
fn domains_are_names_domains_and_networks() {
    let profile = read(
        "name = \"p\"\nsources = [\"10.0.0.0/8\"]\ndomains = [\"example.com\", \"*.ims.example\", \"192.0.2.0/24\"]",
    );
    assert_eq!((profile.domains.len(), profile.check()), (3, Ok(())));
    for bad in ["sip:example.com", "example.com:5060", "bob@example.com", "*"] {
        let text = format!("name = \"p\"\nsources = [\"10.0.0.0/8\"]\ndomains = [\"{bad}\"]");
        assert!(toml::from_str::<Profile>(&text).is_err(), "{bad}");
    }
}
