//! A caller and a callee whose pictures are in codecs of their own.

use std::sync::Arc;

use super::*;
use crate::transcode::{Codecs, TranscodeLink, Words};

/// First octets of a VP8 payload: no extension, the frame's beginning; a key frame's, and another's.
const VP8_KEY: [u8; 5] = [0x10, 0x10, 0, 0, 1];
const VP8_OTHER: [u8; 5] = [0x10, 0x11, 0, 0, 2];

fn vp8() -> Stream {
    let mut stream = stream(Kind::Video);
    stream.format.codec = Codec::Vp8;
    stream
}

/// A shows H.264 and B VP8; A has seen a clip.
fn apart() -> Scene {
    let mut scene = Scene::new();
    scene.configure(B, vp8());
    scene.play(true);
    scene.pass(500);
    scene.say(Command::Bridge { leg: B });
    scene
}

fn with_process() -> Scene {
    let mut scene = apart();
    scene.has_process();
    scene
}

impl Scene {
    fn has_process(&mut self) {
        let (link, _) = TranscodeLink::pair().unwrap();
        self.say(Command::Transcode {
            kind: Kind::Video,
            by: Some(Arc::new(link)),
        });
    }

    fn told(&self) -> Vec<Words<'_>> {
        let given = self.memory.given_pictures.iter();
        given.map(|message| Words::parse(message).unwrap()).collect()
    }

    /// Whose key frames the process was asked for.
    fn key_frames_wanted(&self) -> Vec<bool> {
        let told = self.told().into_iter();
        told.filter_map(|words| match words {
            Words::KeyFrame { of_caller, .. } => Some(of_caller),
            _ => None,
        })
        .collect()
    }

    fn says(&mut self, words: Words<'_>) {
        let mut message = Vec::new();
        words.write(&mut message);
        self.memory.now = Some(self.now);
        self.session
            .handle_transcoded(self.now, Kind::Video, &message, &mut self.memory);
    }

    /// What is made of a side's pictures.
    fn made(&mut self, of_caller: bool, generation: u8, sequence: u16, timestamp: u32, payload: &[u8]) {
        let header = Header {
            first: PLAIN,
            marker: true,
            payload_type: 96,
            sequence,
            timestamp,
            ssrc: 77,
        };
        let packet = [&header.to_bytes()[..], payload].concat();
        self.says(Words::Picture {
            of_caller,
            generation,
            packet: &packet,
        });
    }

    fn pictures(&self, leg: LegKey) -> Vec<Packet<'_>> {
        let sent = self.memory.rtp.iter();
        sent.filter(|sent| sent.leg == leg && sent.kind == Kind::Video)
            .map(|sent| Packet::parse(&sent.bytes).unwrap())
            .collect()
    }

    fn lost(&self) -> usize {
        let lost = Event::TranscoderLost { kind: Kind::Video };
        self.memory.events.iter().filter(|event| **event == lost).count()
    }
}

#[test]
fn pictures_go_to_the_process_and_come_back_in_the_one_stream_of_the_other_side() {
    let mut scene = with_process();
    let before = scene.pictures(A).last().map(|p| (p.sequence, p.ssrc)).unwrap();
    scene.rtp(B, Kind::Video, &VP8_KEY);
    scene.rtp(A, Kind::Video, &[0x65, 1]);
    let told = scene.told();
    let [
        Words::Setup { generation: 1, json },
        Words::Picture {
            of_caller: false,
            generation: 1,
            packet,
        },
        Words::Picture { of_caller: true, .. },
    ] = told[..]
    else {
        panic!("{told:?}");
    };
    let codecs: Codecs = serde_json::from_slice(json).unwrap();
    assert_eq!(
        (codecs.a.encoding.as_str(), codecs.b.encoding.as_str()),
        ("H264", "VP8")
    );
    let given = Packet::parse(packet).unwrap();
    assert_eq!((given.payload, given.ssrc), (&VP8_KEY[..], B.0 + 9));
    let timestamp = given.timestamp;
    // Nothing crosses as it is, and what is made begins with a key frame.
    scene.made(false, 1, 6, timestamp, &[0x41, 9]);
    assert_eq!(scene.pictures(A).last().unwrap().sequence, before.0);
    scene.made(false, 1, 7, timestamp, &[0x65, 9]);
    scene.made(false, 1, 8, timestamp + 3_000, &[0x41, 9]);
    // Of codecs that have changed.
    scene.made(false, 0, 9, timestamp + 6_000, &[0x41, 9]);
    let seen = scene.pictures(A);
    let [.., first, second] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!((first.payload, second.payload), (&[0x65, 9][..], &[0x41, 9][..]));
    assert_eq!(
        (first.sequence, second.sequence),
        (before.0 + 1, before.0 + 2),
        "A's one stream"
    );
    assert_eq!(first.ssrc, before.1);
    assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 3_000);
    // The other way.
    scene.made(true, 1, 40, 0, &VP8_OTHER);
    assert!(scene.pictures(B).is_empty());
    scene.made(true, 1, 41, 0, &VP8_KEY);
    assert_eq!(scene.pictures(B).len(), 1);
    let switched = scene.memory.events.iter().filter(|event| {
        matches!(
            event,
            Event::Switched {
                to: SwitchTo::Callee,
                kind: Kind::Video,
                ..
            }
        )
    });
    assert_eq!(switched.count(), 1);
}

