//! A and B talk.

use segue_records::CallResult;

use crate::{
    cx::Cx,
    ending::Ending,
    io::{LegId, MediaAction, MediaEvent},
    legs::{CallerGone, Seen},
    phase::Phase,
    reason,
};

/// A and B talk.
#[derive(Debug)]
pub(crate) struct Bridged {
    callee: LegId,
}

impl Bridged {
    /// The callee has answered on this leg and its streams are configured.
    pub fn begin(callee: LegId, cx: &mut Cx) -> Phase {
        cx.answer_a();
        cx.media(MediaAction::Bridge { leg: callee });
        Phase::Bridged(Bridged { callee })
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match seen {
            Seen::CallerGone(CallerGone::HungUp { reason }) => {
                cx.end_branches(reason::passed_on(reason.as_deref()));
                Ending::begin(
                    cx,
                    CallResult::Answered,
                    None,
                    "The callee answered; the caller hung up",
                )
            }
            Seen::CallerGone(CallerGone::Cancelled) => {
                cx.end_branches(reason::CALLER_GAVE_UP);
                Ending::begin(
                    cx,
                    CallResult::Abandoned,
                    Some(487),
                    "The caller hung up while the callee answered",
                )
            }
            Seen::CallerGone(broken) => Ending::caller_broke(cx, &broken),
            Seen::CalleeGone { leg, reason } if leg == self.callee => {
                cx.end_a(480, reason::passed_on(reason.as_deref()));
                Ending::begin(cx, CallResult::Answered, None, "The callee answered and hung up")
            }
            Seen::Media(MediaEvent::RtpGone { leg }) => {
                let who = if leg == LegId::A { "caller" } else { "callee" };
                cx.end_branches(reason::MEDIA_LOST);
                cx.end_a(480, reason::MEDIA_LOST);
                Ending::begin(
                    cx,
                    CallResult::Answered,
                    None,
                    format!("The callee answered; then no more RTP came from the {who}"),
                )
            }
            Seen::Key { leg, key, told } => {
                let to = if leg == LegId::A { self.callee } else { LegId::A };
                cx.pass_key_on(to, key, told);
                Phase::Bridged(self)
            }
            Seen::HangUp => {
                cx.end_branches(reason::OPERATOR);
                cx.end_a(480, reason::OPERATOR);
                Ending::begin(
                    cx,
                    CallResult::Answered,
                    None,
                    "The callee answered; the operator ended the call",
                )
            }
            Seen::Pracked
            | Seen::CalleeProgress { .. }
            | Seen::CalleeAnswered { .. }
            | Seen::CalleeFailed { .. }
            | Seen::CalleeRedirected { .. }
            | Seen::CalleeGone { .. }
            | Seen::Media(_)
            | Seen::Store(_)
            | Seen::Due => Phase::Bridged(self),
        }
    }
}
