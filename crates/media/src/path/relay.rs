//! Carries one source into a peer's stream: SSRC, sequence, timestamp and payload type become ours, gaps and order stay the
//! source's. Video begins at a key frame.

use std::time::Instant;

use segue_sdp::Codec;

use super::{
    h264,
    keyframe::{Asker, starts_key_frame},
    out::OutStream,
    rtcp::Lost,
    rtp::{Header, PLAIN, Packet},
    vp8::{Descriptor, Renumbering},
};

/// One direction of one m-line.
#[derive(Debug, Clone, Default)]
pub struct Relay {
    map: Option<Map>,
    /// Asks the source for its key frame while video waits for it.
    pub asker: Asker,
    /// Parameter sets that the source only signalled.
    parameter_sets: Vec<Vec<u8>>,
}

/// How the source's numbers become ours.
#[derive(Debug, Clone, Copy)]
struct Map {
    ssrc: u32,
    first_sequence: u16,
    first_timestamp: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Packets carried; early on, older ones than the first may still come.
    carried: u16,
    /// VP8 alone.
    vp8: Option<Renumbering>,
}

impl Map {
    /// Whether the source sent this one before the first that was carried. Later on numbers come round again.
    fn is_before(&self, sequence: u16) -> bool {
        self.carried < 1_000 && (sequence.wrapping_sub(self.first_sequence) as i16) < 0
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'p> {
    /// It leaves with this header.
    Carry {
        /// The header.
        header: Header,
        /// VP8: the payload descriptor after it.
        descriptor: Option<Descriptor>,
        /// What follows: [`Packet::rest`], or the piece of a VP8 frame.
        rest: &'p [u8],
        /// The source's first packet in this stream.
        first: bool,
    },
    /// It does not leave: video before its key frame, older than the switch, or a VP8 packet that is none.
    Drop,
}

/// How packets of this m-line are sent.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Payload type on the leg it leaves on.
    pub payload_type: u8,
    /// What is carried. Video waits for a key frame.
    pub codec: Codec,
    /// Smallest step of the timestamp at the switch.
    pub step: u32,
}

impl Relay {
    /// The source begins anew; video waits for a key frame and asks for it from `now` on.
    pub fn restart(&mut self, now: Instant, is_video: bool) {
        self.map = None;
        if is_video {
            self.asker.start(now);
        }
    }

    /// The source goes on under other numbers.
    pub fn renumber(&mut self) {
        if let Some(map) = &mut self.map {
            // As if by another source.
            map.ssrc = !map.ssrc;
        }
    }

    /// Sequence numbers of our stream as the source has them; those before it are left out.
    pub fn as_of_source(&self, lost: Lost) -> Lost {
        let theirs = |map: Map| {
            let of_source = lost.sequences().map(move |ours| ours.wrapping_sub(map.sequence_offset));
            Lost::new(of_source.filter(|theirs| !map.is_before(*theirs)))
        };
        self.map.map_or(Lost::new([].into_iter()), theirs)
    }

    /// Nothing is carried for now.
    pub fn pause(&mut self) {
        self.map = None;
        self.asker.stop();
    }

    /// Sends these NAL units before a key frame that comes without its own.
    pub fn set_parameter_sets(&mut self, sets: Vec<Vec<u8>>) {
        self.parameter_sets = sets;
    }

    /// NAL units to send before `packet`, which begins the stream without them.
    pub fn missing_parameter_sets(&self, packet: &Packet<'_>, rule: Rule) -> &[Vec<u8>] {
        let is_h264 = matches!(rule.codec, Codec::H264 { .. });
        let begins = is_h264 && !self.carries(packet) && h264::starts_key_frame(packet.payload);
        if begins && !h264::has_parameters(packet.payload) {
            &self.parameter_sets
        } else {
            &[]
        }
    }

    fn carries(&self, packet: &Packet<'_>) -> bool {
        self.map.is_some_and(|map| map.ssrc == packet.ssrc)
    }

