//! A watches the clip; B knows nothing. Ends with ports for B's leg.

use std::time::Instant;

use segue_sip_wire::Uri;

use crate::{
    caller::MediaMay,
    cx::Cx,
    ending::Ending,
    greeting::Greeting,
    io::{ClipUse, LegId, Lookup, MediaAction, MediaEvent, Source},
    legs::{B, Seen},
    missed::Missed,
    phase::Phase,
    renditions::clip_use,
    ringing::Ringing,
};

/// A clip whose first packet has not left after this long is given up.
const FIRST_PACKET_MS_MAX: u64 = 5_000;

/// A is held.
#[derive(Debug)]
pub(crate) struct Holding {
    lookup: Box<Lookup>,
    target: Uri,
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
    /// The hold is over, ports for B's leg are awaited.
    Leasing,
}

impl Holding {
    pub fn begin(lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        let Some(target) = lookup.plan.target.parse::<Uri>().ok().filter(Uri::is_sip) else {
            let missed = Missed::bad_target(&lookup.plan.target);
            return Greeting::begin(missed, lookup, cx);
        };
        let clip = lookup
            .clip
            .as_ref()
            .zip(cx.a.answer())
            .and_then(|(clip, answer)| clip_use(clip, answer));
        match clip {
            None => Holding::lease(lookup, target, cx),
            Some(clip) => {
                cx.record.hold_asked_ms = Some(lookup.plan.hold_ms);
                match cx.give_answer_early() {
                    MediaMay::StartNow => Holding::play(lookup, target, clip, cx),
                    MediaMay::StartOnPrack => Phase::Holding(Holding {
                        lookup,
                        target,
                        step: Step::Pracking { clip },
                    }),
                }
            }
        }
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        let Holding { lookup, target, step } = self;
        match (step, seen) {
            (Step::Pracking { clip }, Seen::Pracked) => Holding::play(lookup, target, clip, cx),
            (Step::Starting { .. }, Seen::Media(MediaEvent::FirstPacket { source: Source::Clip })) => {
                let until = cx.in_ms(lookup.plan.hold_ms);
                Phase::Holding(Holding {
                    lookup,
                    target,
                    step: Step::Held { until },
                })
            }
            // `#` skips the rest.
            (
                Step::Starting { .. } | Step::Held { .. },
                Seen::Media(MediaEvent::Dtmf {
                    leg: LegId::A,
                    key: '#',
                }),
            ) => Holding::lease(lookup, target, cx),
            (
                Step::Starting { .. } | Step::Held { .. },
                Seen::Media(MediaEvent::PlayFailed {
                    source: Source::Clip,
                    why,
                }),
            ) => {
                cx.clip_trouble = Some(why);
                Holding::lease(lookup, target, cx)
            }
            (Step::Held { until }, Seen::Due) if cx.is_due(until) => Holding::lease(lookup, target, cx),
            (Step::Starting { until }, Seen::Due) if cx.is_due(until) => {
                cx.clip_trouble = Some("its first packet did not leave in time".into());
                Holding::lease(lookup, target, cx)
            }
            (Step::Leasing, Seen::Media(MediaEvent::Opened { leg: B, ports })) => {
                Ringing::begin(lookup, target, ports, cx)
            }
            (Step::Leasing, Seen::Media(MediaEvent::OpenFailed { leg: B, why })) => {
                cx.lease_b_failed();
                Greeting::begin(Missed::no_ports(&why), lookup, cx)
            }
            (
                Step::Leasing,
                Seen::Media(MediaEvent::PlayFailed {
                    source: Source::Clip,
                    why,
                }),
            ) => {
                cx.clip_trouble = Some(why);
                Phase::Holding(Holding {
                    lookup,
                    target,
                    step: Step::Leasing,
                })
            }
            (_, Seen::CallerGone(gone)) => Ending::caller_left_early(cx, gone),
            (_, Seen::HangUp) => Ending::by_operator(cx),
            (Step::Pracking { .. }, Seen::Due) if cx.early_is_over() => Ending::never_pracked(cx),
            (_, Seen::Due) if cx.early_is_over() => Greeting::begin(Missed::too_long(), lookup, cx),
            (step, _) => Phase::Holding(Holding { lookup, target, step }),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Starting { until } | Step::Held { until } => Some(until),
            Step::Pracking { .. } | Step::Leasing => None,
        }
    }

    fn play(lookup: Box<Lookup>, target: Uri, clip: ClipUse, cx: &mut Cx) -> Phase {
        cx.media(MediaAction::Play {
            source: Source::Clip,
            clip,
            looping: true,
        });
        if lookup.plan.hold_ms == 0 {
            return Holding::lease(lookup, target, cx);
        }
        let until = cx.in_ms(FIRST_PACKET_MS_MAX);
        Phase::Holding(Holding {
            lookup,
            target,
            step: Step::Starting { until },
        })
    }

    fn lease(lookup: Box<Lookup>, target: Uri, cx: &mut Cx) -> Phase {
        cx.lease_b();
        Phase::Holding(Holding {
            lookup,
            target,
            step: Step::Leasing,
        })
    }
}
