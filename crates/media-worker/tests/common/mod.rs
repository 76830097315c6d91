//! A worker, files to feed it, and spools as a recorder would write them.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use segue_mailbox::{Kind, RecordingEnd, RecordingManifest, StreamInfo};
use segue_media::cache::Cache;
use segue_media::spool::{self, RecordKind};
use segue_media::worker::{Job, Outcome, Reply, Request};
use segue_tests::picture::Colour;

/// A running worker process.
pub struct Worker {
    child: Child,
    jobs: ChildStdin,
    replies: BufReader<ChildStdout>,
    next: u64,
}

impl Worker {
    pub fn start() -> Worker {
        let own = std::env::current_exe().unwrap();
        let program = own.ancestors().nth(2).unwrap().join("examples/segue-media-worker-test");
        let mut child = Command::new("timeout")
            .arg("120")
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (jobs, replies) = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        Worker {
            child,
            jobs,
            replies,
            next: 0,
        }
    }

    /// Runs a job; the percentages said on the way, and how it ended.
    pub fn run(&mut self, job: Job) -> (Vec<u8>, Outcome) {
        self.next += 1;
        let mut line = serde_json::to_vec(&Request { id: self.next, job }).unwrap();
        line.push(b'\n');
        self.jobs.write_all(&line).unwrap();
        let mut said = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.replies.read_line(&mut line).unwrap(),
                0,
                "the worker ended in the middle of a job"
            );
            let reply: Reply = serde_json::from_str(&line).unwrap();
            assert_eq!(reply.id, self.next);
            match reply.outcome {
                Outcome::Progress { percent } => said.push(percent),
                outcome => return (said, outcome),
            }
        }
    }

    pub fn prepare(&mut self, input: &Path, out_dir: &Path) -> Outcome {
        let (input, out_dir) = (text(input), text(out_dir));
        self.run(Job::PrepareClip {
            input,
            out_dir,
            longest_ms: 60_000,
        })
        .1
    }

    pub fn finalise(&mut self, spool: &Path, out_dir: &Path) -> Outcome {
        self.run(Job::Finalise {
            spool: text(spool),
            out_dir: text(out_dir),
        })
        .1
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Makes a file by ffmpeg.
pub fn ffmpeg(arguments: &[&str], to: &Path) {
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments)
        .arg(to)
        .status()
        .unwrap();
    assert!(done.success(), "ffmpeg {arguments:?}");
}

/// Seconds of blue and 440 Hz that turn white and 2 kHz for 200 ms each second: marks in time.
pub fn marks(folder: &Path, seconds: u32) -> PathBuf {
    let path = folder.join("marks.mkv");
    let video = format!(
        "color=blue:s=640x360:r=25:d={seconds},\
         drawbox=color=white:t=fill:enable='between(mod(t,1),0.4,0.59)',format=yuv420p"
    );
    let audio = format!("aevalsrc='0.4*sin(2*PI*t*if(between(mod(t,1),0.4,0.6),2000,440))':s=8000:d={seconds}");
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            &video,
            "-f",
            "lavfi",
            "-i",
            &audio,
            "-c:v",
            "ffv1",
            "-c:a",
            "pcm_s16le",
        ],
        &path,
    );
    path
}

/// A codec by the name of its rendition: that, its encoding name and its parameters.
pub fn voice(sound: &str) -> (String, String, Option<String>) {
    let profile = sound.to_lowercase();
    let encoding = match &profile {
        wide if wide.starts_with("amr-wb-") => "AMR-WB",
        narrow if narrow.starts_with("amr-") => "AMR",
        _ => sound,
    };
    let fmtp = profile.ends_with("-oa").then(|| "octet-align=1; max-red=0".to_owned());
    (profile, encoding.to_owned(), fmtp)
}

/// One packet on its way to a spool.
#[derive(Clone)]
pub struct Sent {
    pub stream: u8,
    pub kind: RecordKind,
    pub arrival_ms: u64,
    pub packet: Vec<u8>,
}

