//! Our offer to B from what A was answered, and B's answers to it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Agreed, Carried, Choice, Codec, Description, Direction, SdpError, Side};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// A caller's stream pair, and our side towards B after the offer.
fn offered() -> (Side, String) {
    let a = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\nm=video 4002 RTP/AVPF 104\r\na=rtpmap:104 H264/90000\r\n\
             a=fmtp:104 profile-level-id=42e01f;packetization-mode=1\r\na=sendonly\r\n";
    let a = Side::new(1, OURS, 30_000, 30_002)
        .answer(&Description::parse(a.as_bytes()).unwrap(), Choice::Prefer(&|_| true))
        .unwrap();
    let mut b = Side::new(2, OURS, 30_004, 30_006);
    let offer = b.offer(&a);
    (b, String::from_utf8(offer.to_vec()).unwrap())
}

fn answered(answer: &str) -> Result<Agreed, SdpError> {
    offered().0.read_answer(&Description::parse(answer.as_bytes())?)
}

#[test]
fn b_is_offered_what_a_was_answered_and_telephone_event() {
    assert_eq!(
        offered().1,
        "v=0\r\no=- 2 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
         m=audio 30004 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=sendrecv\r\n\
         m=video 30006 RTP/AVP 104\r\na=rtpmap:104 H264/90000\r\n\
         a=fmtp:104 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1\r\n\
         a=rtcp-fb:* nack\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\na=sendrecv\r\n"
    );
}

#[test]
fn b_takes_both() {
    let agreed = answered(
        "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\
         m=video 5002 RTP/AVP 104\r\na=rtpmap:104 H264/90000\r\na=fmtp:104 packetization-mode=1;profile-level-id=42e00d\r\n\
         a=rtcp-fb:* nack pli\r\n",
    )
    .unwrap();
    let (audio, video) = (agreed.audio.unwrap(), agreed.video.unwrap());
    assert_eq!(audio.remote, Some("10.0.0.2:5000".parse().unwrap()));
    assert_eq!(audio.dtmf_payload_type, Some(101));
    assert_eq!(video.direction, Direction::SendRecv);
    assert!(video.pli && !video.fir && !video.nack);
}

#[test]
fn b_declines_video() {
    let agreed =
        answered("v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 8\r\na=recvonly\r\nm=video 0 RTP/AVP 104\r\n")
            .unwrap();
    assert!(agreed.video.is_none());
    assert_eq!(agreed.audio.unwrap().direction, Direction::SendOnly);
}

#[test]
fn b_answers_without_the_second_m_line() {
    let agreed = answered("v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 8\r\n").unwrap();
    assert!(agreed.audio.is_some() && agreed.video.is_none());
}

#[test]
fn the_offered_number_means_the_offered_configuration() {
    let agreed = answered(
        "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 0 RTP/AVP 8\r\nm=video 5002 RTP/AVP 104\r\na=rtpmap:104 H264/90000\r\n",
    )
    .unwrap();
    let codec = agreed.video.unwrap().format.codec;
    assert_eq!(
        codec,
        Codec::H264 {
            packetization_mode: 1,
            profile_level_id: [0x42, 0xe0, 0x1f]
        }
    );
}

#[test]
fn another_number_needs_the_same_configuration() {
    let answer = |fmtp: &str| {
        format!(
            "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 0 RTP/AVP 8\r\nm=video 5002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 {fmtp}\r\n"
        )
    };
    let same = answered(&answer("profile-level-id=42e00c;packetization-mode=1")).unwrap();
    assert_eq!(same.video.unwrap().format.payload_type, 99);
    assert!(answered(&answer("profile-level-id=42e01f")).is_err());
    assert!(answered(&answer("profile-level-id=640c1f;packetization-mode=1")).is_err());
}

#[test]
fn an_answer_that_takes_nothing_is_an_error() {
    for m in [
        "m=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 104\r\n",
        "m=audio 5000 RTP/AVP 0\r\n",
        "m=audio 5000 RTP/SAVP 8\r\n",
        "",
    ] {
        let answer = format!("v=0\r\nc=IN IP4 10.0.0.2\r\n{m}");
        assert_eq!(answered(&answer).unwrap_err().status(), 488, "{m}");
    }
}

#[test]
fn b_calls_the_formats_otherwise_and_sends_by_our_numbers_or_its_own() {
    let agreed = answered(
        "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 8 99\r\na=rtpmap:99 telephone-event/8000\r\n\
         m=video 5002 RTP/AVP 126\r\na=rtpmap:126 H264/90000\r\na=fmtp:126 packetization-mode=1;profile-level-id=42e01f\r\n",
    )
    .unwrap();
    let (audio, video) = (agreed.audio.unwrap(), agreed.video.unwrap());
    assert_eq!(
        (audio.dtmf_payload_type, video.format.payload_type),
        (Some(99), 126),
        "what we send"
    );
    assert_eq!(
        [101, 99, 8, 0].map(|pt| audio.carried(pt)),
        [Some(Carried::Dtmf), Some(Carried::Dtmf), Some(Carried::Codec), None]
    );
    assert_eq!(
        [104, 126, 97].map(|pt| video.carried(pt)),
        [Some(Carried::Codec), Some(Carried::Codec), None]
    );
}
