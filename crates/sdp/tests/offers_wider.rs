//! Our offer to a callee that has refused what its caller was answered, and what it takes of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Agreed, Choice, Codec, Description, Kind, Side};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const A: &str = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0 107 8 9 96\r\na=rtpmap:107 opus/48000/2\r\n\
                 a=fmtp:107 useinbandfec=1;x-evil=1\r\na=rtpmap:96 telephone-event/8000\r\n\
                 m=video 4002 RTP/AVP 104 105\r\na=rtpmap:104 H264/90000\r\n\
                 a=fmtp:104 profile-level-id=42e01f;packetization-mode=1\r\na=rtpmap:105 VP8/90000\r\n";

fn answered(theirs: &Description) -> Agreed {
    let mut a = Side::new(1, OURS, 30_000, 30_002);
    a.answer(theirs, Choice::Prefer(&|_| true)).unwrap()
}

fn offered() -> (Side, String) {
    let theirs = Description::parse(A.as_bytes()).unwrap();
    let mut b = Side::new(2, OURS, 30_004, 30_006);
    let offer = b
        .offer_wider(&answered(&theirs), Some(&theirs), &[Codec::Pcma, Codec::G722])
        .unwrap();
    (b, String::from_utf8(offer.to_vec()).unwrap())
}

#[test]
fn what_was_answered_comes_first_then_the_callers_order_each_codec_once() {
    let (_, offer) = offered();
    let expected = "m=audio 30004 RTP/AVP 0 107 8 9 96 102\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:107 opus/48000/2\r\n\
                    a=fmtp:107 useinbandfec=1\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\n\
                    a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=rtpmap:102 telephone-event/48000\r\n\
                    a=fmtp:102 0-15\r\na=sendrecv\r\nm=video 30006 RTP/AVP 104 105\r\n";
    assert!(offer.contains(expected), "{offer}");
    // It can be answered.
    Description::parse(offer.as_bytes()).unwrap();
}

#[test]
fn the_answer_settles_on_the_first_of_ours_that_it_has() {
    let (mut b, _) = offered();
    let answer = "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 9 8 96\r\na=rtpmap:96 telephone-event/8000\r\n\
                  m=video 5002 RTP/AVP 105\r\na=rtpmap:105 VP8/90000\r\n";
    let agreed = b.read_answer(&Description::parse(answer.as_bytes()).unwrap()).unwrap();
    let (audio, video) = (agreed.audio.unwrap(), agreed.video.unwrap());
    assert_eq!((audio.format.codec, audio.our_payload_type), (Codec::Pcma, 8));
    assert_eq!(
        (audio.dtmf_payload_type, audio.our_dtmf_payload_type),
        (Some(96), Some(96))
    );
    assert_eq!((video.format.codec, video.our_payload_type), (Codec::Vp8, 105));
    // From then on it is this codec's line.
    let again = String::from_utf8(b.offer_again().to_vec()).unwrap();
    assert!(again.contains("m=audio 30004 RTP/AVP 8 96\r\n"), "{again}");
}

#[test]
fn keys_go_by_the_clock_of_the_codec_that_was_taken() {
    let (mut b, _) = offered();
    let answer = "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 107 102\r\na=rtpmap:107 opus/48000/2\r\n\
                  a=rtpmap:102 telephone-event/48000\r\n";
    let agreed = b.read_answer(&Description::parse(answer.as_bytes()).unwrap()).unwrap();
    let audio = agreed.audio.unwrap();
    assert_eq!(
        (audio.our_dtmf_payload_type, audio.dtmf_clock_rate),
        (Some(102), 48_000)
    );
}

#[test]
fn there_is_nothing_more_than_the_one_codec_of_a_caller() {
    let theirs = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n";
    let theirs = Description::parse(theirs.as_bytes()).unwrap();
    let agreed = answered(&theirs);
    let mut b = Side::new(2, OURS, 30_004, 30_006);
    assert!(b.offer_wider(&agreed, Some(&theirs), &[]).is_none());
    assert!(b.offer_wider(&agreed, None, &[Codec::Pcma]).is_none());
    assert!(b.offer_wider(&agreed, None, &[Codec::Pcmu]).is_some());
    assert!(theirs.format(Kind::Audio, Codec::Pcma).is_some() && theirs.format(Kind::Audio, Codec::Opus).is_none());
}
