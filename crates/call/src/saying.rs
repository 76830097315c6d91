//! Something is being said to A: how a phase begins it, and sees that it is over.

use std::time::Instant;

use segue_mailbox::ClipInfo;
use segue_policy::Language;

use crate::{
    cx::Cx,
    io::{ClipUse, MediaAction, MediaEvent},
    legs::Seen,
    prompts::{Picture, Prompt},
    renditions::clip_use,
};

/// What has not been said by then is given up: no prompts together are longer.
const SAID_MS_MAX: u64 = 120_000;

/// In which language, and in which renditions, A is spoken to. What A has agreed to may change: asked for anew each time.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub language: Language,
    pub prompts: ClipInfo,
}

/// What is being said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saying {
    turn: u32,
    /// Given up then.
    pub until: Instant,
}

impl Cx {
    /// Say this to A, with a picture, or the one that is there. Whatever was being said or played is over: nothing to say is silence.
    pub fn say(&mut self, voice: &Voice, prompts: Vec<Prompt>, picture: Option<Picture>) -> Saying {
        self.said = self.said.saturating_add(1);
        let turn = self.said;
        let fitting = self.a.answer().and_then(|answer| clip_use(&voice.prompts, answer));
        let (audio, video) = fitting.map_or((None, None), |ClipUse { audio, video, .. }| (audio, video));
        self.media(MediaAction::Say {
            turn,
            language: voice.language,
            prompts,
            picture,
            audio,
            video,
        });
        Saying {
            turn,
            until: self.in_ms(SAID_MS_MAX),
        }
    }
}

impl Cx {
    /// Say and play nothing more; the picture stays.
    pub fn hush(&mut self) {
        self.said = self.said.saturating_add(1);
        self.media(MediaAction::Say {
            turn: self.said,
            language: Language::default(),
            prompts: Vec::new(),
            picture: None,
            audio: None,
            video: None,
        });
    }
}

impl Saying {
    /// Whether this tells that it is over, however that came.
    pub fn is_over(self, seen: &Seen, cx: &Cx) -> bool {
        match seen {
            Seen::Media(MediaEvent::Said { turn } | MediaEvent::SayFailed { turn, .. }) => *turn == self.turn,
            Seen::Due => cx.is_due(self.until),
            _ => false,
        }
    }
}
