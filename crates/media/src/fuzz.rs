//! What the fuzzer calls with any bytes (docs/fuzzing.md). Each panics when a promise of this crate is broken.
#![allow(clippy::arithmetic_side_effects, clippy::panic)] // What the fuzzer looks for.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant},
};

use segue_sdp::{Choice, Description, Kind, Side, Stream};

use crate::{
    Command, Event, LegKey,
    path::{
        amr::{self, Amr, Band, Frame, Modes, Packing, Payload},
        rtcp,
        rtp::{Header, PLAIN, Packet, Wire},
        srtp::Sealer,
    },
    session::{Session, SessionConfig, Sink},
    spool::{self, End, RecordKind, SpoolReader},
    stats::Count,
    transcode::Given,
};

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);
const B: LegKey = LegKey(1);

/// What both legs agree on: the codecs by the first byte of the input.
const AUDIO: [&str; 4] = ["0", "8", "9", "111"];
const VIDEO: [&str; 2] = ["96", "98"];

/// A bridged, recorded call. The first byte chooses its codecs; then come datagrams, each behind two bytes: which port of which leg
/// and how it is made ([`Script`]), and its length. Time passes between them.
pub fn rtp(bytes: &[u8]) {
    let Some((&first, script)) = bytes.split_first() else {
        return;
    };
    let mut call = Call::new(first);
    for datagram in Script(script) {
        call.pass(datagram.after);
        match datagram.is_rtcp {
            true => call.rtcp(datagram.leg, datagram.kind, &datagram.bytes),
            false => call.rtp(datagram.leg, datagram.kind, &datagram.bytes),
        }
    }
    call.pass(Duration::from_secs(40));
    call.end();
}

/// One compound, alone and into a bridged call.
pub fn rtcp(bytes: &[u8]) {
    let packets = rtcp::parse(bytes, 0).count();
    assert!(packets <= bytes.len() / 4, "each packet takes bytes away");
    for first in [0, 7] {
        let mut call = Call::new(first);
        for leg in [LegKey::A, B] {
            for kind in [Kind::Audio, Kind::Video] {
                call.rtcp(leg, kind, bytes);
                call.pass(Duration::from_millis(120));
            }
        }
        call.pass(Duration::from_secs(10));
        call.end();
    }
}

/// A spool file: what is read is a beginning of it, written again it is the same, and the first bad record is the last.
pub fn spool(bytes: &[u8]) {
    let mut reader = SpoolReader::new(bytes);
    let mut again = Vec::new();
    for record in reader.by_ref() {
        let written = spool::append(
            &mut again,
            record.kind,
            record.stream,
            record.arrival_ns,
            &record.packet,
        );
        assert!(written.is_ok(), "what was read can be written");
    }
    let good = usize::try_from(reader.good_bytes()).unwrap_or(usize::MAX);
    assert_eq!(
        Some(again.as_slice()),
        bytes.get(..good),
        "what is read is a beginning of the file"
    );
    let whole = good == bytes.len();
    assert_eq!(reader.ended(), Some(if whole { End::OfFile } else { End::BadRecord }));
    assert!(reader.next().is_none(), "it stays at its end");
    // Good records after what is bad are not read: where they belong nobody knows.
    if !whole {
        let more = [bytes, again.as_slice()].concat();
        let mut reader = SpoolReader::new(more.as_slice());
        let records = reader.by_ref().count();
        assert!(
            reader.good_bytes() >= good as u64 && (records > 0 || good == 0),
            "what was good stays good"
        );
    }
}

/// A payload of AMR or AMR-WB; the first byte says of which, how it is packed and what the other leg allows. What is carried there has as
/// many frames, speech and requests in allowed modes alone, and the way back loses nothing that was allowed.
pub fn amr(bytes: &[u8]) {
    let [how, allowed, payload @ ..] = bytes else { return };
    let band = if how & 1 == 1 { Band::Wide } else { Band::Narrow };
    let packing = if how & 2 == 2 {
        Packing::OctetAligned
    } else {
        Packing::BandwidthEfficient
    };
    let all = Modes::all(band);
    let from = Amr {
        band,
        packing,
        modes: all,
    };
    let named: Vec<String> = (0..8u8)
        .filter(|mode| allowed >> mode & 1 == 1)
        .map(|mode| mode.to_string())
        .collect();
    let to = Amr {
        packing: if how & 4 == 4 { packing.other() } else { packing },
        modes: Modes::parse(&named.join(","), band).unwrap_or(all),
        ..from
    };
    let mut out = [0; amr::PAYLOAD_MAX];
    let Some(read) = Payload::parse(from, payload) else {
        assert_eq!(
            amr::repack(from, to, payload, &mut out),
            None,
            "what cannot be read is not carried"
        );
        return;
    };
    let Some(len) = amr::repack(from, to, payload, &mut out) else {
        assert!(payload.len() > amr::PAYLOAD_MAX / 2, "there was room");
        return;
    };
    let carried = Payload::parse(to, out.get(..len).unwrap_or_default());
    let carried = carried.unwrap_or_else(|| panic!("what is made can be read"));
    assert_eq!(carried.count(), read.count());
    let request = carried.request();
    assert!(
        request == amr::NO_REQUEST || to.modes.contains(request),
        "mode {request} is asked for"
    );
    let data = |frame: Frame<'_>| {
        let mut data = Vec::new();
        frame.store(&mut data);
        data
    };
    for (before, after) in read.frames().zip(carried.frames()) {
        if before.is_speech(band) && !to.modes.contains(before.kind) {
            assert_eq!(after.kind, amr::NO_DATA);
        } else {
            assert_eq!(data(before), data(after));
        }
    }
}

