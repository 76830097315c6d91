//! Who calls for help gets there at once, whatever else would hold; and who is called back by those who help.

use segue_call::{LegAction, StoreReply, Way};
use segue_policy::{Emergency, Profile, Reliable, UnknownCallee};
use segue_records::CallResult;

use crate::stage::{Setup, Stage};

const SOS: &str = "urn:service:sos.fire";

fn setup(to: &'static str, emergency: Emergency, profile: Profile) -> Setup {
    Setup {
        to,
        profile,
        emergency: Some(emergency),
        own_sockets: vec!["192.0.2.1:5060".parse().unwrap()],
        ..Setup::default()
    }
}

fn profile() -> Profile {
    Profile {
        next_hop: Some("192.0.2.9".parse().unwrap()),
        emergency_next_hop: Some("192.0.2.112".parse().unwrap()),
        ..Profile::default()
    }
}

/// Request-URI, Route and next hop of the INVITE.
fn invited(s: &mut Stage) -> Option<(String, Vec<String>, Option<String>)> {
    s.b().actions().into_iter().find_map(|action| match action {
        LegAction::Invite { target, way, .. } => {
            let Way { route, hop, .. } = *way;
            let route = route.iter().map(ToString::to_string).collect();
            Some((target.to_string(), route, hop.map(|hop| hop.to_string())))
        }
        _ => None,
    })
}

