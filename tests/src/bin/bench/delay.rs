//! How much later a relayed packet arrives than one that is sent straight: with few calls, when the packet path is woken by each
//! packet, and with many, when it rests.

use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Bench, Round,
    party::Codecs,
    sipp::{Calls, Scenario, Sipp},
};

/// Calls of sound beside the one that is measured: the thread rests from 40 on.
const BESIDE: [u32; 2] = [10, 200];
const PACKETS: u16 = 300;
/// About one each 20 ms; spread, so that all parts of a turn of the media thread are met.
const EVERY_MS: [u64; 5] = [17, 22, 19, 21, 18];

impl Bench<'_> {
    /// One row for each number of calls.
    pub fn delay(&mut self) {
        println!("\nDelay of a packet from A to B, ms.\n\n| | p50 | p90 | p99 | longest |\n|:--|--:|--:|--:|--:|");
        let (a, b) = (socket(), socket());
        let straight = b.local_addr().expect("a bound socket");
        tell("straight", delays(&a, straight, &b));
        for count in BESIDE {
            self.segue.kill_9();
            self.segue.run();
            let round = Round {
                hold: Duration::ZERO,
                talk: Duration::from_secs(22),
            };
            let beside = self.round(false, count, &round);
            beside.a.sends(true);
            beside.b.sends(true);
            thread::sleep(Duration::from_secs(u64::from(count / crate::STREAMS_A_SECOND) + 2));
            self.delay_beside(count);
            beside.finish();
        }
    }

    fn delay_beside(&self, count: u32) {
        let (a, b) = (socket(), socket());
        let media = |socket: &UdpSocket| Scenario::WithMedia {
            codecs: Codecs::Common,
            audio: socket.local_addr().expect("a bound socket").port(),
            video: None,
        };
        let folder = self.folder.join("probe");
        let callee = Sipp::callee(&folder, media(&b));
        self.subscriber("probe", &["--target", &callee.uri(), "--clip", "clip", "--hold", "1s"]);
        let calls = Calls {
            user: "probe",
            server: self.segue.sip_udp(),
            a_second: 1,
            count: 1,
            // B is silent: after ten seconds it would count as gone.
            talk: Duration::from_secs(9),
        };
        let caller = Sipp::callers(&folder, media(&a), &calls);
        // The clip tells where to send.
        let mut packet = [0; 2_048];
        let (_, segue) = a.recv_from(&mut packet).expect("the clip's sound");
        thread::sleep(Duration::from_secs(2));
        tell(&format!("relayed, {count} calls beside it"), delays(&a, segue, &b));
        let outcome = caller.finish(Duration::from_secs(30));
        assert_eq!(outcome.failed, 0, "{outcome:?}");
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a socket with a time limit");
    socket
}

/// How long each packet was on its way, shortest first, ms.
fn delays(from: &UdpSocket, to: SocketAddr, at: &UdpSocket) -> Vec<f64> {
    let (sent, told) = mpsc::channel::<(u16, Instant)>();
    let receiver = at.try_clone().expect("a socket");
    let receive = move || {
        let (mut packet, mut delays, mut left_at) = ([0; 2_048], Vec::new(), HashMap::new());
        while let Ok((length, _)) = receiver.recv_from(&mut packet) {
            let now = Instant::now();
            left_at.extend(told.try_iter());
            // Its number stands in its sound: the header is Segue's.
            let number = u16::from_be_bytes([packet[12], packet[13]]);
            if length == 12 + 160
                && let Some(left) = left_at.get(&number)
            {
                delays.push((now - *left).as_secs_f64() * 1e3);
            }
            if number == PACKETS - 1 {
                break;
            }
        }
        delays
    };
    let receiving = thread::spawn(receive);
    for (n, pause) in (0..PACKETS).zip(EVERY_MS.into_iter().cycle()) {
        let mut packet = vec![0x80, 0];
        packet.extend(n.to_be_bytes());
        packet.extend((u32::from(n) * 160).to_be_bytes());
        packet.extend(7_u32.to_be_bytes());
        packet.extend(n.to_be_bytes());
        packet.extend([0x10; 158]);
        let _ = sent.send((n, Instant::now()));
        from.send_to(&packet, to).expect("a packet that leaves");
        thread::sleep(Duration::from_millis(pause));
    }
    let mut delays = receiving.join().expect("the receiver");
    assert!(
        delays.len() + 4 >= usize::from(PACKETS),
        "{} of {PACKETS} arrived",
        delays.len()
    );
    delays.sort_by(f64::total_cmp);
    delays
}

fn tell(what: &str, delays: Vec<f64>) {
    let at = |share: f64| {
        delays
            .get((delays.len() as f64 * share) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    let longest = delays.last().copied().unwrap_or(f64::NAN);
    println!(
        "| {what} | {:.2} | {:.2} | {:.2} | {longest:.2} |",
        at(0.5),
        at(0.9),
        at(0.99)
    );
}
