//! `video_upgrade`: a caller who offered sound alone is offered the clip's pictures by UPDATE before the clip begins (RFC 3311).

use std::sync::Arc;

use segue_call::{MediaAction, Source};
use segue_records::CallResult;

use crate::stage::{AUDIO, PACKET_MS, Setup, Stage, sdp};

const SHOWN: &str = "m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n\
                     a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\na=recvonly\r\n";

fn setup() -> Setup {
    let mut setup = Setup {
        supports_100rel: true,
        offer: Some(sdp(AUDIO)),
        ..Setup::default()
    };
    setup.profile.video_upgrade = true;
    setup
}

fn both() -> Arc<[u8]> {
    sdp(&format!("{AUDIO}{SHOWN}"))
}

/// Whether sound and pictures of the clip are played; `None`: nothing is.
fn played(s: &Stage) -> Option<(bool, bool)> {
    s.media_actions().into_iter().find_map(|action| match action {
        MediaAction::Play {
            source: Source::Clip,
            clip,
            ..
        } => Some((clip.audio.is_some(), clip.video.is_some())),
        _ => None,
    })
}

#[test]
fn the_clip_begins_with_pictures_when_the_caller_takes_them() {
    let mut s = setup().call();
    assert_eq!(s.a().got(), ["183 reliable sdp"]);
    s.a().pracks();
    assert_eq!(s.a().got(), ["183 reliable sdp", "offer"]);
    let offered = s.a().told_sdp();
    let pictures = offered.find("m=video").expect("one more m-line");
    assert!(
        offered[pictures..].contains("a=sendonly") && offered[..pictures].contains("a=sendrecv"),
        "{offered}"
    );
    assert_eq!(played(&s), None, "not before that is settled");
    s.a().answers_our_offer(both());
    assert_eq!(played(&s), Some((true, true)));
    s.run_ms(PACKET_MS + 6_000);
    assert!(
        !s.b().told_sdp().contains("m=video"),
        "the callee is called as the caller called it"
    );
    s.b().answers_with(Some(sdp(AUDIO)));
    assert_eq!(s.a().got(), ["183 reliable sdp", "offer", "200"]);
    s.a().acks();
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_caller_who_refuses_them_hears_the_clip() {
    for status in [488, 491, 405] {
        let mut s = setup().call();
        s.a().pracks();
        s.a().refuses_our_offer(status);
        assert_eq!(played(&s), Some((true, false)), "{status}");
        s.run_ms(PACKET_MS + 6_000);
        assert_eq!(s.b().got(), ["INVITE"]);
        s.a().cancels();
        s.finish();
    }
}

#[test]
fn an_answer_that_declines_them_or_cannot_be_read_leaves_the_sound() {
    for answer in [format!("{AUDIO}m=video 0 RTP/AVP 97\r\n"), "nonsense".to_owned()] {
        let mut s = setup().call();
        s.a().pracks();
        s.a().answers_our_offer(sdp(&answer));
        assert_eq!(played(&s), Some((true, false)));
        s.a().cancels();
        s.finish();
    }
}

#[test]
fn nobody_is_called_while_it_has_no_final_response_and_a_lost_dialog_ends_the_call() {
    let mut s = setup().call();
    s.a().pracks();
    s.run_ms(31_000);
    assert!(s.b().got().is_empty() && played(&s).is_none());
    // 481, 408 or silence: `sip` has ended the dialog.
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::AbandonedWhileHeld);
}

#[test]
fn it_is_for_sound_alone_with_100rel_by_the_profile() {
    let mut with_video = setup();
    with_video.offer = Setup::default().offer;
    let mut without_100rel = setup();
    without_100rel.supports_100rel = false;
    let mut not_wanted = setup();
    not_wanted.profile.video_upgrade = false;
    for setup in [with_video, without_100rel.clone(), not_wanted] {
        let reliable = setup.supports_100rel;
        let mut s = setup.call();
        if reliable {
            s.a().pracks();
        }
        assert!(!s.a().got().contains(&"offer".to_owned()));
        assert!(played(&s).is_some());
        s.a().cancels();
        s.finish();
    }
}