/// Datagrams out of the fuzzer's bytes.
struct Script<'a>(&'a [u8]);

struct Datagram {
    after: Duration,
    leg: LegKey,
    kind: Kind,
    is_rtcp: bool,
    bytes: Vec<u8>,
}

impl Iterator for Script<'_> {
    type Item = Datagram;

    fn next(&mut self) -> Option<Datagram> {
        let [how, len, rest @ ..] = self.0 else { return None };
        let (body, rest) = rest.split_at_checked(usize::from(*len)).unwrap_or((rest, &[]));
        self.0 = rest;
        let bit = |at: u8| how >> at & 1 == 1;
        let is_rtcp = bit(2);
        // A header that fits, so that payloads are reached without finding it by chance.
        let bytes = match body {
            [payload_type, sequence, time, payload @ ..] if !is_rtcp && bit(3) => {
                let header = Header {
                    first: PLAIN,
                    marker: bit(4),
                    payload_type: payload_type & 0x7f,
                    sequence: u16::from(*sequence),
                    timestamp: u32::from(*time) * 160,
                    ssrc: u32::from(bit(5)),
                };
                [&header.to_bytes()[..], payload].concat()
            }
            body => body.to_vec(),
        };
        Some(Datagram {
            after: Duration::from_millis(if bit(6) { 20 } else { 1 }) * if bit(7) { 60 } else { 1 },
            leg: if bit(0) { B } else { LegKey::A },
            kind: if bit(1) { Kind::Video } else { Kind::Audio },
            is_rtcp,
            bytes,
        })
    }
}

struct Call {
    now: Instant,
    session: Session,
    judge: Judge,
}

impl Call {
    fn new(first: u8) -> Call {
        let now = Instant::now();
        let mut session = Session::new(SessionConfig {
            seed: 5,
            epoch: (now, 100 << 32),
            rtp_gone: Duration::from_secs(30),
        });
        assert!(session.add_leg(now, LegKey::A) && session.add_leg(now, B));
        let (audio, video) = streams(first);
        let mut call = Call {
            now,
            session,
            judge: Judge::default(),
        };
        for leg in [LegKey::A, B] {
            for stream in [&audio, &video].into_iter().flatten() {
                let dtmf = stream.dtmf_payload_type.into_iter();
                let types = dtmf.chain([stream.format.payload_type]).collect();
                call.judge.types.insert((leg, stream.kind), types);
            }
            call.say(Command::Configure {
                leg,
                audio: audio.clone(),
                video: video.clone(),
            });
        }
        if first >> 3 & 1 == 0 {
            call.say(Command::Bridge { leg: B });
        }
        call.say(Command::Record {
            path: PathBuf::from("spool"),
            manifest_json: b"{}".to_vec(),
            longest_ms: 60_000,
            longest_bytes: None,
            silence_ms: (first >> 4 & 1 == 1).then_some(2_000),
            pictures: true,
        });
        call
    }

    fn say(&mut self, command: Command) {
        self.session.handle_command(self.now, command, &mut self.judge);
    }

    fn rtp(&mut self, leg: LegKey, kind: Kind, bytes: &[u8]) {
        let (mut first, mut second) = (bytes.to_vec(), bytes.to_vec());
        let datagrams = [(PEER, &mut first[..]), (PEER, &mut second[..])].into_iter();
        self.session.handle_rtp(self.now, leg, kind, datagrams, &mut self.judge);
    }

    fn rtcp(&mut self, leg: LegKey, kind: Kind, bytes: &[u8]) {
        self.session
            .handle_rtcp(self.now, leg, kind, PEER, &mut bytes.to_vec(), &mut self.judge);
    }

    /// Time passes; the session is called when it wants to be, and comes to rest.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..100_000 {
            match self.session.poll_timeout().filter(|at| *at <= until) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.session.handle_timeout(self.now, &mut self.judge);
                }
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("the session never rests");
    }

    fn end(mut self) {
        self.say(Command::StopRecording {
            cause: "hung_up".to_owned(),
        });
        self.say(Command::CloseLeg { leg: B });
        self.say(Command::Close);
        assert_eq!(self.judge.closed, 1, "one recording began and one ended");
    }
}

