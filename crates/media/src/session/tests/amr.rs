//! AMR and AMR-WB: what one leg packs and allows otherwise than the other.

use segue_sdp::{Amr, Band, Modes, Packing};

use super::*;
use crate::path::amr::{self, Frame, NO_DATA, NO_REQUEST, PAYLOAD_MAX, Payload};

const WIDE: Amr = Amr {
    band: Band::Wide,
    packing: Packing::BandwidthEfficient,
    modes: Modes::all(Band::Wide),
};

fn audio(amr: Amr, payload_type: u8) -> Stream {
    let mut stream = stream(Kind::Audio);
    stream.format.codec = Codec::Amr(amr);
    stream.format.payload_type = payload_type;
    stream
}

/// A bridge of two that are set up like this.
fn bridged(a: Amr, b: Amr) -> Scene {
    let mut scene = Scene::new();
    for (leg, amr, payload_type) in [(A, a, 96), (B, b, 104)] {
        scene.say(Command::Configure {
            leg,
            audio: Some(audio(amr, payload_type)),
            video: None,
        });
    }
    scene.say(Command::Bridge { leg: B });
    scene
}

/// A frame of a mode, its bits all set.
fn frame(mode: u8) -> Vec<u8> {
    let bits = amr::frame_bits(Band::Wide, mode).unwrap();
    let mut frame = vec![mode << 3 | 4];
    frame.extend(vec![0xff; bits / 8]);
    if !bits.is_multiple_of(8) {
        frame.push(0xff << (8 - bits % 8));
    }
    frame
}

fn packed(packing: Packing, request: u8, modes: &[u8]) -> Vec<u8> {
    let frames: Vec<Vec<u8>> = modes.iter().map(|mode| frame(*mode)).collect();
    let mut out = vec![0; PAYLOAD_MAX];
    let frames = frames.iter().map(|bytes| Frame::stored(Band::Wide, bytes).unwrap());
    let len = amr::pack(packing, request, frames, &mut out).unwrap();
    out.truncate(len);
    out
}

/// Payload type and payload of what a leg got.
fn got(scene: &Scene, leg: LegKey) -> Vec<(u8, Vec<u8>)> {
    let sent = scene.memory.rtp.iter().filter(|sent| sent.leg == leg);
    let read = |sent: &Sent| {
        let packet = Packet::parse(&sent.bytes).unwrap();
        (packet.payload_type, packet.payload.to_vec())
    };
    sent.map(read).collect()
}

#[test]
fn each_leg_gets_its_own_packing_under_its_own_number() {
    let (be, oa) = (Packing::BandwidthEfficient, Packing::OctetAligned);
    let mut scene = bridged(WIDE, WIDE.repacked());
    scene.rtp(A, Kind::Audio, &packed(be, 1, &[2]));
    scene.rtp(A, Kind::Audio, &packed(be, NO_REQUEST, &[2, 9, 15, 8]));
    scene.rtp(B, Kind::Audio, &packed(oa, NO_REQUEST, &[0]));
    assert_eq!(
        got(&scene, B),
        [
            (104, packed(oa, 1, &[2])),
            (104, packed(oa, NO_REQUEST, &[2, 9, 15, 8]))
        ]
    );
    assert_eq!(got(&scene, A), [(96, packed(be, NO_REQUEST, &[0]))]);
    // In the same packing nothing is touched, not even what cannot be read.
    let mut scene = bridged(WIDE, WIDE);
    scene.rtp(A, Kind::Audio, &[0xff, 0xff, 1]);
    assert_eq!(got(&scene, B), [(104, vec![0xff, 0xff, 1])]);
}

#[test]
fn what_cannot_be_read_is_not_repacked_and_the_next_one_has_its_own_number() {
    let mut scene = bridged(WIDE, WIDE.repacked());
    let good = packed(Packing::BandwidthEfficient, NO_REQUEST, &[2]);
    for payload in [&good[..], &good[1..], &good[..]] {
        scene.rtp(A, Kind::Audio, payload);
    }
    let sequences: Vec<u16> = scene
        .memory
        .rtp
        .iter()
        .filter(|sent| sent.leg == B)
        .map(|sent| Packet::parse(&sent.bytes).unwrap().sequence)
        .collect();
    assert_eq!(sequences.len(), 2);
    assert_eq!(sequences[1].wrapping_sub(sequences[0]), 2, "as lost on the way");
}

