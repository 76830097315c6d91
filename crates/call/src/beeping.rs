//! The beep, with its picture that stays while A is recorded. Who leaves a voice message sees one that says so.

use std::time::Instant;

use segue_records::{CallResult, PhaseName};

use crate::{
    cx::Cx,
    ending::Ending,
    greeting::PLAYED_LATE_MS_MAX,
    io::{ClipUse, MediaAction, MediaEvent, Source},
    leaving::Leaving,
    legs::{CallerGone, Seen},
    phase::Phase,
    prompts::Picture,
    reason,
    recording::Recording,
    renditions::clip_use,
    saving::Saving,
};

/// The beep plays.
#[derive(Debug)]
pub(crate) struct Beeping {
    leaving: Leaving,
    pub until: Instant,
}

impl Beeping {
    /// A has been answered.
    pub fn begin(leaving: Leaving, cx: &mut Cx) -> Phase {
        let voice = leaving.voice().filter(|_| leaving.voice_only && cx.caller_shows());
        if let Some(voice) = &voice {
            cx.say(voice, Vec::new(), Some(Picture::VoiceMessage));
        }
        let beep = leaving.lookup.beep.as_ref().zip(cx.a.answer());
        let beep = beep.and_then(|(clip, answer)| Some((clip.duration_ms, clip_use(clip, answer)?)));
        let beep = beep.map(|(duration_ms, clip)| match voice {
            Some(_) => (duration_ms, ClipUse { video: None, ..clip }),
            None => (duration_ms, clip),
        });
        let Some((duration_ms, clip)) = beep.filter(|(_, clip)| clip.audio.is_some() || clip.video.is_some()) else {
            return Recording::begin(leaving, cx);
        };
        cx.media(MediaAction::Play {
            source: Source::Beep,
            clip,
            looping: false,
        });
        let until = cx.in_ms(duration_ms.saturating_add(PLAYED_LATE_MS_MAX));
        Phase::Beeping(Beeping { leaving, until })
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match seen {
            Seen::Media(
                MediaEvent::Played { source: Source::Beep }
                | MediaEvent::PlayFailed {
                    source: Source::Beep, ..
                },
            ) => Recording::begin(self.leaving, cx),
            Seen::Due if cx.is_due(self.until) => Recording::begin(self.leaving, cx),
            // What was recorded before is sent, if it can be.
            Seen::CallerGone(_) | Seen::HangUp if self.leaving.takes > 0 => Saving::as_it_was(self.leaving, cx),
            Seen::CallerGone(CallerGone::Cancelled | CallerGone::HungUp { .. }) => {
                Ending::before_a_message(&self.leaving.missed, cx)
            }
            Seen::CallerGone(broken) => Ending::caller_broke(cx, &broken),
            Seen::HangUp => Ending::by_operator_before_a_message(&self.leaving.missed, cx),
            _ => Phase::Beeping(self),
        }
    }

    pub fn name(&self) -> PhaseName {
        if self.leaving.chosen || self.leaving.takes > 0 {
            PhaseName::Recording
        } else {
            PhaseName::Greeting
        }
    }
}

impl Ending {
    /// A hung up on greeting, menu or beep.
    pub(crate) fn before_a_message(missed: &crate::missed::Missed, cx: &mut Cx) -> Phase {
        let why = format!("{}; the caller hung up before leaving a message", missed.sentence);
        Ending::begin(cx, CallResult::Greeted, Some(missed.cause), why)
    }

    /// The operator hung up on A then.
    pub(crate) fn by_operator_before_a_message(missed: &crate::missed::Missed, cx: &mut Cx) -> Phase {
        cx.end_a(480, reason::OPERATOR);
        let why = format!(
            "{}; the operator ended the call before a message was left",
            missed.sentence
        );
        Ending::begin(cx, CallResult::Greeted, Some(missed.cause), why)
    }
}
