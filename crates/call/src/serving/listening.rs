//! Messages one after the other: new ones first, of those the urgent ones, each kind oldest first. While one is played the next is
//! made ready. What is marked for deletion is deleted when the call goes on to something else, or ends.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use segue_mailbox::{ClipInfo, Played, heard_after_ms};

use super::{At, Line, PLAYED_LATE_MS_MAX, Serving, lines::Envelope, usable};
use crate::{
    cx::Cx,
    io::{Listed, MailboxAction, MediaAction, MediaEvent, NotReady, Opened, Source, StoreAction},
    renditions::wanted,
};

/// `4` and `6` go this far.
const STEP_MS: u64 = 10_000;
/// Who types nothing after a message hears the next one after this long.
const NEXT_MS: u64 = 6_000;
/// A message is made ready within this.
const READY_MS_MAX: u64 = 120_000;
/// Messages that can be played at a time, by [`MailboxAction::Prepare`].
const READY_MAX: usize = 3;

/// What is in the mailbox, and what was made ready of it.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    pub opened: Opened,
    asked: Vec<String>,
    ready: VecDeque<(String, Result<ClipInfo, NotReady>)>,
    /// The message that is to be deleted.
    doomed: Option<String>,
    /// What was played of each, in other sittings too.
    played: BTreeMap<String, Played>,
    heard: usize,
    deleted: usize,
}

/// A message is listened to.
#[derive(Debug)]
pub(super) struct Listening {
    index: usize,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Who called, when, and how long it is.
    Envelope,
    /// It is not ready yet.
    Moment,
    /// It plays; from where, and since when.
    Playing { from_ms: u64, since: Option<Instant> },
    /// It is over: what can be done.
    After,
}

impl Mailbox {
    pub fn of(mut opened: Opened) -> Mailbox {
        // Stable: oldest first.
        opened.messages.sort_by_key(|message| (message.heard, !message.urgent));
        let before = opened.messages.iter().filter(|message| !message.heard);
        Mailbox {
            played: before
                .map(|message| (message.id.clone(), message.played.clone()))
                .collect(),
            opened,
            ..Mailbox::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.opened.messages.is_empty()
    }

    pub fn counts(&self) -> Line {
        let count = |which: &dyn Fn(&&Listed) -> bool| self.opened.messages.iter().filter(which).count();
        Line::Counts {
            new: count(&|message| !message.heard),
            urgent: count(&|message| !message.heard && message.urgent),
            old: count(&|message| message.heard),
        }
    }

    /// Who has left a message.
    pub fn from(&self, index: usize) -> Option<String> {
        Some(self.get(index)?.from.clone())
    }

    /// Its id.
    pub fn id(&self, index: usize) -> Option<String> {
        Some(self.get(index)?.id.clone())
    }

    fn get(&self, index: usize) -> Option<&Listed> {
        self.opened.messages.get(index)
    }

    /// Has a message made ready that is not, and is not being.
    pub fn prepare(&mut self, index: usize, cx: &mut Cx) {
        let Some(message) = self.opened.messages.get(index) else {
            return;
        };
        let known = self.asked.contains(&message.id) || self.ready.iter().any(|(id, _)| *id == message.id);
        if known || message.raw {
            return;
        }
        let Some(answer) = cx.a.answer() else { return };
        let (audio, video) = wanted(answer);
        let message_id = message.id.clone();
        self.asked.push(message_id.clone());
        cx.store(StoreAction::Mailbox(Box::new(MailboxAction::Prepare {
            message_id,
            audio,
            video,
        })));
    }

    fn is_ready(&mut self, id: String, clip: Result<ClipInfo, NotReady>) {
        self.asked.retain(|asked| *asked != id);
        if self.ready.len() >= READY_MAX {
            self.ready.pop_front();
        }
        self.ready.push_back((id, clip));
    }

    /// What was made of a message, if anything yet.
    fn made(&self, index: usize) -> Option<&Result<ClipInfo, NotReady>> {
        let id = &self.get(index)?.id;
        self.ready.iter().find(|(ready, _)| ready == id).map(|(_, made)| made)
    }

    /// Forgets what was made of a message, so that it is made again.
    fn forget(&mut self, index: usize) {
        let id = self.get(index).map(|message| message.id.clone());
        self.ready.retain(|(ready, _)| Some(ready) != id.as_ref());
    }

    /// A takes other codecs: all is made ready again.
    pub fn forget_all(&mut self) {
        self.ready.clear();
        self.asked.clear();
    }

    /// The call goes on: what was marked is deleted.
    pub fn let_go(&mut self, cx: &mut Cx) {
        if let Some(message_id) = self.doomed.take() {
            self.deleted = self.deleted.saturating_add(1);
            self.opened.messages.retain(|message| message.id != message_id);
            cx.store(StoreAction::Mailbox(Box::new(MailboxAction::Delete { message_id })));
        }
    }

    /// Where in its message A is, milliseconds from its start.
    fn position(&self, listening: &Listening, now: Instant) -> Option<u64> {
        let Step::Playing { from_ms, since } = listening.step else {
            return None;
        };
        let played = now.saturating_duration_since(since?).as_millis();
        Some(from_ms.saturating_add(u64::try_from(played).unwrap_or(u64::MAX)))
    }

    /// When the message will have been heard.
    pub fn heard_due(&self, listening: &Listening) -> Option<Instant> {
        let message = self.get(listening.index).filter(|message| !message.heard)?;
        let Step::Playing {
            from_ms,
            since: Some(since),
        } = listening.step
        else {
            return None;
        };
        let wanted = heard_after_ms(message.duration_ms);
        let until_ms = match self.played.get(&message.id) {
            Some(before) => before.reaches(wanted, from_ms),
            None => from_ms.saturating_add(wanted),
        };
        // What is left of it may not do.
        let left = (until_ms <= message.duration_ms).then(|| until_ms.saturating_sub(from_ms))?;
        since.checked_add(Duration::from_millis(left))
    }

    /// Notes what of a message has been played by now, and whether it was heard thereby.
    pub fn note_played(&mut self, listening: &Listening, cx: &mut Cx) {
        if let Some(position) = self.position(listening, cx.now.mono) {
            self.played_to(listening, position, cx);
        }
    }

    fn played_to(&mut self, listening: &Listening, to_ms: u64, cx: &mut Cx) {
        let Step::Playing {
            from_ms,
            since: Some(_),
            ..
        } = listening.step
        else {
            return;
        };
        let Some(message) = self.opened.messages.get_mut(listening.index) else {
            return;
        };
        let (played, to_ms) = (
            self.played.entry(message.id.clone()).or_default(),
            to_ms.min(message.duration_ms),
        );
        let before = played.clone();
        played.add(from_ms, to_ms);
        if message.heard || *played == before {
            return;
        }
        if !played.is_heard(message.duration_ms) {
            let message_id = message.id.clone();
            cx.store(StoreAction::Mailbox(Box::new(MailboxAction::Played {
                message_id,
                from_ms,
                to_ms,
            })));
            return;
        }
        message.heard = true;
        self.heard = self.heard.saturating_add(1);
        let message_id = message.id.clone();
        cx.store(StoreAction::Mailbox(Box::new(MailboxAction::Heard { message_id })));
    }

    /// What was done, for the last sentence.
    pub fn told(&self) -> Vec<String> {
        let counted = |did: &str, n: usize| match n {
            0 => None,
            1 => Some(format!("{did} one message")),
            n => Some(format!("{did} {n} messages")),
        };
        let told = [counted("heard", self.heard), counted("deleted", self.deleted)];
        told.into_iter().flatten().collect()
    }
}

impl Serving {
    /// The message of this place, or what follows the last.
    pub(super) fn go_to(&mut self, index: usize, cx: &mut Cx) {
        self.mailbox.let_go(cx);
        let Some(message) = self.mailbox.get(index) else {
            let line = if self.mailbox.is_empty() {
                Line::NoMessages
            } else {
                Line::NoMore
            };
            return self.menu(&[line], cx);
        };
        let envelope = Line::Envelope(Envelope::of(message));
        self.mailbox.prepare(index, cx);
        self.at = At::Listening(Listening {
            index,
            step: Step::Envelope,
        });
        self.say(&[envelope], cx);
    }

