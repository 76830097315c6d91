//! Formats that we do not know pass from one leg to the other as they are; and first offers that let the peer choose.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::{net::IpAddr, sync::Arc};

use segue_sdp::{Agreed, Carried, Choice, Codec, Description, Direction, Side};

const VIDEO: &str =
    "m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n";
const EVS: &str = "m=audio 4000 RTP/AVP 104 102 100\r\na=rtpmap:104 EVS/16000\r\na=fmtp:104 br=5.9-24.4;bw=nb-swb\r\n\
                   a=rtpmap:102 iLBC/8000\r\na=rtpmap:100 telephone-event/16000\r\na=fmtp:100 0-15\r\n";
const VP9: &str =
    "m=video 4002 RTP/AVPF 120 121\r\na=rtpmap:120 VP9/90000\r\na=rtcp-fb:120 nack pli\r\na=rtpmap:121 AV1/90000\r\n";

fn ours() -> IpAddr {
    IpAddr::from([203, 0, 113, 1])
}

fn described(media: &str) -> Description {
    let text = format!("v=0\r\no=- 9 9 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{media}");
    Description::parse(text.as_bytes()).unwrap()
}

fn a() -> Side {
    Side::new(5, ours(), 30_000, 30_002)
}

fn b() -> Side {
    Side::new(6, ours(), 31_000, 31_002)
}

fn text(sdp: &Arc<[u8]>) -> String {
    String::from_utf8(sdp.to_vec()).unwrap()
}

fn lines(sdp: &Arc<[u8]>, begin: &str) -> Vec<String> {
    text(sdp)
        .lines()
        .filter(|l| l.starts_with(begin))
        .map(str::to_owned)
        .collect()
}

/// A's offer goes to B, B's answer comes back to A.
fn through(offer: &str, answer: &str) -> (Arc<[u8]>, Agreed, Agreed) {
    let offer = described(offer);
    let (mut a, mut b) = (a(), b());
    let to_b = b.offer_untouched(&offer).unwrap();
    let agreed_b = b.read_answer(&described(answer)).unwrap();
    let agreed_a = a.answer(&offer, Choice::Like(&agreed_b)).unwrap();
    (to_b, agreed_b, agreed_a)
}

#[test]
fn only_who_sounds_foreign_is_foreign() {
    for (media, foreign) in [
        (EVS.to_owned(), true),
        (format!("{EVS}{VIDEO}"), true),
        (VP9.to_owned(), true),
        (VIDEO.to_owned(), false),
        (format!("m=audio 4000 RTP/AVP 0\r\n{VP9}"), false),
        (
            "m=audio 4000 RTP/SAVP 104\r\na=rtpmap:104 EVS/16000\r\n".to_owned(),
            false,
        ),
        (format!("m=audio 4000 RTP/SAVP 0\r\n{EVS}"), true),
        ("m=audio 0 RTP/AVP 104\r\n".to_owned(), false),
        (
            "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n".to_owned(),
            false,
        ),
        ("m=audio 4000 RTP/AVP 18\r\n".to_owned(), true),
    ] {
        assert_eq!(described(&media).is_foreign(), foreign, "{media}");
    }
}

#[test]
fn b_sees_the_formats_of_a_and_a_those_that_b_took() {
    let answer = "m=audio 6000 RTP/AVP 102 100\r\na=rtpmap:102 iLBC/8000\r\na=fmtp:102 mode=30\r\na=rtpmap:100 telephone-event/16000\r\n";
    let (to_b, agreed_b, agreed_a) = through(EVS, answer);
    assert_eq!(lines(&to_b, "m="), ["m=audio 31000 RTP/AVP 104 102 100"]);
    assert_eq!(
        lines(&to_b, "a="),
        [
            "a=rtpmap:104 EVS/16000",
            "a=fmtp:104 br=5.9-24.4;bw=nb-swb",
            "a=rtpmap:102 iLBC/8000",
            "a=rtpmap:100 telephone-event/16000",
            "a=fmtp:100 0-15",
            "a=sendrecv"
        ]
    );
    assert_eq!(lines(&agreed_a.sdp, "m="), ["m=audio 30000 RTP/AVP 102 100"]);
    assert_eq!(
        lines(&agreed_a.sdp, "a="),
        [
            "a=rtpmap:102 iLBC/8000",
            "a=fmtp:102 mode=30",
            "a=rtpmap:100 telephone-event/16000",
            "a=sendrecv"
        ]
    );
    for agreed in [agreed_a, agreed_b] {
        let stream = agreed.audio.unwrap();
        assert_eq!(stream.format.codec, Codec::Foreign { clock_rate: 8_000 });
        let carried = [102, 100, 104, 0].map(|pt| stream.carried(pt));
        assert_eq!(carried, [Some(Carried::Codec), Some(Carried::Codec), None, None]);
    }
}

