//! Callers of mobile networks: AMR and AMR-WB, played in their packing and modes, relayed between packings, recorded.

use segue_call::{ClipUse, MediaAction};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile as R};
use segue_records::CallResult;
use segue_sdp::{Band, Codec, Packing};

use crate::stage::{A, Setup, Stage, sdp};

/// Wideband in both packings, then narrowband; telephone-event of both clock rates.
const PHONE: &str = "m=audio 4000 RTP/AVP 98 99 97 100 101\r\na=rtpmap:98 AMR-WB/16000\r\na=fmtp:98 mode-change-capability=2;max-red=0\r\n\
    a=rtpmap:99 AMR-WB/16000\r\na=fmtp:99 octet-align=1;mode-change-capability=2;max-red=0\r\na=rtpmap:97 AMR/8000\r\n\
    a=rtpmap:100 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n";

/// A clip as it is prepared today.
fn with_amr(clip: &mut ClipInfo) {
    let amr = R::ALL.into_iter().filter(|profile| profile.amr().is_some());
    clip.renditions.extend(amr.map(|profile| RenditionInfo {
        profile,
        bytes: 1,
        profile_level_id: None,
    }));
}

fn call(offer: &str) -> Stage {
    let setup = Setup {
        offer: Some(sdp(offer)),
        ..Setup::default()
    };
    setup
        .lookup(|found| {
            for clip in [&mut found.clip, &mut found.greeting, &mut found.beep]
                .into_iter()
                .flatten()
            {
                with_amr(clip);
            }
        })
        .call()
}

fn played(s: &Stage) -> Vec<ClipUse> {
    let plays = s.media_actions().into_iter().filter_map(|action| match action {
        MediaAction::Play { clip, .. } => Some(clip),
        _ => None,
    });
    plays.collect()
}

/// Codec and payload type of a leg's audio as last agreed.
fn audio(s: &Stage, of: segue_call::LegId) -> (Codec, u8) {
    let last = s.media_actions().into_iter().rev().find_map(|action| match action {
        MediaAction::Configure { leg, audio, .. } if leg == of => audio,
        _ => None,
    });
    let stream = last.unwrap();
    (stream.format.codec, stream.format.payload_type)
}

#[test]
fn the_clip_is_played_in_packing_and_modes_of_the_answer() {
    for (fmtp, rendition) in [
        ("", Some(R::Amr122Be)),
        ("a=fmtp:96 octet-align=1\r\n", Some(R::Amr122Oa)),
        ("a=fmtp:96 mode-set=0,2,5,7\r\n", Some(R::Amr122Be)),
        ("a=fmtp:96 octet-align=1;mode-set=0,2,3,4\r\n", Some(R::Amr74Oa)),
        ("a=fmtp:96 mode-set=0,2,3,6\r\n", Some(R::Amr475Be)),
        // Nothing is prepared in it, and nothing else may be sent.
        ("a=fmtp:96 mode-set=5\r\n", None),
    ] {
        let mut s = call(&format!("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 AMR/8000\r\n{fmtp}"));
        s.run_ms(10);
        assert_eq!(played(&s).first().and_then(|clip| clip.audio), rendition, "{fmtp}");
        if rendition.is_none() {
            assert_eq!(s.b().got(), ["INVITE"], "B is called at once");
        }
        s.a().cancels();
        s.finish();
    }
    let mut s = call(PHONE);
    s.run_ms(10);
    assert_eq!(played(&s)[0].audio, Some(R::AmrWb1265Be));
    assert!(
        s.a().told_sdp().contains("m=audio 30000 RTP/AVP 98 100\r\n"),
        "telephone-event/16000"
    );
    s.a().cancels();
    s.finish();
}

