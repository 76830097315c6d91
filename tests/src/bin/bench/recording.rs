//! What recordings cost while they are under way, beside a thread that only writes the same packets to a file.

use std::{
    fs::File,
    io::{BufWriter, Write},
    net::UdpSocket,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crate::{
    Bench, MEASURED,
    party::{Codecs, Party},
    sipp::{Calls, Scenario, Sipp},
    tell,
    usage::Cpu,
};

/// At one time.
const RECORDINGS: u32 = 50;
/// Then greeting and beep are over.
const BEFORE: Duration = Duration::from_secs(6);

impl Bench<'_> {
    /// Messages of sound, of H.264 with PCMU, of VP8 with Opus.
    pub fn recordings(&mut self) {
        println!("\n{RECORDINGS} callers leave a message at one time.\n\n| what | measured |\n|:--|--:|");
        for (name, codecs, video) in [
            ("PCMU", Codecs::Common, false),
            ("PCMU and H.264", Codecs::Common, true),
            ("Opus and VP8", Codecs::Web, true),
        ] {
            self.recordings_of(name, codecs, video);
        }
    }

    fn recordings_of(&mut self, name: &str, codecs: Codecs, video: bool) {
        self.segue.kill_9();
        self.segue.run();
        let (a, callee) = (Party::start("a", codecs), Sipp::callee(self.folder, Scenario::Busy));
        self.subscriber("away", &["--target", &callee.uri(), "--clip", "none", "--hold", "0s"]);
        a.sends(true);
        let calls = Calls {
            user: "away",
            server: self.segue.sip_udp(),
            a_second: 25,
            count: RECORDINGS,
            talk: Duration::from_secs(20),
        };
        let [audio, picture] = a.ports();
        let media = Scenario::WithMedia {
            codecs,
            audio,
            video: video.then_some(picture),
        };
        let callers = Sipp::callers(self.folder, media, &calls);
        thread::sleep(BEFORE);
        let before = (self.cpu(), self.counters());
        let flame = self.flame(MEASURED, &format!("recording-{}", name.replace(' ', "-")));
        thread::sleep(MEASURED);
        let (used, counters) = (self.cpu().since(&before.0), self.counters());
        let of = |name: &str| counters.get(name).unwrap_or(&0.0) - before.1.get(name).unwrap_or(&0.0);
        let share = |us: f64| us / f64::from(RECORDINGS) / MEASURED.as_micros() as f64 * 100.0;
        tell(
            &format!("{name}: CPU a recording under way, % of a core"),
            format!("**{:.3}**", share(used.total_us)),
        );
        tell(
            "of it the spool thread's",
            format!("{:.3}", share(used.of_threads("segue-spool"))),
        );
        let received = of("media_received");
        tell(
            "packets a second of each; lost on the way to the spool",
            format!(
                "{:.0}; {:.0} of {received:.0}",
                received / f64::from(RECORDINGS) / MEASURED.as_secs_f64(),
                of("media_spool_dropped"),
            ),
        );
        let outcome = callers.finish(Duration::from_secs(40));
        tell("recordings that failed", format!("{}", outcome.failed));
        let bare = bare_us(&a, self.folder);
        let each = used.total_us / received;
        tell(
            "CPU a recorded packet; a bare receive and write of it, µs",
            format!("{each:.1}; {bare:.1}"),
        );
        tell("ratio", format!("{:.2}", each / bare));
        if let Some(flame) = flame {
            flame.finish();
        }
    }
}

/// CPU that it takes to receive a packet of this party and to write it to a file, µs.
fn bare_us(party: &Party, folder: &Path) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    party.redirect(
        sockets
            .each_ref()
            .map(|socket| socket.local_addr().expect("a bound socket")),
    );
    let writers = sockets.map(|socket| {
        let stop = Arc::clone(&stop);
        let port = socket.local_addr().expect("a bound socket").port();
        let file = File::create(folder.join(format!("bare-{port}"))).expect("a file");
        let limit = Some(Duration::from_millis(100));
        socket.set_read_timeout(limit).expect("a socket with a time limit");
        let write = move || write_all(&socket, &mut BufWriter::new(file), &stop);
        let writer = thread::Builder::new().name("bare-write".to_owned());
        writer.spawn(write).expect("a thread")
    });
    let (own, sent) = (Cpu::of(std::process::id()), party.packets().1);
    thread::sleep(Duration::from_secs(3));
    let used = Cpu::of(std::process::id()).since(&own).of_threads("bare-write");
    let sent = (party.packets().1 - sent) as f64;
    stop.store(true, Relaxed);
    for writer in writers {
        let _ = writer.join();
    }
    used / sent
}

fn write_all(socket: &UdpSocket, file: &mut BufWriter<File>, stop: &AtomicBool) {
    let mut packet = [0; 2_048];
    while !stop.load(Relaxed) {
        if let Ok((length, _)) = socket.recv_from(&mut packet) {
            file.write_all(&packet[..length]).expect("room on the disk");
        }
    }
}
