//! A phone with sockets and no manners: sends what it is told, keeps what arrives.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use segue_media::{
    Command, Event, LegKey, Media, MediaAddress, MediaConfig, Ports, SessionKey,
    cache::{Cache, CacheBuilder, END_OF_FRAME, KEY_FRAME},
};
use segue_sdp::{Codec, Direction, Family, Format, Kind, Stream};

pub const A: LegKey = LegKey::A;
pub const B: LegKey = LegKey(1);
pub const CALL: SessionKey = 7;
/// Long enough for a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The packet path under test and what it tells.
pub struct House {
    pub media: Media,
    events: Receiver<(SessionKey, Event)>,
}

impl House {
    pub fn new(spool_dir: &Path) -> House {
        House::with(spool_dir, 30_000)
    }

    pub fn with(spool_dir: &Path, rtp_gone_ms: u64) -> House {
        let (tell, events) = channel();
        let config = MediaConfig {
            addresses: vec![
                MediaAddress::plain(Ipv4Addr::LOCALHOST.into()),
                MediaAddress::plain(Ipv6Addr::LOCALHOST.into()),
            ],
            ports: 10_000..=31_999,
            realtime: false,
            spool_dir: spool_dir.to_owned(),
            rtp_gone_ms,
            ..MediaConfig::default()
        };
        let tell = Box::new(move |session, event| {
            let _ = tell.send((session, event));
        });
        House {
            media: Media::start(config, tell).unwrap(),
            events,
        }
    }

    pub fn say(&self, command: Command) {
        self.media.command(CALL, command).unwrap();
    }

    /// All that was said so far is done: what comes by a port is taken before orders of the same moment. Events until then are
    /// dropped.
    pub fn done(&self) {
        let another = CALL.wrapping_add(1);
        self.media.open(another, LegKey::A, None).unwrap();
        self.media.command(another, Command::Close).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (session, event) = self.events.recv_timeout(left).expect("orders are not taken");
            if (session, &event) == (another, &Event::Closed) {
                return;
            }
        }
    }

    /// Waits for an event; those before it are dropped.
    pub fn wait<T>(&self, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (session, event) = self.events.recv_timeout(left).expect("the event did not come");
            assert_eq!(session, CALL);
            if let Some(picked) = pick(&event) {
                return picked;
            }
        }
    }

    /// All events of some time.
    pub fn events_for(&self, time: Duration) -> Vec<Event> {
        let until = Instant::now() + time;
        let mut all = Vec::new();
        while let Ok((_, event)) = self
            .events
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            all.push(event);
        }
        all
    }
}

/// One m-line of a phone.
pub struct Line {
    pub kind: Kind,
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    to: SocketAddr,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

/// A phone with a leg of its own.
pub struct Phone {
    pub leg: LegKey,
    pub audio: Line,
    pub video: Line,
}

/// What arrived, typed by hand so that the test trusts nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
    pub from: SocketAddr,
}

impl Phone {
    /// Opens its leg.
    pub fn new(house: &House, leg: LegKey) -> Phone {
        Phone::of(house, leg, Family::V4)
    }

    /// The same with addresses of this family.
    pub fn of(house: &House, leg: LegKey, family: Family) -> Phone {
        let ports = house.media.open(CALL, leg, Some(family)).unwrap();
        assert_eq!(Family::of(ports.address), family);
        let line = |kind, port, ssrc| Line::new(kind, ports.address, port, ssrc);
        Phone {
            leg,
            audio: line(Kind::Audio, ports.audio, 0xa0 + leg.0),
            video: line(Kind::Video, ports.video, 0xe0 + leg.0),
        }
    }

    pub fn stream(&self, kind: Kind, direction: Direction) -> Stream {
        let (line, payload_type, codec) = match kind {
            Kind::Audio => (&self.audio, 0, Codec::Pcmu),
            // Each phone has its own number for H.264.
            Kind::Video => {
                let codec = Codec::H264 {
                    packetization_mode: 1,
                    profile_level_id: [0x42, 0xe0, 0x1f],
                };
                (&self.video, 96 + self.leg.0 as u8, codec)
            }
        };
        let dtmf_payload_type = (kind == Kind::Audio).then_some(101 + self.leg.0 as u8);
        Stream {
            kind,
            remote: Some(line.rtp.local_addr().unwrap()),
            remote_rtcp: Some(line.rtcp.local_addr().unwrap()),
            format: Format {
                payload_type,
                codec,
                fmtp: None,
            },
            dtmf_payload_type,
            our_payload_type: payload_type,
            dtmf_clock_rate: 8_000,
            our_dtmf_payload_type: dtmf_payload_type,
            direction,
            nack: false,
            pli: true,
            fir: false,
            foreign: Vec::new(),
            keys: None,
        }
    }

