//! B is invited; A goes on watching the clip.

use std::time::Instant;

use segue_sip_wire::Uri;

use crate::{
    bridged::Bridged,
    cx::Cx,
    ending::Ending,
    greeting::Greeting,
    io::{Lookup, MediaEvent, Ports, Source},
    legs::Seen,
    missed::Missed,
    phase::Phase,
    reason,
};

/// B is invited.
#[derive(Debug)]
pub(crate) struct Ringing {
    lookup: Box<Lookup>,
    pub no_answer_at: Instant,
}

impl Ringing {
    pub fn begin(lookup: Box<Lookup>, target: Uri, ports: Ports, cx: &mut Cx) -> Phase {
        cx.invite_b(target, ports);
        let no_answer_at = cx.in_ms(lookup.plan.no_answer_ms);
        Phase::Ringing(Ringing { lookup, no_answer_at })
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match seen {
            Seen::CalleeProgress { status } => {
                cx.tell_progress(status);
                Phase::Ringing(self)
            }
            Seen::CalleeAnswered { sdp } => match cx.b_answered(sdp) {
                Ok(()) => Bridged::begin(cx),
                Err(error) => {
                    cx.end_b(reason::NO_COMMON_MEDIA);
                    Greeting::begin(Missed::nothing_in_common(&error.to_string()), self.lookup, cx)
                }
            },
            Seen::CalleeFailed { status, phrase, local } => {
                Greeting::begin(Missed::refused(status, &phrase, local), self.lookup, cx)
            }
            Seen::CalleeGone { .. } => Greeting::begin(Missed::broke_off(), self.lookup, cx),
            Seen::Due if cx.is_due(self.no_answer_at) || cx.early_is_over() => {
                cx.end_b(reason::NO_ANSWER);
                let missed = if cx.early_is_over() {
                    Missed::too_long()
                } else {
                    Missed::no_answer(self.lookup.plan.no_answer_ms)
                };
                Greeting::begin(missed, self.lookup, cx)
            }
            Seen::CallerGone(gone) => Ending::caller_left_early(cx, gone),
            Seen::HangUp => Ending::by_operator(cx),
            Seen::Media(MediaEvent::PlayFailed {
                source: Source::Clip,
                why,
            }) => {
                cx.clip_trouble = Some(why);
                Phase::Ringing(self)
            }
            Seen::Pracked | Seen::Due | Seen::Media(_) | Seen::Store(_) => Phase::Ringing(self),
        }
    }
}
