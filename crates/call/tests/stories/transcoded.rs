//! A process makes the sound of the two sides of each other where they have no codec in common, within a budget.

use segue_call::{MediaEvent, RefuseInfo};
use segue_policy::{Transcode, UnknownCallee};
use segue_records::CallResult;
use segue_sdp::Kind;

use crate::stage::{Setup, Stage, sdp};

const OPUS: &str = "m=audio 4000 RTP/AVP 107 101\r\na=rtpmap:107 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
const PCMU: &str = "m=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const G722: &str = "m=audio 5000 RTP/AVP 9\r\n";

/// A caller with Opus alone, who is heard by nobody but by it.
fn opus_alone() -> Setup {
    Setup {
        offer: Some(sdp(OPUS)),
        ..Setup::default().lookup(|l| (l.clip, l.greeting) = (None, None))
    }
}

/// B has refused Opus and is asked for something else.
fn asked_wider(setup: Setup) -> Stage {
    let mut s = setup.call();
    s.b().refuses(488, "Not Acceptable Here");
    s.run_ms(10);
    s
}

fn formats(told: &str) -> String {
    let line = told.lines().find(|line| line.starts_with("m=audio")).unwrap();
    line.split(' ').skip(3).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_callee_without_the_callers_one_codec_is_offered_what_can_be_made_of_it() {
    let mut s = asked_wider(opus_alone());
    assert_eq!(formats(&s.target(2).told_sdp()), "107 9 8 0 101 102");
    let did = s.media_did();
    let (transcode, open) = (
        did.iter().position(|d| d == "transcode"),
        did.iter().rposition(|d| d.starts_with("open")),
    );
    assert!(transcode < open && transcode.is_some(), "{did:?}");
    s.target(2).answers_with(Some(sdp(PCMU)));
    s.a().acks();
    assert_eq!(s.a().got(), ["200 sdp"], "it cannot be brought to PCMU");
    assert!(!s.media_did().contains(&"end transcode".to_owned()));
    // Hold passes, each in its own codec.
    s.a().offers(Some(sdp(&format!("{OPUS}a=sendonly\r\n"))));
    let told = s.target(2).told_sdp();
    assert_eq!((formats(&told).as_str(), told.contains("a=sendonly")), ("0 101", true));
    s.target(2).answers_our_offer(sdp(&format!("{PCMU}a=recvonly\r\n")));
    assert_eq!(formats(&s.a().told_sdp()), "107 101");
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_caller_that_refuses_its_callees_codec_goes_on_by_the_process() {
    // It was held on a clip and has its answer: PCMU.
    let mut setup = Setup {
        offer: Some(sdp("m=audio 4000 RTP/AVP 0 9\r\n")),
        ..Setup::default()
    };
    setup.profile.transcode = Transcode::Audio;
    let mut s = setup.call();
    s.run_ms(6_100);
    s.b().refuses(488, "Not Acceptable Here");
    s.run_ms(10);
    s.target(2).answers_with(Some(sdp(G722)));
    s.a().acks();
    assert_eq!(s.a().got().last().unwrap(), "offer");
    s.a().refuses_our_offer(488);
    assert_eq!(s.a().got().last().unwrap(), "offer", "no BYE");
    assert!(!s.media_did().contains(&"end transcode".to_owned()));
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn what_comes_together_gives_the_process_back() {
    for aligned in [true, false] {
        let mut s = Setup {
            offer: Some(sdp("m=audio 4000 RTP/AVP 0 9\r\n")),
            ..Setup::default()
        }
        .call();
        s.run_ms(6_100);
        s.b().refuses(488, "Not Acceptable Here");
        s.run_ms(10);
        let answer = if aligned { G722 } else { "m=audio 5000 RTP/AVP 0\r\n" };
        s.target(2).answers_with(Some(sdp(answer)));
        s.a().acks();
        if aligned {
            s.a().answers_our_offer(sdp(G722));
        }
        assert!(s.media_did().contains(&"end transcode".to_owned()), "{aligned}");
        s.a().hangs_up();
        s.finish();
    }
    // Nobody took the call.
    let mut s = asked_wider(opus_alone());
    s.target(2).refuses(486, "Busy Here");
    assert!(s.media_did().contains(&"end transcode".to_owned()));
    s.run_ms(8_000);
    s.a().hangs_up();
    s.finish();
}

#[test]
fn past_the_budget_a_call_without_a_mailbox_is_refused_with_the_reason() {
    let why = "no transcoding capacity: 4 calls are transcoded, as many as may be";
    let mut setup = Setup {
        offer: Some(sdp(OPUS)),
        to: "sip:someone@192.0.2.7",
        lookup: segue_call::StoreReply::NotFound,
        no_transcoder: Some(why),
        ..Setup::default()
    };
    setup.profile.unknown_callee = UnknownCallee::Forward;
    setup.profile.destinations = vec!["192.0.2.0/24".parse().unwrap()];
    let mut s = asked_wider(setup);
    assert!(s.target(2).got().is_empty(), "B is not called in vain");
    let refused = s.a().actions().into_iter().find_map(|action| match action {
        segue_call::LegAction::Refuse(info) => Some(info),
        _ => None,
    });
    let RefuseInfo { status, warning, .. } = refused.unwrap();
    assert_eq!((status, warning), (488, Some(format!("305 segue \"{why}\""))));
    let record = s.finish();
    assert_eq!((record.result, record.cause), (CallResult::Failed, Some(488)));
    assert_eq!(
        record.why,
        format!("The callee accepted none of the caller's codecs ({why}).")
    );
}

#[test]
fn past_the_budget_what_the_caller_has_besides_is_offered_all_the_same() {
    let setup = Setup {
        offer: Some(sdp("m=audio 4000 RTP/AVP 0 9\r\n")),
        no_transcoder: Some("no transcoding capacity"),
        ..Setup::default()
    };
    let mut s = setup.call();
    s.run_ms(6_100);
    s.b().refuses(488, "Not Acceptable Here");
    s.run_ms(10);
    assert_eq!(
        formats(&s.target(2).told_sdp()),
        "0 9 8 101",
        "the other law needs no process"
    );
    s.target(2).answers_with(Some(sdp(G722)));
    s.a().acks();
    // Refused now there is no way left.
    s.a().refuses_our_offer(488);
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    assert_eq!(
        s.a().got_reason().unwrap(),
        "Q.850;cause=58;text=\"No transcoding capacity\""
    );
    assert!(s.finish().why.contains("no transcoding capacity"));
}

#[test]
fn a_process_that_ends_is_followed_by_another_but_not_for_ever() {
    let mut s = asked_wider(opus_alone());
    s.target(2).answers_with(Some(sdp(PCMU)));
    s.a().acks();
    for lost in 1..=2 {
        s.media(MediaEvent::TranscoderLost { kind: Kind::Audio });
        s.run_ms(10);
        let asked = s.media_did().iter().filter(|did| *did == "transcode").count();
        assert_eq!(asked, 1 + lost, "and the call goes on");
    }
    s.media(MediaEvent::TranscoderLost { kind: Kind::Audio });
    assert_eq!(s.a().got().last().unwrap(), "BYE");
    assert_eq!(s.target(2).got().last().unwrap(), "BYE");
    assert!(s.finish().why.contains("the transcoding process ended again and again"));
}

#[test]
fn nothing_is_transcoded_where_the_profile_says_so() {
    let mut setup = opus_alone();
    setup.profile.transcode = Transcode::Off;
    let mut s = asked_wider(setup);
    assert!(s.target(2).got().is_empty() && !s.media_did().contains(&"transcode".to_owned()));
    s.run_ms(8_000);
    s.a().hangs_up();
    assert_eq!(s.finish().cause, Some(488));
}
