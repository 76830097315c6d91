//! B says 3xx: the call goes on to targets that the profile allows, and the caller goes on watching the clip.

use segue_call::LegAction;
use segue_records::CallResult;

use crate::stage::{Setup, Stage};

fn ringing() -> Stage {
    let mut setup = Setup::default();
    setup.profile.redirect_targets = vec!["192.0.2.0/24".parse().unwrap(), "*.example.com".parse().unwrap()];
    let mut s = setup.call();
    s.run_ms(6_100);
    s
}

fn invited(s: &mut Stage, number: u32) -> Option<(String, Option<String>)> {
    s.target(number).actions().into_iter().find_map(|action| match action {
        LegAction::Invite { target, trail, .. } => {
            let entries = trail.entries.join(", ");
            Some((target.to_string(), trail.redirected.map(|_| entries)))
        }
        _ => None,
    })
}

#[test]
fn the_call_goes_on_by_preference_and_tells_its_history() {
    let mut s = ringing();
    assert_eq!(invited(&mut s, 1).unwrap().1, None, "nothing to tell yet");
    s.target(1)
        .redirects(302, &[("sip:low@192.0.2.8", 100), ("sip:bob@mobile.example.com", 900)]);
    s.run_ms(1);
    let dialled = "<sip:bob@segue.example>;index=1";
    let first = "<sip:bob@192.0.2.2:5070?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1";
    let (to, history) = invited(&mut s, 2).unwrap();
    assert_eq!(to, "sip:bob@mobile.example.com");
    assert_eq!(
        history.unwrap(),
        format!("{dialled}, {first}, <sip:bob@mobile.example.com>;index=1.2")
    );
    assert!(invited(&mut s, 3).is_none(), "one after the other");
    s.target(2).refuses(480, "");
    s.run_ms(1);
    let (to, history) = invited(&mut s, 3).unwrap();
    assert_eq!(to, "sip:low@192.0.2.8");
    assert_eq!(
        history.unwrap(),
        format!("{dialled}, {first}, <sip:low@192.0.2.8>;index=1.3")
    );
    assert!(
        !s.media_did().iter().any(|did| did == "play greeting"),
        "the clip goes on"
    );
    s.target(3).answers();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    let statuses: Vec<_> = record.legs.iter().map(|leg| leg.status).collect();
    assert_eq!(statuses, [Some(200), Some(302), Some(480), Some(200)]);
}

#[test]
fn a_redirect_of_a_redirect_tells_the_whole_way() {
    let mut s = ringing();
    s.target(1).redirects(301, &[("sip:bob@192.0.2.8", 1_000)]);
    s.run_ms(1);
    s.target(2).redirects(302, &[("sip:bob@192.0.2.9", 1_000)]);
    s.run_ms(1);
    let (_, history) = invited(&mut s, 3).unwrap();
    assert_eq!(
        history.unwrap(),
        "<sip:bob@segue.example>;index=1, <sip:bob@192.0.2.2:5070?Reason=SIP%3Bcause%3D301>;index=1.1;rc=1, \
         <sip:bob@192.0.2.8?Reason=SIP%3Bcause%3D302>;index=1.2, <sip:bob@192.0.2.9>;index=1.3"
    );
    s.a().cancels();
    s.finish();
}

#[test]
fn what_the_profile_does_not_allow_is_not_called() {
    let mut s = ringing();
    s.target(1).redirects(
        302,
        &[
            ("sip:premium@198.51.100.1", 1_000),
            ("sip:bob@example.org", 900),
            ("tel:+43123", 900),
            ("sip:bob@192.0.2.2:5070", 800),
            (&format!("sip:{}@192.0.2.9", "b".repeat(300)), 700),
        ],
    );
    s.run_ms(1);
    assert!(invited(&mut s, 2).is_none());
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(302)));
    assert!(record.why.contains("which is not followed"), "{}", record.why);
}

#[test]
fn no_uri_is_called_twice_and_five_at_most() {
    let mut s = ringing();
    for n in 1..=9 {
        if invited(&mut s, n).is_some() {
            let next = format!("sip:bob@192.0.2.{}", 100 + n);
            // Back to where it came from, twice the same, and onwards.
            let back = invited(&mut s, n).unwrap().0;
            s.target(n)
                .redirects(302, &[(&back, 1_000), (&next, 900), (&next, 900)]);
            s.run_ms(1);
        }
    }
    let called: Vec<String> = (1..=9).filter_map(|n| invited(&mut s, n)).map(|(to, _)| to).collect();
    let expected: Vec<String> = ["2:5070", "101", "102", "103", "104", "105"]
        .iter()
        .map(|end| format!("sip:bob@192.0.2.{end}"))
        .collect();
    assert_eq!(called, expected);
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().cause, Some(302));
}

#[test]
fn a_redirected_target_that_does_not_answer_makes_way_for_the_next() {
    let mut s = ringing();
    s.target(1)
        .redirects(302, &[("sip:a@192.0.2.8", 1_000), ("sip:b@192.0.2.9", 900)]);
    s.run_ms(1);
    s.run_ms(15_100);
    assert_eq!(s.target(2).got(), ["INVITE", "CANCEL"]);
    assert_eq!(s.target(3).got(), ["INVITE"]);
    s.run_ms(5_000);
    assert_eq!(s.target(3).got(), ["INVITE", "CANCEL"], "20 s in all");
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().cause, Some(408));
}
