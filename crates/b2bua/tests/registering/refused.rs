//! What is refused of those who have a password, and what is said to them.

use super::*;

#[test]
fn to_is_at_a_domain_of_the_profiles_or_an_alias() {
    let mut office = Office::with(Profile {
        registrar: true,
        domains: vec!["office.example".parse().unwrap()],
        ..Office::profile()
    });
    office.shard.handle_directory(directory(vec![Listed {
        aliases: vec!["sip:robert@elsewhere.example".to_owned()],
        ..listed("bob", "sesame")
    }]));
    let mut says = |user: &str, host: &str| {
        let asked = {
            let text = office
                .text(user, "Contact: <sip:bob@10.1.0.1>\r\n")
                .replace("@office.example", &format!("@{host}"));
            office.send(&text)
        };
        let answer = authorization(
            &asked.answers[0].challenges("WWW-Authenticate")[0],
            "bob",
            "sesame",
            "REGISTER",
            "sip:office.example",
        );
        let more = format!("Contact: <sip:bob@10.1.0.1>\r\nAuthorization: {answer}\r\n");
        let text = office
            .text(user, &more)
            .replace("From: <sip:robert@", "From: <sip:bob@");
        let text = text.replace(
            &format!("To: <sip:{user}@office.example>"),
            &format!("To: <sip:{user}@{host}>"),
        );
        office.send(&text)
    };
    assert_eq!(says("bob", "office.example").answers[0].status(), Some(200));
    // Our own address is a domain of ours.
    assert_eq!(says("bob", "10.0.0.254").answers[0].status(), Some(200));
    assert_eq!(says("robert", "elsewhere.example").answers[0].status(), Some(200));
    let foreign = says("bob", "elsewhere.example");
    assert_eq!(foreign.answers[0].status(), Some(404));
    assert!(
        foreign.refused[0]
            .admit
            .contains("add \"elsewhere.example\" to `domains`"),
        "{:?}",
        foreign.refused
    );
    assert_eq!(says("robert", "office.example").answers[0].status(), Some(403));
}

#[test]
fn nobody_has_this_server_or_a_stranger_called_by_a_contact() {
    let mut office = Office::new();
    for contact in [
        "sip:bob@192.0.2.66",
        "sip:bob@10.0.0.254:5060",
        "sip:+4930190@gateway.example",
    ] {
        let refused = office.bob(&format!("Contact: <{contact}>\r\n"));
        assert_eq!(refused.answers[0].status(), Some(403), "{contact}");
        assert_eq!(refused.refused.len(), 1);
    }
    let told = office.bob("Contact: <sip:bob@192.0.2.66>\r\n").refused[0].admit.clone();
    assert!(told.contains("nat = true") && told.contains("`destinations`"), "{told}");
    assert_eq!(office.shard.stats().registrations, 0);
}

#[test]
fn a_contact_that_moves_is_looked_at_again_and_a_refused_one_leaves_what_was() {
    let mut office = Office::new();
    let at_home = "Contact: <sip:bob@10.1.0.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n";
    office.bob(at_home);
    for moved in [
        "Contact: <sip:bob@192.0.2.66>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n",
        "Contact: <sip:bob@10.1.0.1>;expires=0, <sip:bob@192.0.2.66>\r\n",
        "Contact: <sip:bob@10.1.0.1>\r\nPath: <sip:192.0.2.66;lr>\r\n",
        // The same place by another name, and a name of no place.
        "Contact: <sip:bob@[::ffff:192.0.2.66]>\r\n",
        "Contact: <sip:bob@3221226050>\r\n",
    ] {
        assert_eq!(office.bob(moved).answers[0].status(), Some(403), "{moved}");
    }
    assert_eq!(
        invites(&office.is_called()),
        [pair("10.1.0.1:5060", "sip:bob@10.1.0.1")]
    );
}

fn kept(contact: &str, source: &str, path: &[&str]) -> RegistrationRecord {
    RegistrationRecord {
        user: "bob".to_owned(),
        contact: contact.to_owned(),
        q: 1_000,
        expires_at: UnixMs(1_289_690_940_000 + 3_600_000),
        sip_call_id: "r".to_owned(),
        cseq: 1,
        instance: None,
        reg_id: None,
        path: path.iter().map(|hop| (*hop).to_owned()).collect(),
        user_agent: None,
        transport: "udp".to_owned(),
        local: X.to_owned(),
        source: source.to_owned(),
        by_source: false,
    }
}

