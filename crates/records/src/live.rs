//! Calls that are up, as they are looked at from outside.

use serde_json::{Value, json};

use crate::{CallRecord, PhaseName, UnixMs};

/// A call that is up.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveCall {
    /// Its record as far as it has come. Its `result` and `why` mean nothing yet.
    pub record: CallRecord,
    /// Where it is now.
    pub phase: PhaseName,
    /// Since when it is there.
    pub since: UnixMs,
    /// The subscriber whose mailbox answers for it, where one does.
    pub mailbox: Option<String>,
    /// The subscriber who has proven to call.
    pub account: Option<String>,
    /// The profile of the caller's side.
    pub profile: String,
}

impl LiveCall {
    /// As programs see it in a list: no ladders. What a call has only at its end is not there.
    pub fn to_json(&self) -> Value {
        self.with(self.record.to_json())
    }

    /// The same with ladders and the moments of the switches.
    pub fn to_full_json(&self) -> Value {
        self.with(self.record.to_full_json())
    }

    fn with(&self, mut value: Value) -> Value {
        if let Some(members) = value.as_object_mut() {
            for ended in ["ended_at", "phase_reached", "result", "cause", "why", "admit", "source"] {
                members.remove(ended);
            }
            members.insert("phase".to_owned(), json!(self.phase));
            members.insert("since".to_owned(), json!(self.since.rfc3339()));
            members.insert("mailbox".to_owned(), json!(self.mailbox));
            members.insert("account".to_owned(), json!(self.account));
            members.insert("profile".to_owned(), json!(self.profile));
        }
        value
    }
}
