//! What phones really send, and what they get.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Agreed, Choice, Codec, Description, Direction, Format, H264Need, SdpError, Side, h264_receives};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

fn fits_640(format: &Format) -> bool {
    let need = H264Need {
        packetization_mode: 1,
        level_idc: 30,
        frame_macroblocks: 920,
        macroblocks_per_second: 23_000,
    };
    match format.codec {
        Codec::H264 { .. } => {
            h264_receives(format, need)
                || h264_receives(
                    format,
                    H264Need {
                        packetization_mode: 0,
                        ..need
                    },
                )
        }
        _ => true,
    }
}

fn answer(offer: &str) -> Result<Agreed, SdpError> {
    let offer = Description::parse(offer.replace('\n', "\r\n").as_bytes())?;
    Side::new(77, OURS, 30_000, 30_002).answer(&offer, Choice::Prefer(&fits_640))
}

fn text(agreed: &Agreed) -> String {
    String::from_utf8(agreed.sdp.to_vec()).unwrap()
}

#[test]
fn baresip_gets_pcmu_h264_and_feedback() {
    let agreed = answer(include_str!("offers/baresip.sdp")).unwrap();
    assert_eq!(
        text(&agreed),
        "v=0\r\no=- 77 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
         m=audio 30000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=sendrecv\r\n\
         m=video 30002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n\
         a=fmtp:97 profile-level-id=42e01f;packetization-mode=0\r\n\
         a=rtcp-fb:* nack\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\na=sendrecv\r\n"
    );
    let video = agreed.video.unwrap();
    assert_eq!(video.remote, Some("127.0.0.1:10020".parse().unwrap()));
    assert_eq!(video.remote_rtcp, Some("127.0.0.1:10021".parse().unwrap()));
    assert_eq!(
        video.format.codec,
        Codec::H264 {
            packetization_mode: 0,
            profile_level_id: [0x42, 0xe0, 0x1f]
        }
    );
    assert!(video.pli && video.fir && video.nack);
    assert_eq!(agreed.audio.unwrap().dtmf_payload_type, Some(101));
}

#[test]
fn linphone_gets_its_first_codecs_and_keeps_avpf_and_its_own_feedback_numbers() {
    let agreed = answer(include_str!("offers/linphone.sdp")).unwrap();
    let said = text(&agreed);
    assert!(said.contains("m=audio 30000 RTP/AVPF 96 101\r\n"), "{said}");
    assert!(
        said.contains("a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"),
        "{said}"
    );
    assert!(
        said.contains("m=video 30002 RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\n"),
        "{said}"
    );
    assert!(
        said.contains("a=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\n"),
        "{said}"
    );
    assert!(
        !said.contains("rtcp-fb:97") && !said.contains("trr-int") && !said.contains("tmmbr"),
        "{said}"
    );
    assert_eq!(
        agreed.audio.unwrap().dtmf_payload_type,
        Some(101),
        "the 48000 Hz one of three"
    );
}

#[test]
fn sipp_gets_audio_alone() {
    let agreed = answer(include_str!("offers/sipp.sdp")).unwrap();
    assert!(agreed.video.is_none());
    let audio = agreed.audio.as_ref().unwrap();
    assert_eq!(audio.format.codec, Codec::Pcmu);
    assert_eq!(audio.dtmf_payload_type, None);
    assert_eq!(audio.remote_rtcp, Some("127.0.0.1:6001".parse().unwrap()));
    assert!(!text(&agreed).contains("telephone-event"));
}

#[test]
fn a_browser_is_refused_for_its_transport() {
    let error = answer(include_str!("offers/chromium.sdp")).unwrap_err();
    assert_eq!(error.status(), 488);
    assert_eq!(
        error.warning().to_string(),
        "302 segue \"Incompatible transport protocol: RTP/AVP or RTP/AVPF is needed\""
    );
}

