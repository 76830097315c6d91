//! A voice and an ear for a party that SIPp plays: one socket that speaks PCMU by a script, presses keys (RFC 4733), and keeps
//! what it hears. It speaks to whoever speaks to it, so that nobody needs to tell it where.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::sound::Sound;

/// Samples of a packet of 20 ms.
const SAMPLES: usize = 160;
const TICK: Duration = Duration::from_millis(20);
/// Payload types of the scenarios' offers.
const PCMU: u8 = 0;
const TELEPHONE_EVENT: u8 = 101;
/// So long a stretch that is louder than this (dB below full scale) is somebody who speaks.
const VOICE_MS: u64 = 200;
const VOICE_DB: f64 = -40.0;

/// One step of what a voice does.
#[derive(Debug, Clone, Copy)]
pub enum Do {
    /// Waits until this tone (Hz) of the other side is over.
    WaitForEndOf(u32),
    /// Waits until something that is no silence has been heard for a while.
    WaitForVoice,
    /// Sends its tone for so many milliseconds.
    Speak(u64),
    /// Sends silence for so many milliseconds.
    BeSilent(u64),
    /// Sends nothing for so many milliseconds.
    Pause(u64),
    /// Presses a key for 100 ms.
    Press(char),
}

/// The socket and its thread.
#[derive(Debug)]
pub struct Voice {
    port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Heard>>,
}

/// One RTP packet as it came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// Of its header.
    pub ssrc: u32,
    /// Of its header.
    pub sequence: u16,
    /// Of its header.
    pub timestamp: u32,
    /// Of its header.
    pub marker: bool,
    /// Of its header.
    pub payload_type: u8,
}

/// What a voice has heard.
#[derive(Debug)]
pub struct Heard {
    /// Every RTP packet.
    pub packets: Vec<Arrival>,
    /// PCMU decoded, packet after packet.
    pub sound: Sound,
    /// Keys of telephone-events, one for each press.
    pub keys: String,
}

impl Heard {
    /// Whether the packets are one stream: one SSRC, each sequence number once and in order, timestamps that never go back.
    ///
    /// # Errors
    /// What is not so, and where.
    pub fn is_one_stream(&self) -> Result<(), String> {
        for (at, two) in self.packets.windows(2).enumerate() {
            let [before, after] = two else { continue };
            let told = |what: &str| Err(format!("{what} at packet {at}: {before:?} then {after:?}"));
            if before.ssrc != after.ssrc {
                return told("another SSRC");
            }
            if before.sequence.wrapping_add(1) != after.sequence {
                return told("a step in the sequence numbers");
            }
            if (after.timestamp.wrapping_sub(before.timestamp) as i32) < 0 {
                return told("a timestamp that goes back");
            }
        }
        Ok(())
    }
}

impl Voice {
    /// A voice with this tone, on a free even port of 127.0.0.1. The script begins with the first packet it hears.
    pub fn start(hz: u32, script: &[Do]) -> Voice {
        let socket = even_port();
        let port = socket.local_addr().expect("a bound socket").port();
        let over = Arc::new(AtomicBool::new(false));
        let speaker = Speaker {
            socket,
            peer: None,
            script: script.to_vec(),
            tone: Sound::tone(hz, 100).samples.into_iter().map(ulaw).collect(),
            sequence: 1,
            timestamp: 0,
            heard: Heard {
                packets: Vec::new(),
                sound: Sound {
                    rate: 8000,
                    samples: Vec::new(),
                },
                keys: String::new(),
            },
            key_began: None,
        };
        let until = Arc::clone(&over);
        let thread = Some(thread::spawn(move || speaker.run(&until)));
        Voice { port, over, thread }
    }

