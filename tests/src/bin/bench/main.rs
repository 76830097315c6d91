//! `make bench`: what calls and streams cost, as CPU and memory a piece, beside what SIPp and bare sockets cost in the same run.
//! On a machine that others use too: CPU time is counted, not the clock. `bench plain|audio|video|recording|many|pacing|delay|overload` measures only that;
//! with `FLAME=1` in the environment `perf` samples the server meanwhile.

mod delay;
mod flame;
mod overload;
mod pacing;
mod party;
mod recording;
mod rtpengine;
mod sipp;
mod usage;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    thread,
    time::Duration,
};

use flame::Flame;
use party::{Codecs, Party};
use rtpengine::Rtpengine;
use segue_tests::segue::{Segue, sample};
use serde_json::Value;
use sipp::{Calls, Scenario, Sipp};
use usage::{Cpu, resident_kib};

/// Calls a second of the plain rounds, and how long each goes on.
const PLAIN_RATES: [u32; 2] = [50, 300];
const PLAIN_FOR_S: u32 = 15;

/// Calls that are held, then bridged, at one time.
const STREAMS: u32 = 200;
/// No divisor of 1,000: calls begun 20 ms apart would all want to send in the same millisecond.
const STREAMS_A_SECOND: u32 = 61;
const HOLD: Duration = Duration::from_secs(20);
/// Long enough that all are bridged while it is measured.
const TALK: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(10);

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let segue = Segue::start(&folder.path().join("segue"));
    let clip = sample("clip.mp4");
    segue.cli(&["clip", "add", "clip", clip.to_str().expect("a path in UTF-8")]);
    let mut bench = Bench {
        segue,
        folder: folder.path(),
        relayed_us: None,
    };
    if wanted("plain") {
        println!(
            "\nPlain calls: no clip, no hold, audio, B answers at once, A hangs up a second later. CPU a call in µs.\n"
        );
        println!(
            "| calls/s | calls | failed | sent again | segue | signalling | look-up | media | store | SIPp's UAS | ratio |"
        );
        println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        for rate in PLAIN_RATES {
            bench.plain(rate);
        }
    }
    for (name, video) in [("audio", false), ("video", true)] {
        if wanted(name) {
            println!(
                "\n{STREAMS} calls held {} s on a clip, then bridged: {}.\n",
                HOLD.as_secs(),
                match video {
                    false => "audio",
                    true => "audio and video",
                }
            );
            println!("| what | measured |\n|:--|--:|");
            bench.streams(video);
        }
        if wanted(name) && !video {
            bench.rtpengine();
        }
    }
    if wanted("recording") {
        bench.recordings();
    }
    if wanted("delay") {
        bench.delay();
    }
    if wanted("many") {
        bench.streams_of_many();
    }
    if wanted("pacing") {
        bench.pacing();
    }
    if wanted("overload") {
        bench.overload();
    }
}

struct Bench<'a> {
    segue: Segue,
    folder: &'a Path,
    /// CPU that a relayed packet of sound took, once measured.
    relayed_us: Option<f64>,
}

