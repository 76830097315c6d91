//! Preconditions of A's offer (RFC 3312): until its mandatory resources are reserved A gets neither the clip nor a callee that rings.

use std::time::Instant;

use segue_records::CallResult;
use segue_sdp::Reserved;

use crate::{
    cx::Cx,
    ending::Ending,
    io::{LegId, Lookup, RefuseInfo},
    legs::Seen,
    phase::Phase,
};

/// A's resources are given up after this long: 64·T1, as for a PRACK.
const RESERVE_MS_MAX: u64 = 32_000;

/// A's answer is out, with what is still owed; A reserves its resources.
#[derive(Debug)]
pub(crate) struct Reserving {
    pub lookup: Box<Lookup>,
    until: Instant,
}

/// What is to be done about the preconditions of A's offer, which has its answer.
pub(crate) enum Next {
    GoOn(Box<Lookup>),
    Wait(Reserving),
    End(Box<Phase>),
}

impl Reserving {
    pub fn begin(lookup: Box<Lookup>, cx: &mut Cx) -> Next {
        match cx.reserved() {
            // Who calls for help is not kept waiting.
            _ if cx.invite.emergency.is_some() => Next::GoOn(lookup),
            Reserved::Met => Next::GoOn(lookup),
            Reserved::Waits if cx.a.is_reliable() => {
                // "… MUST be sent as soon as allowed by the SIP offer/answer rules" (§6).
                cx.give_answer_early();
                let until = cx.in_ms(RESERVE_MS_MAX);
                Next::Wait(Reserving { lookup, until })
            }
            // Who uses preconditions "MUST support the PRACK and UPDATE methods" (§11).
            Reserved::Waits => {
                cx.refuse_a_with(RefuseInfo {
                    status: 421,
                    require: Some("100rel"),
                    ..RefuseInfo::default()
                });
                let why = "The caller's preconditions cannot be met without 100rel";
                Next::End(Box::new(Ending::begin(cx, CallResult::Rejected, Some(421), why)))
            }
            Reserved::Never => {
                let why = "The caller's preconditions are none that could be met here";
                Next::End(Box::new(Reserving::failed(why, cx)))
            }
        }
    }

    /// Whether A's resources are there, and it knows our answer.
    pub fn is_over(&self, cx: &Cx) -> bool {
        cx.reserved() == Reserved::Met && !cx.answer_awaits_prack()
    }

    /// An input while A reserves. `None`: nothing that ends that.
    pub fn on(&self, seen: &Seen, cx: &mut Cx) -> Option<Phase> {
        match seen {
            Seen::Due if cx.early_is_over() || cx.is_due(self.until) && cx.answer_awaits_prack() => {
                Some(Ending::never_pracked(cx))
            }
            Seen::Due if cx.is_due(self.until) => {
                let why = "The caller did not reserve its resources in time";
                Some(Reserving::failed(why, cx))
            }
            _ => None,
        }
    }

    pub fn deadline(&self) -> Instant {
        self.until
    }

    /// "… it SHOULD reject the offer by returning a 580 (Precondition-Failure) response" (§8).
    fn failed(why: &str, cx: &mut Cx) -> Phase {
        let sdp = cx.a.side.as_ref().map(|side| side.failed_preconditions());
        cx.refuse_a_with(RefuseInfo {
            status: 580,
            sdp,
            ..RefuseInfo::default()
        });
        Ending::begin(cx, CallResult::Rejected, Some(580), why)
    }
}

impl Cx {
    /// How far the preconditions of A's offer are.
    pub fn reserved(&self) -> Reserved {
        self.party(LegId::A).map_or(Reserved::Met, |(side, _)| side.reserved())
    }
}
