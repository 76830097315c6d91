//! The recording is being made a message. A's leg may be long gone meanwhile; who is still there hears that it is sent once it is.

use std::time::Instant;

use segue_mailbox::StopCause;
use segue_records::CallResult;

use crate::{
    cx::Cx,
    ending::Ending,
    io::{MediaEvent, StoreAction, StoreReply},
    leaving::{Leaving, Take},
    legs::Seen,
    missed::{Missed, seconds},
    phase::Phase,
    prompts::{Picture, Word},
    reason,
    saying::{Saying, Voice},
};

/// A spool that is not synced after this long is left to the next start.
pub(crate) const SYNC_MS_MAX: u64 = 30_000;
/// A who waits to hear that the message is sent waits no longer; the message comes all the same.
const FAREWELL_MS_MAX: u64 = 8_000;

/// The recording has ended.
#[derive(Debug)]
pub(crate) struct Saving {
    missed: Missed,
    take: Take,
    /// What is sent if this one is not to be kept.
    earlier: Option<Take>,
    urgent: bool,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Syncing {
        until: Instant,
    },
    Depositing,
    /// A is there, and is told when it is sent.
    Sending {
        voice: Voice,
        until: Instant,
    },
    /// A is told.
    Telling {
        saying: Saying,
        message_id: String,
    },
}

impl Saving {
    /// The recording has been stopped and is not synced yet.
    pub fn begin(leaving: Leaving, take: Take, cx: &mut Cx) -> Phase {
        let until = cx.in_ms(SYNC_MS_MAX);
        Phase::Saving(Saving::new(leaving, take, Step::Syncing { until }))
    }

    /// It is synced and long enough. `voice`: A is still there, and is told that it is sent.
    pub fn deposit(leaving: Leaving, take: Take, voice: Option<Voice>, cx: &mut Cx) -> Phase {
        let mut saving = Saving::new(leaving, take, Step::Depositing);
        saving.ask_store(cx);
        match voice {
            None => cx.close_media(),
            Some(voice) => {
                cx.say(&voice, Vec::new(), Some(Picture::OneMoment));
                let until = cx.in_ms(FAREWELL_MS_MAX);
                saving.step = Step::Sending { voice, until };
            }
        }
        Phase::Saving(saving)
    }

    /// A is gone, or is to go, before anything better was recorded than what is there.
    pub fn as_it_was(mut leaving: Leaving, cx: &mut Cx) -> Phase {
        cx.end_a(480, reason::RECORDED);
        match leaving.earlier.take() {
            Some(earlier) => Saving::deposit(leaving, earlier, None, cx),
            None if leaving.takes > 0 => {
                let missed = leaving.missed;
                let why = format!(
                    "{}; the caller left nothing that is long enough to keep",
                    missed.sentence
                );
                Ending::begin(cx, CallResult::TooShort, Some(missed.cause), why)
            }
            None => Ending::before_a_message(&leaving.missed, cx),
        }
    }

    /// It was not synced in time.
    pub fn not_synced(leaving: Leaving, take: Take, cx: &mut Cx) -> Phase {
        Saving::new(leaving, take, Step::Depositing).left_to_the_next_start(cx)
    }

    /// It is synced, and too short.
    pub fn too_short(leaving: Leaving, take: Take, cx: &mut Cx) -> Phase {
        Saving::new(leaving, take, Step::Depositing).dropped(cx)
    }

    fn new(leaving: Leaving, take: Take, step: Step) -> Saving {
        Saving {
            missed: leaving.missed,
            take,
            earlier: leaving.earlier,
            urgent: leaving.urgent,
            step,
        }
    }