#[test]
fn what_the_store_kept_is_called_only_where_it_would_be_admitted_now() {
    let mut office = Office::new();
    let at_home = kept("sip:bob@10.1.0.1", "10.1.0.1:5060", &[]);
    let all = vec![
        kept("sip:bob@192.0.2.66", "10.1.0.1:5060", &[]),
        kept("sip:bob@10.0.0.254", "10.1.0.1:5060", &[]),
        kept("sip:bob@10.1.0.2", "10.1.0.1:5060", &["<sip:192.0.2.66;lr>"]),
        kept("sip:bob@10.1.0.3", "10.1.0.1:5060", &["no hop", "<sip:10.1.0.1;lr>"]),
        kept("sip:bob@192.0.2.67", "192.0.2.67:5060", &[]),
        at_home.clone(),
    ];
    office.shard.restore_registrations(office.now, all);
    let seen = office.seen();
    assert_eq!(seen.told.len(), 5);
    assert_eq!(seen.kept.last().unwrap(), &("bob".to_owned(), vec![at_home]));
    assert_eq!(
        invites(&office.is_called()),
        [pair("10.1.0.1:5060", "sip:bob@10.1.0.1")]
    );
}

#[test]
fn who_is_no_longer_admitted_after_a_reload_is_no_longer_called() {
    let mut office = Office::new();
    office.bob("Contact: <sip:bob@10.1.0.1>, <sip:bob@10.2.0.2>\r\n");
    assert_eq!(office.shard.stats().registrations, 2);
    let narrow = Profile {
        registrar: true,
        destinations: Vec::new(),
        ..Office::profile()
    };
    let admission = Admission::new(vec![Arc::new(narrow)]).with_secrets(vec![secrets(&[DigestAlgorithm::Sha256])]);
    let new = config(&[X], admission);
    office.shard.reload(office.now, new.call, new.admission, new.limits);
    let seen = office.seen();
    assert!(
        matches!(&seen.told[..], [Happening::RegistrationRemoved { registration, .. }] if registration.contact == "sip:bob@10.2.0.2"),
        "{:?}",
        seen.told
    );
    assert_eq!(office.shard.stats().registrations, 1);
}

#[test]
fn allow_names_register_to_those_who_may() {
    for registrar in [true, false] {
        let mut office = Office::with(Profile {
            registrar,
            ..Office::profile()
        });
        for uri in ["sip:10.0.0.254", "sip:bob@10.0.0.254"] {
            let text = format!(
                "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bKo;rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:ann@10.1.0.1>;tag=a\r\nTo: <{uri}>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            let seen = office.send(&text);
            let answer = seen.answers.first().unwrap();
            assert_eq!(answer.status(), Some(200), "{uri}");
            let allow = answer.header("Allow").unwrap();
            assert_eq!(allow.contains("REGISTER"), registrar, "{uri}");
            assert_eq!(allow.contains("SUBSCRIBE"), registrar, "{uri}");
        }
    }
}

#[test]
fn under_load_new_registrations_get_503_and_what_is_there_goes_on() {
    let mut office = Office::new();
    office.bob("Contact: <sip:bob@10.1.0.1>\r\n");
    let called = office.is_called();
    let invite = called
        .sent
        .iter()
        .find(|(_, sent)| sent.method().is_some())
        .unwrap()
        .1
        .clone();
    // Messages wait for a second each, and go on coming: the queue stands.
    for _ in 0..300 {
        office.now.mono += Duration::from_millis(20);
        office.shard.waited(office.now.mono, Duration::from_secs(1), 2_000);
    }
    let mut refused = 0;
    for _ in 0..40 {
        let seen = office.bob("Contact: <sip:bob@10.1.0.1>\r\n");
        refused +=
            usize::from(seen.answers[0].status() == Some(503) && seen.answers[0].header("Retry-After").is_some());
        assert!(
            matches!(seen.answers[0].status(), Some(200 | 503)),
            "{:?}",
            seen.answers[0].status()
        );
    }
    assert!(refused >= 20, "{refused} of 40");
    // An answer within the call, and its end, are heard.
    let header = |name: &str| invite.header(name).unwrap().to_owned();
    let ringing = format!(
        "SIP/2.0 486 Busy Here\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
        header("Via"),
        header("From"),
        header("To"),
        header("Call-ID"),
        header("CSeq")
    );
    let seen = office.send(&ringing);
    assert!(
        seen.sent
            .iter()
            .any(|(_, sent)| sent.method().is_some_and(|method| method.as_str() == "ACK"))
    );
    assert_eq!(office.shard.stats().registrations, 1);
}