#[test]
fn who_wants_a_key_frame_gets_it_of_the_process_and_that_asks_the_source() {
    let mut scene = with_process();
    scene.rtp(B, Kind::Video, &VP8_KEY);
    scene.rtp(A, Kind::Video, &[0x65]);
    scene.pass(20);
    scene.made(false, 1, 1, 0, &[0x65]);
    scene.made(true, 1, 1, 0, &VP8_KEY);
    scene.pass(1_000);
    scene.memory.given_pictures.clear();
    scene.memory.rtcp.clear();
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Pli));
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Pli));
    assert_eq!(
        scene.key_frames_wanted(),
        [false],
        "of B's pictures, and not twice at once"
    );
    scene.pass(300);
    // What B lost of packets that the process made nobody can send again.
    let lost = Feedback::Nack(rtcp::Lost::new([3].into_iter()));
    scene.rtcp(B, Kind::Video, None, Some(lost));
    assert_eq!(scene.key_frames_wanted(), [false, true]);
    assert!(
        scene.requests(A).is_empty() && scene.requests(B).is_empty(),
        "no source is asked"
    );
    // It has lost what it decodes.
    scene.says(Words::KeyFrame {
        of_caller: true,
        generation: 1,
    });
    assert_eq!((scene.requests(A).len(), scene.requests(B).len()), (1, 0));
}

#[test]
fn a_report_of_made_pictures_tells_the_clock_of_their_source() {
    let mut scene = with_process();
    scene.rtp(B, Kind::Video, &VP8_KEY);
    let theirs = u32::from(scene.sequence - 1) * 160;
    // Made 80 ms later.
    scene.pass(80);
    scene.made(false, 1, 1, theirs, &[0x65]);
    let carried = scene.pictures(A).last().unwrap().timestamp;
    // B says by which clock its picture was taken: with its sound, which passes at once.
    let sending = Sending {
        ntp: 7 << 32,
        rtp: theirs,
        packets: 1,
        octets: 5,
    };
    scene.rtcp(B, Kind::Video, Some(sending), None);
    let at = scene.now;
    scene.memory.rtcp.clear();
    scene.pass(7_000);
    let reports = scene.memory.rtcp.iter();
    let reports = reports.filter(|sent| sent.leg == A && sent.kind == Kind::Video);
    let (sent, ntp, rtp) = reports
        .filter_map(|sent| match rtcp::parse(&sent.bytes, 0).next() {
            Some(Heard::SenderReport { ntp, rtp, .. }) => Some((sent.at, ntp, rtp)),
            _ => None,
        })
        .next_back()
        .unwrap();
    let since = (sent - at).as_millis() as u32;
    assert_eq!(
        rtp,
        carried.wrapping_add(since * 90),
        "what it took to make them is no time of theirs"
    );
    let our_ms = 100_000 + (sent - scene.start).as_millis();
    assert!(((u128::from(ntp) * 1_000) >> 32).abs_diff(our_ms) <= 1);
}

#[test]
fn a_process_that_has_ended_or_hangs_leaves_the_last_picture_until_there_is_another() {
    for ended in [true, false] {
        let mut scene = with_process();
        scene.rtp(B, Kind::Video, &VP8_KEY);
        scene.made(false, 1, 1, 0, &[0x65, 9]);
        scene.memory.given_to_nobody = ended;
        scene.memory.rtp.clear();
        for _ in 0..300 {
            scene.rtp(B, Kind::Video, &VP8_OTHER);
            scene.pass(20);
        }
        assert_eq!(scene.lost(), 1, "ended: {ended}");
        let stays = scene.payloads(A, Kind::Video);
        assert!(stays.starts_with(&[0x67, 0x65]), "the clip's picture: {stays:?}");
        // Sound goes on meanwhile.
        scene.rtp(B, Kind::Audio, &[0xff; 160]);
        assert_eq!(scene.payloads(A, Kind::Audio).len(), 1);
        // Another one: it is told the codecs, and A sees B again from its key frame on.
        scene.memory.given_to_nobody = false;
        scene.memory.given_pictures.clear();
        scene.has_process();
        scene.rtp(B, Kind::Video, &VP8_OTHER);
        assert!(matches!(scene.told()[0], Words::Setup { generation: 1, .. }));
        scene.made(false, 1, 1, 0, &[0x65, 10]);
        assert_eq!(scene.pictures(A).last().unwrap().payload, [0x65, 10]);
        scene.memory.rtp.clear();
        scene.pass(4_000);
        assert!(scene.pictures(A).is_empty(), "no still between B's pictures");
    }
}

#[test]
fn without_a_process_nobody_is_asked_for_pictures_that_nobody_makes() {
    let mut scene = apart();
    scene.pass(3_000);
    scene.rtp(B, Kind::Video, &VP8_KEY);
    scene.rtp(A, Kind::Video, &[0x65]);
    assert!(scene.requests(A).is_empty() && scene.requests(B).is_empty());
    assert!(scene.pictures(B).is_empty() && scene.told().is_empty());
    // B comes to the codec of A: its pictures pass.
    scene.configure(B, stream(Kind::Video));
    scene.rtp(B, Kind::Video, &[0x65, 5]);
    assert_eq!(scene.pictures(A).last().unwrap().payload, [0x65, 5]);
}
