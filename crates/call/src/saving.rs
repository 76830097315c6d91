//! The recording is being made a message. A's leg may be long gone meanwhile.

use std::time::Instant;

use segue_mailbox::StopCause;
use segue_records::CallResult;

use crate::{
    cx::Cx,
    ending::Ending,
    io::{MediaEvent, StoreAction, StoreReply},
    legs::Seen,
    missed::{Missed, seconds},
    phase::Phase,
};

/// A spool that is not synced after this long is left to the next start.
const SYNC_MS_MAX: u64 = 30_000;

/// The recording has ended.
#[derive(Debug)]
pub(crate) struct Saving {
    missed: Missed,
    message_id: String,
    cause: StopCause,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Syncing { until: Instant },
    Depositing { duration_ms: u64 },
}

impl Saving {
    pub fn begin(missed: Missed, message_id: String, cause: StopCause, cx: &mut Cx) -> Phase {
        let until = cx.in_ms(SYNC_MS_MAX);
        Phase::Saving(Saving {
            missed,
            message_id,
            cause,
            step: Step::Syncing { until },
        })
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match (&self.step, seen) {
            (Step::Syncing { .. }, Seen::Media(MediaEvent::Recorded { duration_ms })) => self.synced(duration_ms, cx),
            (Step::Syncing { .. }, Seen::Media(MediaEvent::RecordFailed { why })) => self.ended(
                cx,
                CallResult::Failed,
                format!("the message could not be recorded: {why}"),
            ),
            (Step::Syncing { until }, Seen::Due) if cx.is_due(*until) => {
                // It may become a message yet.
                cx.leave_place();
                let what = "the recording was not synced in time; its spool is kept";
                self.ended(cx, CallResult::Failed, what.into())
            }
            (Step::Depositing { duration_ms }, Seen::Store(StoreReply::Deposited { message_id })) => {
                let what = format!(
                    "the caller left a message of {}, {}",
                    seconds(*duration_ms),
                    ended_by(self.cause)
                );
                cx.record.message_id = Some(message_id);
                self.ended(cx, CallResult::Message, what)
            }
            (Step::Depositing { .. }, Seen::Store(StoreReply::DepositFailed { why })) => self.ended(
                cx,
                CallResult::Failed,
                format!("the message could not be stored yet, its spool is kept: {why}"),
            ),
            _ => Phase::Saving(self),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Syncing { until } => Some(until),
            Step::Depositing { .. } => None,
        }
    }

    fn synced(self, duration_ms: u64, cx: &mut Cx) -> Phase {
        // Nothing more comes from the packet path: its ports need not wait for the worker.
        cx.close_media();
        let message_id = self.message_id.clone();
        if duration_ms < cx.config.record_min_ms {
            cx.store(StoreAction::Discard { message_id });
            let what = format!("the caller left only {}, too short to keep", seconds(duration_ms));
            return self.ended(cx, CallResult::TooShort, what);
        }
        // Kept, too, when that fails: it is tried again.
        cx.leave_place();
        cx.store(StoreAction::Deposit { message_id });
        Phase::Saving(Saving {
            step: Step::Depositing { duration_ms },
            ..self
        })
    }

    fn ended(self, cx: &mut Cx, result: CallResult, what: String) -> Phase {
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
