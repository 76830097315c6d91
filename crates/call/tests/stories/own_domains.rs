//! Whose users are subscribers here: those of the profile's domains, and of our own addresses and names. Others only by an alias.

use segue_call::{Further, LegAction, SentOn, StoreAction, StoreReply, Way};
use segue_policy::{Profile, UnknownCallee};
use segue_records::CallResult;

use crate::stage::{Setup, Stage};

fn setup(to: &'static str, domains: &[&str]) -> Setup {
    Setup {
        to,
        profile: Profile {
            name: "carrier".into(),
            domains: domains.iter().map(|domain| domain.parse().unwrap()).collect(),
            unknown_callee: UnknownCallee::Forward,
            destinations: vec!["*.example".parse().unwrap(), "192.0.2.77".parse().unwrap()],
            ..Profile::default()
        },
        lookup: StoreReply::NotFound,
        own_sockets: vec!["192.0.2.1:5070".parse().unwrap(), "[2001:db8::1]:5060".parse().unwrap()],
        ..Setup::default()
    }
}

/// What the store was asked: the user, and the alias.
fn asked(s: &Stage) -> Option<(String, Option<String>)> {
    s.stored().into_iter().find_map(|action| match action {
        StoreAction::Lookup { user, alias, .. } => Some((user, alias)),
        _ => None,
    })
}

fn way(s: &mut Stage) -> Option<Way> {
    s.b().actions().into_iter().find_map(|action| match action {
        LegAction::Invite { way, .. } => Some(*way),
        _ => None,
    })
}

#[test]
fn a_user_is_ours_at_a_domain_of_ours_and_at_our_own_addresses() {
    for (to, ours) in [
        ("sip:bob@home.example", true),
        ("sip:bob@HOME.example.:5090", true),
        ("sips:bob@a.ims.example", true),
        ("sip:bob@10.1.2.3", true),
        // Our own: without a port, or with one of ours.
        ("sip:bob@192.0.2.1", true),
        ("sip:bob@192.0.2.1:5070", true),
        ("sip:bob@[2001:db8::1]", true),
        ("sip:bob@segue.example", true),
        ("sip:bob@192.0.2.1:5080", false),
        ("sip:bob@elsewhere.example", false),
        ("sip:bob@ims.example", false),
        ("sip:bob@192.0.2.2", false),
        ("sip:+4930123@elsewhere.example;user=phone", false),
        ("sip:+4930123@home.example;user=phone", true),
    ] {
        let mut s = setup(to, &["home.example", "*.ims.example", "10.0.0.0/8"]).call();
        let (user, alias) = asked(&s).unwrap();
        assert_eq!(!user.is_empty(), ours, "{to}");
        assert!(alias.is_some(), "an alias may be anywhere: {to}");
        s.a().cancels();
        s.finish();
    }
    // A number without a host is ours by number.
    let mut s = setup("tel:+4930123", &["home.example"]).call();
    assert_eq!(asked(&s), Some(("tel:+4930123".to_owned(), None)));
    s.a().cancels();
    s.finish();
}

#[test]
fn without_domains_a_user_is_ours_whatever_the_host() {
    for to in ["sip:bob@elsewhere.example", "sip:bob@192.0.2.2:5080"] {
        let mut s = setup(to, &[]).call();
        assert_eq!(asked(&s).unwrap().0, "bob", "{to}");
        s.a().cancels();
        s.finish();
    }
}

#[test]
fn whom_another_domain_has_follows_the_rest_of_the_route() {
    let mut s = Setup {
        route: &["sip:segue.example;lr", "sip:192.0.2.77;lr"],
        ..setup("sip:bob@elsewhere.example", &["home.example"])
    }
    .call();
    let to = "sip:bob@elsewhere.example";
    assert_eq!(asked(&s), Some((String::new(), Some(to.to_owned()))));
    let way = way(&mut s).unwrap();
    assert_eq!(way.route, ["sip:192.0.2.77;lr".parse().unwrap()]);
    assert_eq!(way.to.unwrap().0.to_string(), to);
    s.b().answers();
    s.a().acks();
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn whom_another_domain_has_is_rejected_where_the_profile_says_so() {
    let mut s = setup("sip:bob@elsewhere.example", &["home.example"]);
    s.profile.unknown_callee = UnknownCallee::Reject;
    let mut s = s.call();
    assert_eq!(s.a().got(), ["404"]);
    assert_eq!(s.finish().result, CallResult::Rejected);
}

#[test]
fn an_alias_is_asked_for_in_one_form_however_it_is_called() {
    for to in [
        "sip:robert@example.org",
        "sips:%72obert@Example.Org:5061;transport=tls",
        "sip:robert@example.org;user=ip",
    ] {
        let mut s = setup(to, &["home.example"]).call();
        assert_eq!(asked(&s).unwrap().1.as_deref(), Some("sip:robert@example.org"), "{to}");
        s.a().cancels();
        s.finish();
    }
}

#[test]
fn a_mailbox_that_another_server_names_is_asked_for_as_an_address() {
    let sent_on = |to: &'static str, whom: &str| {
        let mut setup = setup(to, &["home.example"]);
        setup.further = Further {
            sent_on: Some(SentOn {
                user: "robert".into(),
                uri: Some(whom.parse().unwrap()),
                cause: Some(486),
            }),
            ..Further::default()
        };
        setup.call()
    };
    let robert = Some("sip:robert@example.org".to_owned());
    for (to, whom, expected) in [
        (
            "sip:mailbox@home.example",
            "sip:robert@example.org",
            (String::new(), robert.clone()),
        ),
        (
            "sip:mailbox@home.example",
            "sip:robert@home.example",
            ("robert".to_owned(), Some("sip:robert@home.example".to_owned())),
        ),
        // Another server's mailboxes: this one has no say in it.
        (
            "sip:mailbox@vm.example",
            "sip:robert@home.example",
            (String::new(), Some("sip:mailbox@vm.example".to_owned())),
        ),
    ] {
        let mut s = sent_on(to, whom);
        assert_eq!(asked(&s), Some(expected), "{to} {whom}");
        s.a().cancels();
        s.finish();
    }
}
