//! The callee's plan is being read, then ports are leased for A.

use segue_policy::{Emergency, First, Reliable, UnknownCallee};
use segue_records::CallResult;
use segue_sdp::{Description, Family};

use crate::{
    cx::Cx,
    deciding,
    ending::Ending,
    greeting::Greeting,
    holding::Holding,
    io::{LegId, Lookup, MediaAction, MediaEvent, RefuseInfo, StoreReply, Towards},
    legs::Seen,
    missed::Missed,
    onward::NoWay,
    phase::Phase,
    reason,
    renditions::fitting,
    reserving::{Next, Reserving},
    ringing,
    serving::Serving,
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
    Leasing {
        lookup: Box<Lookup>,
    },
    /// A offered nothing: our offer is out in a reliable 183, the PRACK brings the answer.
    Agreeing {
        lookup: Box<Lookup>,
    },
    /// A's answer is out; its mandatory preconditions are not met yet.
    Reserving(Reserving),
}

impl LookingUp {
    pub fn begin(cx: &mut Cx) -> Phase {
        let urgent = cx.invite.emergency.is_some();
        let helps = cx.invite.emergency == Some(Emergency::Call);
        if cx.invite.is_loop && !helps {
            cx.refuse_a(482, None, None);
            let why = "The call is here already: it has gone in a circle";
            return Ending::begin(cx, CallResult::Rejected, Some(482), why);
        }
        if cx.invite.profile.reliable == Reliable::Always && !cx.a.is_reliable() && !urgent {
            cx.refuse_a_with(RefuseInfo {
                status: 421,
                require: Some("100rel"),
                ..RefuseInfo::default()
            });
            let why = "The caller does not support 100rel, which the profile asks for (reliable)";
            return Ending::begin(cx, CallResult::Rejected, Some(421), why);
        }
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
        let looking = LookingUp {
            offer,
            step: Step::Asking,
        };
        if urgent {
            cx.invite.further.sent_on = None;
        }
        if helps {
            return looking.plain(cx);
        }
        cx.serves = cx.service();
        if cx.serves.is_some() {
            return looking.plain(cx);
        }
        match cx.whom() {
            Some(lookup) => {
                cx.store(lookup);
                Phase::LookingUp(looking)
            }
            None => looking.unknown(cx, "The Request-URI names no user"),
        }
    }

    /// The callee is no subscriber.
    fn unknown(self, cx: &mut Cx, why: &str) -> Phase {
        match cx.invite.profile.unknown_callee {
            UnknownCallee::Reject if cx.invite.emergency != Some(Emergency::Call) => {
                cx.refuse_a(404, None, None);
                Ending::begin(cx, CallResult::Rejected, Some(404), why)
            }
            UnknownCallee::Reject | UnknownCallee::Forward => self.plain(cx),
        }
    }

    /// Called as A calls it, and nothing more.
    fn plain(self, cx: &mut Cx) -> Phase {
        // A mailbox that its caller was sent to is somebody else's.
        cx.invite.further.sent_on = None;
        let lookup = Lookup::plain(cx.plain_plan());
        self.found(Box::new(lookup), cx)
    }

    /// It is known whom to call.
    fn found(self, mut lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        if cx.invite.emergency.is_some() {
            // Neither clip nor mailbox: who is called back is rung at once, and only they may say no.
            lookup.plan.plain = true;
            (lookup.clip, lookup.greeting) = (None, None);
        }
        if let Some(ended) = deciding::first(&mut lookup, cx) {
            return ended;
        }
        if cx.serves.is_none()
            && cx.invite.further.sent_on.is_none()
            && lookup.plan.decided.first == First::Ring
            && let Some(ended) = LookingUp::does_not_get_there(&mut lookup, cx)
        {
            return ended;
        }
        // Who has offered nothing has its media where its SIP is, for all that is known.
        let family = self.offer.as_ref().and_then(Description::family);
        let family = family.unwrap_or_else(|| Family::of(cx.invite.source.to_canonical()));
        let towards = Towards::Family(family);
        cx.media(MediaAction::Open { leg: LegId::A, towards });
        Phase::LookingUp(LookingUp {
            step: Step::Leasing { lookup },
            ..self
        })
    }

