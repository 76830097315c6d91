//! What a process uses, from /proc: CPU by thread, memory.

use std::{collections::BTreeMap, fs};

/// CPU time that a process has used, microseconds.
#[derive(Debug, Clone, Default)]
pub struct Cpu {
    /// Of all its threads, those that have ended included; in steps of 10 ms.
    pub total_us: f64,
    /// Of the threads that live, by their names, to the nanosecond.
    pub threads: BTreeMap<String, f64>,
}

impl Cpu {
    /// Until now.
    pub fn of(pid: u32) -> Cpu {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
        // After the name, which may hold anything: utime and stime are the 14th and 15th field (proc_pid_stat(5)).
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks: f64 = fields.split_whitespace().skip(11).take(2).map(number).sum();
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))
            .expect("its threads")
            .flatten()
        {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let ns = read("schedstat").split_whitespace().next().map_or(0.0, number);
            *threads.entry(read("comm").trim().to_owned()).or_default() += ns / 1e3;
        }
        // 100 ticks a second, whatever the kernel's own.
        Cpu {
            total_us: ticks * 10_000.0,
            threads,
        }
    }

    /// What was used after `earlier`.
    pub fn since(&self, earlier: &Cpu) -> Cpu {
        let before = |name: &String| earlier.threads.get(name).copied().unwrap_or(0.0);
        Cpu {
            total_us: self.total_us - earlier.total_us,
            threads: self
                .threads
                .iter()
                .map(|(name, us)| (name.clone(), us - before(name)))
                .collect(),
        }
    }

    /// Of threads whose name begins so.
    pub fn of_threads(&self, prefix: &str) -> f64 {
        let named = self.threads.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(_, us)| us).sum()
    }
}

/// Memory that a process has resident, KiB.
pub fn resident_kib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).map_or(0.0, number)
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}
