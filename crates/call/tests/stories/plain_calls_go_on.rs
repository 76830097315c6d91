//! A callee who is no subscriber: the call goes on as it came, where the profile lets it, and nothing is added to it.

use segue_call::{LegAction, RefuseInfo, Said, StoreReply, Way};
use segue_policy::{NextHop, NextHops, Profile, UnknownCallee};
use segue_records::{CallResult, PhaseName};

use crate::stage::{AUDIO, Setup, Stage, sdp};

const NUMBER: &str = "sip:+4930123456@ims.example;user=phone";

fn profile(next_hop: &str, destinations: &[&str]) -> Profile {
    Profile {
        name: "carrier".into(),
        unknown_callee: UnknownCallee::Forward,
        next_hop: (!next_hop.is_empty()).then(|| next_hop.parse().unwrap()),
        destinations: destinations.iter().map(|to| to.parse().unwrap()).collect(),
        ringing_status: 180,
        ..Profile::default()
    }
}

fn setup(to: &'static str, next_hop: &str, destinations: &[&str], route: &'static [&'static str]) -> Setup {
    Setup {
        to,
        route,
        profile: profile(next_hop, destinations),
        lookup: StoreReply::NotFound,
        own_sockets: vec!["192.0.2.1:5060".parse().unwrap()],
        ..Setup::default()
    }
}

/// Request-URI and way of the INVITE.
fn invited(s: &mut Stage) -> Option<(String, Way)> {
    s.b().actions().into_iter().find_map(|action| match action {
        LegAction::Invite { target, way, .. } => Some((target.to_string(), *way)),
        _ => None,
    })
}

fn way(route: &[&str], hop: Option<&str>) -> Way {
    Way {
        to: Some((NUMBER.parse().unwrap(), Some("Bob".into()))),
        route: route.iter().map(|hop| hop.parse().unwrap()).collect(),
        hop: hop.map(|hop| hop.parse().unwrap()),
        ..Way::default()
    }
}

#[test]
fn its_history_says_that_the_request_uri_has_not_changed() {
    let mut s = setup(NUMBER, "192.0.2.9", &["+49*"], &[]).call();
    let told = s.b().actions().into_iter().find_map(|action| match action {
        LegAction::Invite { trail, .. } => Some(trail.entries),
        _ => None,
    });
    let expected = [format!("<{NUMBER}>;index=1"), format!("<{NUMBER}>;index=1.1;np=1")];
    assert_eq!(told.as_deref(), Some(&expected[..]));
    s.a().cancels();
    s.finish();
}

#[test]
fn the_request_uri_stays_and_the_call_is_bridged_without_a_mailbox() {
    let mut s = setup(NUMBER, "192.0.2.9", &["+49*"], &[]).call();
    assert_eq!(
        invited(&mut s),
        Some((NUMBER.to_owned(), way(&[], Some("sip:192.0.2.9"))))
    );
    assert!(s.a().got().is_empty(), "no clip, no hold");
    s.b().rings();
    s.b().answers();
    assert_eq!(s.a().got(), ["180", "200 sdp"]);
    s.a().acks();
    s.b().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.phase_reached),
        (CallResult::Answered, PhaseName::Bridged)
    );
    assert_eq!(
        s.media_did(),
        [
            "open a",
            "configure a",
            "open b",
            "configure b",
            "bridge b",
            "close b",
            "close"
        ]
    );
}

#[test]
fn the_rest_of_the_route_counts_before_the_next_hop() {
    let rest = ["sip:scscf.ims.example;lr", "sip:192.0.2.77;lr"];
    for (route, own) in [
        (
            &["sip:192.0.2.1;lr", "sip:scscf.ims.example;lr", "sip:192.0.2.77;lr"][..],
            true,
        ),
        (
            &["sip:SEGUE.example;lr", "sip:scscf.ims.example;lr", "sip:192.0.2.77;lr"],
            true,
        ),
        (&["sip:scscf.ims.example;lr", "sip:192.0.2.77;lr"], false),
    ] {
        let mut s = setup(NUMBER, "192.0.2.9", &["*.ims.example"], route).call();
        assert_eq!(
            invited(&mut s),
            Some((NUMBER.to_owned(), way(&rest, None))),
            "own entry: {own}"
        );
        s.a().cancels();
        s.finish();
    }
    // Nothing is left of it.
    let mut s = setup(NUMBER, "sip:192.0.2.9;lr", &["+49*"], &["sip:192.0.2.1;lr"]).call();
    assert_eq!(invited(&mut s).unwrap().1, way(&["sip:192.0.2.9;lr"], None));
    s.a().cancels();
    s.finish();
}

#[test]
fn without_route_and_next_hop_the_request_uri_says_where_to() {
    let mut s = setup(NUMBER, "", &["ims.example"], &[]).call();
    assert_eq!(invited(&mut s), Some((NUMBER.to_owned(), way(&[], None))));
    s.a().cancels();
    s.finish();
}