#[test]
fn modes_that_one_leg_does_not_allow_do_not_go_there_and_are_asked_for_no_more() {
    let restricted = Amr {
        modes: Modes::parse("0,1,2", Band::Wide).unwrap(),
        ..WIDE
    };
    let be = Packing::BandwidthEfficient;
    let mut scene = bridged(WIDE, restricted);
    scene.rtp(A, Kind::Audio, &packed(be, NO_REQUEST, &[8, 2]));
    scene.rtp(B, Kind::Audio, &packed(be, NO_REQUEST, &[2]));
    let to_b = got(&scene, B);
    let kinds: Vec<u8> = Payload::parse(WIDE, &to_b[0].1)
        .unwrap()
        .frames()
        .map(|f| f.kind)
        .collect();
    assert_eq!(kinds, [NO_DATA, 2]);
    assert_eq!(
        got(&scene, A),
        [(96, packed(be, 2, &[2]))],
        "12.65 kbit/s at most, please"
    );
}

#[test]
fn after_a_clip_comes_comfort_noise_eight_frames_apart() {
    let mut scene = Scene::new();
    scene.say(Command::Configure {
        leg: A,
        audio: Some(audio(WIDE, 96)),
        video: None,
    });
    let mut builder = CacheBuilder::new();
    let payload = packed(WIDE.packing, NO_REQUEST, &[2]);
    for n in 0..10 {
        builder.push(n * 20_000, n * 320, &payload, 0).unwrap();
    }
    scene.say(Command::Play {
        source: 1,
        audio: Some(builder.finish(16_000, 200_000, 3_200).unwrap()),
        video: None,
        looping: false,
    });
    scene.pass(1_000);
    let sent: Vec<(u32, Vec<u8>)> = scene
        .memory
        .rtp
        .iter()
        .map(|sent| {
            let packet = Packet::parse(&sent.bytes).unwrap();
            (packet.timestamp, packet.payload.to_vec())
        })
        .collect();
    assert!(sent[..10].iter().all(|(_, sent)| *sent == payload));
    let noise = &sent[10..];
    assert!(noise.len() >= 5 && noise.iter().all(|(_, sent)| sent == amr::silence(WIDE)));
    let steps: Vec<u32> = sent.windows(2).map(|two| two[1].0.wrapping_sub(two[0].0)).collect();
    assert!(steps[..10].iter().all(|step| *step == 320), "{steps:?}");
    assert!(steps[10..].iter().all(|step| *step == 8 * 320), "{steps:?}");
}

#[test]
fn a_voice_message_ends_when_only_comfort_noise_comes() {
    let mut scene = Scene::new();
    scene.say(Command::Configure {
        leg: A,
        audio: Some(audio(WIDE, 96)),
        video: None,
    });
    scene.say(Command::Record {
        path: PathBuf::from("x"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: Some(2_000),
        pictures: true,
    });
    let stopped = Event::RecordingStopped {
        cause: RecordingStop::Silence,
    };
    for _ in 0..200 {
        scene.rtp(A, Kind::Audio, &packed(WIDE.packing, NO_REQUEST, &[2]));
        scene.pass(20);
    }
    assert!(!scene.memory.events.contains(&stopped));
    for _ in 0..14 {
        scene.rtp(A, Kind::Audio, amr::silence(WIDE));
        scene.pass(160);
    }
    assert!(scene.memory.events.contains(&stopped));
    // Packed otherwise than before, it is told in the spool for whoever decodes it.
    let before = scene.memory.spooled;
    for amr in [WIDE.repacked(), WIDE.repacked()] {
        scene.say(Command::Configure {
            leg: A,
            audio: Some(audio(amr, 97)),
            video: None,
        });
    }
    assert_eq!(scene.memory.spooled, before, "it has stopped");
}
