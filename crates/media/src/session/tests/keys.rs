//! Keys on a bridge: what is meant for us, and what is told by another way than telephone-event.

use super::*;
use crate::path::dtmf::DtmfWatch;

const EVENTS: u8 = 101;

/// A scene whose legs have telephone-event.
fn scene() -> Scene {
    let mut scene = Scene::new();
    for leg in [A, B] {
        scene.say(Command::Configure {
            leg,
            audio: Some(Stream {
                dtmf_payload_type: Some(EVENTS),
                our_dtmf_payload_type: Some(EVENTS),
                ..stream(Kind::Audio)
            }),
            video: None,
        });
    }
    scene
}

impl Scene {
    /// A telephone-event packet of a press that began at this timestamp.
    fn event(&mut self, leg: LegKey, event: u8, timestamp: u32, end: bool) {
        let sequence = self.sequence;
        self.sequence += 1;
        let header = Header {
            first: PLAIN,
            marker: false,
            payload_type: EVENTS,
            sequence,
            timestamp,
            ssrc: leg.0 + 9,
        };
        let mut bytes = [&header.to_bytes()[..], &[event, if end { 0x8a } else { 0x0a }, 0, 160]].concat();
        self.memory.now = Some(self.now);
        let datagrams = [(peer(), &mut bytes[..])].into_iter();
        self.session
            .handle_rtp(self.now, leg, Kind::Audio, datagrams, &mut self.memory);
    }

    /// Payload types of the audio that went to a leg.
    fn types(&self, leg: LegKey) -> Vec<u8> {
        let sent = self.memory.rtp.iter().filter(|sent| sent.leg == leg);
        sent.map(|sent| sent.bytes[1] & 0x7f).collect()
    }
}

#[test]
fn the_key_that_ended_the_hold_does_not_reach_the_callee() {
    let mut scene = scene();
    scene.event(A, 11, 800, false);
    scene.pass(60);
    scene.say(Command::Bridge { leg: B });
    // B has answered while A's finger is still on the key.
    for end in [false, true, true, true] {
        scene.event(A, 11, 800, end);
    }
    assert!(scene.types(B).is_empty(), "the rest of that press is ours");
    scene.rtp(A, Kind::Audio, &[0; 160]);
    scene.event(A, 5, 4_000, false);
    assert_eq!(scene.types(B), [0, EVENTS], "what comes after is B's");
    let keys: Vec<&Event> = scene
        .memory
        .events
        .iter()
        .filter(|e| matches!(e, Event::Dtmf { .. }))
        .collect();
    assert_eq!(
        keys,
        [&Event::Dtmf { leg: A, key: '#' }, &Event::Dtmf { leg: A, key: '5' }]
    );
}

#[test]
fn a_key_of_ours_stands_in_place_of_the_audio_and_numbers_go_on() {
    let mut scene = scene();
    scene.say(Command::Bridge { leg: B });
    scene.rtp(A, Kind::Audio, &[0; 160]);
    scene.pass(20);
    let (leg, key, length) = (B, '7', Duration::from_millis(100));
    scene.say(Command::TellKey { leg, key, length });
    for _ in 0..5 {
        scene.pass(20);
        scene.rtp(A, Kind::Audio, &[0; 160]);
    }
    scene.pass(20);
    scene.rtp(A, Kind::Audio, &[0; 160]);
    let to_b: Vec<Packet<'_>> = scene
        .memory
        .rtp
        .iter()
        .filter(|sent| sent.leg == B)
        .map(|sent| Packet::parse(&sent.bytes).unwrap())
        .collect();
    let mut watch = DtmfWatch::default();
    let heard: Vec<char> = to_b
        .iter()
        .filter(|packet| packet.payload_type == EVENTS)
        .filter_map(|packet| watch.handle(packet.ssrc, packet.timestamp, packet.payload))
        .collect();
    assert_eq!(heard, ['7']);
    let first = to_b[0].sequence;
    let sequences: Vec<u16> = to_b.iter().map(|packet| packet.sequence.wrapping_sub(first)).collect();
    assert_eq!(sequences, (0..to_b.len() as u16).collect::<Vec<_>>(), "without a gap");
    let times: Vec<u32> = to_b.iter().map(|packet| packet.timestamp).collect();
    assert!(
        times.windows(2).all(|two| two[1].wrapping_sub(two[0]) < 8_000),
        "{times:?}"
    );
    let types = scene.types(B);
    assert_eq!(
        (types[0], types[1..8].to_vec()),
        (0, vec![EVENTS; 7]),
        "audio gives way"
    );
    assert_eq!(types.last(), Some(&0), "and comes back");
}

#[test]
fn a_phone_that_tells_by_event_what_it_has_told_by_info_is_not_heard_twice() {
    let mut scene = scene();
    scene.say(Command::Bridge { leg: B });
    let (leg, key, length) = (B, '7', Duration::from_millis(100));
    scene.say(Command::TellKey { leg, key, length });
    scene.pass(300);
    let ours = scene.types(B).len();
    scene.event(A, 7, 9_000, false);
    scene.event(A, 7, 9_000, true);
    assert_eq!(scene.types(B).len(), ours);
    scene.event(A, 8, 20_000, false);
    assert_eq!(scene.types(B).len(), ours + 1, "another key is another press");
}

#[test]
fn a_key_for_a_leg_that_cannot_take_it_is_none() {
    let mut scene = Scene::new();
    let (key, length) = ('7', Duration::from_millis(100));
    scene.say(Command::TellKey { leg: B, key, length });
    scene.say(Command::Bridge { leg: B });
    scene.say(Command::TellKey { leg: B, key, length });
    scene.pass(500);
    assert!(scene.types(B).is_empty(), "telephone-event was not agreed on");
    scene.rtp(A, Kind::Audio, &[0; 160]);
    assert_eq!(scene.types(B), [0], "the audio goes on");
}