impl Bench<'_> {
    fn plain(&self, rate: u32) {
        let callee = Sipp::callee(self.folder, Scenario::Own);
        self.subscriber("plain", &["--target", &callee.uri(), "--clip", "none", "--hold", "0s"]);
        let calls = Calls {
            user: "plain",
            server: self.segue.sip_udp(),
            a_second: rate,
            count: rate * PLAIN_FOR_S,
            talk: Duration::from_secs(1),
        };
        let before = (self.cpu(), Cpu::of(callee.pid()));
        let callers = Sipp::callers(self.folder, Scenario::Own, &calls);
        let flame = self.flame(Duration::from_secs(u64::from(PLAIN_FOR_S)), &format!("plain-{rate}"));
        let outcome = callers.finish(Duration::from_secs(u64::from(PLAIN_FOR_S) + 45));
        // The last records are written.
        thread::sleep(Duration::from_secs(1));
        let (segue, uas) = (self.cpu().since(&before.0), Cpu::of(callee.pid()).since(&before.1));
        let each = |us: f64| us / f64::from(calls.count);
        println!(
            "| {rate} | {} | {} | {} | **{:.0}** | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
            outcome.successful,
            outcome.failed,
            outcome.retransmitted,
            each(segue.total_us),
            each(segue.of_threads("segue") - segue.of_threads("segue-")),
            each(segue.of_threads("look-up")),
            each(segue.of_threads("segue-media")),
            each(segue.of_threads("store")),
            each(uas.total_us),
            segue.total_us / uas.total_us,
        );
        if let Some(flame) = flame {
            flame.finish();
        }
    }

    /// Samples the server, when `FLAME=1` asks for it.
    fn flame(&self, wanted: Duration, name: &str) -> Option<Flame> {
        let asked = std::env::var("FLAME").is_ok_and(|value| value == "1");
        asked.then(|| Flame::start(self.pid(), wanted, name))
    }

    fn streams(&mut self, video: bool) {
        // A fresh server: what earlier calls left free would hide what these take. The clip is loaded before.
        self.segue.stop();
        self.segue.run();
        self.round(
            video,
            20,
            &Round {
                hold: Duration::ZERO,
                talk: Duration::from_secs(1),
            },
        )
        .finish();
        let idle_kib = resident_kib(self.pid());
        let round = self.round(video, STREAMS, &Round { hold: HOLD, talk: TALK });
        let ramp = Duration::from_secs(u64::from(STREAMS / STREAMS_A_SECOND) + 1);
        thread::sleep(ramp);
        let held_kib = resident_kib(self.pid());
        let kind = if video { "video" } else { "audio" };
        let held = self.window(&round, &format!("held-{kind}"));
        self.tell_held(&held, held_kib - idle_kib);
        // A sends before B answers, as phones do: B's side learns from it where to send.
        round.a.sends(true);
        round.b.sends(true);
        thread::sleep(HOLD - MEASURED);
        let bridged_kib = resident_kib(self.pid());
        let bridged = self.window(&round, &format!("relay-{kind}"));
        tell_bridged(&bridged, bridged_kib - idle_kib);
        if !video {
            self.relayed_us = Some(bridged.segue.total_us / bridged.count("media_relayed"));
        }
        round.finish();
        // The records are written within a moment; those of this round are the last.
        thread::sleep(Duration::from_secs(1));
        let rows = self.segue.rows(&["call", "list"]);
        tell_switches(rows.get(rows.len() - STREAMS as usize..).unwrap_or_default());
    }

    /// As many calls of sound through rtpengine.
    fn rtpengine(&self) {
        let mut engine = match Rtpengine::start() {
            Ok(engine) => engine,
            Err(why) => return tell("rtpengine", why),
        };
        let (a, b) = (Party::start("a", Codecs::Common), Party::start("b", Codecs::Common));
        for number in 0..STREAMS {
            let [for_a, for_b] = engine.call(number, a.ports()[0], b.ports()[0]);
            a.add_peer(for_a);
            b.add_peer(for_b);
        }
        a.sends(true);
        b.sends(true);
        thread::sleep(Duration::from_secs(3));
        let packets = || a.packets().0 + b.packets().0;
        let before = (Cpu::of(engine.pid()), packets());
        thread::sleep(MEASURED);
        let relayed = (packets() - before.1) as f64;
        let each = Cpu::of(engine.pid()).since(&before.0).total_us / relayed;
        tell(
            "CPU a packet relayed by rtpengine (userspace), µs",
            format!("{each:.1}"),
        );
        tell(
            "packets it relayed a second",
            format!("{:.0}", relayed / MEASURED.as_secs_f64()),
        );
        if let Some(ours) = self.relayed_us {
            tell("Segue's relayed packet to rtpengine's", format!("{:.2}", ours / each));
        }
    }

    /// Calls with media of their own, begun.
    fn round(&self, video: bool, count: u32, round: &Round) -> Running {
        let (a, b) = (Party::start("a", Codecs::Common), Party::start("b", Codecs::Common));
        let at = |party: &Party| {
            let [audio, picture] = party.ports();
            Scenario::WithMedia {
                codecs: Codecs::Common,
                audio,
                video: video.then_some(picture),
            }
        };
        let callee = Sipp::callee(self.folder, at(&b));
        let hold = format!("{}s", round.hold.as_secs());
        self.subscriber("held", &["--target", &callee.uri(), "--clip", "clip", "--hold", &hold]);
        let server = self.segue.sip_udp();
        let calls = Calls {
            user: "held",
            server,
            a_second: STREAMS_A_SECOND,
            count,
            talk: round.talk,
        };
        let callers = Sipp::callers(self.folder, at(&a), &calls);
        Running {
            a,
            b,
            callers,
            _callee: callee,
        }
    }

    /// What is used and carried for [`MEASURED`].
    fn window(&self, round: &Running, name: &str) -> Window {
        let flame = self.flame(MEASURED, name);
        let own = std::process::id();
        let before = (self.cpu(), Cpu::of(own), self.counters(), round.packets());
        thread::sleep(MEASURED);
        let packets = round.packets();
        let (counters, segue, own) = (self.counters(), self.cpu(), Cpu::of(own));
        if let Some(flame) = flame {
            flame.finish();
        }
        Window {
            segue: segue.since(&before.0),
            own: own.since(&before.1),
            counters: counters
                .into_iter()
                .map(|(name, count)| (name.clone(), count - before.2.get(&name).unwrap_or(&0.0)))
                .collect(),
            received: (packets.0 - before.3.0) as f64,
            sent: (packets.1 - before.3.1) as f64,
        }
    }

    fn tell_held(&self, held: &Window, kib: f64) {
        let streams = f64::from(STREAMS);
        let (cpu, sent) = (held.segue.total_us, held.count("media_sent"));
        tell(
            "CPU a held call, % of a core",
            format!("**{:.3}**", cpu / streams / MEASURED.as_micros() as f64 * 100.0),
        );
        tell(
            "packets a second to each caller",
            format!("{:.0}", sent / streams / MEASURED.as_secs_f64()),
        );
        tell("CPU a packet sent, µs", format!("{:.1}", cpu / sent));
        tell(
            "a bare recv of the same packets here, µs",
            format!("{:.1}", held.own.of_threads("a-recv") / held.received),
        );
        tell(
            "packets more than 5 ms late",
            format!("{:.0} of {sent:.0}", held.count("media_late")),
        );
        tell("lateness, ms: p50, p99, p99.9, latest", pacing::told(&held.counters));
        tell(
            "packets not received",
            format!("{:.0}", (sent - held.received).max(0.0)),
        );
        tell("memory a held call, KiB", format!("{:.0}", kib / streams));
    }

    fn subscriber(&self, user: &str, options: &[&str]) {
        let known = self
            .segue
            .rows(&["subscriber", "list"])
            .iter()
            .any(|row| row["user"] == user);
        let mut args = vec!["subscriber", if known { "set" } else { "add" }, user];
        args.extend(options);
        self.segue.cli(&args);
    }

    fn pid(&self) -> u32 {
        self.segue.pid().expect("a running server")
    }

    fn cpu(&self) -> Cpu {
        Cpu::of(self.pid())
    }

    /// What `/health` counts.
    fn counters(&self) -> BTreeMap<String, f64> {
        let mut stream = TcpStream::connect(self.segue.http()).expect("the server's HTTP port");
        let _ = stream.write_all(b"GET /health HTTP/1.0\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let body = answer.split_once("\r\n\r\n").expect("an answer").1;
        let health: Value = serde_json::from_str(body).expect("JSON");
        let counters = health["counters"].as_object().expect("counters").iter();
        counters
            .map(|(name, count)| (name.clone(), count.as_f64().unwrap_or(0.0)))
            .collect()
    }
}

