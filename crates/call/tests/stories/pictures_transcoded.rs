//! A process makes the pictures of the two sides of each other where they have no video codec in common; without one their call goes on.

use segue_call::{MediaAction, MediaEvent};
use segue_records::CallResult;
use segue_sdp::{Codec, Kind};

use crate::stage::{A, AUDIO, B, Setup, Stage, VIDEO, sdp};

const VP8: &str = "m=video 5002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n";
/// A caller with both.
const BOTH: &str = "m=video 4002 RTP/AVP 97 99\r\na=rtpmap:97 H264/90000\r\n\
                    a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\na=rtpmap:99 VP8/90000\r\n";

fn offering(video: &str) -> Setup {
    let mut setup = Setup {
        offer: Some(sdp(&format!("{AUDIO}{video}"))),
        ..Setup::default()
    };
    setup.profile.transcode_video = true;
    setup
}

/// A has watched the clip in H.264, and B has answered with this.
fn answered(setup: Setup, answer: &str) -> Stage {
    let mut s = setup.call();
    s.run_ms(6_100);
    s.b().answers_with(Some(sdp(answer)));
    s.a().acks();
    s
}

fn apart() -> Stage {
    answered(offering(VIDEO), &format!("{AUDIO}{VP8}"))
}

fn pictures(told: &str) -> String {
    let line = told.lines().find(|line| line.starts_with("m=video")).unwrap();
    line.split(' ').skip(3).collect::<Vec<_>>().join(" ")
}

fn asked(s: &Stage) -> usize {
    s.media_did().iter().filter(|did| *did == "transcode pictures").count()
}

fn is_ended(s: &Stage) -> bool {
    s.media_did().contains(&"end transcode pictures".to_owned())
}

fn shows(s: &Stage, of: segue_call::LegId) -> Option<Codec> {
    let actions = s.media_actions().into_iter().rev();
    let mut found = actions.filter_map(|action| match action {
        MediaAction::Configure { leg, video, .. } if leg == of => Some(video.map(|video| video.format.codec)),
        _ => None,
    });
    found.next().unwrap()
}

#[test]
fn a_callee_is_offered_what_can_be_made_and_takes_it() {
    let mut s = apart();
    assert_eq!(pictures(&s.b().told_sdp()), "97 98");
    assert_eq!(shows(&s, B), Some(Codec::Vp8));
    assert!(matches!(shows(&s, A), Some(Codec::H264 { .. })), "A's one answer stays");
    assert_eq!(
        s.a().got(),
        ["183 sdp", "200 sdp"],
        "nobody is asked for a codec it does not have"
    );
    assert_eq!((asked(&s), is_ended(&s)), (1, false));
    // Hold passes, each in its own codec.
    s.a()
        .offers(Some(sdp(&format!("{AUDIO}a=sendonly\r\n{VIDEO}a=sendonly\r\n"))));
    let told = s.b().told_sdp();
    assert_eq!(
        (pictures(&told).as_str(), told.matches("a=sendonly").count()),
        ("98", 2)
    );
    s.b()
        .answers_our_offer(sdp(&format!("{AUDIO}a=recvonly\r\n{VP8}a=recvonly\r\n")));
    assert_eq!(pictures(&s.a().told_sdp()), "97");
    assert_eq!((asked(&s), is_ended(&s)), (1, false));
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.why.as_str()),
        (CallResult::Answered, "The callee answered; the caller hung up.")
    );
}

#[test]
fn nothing_is_made_unless_the_profile_says_so_or_where_the_callee_has_the_callers_codec() {
    let mut off = offering(VIDEO);
    off.profile.transcode_video = false;
    let mut s = answered(off, &format!("{AUDIO}m=video 0 RTP/AVP 97\r\n"));
    assert_eq!((pictures(&s.b().told_sdp()).as_str(), asked(&s)), ("97", 0));
    s.a().hangs_up();
    s.finish();
    // It says that it has both: the first of ours counts.
    let both = format!(
        "{AUDIO}m=video 5002 RTP/AVP 98 97\r\na=rtpmap:98 VP8/90000\r\na=rtpmap:97 H264/90000\r\n\
                        a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n"
    );
    for answer in [format!("{AUDIO}{VIDEO}"), both, AUDIO.to_owned()] {
        let mut s = answered(offering(VIDEO), &answer);
        assert_eq!(asked(&s), 0, "{answer}");
        s.a().hangs_up();
        s.finish();
    }
}

