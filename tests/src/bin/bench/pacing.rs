//! How late paced packets leave, for 200 and 1,000 streams, with real-time priority and without, on a quiet machine and on one whose
//! cores are all busy.

use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Command},
    thread,
    time::Duration,
};

use crate::{Bench, MEASURED, Round, STREAMS_A_SECOND, usage::Cpu};

/// Streams at one time.
const COUNTS: [u32; 2] = [200, 1_000];
const HOLD: Duration = Duration::from_secs(40);

impl Bench<'_> {
    /// One row for each number of streams and each priority.
    pub fn pacing(&mut self) {
        println!("\nHeld calls with audio and video; lateness in ms.\n");
        println!(
            "| streams | machine | priority | packets/s | p50, p99, p99.9, latest | more than 5 ms late | CPU a stream, % of a core |"
        );
        println!("|--:|:--|:--|--:|--:|--:|--:|");
        for count in COUNTS {
            for (busy, realtime) in [(false, true), (true, true), (true, false)] {
                self.pacing_of(count, true, busy, realtime);
            }
        }
    }

    /// Many streams on a quiet machine: of sound alone, and with pictures.
    pub fn streams_of_many(&mut self) {
        let [_, many] = COUNTS;
        println!(
            "\n{many} held calls; lateness in ms.\n\n| streams | machine | priority | packets/s | p50, p99, p99.9, latest | more than 5 ms late | CPU a stream, % of a core |"
        );
        println!("|--:|:--|:--|--:|--:|--:|--:|");
        for video in [false, true] {
            self.pacing_of(many, video, false, true);
        }
    }

    fn pacing_of(&mut self, count: u32, video: bool, busy: bool, realtime: bool) {
        self.segue.kill_9();
        self.segue.run();
        if !realtime {
            make_plain(self.pid());
        }
        let round = Round {
            hold: HOLD,
            talk: Duration::from_secs(1),
        };
        let round = self.round(video, count, &round);
        thread::sleep(Duration::from_secs(u64::from(count / STREAMS_A_SECOND) + 2));
        let burners = if busy { Burner::one_a_core() } else { Vec::new() };
        thread::sleep(Duration::from_secs(1));
        let before = (self.cpu(), self.counters());
        thread::sleep(MEASURED);
        let cpu: Cpu = self.cpu().since(&before.0);
        let counters: BTreeMap<String, f64> = self
            .counters()
            .into_iter()
            .map(|(name, after)| match name.as_str() {
                "media_latest_us" => (name, after),
                _ => (name.clone(), after - before.1.get(&name).unwrap_or(&0.0)),
            })
            .collect();
        let of = |name: &str| counters.get(name).copied().unwrap_or(f64::NAN);
        println!(
            "| {count} | {} | {} | {:.0} | {} | {:.0} of {:.0} | {:.3} |",
            if busy {
                "busy"
            } else if video {
                "quiet"
            } else {
                "quiet, sound alone"
            },
            if realtime { "real-time" } else { "plain" },
            of("media_sent") / MEASURED.as_secs_f64(),
            told(&counters),
            of("media_late"),
            of("media_sent"),
            cpu.total_us / f64::from(count) / MEASURED.as_micros() as f64 * 100.0,
        );
        drop(burners);
        // The calls end with their server.
        drop(round);
    }
}

/// A process that never rests; dropped, it is killed.
struct Burner(Child);

impl Burner {
    fn one_a_core() -> Vec<Burner> {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        let burner = |_| {
            let child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn();
            Burner(child.expect("a shell"))
        };
        (0..cores).map(burner).collect()
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes the real-time priority from the media threads.
fn make_plain(pid: u32) {
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .expect("its threads")
        .flatten()
    {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.starts_with("segue-media") {
            let made = Command::new("chrt")
                .args(["--other", "--pid", "0"])
                .arg(task.file_name())
                .status();
            assert!(made.is_ok_and(|status| status.success()), "chrt works");
        }
    }
}

/// Percentiles by the classes of `/health`: the upper bound of the class that each falls into.
pub fn told(counters: &BTreeMap<String, f64>) -> String {
    let mut classes: Vec<(f64, f64)> = counters
        .iter()
        .filter_map(|(name, count)| {
            let bound = name.strip_prefix("media_lateness_to_")?;
            Some((bound.trim_end_matches("_us").parse().unwrap_or(f64::INFINITY), *count))
        })
        .collect();
    classes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = classes.iter().map(|(_, count)| count).sum();
    let percentile = |share: f64| {
        let mut passed = 0.0;
        let class = classes.iter().find(|(_, count)| {
            passed += count;
            passed >= all * share
        });
        class.map_or_else(|| "none".to_owned(), |(bound, _)| format!("≤ {}", bound / 1e3))
    };
    let latest = counters.get("media_latest_us").copied().unwrap_or(f64::NAN) / 1e3;
    format!(
        "{}, {}, {}; {latest:.1}",
        percentile(0.5),
        percentile(0.99),
        percentile(0.999)
    )
}