#[test]
fn a_number_without_a_host_goes_to_the_next_hop() {
    let mut s = setup("tel:+49-30-123456", "192.0.2.9", &["+4930*"], &[]).call();
    assert_eq!(invited(&mut s).unwrap().0, "tel:+49-30-123456");
    s.a().cancels();
    s.finish();
}

#[test]
fn what_no_destination_admits_goes_nowhere() {
    for (to, next_hop, destinations, route, status) in [
        // Nobody relays for everybody: nothing is admitted unless it is said.
        (NUMBER, "192.0.2.9", &[][..], &[][..], "403"),
        (NUMBER, "192.0.2.9", &["+48*", "*.else.example"], &[], "403"),
        // A caller's own Route leads only to places that are named.
        (NUMBER, "192.0.2.9", &["*", "+49*"], &["sip:192.0.2.66;lr"], "403"),
        (NUMBER, "", &["*"], &[], "403"),
        // There is no way on.
        ("sip:+4930@segue.example", "", &["*"], &[], "480"),
        ("tel:+4930", "", &["*"], &[], "480"),
        // It is this server again.
        (NUMBER, "192.0.2.1", &["*"], &[], "482"),
        (
            NUMBER,
            "",
            &["192.0.2.0/24"],
            &["sip:192.0.2.1;lr", "sip:192.0.2.1;lr"],
            "482",
        ),
    ] {
        let mut s = setup(to, next_hop, destinations, route).call();
        assert_eq!(s.a().got(), [status], "{to} {next_hop} {destinations:?} {route:?}");
        assert!(s.b().got().is_empty() && s.media_did().is_empty());
        let record = s.finish();
        assert_eq!(record.result, CallResult::Rejected);
        // By these words the operator is told which entry is missing.
        let by_route = status == "403" && !route.is_empty();
        assert_eq!(
            record.why.ends_with("admits its Route to 192.0.2.66."),
            by_route,
            "{}",
            record.why
        );
    }
}

#[test]
fn how_the_callee_fails_goes_to_the_caller_as_it_came() {
    let reason = (
        "Reason".to_owned(),
        "Q.850;cause=1;text=\"Unallocated number\"".to_owned(),
    );
    for (status, told, ours) in [
        (404, 404, None),
        (486, 486, None),
        (603, 603, None),
        (482, 482, None),
        (302, 302, None),
        (503, 500, Some("SIP;cause=503;text=\"Next server unavailable\"")),
        // It asks us, and not the caller.
        (401, 403, Some("SIP;cause=401;text=\"Unauthorized\"")),
        (407, 403, Some("SIP;cause=407;text=\"Proxy Authentication Required\"")),
    ] {
        for said in [vec![reason.clone()], Vec::new()] {
            let mut s = setup(NUMBER, "192.0.2.9", &["+49*"], &[]).call();
            s.b().refuses_saying(status, said.clone());
            let refused = s.a().actions().into_iter().last();
            let Some(LegAction::Refuse(RefuseInfo {
                status,
                reason,
                said: again,
                ..
            })) = refused
            else {
                panic!("not refused: {refused:?}")
            };
            let ours = ours.filter(|_| said.is_empty()).map(str::to_owned);
            assert_eq!(
                (status, reason, again.headers),
                (told, ours, said),
                "no greeting, nothing added"
            );
            assert_eq!(s.stored().len(), 1, "looked up, and nothing reserved: {:?}", s.stored());
            s.finish();
        }
    }
}

#[test]
fn that_no_server_is_to_be_had_for_a_while_is_told_with_retry_after_and_not_as_503() {
    let later = ("Retry-After".to_owned(), "17".to_owned());
    for headers in [vec![later], Vec::new()] {
        let said = Said {
            headers,
            ..Said::default()
        };
        let mut s = setup(NUMBER, "192.0.2.9", &["+49*"], &[]).call();
        s.b().cannot_be_reached_saying(503, said.clone());
        let refused = s.a().actions().into_iter().last();
        let Some(LegAction::Refuse(RefuseInfo {
            status,
            reason,
            said: again,
            ..
        })) = refused
        else {
            panic!("not refused: {refused:?}")
        };
        // Other calls have other servers: the caller's proxy must not take this one out of service.
        let why = Some("SIP;cause=503;text=\"Next server unavailable\"");
        assert_eq!((status, reason.as_deref(), again), (500, why, said));
        let why = s.finish().why;
        assert!(why.contains("503 of our own: 192.0.2.9:5060 said nothing"), "{why}");
    }
}

