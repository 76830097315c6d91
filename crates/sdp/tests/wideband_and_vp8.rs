//! Opus, G.722, VP8, and the telephone-event that goes with each.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Agreed, Choice, Codec, Description, SdpError, Side};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// Payload types 96 (Opus), 98 (VP8), and telephone-event of both clock rates.
const MAPS: &str = "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 stereo=1;useinbandfec=1;maxplaybackrate=24000\r\n\
    a=rtpmap:100 telephone-event/8000\r\na=rtpmap:101 telephone-event/48000\r\n";

fn described(media: &str) -> Description {
    Description::parse(format!("v=0\r\nc=IN IP4 10.0.0.1\r\n{media}").as_bytes()).unwrap()
}

fn answer(media: &str, preferred: fn(Codec) -> bool) -> Agreed {
    Side::new(1, OURS, 30_000, 30_002)
        .answer(&described(media), Choice::Prefer(&|f| preferred(f.codec)))
        .unwrap()
}

/// The media of a description, without its session part.
fn media(sdp: &[u8]) -> String {
    let text = String::from_utf8(sdp.to_vec()).unwrap();
    text[text.find("m=").unwrap()..].to_owned()
}

#[test]
fn opus_is_answered_with_the_event_of_its_clock_rate() {
    let agreed = answer(&format!("m=audio 4000 RTP/AVP 96 0 100 101\r\n{MAPS}"), |_| true);
    assert_eq!(
        media(&agreed.sdp),
        "m=audio 30000 RTP/AVP 96 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
         a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
    );
    let audio = agreed.audio.unwrap();
    assert_eq!((audio.format.codec, audio.dtmf_clock_rate), (Codec::Opus, 48_000));
}

#[test]
fn g711_in_the_same_offer_gets_the_event_of_8000() {
    let offer = format!("m=audio 4000 RTP/AVP 96 0 101 100\r\n{MAPS}");
    let agreed = answer(&offer, |codec| codec == Codec::Pcmu);
    let audio = agreed.audio.unwrap();
    assert_eq!(
        (audio.format.codec, audio.dtmf_payload_type, audio.dtmf_clock_rate),
        (Codec::Pcmu, Some(100), 8_000)
    );
}

#[test]
fn opus_from_a_phone_that_knows_one_event_alone_takes_that() {
    let offer = "m=audio 4000 RTP/AVP 111 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
    let agreed = answer(offer, |_| true);
    assert!(media(&agreed.sdp).contains("a=rtpmap:101 telephone-event/8000\r\n"));
    let mut b = Side::new(2, OURS, 30_004, 30_006);
    assert!(
        media(&b.offer(&agreed)).contains("a=rtpmap:101 telephone-event/8000\r\n"),
        "durations are carried untouched, so both sides count alike"
    );
}

#[test]
fn the_callers_order_decides_among_what_is_preferred() {
    let offer = "m=audio 4000 RTP/AVP 9 8 96\r\na=rtpmap:96 opus/48000/2\r\n";
    assert_eq!(answer(offer, |_| true).audio.unwrap().format.codec, Codec::G722);
    let not_g722 = answer(offer, |codec| codec != Codec::G722);
    assert_eq!(not_g722.audio.unwrap().format.codec, Codec::Pcma);
}

#[test]
fn g722_says_8000_and_is_known_by_its_static_number() {
    for offer in [
        "m=audio 4000 RTP/AVP 9\r\n",
        "m=audio 4000 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n",
        "m=audio 4000 RTP/AVP 9\r\na=rtpmap:9 G722/8000/1\r\n",
    ] {
        let agreed = answer(offer, |_| true);
        assert!(
            media(&agreed.sdp).contains("RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n"),
            "{offer}"
        );
        assert_eq!(agreed.audio.unwrap().format.codec.clock_rate(), 8_000);
    }
}

#[test]
fn other_rates_of_the_same_names_are_other_formats() {
    for map in ["opus/48000", "opus/16000/2", "G722/16000", "VP8/8000"] {
        let offer = format!("m=audio 4000 RTP/AVP 99\r\na=rtpmap:99 {map}\r\n");
        let result = Side::new(1, OURS, 30_000, 30_002).answer(&described(&offer), Choice::Prefer(&|_| true));
        let Err(SdpError::Unusable(warning)) = result else {
            panic!("{map} was taken")
        };
        assert!(
            warning
                .to_string()
                .contains("PCMU, PCMA, G722, opus, AMR, AMR-WB, H264 or VP8"),
            "{warning}"
        );
    }
}

#[test]
fn b_is_told_what_a_wishes_to_receive() {
    let a = answer(
        &format!(
            "m=audio 4000 RTP/AVP 96 100 101\r\n{MAPS}m=video 4002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n\
             a=fmtp:98 max-fr=30;max-fs=1200\r\na=rtcp-fb:98 nack pli\r\n"
        ),
        |_| true,
    );
    assert!(
        media(&a.sdp).contains("m=video 30002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\na=rtcp-fb:98 nack pli\r\n"),
        "limits of a receiver are not repeated to it: {}",
        media(&a.sdp)
    );
    let mut b = Side::new(2, OURS, 30_004, 30_006);
    assert_eq!(
        media(&b.offer(&a)),
        "m=audio 30004 RTP/AVP 96 101\r\na=rtpmap:96 opus/48000/2\r\n\
         a=fmtp:96 maxplaybackrate=24000;stereo=1;useinbandfec=1\r\n\
         a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n\
         m=video 30006 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\na=fmtp:98 max-fr=30;max-fs=1200\r\n\
         a=rtcp-fb:* nack\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\na=sendrecv\r\n"
    );
}

#[test]
fn an_event_of_another_clock_rate_than_offered_is_not_taken_up() {
    let a = answer(&format!("m=audio 4000 RTP/AVP 96 100 101\r\n{MAPS}"), |_| true);
    let mut b = Side::new(2, OURS, 30_004, 30_006);
    b.offer(&a);
    let mut answered = |events: &str| {
        let answer = format!("m=audio 5000 RTP/AVP 120 121\r\na=rtpmap:120 opus/48000/2\r\n{events}");
        b.read_answer(&described(&answer)).unwrap().audio.unwrap()
    };
    assert_eq!(
        answered("a=rtpmap:121 telephone-event/8000\r\n").dtmf_payload_type,
        None
    );
    let both = answered("a=rtpmap:121 telephone-event/48000\r\n");
    assert_eq!(
        (
            both.format.payload_type,
            both.dtmf_payload_type,
            both.our_dtmf_payload_type
        ),
        (120, Some(121), Some(101))
    );
}

#[test]
fn telephone_event_keeps_out_of_the_codecs_number() {
    let offer = "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 opus/48000/2\r\n";
    let mut b = Side::new(2, OURS, 30_004, 30_006);
    let said = media(&b.offer(&answer(offer, |_| true)));
    assert!(said.starts_with("m=audio 30004 RTP/AVP 101 102\r\n"), "{said}");
}
