//! The call: one value that takes inputs and gives outputs.

use std::{sync::Arc, time::Instant};

use segue_records::PhaseName;

use crate::io::{CallConfig, Incoming, Input, Now, Output};

/// One call, from A's INVITE until nothing of it is left.
#[derive(Debug)]
pub struct Call {
    id: String,
    phase: PhaseName,
}

impl Call {
    /// A new call for an admitted INVITE. `seed` makes its identifiers and SDP session ids; the same seed and inputs give the
    /// same outputs.
    pub fn incoming(_invite: Incoming, _config: Arc<CallConfig>, _now: Now, _seed: u64) -> Call {
        Call { id: String::new(), phase: PhaseName::LookingUp }
    }

    /// Take one input. The only mutation.
    pub fn handle(&mut self, _input: Input, _now: Now) {}

    /// The next thing to do, in order; `None` when all is done for now. After [`Output::Ended`] nothing follows.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When [`Input::Timeout`] is due, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Our identifier of the call (ULID, 26 characters).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the call is now.
    pub fn phase(&self) -> PhaseName {
        self.phase
    }
}
