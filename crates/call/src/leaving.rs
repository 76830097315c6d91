//! What goes along while A leaves a message: for whom, what is recorded, what was recorded before.

use std::time::Instant;

use segue_mailbox::StopCause;

use crate::{cx::Cx, io::Lookup, missed::Missed, saying::Voice};

/// How often A may record.
pub(crate) const TAKES_MAX: u8 = 10;
/// Choosing and looking at what was recorded takes no longer, all in all; then what is there is sent.
const LEAVING_MS_MAX: u64 = 900_000;

/// A message that is being left.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub missed: Missed,
    pub lookup: Box<Lookup>,
    /// A has chosen; nobody is asked where there is no menu.
    pub chosen: bool,
    /// Only sound is recorded, though A shows itself.
    pub voice_only: bool,
    /// How often A has begun to record.
    pub takes: u8,
    /// What A recorded before, and what is sent unless something better comes.
    pub earlier: Option<Take>,
    /// A wants it marked urgent.
    pub urgent: bool,
    /// When all choosing is over.
    pub until: Instant,
}

/// A recording that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Take {
    pub message_id: String,
    pub cause: StopCause,
    /// Pictures were recorded.
    pub has_video: bool,
    /// From the first packet to the last; known once it is synced.
    pub duration_ms: u64,
}

impl Leaving {
    pub fn new(missed: Missed, lookup: Box<Lookup>, cx: &Cx) -> Leaving {
        Leaving {
            missed,
            lookup,
            chosen: false,
            voice_only: false,
            takes: 0,
            earlier: None,
            urgent: false,
            until: cx.in_ms(LEAVING_MS_MAX),
        }
    }

    /// How A is asked; `None`: A is asked nothing.
    pub fn voice(&self) -> Option<Voice> {
        let prompts = self.lookup.prompts.as_ref().filter(|_| self.lookup.plan.menu)?;
        Some(Voice {
            language: self.lookup.plan.language,
            prompts: prompts.clone(),
        })
    }
}

impl Cx {
    /// A sends pictures.
    pub fn caller_shows(&self) -> bool {
        let video = self.a.answer().and_then(|answer| answer.video.as_ref());
        video.is_some_and(|video| video.direction.receives())
    }
}