#[test]
fn help_is_called_at_once_and_nothing_stops_it() {
    // A circle, no breadth, a callee who is unknown and a profile that wants 100rel: each of them would refuse another call.
    let mut s = Setup {
        is_loop: true,
        max_breadth: 0,
        lookup: StoreReply::NotFound,
        profile: Profile {
            unknown_callee: UnknownCallee::Reject,
            reliable: Reliable::Always,
            destinations: Vec::new(),
            ..profile()
        },
        ..setup(SOS, Emergency::Call, profile())
    }
    .call();
    assert!(s.stored().is_empty(), "nobody is looked up: {:?}", s.stored());
    let there = (SOS.to_owned(), Vec::new(), Some("sip:192.0.2.112".to_owned()));
    assert_eq!(invited(&mut s), Some(there));
    s.b().rings();
    // They may be busy: who calls for help waits as long as it takes.
    s.run_ms(400_000);
    assert_eq!(s.b().got(), ["INVITE"]);
    s.b().answers();
    s.a().acks();
    s.run_ms(20 * 3_600_000);
    assert_eq!(s.b().got(), ["INVITE"], "longer than any other call may last");
    let did = s.media_did();
    assert!(
        !did.iter()
            .any(|did| did.starts_with("play") || did.starts_with("record")),
        "{did:?}"
    );
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_number_of_a_subscriber_that_is_one_of_emergencies_is_not_held() {
    let mut s = setup("sip:112@segue.example", Emergency::Call, profile()).call();
    assert_eq!(invited(&mut s).unwrap().0, "sip:112@segue.example");
    assert!(s.a().got().is_empty(), "no clip");
    s.b().refuses(480, "Temporarily Unavailable");
    assert_eq!(s.a().got(), ["480"], "no greeting, no message");
    s.finish();
}

#[test]
fn without_a_next_hop_of_its_own_it_goes_as_other_calls() {
    let to = |emergency_next_hop: Option<&str>, next_hop: Option<&str>, destinations: &[&str], route| {
        let profile = Profile {
            emergency_next_hop: emergency_next_hop.map(|hop| hop.parse().unwrap()),
            next_hop: next_hop.map(|hop| hop.parse().unwrap()),
            destinations: destinations.iter().map(|to| to.parse().unwrap()).collect(),
            ..Profile::default()
        };
        let mut s = Setup {
            route,
            ..setup(SOS, Emergency::Call, profile)
        }
        .call();
        let invited = invited(&mut s);
        let told = s.a().got();
        s.a().cancels();
        s.finish();
        invited.map(|(_, route, hop)| (route.concat(), hop)).ok_or(told)
    };
    let hop = |hop: &str| Ok((String::new(), Some(hop.to_owned())));
    let route: &[&str] = &["sip:192.0.2.77;lr"];
    assert_eq!(
        to(None, Some("192.0.2.9"), &[], &[]),
        hop("sip:192.0.2.9"),
        "nothing need admit it"
    );
    assert_eq!(
        to(None, Some("192.0.2.9"), &["192.0.2.0/24"], route),
        Ok(("sip:192.0.2.77;lr".to_owned(), None))
    );
    // A Route that is not admitted could lead anywhere; but the call is not refused for it.
    assert_eq!(to(None, Some("192.0.2.9"), &[], route), hop("sip:192.0.2.9"));
    assert_eq!(
        to(Some("192.0.2.112"), None, &["192.0.2.0/24"], route),
        hop("sip:192.0.2.112")
    );
    // Its own next hop is this server: the next one.
    assert_eq!(to(Some("192.0.2.1"), Some("192.0.2.9"), &[], &[]), hop("sip:192.0.2.9"));
    // Nobody here knows who helps: then the caller's word is followed.
    assert_eq!(to(None, None, &[], route), Ok(("sip:192.0.2.77;lr".to_owned(), None)));
    assert_eq!(
        to(None, None, &[], &[]),
        Err(vec!["480".to_owned()]),
        "nobody is known who helps"
    );
}

#[test]
fn the_outbound_proxy_and_then_the_called_host_are_tried_before_480() {
    let to = |uri, outbound_proxy: &str| {
        let profile = Profile {
            outbound_proxy: (!outbound_proxy.is_empty()).then(|| outbound_proxy.parse().unwrap()),
            ..Profile::default()
        };
        let mut s = setup(uri, Emergency::Call, profile).call();
        let invited = invited(&mut s).map(|(_, route, hop)| (route.concat(), hop));
        let told = s.a().got();
        s.a().cancels();
        s.finish();
        invited.ok_or(told)
    };
    assert_eq!(to(SOS, "sip:192.0.2.5;lr"), Ok(("sip:192.0.2.5;lr".to_owned(), None)));
    assert_eq!(
        to("sip:112@192.0.2.88", ""),
        Ok((String::new(), None)),
        "the host that it names"
    );
    // Both are this server.
    assert_eq!(to(SOS, "sip:192.0.2.1;lr"), Err(vec!["480".to_owned()]));
    assert_eq!(to("sip:112@192.0.2.1", ""), Err(vec!["480".to_owned()]));
}

#[test]
fn who_is_called_back_is_rung_at_once() {
    let mut s = setup("sip:bob@segue.example", Emergency::CallBack, profile()).call();
    assert_eq!(
        invited(&mut s),
        Some(("sip:bob@192.0.2.2:5070".to_owned(), Vec::new(), None)),
        "no hold"
    );
    s.b().rings();
    s.run_ms(100_000);
    assert_eq!(s.b().got(), ["INVITE"], "nor is it given up");
    s.b().refuses(486, "Busy Here");
    assert_eq!(s.a().got(), ["180", "486"], "no mailbox");
    s.finish();
    // Somebody who is no subscriber, where the profile lets calls go on.
    for lookup in [StoreReply::NotFound, StoreReply::LookupFailed { why: "locked".into() }] {
        let profile = Profile {
            unknown_callee: UnknownCallee::Forward,
            destinations: vec!["+49*".parse().unwrap()],
            ..profile()
        };
        let mut s = Setup {
            lookup,
            ..setup("sip:+4930@ims.example", Emergency::CallBack, profile)
        }
        .call();
        assert_eq!(invited(&mut s).unwrap().2.as_deref(), Some("sip:192.0.2.9"));
        s.a().cancels();
        s.finish();
    }
}

#[test]
fn who_calls_back_gets_no_further_than_others() {
    let told = |setup: Setup| {
        let mut s = setup.call();
        let told = s.a().got();
        assert_eq!(invited(&mut s), None);
        s.finish();
        told
    };
    let to = |uri, unknown_callee| {
        let profile = Profile {
            unknown_callee,
            destinations: vec!["+49*".parse().unwrap()],
            ..profile()
        };
        setup(uri, Emergency::CallBack, profile)
    };
    let strange = Setup {
        lookup: StoreReply::NotFound,
        ..to("sip:+4830@ims.example", UnknownCallee::Forward)
    };
    assert_eq!(told(strange), ["403"], "the destinations do not admit it");
    let unknown = Setup {
        lookup: StoreReply::NotFound,
        ..to("sip:+4930@ims.example", UnknownCallee::Reject)
    };
    assert_eq!(told(unknown), ["404"]);
    let circle = Setup {
        is_loop: true,
        ..to("sip:bob@segue.example", UnknownCallee::Reject)
    };
    assert_eq!(told(circle), ["482"]);
    let split = Setup {
        max_breadth: 0,
        ..to("sip:bob@segue.example", UnknownCallee::Reject)
    };
    assert_eq!(told(split), ["440"]);
}

#[test]
fn without_an_offer_help_is_called_before_any_prack() {
    let mut s = Setup {
        offer: None,
        supports_100rel: true,
        ..setup(SOS, Emergency::Call, profile())
    }
    .call();
    assert!(invited(&mut s).is_some(), "{:?}", s.a().got());
    s.b().rings();
    assert_eq!(s.a().got(), ["180"], "nothing to be acknowledged first");
    s.b().answers();
    assert_eq!(s.a().got().last().unwrap(), "200 sdp");
    s.a().cancels();
    s.finish();
}

#[test]
fn an_answer_that_crosses_our_giving_up_is_in_the_record() {
    // `sip` gave up a callee that rang too long, and its answer crossed that.
    let mut s = Setup {
        emergency: Some(Emergency::Call),
        ..setup(SOS, Emergency::Call, profile())
    }
    .call();
    s.b().rings();
    s.b().crosses();
    let record = s.finish();
    assert_eq!(record.legs[1].status, Some(200));
    assert_eq!((record.result, record.answered_at), (CallResult::Failed, None));
    assert_eq!(s.a().got().last().unwrap(), "408");
}
