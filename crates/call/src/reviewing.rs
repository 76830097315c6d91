//! A has ended its recording with #: 1 sends it, 2 shows it again, 3 records it again, 9 marks it urgent. Who presses nothing, and who
//! hangs up, has sent it. An earlier recording goes only once a later one is there and long enough to keep.

use std::time::Instant;

use segue_mailbox::{ClipInfo, StopCause};
use segue_records::CallResult;

use crate::{
    beeping::Beeping,
    cx::Cx,
    ending::Ending,
    greeting::PLAYED_LATE_MS_MAX,
    io::{LegId, MediaAction, MediaEvent, Source, StoreAction, StoreReply},
    leaving::{Leaving, TAKES_MAX, Take},
    legs::Seen,
    phase::Phase,
    prompts::{Picture, Prompt, Word},
    reason,
    renditions::clip_use,
    saving::{SYNC_MS_MAX, Saving},
    saying::{Saying, Voice},
};

/// Who presses nothing this long after all has been said has sent it.
const INPUT_MS: u64 = 5_000;
/// What cannot be shown by then is not shown.
const PREPARE_MS_MAX: u64 = 30_000;

/// A decides what becomes of its recording.
#[derive(Debug)]
pub(crate) struct Reviewing {
    leaving: Leaving,
    voice: Voice,
    take: Take,
    /// The recording as a clip, once it is one.
    clip: Option<ClipInfo>,
    /// It has been asked for.
    asked: bool,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Until the recording is on the disk nothing is promised.
    Syncing {
        until: Instant,
    },
    Saying(Saying),
    Waiting {
        until: Instant,
    },
    /// The worker makes a clip of it.
    Preparing {
        until: Instant,
    },
    Watching {
        until: Instant,
    },
    /// The beep follows.
    Again(Saying),
}

impl Reviewing {
    /// The recorder runs, and A has pressed #.
    pub fn begin(leaving: Leaving, voice: Voice, take: Take, cx: &mut Cx) -> Phase {
        cx.media(MediaAction::StopRecording { cause: StopCause::Key });
        let until = cx.in_ms(SYNC_MS_MAX);
        Phase::Reviewing(Box::new(Reviewing {
            leaving,
            voice,
            take,
            clip: None,
            asked: false,
            step: Step::Syncing { until },
        }))
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match self.step {
            Step::Syncing { until } => self.syncing(until, seen, cx),
            _ => self.synced(seen, cx),
        }
    }

    fn syncing(mut self, until: Instant, seen: Seen, cx: &mut Cx) -> Phase {
        match seen {
            Seen::Media(MediaEvent::Recorded { duration_ms }) => {
                self.take.duration_ms = duration_ms;
                self.recorded(cx)
            }
            Seen::Media(MediaEvent::RecordFailed { why }) => match self.leaving.earlier.take() {
                Some(earlier) => self.with(earlier, Word::NotPossible, cx),
                None => {
                    cx.end_a(480, reason::NORMAL);
                    let missed = &self.leaving.missed;
                    let why = format!("{}; the message could not be recorded: {why}", missed.sentence);
                    Ending::begin(cx, CallResult::Failed, Some(missed.cause), why)
                }
            },
            Seen::CallerGone(_) => Saving::begin(self.leaving, self.take, cx),
            Seen::HangUp => self.hung_up_on(cx),
            Seen::Due if cx.is_due(until) => {
                cx.end_a(480, reason::RECORDED);
                Saving::not_synced(self.leaving, self.take, cx)
            }
            _ => Phase::Reviewing(Box::new(self)),
        }
    }

    /// It is on the disk.
    fn recorded(mut self, cx: &mut Cx) -> Phase {
        if self.take.duration_ms >= cx.config.record_min_ms {
            if let Some(earlier) = self.leaving.earlier.take() {
                cx.store(StoreAction::Discard {
                    message_id: earlier.message_id,
                });
            }
            cx.store(StoreAction::Hold {
                message_id: self.take.message_id.clone(),
            });
            return self.menu(None, cx);
        }
        match self.leaving.earlier.take() {
            Some(earlier) => {
                cx.store(StoreAction::Discard {
                    message_id: self.take.message_id.clone(),
                });
                self.with(earlier, Word::TooShort, cx)
            }
            None if self.leaving.takes < TAKES_MAX => {
                cx.store(StoreAction::Discard {
                    message_id: self.take.message_id.clone(),
                });
                self.again(Word::TooShort, cx)
            }
            None => {
                cx.end_a(480, reason::RECORDED);
                Saving::too_short(self.leaving, self.take, cx)
            }
        }
    }

    /// The earlier recording is the one that is looked at.
    fn with(mut self, earlier: Take, why: Word, cx: &mut Cx) -> Phase {
        self.take = earlier;
        self.menu(Some(why), cx)
    }

