//! The phases, each a type of its own.

use std::time::Instant;

use segue_records::PhaseName;

use crate::{
    beeping::Beeping,
    bridged::Bridged,
    choosing::Choosing,
    cx::Cx,
    ending::Ending,
    full::Full,
    greeting::Greeting,
    holding::Holding,
    legs::Seen,
    looking_up::LookingUp,
    recording::Recording,
    reviewing::Reviewing,
    ringing::Ringing,
    saving::Saving,
    serving::{CallingBack, Serving},
};

/// Where a call is.
#[derive(Debug)]
pub(crate) enum Phase {
    LookingUp(LookingUp),
    Holding(Holding),
    Ringing(Ringing),
    Bridged(Bridged),
    Greeting(Greeting),
    Full(Full),
    Choosing(Choosing),
    Beeping(Beeping),
    Recording(Recording),
    Reviewing(Box<Reviewing>),
    Saving(Saving),
    Serving(Box<Serving>),
    CallingBack(Box<CallingBack>),
    Ending(Ending),
}

impl Phase {
    /// Take an input that the legs have seen.
    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match self {
            Phase::LookingUp(phase) => phase.on(seen, cx),
            Phase::Holding(phase) => phase.on(seen, cx),
            Phase::Ringing(phase) => phase.on(seen, cx),
            Phase::Bridged(phase) => phase.on(seen, cx),
            Phase::Greeting(phase) => phase.on(seen, cx),
            Phase::Full(phase) => phase.on(seen, cx),
            Phase::Choosing(phase) => phase.on(seen, cx),
            Phase::Beeping(phase) => phase.on(seen, cx),
            Phase::Recording(phase) => phase.on(seen, cx),
            Phase::Reviewing(phase) => phase.on(seen, cx),
            Phase::Saving(phase) => phase.on(seen, cx),
            Phase::Serving(phase) => phase.on(seen, cx),
            Phase::CallingBack(phase) => phase.on(seen, cx),
            Phase::Ending(phase) => Phase::Ending(phase),
        }
    }

    /// Whether A and a callee talk.
    pub fn is_bridged(&self) -> bool {
        match self {
            Phase::Bridged(_) => true,
            Phase::CallingBack(phase) => phase.call().is_bridged(),
            _ => false,
        }
    }

    /// When this phase wants to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Phase::Holding(phase) => phase.deadline(),
            Phase::Ringing(phase) => phase.deadline(),
            Phase::Greeting(phase) => phase.deadline(),
            Phase::Full(phase) => phase.deadline(),
            Phase::Choosing(phase) => phase.deadline(),
            Phase::Beeping(phase) => Some(phase.until),
            Phase::Recording(phase) => Some(phase.until),
            Phase::Reviewing(phase) => phase.deadline(),
            Phase::Saving(phase) => phase.deadline(),
            Phase::Serving(phase) => phase.deadline(),
            Phase::CallingBack(phase) => phase.deadline(),
            Phase::Bridged(phase) => phase.deadline(),
            Phase::LookingUp(phase) => phase.deadline(),
            Phase::Ending(_) => None,
        }
    }

    pub fn name(&self) -> PhaseName {
        match self {
            Phase::LookingUp(_) => PhaseName::LookingUp,
            Phase::Holding(_) => PhaseName::Holding,
            // Until the first INVITE the callee knows nothing.
            Phase::Ringing(phase) if !phase.has_invited() => PhaseName::Holding,
            Phase::Ringing(_) => PhaseName::Ringing,
            Phase::Bridged(_) => PhaseName::Bridged,
            // The notice stands where the greeting would.
            Phase::Greeting(_) | Phase::Full(_) => PhaseName::Greeting,
            Phase::Choosing(_) => PhaseName::Choosing,
            Phase::Beeping(phase) => phase.name(),
            Phase::Recording(_) => PhaseName::Recording,
            Phase::Reviewing(_) => PhaseName::Reviewing,
            Phase::Saving(_) => PhaseName::Saving,
            Phase::Serving(_) => PhaseName::Serving,
            Phase::CallingBack(phase) => match phase.call() {
                Phase::Ending(_) => PhaseName::Serving,
                call => call.name(),
            },
            Phase::Ending(_) => PhaseName::Ending,
        }
    }
}
