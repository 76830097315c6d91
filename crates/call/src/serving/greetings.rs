//! Greetings and clips: recorded, looked at, chosen; and the PIN.

use segue_mailbox::{ClipInfo, Purpose, StopCause};

use super::{At, Awaited, KEY_MS_MAX, Line, Serving};
use crate::{
    cx::Cx,
    io::{MailboxAction, MediaAction, MediaEvent, Source, StoreAction},
    recording::manifest,
};

/// The longest greeting.
const GREETING_MS_MAX: u64 = 120_000;
/// The packet path ends a recording at its longest; if it has not said so this much later, we end it.
const LONGEST_LATE_MS_MAX: u64 = 5_000;
/// The spool is synced within this.
const SYNC_MS_MAX: u64 = 30_000;
/// A recording is a clip within this.
const MAKING_MS_MAX: u64 = 300_000;

/// How far a recording is.
#[derive(Debug)]
pub(super) enum Recording {
    /// It is being said that the recording begins.
    Told,
    /// The beep.
    Beep,
    /// The recorder runs.
    Runs(String),
    /// Its spool is being synced.
    Syncing(String),
    /// It is being made a clip.
    Making,
    /// It is a clip, which may be used.
    Made(ClipInfo),
}

impl Serving {
    /// The menu of greetings, after these words.
    pub(super) fn greetings(&mut self, before: &[Line], cx: &mut Cx) {
        self.mailbox.let_go(cx);
        self.at = At::Greetings;
        self.say(&[before, &[Line::GreetingsMenu]].concat(), cx);
    }

    pub(super) fn pressed_at_greetings(&mut self, key: char, cx: &mut Cx) {
        match key {
            '1' => self.record(cx),
            '2' => {
                let opened = &self.mailbox.opened;
                let greeting = opened
                    .clips
                    .iter()
                    .find(|clip| Some(&clip.name) == opened.greeting.as_ref());
                let greeting = greeting.cloned();
                if !greeting.is_some_and(|clip| self.play(Source::Greeting, &clip, cx)) {
                    self.greetings(&[Line::NoGreeting], cx);
                }
            }
            '3' if self.mailbox.opened.clips.is_empty() => self.greetings(&[Line::NoClips], cx),
            '3' => {
                self.at = At::Clips(0);
                self.say(&[Line::ClipMenu], cx);
            }
            '4' => self.ask_new_pin(cx),
            '*' => self.menu(&[], cx),
            _ => {}
        }
    }

    fn record(&mut self, cx: &mut Cx) {
        if !cx.a.sends() {
            return self.greetings(&[Line::Trouble], cx);
        }
        self.at = At::Recording(Recording::Told);
        self.say(&[Line::RecordNow], cx);
    }

    pub(super) fn said_before_recording(&mut self, cx: &mut Cx) {
        match &self.at {
            At::Recording(Recording::Told) => {
                self.at = At::Recording(Recording::Beep);
                let beep = self.mailbox.opened.beep.clone();
                if !beep.is_some_and(|beep| self.play(Source::Beep, &beep, cx)) {
                    self.run(cx);
                }
            }
            At::Recording(Recording::Made(_)) => self.until = Some(cx.in_ms(KEY_MS_MAX)),
            // What is waited for has its own time.
            At::Recording(Recording::Making) => self.until = Some(cx.in_ms(MAKING_MS_MAX)),
            _ => {}
        }
    }

    fn run(&mut self, cx: &mut Cx) {
        let (Some(answer), Some(user)) = (cx.a.answer().cloned(), self.user.clone()) else {
            return;
        };
        let id = cx.ids.ulid(cx.now.wall);
        let manifest = manifest(id.clone(), user, Purpose::Greeting, &answer, cx);
        let longest_ms = GREETING_MS_MAX.min(cx.config.record_max_ms);
        cx.media(MediaAction::Record {
            manifest,
            longest_ms,
            longest_bytes: None,
            silence_ms: None,
        });
        cx.recording = true;
        self.until = Some(cx.in_ms(longest_ms.saturating_add(LONGEST_LATE_MS_MAX)));
        self.at = At::Recording(Recording::Runs(id));
    }

    fn stop(&mut self, cause: StopCause, cx: &mut Cx) {
        let At::Recording(Recording::Runs(id)) = &self.at else {
            return;
        };
        let id = id.clone();
        cx.recording = false;
        cx.media(MediaAction::StopRecording { cause });
        self.until = Some(cx.in_ms(SYNC_MS_MAX));
        self.at = At::Recording(Recording::Syncing(id));
    }

