//! What a call's profile says about its packets.

use super::*;
use crate::Trust;

fn gone(scene: &Scene) -> Vec<LegKey> {
    let events = scene.memory.events.iter();
    events
        .filter_map(|event| match event {
            Event::RtpGone { leg } => Some(*leg),
            _ => None,
        })
        .collect()
}

#[test]
fn each_call_has_its_own_time_until_rtp_is_gone() {
    for (rtp_gone, after_ms) in [(Some(4_000), Some(4_000)), (None, None)] {
        let mut scene = Scene::new();
        let rtp_gone = rtp_gone.map(Duration::from_millis);
        let trust = Trust::Signalled;
        scene.say(Command::Rules { rtp_gone, trust });
        scene.say(Command::Bridge { leg: B });
        scene.pass(3_990);
        assert!(gone(&scene).is_empty());
        scene.pass(60_000);
        let told = if after_ms.is_some() { vec![A, B] } else { Vec::new() };
        assert_eq!(gone(&scene), told);
    }
}

#[test]
fn a_clip_is_not_aimed_at_an_address_that_has_not_shown_itself() {
    let mut scene = Scene::new();
    let trust = Trust::Proven("198.51.100.7".parse().unwrap());
    let rtp_gone = None;
    scene.say(Command::Rules { rtp_gone, trust });
    scene.play(true);
    scene.pass(3_000);
    assert!(scene.memory.rtp.is_empty() && scene.memory.rtcp.is_empty() && scene.memory.events.is_empty());
    // Sound from there shows that it takes part: its pictures go there, too.
    scene.rtp(A, Kind::Audio, &[0; 160]);
    scene.pass(1_000);
    assert!(scene.payloads(A, Kind::Video).contains(&0x67));
    assert!(scene.memory.events.contains(&Event::FirstPacket { source: 1 }));
    assert!(scene.memory.rtcp.iter().any(|sent| sent.kind == Kind::Video));
}

#[test]
fn the_address_of_its_sip_needs_no_proof() {
    let mut scene = Scene::new();
    let (trust, rtp_gone) = (Trust::Proven(peer().ip()), None);
    scene.say(Command::Rules { rtp_gone, trust });
    scene.play(true);
    scene.pass(100);
    assert!(!scene.memory.rtp.is_empty());
}

#[test]
fn a_callee_behind_a_nat_is_heard_where_its_sip_is_and_spoken_to_once_it_is() {
    let mut scene = Scene::new();
    let inside = "192.168.7.7:4000".parse().ok();
    let audio = Stream {
        remote: inside,
        remote_rtcp: inside,
        ..stream(Kind::Audio)
    };
    scene.say(Command::Trust {
        leg: B,
        trust: Trust::Nat(peer().ip()),
    });
    scene.say(Command::Configure {
        leg: B,
        audio: Some(audio),
        video: None,
    });
    scene.say(Command::Bridge { leg: B });
    scene.rtp(A, Kind::Audio, &[1; 160]);
    assert!(scene.payloads(B, Kind::Audio).is_empty(), "nobody knows where it is");
    scene.rtp(B, Kind::Audio, &[2; 160]);
    scene.rtp(A, Kind::Audio, &[3; 160]);
    assert_eq!(scene.payloads(A, Kind::Audio), [2]);
    assert_eq!(scene.payloads(B, Kind::Audio), [3]);
}