    fn synced(mut self, seen: Seen, cx: &mut Cx) -> Phase {
        let is_over = matches!(seen, Seen::Due) && cx.is_due(self.leaving.until);
        // There may be nothing yet that was long enough to keep.
        if let Step::Again(_) = self.step
            && (is_over || matches!(seen, Seen::CallerGone(_) | Seen::HangUp))
        {
            return Saving::as_it_was(self.leaving, cx);
        }
        if is_over {
            return self.send(cx);
        }
        match (self.step, &seen) {
            (Step::Saying(saying), seen) if saying.is_over(seen, cx) => {
                let until = cx.in_ms(INPUT_MS);
                let step = Step::Waiting { until };
                return Phase::Reviewing(Box::new(Reviewing { step, ..self }));
            }
            (Step::Again(saying), seen) if saying.is_over(seen, cx) => return self.beep(cx),
            (Step::Waiting { until }, Seen::Due) if cx.is_due(until) => return self.send(cx),
            (Step::Preparing { until }, Seen::Due) if cx.is_due(until) => {
                return self.menu(Some(Word::CannotPlay), cx);
            }
            (Step::Watching { until }, Seen::Due) if cx.is_due(until) => return self.menu(None, cx),
            (Step::Watching { .. }, Seen::Media(MediaEvent::Played { source: Source::Take })) => {
                return self.menu(None, cx);
            }
            (
                Step::Watching { .. },
                Seen::Media(MediaEvent::PlayFailed {
                    source: Source::Take, ..
                }),
            ) => return self.menu(Some(Word::CannotPlay), cx),
            _ => {}
        }
        match seen {
            Seen::Store(StoreReply::Previewed { message_id, clip }) if message_id == self.take.message_id => {
                self.clip = Some(clip);
                match self.step {
                    Step::Preparing { .. } => self.watch(cx),
                    _ => Phase::Reviewing(Box::new(self)),
                }
            }
            Seen::Store(StoreReply::PreviewFailed { message_id, .. }) if message_id == self.take.message_id => {
                self.asked = false;
                match self.step {
                    Step::Preparing { .. } => self.menu(Some(Word::CannotPlay), cx),
                    _ => Phase::Reviewing(Box::new(self)),
                }
            }
            Seen::Key { leg: LegId::A, key, .. } => self.pressed(key, cx),
            Seen::CallerGone(_) => Saving::deposit(self.leaving, self.take, None, cx),
            Seen::HangUp => {
                cx.end_a(480, reason::RECORDED);
                Saving::deposit(self.leaving, self.take, None, cx)
            }
            _ => Phase::Reviewing(Box::new(self)),
        }
    }

    fn pressed(mut self, key: char, cx: &mut Cx) -> Phase {
        match (self.step, key) {
            // Whoever has chosen that need not hear it all.
            (Step::Again(_), _) => self.beep(cx),
            (_, '1') => self.send(cx),
            (_, '2') => self.watch(cx),
            (_, '3') if self.leaving.takes < TAKES_MAX => {
                self.leaving.earlier = Some(self.take.clone());
                self.again(Word::RecordAgain, cx)
            }
            (_, '3') => self.menu(Some(Word::NotPossible), cx),
            (_, '9') => {
                self.leaving.urgent = !self.leaving.urgent;
                let now = match self.leaving.urgent {
                    true => Word::MarkedUrgent,
                    false => Word::UnmarkedUrgent,
                };
                self.menu(Some(now), cx)
            }
            _ => self.menu(Some(Word::NotAChoice), cx),
        }
    }

    /// Say what there is to choose, after something else maybe.
    fn menu(self, first: Option<Word>, cx: &mut Cx) -> Phase {
        let (word, picture) = match self.take.has_video {
            true => (Word::AfterVideo, Picture::AfterVideo),
            false => (Word::AfterVoice, Picture::AfterVoice),
        };
        let prompts: Vec<Prompt> = first.into_iter().chain([word]).map(Prompt::from).collect();
        let step = Step::Saying(cx.say(&self.voice, prompts, Some(picture)));
        Phase::Reviewing(Box::new(Reviewing { step, ..self }))
    }

    /// Show A what it has recorded, as soon as that can be shown.
    fn watch(mut self, cx: &mut Cx) -> Phase {
        let Some(clip) = &self.clip else {
            if !std::mem::replace(&mut self.asked, true) {
                cx.store(StoreAction::Preview {
                    message_id: self.take.message_id.clone(),
                });
            }
            cx.say(&self.voice, vec![Word::OneMoment.into()], Some(Picture::OneMoment));
            let until = cx.in_ms(PREPARE_MS_MAX);
            let step = Step::Preparing { until };
            return Phase::Reviewing(Box::new(Reviewing { step, ..self }));
        };
        let Some(shown) = cx.a.answer().and_then(|answer| clip_use(clip, answer)) else {
            return self.menu(Some(Word::CannotPlay), cx);
        };
        let until = cx.in_ms(clip.duration_ms.saturating_add(PLAYED_LATE_MS_MAX));
        cx.media(MediaAction::Play {
            source: Source::Take,
            clip: shown,
            looping: false,
        });
        let step = Step::Watching { until };
        Phase::Reviewing(Box::new(Reviewing { step, ..self }))
    }

    /// The beep follows what is said.
    fn again(self, word: Word, cx: &mut Cx) -> Phase {
        let said = match word {
            Word::RecordAgain => vec![word.into()],
            word => vec![word.into(), Word::RecordAgain.into()],
        };
        let step = Step::Again(cx.say(&self.voice, said, None));
        Phase::Reviewing(Box::new(Reviewing { step, ..self }))
    }

    fn beep(self, cx: &mut Cx) -> Phase {
        Beeping::begin(self.leaving, cx)
    }

    fn send(self, cx: &mut Cx) -> Phase {
        Saving::deposit(self.leaving, self.take, Some(self.voice), cx)
    }

    fn hung_up_on(self, cx: &mut Cx) -> Phase {
        cx.end_a(480, reason::RECORDED);
        Saving::begin(self.leaving, self.take, cx)
    }

    pub fn deadline(&self) -> Option<Instant> {
        let own = match self.step {
            Step::Syncing { until } => return Some(until),
            Step::Saying(saying) | Step::Again(saying) => saying.until,
            Step::Waiting { until } | Step::Preparing { until } | Step::Watching { until } => until,
        };
        Some(own.min(self.leaving.until))
    }
}
