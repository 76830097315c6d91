//! The callee's plan is being read, then ports are leased for A.

use segue_records::CallResult;
use segue_sdp::{Description, WarnCode, Warning};

use crate::{
    cx::Cx,
    ending::Ending,
    holding::Holding,
    io::{LegId, Lookup, MediaAction, MediaEvent, StoreAction, StoreReply},
    legs::Seen,
    phase::Phase,
    reason,
    renditions::fitting,
};

/// Who is called?
#[derive(Debug)]
pub(crate) struct LookingUp {
    /// `None`: the INVITE had none. An unknown callee is told first.
    offer: Option<Description>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Asking,
    Leasing { lookup: Box<Lookup> },
}

impl LookingUp {
    pub fn begin(cx: &mut Cx) -> Phase {
        let sdp = cx.invite.offer.clone();
        let offer = match sdp.map(|sdp| Description::parse(&sdp)).transpose() {
            Ok(offer) => offer,
            Err(error) => {
                cx.refuse_a(error.status(), None, Some(error.warning().to_string()));
                return Ending::begin(
                    cx,
                    CallResult::Rejected,
                    Some(error.status()),
                    format!("The offer is {error}"),
                );
            }
        };
        match cx
            .invite
            .request_uri
            .user()
            .map(|user| user.into_owned())
            .filter(|user| !user.is_empty())
        {
            Some(user) => {
                cx.store(StoreAction::Lookup { user });
                Phase::LookingUp(LookingUp {
                    offer,
                    step: Step::Asking,
                })
            }
            None => {
                cx.refuse_a(404, None, None);
                Ending::begin(cx, CallResult::Rejected, Some(404), "The Request-URI names no user")
            }
        }
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match (self.step, seen) {
            (Step::Asking, Seen::Store(StoreReply::Found(_))) if self.offer.is_none() => LookingUp::no_offer(cx),
            (Step::Asking, Seen::Store(StoreReply::Found(lookup))) => {
                cx.media(MediaAction::Open { leg: LegId::A });
                Phase::LookingUp(LookingUp {
                    step: Step::Leasing { lookup },
                    ..self
                })
            }
            (Step::Asking, Seen::Store(StoreReply::NotFound)) => {
                cx.refuse_a(404, None, None);
                let why = format!("{} is no subscriber", cx.record.to);
                Ending::begin(cx, CallResult::Rejected, Some(404), why)
            }
            (Step::Asking, Seen::Store(StoreReply::LookupFailed { why })) => {
                cx.refuse_a(500, Some(reason::STORE_FAILED), None);
                Ending::begin(
                    cx,
                    CallResult::Failed,
                    Some(500),
                    format!("The store could not say who is called: {why}"),
                )
            }
            (Step::Leasing { lookup }, Seen::Media(MediaEvent::Opened { leg: LegId::A, ports })) => {
                // Take what the clip can be sent in; without one, what greeting or beep can.
                let first = lookup
                    .clip
                    .as_ref()
                    .or(lookup.greeting.as_ref())
                    .or(lookup.beep.as_ref());
                let preferred = |format: &_| first.is_some_and(|clip| fitting(clip, format).is_some());
                let Some(offer) = &self.offer else {
                    return LookingUp::no_offer(cx);
                };
                match cx.answer_offer(offer, ports, &preferred) {
                    Ok(()) => Holding::begin(lookup, cx),
                    Err(error) => {
                        cx.refuse_a(error.status(), None, Some(error.warning().to_string()));
                        Ending::begin(
                            cx,
                            CallResult::Rejected,
                            Some(error.status()),
                            format!("Nothing offered can be relayed: {error}"),
                        )
                    }
                }
            }
            (Step::Leasing { .. }, Seen::Media(MediaEvent::OpenFailed { leg: LegId::A, why })) => {
                // Ports run out when the node has more calls than it was given: overload of ours, so 503.
                cx.refuse_a(503, Some(reason::NO_CIRCUIT), None);
                Ending::begin(
                    cx,
                    CallResult::Failed,
                    Some(503),
                    format!("There were no media ports for the caller: {why}"),
                )
            }
            (_, Seen::CallerGone(gone)) => Ending::caller_left_early(cx, gone),
            (_, Seen::HangUp) => Ending::by_operator(cx),
            (_, Seen::Due) if cx.early_is_over() => {
                cx.refuse_a(504, None, None);
                Ending::begin(
                    cx,
                    CallResult::Failed,
                    Some(504),
                    "The callee's plan was not read in time",
                )
            }
            (step, _) => Phase::LookingUp(LookingUp { step, ..self }),
        }
    }
    fn no_offer(cx: &mut Cx) -> Phase {
        let warning = Warning::new(
            WarnCode::Miscellaneous,
            "An INVITE without a session description is not served yet",
        );
        cx.refuse_a(488, None, Some(warning.to_string()));
        Ending::begin(
            cx,
            CallResult::Rejected,
            Some(488),
            "The INVITE had no offer, which is not served yet",
        )
    }
}
