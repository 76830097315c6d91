//! A bad road between one party and Segue, on real sockets of 127.0.0.1: the party calls the road instead of Segue, which passes its SIP on
//! untouched but for the media ports in session descriptions, so that RTP and RTCP both ways go over the road too. Those it
//! impairs by a seed.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::impair::{Impairer, Impairment};

/// How often sockets are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Ports in a description keep their number of digits, so that its length stays.
const DIGITS: usize = 5;

/// A road that is open until it is dropped.
#[derive(Debug)]
pub struct Road {
    sip_port: u16,
    closed: Arc<AtomicBool>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    carried: AtomicU64,
    lost: AtomicU64,
    key_frames_asked: AtomicU64,
    /// When each packet of the party's sound came, and its timestamp.
    sound: Mutex<Vec<(Instant, u32)>>,
}

impl Road {
    /// A road to Segue's SIP port over UDP.
    pub fn open(segue: SocketAddr, how: Impairment, seed: u64) -> Road {
        let (near, far) = (bind(), bind());
        let sip_port = port_of(&near);
        let closed = Arc::new(AtomicBool::new(false));
        let counts = Arc::<Counts>::default();
        let mut traffic = Traffic {
            near,
            far,
            segue,
            party: None,
            lanes: Vec::new(),
            impairer: Impairer::new(how, seed),
            under_way: BinaryHeap::new(),
            number: 0,
            counts: Arc::clone(&counts),
        };
        let until = Arc::clone(&closed);
        let thread = thread::spawn(move || {
            while !until.load(Relaxed) {
                traffic.flow();
                thread::sleep(LOOK_EVERY);
            }
        });
        Road {
            sip_port,
            closed,
            counts,
            thread: Some(thread),
        }
    }

    /// What the party calls to reach a user of Segue's.
    pub fn uri(&self, user: &str) -> String {
        format!("sip:{user}@127.0.0.1:{}", self.sip_port)
    }

