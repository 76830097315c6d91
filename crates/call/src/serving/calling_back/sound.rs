//! What A hears and sees while the sender of a message rings: what is being said first; then the callee's early media, where it may be
//! heard, else the callee's clip, as any of its callers, else a ringing tone.

use std::time::Instant;

use crate::{
    cx::Cx,
    io::{ClipUse, Lookup, MediaAction, MediaEvent, Source},
    legs::Seen,
    prompts::{Picture, Word},
    renditions::clip_use,
    saying::{Saying, Voice},
    serving::Serving,
};

/// From the end of one tone to the next (ITU-T E.180: "4 s").
const PAUSE_MS: u64 = 4_000;

/// What A hears of ours.
#[derive(Debug)]
pub(super) struct Sound {
    clip: Option<(Source, ClipUse)>,
    now: Now,
}

#[derive(Debug)]
enum Now {
    /// A tone, or words before the first: until it is over.
    Saying { turn: Saying, is_tone: bool },
    /// Something is due then.
    Waiting(Instant),
    /// The clip, on and on; or nothing, since there is nothing.
    Stays,
    /// The callee.
    Callee,
}

impl Sound {
    /// After what the mailbox is saying.
    pub fn after(serving: &mut Serving, lookup: &Lookup, cx: &Cx) -> Sound {
        let now = match (serving.turn.take(), serving.saying.take()) {
            (Some(turn), _) => Now::Saying { turn, is_tone: false },
            (None, until) => Now::Waiting(until.unwrap_or(cx.now.mono)),
        };
        let held_on = lookup.held_on().zip(cx.a.answer());
        let clip = held_on.and_then(|((source, clip), answer)| Some((source, clip_use(clip, answer)?)));
        Sound { clip, now }
    }

    /// What there is of ours may be over.
    pub fn hear(&mut self, seen: &Seen, cx: &Cx) {
        match (&self.now, seen) {
            (Now::Saying { turn, is_tone }, seen) if turn.is_over(seen, cx) => {
                let pause_ms = if *is_tone { PAUSE_MS } else { 0 };
                self.now = Now::Waiting(cx.in_ms(pause_ms));
            }
            (
                Now::Stays,
                Seen::Media(MediaEvent::PlayFailed {
                    source: Source::Clip | Source::Greeting,
                    ..
                }),
            ) => {
                self.clip = None;
                self.now = Now::Waiting(cx.now.mono);
            }
            _ => {}
        }
    }

    /// What is due begins.
    pub fn go_on(&mut self, voice: Option<&Voice>, cx: &mut Cx) {
        if cx.hearing.is_some() {
            self.now = Now::Callee;
            return;
        }
        match &self.now {
            Now::Waiting(at) if !cx.is_due(*at) => return,
            Now::Saying { .. } | Now::Stays => return,
            // The phone that was heard is out of it.
            Now::Waiting(_) | Now::Callee => {}
        }
        self.now = match (&self.clip, voice) {
            (Some((source, clip)), _) => {
                let (source, clip) = (*source, clip.clone());
                cx.media(MediaAction::Play {
                    source,
                    clip,
                    looping: true,
                });
                Now::Stays
            }
            (None, Some(voice)) => {
                let tone = vec![Word::Ringing.into()];
                let turn = cx.say(voice, tone, Some(Picture::CallingBack));
                Now::Saying { turn, is_tone: true }
            }
            (None, None) => Now::Stays,
        };
    }

    pub fn deadline(&self) -> Option<Instant> {
        match &self.now {
            Now::Saying { turn, .. } => Some(turn.until),
            Now::Waiting(at) => Some(*at),
            Now::Stays | Now::Callee => None,
        }
    }
}
