//! After the greeting A chooses, told by voice and by the picture: 1 a video message, 2 a voice message, or hang up. Who presses nothing
//! is recorded, with its picture if it shows one. A has its 200 by then: what it presses gets through.

use std::time::Instant;

use crate::{
    beeping::Beeping,
    cx::Cx,
    ending::Ending,
    full::Full,
    io::LegId,
    leaving::Leaving,
    legs::{CallerGone, Seen},
    phase::Phase,
    prompts::{Picture, Prompt, Word},
    saying::{Saying, Voice},
};

/// Who presses nothing this long after all has been said is recorded.
const INPUT_MS: u64 = 4_000;

/// A is asked what to leave.
#[derive(Debug)]
pub(crate) struct Choosing {
    leaving: Leaving,
    voice: Voice,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Asking(Saying),
    Waiting { until: Instant },
}

impl Choosing {
    pub fn begin(leaving: Leaving, voice: Voice, cx: &mut Cx) -> Phase {
        Choosing::ask(leaving, voice, None, cx)
    }

    /// Ask, after something else maybe.
    fn ask(leaving: Leaving, voice: Voice, first: Option<Word>, cx: &mut Cx) -> Phase {
        let (word, picture) = match cx.caller_shows() {
            true => (Word::Choose, Picture::Choose),
            false => (Word::ChooseVoice, Picture::ChooseVoice),
        };
        let prompts: Vec<Prompt> = first.into_iter().chain([word]).map(Prompt::from).collect();
        let step = Step::Asking(cx.say(&voice, prompts, Some(picture)));
        Phase::Choosing(Choosing { leaving, voice, step })
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match (self.step, &seen) {
            (Step::Asking(saying), seen) if saying.is_over(seen, cx) => {
                let until = cx.in_ms(INPUT_MS);
                let step = Step::Waiting { until };
                return Phase::Choosing(Choosing { step, ..self });
            }
            (Step::Waiting { until }, Seen::Due) if cx.is_due(until) => return self.record(false, cx),
            _ => {}
        }
        match seen {
            Seen::Key { leg: LegId::A, key, .. } => match key {
                '1' if cx.caller_shows() => self.record(false, cx),
                '2' => self.record(true, cx),
                // As it skips everything else.
                '#' => self.record(false, cx),
                _ if cx.is_due(self.leaving.until) => self.record(false, cx),
                _ => Choosing::ask(self.leaving, self.voice, Some(Word::NotAChoice), cx),
            },
            // The store was slow to say so, and nobody has spoken yet.
            Seen::MailboxFull { rule } => Full::begin(self.leaving.missed, &self.leaving.lookup, rule, cx),
            Seen::CallerGone(CallerGone::Cancelled | CallerGone::HungUp { .. }) => {
                Ending::before_a_message(&self.leaving.missed, cx)
            }
            Seen::CallerGone(broken) => Ending::caller_broke(cx, &broken),
            Seen::HangUp => Ending::by_operator_before_a_message(&self.leaving.missed, cx),
            _ => Phase::Choosing(self),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        Some(match self.step {
            Step::Asking(saying) => saying.until,
            Step::Waiting { until } => until,
        })
    }

    fn record(self, voice_only: bool, cx: &mut Cx) -> Phase {
        let leaving = Leaving {
            chosen: true,
            voice_only,
            ..self.leaving
        };
        Beeping::begin(leaving, cx)
    }
}
