//! AMR and AMR-WB in offers and answers (RFC 4867 §8.3.1), both packings.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Agreed, Amr, Band, Choice, Codec, Description, Packing, SdpError, Side, Stream};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// Wideband in both packings, then narrowband; telephone-event of both clock rates.
const PHONE: &str = "m=audio 4000 RTP/AVP 98 99 97 100 101\r\na=rtpmap:98 AMR-WB/16000\r\na=fmtp:98 mode-change-capability=2;max-red=220\r\n\
    a=rtpmap:99 AMR-WB/16000/1\r\na=fmtp:99 octet-align=1;mode-change-capability=2;max-red=220\r\na=rtpmap:97 AMR/8000\r\n\
    a=rtpmap:100 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n";

fn described(media: &str) -> Description {
    Description::parse(format!("v=0\r\nc=IN IP4 10.0.0.1\r\n{media}").as_bytes()).unwrap()
}

fn answer(media: &str, preferred: fn(Codec) -> bool) -> Result<Agreed, SdpError> {
    Side::new(1, OURS, 30_000, 30_002).answer(&described(media), Choice::Prefer(&|f| preferred(f.codec)))
}

fn media(sdp: &[u8]) -> String {
    let text = String::from_utf8(sdp.to_vec()).unwrap();
    text[text.find("m=").unwrap()..].to_owned()
}

fn amr(stream: &Stream) -> Amr {
    match stream.format.codec {
        Codec::Amr(amr) => amr,
        other => panic!("{other:?}"),
    }
}

/// B's side after our offer of what A was answered, and that offer.
fn offered(to_a: &Agreed) -> (Side, String) {
    let mut b = Side::new(2, OURS, 31_000, 31_002);
    let offer = b.offer(to_a);
    (b, media(&offer))
}

#[test]
fn the_first_is_answered_with_the_event_of_its_clock_rate() {
    let agreed = answer(PHONE, |_| true).unwrap();
    assert_eq!(
        media(&agreed.sdp),
        "m=audio 30000 RTP/AVP 98 100\r\na=rtpmap:98 AMR-WB/16000\r\na=fmtp:98 max-red=220\r\n\
         a=rtpmap:100 telephone-event/16000\r\na=fmtp:100 0-15\r\na=sendrecv\r\n"
    );
    let audio = agreed.audio.unwrap();
    assert_eq!(
        (audio.dtmf_clock_rate, audio.format.codec.clock_rate()),
        (16_000, 16_000)
    );
    let narrow = answer(PHONE, |c| matches!(c, Codec::Amr(amr) if amr.band == Band::Narrow)).unwrap();
    assert!(
        media(&narrow.sdp).starts_with("m=audio 30000 RTP/AVP 97 101\r\n"),
        "8000 Hz with AMR"
    );
}

#[test]
fn packing_and_modes_are_answered_unmodified() {
    let gsm = "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 AMR/8000/1\r\n\
               a=fmtp:97 octet-align=1; mode-set=0,2,5,7; mode-change-period=2; mode-change-capability=2; mode-change-neighbor=1; y=1\r\n";
    let agreed = answer(gsm, |_| true).unwrap();
    assert!(
        media(&agreed.sdp).contains("a=fmtp:97 octet-align=1;mode-set=0,2,5,7;mode-change-capability=2\r\n"),
        "{}",
        media(&agreed.sdp)
    );
    let (_, offer) = offered(&agreed);
    assert!(
        offer.contains(
            "a=fmtp:97 octet-align=1;mode-set=0,2,5,7;mode-change-period=2;mode-change-capability=2;mode-change-neighbor=1\r\n"
        ),
        "what A requires of who sends to it goes to B: {offer}"
    );
}

#[test]
fn what_cannot_be_packed_here_is_not_taken() {
    for fmtp in [
        "octet-align=1;crc=1",
        "robust-sorting=1",
        "interleaving=30",
        "mode-set=9",
    ] {
        let offer = format!("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 AMR/8000\r\na=fmtp:96 {fmtp}\r\n");
        assert!(answer(&offer, |_| true).is_err(), "{fmtp}");
        let beside = offer.replace("AVP 96", "AVP 96 97") + "a=rtpmap:97 AMR/8000\r\na=fmtp:97 octet-align=1\r\n";
        assert_eq!(
            answer(&beside, |_| true).unwrap().audio.unwrap().format.payload_type,
            97
        );
    }
    for map in ["AMR/8000/2", "AMR/16000", "AMR-WB/8000"] {
        let offer = format!("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 {map}\r\n");
        assert!(answer(&offer, |_| true).is_err(), "{map}");
    }
}

