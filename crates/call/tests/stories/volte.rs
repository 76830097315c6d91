//! The offer of a mobile network's phone (`crates/sdp/tests/offers/volte.sdp`): held on the clip in AMR-WB with its video over RTP/AVPF,
//! bridged to a plain phone; with EVS alone relayed at once, and counted.

use segue_call::MediaAction;
use segue_mailbox::{RenditionInfo, RenditionProfile as R};
use segue_records::CallResult;
use segue_sdp::{Codec, Packing};

use crate::stage::{A, B, Setup, Stage};

const VOLTE: &str = include_str!("../../../sdp/tests/offers/volte.sdp");
/// A phone without feedback and with the other packing alone.
const PLAIN: &str = "v=0\r\no=b 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 105 101\r\n\
    a=rtpmap:105 AMR-WB/16000\r\na=fmtp:105 octet-align=1\r\na=rtpmap:101 telephone-event/16000\r\n\
    m=video 6002 RTP/AVP 114\r\na=rtpmap:114 H264/90000\r\na=fmtp:114 profile-level-id=42c01f;packetization-mode=1\r\n";

fn call(offer: &str) -> Stage {
    let offer = offer.replace('\n', "\r\n").into_bytes();
    let setup = Setup {
        offer: Some(offer.into()),
        ..Setup::default()
    };
    setup
        .lookup(|found| {
            for clip in [&mut found.clip, &mut found.greeting, &mut found.beep]
                .into_iter()
                .flatten()
            {
                clip.renditions.push(RenditionInfo {
                    profile: R::AmrWb1265Be,
                    bytes: 1,
                    profile_level_id: None,
                });
            }
        })
        .call()
}

#[test]
fn it_is_held_in_amr_wb_and_bridged_to_a_phone_that_packs_otherwise() {
    let mut s = call(VOLTE);
    assert_eq!(s.a().got(), ["183 sdp"]);
    let answer = s.a().told_sdp();
    assert!(
        answer.contains("RTP/AVP 104 101\r\n")
            && answer.contains("RTP/AVPF 114\r\n")
            && answer.contains("a=acfg:1 t=1\r\n"),
        "{answer}"
    );
    s.run_ms(6_100);
    let played = s.media_actions().into_iter().find_map(|action| match action {
        MediaAction::Play { clip, .. } => Some((clip.audio, clip.video)),
        _ => None,
    });
    assert_eq!(played, Some((Some(R::AmrWb1265Be), Some(R::H264W640Mode1))));
    let offer = s.b().told_sdp();
    assert!(
        offer.contains("m=video 30006 RTP/AVP 114\r\n") && !offer.contains("acfg") && !offer.contains("RTP/AVPF"),
        "{offer}"
    );
    assert!(offer.contains("RTP/AVP 104 105 101\r\n"), "both packings: {offer}");
    s.b().answers_with(Some(PLAIN.as_bytes().into()));
    s.a().acks();
    let packing = |s: &Stage, of| {
        s.media_actions().into_iter().rev().find_map(|action| match action {
            MediaAction::Configure { leg, audio, .. } if leg == of => match audio.unwrap().format.codec {
                Codec::Amr(amr) => Some(amr.packing),
                _ => None,
            },
            _ => None,
        })
    };
    assert_eq!(packing(&s, A), Some(Packing::BandwidthEfficient));
    assert_eq!(packing(&s, B), Some(Packing::OctetAligned));
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.relayed_untouched), (CallResult::Answered, false));
    assert!(record.hold_ms.is_some());
}

#[test]
fn evs_alone_is_relayed_without_a_hold_and_counted() {
    let evs = VOLTE.replace("106 104 102 105 103 101 100", "106 101");
    let mut s = call(&evs);
    assert_eq!(s.b().got(), ["INVITE"], "no hold");
    assert!(s.b().told_sdp().contains("m=audio 30004 RTP/AVP 106 101\r\n"));
    let answer = "v=0\r\no=b 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 106 101\r\n\
                  a=rtpmap:106 EVS/16000\r\na=rtpmap:101 telephone-event/16000\r\nm=video 0 RTP/AVP 114\r\n";
    s.b().answers_with(Some(answer.as_bytes().into()));
    assert!(s.a().told_sdp().contains("m=audio 30000 RTP/AVP 106 101\r\n"));
    s.a().acks();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.hold_ms), (CallResult::Answered, None));
    assert!(record.relayed_untouched);
}