/// Of one audio and one video codec that the first byte chooses.
fn streams(first: u8) -> (Option<Stream>, Option<Stream>) {
    let audio = AUDIO.get(usize::from(first & 3)).copied().unwrap_or("0");
    let video = VIDEO.get(usize::from(first >> 2 & 1)).copied().unwrap_or("96");
    let offer = format!(
        "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP {audio} 101\r\n\
         a=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/{clock}\r\nm=video 4000 RTP/AVP {video}\r\n\
         a=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f;packetization-mode=1;sprop-parameter-sets=Z0LgH9oB,aM4=\r\n\
         a=rtpmap:98 VP8/90000\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\n",
        clock = if audio == "111" { 48_000 } else { 8_000 }
    );
    let mut side = Side::new(1, IpAddr::V4(Ipv4Addr::LOCALHOST), 30_000, 30_002);
    let offer = Description::parse(offer.as_bytes()).unwrap_or_else(|error| panic!("our own offer: {error}"));
    let agreed = side.answer(&offer, Choice::Prefer(&|_| true));
    let agreed = agreed.unwrap_or_else(|error| panic!("our own offer: {error}"));
    (agreed.audio, agreed.video)
}

/// Judges what leaves.
#[derive(Default)]
struct Judge {
    /// Payload types that may leave by a leg.
    types: BTreeMap<(LegKey, Kind), Vec<u8>>,
    ssrcs: BTreeMap<(LegKey, Kind), u32>,
    closed: u32,
}

impl Sink for Judge {
    fn send_rtp(&mut self, leg: LegKey, kind: Kind, to: SocketAddr, packets: &[Wire<'_>], _: Option<&mut Sealer>) {
        assert_eq!(to, PEER, "only to where the peer is");
        for wire in packets {
            let bytes = [&wire.head[..], wire.rest].concat();
            let packet = Packet::parse(&bytes).unwrap_or_else(|| panic!("what leaves is no RTP: {bytes:02x?}"));
            let ssrc = *self.ssrcs.entry((leg, kind)).or_insert(packet.ssrc);
            assert_eq!(packet.ssrc, ssrc, "one SSRC for the whole call");
            let types = self.types.get(&(leg, kind));
            assert!(
                types.is_some_and(|types| types.contains(&packet.payload_type)),
                "payload type {} was not agreed",
                packet.payload_type
            );
        }
    }

    fn send_rtcp(&mut self, _: LegKey, _: Kind, to: SocketAddr, bytes: &[u8]) {
        assert_eq!(to.ip(), PEER.ip(), "only to where the peer is");
        assert!(
            rtcp::is_rtcp(bytes) && rtcp::parse(bytes, 0).count() >= 2,
            "a report and a CNAME at least"
        );
    }

    fn event(&mut self, _: Event) {}

    fn open_spool(&mut self, _: PathBuf, _: Vec<u8>) -> Result<u64, &'static str> {
        Ok(1)
    }

    fn spool(&mut self, _: u64, kind: RecordKind, _: u8, _: u64, packet: &[u8]) {
        assert_eq!(self.closed, 0, "nothing after the end");
        match kind {
            RecordKind::Rtp => assert!(Packet::parse(packet).is_some(), "only RTP as RTP"),
            RecordKind::Rtcp => assert!(rtcp::is_rtcp(packet), "only RTCP as RTCP"),
            RecordKind::Meta => {}
        }
    }

    fn close_spool(&mut self, _: u64, _: u64, _: Vec<u8>) {
        self.closed += 1;
    }

    fn transcode(&mut self, _: Kind, _: &[u8]) -> Given {
        Given::Taken
    }

    fn paced(&mut self, _: Duration) {}

    fn count(&mut self, _: Count, _: u64) {}
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Tests read their corpora.
mod tests {
    use std::fs;

    /// Each seed of a target; they are written in hexadecimal, `#` begins a comment.
    fn each(target: &str, entry: fn(&[u8])) {
        let folder = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty());
        for file in files {
            println!("{}", file.display());
            let text = fs::read_to_string(&file).unwrap();
            let digits: String = text.lines().filter_map(|line| line.split('#').next()).collect();
            let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
            entry(&digits.chunks(2).map(byte).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn corpus_of_rtp() {
        each("rtp", super::rtp);
    }

    #[test]
    fn corpus_of_amr() {
        each("amr", super::amr);
    }

    #[test]
    fn corpus_of_rtcp() {
        each("rtcp", super::rtcp);
    }

    #[test]
    fn corpus_of_spools() {
        each("spool", super::spool);
    }
}
