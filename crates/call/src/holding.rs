//! A watches the clip; B knows nothing. `#` ends that at once, `*` lets the clip come to its end.

use std::time::Instant;

use crate::{
    caller::MediaMay,
    cx::{Cx, later},
    deciding,
    ending::Ending,
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
    /// A is offered the clip's pictures by UPDATE; the clip begins when that is settled.
    Upgrading {
        clip: ClipUse,
    },
    /// The clip is asked for; the hold runs from its first packet.
    Starting {
        until: Instant,
    },
    Held {
        since: Instant,
        until: Instant,
    },
}

impl Holding {
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    pub fn begin(lookup: Box<Lookup>, cx: &mut Cx) -> Phase {
        if let Some(missed) = ringing::nowhere_to_call(&lookup.plan, cx) {
            return deciding::missed(missed, lookup, cx);
        }
        let clip = lookup
            .held_on()
            .zip(cx.a.answer())
            .and_then(|((_, clip), answer)| clip_use(clip, answer));
        match clip {
            None => Ringing::begin(lookup, cx),
            Some(clip) => {
                cx.record.hold_asked_ms = Some(lookup.plan.hold_ms);
                match cx.give_answer_early() {
                    MediaMay::StartNow => Holding::start(lookup, clip, cx),
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
            (Step::Pracking { clip }, Seen::Pracked) => Holding::start(lookup, clip, cx),
            (Step::Upgrading { clip }, Seen::CallerChanged) => {
                let answer = cx.a.answer().zip(lookup.held_on());
                let with_pictures = answer.and_then(|(answer, (_, clip))| clip_use(clip, answer));
                Holding::play(lookup, with_pictures.unwrap_or(clip), cx)
            }
            (Step::Starting { .. }, Seen::Media(MediaEvent::FirstPacket { .. })) => {
                cx.note_first_clip_packet();
                let since = cx.now.mono;
                let until = match cx.stays {
                    true => Holding::prolong(&lookup, since, cx),
                    false => cx.while_fresh(cx.in_ms(lookup.plan.hold_ms)),
                };
                let step = Step::Held { since, until };
                Phase::Holding(Holding { lookup, step })
            }
            // `*` prolongs it, once: a clip has one end.
            (
                step @ (Step::Starting { .. } | Step::Held { .. }),
                Seen::Key {
                    leg: LegId::A,
                    key: '*',
                    ..
                },
            ) if !cx.stays => {
                cx.stays = true;
                cx.record.prolonged_at = Some(cx.now.wall);
                let step = match step {
                    Step::Held { since, .. } => Step::Held {
                        since,
                        until: Holding::prolong(&lookup, since, cx),
                    },
                    step => step,
                };
                Phase::Holding(Holding { lookup, step })
            }
            // `#` skips the rest.
            (
                Step::Starting { .. } | Step::Held { .. },
                Seen::Key {
                    leg: LegId::A,
                    key: '#',
                    ..
                },
            ) => {
                cx.stays = false;
                Ringing::begin(lookup, cx)
            }
            (Step::Starting { .. } | Step::Held { .. }, Seen::Media(MediaEvent::PlayFailed { why, .. })) => {
                cx.clip_trouble = Some(why);
                cx.stays = false;
                Ringing::begin(lookup, cx)
            }
            (Step::Held { until, .. }, Seen::Due) if cx.is_due(until) => Ringing::begin(lookup, cx),
            (Step::Starting { until }, Seen::Due) if cx.is_due(until) => {
                cx.clip_trouble = Some("its first packet did not leave in time".into());
                cx.stays = false;
                Ringing::begin(lookup, cx)
            }
            (_, Seen::CallerGone(gone)) => Ending::caller_left_early(cx, gone),
            (_, Seen::HangUp) => Ending::by_operator(cx),
            (Step::Pracking { .. }, Seen::Due) if cx.early_is_over() => Ending::never_pracked(cx),
            (_, Seen::Due) if cx.early_is_over() => deciding::missed(Missed::too_long(), lookup, cx),
            (step, _) => Phase::Holding(Holding { lookup, step }),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Starting { until } | Step::Held { until, .. } => Some(until),
            Step::Pracking { .. } | Step::Upgrading { .. } => None,
        }
    }

    /// When the hold ends for a caller who stays to watch: with the clip, the first time that it ends after the hold that was
    /// planned. It is bounded as every hold is, and B still has all its time to ring before the early phase is over.
    fn prolong(lookup: &Lookup, since: Instant, cx: &mut Cx) -> Instant {
        let planned_ms = lookup.plan.hold_ms;
        let clip_ms = lookup.held_on().map_or(0, |(_, clip)| clip.duration_ms);
        let ends_ms = planned_ms.checked_next_multiple_of(clip_ms).unwrap_or(planned_ms);
        let early_ms = cx.early_deadline().map_or(u64::MAX, |early| {
            u64::try_from(early.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
        });
        let most_ms = early_ms
            .saturating_sub(lookup.plan.no_answer_ms)
            .min(cx.invite.profile.hold_max_ms);
        let hold_ms = ends_ms.min(most_ms).max(planned_ms);
        let until = cx.while_fresh(later(since, hold_ms).unwrap_or(since));
        let hold_ms = until.saturating_duration_since(since).as_millis();
        cx.record.hold_asked_ms = u64::try_from(hold_ms).ok();
        until
    }

    /// The clip may begin; a caller with sound alone may be offered its pictures first.
    fn start(lookup: Box<Lookup>, clip: ClipUse, cx: &mut Cx) -> Phase {
        if lookup.held_on().is_some_and(|(_, shown)| cx.offer_pictures(shown)) {
            let step = Step::Upgrading { clip };
            return Phase::Holding(Holding { lookup, step });
        }
        Holding::play(lookup, clip, cx)
    }

    fn play(lookup: Box<Lookup>, clip: ClipUse, cx: &mut Cx) -> Phase {
        cx.media(MediaAction::Play {
            source: lookup.held_on().map_or(Source::Clip, |(source, _)| source),
            clip,
            looping: true,
        });
        if lookup.plan.hold_ms == 0 {
            return Ringing::begin(lookup, cx);
        }
        let until = cx.while_fresh(cx.in_ms(FIRST_PACKET_MS_MAX));
        Phase::Holding(Holding {
            lookup,
            step: Step::Starting { until },
        })
    }
}
