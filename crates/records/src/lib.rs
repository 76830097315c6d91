//! Plain data that other crates hand on: call records, moments, outcomes.
//!
//! Pure: no socket, file, clock or thread. Times are wall-clock milliseconds ([`UnixMs`]).

mod call_record;

pub use call_record::{
    CallRecord, CallResult, LadderStep, LegRecord, MediaKind, PhaseName, Sent, SwitchRecord,
};

use serde::{Deserialize, Serialize};

/// Wall-clock time, milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMs(pub i64);
