//! What the process around the shard does for it.

use segue_records::{CallRecord, Event};

use crate::Row;

/// Makes synced recordings messages, elsewhere; `jobs` does.
pub trait Deposits: Send + Sync {
    /// Finalise and commit; `done` is called once, from any thread.
    fn deposit(&self, message_id: &str, urgent: bool, done: Box<dyn FnOnce(Result<(), String>) + Send>);
    /// Leave a recording alone until it is deposited or discarded: its caller looks at it.
    fn hold(&self, message_id: &str);
    /// Make a clip of a recording, for its caller alone; `shown` is called once, from any thread.
    fn preview(&self, message_id: &str, shown: Box<dyn FnOnce(Result<Take, String>) + Send>);
    /// Drop a recording that is too short.
    fn discard(&self, message_id: &str);
}

/// A recording as a clip.
#[derive(Debug)]
pub struct Take {
    /// Playing time, milliseconds.
    pub duration_ms: u64,
    /// In each rendition.
    pub rows: Vec<Row>,
}

/// Follows what happens. Called on the signalling thread: it must return at once and never wait.
pub trait Watch: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);
    /// A request was dropped (no status) or refused, also one that became a call. Called for each of a flood.
    fn refused(&self, status: Option<u16>);
    /// A call has ended.
    fn ended(&self, record: &CallRecord);
    /// A record could not be kept in the store.
    fn unkept(&self);
}