    /// Media datagrams that were sent on, and those that were lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.carried.load(Relaxed), self.counts.lost.load(Relaxed))
    }

    /// How often Segue asked the party for a key frame, whether it arrived or not.
    pub fn key_frames_asked(&self) -> u64 {
        self.counts.key_frames_asked.load(Relaxed)
    }

    /// By how many milliseconds the party's sound fell behind the road's clock meanwhile, of `clock_hz` timestamps a second: a phone
    /// that a busy machine keeps from its sound numbers the samples that it has, as if they had been taken without a pause.
    pub fn sound_behind_ms(&self, clock_hz: u32) -> f64 {
        let sound = self.counts.sound.lock().expect("no panic meanwhile");
        let Some(&(began, first)) = sound.first() else {
            return 0.0;
        };
        let under_way: Vec<f64> = sound
            .iter()
            .map(|(at, timestamp)| {
                let said_ms = f64::from(timestamp.wrapping_sub(first).cast_signed()) * 1000.0 / f64::from(clock_hz);
                at.duration_since(began).as_secs_f64() * 1000.0 - said_ms
            })
            .collect();
        // The fastest of a second has waited for nobody.
        let least = |some: &[f64]| some.iter().copied().fold(f64::INFINITY, f64::min);
        let second = under_way.len().min(50);
        least(&under_way[under_way.len() - second..]) - least(&under_way[..second])
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.closed.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Two ports of one media flow: the party knows the near one as Segue's, Segue the far one as the party's.
struct Lane {
    near: UdpSocket,
    far: UdpSocket,
    party: Option<u16>,
    segue: Option<u16>,
}

/// A datagram under way: when it arrives, its number, the lane, whether it goes to Segue.
type UnderWay = Reverse<(Instant, u64, usize, bool, Vec<u8>)>;

struct Traffic {
    near: UdpSocket,
    far: UdpSocket,
    segue: SocketAddr,
    party: Option<SocketAddr>,
    /// Of audio, its RTCP, video, its RTCP, in the order of the offer.
    lanes: Vec<Lane>,
    impairer: Impairer,
    under_way: BinaryHeap<UnderWay>,
    number: u64,
    counts: Arc<Counts>,
}

impl Traffic {
    fn flow(&mut self) {
        let mut bytes = [0; 65_536];
        while let Some((length, from)) = receive(&self.near, &mut bytes) {
            self.party = Some(from);
            let message = self.with_ports(&bytes[..length], true);
            let _ = self.far.send_to(&message, self.segue);
        }
        while let Some((length, _)) = receive(&self.far, &mut bytes) {
            let message = self.with_ports(&bytes[..length], false);
            if String::from_utf8_lossy(&message).contains("picture_fast_update") {
                self.counts.key_frames_asked.fetch_add(1, Relaxed);
            }
            if let Some(party) = self.party {
                let _ = self.near.send_to(&message, party);
            }
        }
        let now = Instant::now();
        for index in 0..self.lanes.len() {
            for to_segue in [true, false] {
                let lane = &self.lanes[index];
                let socket = if to_segue { &lane.near } else { &lane.far };
                while let Some((length, _)) = receive(socket, &mut bytes) {
                    if !to_segue && asks_for_key_frame(&bytes[..length]) {
                        self.counts.key_frames_asked.fetch_add(1, Relaxed);
                    }
                    if let (0, true, [_, _, _, _, a, b, c, d, ..]) = (index, to_segue, &bytes[..length]) {
                        let timestamp = u32::from_be_bytes([*a, *b, *c, *d]);
                        self.counts.sound.lock().expect("no panic").push((now, timestamp));
                    }
                    let before = self.number;
                    for after in self.impairer.arrivals() {
                        self.number += 1;
                        self.under_way.push(Reverse((
                            now + after,
                            self.number,
                            index,
                            to_segue,
                            bytes[..length].to_vec(),
                        )));
                    }
                    let counter = if self.number == before {
                        &self.counts.lost
                    } else {
                        &self.counts.carried
                    };
                    counter.fetch_add(1, Relaxed);
                }
            }
        }
        while self.under_way.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, index, to_segue, datagram))) = self.under_way.pop() else {
                return;
            };
            let lane = &self.lanes[index];
            let (socket, to) = if to_segue {
                (&lane.far, lane.segue)
            } else {
                (&lane.near, lane.party)
            };
            if let Some(port) = to {
                let _ = socket.send_to(&datagram, (Ipv4Addr::LOCALHOST, port));
            }
        }
    }

    /// A SIP message with the road's media ports instead of its own.
    fn with_ports(&mut self, message: &[u8], to_segue: bool) -> Vec<u8> {
        let text = String::from_utf8_lossy(message).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n").filter(|(_, body)| body.contains("m=audio")) else {
            return message.to_vec();
        };
        let mut media = 0;
        let lines = body.split_inclusive("\r\n").map(|line| {
            let is_media = line.starts_with("m=");
            media += usize::from(is_media);
            match port_in(line) {
                Some(port) if is_media => line.replacen(
                    &port.to_string(),
                    &self.lane(2 * media - 2, port, to_segue).to_string(),
                    1,
                ),
                Some(port) if media > 0 => line.replacen(
                    &port.to_string(),
                    &self.lane(2 * media - 1, port, to_segue).to_string(),
                    1,
                ),
                _ => line.to_owned(),
            }
        });
        let body: String = lines.collect();
        format!("{head}\r\n\r\n{body}").into_bytes()
    }

    /// The port that stands for one of the party's or of Segue's. RTP's neighbour is RTCP's.
    fn lane(&mut self, index: usize, port: u16, to_segue: bool) -> u16 {
        while self.lanes.len() <= index {
            let [(near, near_rtcp), (far, far_rtcp)] = [pair(), pair()];
            for (near, far) in [(near, far), (near_rtcp, far_rtcp)] {
                self.lanes.push(Lane {
                    near,
                    far,
                    party: None,
                    segue: None,
                });
            }
        }
        for (index, port) in [(index, port), (index + 1, port + 1)] {
            if let Some(lane) = self.lanes.get_mut(index) {
                *(if to_segue { &mut lane.party } else { &mut lane.segue }) = Some(port);
            }
            if index % 2 == 1 {
                break;
            }
        }
        let lane = &self.lanes[index];
        port_of(if to_segue { &lane.far } else { &lane.near })
    }
}

