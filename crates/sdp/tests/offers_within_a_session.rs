//! Hold, resume, and offers that we make when asked (RFC 3264 §8).
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Agreed, Choice, Codec, Description, Direction, Side};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

fn offer(address: &str, audio: &str, video: &str) -> Description {
    let text = format!("v=0\r\no=- 9 9 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n{audio}{video}");
    Description::parse(text.as_bytes()).unwrap()
}

const AUDIO: &str = "m=audio 4000 RTP/AVP 0 8\r\n";
const VIDEO: &str =
    "m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n";

fn keep(agreed: &Agreed) -> Choice<'static> {
    let codec = |s: &Option<segue_sdp::Stream>| s.as_ref().map(|s| s.format.codec);
    Choice::Keep {
        audio: codec(&agreed.audio),
        video: codec(&agreed.video),
    }
}

fn session() -> (Side, Agreed) {
    let mut side = Side::new(5, OURS, 30_000, 30_002);
    let agreed = side
        .answer(&offer("10.0.0.1", AUDIO, VIDEO), Choice::Prefer(&|_| true))
        .unwrap();
    (side, agreed)
}

fn origin(agreed: &Agreed) -> String {
    String::from_utf8(agreed.sdp.to_vec())
        .unwrap()
        .lines()
        .nth(1)
        .unwrap()
        .to_owned()
}

#[test]
fn the_same_offer_gets_the_same_bytes() {
    let (mut side, first) = session();
    let again = side.answer(&offer("10.0.0.1", AUDIO, VIDEO), keep(&first)).unwrap();
    assert_eq!(first.sdp, again.sdp);
}

#[test]
fn what_its_streams_are_is_said_of_each_live_one_until_it_is_taken_back() {
    let mut side = Side::new(5, OURS, 30_000, 30_002);
    side.set_content(Some("g.3gpp.cat"));
    let with_rejected = format!("{VIDEO}m=text 5000 RTP/AVP 98\r\n");
    let first = side
        .answer(&offer("10.0.0.1", AUDIO, &with_rejected), Choice::Prefer(&|_| true))
        .unwrap();
    let text = String::from_utf8(first.sdp.to_vec()).unwrap();
    let lines: Vec<&str> = text.split("m=").skip(1).collect();
    let says = |line: &&str| line.contains("\r\na=content:g.3gpp.cat\r\n");
    assert_eq!(
        lines.iter().map(says).collect::<Vec<_>>(),
        [true, true, false],
        "{text}"
    );
    side.set_content(None);
    let later = side
        .answer(&offer("10.0.0.1", AUDIO, &with_rejected), keep(&first))
        .unwrap();
    assert!(!String::from_utf8_lossy(&later.sdp).contains("a=content"));
    assert_eq!(
        origin(&later),
        "o=- 5 2 IN IP4 203.0.113.1",
        "that is another description"
    );
}

#[test]
fn hold_and_resume_raise_the_version_and_keep_the_session_id() {
    let (mut side, first) = session();
    let held = side
        .answer(
            &offer(
                "10.0.0.1",
                &format!("{AUDIO}a=sendonly\r\n"),
                &format!("{VIDEO}a=inactive\r\n"),
            ),
            keep(&first),
        )
        .unwrap();
    assert_eq!(held.audio.as_ref().unwrap().direction, Direction::RecvOnly);
    assert_eq!(held.video.as_ref().unwrap().direction, Direction::Inactive);
    let resumed = side.answer(&offer("10.0.0.1", AUDIO, VIDEO), keep(&first)).unwrap();
    assert_eq!(resumed.audio.as_ref().unwrap().direction, Direction::SendRecv);
    assert_eq!(
        [origin(&first), origin(&held), origin(&resumed)],
        [
            "o=- 5 1 IN IP4 203.0.113.1",
            "o=- 5 2 IN IP4 203.0.113.1",
            "o=- 5 3 IN IP4 203.0.113.1"
        ]
    );
}

#[test]
fn the_old_hold_by_zero_address_stops_our_packets() {
    let (mut side, first) = session();
    let held = side.answer(&offer("0.0.0.0", AUDIO, VIDEO), keep(&first)).unwrap();
    let audio = held.audio.unwrap();
    assert_eq!((audio.remote, audio.remote_rtcp), (None, None));
}

