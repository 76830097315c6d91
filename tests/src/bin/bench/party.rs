//! The media of one side of all calls: takes what comes and answers to wherever it came from.

use std::{
    collections::HashSet,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Packets of one stream leave this far apart; streams are spread over it.
const AUDIO_EVERY_MS: u64 = 20;
/// What has come is taken this often and not at once: on a real network no sender pays for waking the receiver.
const TAKEN_EVERY: Duration = Duration::from_millis(2);
/// A picture leaves with every second audio packet, in this many packets.
const PACKETS_A_PICTURE: u64 = 2;
const PICTURE_BYTES: usize = 1_000;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Codecs {
    /// PCMU and H.264.
    Common,
    /// Opus and VP8.
    Web,
}

impl Codecs {
    /// What follows the port in the m-line of sound.
    pub fn audio(self) -> &'static str {
        match self {
            Codecs::Common => "RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000",
            Codecs::Web => "RTP/AVP 111 101\r\na=rtpmap:111 opus/48000/2",
        }
    }

    /// The attributes of the m-line of pictures.
    pub fn video(self) -> &'static str {
        match self {
            Codecs::Common => {
                "a=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f;packetization-mode=1\r\na=rtcp-fb:96 nack pli"
            }
            Codecs::Web => "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli",
        }
    }

    /// The packet of sound of this turn.
    fn sound(self, turn: u64) -> Vec<u8> {
        match self {
            Codecs::Common => packet(0, turn == 0, turn, turn * 160, &[0x10; 160]),
            // One frame of 20 ms, CELT, 40 kbit/s (RFC 6716 §3.1).
            Codecs::Web => packet(111, turn == 0, turn, turn * 960, &[0xf8; 100]),
        }
    }

    /// A part of a picture. Every picture is a key frame, so that each may be the first one shown.
    fn part(self, picture: u64, part: u64) -> Vec<u8> {
        let mut payload = [0x65; PICTURE_BYTES];
        if self == Codecs::Web {
            // RFC 7741 §4.2 (start of partition 0, PictureID of 7 bits), §4.3, and the start code of a key frame (RFC 6386 §9.1).
            let first = if part == 0 { 0x90 } else { 0x80 };
            payload[..3].copy_from_slice(&[first, 0x80, picture as u8 & 0x7f]);
            if part == 0 {
                payload[3..13].copy_from_slice(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
            }
        }
        let sequence = picture * PACKETS_A_PICTURE + part;
        packet(96, part + 1 == PACKETS_A_PICTURE, sequence, picture * 3_600, &payload)
    }
}

/// One side of one round of calls. It sends to whom it has heard.
pub struct Party {
    lines: [Arc<Line>; 2],
    flags: Arc<Flags>,
    threads: Vec<JoinHandle<()>>,
}

/// One kind of media.
struct Line {
    socket: UdpSocket,
    /// Segue's ports, one a call.
    peers: Mutex<Vec<SocketAddr>>,
    received: AtomicU64,
}

#[derive(Default)]
struct Flags {
    stop: AtomicBool,
    send: AtomicBool,
    sent: AtomicU64,
}

impl Party {
    /// A silent one; its threads are called `NAME-send` and `NAME-recv`.
    pub fn start(name: &str, codecs: Codecs) -> Party {
        let lines = [Line::bind(), Line::bind()].map(Arc::new);
        let flags = Arc::<Flags>::default();
        let mut threads = Vec::new();
        for line in lines.clone() {
            let flags = Arc::clone(&flags);
            threads.push(spawn(format!("{name}-recv"), move || line.receive(&flags)));
        }
        let (senders, sends) = (lines.clone(), Arc::clone(&flags));
        threads.push(spawn(format!("{name}-send"), move || send(codecs, &senders, &sends)));
        Party { lines, flags, threads }
    }

    /// Ports for audio and video.
    pub fn ports(&self) -> [u16; 2] {
        self.lines.each_ref().map(|line| line.port())
    }

    /// Begins to send, or ends it.
    pub fn sends(&self, whether: bool) {
        self.flags.send.store(whether, Relaxed);
    }

    /// Someone to send sound to who has not spoken yet.
    pub fn add_peer(&self, peer: SocketAddr) {
        let [audio, _] = &self.lines;
        audio.peers.lock().unwrap().push(peer);
    }

    /// Sends what went to others to these, as often as to as many of them.
    pub fn redirect(&self, peers: [SocketAddr; 2]) {
        for (line, peer) in self.lines.iter().zip(peers) {
            line.peers.lock().unwrap().fill(peer);
        }
    }

    /// Packets received and sent so far.
    pub fn packets(&self) -> (u64, u64) {
        let received = self.lines.iter().map(|line| line.received.load(Relaxed)).sum();
        (received, self.flags.sent.load(Relaxed))
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.flags.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Line {
    /// On an even port: RTCP goes to the one above.
    fn bind() -> Line {
        let socket = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            if socket.local_addr().expect("a bound socket").port().is_multiple_of(2) {
                break socket;
            }
        };
        socket.set_nonblocking(true).expect("a socket that does not wait");
        Line {
            socket,
            peers: Mutex::default(),
            received: AtomicU64::new(0),
        }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("a bound socket").port()
    }

    fn receive(&self, flags: &Flags) {
        let mut known = HashSet::new();
        let mut packet = [0; 2_048];
        while !flags.stop.load(Relaxed) {
            thread::sleep(TAKEN_EVERY);
            while let Ok((_, from)) = self.socket.recv_from(&mut packet) {
                self.received.fetch_add(1, Relaxed);
                if known.insert(from) {
                    let mut peers = self.peers.lock().unwrap();
                    if !peers.contains(&from) {
                        peers.push(from);
                    }
                }
            }
        }
    }
}

fn send(codecs: Codecs, lines: &[Arc<Line>; 2], flags: &Flags) {
    let [audio, video] = lines;
    let mut next = Instant::now();
    for tick in 0_u64.. {
        if flags.stop.load(Relaxed) {
            return;
        }
        next += Duration::from_millis(1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if !flags.send.load(Relaxed) {
            continue;
        }
        let (turn, slot) = (tick / AUDIO_EVERY_MS, tick % AUDIO_EVERY_MS);
        let sound = send_to_slot(audio, slot, &codecs.sound(turn));
        flags.sent.fetch_add(sound, Relaxed);
        if turn % 2 == 0 {
            for part in 0..PACKETS_A_PICTURE {
                let pictures = send_to_slot(video, slot, &codecs.part(turn / 2, part));
                flags.sent.fetch_add(pictures, Relaxed);
            }
        }
    }
}

/// To every call whose turn this millisecond is; how many.
fn send_to_slot(line: &Line, slot: u64, packet: &[u8]) -> u64 {
    let peers = line.peers.lock().unwrap();
    let mine = peers.iter().skip(slot as usize).step_by(AUDIO_EVERY_MS as usize);
    mine.filter(|to| line.socket.send_to(packet, to).is_ok()).count() as u64
}

/// RFC 3550 §5.1.
fn packet(payload_type: u8, marker: bool, sequence: u64, timestamp: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
    bytes.extend((sequence as u16).to_be_bytes());
    bytes.extend((timestamp as u32).to_be_bytes());
    bytes.extend(7_u32.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name).spawn(work).expect("a thread")
}
