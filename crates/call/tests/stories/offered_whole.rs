//! A caller that has no answer yet can be brought to whatever its callee takes: that one is offered all that the caller offers.

use segue_call::Early;
use segue_policy::{CalleeEarlyMedia, Transcode, UnknownCallee};
use segue_records::CallResult;
use segue_sdp::Codec;

use crate::stage::{A, Setup, Stage, VIDEO, sdp};

const MORE: &str =
    "m=audio 4000 RTP/AVP 9 0 107 101\r\na=rtpmap:107 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
const PCMU: &str = "m=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// A call that just goes on.
fn plain() -> Setup {
    let mut setup = Setup {
        offer: Some(sdp(MORE)),
        to: "sip:someone@192.0.2.7",
        lookup: segue_call::StoreReply::NotFound,
        ..Setup::default()
    };
    setup.profile.unknown_callee = UnknownCallee::Forward;
    setup.profile.destinations = vec!["192.0.2.0/24".parse().unwrap()];
    setup
}

fn formats(told: &str, media: &str) -> String {
    let line = told
        .lines()
        .find(|line| line.starts_with(&format!("m={media}")))
        .unwrap();
    line.split(' ').skip(3).collect::<Vec<_>>().join(" ")
}

fn speaks(s: &Stage, of: segue_call::LegId) -> Codec {
    let actions = s.media_actions().into_iter().rev();
    let mut found = actions.filter_map(|action| match action {
        segue_call::MediaAction::Configure { leg, audio, .. } if leg == of => Some(audio.unwrap().format.codec),
        _ => None,
    });
    found.next().unwrap()
}

#[test]
fn a_callee_is_offered_the_callers_formats_in_its_order_and_the_caller_answered_what_it_takes() {
    let mut s = plain().call();
    s.run_ms(10);
    assert_eq!(formats(&s.b().told_sdp(), "audio"), "9 0 107 101 102");
    s.b().answers_with(Some(sdp(PCMU)));
    assert_eq!(formats(&s.a().told_sdp(), "audio"), "0 101");
    assert_eq!(speaks(&s, A), Codec::Pcmu);
    s.a().acks();
    assert_eq!(s.a().got(), ["200 sdp"], "nobody is asked again");
    assert!(s.media_did().iter().all(|did| !did.contains("transcode")));
    s.a().hangs_up();
    let record = s.finish();
    let statuses: Vec<_> = record.legs.iter().map(|leg| leg.status).collect();
    assert_eq!(
        (record.result, statuses),
        (CallResult::Answered, vec![Some(200), Some(200)])
    );
}

#[test]
fn pictures_too_are_offered_in_each_codec_of_the_callers() {
    let both = "m=video 4002 RTP/AVP 99 97\r\na=rtpmap:99 VP8/90000\r\na=rtpmap:97 H264/90000\r\n\
                a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n";
    let mut setup = plain();
    setup.offer = Some(sdp(&format!("{MORE}{both}")));
    let mut s = setup.call();
    s.run_ms(10);
    assert_eq!(formats(&s.b().told_sdp(), "video"), "99 97");
    s.b().answers_with(Some(sdp(&format!("{PCMU}{VIDEO}"))));
    assert_eq!(formats(&s.a().told_sdp(), "video"), "97");
    s.a().acks();
    assert_eq!(s.a().got(), ["200 sdp"]);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_subscriber_without_a_clip_is_offered_all_and_one_with_a_clip_what_the_caller_was_answered() {
    for (clip, expected) in [(false, "9 0 107 101 102"), (true, "0 101")] {
        let setup = Setup {
            offer: Some(sdp(MORE)),
            ..Setup::default()
        };
        let mut s = match clip {
            true => setup.call(),
            false => setup.lookup(|l| l.clip = None).call(),
        };
        s.run_ms(6_100);
        assert_eq!(formats(&s.b().told_sdp(), "audio"), expected, "a clip: {clip}");
        s.a().cancels();
        s.finish();
    }
}

#[test]
fn one_that_refuses_all_of_it_is_not_asked_the_same_again() {
    let mut setup = plain();
    setup.profile.transcode = Transcode::Off;
    let mut s = setup.call();
    s.b().refuses(488, "Not Acceptable Here");
    s.run_ms(1_000);
    assert!(s.target(2).got().is_empty());
    assert_eq!(s.finish().cause, Some(488));
    // What can be made of the caller's is new to it.
    let mut s = plain().call();
    s.b().refuses(488, "Not Acceptable Here");
    s.run_ms(10);
    assert_eq!(formats(&s.target(2).told_sdp(), "audio"), "9 0 107 8 101 102");
    s.target(2).answers_with(Some(sdp("m=audio 5000 RTP/AVP 8\r\n")));
    s.a().acks();
    s.a().hangs_up();
    s.finish();
}

#[test]
fn where_the_profile_brings_nobody_to_another_codec_one_is_offered() {
    let mut setup = plain();
    setup.profile.align = false;
    let mut s = setup.call();
    s.run_ms(10);
    assert_eq!(formats(&s.b().told_sdp(), "audio"), "9 101");
    s.a().cancels();
    s.finish();
}

#[test]
fn a_caller_that_hears_its_callee_early_is_answered_in_that_ones_codec() {
    let mut setup = plain();
    setup.profile.callee_early_media = CalleeEarlyMedia::Any;
    let mut s = setup.call();
    s.b().early(Early {
        status: 183,
        fork: Some("one".into()),
        sdp: Some(sdp(PCMU)),
        ..Early::default()
    });
    s.run_ms(10);
    assert_eq!(formats(&s.a().told_sdp(), "audio"), "0 101");
    s.b().answers_with(Some(sdp(PCMU)));
    s.a().acks();
    assert!(!s.a().got().contains(&"offer".to_owned()));
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}
