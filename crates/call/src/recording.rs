//! The recorder runs.

use std::time::Instant;

use segue_mailbox::{Kind, Purpose, RecordingManifest, StopCause, StreamInfo};
use segue_records::CallResult;
use segue_sdp::Agreed;

use crate::{
    cx::Cx,
    ending::Ending,
    io::{LegId, MediaAction, MediaEvent},
    leaving::{Leaving, Take},
    legs::{CallerGone, Seen},
    phase::Phase,
    reason,
    reviewing::Reviewing,
    saving::Saving,
};

/// The packet path ends a recording at its longest; if it has not said so this much later, we end it.
const LONGEST_LATE_MS_MAX: u64 = 5_000;

/// The recorder runs.
#[derive(Debug)]
pub(crate) struct Recording {
    leaving: Leaving,
    message_id: String,
    has_video: bool,
    pub until: Instant,
}

impl Recording {
    /// A has been answered and has heard the beep.
    pub fn begin(mut leaving: Leaving, cx: &mut Cx) -> Phase {
        let Some(answer) = cx.a.answer().filter(|_| cx.a.sends()).cloned() else {
            if leaving.takes > 0 {
                return Saving::as_it_was(leaving, cx);
            }
            let missed = leaving.missed;
            cx.end_a(480, reason::NORMAL);
            let why = format!(
                "{}; the caller heard the greeting and could leave no message",
                missed.sentence
            );
            return Ending::begin(cx, CallResult::Greeted, Some(missed.cause), why);
        };
        let (message_id, room) = cx.take_place(leaving.takes);
        leaving.takes = leaving.takes.saturating_add(1);
        let mailbox = leaving.lookup.plan.mailbox.clone();
        let mut manifest = manifest(message_id.clone(), mailbox, Purpose::Message, &answer, cx);
        if leaving.voice_only && manifest.streams.iter().any(|s| s.stream == AUDIO) {
            manifest.streams.retain(|s| s.stream == AUDIO);
            manifest.kind = Kind::Audio;
        }
        let video = manifest.kind == Kind::Video;
        // People who sign are silent.
        let silence_ms = (manifest.kind == Kind::Audio).then_some(cx.config.record_silence_ms);
        cx.media(MediaAction::Record {
            manifest,
            longest_ms: room.longest_ms,
            longest_bytes: room.longest_bytes,
            silence_ms,
        });
        cx.recording = true;
        let until = cx.in_ms(room.longest_ms.saturating_add(LONGEST_LATE_MS_MAX));
        Phase::Recording(Recording {
            leaving,
            message_id,
            has_video: video,
            until,
        })
    }

    pub fn on(self, seen: Seen, cx: &mut Cx) -> Phase {
        match seen {
            Seen::CallerGone(CallerGone::HungUp { reason }) if !reason::is_expired(reason.as_deref()) => {
                self.stop(StopCause::Bye, cx)
            }
            Seen::CallerGone(_) | Seen::HangUp => self.stop(StopCause::Stopped, cx),
            Seen::Key {
                leg: LegId::A,
                key: '#',
                ..
            } => match self.leaving.voice() {
                None => self.stop(StopCause::Key, cx),
                Some(voice) => {
                    cx.recording = false;
                    let (leaving, take) = self.ended(StopCause::Key);
                    Reviewing::begin(leaving, voice, take, cx)
                }
            },
            Seen::Media(MediaEvent::RecordingStopped { cause }) => self.stop(cause, cx),
            Seen::Media(MediaEvent::RtpGone { leg: LegId::A }) => self.stop(StopCause::RtpGone, cx),
            Seen::Due if cx.is_due(self.until) => self.stop(StopCause::Longest, cx),
            Seen::Media(MediaEvent::RecordFailed { why }) => {
                cx.recording = false;
                if self.leaving.earlier.is_some() {
                    return Saving::as_it_was(self.leaving, cx);
                }
                cx.end_a(480, reason::NORMAL);
                let missed = self.leaving.missed;
                let why = format!("{}; the message could not be recorded: {why}", missed.sentence);
                Ending::begin(cx, CallResult::Failed, Some(missed.cause), why)
            }
            _ => Phase::Recording(self),
        }
    }

    fn stop(self, cause: StopCause, cx: &mut Cx) -> Phase {
        cx.recording = false;
        cx.media(MediaAction::StopRecording { cause });
        cx.end_a(480, reason::RECORDED);
        let (leaving, take) = self.ended(cause);
        Saving::begin(leaving, take, cx)
    }

    fn ended(self, cause: StopCause) -> (Leaving, Take) {
        let take = Take {
            message_id: self.message_id,
            cause,
            has_video: self.has_video,
            duration_ms: 0,
        };
        (self.leaving, take)
    }
}

/// What a recording of what A sends carries with it.
pub(crate) fn manifest(
    message_id: String,
    mailbox: String,
    purpose: Purpose,
    answer: &Agreed,
    cx: &Cx,
) -> RecordingManifest {
    let streams = streams(answer);
    let video = streams.iter().any(|s| s.stream == VIDEO);
    RecordingManifest {
        message_id,
        mailbox,
        purpose,
        call_id: cx.record.id.clone(),
        sip_call_id: cx.record.sip_call_id.clone(),
        from: cx.record.from.clone(),
        from_name: cx.shown_name().cloned(),
        started_at_ms: cx.now.wall.0,
        kind: if video { Kind::Video } else { Kind::Audio },
        shortest_ms: cx.config.record_min_ms,
        streams,
    }
}

/// The `stream` byte of audio and video in every spool.
const AUDIO: u8 = 0;
const VIDEO: u8 = 1;

/// What A sends, for the manifest.
fn streams(answer: &Agreed) -> Vec<StreamInfo> {
    let numbered = [(AUDIO, &answer.audio), (VIDEO, &answer.video)];
    let sent = numbered
        .into_iter()
        .filter_map(|(number, stream)| Some((number, stream.as_ref()?)));
    sent.filter(|(_, s)| s.direction.receives())
        .map(|(stream, s)| StreamInfo {
            stream,
            payload_type: s.format.payload_type,
            encoding: s.format.codec.encoding_name().into(),
            clock_rate: s.format.codec.clock_rate(),
            fmtp: s.format.fmtp.clone(),
        })
        .collect()
}