#[test]
fn several_next_hops_are_a_way_and_its_others_and_this_server_is_none() {
    let profile: Profile = Profile {
        next_hop: Some(hops(&["192.0.2.1", "trunk:main", "sip:192.0.2.8;lr", "trunk:main"])),
        ..profile("", &["+49*"])
    };
    let mut s = Setup {
        profile,
        ..setup(NUMBER, "", &["+49*"], &[])
    }
    .call();
    let went = s.b().actions().into_iter().find_map(|action| match action {
        LegAction::Invite { way, .. } => Some(way),
        _ => None,
    });
    let went = went.unwrap();
    assert_eq!(
        (went.hop.unwrap().to_string().as_str(), went.route.len()),
        ("trunk:main", 0)
    );
    let others: Vec<&str> = went.others.iter().map(|hop| hop.uri()).collect();
    assert_eq!(others, ["sip:192.0.2.8;lr"], "each once");
    s.a().cancels();
    s.finish();
}

/// As a profile has them.
fn hops(all: &[&str]) -> NextHops {
    let all: Vec<NextHop> = all.iter().map(|hop| hop.parse().unwrap()).collect();
    all.try_into().unwrap()
}

#[test]
fn the_callee_rings_as_long_as_its_network_lets_it_but_not_for_ever() {
    let mut s = setup(NUMBER, "192.0.2.9", &["+49*"], &[]).call();
    s.b().rings();
    s.run_ms(169_000);
    assert_eq!(s.a().got(), ["180"], "no-answer time is a subscriber's");
    s.run_ms(2_000);
    assert_eq!(s.b().got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.a().got(), ["180", "408"]);
    s.finish();
}

#[test]
fn formats_that_are_not_known_here_pass() {
    let amr = "m=audio 4000 RTP/AVP 104\r\na=rtpmap:104 AMR-WB/16000\r\n";
    let mut s = Setup {
        offer: Some(sdp(amr)),
        ..setup(NUMBER, "192.0.2.9", &["+49*"], &[])
    }
    .call();
    assert!(s.b().told_sdp().contains("a=rtpmap:104 AMR-WB/16000"));
    s.b().answers_with(Some(sdp(amr)));
    s.a().acks();
    assert!(s.a().told_sdp().contains("a=rtpmap:104 AMR-WB/16000"));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn by_default_a_softphone_hears_404() {
    let mut s = Setup {
        profile: Profile {
            next_hop: Some("192.0.2.9".parse().unwrap()),
            destinations: vec!["*".parse().unwrap()],
            ..Profile::default()
        },
        lookup: StoreReply::NotFound,
        offer: Some(sdp(AUDIO)),
        ..Setup::default()
    }
    .call();
    assert_eq!(s.a().got(), ["404"]);
    s.finish();
}

#[test]
fn a_subscriber_may_be_reached_as_it_was_called() {
    let route: &[&str] = &["sip:192.0.2.1;lr", "sip:scscf.ims.example;lr"];
    let mut s = Setup {
        to: NUMBER,
        route,
        profile: profile("", &["scscf.ims.example"]),
        own_sockets: vec!["192.0.2.1:5060".parse().unwrap()],
        ..Setup::default().lookup(|l| l.plan.targets = vec!["as-called".into()])
    }
    .call();
    assert_eq!(s.a().got(), ["183 sdp"], "held on the clip as ever");
    s.run_ms(6_100);
    assert_eq!(
        invited(&mut s),
        Some((NUMBER.to_owned(), way(&["sip:scscf.ims.example;lr"], None)))
    );
    s.b().refuses(486, "Busy Here");
    s.run_ms(100);
    assert!(
        s.media_did().iter().any(|did| did == "play greeting"),
        "and its mailbox is there"
    );
    s.a().cancels();
    s.finish();
}

/// Request-URI and way of each target's INVITE.
fn all_invited(s: &mut Stage) -> Vec<(String, Way)> {
    let of = |s: &mut Stage, number| {
        s.target(number).actions().into_iter().find_map(|action| match action {
            LegAction::Invite { target, way, .. } => Some((target.to_string(), *way)),
            _ => None,
        })
    };
    (1..=3).filter_map(|number| of(s, number)).collect()
}

#[test]
fn a_subscribers_targets_may_be_reached_by_the_next_hop() {
    let (number, address) = ("tel:+4915112345", "sip:bob@mobile.example");
    let hop = Way {
        hop: Some("sip:192.0.2.9".parse().unwrap()),
        ..Way::default()
    };
    let direct = Way::default();
    for (next_hop, onward, expected) in [
        // A number always is; an address where its subscriber says so.
        ("192.0.2.9", true, vec![(number, &hop), (address, &hop)]),
        ("192.0.2.9", false, vec![(number, &hop), (address, &direct)]),
        // Without a next hop an address has its own host, and a number none.
        ("", true, vec![(address, &direct)]),
    ] {
        let mut s = Setup {
            profile: profile(next_hop, &[]),
            ..Setup::default().lookup(|l| {
                l.plan.targets = vec![number.into(), address.into()];
                l.plan.onward = onward;
            })
        }
        .call();
        s.run_ms(6_100);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(target, way)| (target.to_owned(), way.clone()))
            .collect();
        assert_eq!(
            all_invited(&mut s),
            expected,
            "next_hop {next_hop:?}, by next hop: {onward}"
        );
        s.a().cancels();
        s.finish();
    }
}
