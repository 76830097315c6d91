//! Busy, declined, unreachable, incompatible: each goes to the mailbox with its cause.

use segue_records::CallResult;

use crate::stage::{AUDIO, Setup, sdp};

/// B ends its leg so; the caller leaves a message. Cause and the sentence's beginning.
fn story(end: impl FnOnce(&mut crate::stage::Stage)) -> (Option<u16>, String) {
    story_of(Setup::default(), end)
}

fn story_of(setup: Setup, end: impl FnOnce(&mut crate::stage::Stage)) -> (Option<u16>, String) {
    let mut s = setup.call();
    s.run_ms(6_100);
    end(&mut s);
    assert_eq!(s.media_did()[4..6], ["close b", "play greeting"], "at once");
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Message);
    assert_eq!(record.legs[0].status, Some(200));
    (record.cause, record.why.split(';').next().unwrap().to_owned())
}

#[test]
fn busy() {
    let (cause, why) = story(|s| s.b().refuses(486, "Busy Here"));
    assert_eq!(
        (cause, why.as_str()),
        (Some(486), "The callee was busy (486 Busy Here)")
    );
}

#[test]
fn declined() {
    let (cause, why) = story(|s| s.b().refuses(603, "Decline"));
    assert_eq!((cause, why.as_str()), (Some(603), "The callee declined (603 Decline)"));
}

#[test]
fn not_available() {
    let (cause, why) = story(|s| s.b().refuses(480, ""));
    assert_eq!(
        (cause, why.as_str()),
        (Some(480), "The callee was not available (480 Temporarily Unavailable)")
    );
}

#[test]
fn never_responds() {
    let (cause, why) = story(|s| s.b().cannot_be_reached(408));
    assert_eq!(
        (cause, why.as_str()),
        (
            Some(408),
            "The callee did not respond at all (408 of our own: 192.0.2.9:5060 said nothing)"
        )
    );
}

#[test]
fn unreachable() {
    let (cause, why) = story(|s| s.b().cannot_be_reached(503));
    assert_eq!(
        (cause, why.as_str()),
        (
            Some(503),
            "The callee could not be reached (503 of our own: 192.0.2.9:5060 said nothing)"
        )
    );
}

#[test]
fn codecs_refused() {
    let mut s = Setup::default();
    s.profile.align = false;
    s.profile.transcode = segue_policy::Transcode::Off;
    let (cause, why) = story_of(s, |s| s.b().refuses(488, "Not Acceptable Here"));
    assert_eq!(cause, Some(488));
    assert!(
        why.starts_with("The callee accepted none of the caller's codecs"),
        "{why}"
    );
}

#[test]
fn server_fault_with_a_phrase_from_hell() {
    let (cause, why) = story(|s| s.b().refuses(500, &"x\r\nEvil: y ".repeat(50)));
    assert_eq!(cause, Some(500));
    assert!(why.len() < 200 && !why.contains(char::is_control), "{why:?}");
}

#[test]
fn redirects_are_followed_only_where_the_profile_says() {
    let (cause, why) = story(|s| s.b().redirects(302, &[("sip:bob@192.0.2.9", 1_000)]));
    assert_eq!(cause, Some(302));
    assert_eq!(
        why,
        "The callee is to be reached elsewhere, which is not followed (302 Moved Temporarily)"
    );
}

#[test]
fn breaks_off() {
    assert_eq!(story(|s| s.b().breaks_off()).0, Some(500));
}

#[test]
fn answers_with_nothing_to_connect() {
    for answer in [
        None,
        Some(sdp("m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 97\r\n")),
        Some((*b"nonsense").into()),
    ] {
        let mut s = Setup::default().call();
        s.run_ms(6_100);
        s.b().answers_with(answer);
        assert_eq!(s.b().got(), ["INVITE", "BYE"]);
        assert_eq!(s.media_did()[4..6], ["close b", "play greeting"]);
        s.run_ms(8_000);
        s.a().hangs_up();
        let record = s.finish();
        assert_eq!((record.result, record.cause), (CallResult::Message, Some(488)));
    }
}

#[test]
fn a_target_that_is_no_address() {
    let mut s = Setup::default()
        .lookup(|l| l.plan.targets = vec!["tel:+4312345".into()])
        .call();
    assert_eq!(s.media_did(), ["open a", "configure a", "play greeting"]);
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(404)));
    assert!(s.b().got().is_empty());
}

#[test]
fn no_ports_for_b() {
    let mut s = Setup {
        no_ports: vec![crate::stage::B],
        ..Setup::default()
    }
    .call();
    s.run_ms(6_100);
    assert_eq!(s.media_did().last().unwrap(), "play greeting");
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(503)));
}

#[test]
fn a_caller_who_can_only_listen_hears_the_greeting_and_no_more() {
    let offer = Some(sdp(&format!("{AUDIO}a=recvonly\r\n")));
    let mut s = Setup {
        offer: offer.clone(),
        ..Setup::default()
    }
    .call();
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.run_ms(5_000);
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp", "BYE"]);
    assert_eq!(s.finish().result, CallResult::Greeted);

    let mut s = Setup {
        offer,
        ..Setup::default()
    }
    .lookup(|l| l.greeting = None)
    .call();
    s.run_ms(6_100);
    s.b().refuses(503, "Service Unavailable");
    assert_eq!(s.a().got(), ["183 sdp", "480"], "a 503 of B is never shown to A");
    assert_eq!(s.finish().result, CallResult::Failed);
}