struct Round {
    hold: Duration,
    talk: Duration,
}

/// A round of calls under way.
struct Running {
    a: Party,
    b: Party,
    callers: Sipp,
    _callee: Sipp,
}

impl Running {
    fn packets(&self) -> (u64, u64) {
        let (a, b) = (self.a.packets(), self.b.packets());
        (a.0 + b.0, a.1 + b.1)
    }

    fn finish(self) {
        let outcome = self.callers.finish(HOLD + TALK + Duration::from_secs(20));
        assert_eq!(outcome.failed, 0, "{outcome:?}");
    }
}

/// What happened in a measured time.
struct Window {
    segue: Cpu,
    own: Cpu,
    counters: BTreeMap<String, f64>,
    received: f64,
    sent: f64,
}

impl Window {
    fn count(&self, name: &str) -> f64 {
        self.counters.get(name).copied().unwrap_or(f64::NAN)
    }
}

fn tell_bridged(bridged: &Window, kib: f64) {
    let (cpu, relayed) = (bridged.segue.total_us, bridged.count("media_relayed"));
    let own = |name: &str| bridged.own.of_threads(&format!("a-{name}")) + bridged.own.of_threads(&format!("b-{name}"));
    let bare = own("send") / bridged.sent + own("recv") / bridged.received;
    tell("CPU a relayed packet, µs", format!("**{:.1}**", cpu / relayed));
    tell("a bare recv and send of one packet here, µs", format!("{bare:.1}"));
    tell("ratio", format!("{:.2}", cpu / relayed / bare));
    tell(
        "packets relayed a second",
        format!("{:.0}", relayed / MEASURED.as_secs_f64()),
    );
    let (sent, received) = (bridged.sent, bridged.count("media_received"));
    tell(
        "packets that did not reach Segue; that it did not relay",
        format!(
            "{:.0}; {:.0} of {sent:.0}",
            (sent - received).max(0.0),
            (received - relayed).max(0.0)
        ),
    );
    tell("memory a bridged call, KiB", format!("{:.0}", kib / f64::from(STREAMS)));
}

fn tell_switches(rows: &[Value]) {
    let over: Vec<f64> = rows
        .iter()
        .filter_map(|row| Some(row["hold_ms"].as_f64()? - row["hold_asked_ms"].as_f64()?))
        .collect();
    tell(
        &format!("hold kept minus asked over {} calls, ms: median, worst", over.len()),
        middle_and_worst(over),
    );
    for kind in ["audio", "video"] {
        let switches = rows.iter().filter_map(|row| row["switches"].as_array()).flatten();
        let gaps: Vec<f64> = switches
            .filter(|switch| switch["to"] == "callee" && switch["kind"] == kind)
            .filter_map(|switch| switch["gap_ms"].as_f64())
            .collect();
        if !gaps.is_empty() {
            tell(
                &format!("gap at {} switches to B, {kind}, ms: median, worst", gaps.len()),
                middle_and_worst(gaps),
            );
        }
    }
}

fn middle_and_worst(mut values: Vec<f64>) -> String {
    values.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    match (values.get(values.len() / 2), values.last()) {
        (Some(middle), Some(worst)) => format!("{middle:.0}, {worst:.0}"),
        _ => "none".to_owned(),
    }
}

fn tell(what: &str, measured: String) {
    println!("| {what} | {measured} |");
}
