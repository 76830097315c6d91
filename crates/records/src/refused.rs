//! What remains of a request that never became a call.

use serde::{Deserialize, Serialize};

use crate::{LadderStep, UnixMs};

/// Most steps that the ladder of a refused request keeps.
const LADDER_MAX: usize = 24;

/// A request that was refused or dropped, as `segue call show` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedRecord {
    /// Our own identifier (ULID, sorts by time; shares the space of call ids).
    pub id: String,
    /// When it first came.
    pub at: UnixMs,
    /// `udp` or `tcp`.
    pub protocol: String,
    /// Where it came from, `address:port`.
    pub source: String,
    /// The socket it came to.
    pub local: String,
    /// Its method; empty when that could not be read.
    pub method: String,
    /// Its Call-ID, when it could be read.
    pub sip_call_id: Option<String>,
    /// Its From URI, when it could be read.
    pub from: Option<String>,
    /// Its Request-URI, when it could be read.
    pub to: Option<String>,
    /// The status that it got; absent: it was dropped without an answer.
    pub status: Option<u16>,
    /// One sentence: why.
    pub why: String,
    /// What would have let it in.
    pub admit: String,
    /// How often it came within half a minute.
    pub times: u32,
    /// Refusals before this one, of any source, that were counted and not kept, since there were too many.
    pub withheld: u64,
    /// What went over the wire, in order.
    pub ladder: Vec<LadderStep>,
}

impl RefusedRecord {
    /// The same request came again.
    pub fn again(&mut self, steps: Vec<LadderStep>) {
        self.times = self.times.saturating_add(1);
        let room = LADDER_MAX.saturating_sub(self.ladder.len());
        self.ladder.extend(steps.into_iter().take(room).map(|mut step| {
            step.summary.push_str(", again");
            step
        }));
    }
}
