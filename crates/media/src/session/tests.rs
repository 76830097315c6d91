//! Sessions in virtual time: no socket, no clock, a sink that remembers.

mod amr;
mod codecs;
mod early;
mod loss;
mod memory;
mod pictures;
mod recording;
mod reports;
mod srtp;
mod transcoding;

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use segue_sdp::{Codec, Direction, Format, Kind, Stream};

use memory::{Memory, Sent};

use super::{Session, SessionConfig};
use crate::{
    Command, Event, LegKey, RecordingStop, SwitchTo, Tally,
    cache::{Cache, CacheBuilder, END_OF_FRAME, KEY_FRAME},
    path::{
        rtcp::{self, Compound, Feedback, Heard, Sending},
        rtp::{Header, PLAIN, Packet},
    },
};

mod keys;
mod rules;
mod saying;

const A: LegKey = LegKey::A;
const B: LegKey = LegKey(1);

struct Scene {
    start: Instant,
    now: Instant,
    session: Session,
    memory: Memory,
    sequence: u16,
}

impl Scene {
    /// A and B with audio and video, nothing said yet.
    fn new() -> Scene {
        let start = Instant::now();
        let config = SessionConfig {
            seed: 5,
            epoch: (start, 100 << 32),
            rtp_gone: Duration::from_secs(30),
        };
        let mut session = Session::new(config);
        assert!(session.add_leg(start, A) && session.add_leg(start, B));
        let mut scene = Scene {
            start,
            now: start,
            session,
            memory: Memory::default(),
            sequence: 100,
        };
        scene.configure(A, stream(Kind::Video));
        scene.configure(B, stream(Kind::Video));
        scene
    }

    fn say(&mut self, command: Command) {
        self.memory.now = Some(self.now);
        self.session.handle_command(self.now, command, &mut self.memory);
    }

    fn configure(&mut self, leg: LegKey, video: Stream) {
        self.say(Command::Configure {
            leg,
            audio: Some(stream(Kind::Audio)),
            video: Some(video),
        });
    }

    /// Time passes; the session is called when it wants to be.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        for _ in 0..100_000 {
            match self.session.poll_timeout().filter(|at| *at <= until) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.memory.now = Some(self.now);
                    self.session.handle_timeout(self.now, &mut self.memory);
                }
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("the session never rests");
    }

    fn rtp(&mut self, leg: LegKey, kind: Kind, payload: &[u8]) {
        let (payload_type, sequence) = (if kind == Kind::Audio { 0 } else { 96 }, self.sequence);
        self.sequence += 1;
        let timestamp = u32::from(sequence) * 160;
        let header = Header {
            first: PLAIN,
            marker: false,
            payload_type,
            sequence,
            timestamp,
            ssrc: leg.0 + 9,
        };
        let mut bytes = [&header.to_bytes()[..], payload].concat();
        self.memory.now = Some(self.now);
        let datagrams = [(peer(), &mut bytes[..])].into_iter();
        self.session
            .handle_rtp(self.now, leg, kind, datagrams, &mut self.memory);
    }

    fn rtcp(&mut self, leg: LegKey, kind: Kind, sending: Option<Sending>, feedback: Option<Feedback>) {
        let feedback = feedback.map(|feedback| (1, feedback));
        let compound = Compound {
            ssrc: leg.0 + 9,
            cname: "peer",
            sending,
            block: None,
            feedback,
        };
        let mut bytes = [0; rtcp::BUFFER_LEN];
        let len = compound.write(&mut bytes).unwrap();
        self.memory.now = Some(self.now);
        self.session
            .handle_rtcp(self.now, leg, kind, peer(), &mut bytes[..len], &mut self.memory);
    }

    /// When requests for a key frame went to a leg, milliseconds since the start.
    fn requests(&self, leg: LegKey) -> Vec<u64> {
        let to = self.memory.rtcp.iter().filter(|sent| sent.leg == leg);
        let asks = to.filter(|sent| rtcp::parse(&sent.bytes, 0).any(|heard| heard == Heard::KeyFrameRequest));
        asks.map(|sent| (sent.at - self.start).as_millis() as u64).collect()
    }

    /// First payload bytes of what went to a leg.
    fn payloads(&self, leg: LegKey, kind: Kind) -> Vec<u8> {
        let sent = self
            .memory
            .rtp
            .iter()
            .filter(|sent| sent.leg == leg && sent.kind == kind);
        sent.map(|sent| sent.bytes[12]).collect()
    }

    fn play(&mut self, looping: bool) {
        let video = Some(video_clip());
        self.say(Command::Play {
            source: 1,
            audio: None,
            video,
            looping,
        });
    }
}

