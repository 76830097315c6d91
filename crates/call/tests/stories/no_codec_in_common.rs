//! A callee that does not have the codec which its caller was answered: it is offered more, and the caller is brought to it.

use segue_call::{LegAction, MediaAction};
use segue_policy::Transcode;
use segue_records::CallResult;
use segue_sdp::{Codec, Stream};

use crate::stage::{A, AUDIO, Setup, Stage, VIDEO, sdp};

const PCMA: &str = "m=audio 5000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const G722: &str = "m=audio 5000 RTP/AVP 9\r\n";
/// A caller with more than G.711.
const MORE: &str =
    "m=audio 4000 RTP/AVP 0 9 107 101\r\na=rtpmap:107 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";

/// Held, then refused the codec: B is offered more.
fn asked_wider(setup: Setup) -> Stage {
    let mut s = setup.call();
    s.run_ms(6_100);
    s.b().refuses(488, "Not Acceptable Here");
    s.run_ms(10);
    assert_eq!(s.target(2).got(), ["INVITE"]);
    s
}

fn configured(s: &Stage, of: segue_call::LegId) -> Stream {
    let actions = s.media_actions().into_iter().rev();
    let mut found = actions.filter_map(|action| match action {
        MediaAction::Configure { leg, audio, .. } if leg == of => audio,
        _ => None,
    });
    found.next().unwrap()
}

fn formats(told: &str) -> String {
    let line = told.lines().find(|line| line.starts_with("m=audio")).unwrap();
    line.split(' ').skip(3).collect::<Vec<_>>().join(" ")
}

const B2: segue_call::LegId = segue_call::LegId(2);

#[test]
fn a_callee_that_takes_another_of_the_callers_codecs_brings_the_caller_to_it() {
    let mut s = asked_wider(Setup::default());
    assert_eq!(formats(&s.b().told_sdp()), "0 101", "first what A was answered alone");
    assert_eq!(formats(&s.target(2).told_sdp()), "0 8 111 9 101 102");
    s.target(2).answers_with(Some(sdp(&format!("{PCMA}{VIDEO}"))));
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"], "the one answer stays");
    s.a().acks();
    assert_eq!(s.a().got().last().unwrap(), "offer");
    assert_eq!(formats(&s.a().told_sdp()), "8 101");
    assert!(s.a().told_sdp().contains("m=video"), "pictures stay as they are");
    s.a().answers_our_offer(sdp(&format!("{PCMA}{VIDEO}")));
    for leg in [A, B2] {
        assert_eq!(configured(&s, leg).format.codec, Codec::Pcma);
    }
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    let statuses: Vec<_> = record.legs.iter().map(|leg| leg.status).collect();
    assert_eq!(statuses, [Some(200), Some(488), Some(200)]);
}

#[test]
fn a_caller_that_has_no_answer_yet_is_answered_in_the_callees_codec() {
    for status in [488, 606] {
        let mut s = Setup::default().lookup(|l| (l.clip, l.greeting) = (None, None)).call();
        s.b().refuses(status, "Not Acceptable");
        s.run_ms(10);
        s.target(2).answers_with(Some(sdp(&format!("{PCMA}{VIDEO}"))));
        assert_eq!(s.a().got(), ["200 sdp"]);
        assert_eq!(formats(&s.a().told_sdp()), "8 101");
        s.a().acks();
        assert_eq!(s.a().got(), ["200 sdp"], "nothing is left to align");
        for leg in [A, B2] {
            assert_eq!(configured(&s, leg).format.codec, Codec::Pcma);
        }
        s.a().hangs_up();
        s.finish();
    }
}