    pub fn on(mut self, seen: Seen, cx: &mut Cx) -> Phase {
        match (&self.step, seen) {
            (Step::Syncing { .. }, Seen::Media(MediaEvent::Recorded { duration_ms })) => self.synced(duration_ms, cx),
            (Step::Syncing { .. }, Seen::Media(MediaEvent::RecordFailed { why })) => match self.earlier.take() {
                Some(earlier) => self.instead(earlier, cx),
                None => self.ended(
                    cx,
                    CallResult::Failed,
                    format!("the message could not be recorded: {why}"),
                ),
            },
            (Step::Syncing { until }, Seen::Due) if cx.is_due(*until) => self.left_to_the_next_start(cx),
            (Step::Sending { voice, .. }, Seen::Store(StoreReply::Deposited { message_id })) => {
                let saying = cx.say(voice, vec![Word::Sent.into()], Some(Picture::Sent));
                self.step = Step::Telling { saying, message_id };
                Phase::Saving(self)
            }
            (Step::Depositing, Seen::Store(StoreReply::Deposited { message_id })) => self.deposited(message_id, cx),
            (Step::Depositing | Step::Sending { .. }, Seen::Store(StoreReply::DepositFailed { why })) => self.ended(
                cx,
                CallResult::Failed,
                format!("the message could not be stored yet, its spool is kept: {why}"),
            ),
            (Step::Sending { until, .. }, Seen::Due) if !cx.is_due(*until) => Phase::Saving(self),
            (Step::Sending { .. }, Seen::Due | Seen::CallerGone(_) | Seen::HangUp) => {
                cx.end_a(480, reason::RECORDED);
                cx.close_media();
                self.step = Step::Depositing;
                Phase::Saving(self)
            }
            (Step::Telling { saying, message_id }, seen)
                if saying.is_over(&seen, cx) || matches!(seen, Seen::CallerGone(_) | Seen::HangUp) =>
            {
                let message_id = message_id.clone();
                self.deposited(message_id, cx)
            }
            _ => Phase::Saving(self),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match &self.step {
            Step::Syncing { until } | Step::Sending { until, .. } => Some(*until),
            Step::Telling { saying, .. } => Some(saying.until),
            Step::Depositing => None,
        }
    }

    fn synced(mut self, duration_ms: u64, cx: &mut Cx) -> Phase {
        // Nothing more comes from the packet path: its ports need not wait for the worker.
        cx.close_media();
        self.take.duration_ms = duration_ms;
        if duration_ms < cx.config.record_min_ms {
            return self.dropped(cx);
        }
        if let Some(Take { message_id, .. }) = self.earlier.take() {
            cx.store(StoreAction::Discard { message_id });
        }
        self.ask_store(cx);
        self.step = Step::Depositing;
        Phase::Saving(self)
    }

    /// Too short to keep.
    fn dropped(mut self, cx: &mut Cx) -> Phase {
        let message_id = self.take.message_id.clone();
        cx.store(StoreAction::Discard { message_id });
        if let Some(earlier) = self.earlier.take() {
            return self.instead(earlier, cx);
        }
        let what = format!(
            "the caller left only {}, too short to keep",
            seconds(self.take.duration_ms)
        );
        self.ended(cx, CallResult::TooShort, what)
    }

    /// What was recorded before is sent.
    fn instead(mut self, earlier: Take, cx: &mut Cx) -> Phase {
        cx.close_media();
        self.take = earlier;
        self.ask_store(cx);
        self.step = Step::Depositing;
        Phase::Saving(self)
    }

    fn ask_store(&self, cx: &mut Cx) {
        // Kept, too, when that fails: it is tried again.
        cx.leave_place_to(&self.take.message_id);
        cx.store(StoreAction::Deposit {
            message_id: self.take.message_id.clone(),
            urgent: self.urgent,
        });
    }

    fn left_to_the_next_start(mut self, cx: &mut Cx) -> Phase {
        if let Some(earlier) = self.earlier.take() {
            // Both are sent then.
            return self.instead(earlier, cx);
        }
        // It may become a message yet.
        cx.leave_place();
        let what = "the recording was not synced in time; its spool is kept";
        self.ended(cx, CallResult::Failed, what.into())
    }

    fn deposited(self, message_id: String, cx: &mut Cx) -> Phase {
        let what = format!(
            "the caller left a message of {}, {}",
            seconds(self.take.duration_ms),
            ended_by(self.take.cause)
        );
        cx.record.message_id = Some(message_id);
        self.ended(cx, CallResult::Message, what)
    }

    fn ended(self, cx: &mut Cx, result: CallResult, what: String) -> Phase {
        cx.end_a(480, reason::RECORDED);
        let why = format!("{}; {what}", self.missed.sentence);
        Ending::begin(cx, result, Some(self.missed.cause), why)
    }
}

fn ended_by(cause: StopCause) -> &'static str {
    match cause {
        StopCause::Bye => "ended by hanging up",
        StopCause::Key => "ended by #",
        StopCause::Longest => "ended at the longest allowed",
        StopCause::RtpGone => "ended when no more RTP came",
        StopCause::Silence => "ended by silence",
        StopCause::Stopped => "ended because the call broke off",
    }
}
