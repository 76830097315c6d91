//! SRTP by keys in the descriptions (RFC 4568): on A's side by the profile, on B's by what is offered there; never by falling back.

use std::sync::Arc;

use segue_call::{LegAction, LegId, MediaAction};
use segue_policy::{Emergency, Srtp, SrtpTo, Transcode};
use segue_records::CallResult;
use segue_sdp::{Keys, Stream};

use crate::stage::{A, AUDIO, Setup, Stage, VIDEO, sdp};

const KEY_A: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const KEY_B: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

/// The usual audio and video as SRTP under one key; no phone does so, and nothing here minds.
fn secured(key: &str) -> Arc<[u8]> {
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
    let both = [AUDIO, VIDEO].map(|media| format!("{}{crypto}", media.replace("RTP/AVP", "RTP/SAVP")));
    sdp(&both.concat())
}

fn plain() -> Arc<[u8]> {
    sdp(&format!("{AUDIO}{VIDEO}"))
}

fn call(offer: Option<Arc<[u8]>>, srtp: Srtp, srtp_to: SrtpTo) -> Stage {
    let mut setup = Setup {
        offer,
        ..Setup::default()
    };
    (setup.profile.srtp, setup.profile.srtp_to) = (srtp, srtp_to);
    // Other codecs are offered in stories of their own.
    (setup.profile.align, setup.profile.transcode) = (false, Transcode::Off);
    setup.call()
}

/// The keys with which a leg's streams were configured last.
fn keys(s: &Stage, leg: LegId) -> Vec<Option<Keys>> {
    let mut of_leg = s.media_actions().into_iter().filter_map(|action| match action {
        MediaAction::Configure {
            leg: configured,
            audio,
            video,
        } if configured == leg => Some([audio, video]),
        _ => None,
    });
    let streams = of_leg.next_back().unwrap().into_iter().flatten();
    streams.map(|stream: Stream| stream.keys.map(|keys| *keys)).collect()
}

fn is_secure(s: &Stage, leg: LegId) -> bool {
    let keys = keys(s, leg);
    assert!(keys.iter().all(Option::is_some) || keys.iter().all(Option::is_none));
    keys.iter().all(Option::is_some)
}

fn profiles(sdp: &str) -> Vec<&str> {
    let lines = sdp.lines().filter(|line| line.starts_with("m="));
    lines.map(|line| line.split(' ').nth(2).unwrap()).collect()
}

