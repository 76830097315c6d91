//! What a paced stream and a relayed packet cost: CPU time of the media thread alone, over loopback.
//!
//! `cargo bench -p segue-media` (optimised) or `cargo bench --profile dev -p segue-media` (quick look).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // No input from outside.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use segue_media::{
    Command, LegKey, Media, MediaConfig, Stats,
    cache::{Cache, CacheBuilder, END_OF_FRAME, KEY_FRAME},
    srtp::{ADDED_MAX, Srtp},
};
use segue_sdp::{Codec, Direction, Format, Keys, Kind, MasterKey, Stream, Suite};

const STREAMS: u64 = 200;
const BRIDGES: u64 = 50;
const MEASURE: Duration = Duration::from_secs(5);

fn main() {
    // `cargo test --benches` runs this too, without the flag: nothing to test here.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    paced("audio", false);
    paced("audio + video", true);
    relayed("one at a time", Duration::from_micros(200));
    relayed("in bursts", Duration::ZERO);
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm] {
        relayed_by(
            &format!("in bursts, SRTP both ways, {}", suite.name()),
            Duration::ZERO,
            Some(suite),
        );
    }
}

/// `STREAMS` callers on a looping clip.
fn paced(what: &str, with_video: bool) {
    let spool = tempfile::tempdir().unwrap();
    let media = media(spool.path());
    let drain = Drain::start();
    let (audio, video) = (audio_clip(), video_clip());
    let memory = resident_kib();
    for key in 0..STREAMS {
        media.open(key, LegKey::A, None).unwrap();
        let video_stream = with_video.then(|| stream(Kind::Video, drain.address));
        let audio_stream = Some(stream(Kind::Audio, drain.address));
        media
            .command(
                key,
                Command::Configure {
                    leg: LegKey::A,
                    audio: audio_stream,
                    video: video_stream,
                },
            )
            .unwrap();
        let video = with_video.then(|| video.clone());
        media
            .command(
                key,
                Command::Play {
                    source: 0,
                    audio: Some(audio.clone()),
                    video,
                    looping: true,
                },
            )
            .unwrap();
        // Callers do not come in the same millisecond.
        thread::sleep(Duration::from_millis(3));
    }
    let (cpu, stats) = measure(&media, || thread::sleep(MEASURE));
    let share = cpu.as_secs_f64() / MEASURE.as_secs_f64() * 100.0;
    println!(
        "paced {what}: {STREAMS} streams take {share:.2} % of a core, {:.4} % each; {} packets/s, {:.2} us each; \
         {} of {} more than 5 ms late; {} KiB a session; received {}",
        share / STREAMS as f64,
        stats.sent * 1_000 / MEASURE.as_millis() as u64,
        cpu.as_secs_f64() * 1e6 / stats.sent as f64,
        stats.late,
        stats.sent,
        resident_kib().saturating_sub(memory) / STREAMS,
        drain.received.load(Relaxed),
    );
}

/// `BRIDGES` calls, audio both ways, the callers' packets so far apart: each alone pays for a wake-up, many at once share it.
fn relayed(what: &str, apart: Duration) {
    relayed_by(what, apart, None);
}