    fn listening(&mut self) -> Option<&mut Listening> {
        match &mut self.at {
            At::Listening(listening) => Some(listening),
            _ => None,
        }
    }

    fn index(&self) -> usize {
        match &self.at {
            At::Listening(listening) => listening.index,
            _ => 0,
        }
    }

    fn step(&mut self, step: Step) {
        if let Some(listening) = self.listening() {
            listening.step = step;
        }
    }

    pub(super) fn said_of_message(&mut self, cx: &mut Cx) {
        let At::Listening(listening) = &self.at else { return };
        match listening.step {
            Step::Envelope => self.play_from(0, cx),
            Step::Moment if self.mailbox.made(listening.index).is_some() => self.play_from(0, cx),
            Step::Moment => self.until = Some(cx.in_ms(READY_MS_MAX)),
            Step::After => self.until = Some(cx.in_ms(NEXT_MS)),
            Step::Playing { .. } => {}
        }
    }

    pub(super) fn waited_at_message(&mut self, cx: &mut Cx) {
        let At::Listening(listening) = &self.at else { return };
        let index = listening.index;
        match listening.step {
            Step::Moment => self.after(&[Line::CannotPlay], cx),
            Step::Playing { .. } => self.played(cx),
            Step::Envelope => self.play_from(0, cx),
            // One that is to be deleted is gone when the next is gone to: that is in its place then.
            Step::After => self.next(index, cx),
        }
    }

    /// To the message after this one, whatever becomes of this one.
    fn next(&mut self, index: usize, cx: &mut Cx) {
        let gone = usize::from(self.mailbox.doomed.is_some());
        self.go_to(index.saturating_add(1).saturating_sub(gone), cx);
    }

