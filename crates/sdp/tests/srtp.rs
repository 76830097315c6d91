//! SRTP by security descriptions (RFC 4568): offers of peers, our answers, our offers and their answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of tests, too, may fail loudly.

use std::net::{IpAddr, Ipv4Addr};

use segue_sdp::{Agreed, Choice, Description, Kind, SdpError, Side, Srtp, Suite};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const OTHER: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

fn side(takes: Srtp) -> Side {
    Side::new(1, OURS, 30_000, 30_002).secured(takes, false, [9; 32])
}

fn parsed(lines: &str) -> Description {
    Description::parse(format!("v=0\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{lines}").as_bytes()).unwrap()
}

fn answer(side: &mut Side, lines: &str) -> Result<Agreed, SdpError> {
    side.answer(&parsed(lines), Choice::Prefer(&|_| true))
}

fn text(agreed: &Agreed) -> String {
    String::from_utf8(agreed.sdp.to_vec()).unwrap()
}

fn phone(key: &str) -> String {
    format!(
        "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:{key}\r\n\
         a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{key}|2^20|1:4\r\na=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n"
    )
}

/// The `a=crypto` lines of a description.
fn crypto(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("a=crypto:")).collect()
}

#[test]
fn the_first_suite_that_we_have_is_taken_under_its_tag() {
    let agreed = answer(&mut side(Srtp::Allow), &phone(KEY)).unwrap();
    let said = text(&agreed);
    assert!(said.contains("m=audio 30000 RTP/SAVP 8\r\n"), "{said}");
    let lines = crypto(&said);
    assert_eq!(lines.len(), 1, "exactly one is accepted: {said}");
    assert!(
        lines[0].starts_with("a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:"),
        "{said}"
    );
    assert!(
        !said.contains(KEY) && !said.contains('|'),
        "the key is ours, without a lifetime or MKI: {said}"
    );
    let keys = agreed.audio.unwrap().keys.unwrap();
    assert_eq!(keys.theirs.key(), b"wDfvg&T+)xG7@fb5");
    assert_eq!(keys.theirs.mki().map(|mki| (mki.value, mki.length)), Some((1, 4)));
    assert_eq!((keys.ours.suite(), keys.ours.mki()), (Suite::AesCm128HmacSha1_32, None));
    assert_ne!(keys.ours.key(), keys.theirs.key());
}

#[test]
fn each_m_line_has_a_key_of_its_own_and_its_own_profile() {
    let offer = format!(
        "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\nm=video 4002 RTP/SAVPF 98\r\n\
         a=rtpmap:98 VP8/90000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{OTHER}\r\n"
    );
    let agreed = answer(&mut side(Srtp::Require), &offer).unwrap();
    let said = text(&agreed);
    assert!(
        said.contains("RTP/SAVP 8\r\n") && said.contains("RTP/SAVPF 98\r\n"),
        "{said}"
    );
    let key = |stream: &Option<segue_sdp::Stream>| stream.clone().unwrap().keys.unwrap();
    assert_ne!(key(&agreed.audio).ours, key(&agreed.video).ours);
}

#[test]
fn what_cannot_be_done_safely_is_refused_with_a_warning() {
    let weak =
        format!("m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP\r\n");
    for (takes, lines, why) in [
        (Srtp::Allow, weak.as_str(), "302 segue \"No crypto suite in common"),
        (
            Srtp::Allow,
            "m=audio 4000 RTP/SAVP 8\r\n",
            "302 segue \"No crypto suite in common",
        ),
        (
            Srtp::Off,
            &phone(KEY),
            "302 segue \"Incompatible transport protocol: RTP/AVP",
        ),
        (
            Srtp::Require,
            "m=audio 4000 RTP/AVP 8\r\n",
            "302 segue \"Incompatible transport protocol: RTP/SAVP",
        ),
        (
            Srtp::Allow,
            "m=audio 4000 UDP/TLS/RTP/SAVP 8\r\n",
            "302 segue \"Incompatible transport protocol: RTP/AVP",
        ),
    ] {
        let error = answer(&mut side(takes), lines).unwrap_err();
        assert_eq!(error.status(), 488, "{lines}");
        assert!(error.warning().to_string().starts_with(why), "{}", error.warning());
    }
}

#[test]
fn of_both_kinds_the_one_that_may_be_is_taken() {
    let both = format!("{}m=audio 4000 RTP/AVP 8\r\n", phone(KEY));
    let ports = |takes| {
        let said = text(&answer(&mut side(takes), &both).unwrap());
        let ports = said
            .lines()
            .filter(|line| line.starts_with("m="))
            .map(|m| m.starts_with("m=audio 30000"));
        ports.collect::<Vec<_>>()
    };
    assert_eq!(ports(Srtp::Off), [false, true]);
    assert_eq!(ports(Srtp::Allow), [true, false]);
    assert_eq!(ports(Srtp::Require), [true, false]);
}