fn peer() -> SocketAddr {
    "192.0.2.1:4000".parse().unwrap()
}

fn stream(kind: Kind) -> Stream {
    let (payload_type, codec) = match kind {
        Kind::Audio => (0, Codec::Pcmu),
        Kind::Video => (
            96,
            Codec::H264 {
                packetization_mode: 1,
                profile_level_id: [0x42, 0xe0, 0x1f],
            },
        ),
    };
    Stream {
        kind,
        remote: Some(peer()),
        remote_rtcp: Some(peer()),
        format: Format {
            payload_type,
            codec,
            fmtp: None,
        },
        dtmf_payload_type: None,
        our_payload_type: payload_type,
        dtmf_clock_rate: 8_000,
        our_dtmf_payload_type: None,
        direction: Direction::SendRecv,
        nack: false,
        pli: true,
        fir: false,
        foreign: Vec::new(),
        keys: None,
    }
}

/// A second of 10 frames: a key frame (0x67, 0x65), nine others (0x41).
fn video_clip() -> Cache {
    let mut builder = CacheBuilder::new();
    builder.push(0, 0, &[0x67], KEY_FRAME).unwrap();
    builder.push(0, 0, &[0x65], END_OF_FRAME).unwrap();
    for n in 1..10 {
        builder.push(n * 100_000, n * 9_000, &[0x41], END_OF_FRAME).unwrap();
    }
    builder.finish(90_000, 1_000_000, 90_000).unwrap()
}

#[test]
fn a_caller_that_lost_the_picture_gets_the_last_key_frame_and_then_the_next() {
    let mut scene = Scene::new();
    scene.play(true);
    scene.pass(250);
    scene.memory.rtp.clear();
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Pli));
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65], "at once");
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Fir(1)));
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65], "not twice within 250 ms");
    scene.pass(849);
    assert_eq!(
        scene.payloads(A, Kind::Video),
        [0x67, 0x65, 0x67, 0x65],
        "what depends on lost pictures is left out"
    );
    scene.pass(100);
    assert_eq!(scene.payloads(A, Kind::Video).last(), Some(&0x41));
}

#[test]
fn the_callee_is_asked_at_0_250_500_1000_and_each_second_until_its_key_frame() {
    let mut scene = Scene::new();
    scene.play(true);
    scene.say(Command::Bridge { leg: B });
    scene.pass(3_100);
    assert_eq!(scene.requests(B), [0, 250, 500, 1_000, 2_000, 3_000]);
    scene.rtp(B, Kind::Video, &[0x65]);
    scene.pass(4_900);
    assert_eq!(scene.requests(B).len(), 6);
}

#[test]
fn the_last_picture_stays_until_the_callees_key_frame() {
    let mut scene = Scene::new();
    scene.play(true);
    scene.pass(500);
    scene.say(Command::Bridge { leg: B });
    scene.memory.rtp.clear();
    scene.pass(1_000);
    assert_eq!(scene.payloads(A, Kind::Video), [] as [u8; 0], "the clip has stopped");
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Pli));
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65], "who asks gets it again");
    scene.rtp(B, Kind::Video, &[0x41, 0xb]);
    scene.rtp(B, Kind::Video, &[0x67, 0xb]);
    scene.rtp(B, Kind::Video, &[0x41, 0xb]);
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65, 0x67, 0x41]);
    let switched = Event::Switched {
        to: SwitchTo::Callee,
        kind: Kind::Video,
        gap_ms: Some(0),
    };
    assert!(scene.memory.events.contains(&switched), "{:?}", scene.memory.events);
}

#[test]
fn requests_for_a_key_frame_cross_the_bridge_both_ways() {
    let mut scene = Scene::new();
    scene.say(Command::Bridge { leg: B });
    scene.pass(10);
    scene.rtp(A, Kind::Video, &[0x65]);
    scene.rtp(B, Kind::Video, &[0x65]);
    scene.pass(5_000);
    scene.memory.rtcp.clear();
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Pli));
    scene.rtcp(B, Kind::Video, None, Some(Feedback::Fir(0)));
    assert_eq!((scene.requests(A).len(), scene.requests(B).len()), (1, 1));
}

#[test]
fn a_peer_without_feedback_is_asked_through_signalling_once_a_second() {
    let mut scene = Scene::new();
    let video = Stream {
        nack: false,
        pli: false,
        fir: false,
        foreign: Vec::new(),
        keys: None,
        ..stream(Kind::Video)
    };
    scene.configure(A, video);
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: None,
        pictures: true,
    });
    scene.pass(2_500);
    let wanted = Event::KeyFrameWanted { leg: A };
    assert_eq!(scene.memory.events, [wanted.clone(), wanted.clone(), wanted]);
    assert_eq!(scene.requests(A), [] as [u64; 0]);
}

