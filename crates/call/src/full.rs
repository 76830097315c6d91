//! The mailbox is full: A is told so, politely, and is let go. Whoever has not been answered by then is refused after the notice, and
//! is not charged.

use std::time::Instant;

use segue_mailbox::Rule;
use segue_policy::AnswerAt;
use segue_records::CallResult;

use crate::{
    caller::MediaMay,
    cx::Cx,
    ending::Ending,
    greeting::PLAYED_LATE_MS_MAX,
    io::{ClipUse, LegId, Lookup, MediaAction, MediaEvent, Source},
    legs::{CallerGone, Seen},
    missed::Missed,
    phase::Phase,
    reason,
    renditions::clip_use,
};

/// The notice plays.
#[derive(Debug)]
pub(crate) struct Full {
    missed: Missed,
    rule: Rule,
    duration_ms: u64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// A gets the answer only now, reliably: the notice starts on its PRACK.
    Pracking {
        notice: ClipUse,
    },
    Telling {
        until: Instant,
    },
}

impl Full {
    /// `rule` has no room for A's message.
    pub fn begin(missed: Missed, lookup: &Lookup, rule: Rule, cx: &mut Cx) -> Phase {
        let notice = lookup.full.as_ref().zip(cx.a.answer());
        let Some((duration_ms, notice)) =
            notice.and_then(|(clip, answer)| Some((clip.duration_ms, clip_use(clip, answer)?)))
        else {
            return ended(cx, &missed, rule, "there was no notice to play");
        };
        let waiting = Full {
            missed,
            rule,
            duration_ms,
            step: Step::Pracking { notice: notice.clone() },
        };
        if cx.early_is_over() || lookup.plan.answer_at == AnswerAt::Greeting {
            cx.answer_a();
        } else if !cx.answer_is_given() && cx.give_answer_early() == MediaMay::StartOnPrack {
            return Phase::Full(waiting);
        }
        waiting.play(notice, cx)
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match (self.step, seen) {
            (Step::Pracking { notice }, Seen::Pracked) => {
                let step = Step::Pracking { notice: notice.clone() };
                Full { step, ..self }.play(notice, cx)
            }
            (Step::Pracking { .. }, Seen::Due) if cx.early_is_over() => Ending::never_pracked(cx),
            (Step::Telling { .. }, Seen::Media(MediaEvent::Played { source: Source::Notice })) => {
                ended(cx, &self.missed, self.rule, "the caller was told so")
            }
            (
                Step::Telling { .. },
                Seen::Media(MediaEvent::PlayFailed {
                    source: Source::Notice,
                    why,
                }),
            ) => ended(
                cx,
                &self.missed,
                self.rule,
                &format!("the notice could not be played: {why}"),
            ),
            (
                Step::Telling { .. },
                Seen::Key {
                    leg: LegId::A,
                    key: '#',
                    ..
                },
            ) => ended(cx, &self.missed, self.rule, "the caller skipped the notice"),
            (Step::Telling { until }, Seen::Due) if cx.is_due(until) || cx.early_is_over() => {
                ended(cx, &self.missed, self.rule, "the notice was broken off")
            }
            (_, Seen::CallerGone(CallerGone::Cancelled | CallerGone::HungUp { .. })) => {
                ended(cx, &self.missed, self.rule, "the caller hung up on the notice")
            }
            (_, Seen::CallerGone(broken)) => Ending::caller_broke(cx, &broken),
            (_, Seen::HangUp) => {
                cx.end_a(480, reason::OPERATOR);
                ended(cx, &self.missed, self.rule, "the operator ended the call")
            }
            (step, _) => Phase::Full(Full { step, ..self }),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Pracking { .. } => None,
            Step::Telling { until } => Some(until),
        }
    }

    fn play(self, notice: ClipUse, cx: &mut Cx) -> Phase {
        cx.media(MediaAction::Play {
            source: Source::Notice,
            clip: notice,
            looping: false,
        });
        let until = cx.in_ms(self.duration_ms.saturating_add(PLAYED_LATE_MS_MAX));
        Phase::Full(Full {
            step: Step::Telling { until },
            ..self
        })
    }
}

/// A is hung up on, or refused where it was never answered.
fn ended(cx: &mut Cx, missed: &Missed, rule: Rule, how: &str) -> Phase {
    cx.end_a(480, reason::MAILBOX_FULL);
    let why = format!("{}; the mailbox was full ({}), {how}", missed.sentence, rule.name());
    Ending::begin(cx, CallResult::MailboxFull, Some(missed.cause), why)
}