#[test]
fn every_m_line_is_answered_in_order_and_the_first_usable_of_each_kind_taken() {
    let agreed = answer(include_str!("offers/video_first_and_extras.sdp")).unwrap();
    let said = text(&agreed);
    let lines: Vec<&str> = said.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=video 30002 RTP/AVP 110",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 30000 RTP/AVP 96",
            "m=audio 0 RTP/AVP 0",
            "m=application 0 UDP/BFCP *",
        ]
    );
    let video = agreed.video.unwrap();
    assert_eq!(video.direction, Direction::RecvOnly, "session-level sendonly, reversed");
    assert!(video.format.fmtp.unwrap().contains("sprop-parameter-sets=Z2QAHqzZQKAv"));
    assert_eq!(
        agreed.audio.unwrap().format.codec,
        Codec::Pcma,
        "a dynamic number, lower case name"
    );
    assert!(!said.contains("sprop"), "the offerer's parameter sets are not ours");
}

#[test]
fn what_decides_nothing_may_be_broken() {
    let agreed = answer(include_str!("offers/broken_but_common.sdp")).unwrap();
    let audio = agreed.audio.unwrap();
    assert_eq!(audio.format.codec, Codec::Pcma);
    assert_eq!(audio.remote, Some("10.0.0.5:4000".parse().unwrap()));
}

#[test]
fn a_video_level_below_every_rendition_is_still_taken_for_the_callee() {
    let offer = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\nm=video 4000 RTP/AVP 96\na=rtpmap:96 H264/90000\n";
    let video = answer(offer).unwrap().video.unwrap();
    assert!(!fits_640(&video.format));
    assert_eq!(
        video.format.codec,
        Codec::H264 {
            packetization_mode: 0,
            profile_level_id: [0x42, 0, 10]
        }
    );
}

#[test]
fn nothing_in_common_is_refused_with_the_warning_that_tells_most() {
    let case = |m: &str| {
        let offer = format!("v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\n{m}");
        let error = answer(&offer).unwrap_err();
        (error.status(), error.warning().code.number())
    };
    assert_eq!(case("m=audio 4000 RTP/AVP 4 18\n"), (488, 305));
    assert_eq!(case("m=audio 4000 RTP/AVP 4\nm=text 4002 RTP/AVP 98\n"), (488, 305));
    assert_eq!(case("m=message 4000 TCP/MSRP *\n"), (488, 304));
    assert_eq!(case(""), (488, 304));
    assert_eq!(case("m=audio 4000 RTP/SAVP 0\n"), (488, 302));
    assert_eq!(case("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n"), (488, 301));
    assert_eq!(case("m=audio 4000 RTP/AVP 0\nc=IN IP4 phone.example.com\n"), (488, 301));
    assert_eq!(case("m=audio 4000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127\n"), (488, 330));
    assert_eq!(case("m=audio 0 RTP/AVP 0\n"), (488, 304));
}

#[test]
fn what_is_no_description_is_a_bad_request() {
    for bytes in [
        &b""[..],
        b"hello",
        b"\xff\xfe\x00",
        b"v=1\r\nm=audio 1 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio x RTP/AVP 0\r\n",
    ] {
        assert_eq!(Description::parse(bytes).unwrap_err().status(), 400, "{bytes:?}");
    }
    let many = format!("v=0\r\n{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(11));
    assert_eq!(Description::parse(many.as_bytes()).unwrap_err().status(), 400);
    let ten = format!("v=0\r\nc=IN IP4 1.2.3.4\r\n{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(10));
    assert!(Description::parse(ten.as_bytes()).is_ok());
}

#[test]
fn an_answer_is_as_wide_as_the_offer_allows() {
    let direction = |a: &str| {
        let offer = format!("v=0\nc=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 0\n{a}");
        answer(&offer).unwrap().audio.unwrap().direction
    };
    assert_eq!(direction(""), Direction::SendRecv);
    assert_eq!(direction("a=sendrecv\n"), Direction::SendRecv);
    assert_eq!(direction("a=sendonly\n"), Direction::RecvOnly);
    assert_eq!(direction("a=recvonly\n"), Direction::SendOnly);
    assert_eq!(direction("a=inactive\n"), Direction::Inactive);
}

#[test]
fn no_offer_can_inject_a_line_into_our_answer() {
    let offer = "v=0\nc=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 0\nm=te\u{b}xt\ra=evil 4002 RTP/AVP 98\u{0}\n";
    if let Ok(agreed) = answer(offer) {
        let said = text(&agreed);
        assert!(
            said.split("\r\n").all(|l| l.is_empty() || l.as_bytes()[1] == b'='),
            "{said:?}"
        );
        assert!(!said.contains("a=evil"), "{said:?}");
    }
}