#[test]
fn towards_a_caller_on_hold_nothing_is_sent_and_its_picture_comes_back_whole() {
    let mut scene = Scene::new();
    scene.say(Command::Bridge { leg: B });
    scene.rtp(B, Kind::Video, &[0x65]);
    let held = Stream {
        direction: Direction::RecvOnly,
        ..stream(Kind::Video)
    };
    scene.configure(A, held);
    scene.memory.rtp.clear();
    scene.rtp(B, Kind::Video, &[0x65]);
    assert!(scene.memory.rtp.is_empty());
    scene.configure(A, stream(Kind::Video));
    scene.rtp(B, Kind::Video, &[0x41]);
    assert!(scene.memory.rtp.is_empty(), "it waits for a key frame");
    let asked = scene.requests(B).len();
    assert!(asked >= 1);
    scene.rtp(B, Kind::Video, &[0x65]);
    assert_eq!(scene.payloads(A, Kind::Video), [0x65]);
}

#[test]
fn without_video_of_the_callee_the_clips_picture_is_repeated() {
    let mut scene = Scene::new();
    scene.play(true);
    scene.pass(100);
    scene.say(Command::Configure {
        leg: B,
        audio: Some(stream(Kind::Audio)),
        video: None,
    });
    scene.say(Command::Bridge { leg: B });
    scene.memory.rtp.clear();
    scene.pass(4_500);
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65, 0x67, 0x65]);
}

#[test]
fn no_datagram_stops_a_session() {
    use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

    let mut rng = StdRng::seed_from_u64(3);
    let mut scene = Scene::new();
    scene.play(true);
    scene.say(Command::Bridge { leg: B });
    scene.say(Command::Record {
        path: PathBuf::from("m"),
        manifest_json: Vec::new(),
        longest_ms: 60_000,
        longest_bytes: None,
        silence_ms: Some(30_000),
        pictures: true,
    });
    for _ in 0..20_000 {
        let mut bytes = vec![0; rng.random_range(0..64)];
        rng.fill_bytes(&mut bytes);
        // Most shall get past the first look.
        if let [first, second, ..] = &mut bytes[..] {
            *first = 0x80 | (*first & 0x3f);
            *second = *[0, 96, 200, 201, 205, 206, *second]
                .get(usize::from(*second % 7))
                .unwrap();
        }
        let leg = if rng.random() { A } else { B };
        let kind = if rng.random() { Kind::Audio } else { Kind::Video };
        let (now, memory) = (scene.now, &mut scene.memory);
        scene
            .session
            .handle_rtcp(now, leg, kind, peer(), &mut bytes.clone(), memory);
        scene
            .session
            .handle_rtp(now, leg, kind, [(peer(), &mut bytes[..])].into_iter(), memory);
    }
    scene.memory.rtp.clear();
    scene.rtp(B, Kind::Audio, &[0; 160]);
    scene.rtp(B, Kind::Audio, &[0; 160]);
    assert!(!scene.memory.rtp.is_empty(), "it still relays");
}

/// A picture that stays is a key frame of the clip: 0x67, 0x65.
fn shows_still(scene: &Scene, since: usize) -> bool {
    scene.payloads(A, Kind::Video)[since..].ends_with(&[0x67, 0x65])
}

