//! No codec in common with the clip: B is called at once with A's formats, and A's answer is made from B's.

use segue_call::{LegAction, MediaAction};
use segue_records::CallResult;
use segue_sdp::Codec;

use crate::stage::{A, AUDIO, Setup, Stage, VIDEO, sdp};

const EVS: &str = "m=audio 4000 RTP/AVP 104 102 100\r\na=rtpmap:104 EVS/16000\r\na=fmtp:104 br=5.9-24.4\r\n\
                   a=rtpmap:102 iLBC/8000\r\na=rtpmap:100 telephone-event/16000\r\n";
const VP9: &str = "m=video 4002 RTP/AVP 120\r\na=rtpmap:120 VP9/90000\r\n";
const B_TAKES_ILBC: &str = "m=audio 6000 RTP/AVP 102\r\na=rtpmap:102 iLBC/8000\r\na=fmtp:102 mode=30\r\n";

fn call(offer: &str) -> Stage {
    Setup {
        offer: Some(sdp(offer)),
        ..Setup::default()
    }
    .call()
}

#[test]
fn b_is_called_at_once_and_a_is_answered_what_b_took() {
    for supports_100rel in [false, true] {
        let mut s = Setup {
            offer: Some(sdp(EVS)),
            supports_100rel,
            ..Setup::default()
        }
        .call();
        assert_eq!(s.b().got(), ["INVITE"], "no hold");
        let offer = s.b().told_sdp();
        assert!(
            offer.contains("m=audio 30004 RTP/AVP 104 102 100\r\n") && offer.contains("a=fmtp:104 br=5.9-24.4\r\n"),
            "{offer}"
        );
        s.b().rings();
        s.b().answers_with(Some(sdp(B_TAKES_ILBC)));
        let answer = s.a().told_sdp();
        assert!(
            answer.contains("m=audio 30000 RTP/AVP 102\r\n") && answer.contains("a=fmtp:102 mode=30\r\n"),
            "{answer}"
        );
        let ringing = if supports_100rel { "180 reliable" } else { "180" };
        assert_eq!(s.a().got(), [ringing, "200 sdp"]);
        s.a().acks();
        assert_eq!(
            s.media_did(),
            ["open a", "open b", "configure a", "configure b", "bridge b"]
        );
        let relayed = s.media_actions().into_iter().filter_map(|action| match action {
            MediaAction::Configure { audio, .. } => audio,
            _ => None,
        });
        assert!(
            relayed
                .clone()
                .all(|s| s.format.codec == Codec::Foreign { clock_rate: 8_000 })
        );
        s.a().hangs_up();
        let record = s.finish();
        assert_eq!((record.result, record.relayed_untouched), (CallResult::Answered, true));
    }
}

#[test]
fn b_who_fails_gives_a_its_cause() {
    for (status, told) in [(486, "486"), (404, "404"), (503, "480")] {
        let mut s = call(EVS);
        s.b().refuses(status, "No");
        assert_eq!(s.a().got(), [told], "no mailbox: nothing of it can be recorded");
        let record = s.finish();
        assert_eq!((record.result, record.cause), (CallResult::Failed, Some(status)));
    }
    let mut s = call(EVS);
    s.run_ms(20_100);
    assert_eq!(
        (
            s.b().got().last().unwrap().as_str(),
            s.a().got().last().unwrap().as_str()
        ),
        ("CANCEL", "408")
    );
    s.finish();
}

#[test]
fn b_who_answers_something_else_cannot_be_connected() {
    let mut s = call(EVS);
    s.b().answers_with(Some(sdp(AUDIO)));
    assert_eq!(
        (
            s.b().got().last().unwrap().as_str(),
            s.a().got().last().unwrap().as_str()
        ),
        ("BYE", "488")
    );
    s.finish();
}

#[test]
fn a_mailbox_takes_the_pictures_that_it_knows() {
    let mut s = call(&format!("{EVS}{VIDEO}"));
    assert_eq!(s.b().got(), ["INVITE"]);
    s.b().refuses(486, "Busy Here");
    let answer = s.a().told_sdp();
    assert!(
        answer.contains("m=audio 0 ") && answer.contains("m=video 30002 "),
        "{answer}"
    );
    s.a().acks();
    s.run_ms(6_000);
    assert_eq!(s.manifest.clone().unwrap().streams.len(), 1);
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn hold_is_passed_in_foreign_formats_too() {
    let mut s = call(EVS);
    s.b().answers_with(Some(sdp(B_TAKES_ILBC)));
    s.a().acks();
    s.a().offers(Some(sdp(&format!("{EVS}a=sendonly\r\n"))));
    let told = s.b().told_sdp();
    assert!(
        told.contains("RTP/AVP 102\r\n") && told.contains("a=sendonly"),
        "{told}"
    );
    s.b().answers_our_offer(sdp(&format!("{B_TAKES_ILBC}a=recvonly\r\n")));
    assert!(s.a().told_sdp().contains("a=recvonly"));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn foreign_video_beside_known_sound_comes_in_once_b_shows_it() {
    let mut s = call(&format!("{AUDIO}{VP9}"));
    assert!(s.a().told_sdp().contains("m=video 0 "), "a black window is no clip");
    s.run_ms(6_100);
    assert!(
        s.b().told_sdp().contains("m=video 30006 RTP/AVP 120\r\n"),
        "{}",
        s.b().told_sdp()
    );
    s.b().answers_with(Some(sdp(&format!("{AUDIO}{VP9}"))));
    assert_eq!(s.a().got(), ["183 sdp", "200 sdp"]);
    s.a().acks();
    assert_eq!(s.a().got().last().unwrap(), "offer");
    assert!(s.a().told_sdp().contains("m=video 30002 RTP/AVP 120\r\n"));
    s.a().answers_our_offer(sdp(&format!("{AUDIO}{VP9}")));
    let video = s.media_actions().into_iter().rev().find_map(|action| match action {
        MediaAction::Configure { leg: A, video, .. } => Some(video),
        _ => None,
    });
    assert!(video.unwrap().is_some());
    s.a().hangs_up();
    s.finish();

    // B has none: A stays a sound call.
    let mut s = call(&format!("{AUDIO}{VP9}"));
    s.run_ms(6_100);
    s.b()
        .answers_with(Some(sdp(&format!("{AUDIO}{}", VP9.replace("4002", "0")))));
    s.a().acks();
    assert!(!s.a().actions().iter().any(|a| matches!(a, LegAction::Offer { .. })));
    s.a().hangs_up();
    s.finish();
}
