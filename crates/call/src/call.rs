//! The call: one value that takes inputs and gives outputs.

use std::{sync::Arc, time::Instant};

use segue_records::{CallBackFacts, CallRecord, PhaseName};

use crate::{
    cx::Cx,
    ending::Ending,
    io::{CallConfig, Incoming, Input, Now, Output},
    legs::Leg,
    looking_up::LookingUp,
    phase::Phase,
};

/// One call, from A's INVITE until nothing of it is left.
#[derive(Debug)]
pub struct Call {
    pub(crate) cx: Cx,
    pub(crate) phase: Phase,
    /// `Ended` has been said.
    over: bool,
}

impl Call {
    /// A new call for an admitted INVITE. `seed` makes its identifiers and SDP session ids; the same seed and inputs give the
    /// same outputs.
    pub fn incoming(invite: Incoming, config: Arc<CallConfig>, now: Now, seed: u64) -> Call {
        let mut cx = Cx::new(invite, config, now, seed);
        let phase = LookingUp::begin(&mut cx);
        Call { cx, phase, over: false }
    }

    /// Take one input. The only mutation.
    pub fn handle(&mut self, input: Input, now: Now) {
        if self.over {
            return;
        }
        self.cx.now = now;
        if let Some(seen) = self.cx.legs_first(input) {
            let phase = std::mem::replace(&mut self.phase, Phase::Ending(Ending));
            self.phase = phase.on(seen, &mut self.cx);
            self.cx.note_phase(self.phase.name());
        }
        // What passes between the legs changes codecs, and no phase hears of it.
        if self.phase.is_bridged() {
            self.cx.settle_pictures();
        }
        if matches!(self.phase, Phase::Ending(_)) && self.cx.legs.all_gone() {
            self.over = true;
            self.cx.say_ended();
        }
    }

    /// How long the hold lasts now that A has prolonged it, milliseconds from the clip's first packet.
    pub fn prolonged_to_ms(&self) -> Option<u64> {
        let record = &self.cx.record;
        record.prolonged_at.and(record.first_media_at).and(record.hold_asked_ms)
    }

    /// The next thing to do, in order; `None` when all is done for now. After [`Output::Ended`] nothing follows.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.cx.poll_output()
    }

    /// When [`Input::Timeout`] is due, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ending(_) => None,
            _ => [self.phase.deadline(), self.cx.early_deadline()]
                .into_iter()
                .flatten()
                .min(),
        }
    }

    /// Whether the caller is still there: neither refused, nor gone, nor hung up on.
    pub fn has_caller(&self) -> bool {
        matches!(self.cx.legs.a, Leg::Inviting | Leg::Answered | Leg::Up)
    }

    /// Whether the caller waits for a final response.
    pub fn is_early(&self) -> bool {
        matches!(self.cx.legs.a, Leg::Inviting)
    }

    /// The caller has a 200, of the callee or of the mailbox.
    pub fn is_answered(&self) -> bool {
        self.cx.record.answered_at.is_some()
    }

    /// Whether it asks whom a subscriber calls back from its mailbox: the look-up that is under way is as one for a new call.
    pub fn asks_whom_to_call_back(&self) -> bool {
        matches!(&self.phase, Phase::Serving(phase) if phase.asks_whom_to_call_back())
    }

    /// The calls back from a mailbox that are over, in order.
    pub fn called_back(&self) -> &[CallBackFacts] {
        &self.cx.called_back
    }

    /// Our identifier of the call (ULID, 26 characters).
    pub fn id(&self) -> &str {
        &self.cx.record.id
    }

    /// Its record as far as it has come: nothing of it has ended yet, so `result` and `why` say nothing.
    pub fn so_far(&self) -> &CallRecord {
        &self.cx.record
    }

    /// Where the call is now.
    pub fn phase(&self) -> PhaseName {
        self.phase.name()
    }
}
