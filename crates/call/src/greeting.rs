//! B did not take the call: the greeting plays, then the menu, if there is one, then the beep. A is answered before the greeting or
//! after it, as the profile wants it, so that a caller who hangs up during an early greeting is not charged.

use std::time::Instant;

use segue_policy::AnswerAt;
use segue_records::CallResult;

use crate::{
    beeping::Beeping,
    caller::MediaMay,
    choosing::Choosing,
    cx::Cx,
    ending::Ending,
    full::Full,
    io::{ClipUse, LegId, Lookup, MediaAction, MediaEvent, Source},
    leaving::Leaving,
    legs::{CallerGone, Leg, Seen},
    missed::Missed,
    phase::Phase,
    reason,
    recording::Recording,
    renditions::clip_use,
};

/// A source that has not come to its end this long after its playing time is given up.
pub(crate) const PLAYED_LATE_MS_MAX: u64 = 5_000;

/// The greeting plays.
#[derive(Debug)]
pub(crate) struct Greeting {
    missed: Missed,
    lookup: Box<Lookup>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// A gets the answer only now, reliably: the greeting starts on its PRACK.
    Pracking {
        greeting: ClipUse,
    },
    /// A has the answer, reliably; its PRACK comes first.
    AnswerPracking,
    /// A offered nothing: our offer is in the 200, the ACK brings the answer.
    Agreeing,
    /// The store is asked whether there is room for a message; what played before goes on meanwhile.
    Asking {
        next: Next,
        until: Instant,
    },
    Greeting {
        until: Instant,
    },
}

/// What follows once there is room.
#[derive(Debug, Clone, Copy)]
enum Next {
    Greeting,
    /// A sent nothing before.
    Beep,
}

impl Greeting {
    pub fn begin(missed: Missed, lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        if cx.a.answer().is_none() {
            return Greeting::settle(missed, lookup, cx);
        }
        // A was to hear a callee early, who is gone before A's PRACK.
        if cx.answer_awaits_prack() {
            let step = Step::AnswerPracking;
            return Phase::Greeting(Greeting { missed, lookup, step });
        }
        if !cx.a.sends() || lookup.plan.decided.no_message {
            return Greeting::greet(missed, lookup, cx);
        }
        if cx.early_is_over() {
            cx.answer_a();
        }
        Greeting::ask(missed, lookup, Next::Greeting, cx)
    }

    fn ask(missed: Missed, lookup: Box<Lookup>, next: Next, cx: &mut Cx) -> Phase {
        let until = cx.ask_for_place(&lookup.plan.mailbox);
        let step = Step::Asking { next, until };
        Phase::Greeting(Greeting { missed, lookup, step })
    }

    /// There is room, as far as is known.
    fn go_on(missed: Missed, lookup: Box<Lookup>, next: Next, cx: &mut Cx) -> Phase {
        match next {
            Next::Greeting => Greeting::greet(missed, lookup, cx),
            Next::Beep => Greeting::beep(missed, lookup, cx),
        }
    }

    fn greet(missed: Missed, lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        let greeting = lookup
            .greeting
            .as_ref()
            .zip(cx.a.answer())
            .and_then(|(clip, answer)| clip_use(clip, answer));
        let Some(greeting) = greeting else {
            if lookup.plan.decided.no_message {
                return Greeting::over(&missed, CallResult::Rejected, "no greeting is played", cx);
            }
            if !cx.a.sends() {
                // Nothing to say and nothing to hear.
                cx.end_a(missed.status_for_a(), reason::NORMAL);
                let why = format!(
                    "{}; the caller could neither hear a greeting nor leave a message",
                    missed.sentence
                );
                return Ending::begin(cx, CallResult::Failed, Some(missed.cause), why);
            }
            return Greeting::beep(missed, lookup, cx);
        };
        // Who was held on the greeting and has heard all of it does not hear it again.
        if let Some((Source::Greeting, clip)) = lookup.held_on()
            && cx.held_to_the_end(clip.duration_ms)
        {
            return Greeting::beep(missed, lookup, cx);
        }
        if cx.early_is_over() || lookup.plan.answer_at == AnswerAt::Greeting {
            cx.answer_a();
            return Greeting::play(missed, lookup, greeting, cx);
        }
        if cx.answer_is_given() {
            cx.tell(181);
            return Greeting::play(missed, lookup, greeting, cx);
        }
        match cx.give_answer_early() {
            MediaMay::StartNow => Greeting::play(missed, lookup, greeting, cx),
            MediaMay::StartOnPrack => Phase::Greeting(Greeting {
                missed,
                lookup,
                step: Step::Pracking { greeting },
            }),
        }
    }