/// The same by SRTP on both sides.
fn relayed_by(what: &str, apart: Duration, suite: Option<Suite>) {
    let spool = tempfile::tempdir().unwrap();
    let media = media(spool.path());
    let drain = Drain::start();
    let mut senders = Vec::new();
    for key in 0..BRIDGES {
        for leg in [LegKey::A, LegKey(1)] {
            let ports = media.open(key, leg, None).unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut audio = stream(Kind::Audio, drain.address);
            // Packets back go to where packets come from.
            audio.remote = Some(socket.local_addr().unwrap());
            let keys = suite.map(|suite| {
                let key = |first: u8| {
                    let material: Vec<u8> = (first..).take(suite.key_len() + suite.salt_len()).collect();
                    MasterKey::new(suite, &material).unwrap()
                };
                let (ours, theirs) = (key(1), key(2));
                Keys { ours, theirs }
            });
            let phone = keys.as_ref().map(|keys| {
                Srtp::new(&Keys {
                    ours: keys.theirs.clone(),
                    theirs: keys.ours.clone(),
                })
            });
            audio.keys = keys.map(Box::new);
            media
                .command(
                    key,
                    Command::Configure {
                        leg,
                        audio: Some(audio),
                        video: None,
                    },
                )
                .unwrap();
            senders.push((socket, SocketAddr::new(ports.address, ports.audio), phone));
        }
        media.command(key, Command::Bridge { leg: LegKey(1) }).unwrap();
    }
    thread::sleep(Duration::from_millis(200));
    let (cpu, stats) = measure(&media, || {
        let start = Instant::now();
        for tick in 0_u16.. {
            let mut packet = [0; 172];
            packet[0] = 0x80;
            packet[2..4].copy_from_slice(&tick.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(tick) * 160).to_be_bytes());
            for (n, (socket, to, phone)) in senders.iter_mut().enumerate() {
                packet[11] = n as u8;
                let mut sealed = [0; 172 + ADDED_MAX];
                sealed[..172].copy_from_slice(&packet);
                let sealer = phone.as_mut().map(|phone| &mut phone.sealer);
                let len = sealer.map_or(172, |sealer| sealer.seal_rtp(&mut sealed, 172).unwrap());
                socket.send_to(&sealed[..len], *to).unwrap();
                let due = start + Duration::from_millis(u64::from(tick) * 20) + apart * n as u32;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            if start.elapsed() >= MEASURE {
                break;
            }
        }
    });
    println!(
        "relayed {what}: {} packets in {MEASURE:?}, {:.2} us each",
        stats.relayed,
        cpu.as_secs_f64() * 1e6 / stats.relayed as f64
    );
}

fn media(spool: &std::path::Path) -> Media {
    let config = MediaConfig {
        ports: 10_000..=31_999,
        spool_dir: spool.to_owned(),
        ..MediaConfig::default()
    };
    Media::start(config, Box::new(|_, _| {})).unwrap()
}

/// CPU time of the media thread and what it did meanwhile.
fn measure(media: &Media, run: impl FnOnce()) -> (Duration, Stats) {
    let (cpu, before) = (media_cpu(), media.stats());
    run();
    let (cpu, after) = (media_cpu() - cpu, media.stats());
    let stats = Stats {
        sent: after.sent - before.sent,
        late: after.late - before.late,
        relayed: after.relayed - before.relayed,
        ..after
    };
    (cpu, stats)
}

/// Run time of the media threads, from the scheduler's own books.
fn media_cpu() -> Duration {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.starts_with("segue-media") {
            let books = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            total += books
                .split_whitespace()
                .next()
                .and_then(|ns| ns.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    Duration::from_nanos(total)
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A socket that takes everything, so that the kernel delivers rather than drops.
struct Drain {
    address: SocketAddr,
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Drain {
    fn start() -> Drain {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let drain = Drain {
            address: socket.local_addr().unwrap(),
            received: Arc::default(),
            stop: Arc::default(),
        };
        let (received, stop) = (drain.received.clone(), drain.stop.clone());
        thread::spawn(move || {
            let mut bytes = [0; 2_048];
            while !stop.load(Relaxed) {
                if socket.recv(&mut bytes).is_ok() {
                    received.fetch_add(1, Relaxed);
                }
            }
        });
        drain
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn stream(kind: Kind, remote: SocketAddr) -> Stream {
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
        remote: Some(remote),
        remote_rtcp: Some(remote),
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

/// A second of 20 ms packets.
fn audio_clip() -> Cache {
    let mut builder = CacheBuilder::new();
    for n in 0..50 {
        builder.push(n * 20_000, n * 160, &[0x55; 160], 0).unwrap();
    }
    builder.finish(8_000, 1_000_000, 8_000).unwrap()
}

/// A second of 25 frames at about 500 kbit/s: a key frame of eight packets, the others of two.
fn video_clip() -> Cache {
    let mut builder = CacheBuilder::new();
    for frame in 0..25_u32 {
        let packets = if frame == 0 { 8 } else { 2 };
        for n in 0..packets {
            let start = if frame == 0 && n == 0 { KEY_FRAME } else { 0 };
            let end = if n == packets - 1 { END_OF_FRAME } else { 0 };
            builder
                .push(frame * 40_000, frame * 3_600, &[0x7c; 1_150], start | end)
                .unwrap();
        }
    }
    builder.finish(90_000, 1_000_000, 90_000).unwrap()
}