#[test]
fn keys_beside_plain_rtp_mean_nothing() {
    let offer = format!("m=audio 4000 RTP/AVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n");
    let agreed = answer(&mut side(Srtp::Allow), &offer).unwrap();
    assert!(agreed.audio.as_ref().unwrap().keys.is_none() && crypto(&text(&agreed)).is_empty());
    assert!(answer(&mut side(Srtp::Require), &offer).is_err());
}

#[test]
fn our_key_stays_while_the_peer_renews_its_own() {
    let mut side = side(Srtp::Allow);
    let first = answer(&mut side, &phone(KEY)).unwrap();
    let same = answer(&mut side, &phone(KEY)).unwrap();
    assert_eq!(first.sdp, same.sdp, "the same offer gets the same bytes");
    let again = answer(&mut side, &phone(OTHER)).unwrap();
    let keys = |agreed: &Agreed| agreed.audio.clone().unwrap().keys.unwrap();
    assert_eq!(keys(&first).ours, keys(&again).ours);
    assert_ne!(keys(&first).theirs, keys(&again).theirs);
    assert_eq!(first.sdp, again.sdp, "nothing of ours has changed");
}

#[test]
fn a_peer_that_moves_or_takes_another_suite_gets_another_key_of_ours() {
    let keys = |agreed: &Agreed| agreed.audio.clone().unwrap().keys.unwrap();
    for change in [
        phone(OTHER).replace("m=audio 4000", "m=audio 4010"),
        phone(OTHER).replace("a=crypto:2", "a=ignored:2"),
    ] {
        let mut side = side(Srtp::Allow);
        let first = answer(&mut side, &phone(KEY)).unwrap();
        // On hold by the old way (RFC 2543) it has not moved.
        let held = phone(KEY).replace("m=audio", "c=IN IP4 0.0.0.0\r\nm=audio");
        let held = side.answer(
            &Description::parse(format!("v=0\r\nt=0 0\r\n{held}").as_bytes()).unwrap(),
            Choice::Prefer(&|_| true),
        );
        assert_eq!(keys(&first).ours, keys(&held.unwrap()).ours);
        let moved = answer(&mut side, &change).unwrap();
        assert_ne!(keys(&first).ours, keys(&moved).ours, "{change}");
    }
}

#[test]
fn srtp_never_falls_back_within_the_session() {
    let mut side = side(Srtp::Allow);
    let first = answer(&mut side, &phone(KEY)).unwrap();
    let error = answer(&mut side, "m=audio 4000 RTP/AVP 8\r\n").unwrap_err();
    assert!(error.warning().to_string().contains("RTP/SAVP"), "{error}");
    // Nor beside it.
    let more = format!("{}m=video 4002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n", phone(KEY));
    let kept = answer(&mut side, &more).unwrap();
    assert!(kept.video.is_none() && text(&kept).contains("m=video 0 RTP/AVP 98"));
    assert_eq!(first.audio, kept.audio);
    // RTP may become SRTP.
    let mut side = Side::new(1, OURS, 30_000, 30_002).secured(Srtp::Allow, false, [9; 32]);
    assert!(
        answer(&mut side, "m=audio 4000 RTP/AVP 8\r\n")
            .unwrap()
            .audio
            .unwrap()
            .keys
            .is_none()
    );
    assert!(answer(&mut side, &phone(KEY)).unwrap().audio.unwrap().keys.is_some());
}

#[test]
fn what_has_both_kinds_is_answered_as_it_was() {
    let mixed = format!("{}m=video 4002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n", phone(KEY));
    let mut side = side(Srtp::Allow);
    let first = answer(&mut side, &mixed).unwrap();
    assert!(first.video.as_ref().is_some_and(|video| video.keys.is_none()));
    assert_eq!(first, answer(&mut side, &mixed).unwrap());
}

/// Our offer to a callee of what this caller has, over SRTP.
fn offered() -> (Side, String) {
    let a = "m=audio 4000 RTP/AVP 8\r\nm=video 4002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n";
    let a = answer(&mut side(Srtp::Off), a).unwrap();
    let mut b = Side::new(2, OURS, 30_004, 30_006).secured(Srtp::Require, true, [8; 32]);
    let offer = b.offer(&a);
    (b, String::from_utf8(offer.to_vec()).unwrap())
}

#[test]
fn our_offer_has_two_suites_an_m_line_each_with_its_own_key() {
    let (_, offer) = offered();
    assert!(
        offer.contains("m=audio 30004 RTP/SAVP 8 101\r\n") && offer.contains("m=video 30006 RTP/SAVP 98\r\n"),
        "{offer}"
    );
    let lines = crypto(&offer);
    let suites: Vec<&str> = lines
        .iter()
        .map(|line| line.split(" inline:").next().unwrap())
        .collect();
    let each = ["a=crypto:1 AES_CM_128_HMAC_SHA1_80", "a=crypto:2 AEAD_AES_256_GCM"];
    assert_eq!(suites, [each, each].concat());
    let mut keys: Vec<&str> = lines.iter().map(|line| line.rsplit(':').next().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4, "no key stands twice: {offer}");
}

