//! A run as one line for each thing that was seen.

use super::{Entry, Seen, World};
use crate::dice::MS;

impl World {
    /// What was seen, one line each.
    pub fn ladder(&self) -> String {
        let mut out = format!(
            "network of A: {}; of B: {}\n",
            self.networks.0.describe(),
            self.networks.1.describe()
        );
        for (call, scenario) in self.setup.scenarios.iter().enumerate() {
            out += &format!("call {call}: {scenario:?}\n");
        }
        for Entry { at, what } in &self.log {
            let line = match what {
                Seen::Wire {
                    party,
                    out,
                    tcp,
                    arrives,
                    msg,
                } => {
                    let how = if *tcp { "tcp" } else { "udp" };
                    let fate = match (out, arrives) {
                        (true, 0) => " LOST",
                        (true, 2) => " TWICE",
                        _ => "",
                    };
                    format!(
                        "{party:?} {} {how} {}{fate}  {} bytes",
                        if *out { "<==" } else { "==>" },
                        msg.summary(),
                        msg.bytes().len()
                    )
                }
                Seen::LostBefore { party, msg } => format!("{party:?} --> LOST {}", msg.summary()),
                Seen::Unsent { party } => format!("{party:?} unreachable"),
                Seen::Media { call, action } => {
                    format!("     call {call} media {action:?}").chars().take(200).collect()
                }
                Seen::Event { call, event } => format!("     call {call} event {event:?}"),
                Seen::Store { call, action } => format!("     call {call} store {action:?}"),
                Seen::Reply { call, reply } => format!("     call {call} reply {reply:?}").chars().take(200).collect(),
                Seen::Hangup { call } => format!("     call {call} operator hangs up"),
                Seen::Ended { call, record } => format!(
                    "     call {call} ENDED {:?} {:?} phase {:?} hold {:?} why {:?} legs {:?}",
                    record.result,
                    record.cause,
                    record.phase_reached,
                    record.hold_ms,
                    record.why,
                    record.legs.iter().map(|l| (l.status, &l.reason)).collect::<Vec<_>>()
                ),
                Seen::Refused { source, why } => format!("     refused {source}: {why}"),
            };
            out += &format!("{:>9}.{:03} ms {line}\n", at / MS, at % MS);
        }
        out
    }
}