#[test]
fn a_static_type_needs_no_rtpmap() {
    let (to_b, _, agreed_a) = through(
        "m=audio 4000 RTP/AVP 18 4\r\na=fmtp:18 annexb=no\r\n",
        "m=audio 6000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n",
    );
    assert_eq!(lines(&to_b, "m="), ["m=audio 31000 RTP/AVP 18 4"]);
    assert_eq!(lines(&agreed_a.sdp, "a="), ["a=rtpmap:18 G729/8000", "a=sendrecv"]);
}

#[test]
fn directions_pass_and_what_b_renames_or_adds_cannot() {
    let (to_b, _, agreed_a) = through(
        &format!("{EVS}a=sendonly\r\n"),
        "m=audio 6000 RTP/AVP 102\r\na=rtpmap:102 iLBC/8000\r\na=recvonly\r\n",
    );
    assert!(text(&to_b).contains("a=sendonly"));
    assert!(text(&agreed_a.sdp).contains("a=recvonly"));
    let mut side = b();
    side.offer_untouched(&described(EVS)).unwrap();
    for answer in [
        "m=audio 6000 RTP/AVP 96\r\na=rtpmap:96 iLBC/8000\r\n",
        "m=audio 6000 RTP/AVP 102\r\na=rtpmap:102 EVS/16000\r\n",
        "m=audio 6000 RTP/AVP 100\r\na=rtpmap:100 telephone-event/16000\r\n",
        "m=audio 0 RTP/AVP 102\r\n",
    ] {
        assert!(side.read_answer(&described(answer)).is_err(), "{answer}");
    }
}

#[test]
fn a_codec_that_we_know_beside_a_foreign_one_stays_ours() {
    let answer = format!("m=audio 6000 RTP/AVP 104\r\na=rtpmap:104 EVS/16000\r\n{VIDEO}");
    let (to_b, _, agreed_a) = through(&format!("{EVS}{VIDEO}"), &answer);
    assert_eq!(
        lines(&to_b, "m="),
        ["m=audio 31000 RTP/AVP 104 102 100", "m=video 31002 RTP/AVP 97"]
    );
    assert!(matches!(agreed_a.video.unwrap().format.codec, Codec::H264 { .. }));
    // B has no video: A's stays, for a still picture.
    let answer = "m=audio 6000 RTP/AVP 104\r\na=rtpmap:104 EVS/16000\r\nm=video 0 RTP/AVP 97\r\n";
    let (_, agreed_b, agreed_a) = through(&format!("{EVS}{VIDEO}"), answer);
    assert!(agreed_b.video.is_none());
    assert_eq!(agreed_a.video.unwrap().direction, Direction::SendRecv);
    // A foreign one that B refuses cannot be shown anything.
    let (_, _, agreed_a) = through(&format!("{EVS}{VP9}"), answer);
    assert!(agreed_a.video.is_none());
    assert_eq!(
        lines(&agreed_a.sdp, "m="),
        ["m=audio 30000 RTP/AVP 104", "m=video 0 RTP/AVPF 120 121"]
    );
}

#[test]
fn a_foreign_re_offer_keeps_what_was_agreed() {
    let offer = described(EVS);
    let (mut a, mut b) = (a(), b());
    b.offer_untouched(&offer).unwrap();
    let agreed_b = b
        .read_answer(&described("m=audio 6000 RTP/AVP 102\r\na=rtpmap:102 iLBC/8000\r\n"))
        .unwrap();
    let agreed = a.answer(&offer, Choice::Like(&agreed_b)).unwrap();
    let keep = Choice::Keep {
        audio: agreed.audio.as_ref().map(|s| s.format.codec),
        video: None,
    };
    let held = a
        .answer(
            &described(&format!("{}a=sendonly\r\n", EVS.replace("4000", "4444"))),
            keep,
        )
        .unwrap();
    assert_eq!(lines(&held.sdp, "m="), ["m=audio 30000 RTP/AVP 102"]);
    let stream = held.audio.unwrap();
    assert_eq!(
        (stream.direction, stream.remote.unwrap().port()),
        (Direction::RecvOnly, 4444)
    );
    assert!(a.answer(&described("m=audio 4000 RTP/AVP 0\r\n"), keep).is_err());
}

