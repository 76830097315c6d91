//! `video_upgrade` on the wire: UPDATE after the PRACK, no 2xx before its response, a lost dialog (RFC 3311 §5.3).

use segue_call::MediaAction;

use crate::wire::{A, AUDIO, B, Wire, profiles, response, sdp};

fn upgrading(allow: &str) -> Wire {
    let of_a = |profile: &mut segue_policy::Profile| profile.video_upgrade = true;
    let mut wire = Wire::new(profiles(of_a, |_| ()), true);
    wire.invite(&format!("Supported: 100rel\r\nAllow: {allow}\r\n"), &sdp(AUDIO));
    let told = wire.hear(A, "183 INVITE");
    wire.prack(&told, 2);
    wire
}

fn plays(wire: &Wire) -> Option<bool> {
    wire.media.iter().find_map(|did| match did {
        MediaAction::Play { clip, .. } => Some(clip.video.is_some()),
        _ => None,
    })
}

#[test]
fn the_update_adds_pictures_and_its_refusal_leaves_the_sound() {
    let mut wire = upgrading("INVITE, UPDATE");
    let update = wire.hear(A, "UPDATE");
    assert!(String::from_utf8_lossy(update.body()).contains("m=video"));
    assert!(wire.nothing(B, "INVITE") && plays(&wire).is_none());
    wire.say(A, &response(&update, 488, &[], None));
    assert_eq!(plays(&wire), Some(false));
    wire.hear(B, "INVITE");
}

#[test]
fn who_does_not_allow_update_hears_the_clip_at_once() {
    let mut wire = upgrading("INVITE, ACK");
    assert!(wire.nothing(A, "UPDATE"));
    assert_eq!(plays(&wire), Some(false));
    wire.hear(B, "INVITE");
}

#[test]
fn silence_and_481_end_the_dialog() {
    let mut wire = upgrading("UPDATE");
    let update = wire.hear(A, "UPDATE");
    wire.say(A, &response(&update, 481, &[], None));
    wire.hear(A, "487 INVITE");
    assert!(wire.nothing(B, "INVITE"));
    let mut wire = upgrading("UPDATE");
    wire.hear(A, "UPDATE");
    wire.run_ms(33_000);
    wire.hear(A, "487 INVITE");
    assert!(wire.nothing(B, "INVITE"));
}