    pub fn on(mut self, seen: Seen, cx: &mut Cx) -> Phase {
        match (self.step, seen) {
            (Step::Asking, Seen::Store(StoreReply::Found(lookup))) => {
                let step = Step::Asking;
                LookingUp { step, ..self }.found(lookup, cx)
            }
            // The mailbox is another server's: the call goes there as any.
            (Step::Asking, Seen::Store(StoreReply::NotFound)) if cx.invite.further.sent_on.take().is_some() => {
                let step = Step::Asking;
                LookingUp { step, ..self }.unknown(cx, "The mailbox is no subscriber's")
            }
            (Step::Asking, Seen::Store(StoreReply::NotFound)) => {
                let why = format!("{} is no subscriber", cx.record.to);
                let step = Step::Asking;
                LookingUp { step, ..self }.unknown(cx, &why)
            }
            // It may be somebody's who is no subscriber.
            (Step::Asking, Seen::Store(StoreReply::LookupFailed { .. } | StoreReply::TooManyCalls { .. }))
                if cx.invite.emergency.is_some() =>
            {
                let step = Step::Asking;
                LookingUp { step, ..self }.plain(cx)
            }
            (Step::Asking, Seen::Store(StoreReply::TooManyCalls { calls_max })) => {
                // An account's bound: 503 would say that the node is full.
                cx.refuse_a(
                    403,
                    None,
                    Some("399 segue \"Too many calls for this account\"".to_owned()),
                );
                let why = format!("The callee has {calls_max} calls, as many as a subscriber may");
                Ending::begin(cx, CallResult::Rejected, Some(403), why)
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
                cx.media(MediaAction::Rules {
                    rtp_gone_ms: match cx.invite.emergency {
                        Some(_) => 0,
                        None => cx.invite.profile.rtp_gone_ms,
                    },
                    media_from: cx.invite.profile.media_from,
                    source: cx.invite.source,
                });
                // Take what the clip can be sent in; without one, what greeting or beep can.
                let first = lookup
                    .held_on()
                    .map(|(_, clip)| clip)
                    .or(lookup.greeting.as_ref())
                    .or(lookup.beep.as_ref());
                // What is said and played to who serves itself is there in any format.
                let serves = cx.serves.is_some();
                let preferred = |format: &_| serves || first.is_some_and(|clip| fitting(clip, format).is_some());
                let Some(offer) = self.offer.take() else {
                    if cx.offer_to_caller(&lookup, ports) {
                        let step = Step::Agreeing { lookup };
                        return Phase::LookingUp(LookingUp { step, ..self });
                    }
                    return LookingUp::go_on(lookup, cx);
                };
                let answered = if offer.is_foreign() {
                    cx.leave_answer_to_callee(offer, ports)
                } else {
                    cx.answer_offer(&offer, ports, &preferred, lookup.clip.is_some())
                };
                match answered {
                    Ok(()) => match Reserving::begin(lookup, cx) {
                        Next::GoOn(lookup) => LookingUp::go_on(lookup, cx),
                        Next::Wait(reserving) => {
                            let step = Step::Reserving(reserving);
                            Phase::LookingUp(LookingUp { step, ..self })
                        }
                        Next::End(ended) => *ended,
                    },
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
            (Step::Reserving(reserving), Seen::Pracked | Seen::CallerChanged) if reserving.is_over(cx) => {
                LookingUp::go_on(reserving.lookup, cx)
            }
            (Step::Reserving(reserving), seen @ Seen::Due) => match reserving.on(&seen, cx) {
                Some(ended) => ended,
                None => {
                    let step = Step::Reserving(reserving);
                    Phase::LookingUp(LookingUp { step, ..self })
                }
            },
            (Step::Agreeing { lookup }, Seen::Pracked) if cx.a.answer().is_some() => LookingUp::go_on(lookup, cx),
            (Step::Agreeing { .. }, Seen::Pracked) => {
                let warning = cx.a.trouble.take().map(|warning| warning.to_string());
                cx.refuse_a(488, None, warning);
                let why = "The caller's PRACK did not bring a usable answer to our offer";
                Ending::begin(cx, CallResult::Rejected, Some(488), why)
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

    /// What is known of the callee.
    pub fn lookup(&self) -> Option<&Lookup> {
        match &self.step {
            Step::Asking => None,
            Step::Leasing { lookup } | Step::Agreeing { lookup } => Some(lookup),
            Step::Reserving(reserving) => Some(&reserving.lookup),
        }
    }

    /// When A's resources are given up.
    pub fn deadline(&self) -> Option<std::time::Instant> {
        match &self.step {
            Step::Reserving(reserving) => Some(reserving.deadline()),
            Step::Asking | Step::Leasing { .. } | Step::Agreeing { .. } => None,
        }
    }

    /// Who is called is known, and so is what A is sent.
    fn go_on(mut lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        if let Some(service) = cx.serves {
            return Serving::begin(service, lookup, cx);
        }
        if let Some(sent_on) = &cx.invite.further.sent_on {
            let missed = Missed::sent_on(sent_on.cause);
            // Nobody rings: no rule forwards the caller either.
            lookup.plan.decided.forwarded_for = Some(missed.cause);
            return deciding::missed(missed, lookup, cx);
        }
        match lookup.plan.decided.first {
            First::Greeting(why) => Greeting::begin(Missed::not_called(why), lookup, cx),
            First::Ring | First::HangUp { .. } => Holding::begin(lookup, cx),
        }
    }

    /// A call that may not go where it would, or would come back to us, is refused before any media; so is one that may not split as
    /// often as it would.
    pub fn does_not_get_there(lookup: &mut Lookup, cx: &mut Cx) -> Option<Phase> {
        if let Some(onward) = ringing::named(&lookup.plan, cx).find(|target| target.onward) {
            match cx.way_on(&onward.uri, !lookup.plan.plain) {
                Ok(way) => cx.way = Some(way),
                // A subscriber has other targets, or a mailbox.
                Err(NoWay::Nowhere) if !lookup.plan.plain => {}
                Err(no) => return Some(cx.does_not_go_on(&no)),
            }
        }
        let targets = lookup.plan.targets.len();
        let mailbox = lookup.plan.mailbox.clone();
        lookup.plan.targets.retain(|target| match target.parse() {
            Ok(target) => !cx.comes_back(&target, &mailbox),
            Err(_) => true,
        });
        if targets > 0 && lookup.plan.targets.is_empty() {
            cx.refuse_a(482, None, None);
            let why = "The callee's target is this server and the callee again";
            return Some(Ending::begin(cx, CallResult::Rejected, Some(482), why));
        }
        let (breadth, max) = (ringing::breadth(&lookup.plan, cx), usize::from(cx.invite.max_breadth));
        if (max == 0 || breadth > max) && cx.invite.emergency != Some(Emergency::Call) {
            cx.refuse_a(440, None, None);
            let why = format!("The callee has {breadth} targets to ring at once, and Max-Breadth allows {max}");
            return Some(Ending::begin(cx, CallResult::Rejected, Some(440), why));
        }
        None
    }
}