#[test]
fn a_clip_of_an_older_version_is_played_in_another_codec_in_common() {
    let offer = format!("{}a=rtpmap:0 PCMU/8000\r\n", PHONE.replace(" 101\r\n", " 101 0\r\n"));
    let mut s = Setup {
        offer: Some(sdp(&offer)),
        ..Setup::default()
    }
    .call();
    s.run_ms(10);
    assert_eq!(played(&s)[0].audio, Some(R::Pcmu));
    s.a().cancels();
    s.finish();
}

#[test]
fn b_takes_the_other_packing_and_both_are_bridged() {
    let mut s = call(PHONE);
    s.run_ms(6_100);
    let offer = s.b().told_sdp();
    assert!(
        offer.contains("RTP/AVP 98 104 100\r\n") && offer.contains("a=fmtp:104 octet-align=1;"),
        "{offer}"
    );
    s.b().answers_with(Some(sdp(
        "m=audio 6000 RTP/AVP 104 100\r\na=rtpmap:104 AMR-WB/16000\r\na=fmtp:104 octet-align=1\r\na=rtpmap:100 telephone-event/16000\r\n",
    )));
    s.a().acks();
    let packing = |(codec, number)| match codec {
        Codec::Amr(amr) if amr.band == Band::Wide => (amr.packing, number),
        other => panic!("{other:?}"),
    };
    assert_eq!(packing(audio(&s, A)), (Packing::BandwidthEfficient, 98));
    let b = crate::stage::B;
    assert_eq!(packing(audio(&s, b)), (Packing::OctetAligned, 104));
    // A holds: B's packing stays B's.
    s.a().offers(Some(sdp(&format!("{PHONE}a=sendonly\r\n"))));
    let told = s.b().told_sdp();
    assert!(
        told.contains("RTP/AVP 104 100\r\n") && told.contains("a=sendonly"),
        "{told}"
    );
    s.b().answers_our_offer(sdp(
        "m=audio 6000 RTP/AVP 104 100\r\na=rtpmap:104 AMR-WB/16000\r\na=rtpmap:100 telephone-event/16000\r\na=recvonly\r\n",
    ));
    assert!(s.a().told_sdp().contains("RTP/AVP 98 100\r\n"));
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Answered);
}

#[test]
fn a_message_says_how_its_sound_is_packed() {
    let mut s =
        call("m=audio 4000 RTP/AVP 99\r\na=rtpmap:99 AMR-WB/16000\r\na=fmtp:99 octet-align=1;mode-set=0,1,2\r\n");
    s.run_ms(6_100);
    s.b().refuses(486, "Busy Here");
    s.a().acks();
    s.run_ms(6_000);
    let manifest = s.manifest.clone().unwrap();
    let stream = &manifest.streams[0];
    assert_eq!((stream.encoding.as_str(), stream.clock_rate), ("AMR-WB", 16_000));
    assert!(stream.fmtp.as_deref().unwrap().contains("octet-align=1"));
    let sources: Vec<Option<R>> = played(&s).into_iter().map(|clip| clip.audio).collect();
    assert!(
        sources.len() >= 3 && sources.iter().all(|audio| *audio == Some(R::AmrWb1265Oa)),
        "clip, greeting, beep: {sources:?}"
    );
    s.a().hangs_up();
    assert_eq!(s.finish().result, CallResult::Message);
}

#[test]
fn where_nothing_is_prepared_in_it_b_is_called_at_once_and_a_message_can_be_left() {
    // Clips of an older version, or a machine without an encoder: the beep too.
    let mut s = Setup {
        offer: Some(sdp("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 AMR/8000\r\n")),
        ..Setup::default()
    }
    .call();
    assert_eq!(s.b().got(), ["INVITE"], "no silent hold");
    s.b().refuses(486, "Busy Here");
    assert!(s.a().told_sdp().contains("RTP/AVP 96\r\n"));
    s.a().acks();
    s.run_ms(6_000);
    assert_eq!(s.manifest.clone().unwrap().streams[0].encoding, "AMR");
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!((record.result, record.relayed_untouched), (CallResult::Message, false));
}