    /// Something has been made of a message that was asked for, or nothing can be.
    pub(super) fn ready(&mut self, id: String, made: Result<ClipInfo, NotReady>, cx: &mut Cx) {
        self.mailbox.is_ready(id, made);
        let At::Listening(listening) = &self.at else { return };
        if listening.step == Step::Moment && self.saying.is_none() && self.mailbox.made(listening.index).is_some() {
            self.play_from(0, cx);
        }
    }

    /// Plays the message from there, when it is ready.
    fn play_from(&mut self, from_ms: u64, cx: &mut Cx) {
        let index = self.index();
        let made = self.mailbox.made(index).cloned();
        let raw = self.mailbox.get(index).is_some_and(|message| message.raw);
        let clip = match made {
            _ if raw => return self.after(&[Line::NotYetReady], cx),
            Some(Err(NotReady::Raw)) => return self.after(&[Line::NotYetReady], cx),
            Some(Err(NotReady::Gone | NotReady::Failed { .. })) => return self.after(&[Line::CannotPlay], cx),
            None => {
                self.mailbox.prepare(index, cx);
                self.step(Step::Moment);
                return self.say(&[Line::OneMoment], cx);
            }
            Some(Ok(clip)) => clip,
        };
        let Some(clip_use) = usable(&clip, cx) else {
            self.mailbox.forget(index);
            return self.after(&[Line::CannotPlay], cx);
        };
        (self.saying, self.turn) = (None, None);
        let left = clip.duration_ms.saturating_sub(from_ms);
        self.until = Some(cx.in_ms(left.saturating_add(PLAYED_LATE_MS_MAX)));
        self.step(Step::Playing { from_ms, since: None });
        cx.media(MediaAction::PlayFrom {
            source: Source::Message,
            clip: clip_use,
            from_ms,
        });
        self.mailbox.prepare(index.saturating_add(1), cx);
    }

    pub(super) fn media_of_message(&mut self, event: &MediaEvent, cx: &mut Cx) {
        let source = Source::Message;
        let At::Listening(Listening {
            step: step @ Step::Playing { .. },
            index,
        }) = &mut self.at
        else {
            return;
        };
        let index = *index;
        let is_begun = matches!(step, Step::Playing { since: Some(_), .. });
        if let (Step::Playing { since, .. }, true) = (step, *event == MediaEvent::FirstPacket { source }) {
            since.get_or_insert(cx.now.mono);
            return;
        }
        match event {
            // The end of what was played before this one began is no news.
            MediaEvent::Played {
                source: Source::Message,
            } if is_begun => self.played(cx),
            MediaEvent::PlayFailed {
                source: Source::Message,
                ..
            } => {
                if let At::Listening(listening) = &self.at {
                    self.mailbox.note_played(listening, cx);
                }
                self.mailbox.forget(index);
                self.after(&[Line::CannotPlay], cx);
            }
            _ => {}
        }
    }

    /// It has come to its end.
    fn played(&mut self, cx: &mut Cx) {
        if let At::Listening(listening) = &self.at {
            self.mailbox.played_to(listening, u64::MAX, cx);
        }
        self.after(&[], cx);
    }

    /// What can be done with it now, after these words.
    fn after(&mut self, before: &[Line], cx: &mut Cx) {
        self.step(Step::After);
        self.say(&[before, &[Line::AfterMenu]].concat(), cx);
    }

    /// At the message of this place again, after a call to its sender.
    pub(super) fn back_at(&mut self, index: usize, before: &[Line], cx: &mut Cx) {
        self.silent = 0;
        self.at = At::Listening(Listening {
            index,
            step: Step::After,
        });
        self.after(before, cx);
    }

    pub(super) fn pressed_at_message(&mut self, key: char, cx: &mut Cx) {
        let At::Listening(listening) = &self.at else { return };
        let (index, position) = (listening.index, self.mailbox.position(listening, cx.now.mono));
        self.mailbox.note_played(listening, cx);
        let Some((id, duration_ms)) = self
            .mailbox
            .get(index)
            .map(|message| (message.id.clone(), message.duration_ms))
        else {
            return;
        };
        let at_ms = position.unwrap_or(duration_ms);
        match key {
            '1' => self.play_from(0, cx),
            '4' => self.play_from(at_ms.saturating_sub(STEP_MS), cx),
            '6' if at_ms.saturating_add(STEP_MS) < duration_ms => self.play_from(at_ms.saturating_add(STEP_MS), cx),
            // Past its end; but what was skipped was not heard.
            '6' => self.after(&[], cx),
            '5' => self.call_back(index, cx),
            '7' if self.mailbox.doomed.is_some() => {
                self.mailbox.doomed = None;
                self.after(&[Line::Restored], cx);
            }
            '7' => {
                self.mailbox.doomed = Some(id);
                self.after(&[Line::Deleted], cx);
            }
            '9' => {
                self.mailbox.doomed = None;
                cx.store(StoreAction::Mailbox(Box::new(MailboxAction::Keep { message_id: id })));
                self.after(&[Line::Kept], cx);
            }
            '#' => self.next(index, cx),
            '*' => self.menu(&[], cx),
            '0' => self.greetings(&[], cx),
            _ => {}
        }
    }
}
