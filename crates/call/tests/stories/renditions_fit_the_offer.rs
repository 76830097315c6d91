//! What of the clip a caller gets: by its kinds, codecs and level.

use std::sync::Arc;

use segue_call::{ClipUse, MediaAction};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile as R};
use segue_records::CallResult;

use crate::stage::{AUDIO, Setup, VIDEO, sdp};

fn played(offer: Arc<[u8]>, change: impl FnOnce(&mut ClipInfo)) -> Option<ClipUse> {
    let setup = Setup {
        offer: Some(offer),
        ..Setup::default()
    };
    let mut s = setup.lookup(|l| change(l.clip.as_mut().unwrap())).call();
    s.run_ms(10);
    let clip = s.media_actions().into_iter().find_map(|a| {
        if let MediaAction::Play { clip, .. } = a {
            Some(clip)
        } else {
            None
        }
    });
    s.a().cancels();
    s.finish();
    clip
}

fn video(fmtp: &str) -> String {
    format!("m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 {fmtp}\r\n")
}

#[test]
fn an_audio_caller_gets_the_clips_sound() {
    let clip = played(sdp("m=audio 4000 RTP/AVP 8\r\n"), |_| {}).unwrap();
    assert_eq!(
        clip,
        ClipUse {
            clip: 1,
            audio: Some(R::Pcma),
            video: None
        }
    );
}

#[test]
fn level_and_mode_choose_the_picture() {
    let of = |fmtp| played(sdp(&format!("{AUDIO}{}", video(fmtp))), |_| {}).unwrap().video;
    assert_eq!(
        of("profile-level-id=42e01f;packetization-mode=1"),
        Some(R::H264W640Mode1)
    );
    assert_eq!(of("profile-level-id=42e01e"), Some(R::H264W640Mode0));
    assert_eq!(
        of("profile-level-id=42e015;packetization-mode=1"),
        Some(R::H264W320Mode1)
    );
    assert_eq!(of("profile-level-id=42e00c"), Some(R::H264W320Mode0));
    assert_eq!(
        of("profile-level-id=42e00b;packetization-mode=1"),
        None,
        "below level 1.2 sound alone"
    );
}

#[test]
fn limits_of_a_vp8_receiver_choose_the_picture() {
    let of = |fmtp: &str| {
        let line = format!("m=video 4002 RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\n{fmtp}");
        played(sdp(&format!("{AUDIO}{line}")), with_everything).unwrap().video
    };
    assert_eq!(of(""), Some(R::Vp8W640));
    assert_eq!(of("a=fmtp:98 max-fr=30;max-fs=920\r\n"), Some(R::Vp8W640));
    assert_eq!(of("a=fmtp:98 max-fs=396\r\n"), Some(R::Vp8W320));
    assert_eq!(of("a=fmtp:98 max-fs=99\r\n"), None, "sound alone");
    assert_eq!(of("a=fmtp:98 max-fs=3600;max-fr=15\r\n"), None);
}

#[test]
fn a_callers_first_codec_that_the_clip_is_prepared_in_is_played() {
    let offer = "m=audio 4000 RTP/AVP 96 9 0\r\na=rtpmap:96 opus/48000/2\r\n\
                 m=video 4002 RTP/AVP 98 97\r\na=rtpmap:98 VP8/90000\r\na=rtpmap:97 H264/90000\r\n\
                 a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n";
    let kinds = |clip: ClipUse| (clip.audio, clip.video);
    assert_eq!(
        kinds(played(sdp(offer), with_everything).unwrap()),
        (Some(R::Opus), Some(R::Vp8W640))
    );
    let g722_first = offer.replace("96 9 0", "9 96 0");
    assert_eq!(
        kinds(played(sdp(&g722_first), with_everything).unwrap()).0,
        Some(R::G722)
    );
    assert_eq!(
        kinds(played(sdp(offer), |_| {}).unwrap()),
        (Some(R::Pcmu), Some(R::H264W640Mode1)),
        "a clip of an older store goes on in what it has"
    );
}

/// A clip as it is prepared today.
fn with_everything(clip: &mut ClipInfo) {
    for profile in [R::G722, R::Opus, R::Vp8W640, R::Vp8W320] {
        clip.renditions.push(RenditionInfo {
            profile,
            bytes: 1,
            profile_level_id: None,
        });
    }
}

#[test]
fn of_two_formats_the_one_that_the_clip_fits_is_answered() {
    let both = "m=video 4002 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e00b;packetization-mode=1\r\n\
                a=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n";
    assert_eq!(
        played(sdp(&format!("{AUDIO}{both}")), |_| {}).unwrap().video,
        Some(R::H264W640Mode1)
    );
}

#[test]
fn a_clip_without_sound_shows_its_picture_alone() {
    let clip = played(sdp(&format!("{AUDIO}{VIDEO}")), |clip| {
        clip.renditions.retain(|r| r.profile_level_id.is_some());
    });
    assert_eq!(
        clip.unwrap(),
        ClipUse {
            clip: 1,
            audio: None,
            video: Some(R::H264W640Mode1)
        }
    );
}

#[test]
fn a_clip_that_fits_nothing_is_no_hold() {
    let setup = Setup {
        offer: Some(sdp(AUDIO)),
        ..Setup::default()
    };
    let mut s = setup
        .lookup(|l| {
            l.clip
                .as_mut()
                .unwrap()
                .renditions
                .retain(|r| r.profile_level_id.is_some())
        })
        .call();
    assert_eq!(s.b().got(), ["INVITE"], "B is invited at once");
    assert!(s.a().got().is_empty(), "and A is told nothing yet");
    s.b().answers();
    s.a().hangs_up();
    let record = s.finish();
    assert_eq!(
        (record.result, record.hold_asked_ms, record.hold_ms),
        (CallResult::Answered, None, None)
    );
}

#[test]
fn a_caller_who_cannot_receive_gets_no_clip() {
    assert_eq!(played(sdp(&format!("{AUDIO}a=sendonly\r\n")), |_| {}), None);
    let zero: Vec<u8> = String::from_utf8(sdp(AUDIO).to_vec())
        .unwrap()
        .replace("c=IN IP4 10.0.0.1", "c=IN IP4 0.0.0.0")
        .into();
    assert_eq!(played(zero.into(), |_| {}), None);
}