#[test]
fn a_who_offers_srtp_is_answered_srtp_before_anything_is_played() {
    let mut s = call(Some(secured(KEY_A)), Srtp::Allow, SrtpTo::AsCaller);
    assert_eq!(s.a().got(), ["183 sdp"]);
    let answer = s.a().told_sdp();
    assert_eq!(profiles(&answer), ["RTP/SAVP", "RTP/SAVP"]);
    assert_eq!(answer.matches("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:").count(), 2);
    assert!(!answer.contains(KEY_A));
    assert_eq!(s.media_did(), ["open a", "configure a", "play clip looping"]);
    assert!(is_secure(&s, A), "the clip goes out under our key");
    let ours = keys(&s, A);
    assert_ne!(ours[0].as_ref().unwrap().ours, ours[1].as_ref().unwrap().ours);
    s.run_ms(6_100);
    let offer = s.b().told_sdp();
    assert_eq!(profiles(&offer), ["RTP/SAVP", "RTP/SAVP"], "as the caller");
    s.b().answers_with(Some(secured(KEY_B)));
    let again = s.a().told_sdp();
    assert_eq!(answer, again, "the one answer");
    s.a().acks();
    assert!(is_secure(&s, LegId(1)));
    let all: Vec<Keys> = [keys(&s, A), keys(&s, LegId(1))]
        .concat()
        .into_iter()
        .flatten()
        .collect();
    for one in &all {
        let same = |other: &&Keys| other.ours == one.ours;
        assert_eq!(all.iter().filter(same).count(), 1, "no key of ours serves twice");
    }
    s.b().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn what_each_side_has_is_its_own_matter() {
    for (offer, srtp_to, answer) in [
        (secured(KEY_A), SrtpTo::Off, plain()),
        (plain(), SrtpTo::Offer, secured(KEY_B)),
        (plain(), SrtpTo::Require, secured(KEY_B)),
        (plain(), SrtpTo::AsCaller, plain()),
    ] {
        let (secure_a, secure_b) = (offer == secured(KEY_A), answer == secured(KEY_B));
        let mut s = call(Some(offer), Srtp::Allow, srtp_to);
        s.run_ms(6_100);
        s.b().answers_with(Some(answer));
        s.a().acks();
        assert_eq!(
            (is_secure(&s, A), is_secure(&s, LegId(1))),
            (secure_a, secure_b),
            "{srtp_to:?}"
        );
        s.a().hangs_up();
        assert_eq!(s.finish().result, CallResult::Answered);
    }
}

#[test]
fn a_who_may_not_have_what_it_offers_is_refused_at_once() {
    for (offer, srtp, why) in [
        (secured(KEY_A), Srtp::Off, "RTP/AVP or RTP/AVPF is needed"),
        (plain(), Srtp::Require, "RTP/SAVP or RTP/SAVPF is needed"),
    ] {
        let mut s = call(Some(offer), srtp, SrtpTo::AsCaller);
        let Some(LegAction::Refuse(info)) = s.a().actions().into_iter().next() else {
            panic!("not refused")
        };
        assert_eq!(info.status, 488);
        let warning = info.warning.unwrap();
        assert!(warning.starts_with("302 ") && warning.contains(why), "{warning}");
        assert!(s.finish().why.contains(why));
    }
}

#[test]
fn b_who_refuses_srtp_is_asked_again_with_rtp_where_that_may_be() {
    for (srtp_to, again) in [
        (SrtpTo::AsCaller, true),
        (SrtpTo::Offer, true),
        (SrtpTo::Require, false),
    ] {
        let mut s = call(Some(secured(KEY_A)), Srtp::Allow, srtp_to);
        s.run_ms(6_100);
        s.b().refuses(488, "Not Acceptable Here");
        s.run_ms(10);
        if !again {
            assert!(s.target(2).got().is_empty());
            assert!(
                s.media_did().contains(&"play greeting".to_owned()),
                "{:?}",
                s.media_did()
            );
            s.a().hangs_up();
            s.finish();
            continue;
        }
        let offer = s.target(2).told_sdp();
        assert_eq!(profiles(&offer), ["RTP/AVP", "RTP/AVP"]);
        assert!(!offer.contains("a=crypto"));
        s.target(2).answers();
        s.a().acks();
        assert!(is_secure(&s, A) && !is_secure(&s, LegId(2)));
        assert_eq!(s.media_did().last().unwrap(), "bridge another b");
        s.a().hangs_up();
        let record = s.finish();
        assert_eq!(record.result, CallResult::Answered);
        let status: Vec<_> = record.legs.iter().map(|leg| leg.status).collect();
        assert_eq!(status, [Some(200), Some(488), Some(200)]);
    }
}

#[test]
fn b_who_takes_neither_srtp_nor_the_codec_is_offered_one_after_the_other() {
    for (srtp_to, offered) in [
        (SrtpTo::AsCaller, &["RTP/SAVP", "RTP/AVP", "RTP/AVP"][..]),
        (SrtpTo::Require, &["RTP/SAVP", "RTP/SAVP"]),
    ] {
        let mut setup = Setup {
            offer: Some(secured(KEY_A)),
            ..Setup::default()
        };
        setup.profile.srtp_to = srtp_to;
        let mut s = setup.call();
        s.run_ms(6_100);
        for (target, profile) in (1..).zip(offered) {
            let offer = s.target(target).told_sdp();
            assert!(profiles(&offer).iter().all(|offered| offered == profile), "{offer}");
            let has_more = offer.contains(" 0 8 ");
            assert_eq!(has_more, target as usize == offered.len(), "{offer}");
            s.target(target).refuses(488, "Not Acceptable Here");
            s.run_ms(10);
        }
        assert!(s.target(offered.len() as u32 + 1).got().is_empty());
        s.a().hangs_up();
        s.finish();
    }
}

#[test]
fn b_who_refuses_for_another_reason_or_rtp_is_not_asked_again() {
    for (offer, srtp_to, status) in [
        (secured(KEY_A), SrtpTo::AsCaller, 486),
        (plain(), SrtpTo::AsCaller, 488),
        (secured(KEY_A), SrtpTo::Off, 488),
    ] {
        let mut s = call(Some(offer), Srtp::Allow, srtp_to);
        s.run_ms(6_100);
        s.b().refuses(status, "No");
        s.run_ms(10);
        assert!(s.target(2).got().is_empty());
        s.a().hangs_up();
        s.finish();
    }
    // Nor a second time.
    let mut s = call(Some(secured(KEY_A)), Srtp::Allow, SrtpTo::Offer);
    s.run_ms(6_100);
    for target in [1, 2] {
        s.target(target).refuses(488, "Not Acceptable Here");
        s.run_ms(10);
    }
    assert!(s.target(3).got().is_empty());
    s.a().hangs_up();
    s.finish();
}

#[test]
fn b_who_answers_srtp_with_rtp_is_not_connected() {
    let mut s = call(Some(secured(KEY_A)), Srtp::Allow, SrtpTo::Offer);
    s.run_ms(6_100);
    s.b().answers();
    assert_eq!(s.b().got(), ["INVITE", "BYE"]);
    assert!(!s.media_did().contains(&"configure b".to_owned()));
    s.a().hangs_up();
    s.finish();
}

#[test]
fn a_rekeys_and_holds_and_never_falls_back() {
    let mut s = call(Some(secured(KEY_A)), Srtp::Allow, SrtpTo::AsCaller);
    s.run_ms(6_100);
    s.b().answers_with(Some(secured(KEY_B)));
    s.a().acks();
    let (before, of_b) = (keys(&s, A), keys(&s, LegId(1)));
    // The other side need not know of a new key.
    let other = KEY_A.replace('d', "e");
    s.a().offers(Some(secured(&other)));
    let after = keys(&s, A);
    let both = |keys: &[Option<Keys>]| keys[0].clone().map(|keys| (keys.ours, keys.theirs)).unwrap();
    assert_eq!(both(&before).0, both(&after).0, "ours stays");
    assert_ne!(both(&before).1, both(&after).1);
    assert_eq!(s.b().got(), ["INVITE"]);
    // On hold the keys stay.
    let held = String::from_utf8(secured(&other).to_vec()).unwrap() + "a=sendonly\r\n";
    s.a().offers(Some(held.into_bytes().into()));
    let to_b = s.b().told_sdp();
    assert!(profiles(&to_b).iter().all(|profile| *profile == "RTP/SAVP"), "{to_b}");
    let held = String::from_utf8(secured(KEY_B).to_vec()).unwrap() + "a=recvonly\r\n";
    s.b().answers_our_offer(held.into_bytes().into());
    assert_eq!(both(&keys(&s, A)), both(&after));
    assert_eq!(both(&keys(&s, LegId(1))), both(&of_b));
    // What was SRTP is not RTP any more.
    s.a().offers(Some(plain()));
    let Some(LegAction::RefuseOffer { status, warning }) = s.a().actions().pop() else {
        panic!("not refused: {:?}", s.a().got())
    };
    assert_eq!(status, 488);
    assert!(warning.unwrap().contains("RTP/SAVP"));
    s.b().offers(Some(plain()));
    assert!(matches!(
        s.b().actions().pop(),
        Some(LegAction::RefuseOffer { status: 488, .. })
    ));
    assert_eq!(both(&keys(&s, A)), both(&after));
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn an_invite_without_an_offer_gets_srtp_where_that_is_required() {
    for (srtp, profile) in [(Srtp::Allow, "RTP/AVP"), (Srtp::Require, "RTP/SAVP")] {
        let mut setup = Setup {
            offer: None,
            supports_100rel: true,
            ..Setup::default()
        };
        setup.profile.srtp = srtp;
        let mut s = setup.call();
        assert_eq!(profiles(&s.a().told_sdp()), [profile; 2]);
        let answer = if srtp == Srtp::Require { secured(KEY_A) } else { plain() };
        s.a().answers_our_offer(answer);
        assert_eq!(is_secure(&s, A), srtp == Srtp::Require);
        s.run_ms(6_100);
        assert_eq!(profiles(&s.b().told_sdp()), [profile; 2]);
        s.a().hangs_up();
        s.finish();
    }
}

#[test]
fn formats_that_are_only_relayed_are_srtp_on_either_side() {
    let evs = |key: Option<&str>| {
        let media = "m=audio 4000 RTP/AVP 104\r\na=rtpmap:104 EVS/16000\r\n";
        match key {
            None => sdp(media),
            Some(key) => sdp(&format!(
                "{}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n",
                media.replace("RTP/AVP", "RTP/SAVP")
            )),
        }
    };
    for (a, srtp_to, b) in [
        (Some(KEY_A), SrtpTo::AsCaller, Some(KEY_B)),
        (Some(KEY_A), SrtpTo::Off, None),
        (None, SrtpTo::Require, Some(KEY_B)),
    ] {
        let mut s = call(Some(evs(a)), Srtp::Allow, srtp_to);
        assert_eq!(s.b().got(), ["INVITE"]);
        let profile = if b.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
        assert_eq!(profiles(&s.b().told_sdp()), [profile]);
        s.b().answers_with(Some(evs(b)));
        s.a().acks();
        assert_eq!((is_secure(&s, A), is_secure(&s, LegId(1))), (a.is_some(), b.is_some()));
        s.a().hangs_up();
        assert_eq!(s.finish().result, CallResult::Answered);
    }
    let mut s = call(Some(evs(None)), Srtp::Require, SrtpTo::AsCaller);
    assert!(s.b().got().is_empty(), "B is not called in vain");
    assert_eq!(s.a().got(), ["488"]);
    s.finish();
}

#[test]
fn who_calls_for_help_may_have_whatever_it_has() {
    let mut setup = Setup {
        emergency: Some(Emergency::Call),
        to: "sip:112@192.0.2.9",
        ..Setup::default()
    };
    (setup.profile.srtp, setup.profile.srtp_to) = (Srtp::Require, SrtpTo::Require);
    let mut s = setup.call();
    assert_eq!(profiles(&s.b().told_sdp()), ["RTP/SAVP", "RTP/SAVP"]);
    s.b().refuses(488, "Not Acceptable Here");
    s.run_ms(10);
    assert_eq!(profiles(&s.target(2).told_sdp()), ["RTP/AVP", "RTP/AVP"]);
    s.target(2).answers();
    s.a().acks();
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_message_is_left_over_srtp() {
    let mut s = call(Some(secured(KEY_A)), Srtp::Require, SrtpTo::Require);
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.run_ms(4_010);
    s.a().acks();
    s.run_ms(5_000);
    assert!(is_secure(&s, A));
    let manifest = format!("{:?}", s.manifest);
    assert!(s.media_did().contains(&"record".to_owned()));
    assert!(!manifest.contains(KEY_A) && !manifest.contains("inline"), "{manifest}");
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}