/// A sender's stream.
#[derive(Clone, Copy)]
pub struct Sender {
    pub stream: u8,
    pub payload_type: u8,
    pub ssrc: u32,
    pub first_seq: u16,
    pub first_rtp: u32,
    /// What the network adds, milliseconds.
    pub delay_ms: u64,
}

pub const AUDIO: Sender = Sender {
    stream: 0,
    payload_type: 0,
    ssrc: 0xa0,
    first_seq: 65_500,
    first_rtp: 4_294_960_000,
    delay_ms: 0,
};
pub const VIDEO: Sender = Sender {
    stream: 1,
    payload_type: 97,
    ssrc: 0xb0,
    first_seq: 10,
    first_rtp: 77_000,
    delay_ms: 0,
};

/// The packets of a cache as a sender sends them once.
pub fn packets(cache: &Cache, sender: Sender) -> Vec<Sent> {
    let packet = |(n, entry): (usize, &segue_media::cache::Entry)| {
        let mut packet = vec![0x80, sender.payload_type | if entry.ends_frame() { 0x80 } else { 0 }];
        packet.extend((sender.first_seq.wrapping_add(n as u16)).to_be_bytes());
        packet.extend(sender.first_rtp.wrapping_add(entry.rtp_time).to_be_bytes());
        packet.extend(sender.ssrc.to_be_bytes());
        packet.extend(cache.payload_of(entry));
        let arrival_ms = u64::from(entry.time_us) / 1000 + sender.delay_ms;
        Sent {
            stream: sender.stream,
            kind: RecordKind::Rtp,
            arrival_ms,
            packet,
        }
    };
    cache.entries.iter().enumerate().map(packet).collect()
}

/// The packets of a VP8 cache, with payload descriptors as a sender writes them (RFC 7741 §4.2).
pub fn vp8_packets(cache: &Cache, sender: Sender) -> Vec<Sent> {
    let mut picture = 0x7ff0u16;
    let mut sent = packets(cache, sender);
    for (sent, entry) in sent.iter_mut().zip(cache.entries.iter()) {
        picture = (picture + u16::from(entry.starts_frame())) & 0x7fff;
        let [high, low] = picture.to_be_bytes();
        let first = if entry.starts_frame() { 0x90 } else { 0x80 };
        sent.packet.splice(12..12, [first, 0x80, high | 0x80, low]);
    }
    sent
}

/// A sender report each second, with the truth about when RTP times were sampled.
pub fn reports(cache: &Cache, sender: Sender) -> Vec<Sent> {
    let report = |second: u32| {
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend(sender.ssrc.to_be_bytes());
        packet.extend((3_900_000_000u32 + second).to_be_bytes());
        packet.extend(0u32.to_be_bytes());
        packet.extend(sender.first_rtp.wrapping_add(second * cache.clock_rate).to_be_bytes());
        packet.extend([0; 8]);
        let arrival_ms = u64::from(second) * 1000 + sender.delay_ms;
        Sent {
            stream: sender.stream,
            kind: RecordKind::Rtcp,
            arrival_ms,
            packet,
        }
    };
    (0..cache.loop_us / 1_000_000).map(report).collect()
}

/// A manifest with sound and, for video, picture.
pub fn manifest(kind: Kind, fmtp: Option<&str>) -> RecordingManifest {
    let info = |stream, payload_type, encoding: &str, clock_rate, fmtp: Option<&str>| StreamInfo {
        stream,
        payload_type,
        encoding: encoding.to_owned(),
        clock_rate,
        fmtp: fmtp.map(str::to_owned),
    };
    let mut streams = vec![info(0, 0, "PCMU", 8000, None)];
    if kind == Kind::Video {
        streams.push(info(1, 97, "H264", 90_000, fmtp));
    }
    RecordingManifest {
        purpose: segue_mailbox::Purpose::Message,
        message_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        mailbox: "bob".to_owned(),
        call_id: "c1".to_owned(),
        sip_call_id: "x@example.com".to_owned(),
        from: "sip:alice@example.com".to_owned(),
        from_name: None,
        started_at_ms: 1_700_000_000_000,
        kind,
        shortest_ms: 1000,
        streams,
    }
}