#[test]
fn a_callee_that_drops_its_video_leaves_the_still_and_comes_back_with_a_key_frame() {
    let mut scene = Scene::new();
    scene.play(true);
    scene.pass(300);
    scene.say(Command::Bridge { leg: B });
    scene.rtp(B, Kind::Video, &[0x67]);
    scene.rtp(B, Kind::Video, &[0x41]);
    assert!(scene.payloads(A, Kind::Video).ends_with(&[0x67, 0x41]));
    // B re-INVITEs its video away.
    let without = |scene: &mut Scene| {
        scene.say(Command::Configure {
            leg: B,
            audio: Some(stream(Kind::Audio)),
            video: None,
        });
    };
    let seen = scene.payloads(A, Kind::Video).len();
    without(&mut scene);
    scene.pass(50);
    assert!(shows_still(&scene, seen), "the clip's picture, at once");
    let seen = scene.payloads(A, Kind::Video).len();
    scene.pass(10_000);
    let again = scene.payloads(A, Kind::Video).len() - seen;
    assert!((8..=12).contains(&again), "{again} packets in 10 s: every 2 s");
    // A asks for a key frame meanwhile: it gets the still, B is left alone.
    let asked = scene.requests(B).len();
    scene.rtcp(A, Kind::Video, None, Some(Feedback::Pli));
    assert_eq!(scene.requests(B).len(), asked);
    // Video comes back: B is asked at once, its key frame is what A sees next.
    scene.configure(B, stream(Kind::Video));
    assert_eq!(scene.requests(B).len(), asked + 1);
    let seen = scene.payloads(A, Kind::Video).len();
    scene.rtp(B, Kind::Video, &[0x41]);
    assert_eq!(scene.payloads(A, Kind::Video).len(), seen, "not before its key frame");
    scene.rtp(B, Kind::Video, &[0x67]);
    scene.rtp(B, Kind::Video, &[0x41]);
    assert_eq!(scene.payloads(A, Kind::Video)[seen..], [0x67, 0x41]);
    let switches = scene.memory.events.iter().filter(|event| {
        matches!(
            event,
            Event::Switched {
                to: crate::SwitchTo::Callee,
                kind: Kind::Video,
                ..
            }
        )
    });
    assert_eq!(switches.count(), 2);
}

#[test]
fn a_callee_without_video_leaves_the_poster_where_no_clip_was_shown() {
    let mut scene = Scene::new();
    scene.say(Command::Configure {
        leg: B,
        audio: Some(stream(Kind::Audio)),
        video: None,
    });
    scene.say(Command::Poster { video: video_clip() });
    scene.say(Command::Bridge { leg: B });
    scene.pass(3_000);
    assert_eq!(scene.payloads(A, Kind::Video), [0x67, 0x65, 0x67, 0x65]);
}

#[test]
fn a_camera_that_stops_sending_is_replaced_by_the_still_until_it_sends_again() {
    let mut scene = Scene::new();
    scene.play(true);
    scene.pass(300);
    scene.say(Command::Bridge { leg: B });
    scene.rtp(B, Kind::Video, &[0x67]);
    let seen = scene.payloads(A, Kind::Video).len();
    scene.pass(4_900);
    assert_eq!(scene.payloads(A, Kind::Video).len(), seen);
    scene.pass(200);
    assert!(shows_still(&scene, seen));
    let seen = scene.payloads(A, Kind::Video).len();
    scene.rtp(B, Kind::Video, &[0x41]);
    assert_eq!(scene.payloads(A, Kind::Video).len(), seen);
    scene.rtp(B, Kind::Video, &[0x67]);
    assert_eq!(scene.payloads(A, Kind::Video)[seen..], [0x67]);
    // While A itself holds nobody counts.
    let held = Stream {
        direction: Direction::RecvOnly,
        ..stream(Kind::Video)
    };
    scene.configure(A, held);
    scene.pass(20_000);
    assert_eq!(scene.payloads(A, Kind::Video).len(), seen + 1);
}

#[test]
fn foreign_formats_pass_both_ways_under_their_own_numbers() {
    let foreign = |numbers: &[u8]| {
        let formats = numbers.iter().map(|payload_type| segue_sdp::ForeignFormat {
            payload_type: *payload_type,
            rtpmap: Some("EVS/16000".into()),
            fmtp: None,
        });
        Stream {
            format: Format {
                payload_type: numbers[0],
                codec: Codec::Foreign { clock_rate: 16_000 },
                fmtp: None,
            },
            our_payload_type: numbers[0],
            foreign: formats.collect(),
            ..stream(Kind::Audio)
        }
    };
    let mut scene = Scene::new();
    for leg in [A, B] {
        // Video in a foreign codec waits for no key frame.
        let video = Stream {
            kind: Kind::Video,
            ..foreign(&[96])
        };
        scene.say(Command::Configure {
            leg,
            audio: Some(foreign(&[104, 0])),
            video: Some(video),
        });
    }
    scene.say(Command::Bridge { leg: B });
    for (from, to) in [(A, B), (B, A)] {
        scene.rtp(from, Kind::Audio, &[0xf0, 0x44]);
        scene.rtp(from, Kind::Video, &[0x90]);
        let sent = |kind| {
            let sent = scene
                .memory
                .rtp
                .iter()
                .filter(|sent| sent.leg == to && sent.kind == kind);
            sent.map(|sent| (sent.bytes[1] & 0x7f, sent.bytes[12..].to_vec()))
                .collect::<Vec<_>>()
        };
        assert_eq!(sent(Kind::Audio), [(0, vec![0xf0, 0x44])]);
        assert_eq!(sent(Kind::Video), [(96, vec![0x90])]);
    }
}