    pub(super) fn media_of_recording(&mut self, event: MediaEvent, cx: &mut Cx) {
        let At::Recording(recording) = &self.at else { return };
        match (recording, event) {
            (
                Recording::Beep,
                MediaEvent::Played { source: Source::Beep }
                | MediaEvent::PlayFailed {
                    source: Source::Beep, ..
                },
            ) => self.run(cx),
            (Recording::Runs(_), MediaEvent::RecordingStopped { cause }) => self.stop(cause, cx),
            (Recording::Runs(_) | Recording::Syncing(_), MediaEvent::RecordFailed { .. }) => {
                cx.recording = false;
                self.greetings(&[Line::Trouble], cx);
            }
            (Recording::Syncing(id), MediaEvent::Recorded { duration_ms }) => {
                let recording = id.clone();
                if duration_ms < cx.config.record_min_ms {
                    cx.store(StoreAction::Discard { message_id: recording });
                    return self.greetings(&[Line::TooShort], cx);
                }
                let Some(user) = self.user.clone() else { return };
                cx.store(StoreAction::Mailbox(Box::new(MailboxAction::MakeClip {
                    user,
                    recording,
                })));
                self.at = At::Recording(Recording::Making);
                self.say(&[Line::OneMoment], cx);
            }
            (
                Recording::Made(_),
                MediaEvent::Played {
                    source: Source::Greeting,
                }
                | MediaEvent::PlayFailed {
                    source: Source::Greeting,
                    ..
                },
            ) => self.until = Some(cx.in_ms(KEY_MS_MAX)),
            _ => {}
        }
    }

    pub(super) fn waited_for_recording(&mut self, cx: &mut Cx) {
        match &self.at {
            At::Recording(Recording::Beep) => self.run(cx),
            At::Recording(Recording::Runs(_)) => self.stop(StopCause::Longest, cx),
            At::Recording(Recording::Made(_)) => {
                self.silent = self.silent.saturating_add(1);
                match self.silent >= super::SILENT_MAX {
                    true => self.leave(&[Line::Goodbye], cx),
                    false => self.say(&[Line::RecordedMenu], cx),
                }
            }
            _ => self.greetings(&[Line::Trouble], cx),
        }
    }

    /// It is a clip.
    pub(super) fn made(&mut self, clip: ClipInfo, cx: &mut Cx) {
        self.did.push("recorded a greeting".to_owned());
        self.mailbox.opened.clips.push(clip.clone());
        self.at = At::Recording(Recording::Made(clip));
        self.say(&[Line::RecordedMenu], cx);
    }

    pub(super) fn pressed_at_recording(&mut self, key: char, cx: &mut Cx) {
        let At::Recording(recording) = &self.at else { return };
        match (recording, key) {
            (Recording::Told, '#') => self.said_before_recording(cx),
            (Recording::Told, '*') => self.greetings(&[], cx),
            (Recording::Runs(_), '#') => self.stop(StopCause::Key, cx),
            (Recording::Made(clip), '1') => {
                let clip = clip.name.clone();
                self.use_greeting(clip, cx);
            }
            (Recording::Made(clip), '2') => {
                let clip = clip.clone();
                self.play(Source::Greeting, &clip, cx);
            }
            (Recording::Made(_), '3') => self.record(cx),
            (Recording::Made(_), '*') => self.greetings(&[], cx),
            _ => {}
        }
    }

    fn use_greeting(&mut self, clip: String, cx: &mut Cx) {
        let Some(user) = self.user.clone() else { return };
        self.mailbox.opened.greeting = Some(clip.clone());
        self.did.push("chose a greeting".to_owned());
        let action = MailboxAction::UseGreeting { user, clip };
        self.ask(action, Awaited::Setting(Line::GreetingSet), cx);
    }

    /// Shows a clip that may be chosen.
    pub(super) fn show_clip(&mut self, at: usize, cx: &mut Cx) {
        let clip = self.mailbox.opened.clips.get(at).cloned();
        if !clip.is_some_and(|clip| self.play(Source::Greeting, &clip, cx)) {
            self.until = Some(cx.in_ms(KEY_MS_MAX));
        }
    }

    pub(super) fn pressed_at_clip(&mut self, at: usize, key: char, cx: &mut Cx) {
        let clip = self.mailbox.opened.clips.get(at).map(|clip| clip.name.clone());
        match (key, clip, self.user.clone()) {
            ('1', Some(clip), Some(user)) => {
                self.did.push("chose a clip".to_owned());
                let action = MailboxAction::UseClip { user, clip };
                self.ask(action, Awaited::Setting(Line::ClipSet), cx);
            }
            ('2', Some(clip), _) => self.use_greeting(clip, cx),
            ('#', ..) => {
                let all = self.mailbox.opened.clips.len().max(1);
                let next = at.saturating_add(1).checked_rem(all).unwrap_or(0);
                self.at = At::Clips(next);
                self.show_clip(next, cx);
            }
            ('*', ..) => self.greetings(&[], cx),
            _ => {}
        }
    }
}