    /// A's description was left open until now.
    fn settle(missed: Missed, lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        match cx.settle_for_mailbox(&lookup) {
            Err(error) => {
                cx.end_a(missed.status_for_a(), reason::NORMAL);
                let why = format!("{}; the caller could leave no message: {error}", missed.sentence);
                Ending::begin(cx, CallResult::Failed, Some(missed.cause), why)
            }
            Ok(()) if cx.a.answer().is_some() => Greeting::begin(missed, lookup, cx),
            Ok(()) => {
                cx.answer_a();
                let step = Step::Agreeing;
                Phase::Greeting(Greeting { missed, lookup, step })
            }
        }
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        let Greeting { missed, lookup, step } = self;
        match (step, seen) {
            (Step::Agreeing, Seen::CallerAnswered) if cx.a.answer().is_some() => Greeting::begin(missed, lookup, cx),
            (Step::Agreeing, Seen::CallerAnswered) => {
                cx.end_a(488, reason::NO_COMMON_MEDIA);
                let why = format!(
                    "{}; the caller's answer to our offer could not be used",
                    missed.sentence
                );
                Ending::begin(cx, CallResult::Failed, Some(missed.cause), why)
            }
            (Step::Asking { next, .. }, Seen::MayRecord) => Greeting::go_on(missed, lookup, next, cx),
            (Step::Asking { next, until }, Seen::Due) if cx.is_due(until) => Greeting::go_on(missed, lookup, next, cx),
            // Also when that is known only during the greeting.
            (Step::Asking { .. } | Step::Greeting { .. }, Seen::MailboxFull { rule }) => {
                Full::begin(missed, &lookup, rule, cx)
            }
            (Step::Asking { .. }, Seen::CallerGone(gone)) if cx.record.answered_at.is_none() => {
                Ending::caller_left_early(cx, gone)
            }
            (Step::Pracking { greeting }, Seen::Pracked) => Greeting::play(missed, lookup, greeting, cx),
            (Step::AnswerPracking, Seen::Pracked) => Greeting::begin(missed, lookup, cx),
            (Step::AnswerPracking, Seen::Due) if cx.early_is_over() => Ending::never_pracked(cx),
            (Step::Pracking { .. } | Step::AnswerPracking, Seen::CallerGone(gone)) => {
                Ending::caller_left_early(cx, gone)
            }
            (
                Step::Greeting { .. },
                Seen::Media(
                    MediaEvent::Played {
                        source: Source::Greeting,
                    }
                    | MediaEvent::PlayFailed {
                        source: Source::Greeting,
                        ..
                    },
                ),
            ) => Greeting::beep(missed, lookup, cx),
            // `#` skips to the beep.
            (
                Step::Greeting { .. },
                Seen::Key {
                    leg: LegId::A,
                    key: '#',
                    ..
                },
            ) => Greeting::beep(missed, lookup, cx),
            (Step::Greeting { until }, Seen::Due) if cx.is_due(until) => Greeting::beep(missed, lookup, cx),
            (step, Seen::Due) if cx.early_is_over() => match step {
                Step::Pracking { .. } => Ending::never_pracked(cx),
                step => {
                    cx.answer_a();
                    Phase::Greeting(Greeting { missed, lookup, step })
                }
            },
            (_, Seen::CallerGone(CallerGone::Cancelled | CallerGone::HungUp { .. })) => {
                Ending::before_a_message(&missed, cx)
            }
            (_, Seen::CallerGone(broken)) => Ending::caller_broke(cx, &broken),
            (_, Seen::HangUp) if cx.legs.a == Leg::Inviting => Ending::by_operator(cx),
            (_, Seen::HangUp) => Ending::by_operator_before_a_message(&missed, cx),
            (step, _) => Phase::Greeting(Greeting { missed, lookup, step }),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Pracking { .. } | Step::AnswerPracking | Step::Agreeing => None,
            Step::Asking { until, .. } | Step::Greeting { until } => Some(until),
        }
    }

    fn play(missed: Missed, lookup: Box<Lookup>, greeting: ClipUse, cx: &mut Cx) -> Phase {
        let duration_ms = lookup.greeting.as_ref().map_or(0, |clip| clip.duration_ms);
        cx.media(MediaAction::Play {
            source: Source::Greeting,
            clip: greeting,
            looping: false,
        });
        let until = cx.in_ms(duration_ms.saturating_add(PLAYED_LATE_MS_MAX));
        Phase::Greeting(Greeting {
            missed,
            lookup,
            step: Step::Greeting { until },
        })
    }

    /// The callee's rules let the caller leave no message: hung up on, or refused where it was never answered.
    fn over(missed: &Missed, result: CallResult, heard: &str, cx: &mut Cx) -> Phase {
        cx.end_a(missed.status_for_a(), reason::NORMAL);
        let why = format!("{}; {heard}, and the callee takes no message", missed.sentence);
        Ending::begin(cx, result, Some(missed.cause), why)
    }

    fn beep(missed: Missed, lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        if lookup.plan.decided.no_message {
            return Greeting::over(&missed, CallResult::Greeted, "the greeting is over", cx);
        }
        cx.answer_a();
        let leaving = Leaving::new(missed, lookup, cx);
        if !cx.a.sends() {
            return Recording::begin(leaving, cx);
        }
        if !cx.has_asked_for_place() {
            return Greeting::ask(leaving.missed, leaving.lookup, Next::Beep, cx);
        }
        match leaving.voice() {
            Some(voice) => Choosing::begin(leaving, voice, cx),
            None => Beeping::begin(leaving, cx),
        }
    }
}
