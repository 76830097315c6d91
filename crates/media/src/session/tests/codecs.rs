//! VP8, Opus and G.722: numbers and clocks that go on, silence that is known as such.

use super::*;
use crate::{
    cache::START_OF_FRAME,
    path::vp8::{Descriptor, PictureId},
};

fn vp8() -> Stream {
    let mut vp8 = stream(Kind::Video);
    vp8.format.codec = Codec::Vp8;
    vp8
}

fn audio(codec: Codec) -> Stream {
    let mut stream = stream(Kind::Audio);
    stream.format.codec = codec;
    stream
}

/// Half a second of five frames; the key frame in two pieces.
fn vp8_clip() -> Cache {
    let mut builder = CacheBuilder::new();
    builder.push(0, 0, &[0x10, 1], START_OF_FRAME | KEY_FRAME).unwrap();
    builder.push(0, 0, &[0x99, 2], END_OF_FRAME).unwrap();
    for n in 1..5 {
        let flags = START_OF_FRAME | END_OF_FRAME;
        builder.push(n * 100_000, n * 9_000, &[0x11, 3], flags).unwrap();
    }
    builder.finish(90_000, 500_000, 45_000).unwrap()
}

/// PictureID, whether a frame begins, and the piece, of each VP8 packet to A.
fn pictures(scene: &Scene) -> Vec<(u16, bool, Vec<u8>)> {
    let of_a = scene.memory.rtp.iter().filter(|sent| sent.leg == A);
    let video = of_a.filter(|sent| sent.kind == Kind::Video);
    let read = |sent: &Sent| {
        let packet = Packet::parse(&sent.bytes).unwrap();
        let (descriptor, piece) = Descriptor::parse(packet.payload).unwrap();
        let Some(PictureId::Long(id)) = descriptor.picture else {
            panic!("{descriptor:?}")
        };
        (id, descriptor.starts_partition, piece.to_vec())
    };
    video.map(read).collect()
}

#[test]
fn vp8_picture_numbers_go_on_over_the_loop_a_repeated_picture_and_the_callee() {
    let mut scene = Scene::new();
    scene.configure(A, vp8());
    scene.configure(B, vp8());
    scene.say(Command::Play {
        source: 1,
        audio: None,
        video: Some(vp8_clip()),
        looping: true,
    });
    scene.pass(750);
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Pli));
    scene.say(Command::Bridge { leg: B });
    scene.pass(10);
    assert!(!scene.requests(B).is_empty());
    // B has PictureIDs of its own, of 7 bits.
    scene.rtp(B, Kind::Video, &[0x90, 0x80, 41, 0x31, 8]);
    scene.rtp(B, Kind::Video, &[0x90, 0x80, 42, 0x30, 9]);
    scene.rtp(B, Kind::Video, &[0x80, 0x80, 42, 0x77]);
    scene.rtp(B, Kind::Video, &[0x90, 0x80, 43, 0x31, 9]);
    let all = pictures(&scene);
    let mut expected = all[0].0.wrapping_sub(1);
    for (id, starts, _) in &all {
        if *starts {
            expected = expected.wrapping_add(1) & 0x7fff;
        }
        assert_eq!(*id, expected, "{all:?}");
    }
    let frames = all.iter().filter(|(_, starts, _)| *starts).count();
    assert_eq!(
        frames,
        8 + 1 + 2,
        "a lap and three frames, the key frame again, two of B"
    );
    assert_eq!(all.last().unwrap().2, [0x31, 9]);
    assert!(
        all.iter().all(|(_, _, piece)| piece != &[0x31, 8]),
        "before B's key frame"
    );
    let sequences: Vec<u16> = scene
        .memory
        .rtp
        .iter()
        .filter(|sent| sent.leg == A && sent.kind == Kind::Video)
        .map(|sent| Packet::parse(&sent.bytes).unwrap().sequence)
        .collect();
    assert!(sequences.is_sorted_by(|a, b| b.wrapping_sub(*a) == 1), "{sequences:?}");
}

#[test]
fn opus_sound_and_silence_tick_at_48_khz_and_g722_at_8() {
    for (codec, step, silence) in [(Codec::Opus, 960, 3), (Codec::G722, 160, 160)] {
        let mut scene = Scene::new();
        scene.say(Command::Configure {
            leg: A,
            audio: Some(audio(codec)),
            video: None,
        });
        let mut builder = CacheBuilder::new();
        for n in 0..10 {
            builder.push(n * 20_000, n * step, &[7; 20], 0).unwrap();
        }
        let clip = builder.finish(codec.clock_rate(), 200_000, 10 * step).unwrap();
        let play = |looping| Command::Play {
            source: 1,
            audio: Some(clip.clone()),
            video: None,
            looping,
        };
        scene.say(play(true));
        scene.pass(500);
        scene.say(play(false));
        scene.pass(400);
        let sent: Vec<(u32, usize)> = scene
            .memory
            .rtp
            .iter()
            .map(|sent| {
                let packet = Packet::parse(&sent.bytes).unwrap();
                (packet.timestamp, packet.payload.len())
            })
            .collect();
        let steps: Vec<u32> = sent.windows(2).map(|two| two[1].0.wrapping_sub(two[0].0)).collect();
        assert!(steps.iter().all(|is| *is == step), "{codec:?} {steps:?}");
        assert_eq!(sent.last().unwrap().1, silence, "{codec:?}: after the clip");
    }
}

#[test]
fn silence_in_opus_and_g722_ends_a_voice_message() {
    // Opus: a SILK frame whose voice flag is clear, then set. G.722: the smallest code words, then large ones.
    let (quiet, voice) = ([0x48, 0x40, 1, 2], [0x48, 0x80, 1, 2]);
    let (still, loud) = ([0xff; 160], [[0x10, 0x30]; 80].concat());
    for (codec, silent, spoken) in [
        (Codec::Opus, &quiet[..], &voice[..]),
        (Codec::G722, &still[..], &loud[..]),
    ] {
        let mut scene = Scene::new();
        scene.say(Command::Configure {
            leg: A,
            audio: Some(audio(codec)),
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
        for n in 0..200 {
            scene.rtp(A, Kind::Audio, if n % 50 == 0 { spoken } else { silent });
            scene.pass(20);
        }
        assert!(!scene.memory.events.contains(&stopped), "{codec:?}: a word each second");
        for _ in 0..110 {
            scene.rtp(A, Kind::Audio, silent);
            scene.pass(20);
        }
        assert!(scene.memory.events.contains(&stopped), "{codec:?}: silence");
    }
}