    /// Takes a packet of the source that arrived `now`; counts it as sent on `out` when carried.
    pub fn handle<'p>(&mut self, now: Instant, packet: &Packet<'p>, rule: Rule, out: &mut OutStream) -> Verdict<'p> {
        let mut first = false;
        let is_video = rule.codec.has_key_frames();
        let vp8 = match rule.codec {
            Codec::Vp8 => match Descriptor::parse(packet.payload) {
                Some(parts) => Some(parts),
                None => return Verdict::Drop,
            },
            _ => None,
        };
        if !self.carries(packet) {
            if is_video && !starts_key_frame(rule.codec, packet.payload) {
                self.asker.start(now);
                return Verdict::Drop;
            }
            self.asker.stop();
            first = self.map.is_none();
            self.map = Some(Map {
                ssrc: packet.ssrc,
                first_sequence: packet.sequence,
                first_timestamp: packet.timestamp,
                sequence_offset: out.next_sequence().wrapping_sub(packet.sequence),
                timestamp_offset: out.base(now, rule.step).wrapping_sub(packet.timestamp),
                carried: 0,
                vp8: vp8.map(|(descriptor, _)| Renumbering::begin(&descriptor, packet.timestamp, &out.vp8)),
            });
        }
        let Some(map) = &mut self.map else {
            return Verdict::Drop;
        };
        if map.is_before(packet.sequence) {
            // Overtaken by the rest of its picture, which is not whole without it.
            if is_video && packet.timestamp == map.first_timestamp {
                self.asker.start(now);
            }
            return Verdict::Drop;
        }
        if is_video && self.asker.is_asking() && starts_key_frame(rule.codec, packet.payload) {
            self.asker.stop();
        }
        map.carried = map.carried.saturating_add(1);
        // The descriptor is written anew, so what stood before it (header extensions, CSRCs) and after the frame (padding) goes.
        let (first_byte, rest, descriptor) = match (vp8, &mut map.vp8) {
            (Some((descriptor, frame)), Some(numbers)) => {
                let descriptor = numbers.apply(descriptor, packet.timestamp, &mut out.vp8);
                (PLAIN, frame, Some(descriptor))
            }
            _ => (packet.first, packet.rest, None),
        };
        let header = Header {
            first: first_byte,
            // On audio the marker tells of a new beginning; on video it ends a frame (RFC 3551 §4.1, RFC 6184 §5.1).
            marker: packet.marker || (first && !is_video),
            payload_type: rule.payload_type,
            sequence: packet.sequence.wrapping_add(map.sequence_offset),
            timestamp: packet.timestamp.wrapping_add(map.timestamp_offset),
            ssrc: out.ssrc,
        };
        out.sent(now, now, header.sequence, header.timestamp, packet.payload.len());
        Verdict::Carry {
            header,
            descriptor,
            rest,
            first,
        }
    }

    /// A timestamp of the source as our stream has it.
    pub fn map_timestamp(&self, timestamp: u32) -> Option<u32> {
        self.map.map(|map| timestamp.wrapping_add(map.timestamp_offset))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::path::rtp::PLAIN;

    const AUDIO: Rule = Rule {
        payload_type: 8,
        codec: Codec::Pcma,
        step: 160,
    };
    const VIDEO: Rule = Rule {
        payload_type: 99,
        codec: Codec::H264 {
            packetization_mode: 1,
            profile_level_id: [0x42, 0xe0, 0x1f],
        },
        step: 1,
    };
    const VP8: Rule = Rule {
        payload_type: 100,
        codec: Codec::Vp8,
        step: 1,
    };

    fn packet(ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let header = Header {
            first: PLAIN,
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc,
        };
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    fn carry(relay: &mut Relay, now: Instant, bytes: &[u8], rule: Rule, out: &mut OutStream) -> Option<Header> {
        match relay.handle(now, &Packet::parse(bytes).unwrap(), rule, out) {
            Verdict::Carry { header, .. } => Some(header),
            Verdict::Drop => None,
        }
    }

    /// A stream that a clip has used up to sequence 99 and timestamp 5000.
    fn used_stream(now: Instant) -> OutStream {
        let mut out = OutStream::new(7, 99, 5_000, 8_000);
        out.stamp(now, now, 5_000, 0, false, 160);
        out
    }

    #[test]
    fn a_source_goes_on_in_the_numbers_of_the_stream() {
        let now = Instant::now();
        let (mut relay, mut out) = (Relay::default(), used_stream(now));
        let later = now + Duration::from_millis(40);
        let first = carry(&mut relay, later, &packet(1, 40_000, 77, &[0; 160]), AUDIO, &mut out).unwrap();
        assert_eq!((first.sequence, first.timestamp, first.ssrc), (100, 5_320, 7));
        assert_eq!((first.marker, first.payload_type), (true, 8));
        let third = carry(&mut relay, later, &packet(1, 40_002, 397, &[0; 160]), AUDIO, &mut out).unwrap();
        assert_eq!((third.sequence, third.timestamp, third.marker), (102, 5_640, false));
        let second = carry(&mut relay, later, &packet(1, 40_001, 237, &[0; 160]), AUDIO, &mut out).unwrap();
        assert_eq!(second.sequence, 101, "the order stays the source's");
    }

    #[test]
    fn a_packet_older_than_the_switch_is_dropped() {
        let now = Instant::now();
        let (mut relay, mut out) = (Relay::default(), used_stream(now));
        carry(&mut relay, now, &packet(1, 10, 1_600, &[0; 160]), AUDIO, &mut out).unwrap();
        assert!(carry(&mut relay, now, &packet(1, 9, 1_440, &[0; 160]), AUDIO, &mut out).is_none());
    }

    #[test]
    fn video_waits_for_its_key_frame_and_asks() {
        let now = Instant::now();
        let (mut relay, mut out) = (Relay::default(), used_stream(now));
        assert!(carry(&mut relay, now, &packet(1, 10, 0, &[0x41, 1]), VIDEO, &mut out).is_none());
        assert!(relay.asker.is_asking());
        let key = carry(&mut relay, now, &packet(1, 11, 3_600, &[0x67, 1]), VIDEO, &mut out).unwrap();
        assert_eq!((key.sequence, key.marker), (100, false));
        assert!(!relay.asker.is_asking());
        assert!(carry(&mut relay, now, &packet(1, 12, 3_600, &[0x41, 1]), VIDEO, &mut out).is_some());
    }

    #[test]
    fn a_source_that_changes_its_ssrc_goes_on_without_a_jump() {
        let now = Instant::now();
        let (mut relay, mut out) = (Relay::default(), used_stream(now));
        carry(&mut relay, now, &packet(1, 10, 0, &[0; 160]), AUDIO, &mut out).unwrap();
        let next = carry(&mut relay, now, &packet(2, 9_000, 123_456, &[0; 160]), AUDIO, &mut out).unwrap();
        assert_eq!((next.sequence, next.timestamp, next.ssrc), (101, 5_320, 7));
    }

    #[test]
    fn vp8_goes_on_in_the_stream_s_picture_numbers_from_its_key_frame() {
        let now = Instant::now();
        let (mut relay, mut out) = (Relay::default(), used_stream(now));
        let last = out.vp8.own(true).to_bytes().0;
        let next = u16::from_be_bytes([last[2] & 0x7f, last[3]]) + 1;
        let mut carry = |sequence: u16, timestamp, payload: &[u8]| {
            let bytes = packet(1, sequence, timestamp, payload);
            match relay.handle(now, &Packet::parse(&bytes).unwrap(), VP8, &mut out) {
                Verdict::Carry {
                    header,
                    descriptor,
                    rest,
                    ..
                } => Some([&*header.head(descriptor), rest].concat()[12..].to_vec()),
                Verdict::Drop => None,
            }
        };
        let id = |n: u16| [0x80 | (n >> 8) as u8, n as u8];
        let expected = |first: u8, n: u16, frame: &[u8]| [&[first, 0x80][..], &id(n), frame].concat();
        assert_eq!(carry(1, 0, &[0x90, 0x80, 20, 0x31]), None, "an interframe");
        assert_eq!(
            carry(2, 3_000, &[0x90, 0x80, 21, 0x30, 1]),
            Some(expected(0x90, next, &[0x30, 1]))
        );
        assert_eq!(carry(3, 3_000, &[0x80, 0x80, 21, 2]), Some(expected(0x80, next, &[2])));
        assert_eq!(
            carry(4, 6_000, &[0x90, 0x80, 22, 0x31]),
            Some(expected(0x90, next + 1, &[0x31]))
        );
        assert_eq!(carry(5, 6_000, &[0x90, 0x80]), None, "no VP8 at all");
    }

    #[test]
    fn signalled_parameter_sets_go_before_a_key_frame_without_them() {
        let mut relay = Relay::default();
        relay.set_parameter_sets(vec![vec![0x67], vec![0x68]]);
        let (idr, sps) = (packet(1, 1, 0, &[0x65, 1]), packet(1, 1, 0, &[0x67, 1]));
        assert_eq!(
            relay.missing_parameter_sets(&Packet::parse(&idr).unwrap(), VIDEO).len(),
            2
        );
        assert!(
            relay
                .missing_parameter_sets(&Packet::parse(&sps).unwrap(), VIDEO)
                .is_empty()
        );
    }
}
