//! Whom a call keeps busy on its callee's side.

use segue_sip_wire::Uri;

use crate::{call::Call, io::Lookup, phase::Phase};

/// Whose phones a call engages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engages<'a> {
    /// Nobody's: the callee is not called, or the caller is elsewhere, with somebody else or in the mailbox.
    Nobody,
    /// The callee's, whoever takes the call: they ring, or are about to.
    All,
    /// The callee's, who has taken the call here.
    At(&'a Uri),
}

impl Call {
    /// Whose phones it engages now. The caller is apart from this ([`Call::has_caller`]).
    pub fn engages(&self) -> Engages<'_> {
        if self.cx.invite.further.sent_on.is_some() || self.cx.serves.is_some() {
            return Engages::Nobody;
        }
        let rings = |lookup: Option<&Lookup>| match lookup.is_some_and(|lookup| lookup.plan.rings_callee()) {
            true => Engages::All,
            false => Engages::Nobody,
        };
        let phase = match &self.phase {
            Phase::CallingBack(phase) => phase.call(),
            phase => phase,
        };
        match phase {
            Phase::LookingUp(phase) => rings(phase.lookup()),
            Phase::Holding(phase) => rings(Some(phase.lookup())),
            Phase::Ringing(phase) => rings(Some(phase.lookup())),
            Phase::Bridged(phase) => match self.cx.legs.b.get(phase.callee()) {
                Some(branch) if branch.is_callees() => Engages::At(&branch.target),
                _ => Engages::Nobody,
            },
            _ => Engages::Nobody,
        }
    }
}