/// The port of an `m=` or `a=rtcp:` line that has one.
fn port_in(line: &str) -> Option<u16> {
    let number = match line.strip_prefix("a=rtcp:") {
        Some(rest) => rest.split_whitespace().next()?,
        None => line.strip_prefix("m=")?.split_whitespace().nth(1)?,
    };
    let port = number.parse().ok().filter(|port| *port != 0)?;
    assert_eq!(number.len(), DIGITS, "a media port of five digits");
    Some(port)
}

/// Whether a compound of RTCP has a PLI or a FIR (RFC 4585 §6.1, RFC 5104 §4.3.1).
fn asks_for_key_frame(mut datagram: &[u8]) -> bool {
    while let [first, packet_type, high, low, ..] = *datagram {
        // RTP has other types there.
        if first >> 6 != 2 || !(192..=223).contains(&packet_type) {
            return false;
        }
        if packet_type == 206 && matches!(first & 0x1f, 1 | 4) {
            return true;
        }
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        datagram = datagram.get(length..).unwrap_or_default();
    }
    false
}

fn receive(socket: &UdpSocket, bytes: &mut [u8]) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(bytes) {
            Ok(received) => return Some(received),
            // An answer to an earlier datagram: its port is closed.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
    }
}

fn bind() -> UdpSocket {
    on_port(0).expect("a free port")
}

fn on_port(port: u16) -> Option<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// An even port of five digits and the one above.
fn pair() -> (UdpSocket, UdpSocket) {
    for _ in 0..500 {
        let rtp = bind();
        let port = port_of(&rtp);
        if port.is_multiple_of(2)
            && port >= 10_000
            && let Some(rtcp) = on_port(port + 1)
        {
            return (rtp, rtcp);
        }
    }
    panic!("no two free ports");
}

fn port_of(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("a bound socket").port()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::until;

    fn offer(port: u16) -> String {
        format!(
            "INVITE sip:b@x SIP/2.0\r\n\r\nv=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {port} RTP/AVP 0\r\na=rtcp:{}\r\n",
            port + 1
        )
    }

    fn text(socket: &UdpSocket) -> String {
        let mut bytes = [0; 2_048];
        let (length, _) = until("a datagram", Duration::from_secs(5), || receive(socket, &mut bytes));
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    fn audio(text: &str) -> u16 {
        text.lines().find_map(port_in).expect("an m-line")
    }

    #[test]
    fn a_pli_behind_a_report_is_seen() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        assert!(asks_for_key_frame(&[&report[..], &pli[..]].concat()));
        assert!(!asks_for_key_frame(&report));
        assert!(!asks_for_key_frame(&[0x80, 97, 0, 1, 0, 0, 0, 1]), "RTP");
    }

    #[test]
    fn sip_and_media_go_over_the_road_and_back() {
        let (party, segue) = (bind(), bind());
        let ((party_rtp, _), (segue_rtp, _)) = (pair(), pair());
        let road = Road::open(segue.local_addr().unwrap(), Impairment::default(), 1);
        let to_road = (Ipv4Addr::LOCALHOST, road.sip_port);
        party.send_to(offer(port_of(&party_rtp)).as_bytes(), to_road).unwrap();
        let offered = text(&segue);
        let far = audio(&offered);
        assert!(far != port_of(&party_rtp) && offered.len() == offer(port_of(&party_rtp)).len());
        assert!(offered.contains(&format!("a=rtcp:{}", far + 1)), "{offered}");
        let far_sip = {
            // Segue answers where the request came from.
            let mut bytes = [0; 16];
            party.send_to(b"again", to_road).unwrap();
            until("a datagram", Duration::from_secs(5), || receive(&segue, &mut bytes)).1
        };
        segue.send_to(offer(port_of(&segue_rtp)).as_bytes(), far_sip).unwrap();
        let near = audio(&text(&party));
        party_rtp.send_to(b"up", (Ipv4Addr::LOCALHOST, near)).unwrap();
        assert_eq!(text(&segue_rtp), "up");
        segue_rtp.send_to(b"down", (Ipv4Addr::LOCALHOST, far)).unwrap();
        assert_eq!(text(&party_rtp), "down");
        assert_eq!(road.counts(), (2, 0));
    }
}
