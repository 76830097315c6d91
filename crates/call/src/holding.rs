//! A watches the clip; B knows nothing.

use std::time::Instant;

use crate::{
    caller::MediaMay,
    cx::Cx,
    ending::Ending,
    greeting::Greeting,
    io::{ClipUse, LegId, Lookup, MediaAction, MediaEvent, Source},
    legs::Seen,
    missed::Missed,
    phase::Phase,
    renditions::clip_use,
    ringing::{self, Ringing},
};

/// A clip whose first packet has not left after this long is given up.
const FIRST_PACKET_MS_MAX: u64 = 5_000;

/// A is held.
#[derive(Debug)]
pub(crate) struct Holding {
    lookup: Box<Lookup>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The answer went reliably: media starts on its PRACK, and B is never invited before it.
    Pracking {
        clip: ClipUse,
    },
    /// The clip is asked for; the hold runs from its first packet.
    Starting {
        until: Instant,
    },
    Held {
        until: Instant,
    },
}

impl Holding {
    pub fn begin(lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        if let Some(missed) = ringing::nowhere_to_call(&lookup.plan) {
            return Greeting::begin(missed, lookup, cx);
        }
        let clip = lookup
            .clip
            .as_ref()
            .zip(cx.a.answer())
            .and_then(|(clip, answer)| clip_use(clip, answer));
        match clip {
            None => Ringing::begin(lookup, cx),
            Some(clip) => {
                cx.record.hold_asked_ms = Some(lookup.plan.hold_ms);
                match cx.give_answer_early() {
                    MediaMay::StartNow => Holding::play(lookup, clip, cx),
                    MediaMay::StartOnPrack => Phase::Holding(Holding {
                        lookup,
                        step: Step::Pracking { clip },
                    }),
                }
            }
        }
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        let Holding { lookup, step } = self;
        match (step, seen) {
            (Step::Pracking { clip }, Seen::Pracked) => Holding::play(lookup, clip, cx),
            (Step::Starting { .. }, Seen::Media(MediaEvent::FirstPacket { source: Source::Clip })) => {
                let until = cx.in_ms(lookup.plan.hold_ms);
                Phase::Holding(Holding {
                    lookup,
                    step: Step::Held { until },
                })
            }
            // `#` skips the rest.
            (
                Step::Starting { .. } | Step::Held { .. },
                Seen::Key {
                    leg: LegId::A,
                    key: '#',
                    ..
                },
            ) => Ringing::begin(lookup, cx),
            (
                Step::Starting { .. } | Step::Held { .. },
                Seen::Media(MediaEvent::PlayFailed {
                    source: Source::Clip,
                    why,
                }),
            ) => {
                cx.clip_trouble = Some(why);
                Ringing::begin(lookup, cx)
            }
            (Step::Held { until }, Seen::Due) if cx.is_due(until) => Ringing::begin(lookup, cx),
            (Step::Starting { until }, Seen::Due) if cx.is_due(until) => {
                cx.clip_trouble = Some("its first packet did not leave in time".into());
                Ringing::begin(lookup, cx)
            }
            (_, Seen::CallerGone(gone)) => Ending::caller_left_early(cx, gone),
            (_, Seen::HangUp) => Ending::by_operator(cx),
            (Step::Pracking { .. }, Seen::Due) if cx.early_is_over() => Ending::never_pracked(cx),
            (_, Seen::Due) if cx.early_is_over() => Greeting::begin(Missed::too_long(), lookup, cx),
            (step, _) => Phase::Holding(Holding { lookup, step }),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Starting { until } | Step::Held { until } => Some(until),
            Step::Pracking { .. } => None,
        }
    }

    fn play(lookup: Box<Lookup>, clip: ClipUse, cx: &mut Cx) -> Phase {
        cx.media(MediaAction::Play {
            source: Source::Clip,
            clip,
            looping: true,
        });
        if lookup.plan.hold_ms == 0 {
            return Ringing::begin(lookup, cx);
        }
        let until = cx.in_ms(FIRST_PACKET_MS_MAX);
        Phase::Holding(Holding {
            lookup,
            step: Step::Starting { until },
        })
    }
}