#[test]
fn a_caller_that_refuses_the_other_law_of_g711_keeps_its_own() {
    let mut s = asked_wider(Setup::default());
    s.target(2).answers_with(Some(sdp(&format!("{PCMA}{VIDEO}"))));
    s.a().acks();
    s.a().refuses_our_offer(488);
    assert_eq!(configured(&s, A).format.codec, Codec::Pcmu);
    assert_eq!(configured(&s, B2).format.codec, Codec::Pcma);
    // What one changes the other is asked in its own codec.
    s.a()
        .offers(Some(sdp(&format!("{AUDIO}a=sendonly\r\n{VIDEO}a=sendonly\r\n"))));
    let told = s.target(2).told_sdp();
    assert_eq!(
        (formats(&told).as_str(), told.matches("a=sendonly").count()),
        ("8 101", 2),
        "{told}"
    );
    s.target(2)
        .answers_our_offer(sdp(&format!("{PCMA}a=recvonly\r\n{VIDEO}a=recvonly\r\n")));
    assert_eq!(s.a().got().last().unwrap(), "accept");
    assert_eq!(formats(&s.a().told_sdp()), "0 101");
    s.target(2).hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_caller_without_the_other_law_is_never_asked_for_it() {
    let setup = Setup {
        offer: Some(sdp("m=audio 4000 RTP/AVP 0\r\n")),
        ..Setup::default()
    };
    let mut s = asked_wider(setup);
    s.target(2).answers_with(Some(sdp(PCMA)));
    s.a().acks();
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_caller_that_takes_no_codec_of_its_callee_ends_the_call_with_a_reason() {
    let mut setup = Setup {
        offer: Some(sdp(MORE)),
        ..Setup::default()
    };
    setup.profile.transcode = Transcode::Off;
    let mut s = asked_wider(setup);
    assert_eq!(formats(&s.target(2).told_sdp()), "0 9 107 101 102");
    s.target(2).answers_with(Some(sdp(G722)));
    s.a().acks();
    assert_eq!(formats(&s.a().told_sdp()), "9 101");
    s.a().refuses_our_offer(488);
    for got in [s.a().got(), s.target(2).got()] {
        assert_eq!(got.last().unwrap(), "BYE");
    }
    assert!(s.a().got_reason().unwrap().contains("cause=488"));
    let record = s.finish();
    assert_eq!(
        record.why,
        "The callee answered; the caller does not take the callee's codec."
    );
}

#[test]
fn a_caller_whose_own_offer_comes_first_is_asked_again() {
    let mut s = asked_wider(Setup {
        offer: Some(sdp(MORE)),
        ..Setup::default()
    });
    s.target(2).answers_with(Some(sdp(G722)));
    s.a().acks();
    for _ in 0..2 {
        s.a().refuses_our_offer(491);
        assert_eq!(s.a().got().last().unwrap(), "offer");
        s.run_ms(1_100);
    }
    assert_eq!(s.a().got()[2..], ["offer", "offer", "offer"]);
    s.a().answers_our_offer(sdp(G722));
    assert_eq!(configured(&s, A).format.codec, Codec::G722);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn nobody_is_asked_twice_where_the_profile_does_not_want_it_or_there_is_nothing_more() {
    let mut off = Setup::default();
    (off.profile.align, off.profile.transcode) = (false, Transcode::Off);
    let mut alone = Setup {
        offer: Some(sdp("m=audio 4000 RTP/AVP 9\r\n")),
        ..Setup::default()
    };
    alone.profile.transcode = Transcode::Off;
    for setup in [off, alone] {
        let mut s = setup.call();
        s.run_ms(6_100);
        s.b().refuses(488, "Not Acceptable Here");
        assert!(s.target(2).got().is_empty());
        s.a().hangs_up();
        assert_eq!(s.finish().cause, Some(488));
    }
}

#[test]
fn who_refuses_that_as_well_is_missed() {
    let mut s = asked_wider(Setup::default());
    s.target(2).refuses(488, "Not Acceptable Here");
    s.run_ms(8_000);
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Message, Some(488)));
    assert!(s.target(3).got().is_empty());
}

#[test]
fn what_was_not_offered_connects_nobody() {
    let mut s = asked_wider(Setup {
        no_transcoder: Some("no transcoding capacity"),
        ..Setup::default()
    });
    s.target(2).answers_with(Some(sdp(G722)));
    assert_eq!(s.target(2).got(), ["INVITE", "BYE"]);
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().cause, Some(488));
    let said = s.a().actions();
    assert!(!said.iter().any(|action| matches!(action, LegAction::Offer { .. })));
}
