//! Past what the server can handle: where that is, and what is left of it when five times as many call.

use std::{process::Command, thread, time::Duration};

use crate::{
    Bench,
    sipp::{Calls, Scenario, Sipp},
    usage::Cpu,
};

/// Calls a second that are tried, one after the other, until one is too much.
const RATES: [u32; 12] = [100, 200, 300, 400, 500, 600, 750, 900, 1_100, 1_300, 1_600, 2_000];
const STEP_S: u32 = 5;
/// Of the calls of a rate that the server can handle, so many get through.
const GETS_THROUGH: f64 = 0.99;
/// How long five times the knee is offered; the first seconds find the rate.
const FLOOD_S: u32 = 20;
const TIMES: [u32; 3] = [1, 2, 5];
/// From the answer to A's BYE.
const TALK: Duration = Duration::from_millis(200);
const HEAD: &str =
    "| offered a second | answered a second | refused | other failures | sent again | CPU of the server, % | SIPp's |
|--:|--:|--:|--:|--:|--:|--:|";

impl Bench<'_> {
    /// The server has one core, SIPp the others: what is measured is its limit, not the machine's.
    pub fn overload(&mut self) {
        println!(
            "\nOverload: the server on one core, calls of {} ms.\n",
            TALK.as_millis()
        );
        println!("{HEAD}");
        self.segue.kill_9();
        self.segue.run();
        pin(self.pid(), "0");
        let callee = Sipp::callee(self.folder, Scenario::Own);
        pin(callee.pid(), "1-63");
        self.subscriber("many", &["--target", &callee.uri(), "--clip", "none", "--hold", "0s"]);
        let mut knee = 0;
        let known = std::env::var("KNEE").ok().and_then(|knee| knee.parse().ok());
        for rate in RATES {
            if let Some(known) = known {
                knee = known;
                break;
            }
            let step = self.offer(callee.pid(), rate, STEP_S);
            if step.refused > 0 || f64::from(step.answered_a_second) < f64::from(rate) * GETS_THROUGH * 0.95 {
                println!("\n503s begin at {rate} calls a second.\n");
                break;
            }
            knee = rate;
        }
        println!("The knee is at {knee} calls a second; so many times of it for {FLOOD_S} s:\n\n{HEAD}");
        let mut answered = Vec::new();
        for times in TIMES {
            // What the flood before left is over.
            thread::sleep(Duration::from_secs(6));
            answered.push(self.offer(callee.pid(), knee * times, FLOOD_S).answered_a_second);
        }
        let whole = f64::from(answered.first().copied().unwrap_or(0).max(1));
        for (times, answered) in TIMES.iter().zip(answered) {
            println!(
                "\nGoodput at {times} times the knee: {:.0} % of the knee's.",
                f64::from(answered) * 100.0 / whole
            );
        }
    }

    /// So many calls a second, for so long.
    fn offer(&self, callee: u32, rate: u32, for_s: u32) -> Offered {
        let calls = Calls {
            user: "many",
            server: self.segue.sip_udp(),
            a_second: rate,
            count: rate * for_s,
            talk: TALK,
        };
        let before = (self.cpu(), self.counters(), Cpu::of(callee));
        let callers = Sipp::callers(self.folder, Scenario::Own, &calls);
        pin(callers.pid(), "1-63");
        let mut rates = Vec::new();
        for _ in 0..for_s {
            thread::sleep(Duration::from_secs(1));
            rates.push(self.counters().get("admission_rate").copied().unwrap_or(0.0));
        }
        let cpu: Cpu = self.cpu().since(&before.0);
        let of_sipp = Cpu::of(callers.pid()).total_us + Cpu::of(callee).since(&before.2).total_us;
        let outcome = callers.finish(Duration::from_secs(60));
        let refused = self.counters().get("turned_away").unwrap_or(&0.0) - before.1.get("turned_away").unwrap_or(&0.0);
        let offered = Offered {
            answered_a_second: u32::try_from(outcome.successful).unwrap_or(0) / for_s,
            refused: refused as u64,
        };
        // Once a second; 0: no limit.
        eprintln!("let in a second: {rates:?}");
        let percent = |us: f64| us / f64::from(for_s) / 1e4;
        println!(
            "| {rate} | {} | {} | {} | {} | {:.0} | {:.0} |",
            offered.answered_a_second,
            offered.refused,
            outcome.failed.saturating_sub(offered.refused),
            outcome.retransmitted,
            percent(cpu.total_us),
            percent(of_sipp),
        );
        offered
    }
}

struct Offered {
    answered_a_second: u32,
    refused: u64,
}

/// Keeps a process and its threads to these processors.
fn pin(pid: u32, processors: &str) {
    let pinned = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", processors, &pid.to_string()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(
        pinned.is_ok_and(|status| status.success()),
        "taskset (util-linux) works"
    );
}