#[test]
fn what_cannot_be_relayed_is_said_why() {
    for (media, code) in [
        ("m=audio 4000 RTP/SAVP 104\r\n", 302),
        ("m=message 4000 TCP/MSRP *\r\n", 304),
        ("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n", 305),
    ] {
        let error = b().offer_untouched(&described(media)).unwrap_err();
        assert_eq!((error.status(), error.warning().code.number()), (488, code), "{media}");
    }
}

const H264: Codec = Codec::H264 {
    packetization_mode: 1,
    profile_level_id: [0x42, 0xe0, 0x1f],
};

fn side_with_choice() -> Side {
    let mut side = a();
    side.offer_choice(&[Codec::Pcma, Codec::Pcmu], &[H264, Codec::Vp8]);
    side
}

#[test]
fn a_first_offer_of_ours_lets_the_peer_choose() {
    let mut side = a();
    let offer = side.offer_choice(&[Codec::Pcma, Codec::Pcmu], &[H264, Codec::Vp8]);
    assert_eq!(
        lines(&offer, "m="),
        ["m=audio 30000 RTP/AVP 8 0 101", "m=video 30002 RTP/AVP 97 98"]
    );
    assert!(Description::parse(&offer).is_ok());
    let answer = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\nm=video 4002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n";
    let agreed = side.read_answer(&described(answer)).unwrap();
    let (audio, video) = (agreed.audio.unwrap(), agreed.video.unwrap());
    assert_eq!((audio.format.codec, audio.dtmf_payload_type), (Codec::Pcmu, Some(101)));
    assert_eq!((video.format.codec, video.our_payload_type), (Codec::Vp8, 98));
    // Numbered otherwise it is the same.
    let mut other = side_with_choice();
    let renumbered = other
        .read_answer(&described(&answer.replace("98", "120").replace("101", "110")))
        .unwrap();
    let video = renumbered.video.unwrap();
    assert_eq!((video.format.payload_type, video.our_payload_type), (120, 98));
    let again = other.offer_again();
    assert_eq!(
        lines(&again, "m="),
        ["m=audio 30000 RTP/AVP 0 101", "m=video 30002 RTP/AVP 98"]
    );
    // From then on the line is of the chosen codec.
    let again = side.offer_again();
    assert_eq!(
        lines(&again, "m="),
        ["m=audio 30000 RTP/AVP 0 101", "m=video 30002 RTP/AVP 98"]
    );
}

#[test]
fn an_offer_within_the_session_keeps_places_and_payload_types() {
    let (mut a, mut b) = (a(), b());
    let first = a
        .answer(
            &described(&format!("m=audio 4000 RTP/AVP 0 8\r\n{VIDEO}")),
            Choice::Prefer(&|_| true),
        )
        .unwrap();
    b.offer(&first);
    let (audio, video) = (first.audio.as_ref().unwrap(), first.video.as_ref().unwrap());
    let held = b.offer_within(Some((audio, Direction::SendOnly)), Some((video, Direction::Inactive)));
    assert_eq!(lines(&held, "a=send").len() + lines(&held, "a=inactive").len(), 2);
    assert_eq!(
        lines(&held, "m="),
        ["m=audio 31000 RTP/AVP 0 101", "m=video 31002 RTP/AVP 97"]
    );
    // Another codec, no video any more, and video again.
    let other = a
        .answer(
            &described(&format!("m=audio 4000 RTP/AVP 8\r\n{VIDEO}")),
            Choice::Prefer(&|_| true),
        )
        .unwrap();
    let changed = b.offer_within(other.audio.as_ref().map(|s| (s, Direction::SendRecv)), None);
    assert_eq!(
        lines(&changed, "m="),
        ["m=audio 31000 RTP/AVP 8 101", "m=video 0 RTP/AVP 97"]
    );
    let back = b.offer_within(
        other.audio.as_ref().map(|s| (s, Direction::SendRecv)),
        Some((video, Direction::SendRecv)),
    );
    assert_eq!(
        lines(&back, "m="),
        ["m=audio 31000 RTP/AVP 8 101", "m=video 31002 RTP/AVP 97"]
    );
    let versions: Vec<String> = [&held, &changed, &back]
        .iter()
        .map(|sdp| lines(sdp, "o=").remove(0))
        .collect();
    assert_eq!(
        versions
            .iter()
            .map(|o| o.split(' ').nth(2).unwrap())
            .collect::<Vec<_>>(),
        ["2", "3", "4"]
    );
}