#[test]
fn a_caller_that_has_both_is_brought_to_its_callees_and_only_else_is_it_made() {
    for takes in [true, false] {
        let mut s = answered(offering(BOTH), &format!("{AUDIO}{VP8}"));
        assert_eq!((s.a().got().last().unwrap().as_str(), asked(&s)), ("offer", 0));
        assert_eq!(pictures(&s.a().told_sdp()), "99");
        match takes {
            true => {
                let its = VP8.replace("98", "99");
                s.a().answers_our_offer(sdp(&format!("{AUDIO}{its}")));
                assert_eq!((shows(&s, A), asked(&s)), (Some(Codec::Vp8), 0));
            }
            false => {
                s.a().refuses_our_offer(488);
                assert_eq!((asked(&s), is_ended(&s)), (1, false));
            }
        }
        s.a().hangs_up();
        assert_eq!(s.finish().result, CallResult::Answered);
    }
}

#[test]
fn past_the_budget_the_call_goes_on_with_sound_alone_and_the_record_says_why() {
    let mut setup = offering(VIDEO);
    setup.no_transcoder = Some("no transcoding capacity: of 16 places 12 are taken, and pictures take 8");
    let mut s = answered(setup, &format!("{AUDIO}{VP8}"));
    s.run_ms(60_000);
    assert_eq!(asked(&s), 1, "once");
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    // It is not asked for again by what passes between them.
    s.a().offers(Some(sdp(&format!("{AUDIO}a=sendonly\r\n{VIDEO}"))));
    s.b().answers_our_offer(sdp(&format!("{AUDIO}a=recvonly\r\n{VP8}")));
    assert_eq!(asked(&s), 1);
    s.b().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!(
        record.why,
        "The callee answered and hung up (no pictures crossed: no transcoding capacity: of 16 places 12 are taken, and pictures take 8)."
    );
}

#[test]
fn a_process_that_ends_is_followed_by_another_and_never_ends_the_call() {
    let mut s = apart();
    let lost = || MediaEvent::TranscoderLost { kind: Kind::Video };
    for times in 1..=2 {
        s.media(lost());
        s.run_ms(10);
        assert_eq!(asked(&s), 1 + times);
    }
    s.media(lost());
    s.run_ms(60_000);
    assert_eq!(asked(&s), 3, "not for ever");
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"], "no BYE");
    assert!(!s.b().got().contains(&"BYE".to_owned()));
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(record.result, CallResult::Answered);
    assert_eq!(
        record.why,
        "The callee answered; the caller hung up (no pictures crossed: the transcoding process ended 3 times)."
    );
}

#[test]
fn pictures_that_come_to_one_codec_or_to_an_end_give_the_process_back() {
    // A changes to what B has.
    let mut s = answered(offering(BOTH), &format!("{AUDIO}{VP8}"));
    s.a().refuses_our_offer(488);
    assert_eq!((asked(&s), is_ended(&s)), (1, false));
    s.a().offers(Some(sdp(&format!("{AUDIO}{}", VP8.replace("98", "99")))));
    s.b().answers_our_offer(sdp(&format!("{AUDIO}{VP8}")));
    assert!(is_ended(&s), "{:?}", s.media_did());
    s.a().hangs_up();
    s.finish();
    // B switches its camera off for good, and on again.
    let mut s = apart();
    s.b().offers(Some(sdp(&format!("{AUDIO}m=video 0 RTP/AVP 98\r\n"))));
    s.a().answers_our_offer(sdp(&format!("{AUDIO}{VIDEO}")));
    assert!(is_ended(&s), "{:?}", s.media_did());
    s.a().hangs_up();
    s.finish();
}

#[test]
fn sound_and_pictures_are_made_by_a_process_each() {
    let opus = "m=audio 4000 RTP/AVP 107\r\na=rtpmap:107 opus/48000/2\r\n";
    let mut setup = offering(VIDEO).lookup(|l| (l.clip, l.greeting) = (None, None));
    setup.offer = Some(sdp(&format!("{opus}{VIDEO}")));
    let mut s = setup.call();
    s.b().refuses(488, "Not Acceptable Here");
    s.run_ms(10);
    s.target(2)
        .answers_with(Some(sdp(&format!("m=audio 5000 RTP/AVP 0\r\n{VP8}"))));
    s.a().acks();
    let did = s.media_did();
    for what in ["transcode", "transcode pictures"] {
        assert_eq!(did.iter().filter(|did| *did == what).count(), 1, "{did:?}");
    }
    s.media(MediaEvent::TranscoderLost { kind: Kind::Video });
    s.run_ms(10);
    assert_eq!(asked(&s), 2);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}