#[test]
fn an_answer_takes_one_of_the_offered() {
    let gcm = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=";
    let (mut b, offer) = offered();
    let agreed = b
        .read_answer(&parsed(&format!(
            "m=audio 5000 RTP/SAVP 8\r\na=crypto:2 AEAD_AES_256_GCM inline:{gcm}\r\nm=video 5002 RTP/SAVP 98\r\n\
             a=rtpmap:98 VP8/90000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"
        )))
        .unwrap();
    let suite = |stream: &Option<segue_sdp::Stream>| stream.clone().unwrap().keys.unwrap().ours.suite();
    assert_eq!(suite(&agreed.audio), Suite::AeadAes256Gcm);
    assert_eq!(suite(&agreed.video), Suite::AesCm128HmacSha1_80);
    // What we say later of these lines are the keys in use, and no others.
    let again = String::from_utf8(b.offer_again().to_vec()).unwrap();
    let both = [crypto(&offer)[1], crypto(&offer)[2]];
    assert_eq!(crypto(&again), both);
}

#[test]
fn an_answer_that_takes_none_of_them_is_refused() {
    for m in [
        "m=audio 5000 RTP/AVP 8\r\n".to_owned(),
        "m=audio 5000 RTP/SAVP 8\r\n".to_owned(),
        format!("m=audio 5000 RTP/SAVP 8\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"),
        format!("m=audio 5000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\r\n"),
        format!("m=audio 5000 RTP/AVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"),
    ] {
        assert_eq!(offered().0.read_answer(&parsed(&m)).unwrap_err().status(), 488, "{m}");
    }
    let mut plain = Side::new(2, OURS, 30_004, 30_006);
    plain.offer_choice(&[segue_sdp::Codec::Pcma], &[]);
    assert!(plain.read_answer(&parsed(&phone(KEY))).is_err(), "SRTP was not offered");
}

#[test]
fn what_is_offered_within_the_session_stays_srtp() {
    let mut a = side(Srtp::Allow);
    let agreed = answer(&mut a, &phone(KEY)).unwrap();
    let before = text(&agreed);
    let stream = agreed.audio.clone().unwrap();
    let within = |a: &mut Side| {
        String::from_utf8(
            a.offer_within(Some((&stream, segue_sdp::Direction::SendOnly)), None)
                .to_vec(),
        )
    };
    let held = within(&mut a).unwrap();
    assert!(held.contains("RTP/SAVP 8") && held.contains("a=sendonly"), "{held}");
    assert_eq!(crypto(&held), crypto(&before));
    // Pictures that come to it are SRTP, too.
    let pictures = a.offer_pictures(&[segue_sdp::Codec::Vp8]).unwrap();
    let pictures = String::from_utf8(pictures.to_vec()).unwrap();
    assert!(pictures.contains("m=video 30002 RTP/SAVP 98"), "{pictures}");
    assert_eq!(crypto(&pictures).len(), 3);
    assert_eq!(
        a.says(Kind::Audio).map(|(codec, _)| codec),
        Some(segue_sdp::Codec::Pcma)
    );
}

#[test]
fn how_the_caller_comes_is_not_how_the_callee_is_offered() {
    let foreign = format!(
        "m=audio 4000 RTP/SAVPF 96\r\na=rtpmap:96 EVS/16000\r\na=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"
    );
    let offer = parsed(&foreign);
    assert!(offer.is_foreign());
    let mut b = Side::new(2, OURS, 30_004, 30_006);
    let onwards = String::from_utf8(b.offer_untouched(&offer).unwrap().to_vec()).unwrap();
    assert!(
        onwards.contains("m=audio 30004 RTP/AVPF 96") && crypto(&onwards).is_empty(),
        "{onwards}"
    );
    let callee = b
        .read_answer(&parsed("m=audio 5000 RTP/AVPF 96\r\na=rtpmap:96 EVS/16000\r\n"))
        .unwrap();
    let mut a = side(Srtp::Require);
    a.admits(&offer).unwrap();
    assert!(side(Srtp::Off).admits(&offer).is_err());
    let answered = text(&a.answer(&offer, Choice::Like(&callee)).unwrap());
    assert!(
        answered.contains("RTP/SAVPF 96") && answered.contains("a=crypto:4 "),
        "{answered}"
    );
    assert_eq!(
        a.offer_again().windows(9).filter(|w| *w == b"a=crypto:").count(),
        1,
        "and it stays so"
    );
}

#[test]
fn no_key_is_shown_by_what_is_printed_of_a_stream() {
    let mut side = side(Srtp::Allow);
    let agreed = answer(&mut side, &phone(KEY)).unwrap();
    let said = text(&agreed);
    let ours = crypto(&said)[0].rsplit(':').next().unwrap();
    let shown = format!("{:?} {:?} {:?}", side, agreed.audio, parsed(&phone(KEY)));
    // What was said stands in the side as bytes.
    let shown = shown.replace(&format!("{:?}", agreed.sdp), "");
    assert!(
        !shown.contains(KEY) && !shown.contains(ours) && !shown.contains("[119, 68"),
        "{shown}"
    );
}
