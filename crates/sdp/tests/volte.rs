//! A phone of a mobile network: EVS, AMR-WB and AMR in both packings, video by capability negotiation (RFC 5939), feedback (RFC 4585).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Agreed, Choice, Codec, Description, Side};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const VOLTE: &str = include_str!("offers/volte.sdp");

fn parsed(text: &str) -> Description {
    Description::parse(text.replace('\n', "\r\n").as_bytes()).unwrap()
}

fn answer(offer: &str) -> (Side, Agreed) {
    let mut side = Side::new(1, OURS, 30_000, 30_002);
    let agreed = side.answer(&parsed(offer), Choice::Prefer(&|_| true)).unwrap();
    (side, agreed)
}

fn media(sdp: &[u8]) -> String {
    let text = String::from_utf8(sdp.to_vec()).unwrap();
    text[text.find("m=").unwrap()..].to_owned()
}

/// The offer's video over another transport, with these lines in place of the capabilities.
fn with_video(proto: &str, capabilities: &str) -> String {
    VOLTE
        .replace("a=tcap:1 RTP/AVPF\n", "")
        .replace("a=pcfg:1 t=1\n", capabilities)
        .replace("m=video 4002 RTP/AVP ", &format!("m=video 4002 {proto} "))
}

#[test]
fn the_first_that_can_be_played_is_answered_and_the_configuration_with_feedback_taken() {
    assert!(!parsed(VOLTE).is_foreign(), "EVS is not the only one");
    // Its resources are there and so are ours: the preconditions are met (RFC 3312 §5).
    let (mut side, agreed) = answer(VOLTE);
    assert_eq!(
        media(&agreed.sdp),
        "m=audio 30000 RTP/AVP 104 101\r\na=rtpmap:104 AMR-WB/16000\r\na=fmtp:104 max-red=0\r\n\
         a=rtpmap:101 telephone-event/16000\r\na=fmtp:101 0-15\r\n\
         a=curr:qos remote sendrecv\r\na=curr:qos local sendrecv\r\n\
         a=des:qos mandatory remote sendrecv\r\na=des:qos optional local sendrecv\r\na=sendrecv\r\n\
         m=video 30002 RTP/AVPF 114\r\na=rtpmap:114 H264/90000\r\n\
         a=fmtp:114 profile-level-id=42c01f;packetization-mode=1\r\na=acfg:1 t=1\r\n\
         a=rtcp-fb:* nack\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\n\
         a=curr:qos remote sendrecv\r\na=curr:qos local sendrecv\r\n\
         a=des:qos mandatory remote sendrecv\r\na=des:qos optional local sendrecv\r\na=sendrecv\r\n"
    );
    let video = agreed.video.as_ref().unwrap();
    assert!(video.nack && video.pli && video.fir);
    // What we offer later is no answer to those configurations.
    assert!(!media(&side.offer_again()).contains("acfg"));
    assert!(media(&side.offer_again()).contains("m=video 30002 RTP/AVPF 114\r\n"));
}

#[test]
fn a_potential_configuration_that_is_not_for_us_leaves_the_actual_one() {
    for (capabilities, why) in [
        ("", "none"),
        ("a=tcap:1 RTP/SAVPF\na=pcfg:1 t=1\n", "SRTP"),
        (
            "a=creq:cap-v0,med-v0\na=tcap:1 RTP/AVPF\na=pcfg:1 t=1\n",
            "an option that is not known",
        ),
        (
            "a=tcap:1 RTP/AVPF\na=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\na=pcfg:1 t=1 a=1\n",
            "keys",
        ),
    ] {
        let (_, agreed) = answer(&with_video("RTP/AVP", capabilities));
        let media = media(&agreed.sdp);
        assert!(
            media.contains("m=video 30002 RTP/AVP 114\r\n") && !media.contains("acfg"),
            "{why}: {media}"
        );
    }
    let with_feedback = with_video(
        "RTP/AVP",
        "a=tcap:4 RTP/AVPF\na=acap:7 rtcp-fb:* nack pli\na=acap:8 rtcp-fb:* ccm fir\na=pcfg:2 a=7,8 t=4\n",
    );
    let without: String = with_feedback
        .lines()
        .filter(|line| !line.starts_with("a=rtcp-fb"))
        .map(|line| format!("{line}\n"))
        .collect();
    let (_, agreed) = answer(&without);
    assert!(
        media(&agreed.sdp).contains("a=acfg:2 t=4 a=7,8\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\n"),
        "{}",
        media(&agreed.sdp)
    );
}

#[test]
fn each_leg_has_the_profile_that_was_offered_there() {
    for proto in ["RTP/AVP", "RTP/AVPF"] {
        let (_, agreed) = answer(&with_video(proto, ""));
        assert!(media(&agreed.sdp).contains(&format!("m=video 30002 {proto} 114\r\n")));
        let mut b = Side::new(2, OURS, 31_000, 31_002);
        let offer = media(&b.offer(&agreed));
        assert!(
            offer.contains("m=video 31002 RTP/AVP 114\r\n"),
            "every phone takes that: {offer}"
        );
        // A callee that takes no feedback is not asked by it.
        let plain = parsed(
            "v=0\nc=IN IP4 10.0.0.2\nm=audio 6000 RTP/AVP 104\na=rtpmap:104 AMR-WB/16000\n\
             m=video 6002 RTP/AVP 114\na=rtpmap:114 H264/90000\n",
        );
        let video = b.read_answer(&plain).unwrap().video.unwrap();
        assert!(!video.nack && !video.pli && !video.fir);
    }
}

#[test]
fn feedback_is_answered_only_as_far_as_it_was_offered() {
    let few = with_video("RTP/AVPF", "")
        .replace("a=rtcp-fb:* nack\n", "")
        .replace("a=rtcp-fb:* ccm fir\n", "");
    let (_, agreed) = answer(&few);
    let media = media(&agreed.sdp);
    let lines: Vec<&str> = media.lines().filter(|line| line.starts_with("a=rtcp-fb")).collect();
    assert_eq!(
        lines,
        ["a=rtcp-fb:* nack pli"],
        "neither trr-int nor tmmbr nor what was not there"
    );
}

#[test]
fn evs_alone_is_relayed_as_it_is_said() {
    let evs = VOLTE.replace("106 104 102 105 103 101 100", "106 101");
    let offer = parsed(&evs);
    assert!(offer.is_foreign());
    let (mut a, mut b) = (Side::new(1, OURS, 30_000, 30_002), Side::new(2, OURS, 31_000, 31_002));
    let to_b = media(&b.offer_untouched(&offer).unwrap());
    assert!(
        to_b.contains("m=audio 31000 RTP/AVP 106 101\r\n")
            && to_b.contains("a=fmtp:106 br=5.9-24.4;bw=nb-swb;ch-aw-recv=3;mode-set=0,1,2;max-red=0\r\n"),
        "{to_b}"
    );
    let agreed = b
        .read_answer(&parsed(
            "v=0\nc=IN IP4 10.0.0.2\nm=audio 6000 RTP/AVP 106 101\na=rtpmap:106 EVS/16000\na=fmtp:106 br=9.6;bw=wb\n\
             a=rtpmap:101 telephone-event/16000\nm=video 0 RTP/AVP 114\n",
        ))
        .unwrap();
    let to_a = a.answer(&offer, Choice::Like(&agreed)).unwrap();
    assert!(media(&to_a.sdp).contains("a=fmtp:106 br=9.6;bw=wb\r\n"));
    let codec = to_a.audio.unwrap().format.codec;
    assert_eq!(codec, Codec::Foreign { clock_rate: 16_000 });
}
