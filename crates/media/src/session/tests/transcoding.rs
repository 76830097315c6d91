//! A caller and a callee whose sound is in codecs of their own.

use std::sync::Arc;

use super::*;
use crate::transcode::{Codecs, Sound, TranscodeLink, Words};

fn sound(codec: Codec, payload_type: u8) -> Stream {
    let mut stream = stream(Kind::Audio);
    stream.format.codec = codec;
    (stream.format.payload_type, stream.our_payload_type) = (payload_type, payload_type);
    (stream.dtmf_payload_type, stream.our_dtmf_payload_type) = (Some(101), Some(101));
    stream
}

/// A talks PCMU; B talks this.
fn bridged(b: Stream) -> Scene {
    let mut scene = Scene::new();
    for (leg, audio) in [(A, sound(Codec::Pcmu, 0)), (B, b)] {
        scene.say(Command::Configure {
            leg,
            audio: Some(audio),
            video: None,
        });
    }
    scene.say(Command::Bridge { leg: B });
    scene
}

impl Scene {
    fn sound(&mut self, leg: LegKey, payload_type: u8, payload: &[u8]) {
        let header = Header {
            first: PLAIN,
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: leg.0 + 9,
        };
        self.sequence += 1;
        let mut bytes = [&header.to_bytes()[..], payload].concat();
        self.memory.now = Some(self.now);
        let datagrams = [(peer(), &mut bytes[..])].into_iter();
        self.session
            .handle_rtp(self.now, leg, Kind::Audio, datagrams, &mut self.memory);
    }

    /// Payload types and payloads of the sound that a leg got.
    fn heard(&self, leg: LegKey) -> Vec<(u8, Vec<u8>)> {
        let of_leg = |sent: &&Sent| sent.leg == leg && sent.kind == Kind::Audio;
        let read = |sent: &Sent| {
            let packet = Packet::parse(&sent.bytes).unwrap();
            (packet.payload_type, packet.payload.to_vec())
        };
        self.memory.rtp.iter().filter(of_leg).map(read).collect()
    }
}

#[test]
fn the_laws_of_g711_become_each_other_on_the_way_and_keys_pass() {
    let mut scene = bridged(sound(Codec::Pcma, 8));
    scene.sound(A, 0, &[0xff; 160]);
    scene.sound(A, 0, &[0x80, 0x00]);
    scene.sound(A, 101, &[5, 10, 0, 160]);
    scene.sound(B, 8, &[0xd5; 80]);
    let expected = [(8, vec![0xd5; 160]), (8, vec![0xaa, 0x2a]), (101, vec![5, 10, 0, 160])];
    assert_eq!(scene.heard(B), expected);
    // The least A-law value is 8, as is that of µ-law beside its zero (G.711 table 4).
    assert_eq!(scene.heard(A), [(0, vec![0xfe; 80])]);
    let numbers: Vec<u16> = scene
        .memory
        .rtp
        .iter()
        .filter(|sent| sent.leg == B)
        .map(|sent| Packet::parse(&sent.bytes).unwrap().sequence)
        .collect();
    assert!(numbers.is_sorted_by(|a, b| b.wrapping_sub(*a) == 1), "{numbers:?}");
}

#[test]
fn what_cannot_be_made_of_the_other_is_not_sent_to_it() {
    let mut scene = bridged(sound(Codec::G722, 9));
    scene.sound(A, 0, &[0xff; 160]);
    scene.sound(B, 9, &[0xfa; 160]);
    assert!(scene.heard(A).is_empty() && scene.heard(B).is_empty());
}

/// B talks Opus, with keys at 48000 Hz, and there is a process.
fn made_by_a_process() -> Scene {
    let mut opus = sound(Codec::Opus, 111);
    opus.dtmf_clock_rate = 48_000;
    let mut scene = bridged(opus);
    let (link, _) = TranscodeLink::pair().unwrap();
    scene.say(Command::Transcode {
        kind: Kind::Audio,
        by: Some(Arc::new(link)),
    });
    scene
}

impl Scene {
    fn given(&self) -> Vec<Words<'_>> {
        let given = self.memory.given.iter();
        given.map(|message| Words::parse(message).unwrap()).collect()
    }

    fn comes_back(&mut self, of_caller: bool, marker: bool, generation: u8, timestamp: u32, payload: &[u8]) {
        let mut message = Vec::new();
        let sound = Sound {
            of_caller,
            marker,
            generation,
            timestamp,
            payload,
        };
        Words::Sound(sound).write(&mut message);
        self.memory.now = Some(self.now);
        self.session
            .handle_transcoded(self.now, Kind::Audio, &message, &mut self.memory);
    }

    /// Sequence, timestamp, payload type and payload of the sound that a leg got.
    fn numbered(&self, leg: LegKey) -> Vec<(u16, u32, u8, Vec<u8>)> {
        let of_leg = |sent: &&Sent| sent.leg == leg && sent.kind == Kind::Audio;
        let read = |sent: &Sent| {
            let packet = Packet::parse(&sent.bytes).unwrap();
            (
                packet.sequence,
                packet.timestamp,
                packet.payload_type,
                packet.payload.to_vec(),
            )
        };
        self.memory.rtp.iter().filter(of_leg).map(read).collect()
    }
}