#[test]
fn b_is_offered_both_packings_and_takes_either() {
    let to_a = answer(PHONE, |_| true).unwrap();
    let (_, offer) = offered(&to_a);
    assert!(
        offer.starts_with(
            "m=audio 31000 RTP/AVP 98 104 100\r\na=rtpmap:98 AMR-WB/16000\r\na=fmtp:98 mode-change-capability=2;max-red=220\r\n\
             a=rtpmap:104 AMR-WB/16000\r\na=fmtp:104 octet-align=1;mode-change-capability=2;max-red=220\r\n\
             a=rtpmap:100 telephone-event/16000\r\n"
        ),
        "{offer}"
    );
    let events = "a=rtpmap:100 telephone-event/16000\r\n";
    for (answer, packing, number) in [
        (
            "m=audio 6000 RTP/AVP 98 100\r\na=rtpmap:98 AMR-WB/16000\r\n",
            Packing::BandwidthEfficient,
            98,
        ),
        (
            "m=audio 6000 RTP/AVP 104 100\r\na=rtpmap:104 AMR-WB/16000\r\na=fmtp:104 octet-align=1\r\n",
            Packing::OctetAligned,
            104,
        ),
        // The number alone means what we offered under it.
        (
            "m=audio 6000 RTP/AVP 104 100\r\na=rtpmap:104 AMR-WB/16000\r\n",
            Packing::OctetAligned,
            104,
        ),
        // Another number: by what it says.
        (
            "m=audio 6000 RTP/AVP 120 100\r\na=rtpmap:120 AMR-WB/16000\r\na=fmtp:120 octet-align=1\r\n",
            Packing::OctetAligned,
            104,
        ),
        (
            "m=audio 6000 RTP/AVP 120 100\r\na=rtpmap:120 AMR-WB/16000\r\n",
            Packing::BandwidthEfficient,
            98,
        ),
        // A packing that contradicts its number: the payload is what it says.
        (
            "m=audio 6000 RTP/AVP 98 100\r\na=rtpmap:98 AMR-WB/16000\r\na=fmtp:98 octet-align=1\r\n",
            Packing::OctetAligned,
            104,
        ),
    ] {
        let (mut b, _) = offered(&to_a);
        let agreed = b.read_answer(&described(&format!("{answer}{events}"))).unwrap();
        let audio = agreed.audio.unwrap();
        assert_eq!(
            (amr(&audio).packing, audio.our_payload_type),
            (packing, number),
            "{answer}"
        );
        assert_eq!(audio.dtmf_payload_type, Some(100));
        let aligned = audio
            .format
            .fmtp
            .as_deref()
            .is_some_and(|fmtp| fmtp.contains("octet-align=1"));
        assert_eq!(aligned, packing == Packing::OctetAligned, "written down: {answer}");
        // From here on it is this packing alone.
        let again = media(&b.offer_again());
        assert!(
            again.starts_with(&format!("m=audio 31000 RTP/AVP {number} 100\r\n")),
            "{again}"
        );
        assert_eq!(
            again.contains("octet-align=1"),
            packing == Packing::OctetAligned,
            "{again}"
        );
    }
}

#[test]
fn a_mode_set_that_b_chooses_binds_and_another_than_offered_is_no_answer() {
    let to_a = answer(PHONE, |_| true).unwrap();
    let (mut b, _) = offered(&to_a);
    let agreed = b
        .read_answer(&described(
            "m=audio 6000 RTP/AVP 98\r\na=rtpmap:98 AMR-WB/16000\r\na=fmtp:98 mode-set=0,1,2\r\n",
        ))
        .unwrap();
    assert_eq!(amr(agreed.audio.as_ref().unwrap()).modes.text(), "0,1,2");
    assert!(media(&b.offer_again()).contains("mode-set=0,1,2"), "and stays");

    let gsm = "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 AMR/8000\r\na=fmtp:97 mode-set=7\r\n";
    let (mut b, _) = offered(&answer(gsm, |_| true).unwrap());
    let other = b.read_answer(&described(
        "m=audio 6000 RTP/AVP 97\r\na=rtpmap:97 AMR/8000\r\na=fmtp:97 mode-set=0,2\r\n",
    ));
    assert_eq!(other.unwrap_err().status(), 488);
}

#[test]
fn a_re_offer_keeps_packing_and_modes_or_restricts_less() {
    let mut side = Side::new(1, OURS, 30_000, 30_002);
    let offer = |fmtp: &str| {
        described(&format!(
            "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 AMR/8000\r\na=fmtp:97 {fmtp}\r\n"
        ))
    };
    let agreed = side.answer(&offer("mode-set=0,2"), Choice::Prefer(&|_| true)).unwrap();
    let keep = Choice::Keep {
        audio: agreed.audio.as_ref().map(|s| s.format.codec),
        video: None,
    };
    for (fmtp, kept) in [
        ("mode-set=0,2", true),
        ("mode-set=0,2,7", true),
        ("max-red=0", true),
        ("mode-set=0", false),
        ("octet-align=1;mode-set=0,2", false),
    ] {
        assert_eq!(side.clone().answer(&offer(fmtp), keep).is_ok(), kept, "{fmtp}");
    }
}

#[test]
fn our_line_to_b_stays_when_a_packs_otherwise() {
    let to_a = answer(PHONE, |_| true).unwrap();
    let (mut b, _) = offered(&to_a);
    let aligned = "m=audio 6000 RTP/AVP 104 100\r\na=rtpmap:104 AMR-WB/16000\r\na=rtpmap:100 telephone-event/16000\r\n";
    b.read_answer(&described(aligned)).unwrap();
    let audio = to_a.audio.as_ref().unwrap();
    let offer = media(&b.offer_within(Some((audio, segue_sdp::Direction::SendOnly)), None));
    assert!(
        offer.starts_with("m=audio 31000 RTP/AVP 104 100\r\n") && offer.contains("a=sendonly"),
        "{offer}"
    );
}