    /// Audio and video, in these directions as the packet path sees them.
    pub fn configure(&self, house: &House, direction: Direction) {
        house.say(Command::Configure {
            leg: self.leg,
            audio: Some(self.stream(Kind::Audio, direction)),
            video: Some(self.stream(Kind::Video, direction)),
        });
    }
}

impl Line {
    pub fn new(kind: Kind, address: IpAddr, port: u16, ssrc: u32) -> Line {
        let bind = || {
            let socket = UdpSocket::bind((address, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Line {
            kind,
            rtp: bind(),
            rtcp: bind(),
            to: SocketAddr::new(address, port),
            ssrc,
            sequence: 1_000,
            timestamp: 50_000,
        }
    }

    /// Sends a packet of a new frame.
    pub fn send(&mut self, payload_type: u8, payload: &[u8]) {
        let step = if self.kind == Kind::Audio { 160 } else { 3_600 };
        self.timestamp = self.timestamp.wrapping_add(step);
        let timestamp = self.timestamp;
        self.send_at(payload_type, timestamp, payload);
    }

    pub fn send_at(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let bytes = self.packet(payload_type, timestamp, payload);
        self.rtp.send_to(&bytes, self.to).unwrap();
    }

    /// Sends a datagram as it is.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.rtp.send_to(bytes, self.to).unwrap();
    }

    pub fn packet(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80, payload_type];
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.ssrc.to_be_bytes());
        bytes.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        bytes
    }

    /// Sends an RTCP packet, to the port after RTP's.
    pub fn send_rtcp(&self, bytes: &[u8]) {
        let to = SocketAddr::new(self.to.ip(), self.to.port() + 1);
        self.rtcp.send_to(bytes, to).unwrap();
    }

    /// The next packet.
    pub fn receive(&self) -> Got {
        let mut bytes = [0; 2_048];
        let (len, from) = self.rtp.recv_from(&mut bytes).expect("no RTP came");
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        Got {
            marker: bytes[1] & 0x80 != 0,
            payload_type: bytes[1] & 0x7f,
            sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
            timestamp: word(4),
            ssrc: word(8),
            payload: bytes[12..len].to_vec(),
            from,
        }
    }

    /// The next packet that begins so; those before it come along.
    pub fn receive_until(&self, start: &[u8]) -> Vec<Got> {
        let until = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while Instant::now() < until {
            all.push(self.receive());
            if all.last().unwrap().payload.starts_with(start) {
                return all;
            }
        }
        panic!("it did not come");
    }

    /// Whether RTCP with this packet type (and feedback format) comes.
    pub fn hears_rtcp(&self, kind: u8, format: Option<u8>) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let mut bytes = [0; 2_048];
            let Ok(len) = self.rtcp.recv(&mut bytes) else {
                return false;
            };
            let mut rest = &bytes[..len];
            while rest.len() >= 4 {
                let length = (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1) * 4;
                if rest[1] == kind && format.is_none_or(|format| rest[0] & 0x1f == format) {
                    return true;
                }
                rest = rest.get(length..).unwrap_or_default();
            }
        }
        false
    }
}

/// Twenty packets of 20 ms, each full of its number.
pub fn audio_clip() -> Cache {
    let mut builder = CacheBuilder::new();
    for n in 0..20_u32 {
        builder.push(n * 20_000, n * 160, &[n as u8; 160], 0).unwrap();
    }
    builder.finish(8_000, 400_000, 3_200).unwrap()
}

/// Ten frames of 40 ms: a key frame of SPS and IDR, then nine others.
pub fn video_clip() -> Cache {
    let mut builder = CacheBuilder::new();
    builder.push(0, 0, &[0x67, 1, 2, 3], KEY_FRAME).unwrap();
    builder.push(0, 0, &[0x65; 900], END_OF_FRAME).unwrap();
    for n in 1..10_u32 {
        builder
            .push(n * 40_000, n * 3_600, &[0x41, n as u8], END_OF_FRAME)
            .unwrap();
    }
    builder.finish(90_000, 400_000, 36_000).unwrap()
}

pub fn play(looping: bool) -> Command {
    Command::Play {
        source: 1,
        audio: Some(audio_clip()),
        video: Some(video_clip()),
        looping,
    }
}

/// One stream without a seam: one SSRC, each sequence number after the one before.
pub fn assert_seamless(got: &[Got]) {
    for two in got.windows(2) {
        assert_eq!(two[0].ssrc, two[1].ssrc);
        assert_eq!(two[0].sequence.wrapping_add(1), two[1].sequence);
        let step = two[1].timestamp.wrapping_sub(two[0].timestamp) as i32;
        assert!((0..900_000).contains(&step), "timestamps step by {step}");
    }
}

/// What `open` gave.
pub fn is_even(ports: Ports) -> bool {
    ports.audio.is_multiple_of(2) && ports.video.is_multiple_of(2)
}