#[test]
fn sound_goes_to_the_process_and_comes_back_in_the_numbers_of_the_other_stream() {
    let mut scene = made_by_a_process();
    scene.sound(A, 0, &[0xff; 160]);
    scene.sound(A, 0, &[0xfe; 160]);
    let given = scene.given();
    let [
        Words::Setup { generation: 1, json },
        Words::Sound(first),
        Words::Sound(second),
    ] = given[..]
    else {
        panic!("{given:?}");
    };
    let codecs: Codecs = serde_json::from_slice(json).unwrap();
    assert_eq!(
        (codecs.a.encoding.as_str(), codecs.b.encoding.as_str()),
        ("PCMU", "opus")
    );
    assert!(first.of_caller && first.payload == [0xff; 160] && second.payload == [0xfe; 160]);
    assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 160);
    assert!(scene.heard(B).is_empty());
    scene.comes_back(true, true, 1, 0, &[1; 60]);
    scene.comes_back(true, false, 1, 960, &[2; 60]);
    // Of codecs before a change, and what is no message.
    scene.comes_back(true, false, 0, 1_920, &[9]);
    scene
        .session
        .handle_transcoded(scene.now, Kind::Audio, &[7], &mut scene.memory);
    scene.comes_back(false, true, 1, 40, &[3; 160]);
    let b = scene.numbered(B);
    assert_eq!(b.len(), 2);
    assert_eq!((b[0].2, &b[0].3[..], &b[1].3[..]), (111, &[1; 60][..], &[2; 60][..]));
    assert_eq!(b[1].0.wrapping_sub(b[0].0), 1);
    assert_eq!(b[1].1.wrapping_sub(b[0].1), 960);
    assert_eq!(scene.heard(A), [(0, vec![3; 160])]);
    // After a pause its time is that which has passed.
    scene.pass(1_000);
    scene.comes_back(true, true, 1, 1_920, &[4; 60]);
    let b = scene.numbered(B);
    assert_eq!(b[2].0.wrapping_sub(b[1].0), 1);
    let passed = b[2].1.wrapping_sub(b[1].1);
    assert!((47_000..=49_000).contains(&passed), "{passed}");
}

#[test]
fn keys_go_around_the_process_in_the_clock_of_the_stream_that_they_go_into() {
    let mut scene = made_by_a_process();
    scene.sound(A, 0, &[0xff; 160]);
    scene.comes_back(true, true, 1, 0, &[1; 60]);
    let (before, header) = (scene.memory.given.len(), scene.sequence);
    for (flags, lasts) in [(10, 160u16), (10, 320), (0x8a, 480)] {
        let [high, low] = lasts.to_be_bytes();
        // One event has one timestamp.
        let (sequence, timestamp) = (scene.sequence, u32::from(header) * 160);
        scene.sequence += 1;
        let head = Header {
            first: PLAIN,
            marker: lasts == 160,
            payload_type: 101,
            sequence,
            timestamp,
            ssrc: 9,
        };
        let mut bytes = [&head.to_bytes()[..], &[5, flags, high, low]].concat();
        let datagrams = [(peer(), &mut bytes[..])].into_iter();
        scene.memory.now = Some(scene.now);
        scene
            .session
            .handle_rtp(scene.now, A, Kind::Audio, datagrams, &mut scene.memory);
    }
    assert_eq!(scene.memory.given.len(), before, "none of it is given to the process");
    let got = scene.numbered(B);
    let keys: Vec<_> = got[1..]
        .iter()
        .map(|(_, _, pt, payload)| (*pt, payload.clone()))
        .collect();
    let expected = |flags: u8, lasts: u16| (101, [&[5, flags][..], &lasts.to_be_bytes()].concat());
    assert_eq!(keys, [expected(10, 960), expected(10, 1_920), expected(0x8a, 2_880)]);
    assert!(
        got[1..].iter().all(|(_, rtp, ..)| *rtp == got[1].1),
        "one event, one timestamp"
    );
    let numbers: Vec<u16> = got.iter().map(|(sequence, ..)| *sequence).collect();
    assert!(numbers.is_sorted_by(|a, b| b.wrapping_sub(*a) == 1), "{numbers:?}");
    assert!(scene.memory.events.contains(&Event::Dtmf { leg: A, key: '5' }));
}

#[test]
fn codecs_that_change_are_told_and_those_that_agree_are_relayed() {
    let mut scene = made_by_a_process();
    scene.sound(A, 0, &[0xff; 160]);
    let configure = |scene: &mut Scene, audio| {
        scene.say(Command::Configure {
            leg: B,
            audio: Some(audio),
            video: None,
        });
    };
    configure(&mut scene, sound(Codec::G722, 9));
    scene.sound(A, 0, &[0xff; 160]);
    let setups = scene.given().into_iter().filter_map(|words| match words {
        Words::Setup { generation, .. } => Some(generation),
        _ => None,
    });
    assert_eq!(setups.collect::<Vec<_>>(), [1, 2]);
    let before = scene.memory.given.len();
    configure(&mut scene, sound(Codec::Pcmu, 0));
    scene.sound(A, 0, &[0xfd; 160]);
    configure(&mut scene, sound(Codec::Pcma, 8));
    scene.sound(A, 0, &[0xff; 160]);
    assert_eq!(scene.memory.given.len(), before, "a law of G.711 needs no process");
    assert_eq!(scene.heard(B), [(0, vec![0xfd; 160]), (8, vec![0xd5; 160])]);
}

#[test]
fn a_process_that_has_ended_or_hangs_is_told_of_once() {
    for ended in [true, false] {
        let mut scene = made_by_a_process();
        scene.memory.given_to_nobody = ended;
        for _ in 0..300 {
            scene.sound(A, 0, &[0xff; 160]);
            scene.pass(20);
        }
        let lost = scene
            .memory
            .events
            .iter()
            .filter(|event| **event == Event::TranscoderLost { kind: Kind::Audio });
        assert_eq!(lost.count(), 1, "ended: {ended}");
        assert!(scene.heard(B).is_empty());
    }
}