    /// Its RTP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it.
    pub fn finish(mut self) -> Heard {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("finished once");
        thread.join().expect("the voice does not panic")
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

struct Speaker {
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    script: Vec<Do>,
    /// 100 ms, which are whole periods of every multiple of 10 Hz.
    tone: Vec<u8>,
    sequence: u16,
    timestamp: u32,
    heard: Heard,
    key_began: Option<u32>,
}

impl Speaker {
    fn run(mut self, over: &AtomicBool) -> Heard {
        let mut script = std::mem::take(&mut self.script).into_iter();
        let mut step: Option<(Do, u64)> = None;
        let mut tone_was_there = false;
        let mut heard_before = 0;
        let mut next = Instant::now();
        while !over.load(Ordering::Relaxed) {
            self.listen();
            if self.peer.is_none() {
                next = Instant::now();
                continue;
            }
            if Instant::now() < next {
                continue;
            }
            // A tick that comes very late is not made up for: bursts are no speech.
            next = (next + TICK).max(Instant::now() - TICK * 5);
            if step.is_none() {
                step = script.next().map(|begun| (begun, 0));
                tone_was_there = false;
                heard_before = self.heard.sound.duration_ms();
            }
            let Some((doing, ticks)) = step.as_mut() else { continue };
            let sent_ms = *ticks * 20;
            *ticks += 1;
            let doing = *doing;
            let done = match doing {
                Do::WaitForEndOf(hz) => {
                    let hears = self.hears_now() == Some(hz);
                    let ended = tone_was_there && !hears;
                    tone_was_there |= hears;
                    ended
                }
                Do::WaitForVoice => {
                    let heard = self.heard.sound.duration_ms();
                    heard >= heard_before + VOICE_MS && self.heard.sound.level_at(heard - VOICE_MS, VOICE_MS) > VOICE_DB
                }
                Do::Speak(ms) => {
                    let at = (sent_ms / 20) as usize % (self.tone.len() / SAMPLES) * SAMPLES;
                    let packet = self.tone[at..at + SAMPLES].to_vec();
                    self.speak(&packet);
                    sent_ms + 20 >= ms
                }
                Do::BeSilent(ms) => {
                    self.speak(&[0xff; SAMPLES]);
                    sent_ms + 20 >= ms
                }
                Do::Pause(ms) => {
                    self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
                    sent_ms + 20 >= ms
                }
                Do::Press(key) => {
                    self.press(key, sent_ms);
                    sent_ms >= 100 + 2 * 20
                }
            };
            if done {
                step = None;
            }
        }
        self.heard
    }

    fn listen(&mut self) {
        let mut bytes = [0; 2048];
        let (length, from) = match self.socket.recv_from(&mut bytes) {
            Ok(received) => received,
            // Refused: the other side has closed its port.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            Err(_) => return,
        };
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3, payload @ ..] = &bytes[..length] else {
            return;
        };
        assert_eq!(*first, 0x80, "RTP without padding, extension and sources");
        self.peer.get_or_insert(from);
        let payload_type = second & 0x7f;
        let arrival = Arrival {
            at: Instant::now(),
            ssrc: u32::from_be_bytes([*i0, *i1, *i2, *i3]),
            sequence: u16::from_be_bytes([*s0, *s1]),
            timestamp: u32::from_be_bytes([*t0, *t1, *t2, *t3]),
            marker: second & 0x80 != 0,
            payload_type,
        };
        self.heard.packets.push(arrival);
        match payload_type {
            PCMU => self
                .heard
                .sound
                .samples
                .extend(payload.iter().map(|byte| linear(*byte))),
            TELEPHONE_EVENT if self.key_began != Some(arrival.timestamp) => {
                self.key_began = Some(arrival.timestamp);
                let event = payload.first().copied().unwrap_or_default();
                self.heard
                    .keys
                    .push(KEYS.get(usize::from(event)).map_or('?', |key| char::from(*key)));
            }
            _ => {}
        }
    }

    fn hears_now(&self) -> Option<u32> {
        let heard = self.heard.sound.duration_ms();
        (heard >= 100)
            .then(|| self.heard.sound.tone_at(heard - 100, 100))
            .flatten()
    }

    fn speak(&mut self, payload: &[u8]) {
        self.send(PCMU, self.timestamp, false, payload);
        self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
    }

    /// The packet of a press that has lasted so long; three of them say that it has ended (RFC 4733 §2.5.1.4).
    fn press(&mut self, key: char, pressed_ms: u64) {
        let event = KEYS
            .iter()
            .position(|known| char::from(*known) == key)
            .expect("a key of a phone") as u8;
        let lasted = (pressed_ms.min(100) * 8) as u16;
        let [high, low] = lasted.to_be_bytes();
        let end = if pressed_ms >= 100 { 0x80 } else { 0 };
        self.send(
            TELEPHONE_EVENT,
            self.timestamp,
            pressed_ms == 0,
            &[event, end | 10, high, low],
        );
        if pressed_ms >= 100 + 2 * 20 {
            self.timestamp = self.timestamp.wrapping_add(140 * 8);
        }
    }

    fn send(&mut self, payload_type: u8, timestamp: u32, marker: bool, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(0x5e60_0001_u32.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(peer) = self.peer {
            // The other side may have gone.
            let _ = self.socket.send_to(&packet, peer);
        }
    }
}

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

/// A socket on an even port whose neighbour is free, as RTP wants it.
fn even_port() -> UdpSocket {
    for _ in 0..200 {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("a bound socket").port();
        if port.is_multiple_of(2) && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            socket
                .set_read_timeout(Some(Duration::from_millis(3)))
                .expect("a time-out is set");
            return socket;
        }
    }
    panic!("no even port");
}

/// µ-law of ITU-T G.711 in the usual integer form: bias 132, inverted.
fn ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).unsigned_abs().min(32_635) + 132;
    let segment = magnitude.ilog2() - 7;
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment as u8) << 4 | step as u8)
}

fn linear(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = (((i32::from(byte & 0x0f) << 3) + 132) << ((byte & 0x70) >> 4)) - 132;
    if byte & 0x80 == 0 {
        magnitude as i16
    } else {
        -magnitude as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pcmu_comes_back_as_it_was_but_for_the_law_s_coarseness() {
        for sample in [-32_000_i16, -10_000, -257, -1, 0, 1, 300, 9_999, 32_000] {
            let back = linear(ulaw(sample));
            assert!(
                (i32::from(back) - i32::from(sample)).abs() <= 8 + i32::from(sample).abs() / 16,
                "{sample} came back as {back}"
            );
        }
    }

    #[test]
    fn a_voice_answers_whoever_speaks_to_it_and_says_its_script() {
        let one = Voice::start(440, &[Do::Speak(400), Do::Press('#'), Do::BeSilent(200)]);
        let ear = even_port();
        let packet = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
        ear.send_to(&packet, ("127.0.0.1", one.port())).unwrap();
        let mut types = Vec::new();
        let began = Instant::now();
        while types.len() < 38 && began.elapsed() < Duration::from_secs(5) {
            let mut bytes = [0; 512];
            if let Ok(length) = ear.recv(&mut bytes) {
                assert!(length > 12);
                types.push(bytes[1] & 0x7f);
            }
        }
        let of = |wanted: u8| types.iter().filter(|kind| **kind == wanted).count();
        assert_eq!((of(0), of(101)), (30, 8), "{types:?}");
        assert_eq!(one.finish().packets.len(), 1);
    }
}