#[test]
fn a_re_offer_moves_the_peer() {
    let (mut side, first) = session();
    let moved = side.answer(&offer("10.0.0.9", AUDIO, VIDEO), keep(&first)).unwrap();
    assert_eq!(moved.audio.unwrap().remote, Some("10.0.0.9:4000".parse().unwrap()));
    assert_eq!(moved.sdp, first.sdp, "what we say has not changed");
}

#[test]
fn video_can_be_dropped_and_taken_up_again() {
    let (mut side, first) = session();
    let dropped = side
        .answer(&offer("10.0.0.1", AUDIO, "m=video 0 RTP/AVP 97\r\n"), keep(&first))
        .unwrap();
    assert!(dropped.video.is_none());
    let back = side.answer(&offer("10.0.0.1", AUDIO, VIDEO), keep(&first)).unwrap();
    assert!(back.video.is_some());
}

#[test]
fn where_audio_may_change_its_codec_video_may_not() {
    let (mut side, first) = session();
    let video = first.video.as_ref().map(|stream| stream.format.codec);
    let pcma = "m=audio 4000 RTP/AVP 18 8\r\n";
    let changed = side
        .answer(&offer("10.0.0.1", pcma, VIDEO), Choice::KeepVideo(video))
        .unwrap();
    assert_eq!(changed.audio.unwrap().format.codec, Codec::Pcma);
    assert_eq!(changed.video.unwrap().format.codec, first.video.unwrap().format.codec);
    let vp8 = "m=video 4002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n";
    for (audio, video_line) in [(pcma, vp8), ("m=audio 4000 RTP/AVP 18\r\n", VIDEO)] {
        let before = side.clone();
        let refused = side.answer(&offer("10.0.0.1", audio, video_line), Choice::KeepVideo(video));
        assert!(refused.is_err() && format!("{side:?}") == format!("{before:?}"));
    }
}

#[test]
fn a_re_offer_without_the_codec_in_use_changes_nothing() {
    let (mut side, first) = session();
    let error = side
        .answer(&offer("10.0.0.1", "m=audio 4000 RTP/AVP 8\r\n", VIDEO), keep(&first))
        .unwrap_err();
    assert_eq!(error.status(), 488);
    assert_eq!(side.said().unwrap(), first.sdp);
    assert!(
        side.answer(&offer("10.0.0.1", AUDIO, ""), keep(&first)).is_err(),
        "an m-line is missing"
    );
}

#[test]
fn video_added_where_the_other_side_has_none_is_rejected_alone() {
    let mut side = Side::new(5, OURS, 30_000, 30_002);
    side.answer(&offer("10.0.0.1", AUDIO, ""), Choice::Prefer(&|_| true))
        .unwrap();
    let choice = Choice::Keep {
        audio: Some(Codec::Pcmu),
        video: None,
    };
    let agreed = side.answer(&offer("10.0.0.1", AUDIO, VIDEO), choice).unwrap();
    assert!(agreed.audio.is_some() && agreed.video.is_none());
    assert!(
        String::from_utf8(agreed.sdp.to_vec())
            .unwrap()
            .contains("m=video 0 RTP/AVP 97\r\n")
    );
}

#[test]
fn asked_for_an_offer_we_say_what_is_agreed_as_wide_as_it_goes() {
    let (mut side, first) = session();
    let hold = format!("{AUDIO}a=sendonly\r\n");
    let held = side.answer(&offer("10.0.0.1", &hold, VIDEO), keep(&first)).unwrap();
    assert_ne!(held.sdp, first.sdp);
    let ours = side.offer_again();
    let text = String::from_utf8(ours.to_vec()).unwrap();
    assert!(text.contains("o=- 5 3 ") && !text.contains("recvonly"), "{text}");
    let agreed = side.read_answer(&offer("10.0.0.1", AUDIO, VIDEO)).unwrap();
    assert_eq!(agreed.audio.unwrap().direction, Direction::SendRecv);
    assert_eq!(agreed.sdp, ours);
}
