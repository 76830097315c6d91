//! Plain data that other crates hand on: call records, moments, outcomes.
//!
//! Pure: no socket, file, clock or thread. Times are wall-clock milliseconds ([`UnixMs`]).

mod call_record;
mod moment;

pub use call_record::{CallRecord, CallResult, LadderStep, LegRecord, MediaKind, PhaseName, Sent, SwitchRecord};
pub use moment::UnixMs;