/// A spool of these packets, in order of arrival; equal arrivals stay in the order given.
pub fn spool_of(manifest: &RecordingManifest, mut sent: Vec<Sent>, end: Option<&RecordingEnd>) -> Vec<u8> {
    sent.sort_by_key(|sent| sent.arrival_ms);
    let mut bytes = Vec::new();
    spool::append(
        &mut bytes,
        RecordKind::Meta,
        0,
        0,
        &serde_json::to_vec(manifest).unwrap(),
    )
    .unwrap();
    for sent in sent {
        spool::append(
            &mut bytes,
            sent.kind,
            sent.stream,
            sent.arrival_ms * 1_000_000,
            &sent.packet,
        )
        .unwrap();
    }
    if let Some(end) = end {
        spool::append(&mut bytes, RecordKind::Meta, 0, 9, &serde_json::to_vec(end).unwrap()).unwrap();
    }
    bytes
}

/// Writes a spool that was cut.
pub fn write_spool(path: &Path, kind: Kind, fmtp: Option<&str>, sent: Vec<Sent>) {
    std::fs::write(path, spool_of(&manifest(kind, fmtp), sent, None)).unwrap();
}

/// A cache that a job has written.
pub fn cache(folder: &Path, profile: &str) -> Cache {
    Cache::parse(&std::fs::read(folder.join(format!("{profile}.cache"))).unwrap()).unwrap()
}

/// A fresh folder in another.
pub fn folder(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    std::fs::create_dir(&path).unwrap();
    path
}

/// The mean colour of a picture or of a file's first frame.
pub fn colour_of(path: &Path) -> Option<Colour> {
    let png = path.with_extension("mean.png");
    ffmpeg(&["-i", &text(path), "-frames:v", "1"], &png);
    Colour::of_file(&png)
}

/// The frames of a VP8 cache: whether each is a key frame, and its bytes.
pub fn vp8_frames(cache: &Cache) -> Vec<(bool, Vec<u8>)> {
    let mut frames: Vec<(bool, Vec<u8>)> = Vec::new();
    let mut open = false;
    for entry in cache.entries.iter() {
        assert_eq!(entry.starts_frame(), !open, "a frame begins where the one before ended");
        if entry.starts_frame() {
            frames.push((entry.starts_key_frame(), Vec::new()));
        }
        frames.last_mut().unwrap().1.extend(cache.payload_of(entry));
        open = !entry.ends_frame();
    }
    frames
}

/// VP8 frames as an IVF file, 25 a second.
pub fn ivf(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"DKIF\0\0\x20\0VP80\x80\x02\x68\x01".to_vec();
    for word in [25, 1, frames.len() as u32, 0] {
        file.extend(word.to_le_bytes());
    }
    for (n, frame) in frames.iter().enumerate() {
        file.extend((frame.len() as u32).to_le_bytes());
        file.extend((n as u64).to_le_bytes());
        file.extend(frame);
    }
    file
}

/// Opus packets of 20 ms as an Ogg file (RFC 3533, RFC 7845), a page each.
pub fn ogg_opus(packets: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let head = b"OpusHead\x01\x01\x00\x00\x80\xbb\x00\x00\x00\x00\x00".to_vec();
    let tags = b"OpusTags\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
    let mut file = Vec::new();
    for (n, packet) in [head, tags].into_iter().chain(packets).enumerate() {
        let mut page = b"OggS\0".to_vec();
        page.push(if n == 0 { 2 } else { 0 });
        page.extend((n.saturating_sub(1) as u64 * 960).to_le_bytes());
        page.extend(1u32.to_le_bytes());
        page.extend((n as u32).to_le_bytes());
        page.extend([0; 4]);
        page.push((packet.len() / 255 + 1) as u8);
        page.extend(vec![255; packet.len() / 255]);
        page.push((packet.len() % 255) as u8);
        page.extend(packet);
        let crc = page.iter().fold(0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
                crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
            })
        });
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        file.extend(page);
    }
    file
}
