//! Subscribers who listen to their messages by phone: what was heard and deleted, by what was played to them and the keys they pressed.

use std::collections::BTreeMap;

use segue_b2bua::CallKey;
use segue_call::{
    LegId, Listed, MailboxAction, MailboxReply, MediaAction, MediaEvent, NotReady, Opened, Source, StoreReply,
};
use segue_mailbox::Kind;
use segue_policy::Language;

use super::world::{Pending, World};
use crate::{
    dice::{MS, S, Time},
    store_model::clip,
};

/// The clock of the call and that of the packet path are read at moments of their own.
const NEARLY_MS: u64 = 5;

/// A message: how long, whether it is heard, and what was played of it: from and to, milliseconds from its start.
type Known = (u64, bool, Vec<(u64, u64)>);

/// One visit, as its owner knows it.
#[derive(Default)]
pub struct Visit {
    messages: BTreeMap<String, Known>,
    clips: BTreeMap<i64, String>,
    playing: Option<(String, u64, Option<Time>)>,
    /// The message that keys are for; `None`: nobody can tell from outside.
    current: Option<String>,
    doomed: Option<String>,
    /// Each key's message was known.
    unsure: bool,
    /// When a key or the packet path last spoke.
    spoken_at: Time,
    /// Keys that were pressed.
    pub pressed: String,
    /// Who it is, since number and PIN were right; and how often they were not.
    pub logged_in: Option<String>,
    pub wrong: u32,
}

impl Visit {
    fn opened(&mut self, all: &[Listed]) {
        for message in all {
            let known = (message.duration_ms, message.heard, Vec::new());
            self.messages.entry(message.id.clone()).or_insert(known);
        }
    }

    /// How much of a message was played, milliseconds.
    fn played(&self, id: &str, now: Time) -> u64 {
        let Some((duration, _, parts)) = self.messages.get(id) else {
            return 0;
        };
        let mut parts = parts.clone();
        if let Some((of, from, Some(since))) = &self.playing
            && of == id
        {
            parts.push((*from, from + (now - since) / MS));
        }
        parts.sort_unstable();
        let (mut sum, mut at) = (0, 0);
        for (from, to) in parts {
            let (from, to) = (from.max(at), to.min(*duration));
            sum += to.saturating_sub(from);
            at = at.max(to);
        }
        sum
    }

    fn stop(&mut self, now: Time) {
        let Some((id, from, since)) = self.playing.take() else {
            return;
        };
        if let (Some((.., parts)), Some(since)) = (self.messages.get_mut(&id), since) {
            parts.push((from, from + (now - since) / MS));
        }
    }

    pub fn does(&mut self, now: Time, action: &MediaAction) {
        match action {
            MediaAction::PlayFrom { clip, from_ms, .. } => {
                self.stop(now);
                let id = self.clips.get(&clip.clip).cloned();
                self.current.clone_from(&id);
                self.playing = id.map(|id| (id, *from_ms, None));
            }
            MediaAction::Say { .. } => {
                self.stop(now);
                // Nobody asked for it: the next message, or something else.
                if self.spoken_at != now {
                    self.current = None;
                }
            }
            MediaAction::Play { .. } | MediaAction::Record { .. } | MediaAction::Close => self.stop(now),
            _ => {}
        }
    }

    pub fn hears(&mut self, now: Time, event: &MediaEvent) {
        self.spoken_at = now;
        if let MediaEvent::Dtmf { key, .. } = event {
            self.pressed.push(*key);
        }
        match event {
            MediaEvent::FirstPacket {
                source: Source::Message,
            } => {
                if let Some((_, _, since)) = &mut self.playing {
                    since.get_or_insert(now);
                }
            }
            MediaEvent::Played {
                source: Source::Message,
            } => {
                if let Some((id, from, Some(_))) = self.playing.clone()
                    && let Some((duration, _, parts)) = self.messages.get_mut(&id)
                {
                    parts.push((from, *duration));
                    self.playing = None;
                }
            }
            MediaEvent::Dtmf { leg: LegId::A, key } => match (key, &self.current) {
                ('7', None) => self.unsure = true,
                ('7', current) if self.doomed == *current => self.doomed = None,
                ('7', current) => self.doomed.clone_from(current),
                ('9', None) => self.unsure = true,
                ('9', _) => self.doomed = None,
                ('#' | '*' | '0', _) => self.current = None,
                _ => {}
            },
            _ => {}
        }
    }

    fn is_heard(&mut self, now: Time, id: &str) -> Result<(), String> {
        let played = self.played(id, now);
        let Some((duration, heard, _)) = self.messages.get_mut(id) else {
            return Err(format!("{id} was heard, which is in no mailbox"));
        };
        if std::mem::replace(heard, true) {
            return Err(format!("{id} was heard twice"));
        }
        if played + NEARLY_MS < *duration * 80 / 100 {
            return Err(format!("{id} was heard after {played} ms of {duration}"));
        }
        Ok(())
    }

    fn is_deleted(&mut self, id: &str) -> Result<(), String> {
        if self.unsure || self.doomed.take().as_deref() == Some(id) {
            return Ok(());
        }
        Err(format!("{id} was deleted, which nobody wanted"))
    }

    /// The call is over.
    pub fn ends(&self, now: Time) -> Result<(), String> {
        let unheard = self
            .messages
            .iter()
            .find(|(id, (duration, heard, _))| !heard && self.played(id, now) > *duration * 80 / 100 + NEARLY_MS);
        if let Some((id, _)) = unheard {
            return Err(format!(
                "{id} is not heard, of which {} ms were played",
                self.played(id, now)
            ));
        }
        match &self.doomed {
            Some(id) if !self.unsure => Err(format!("{id} was not deleted, as was wanted")),
            _ => Ok(()),
        }
    }
}

impl World {
    pub(super) fn mailbox(&mut self, key: CallKey, action: MailboxAction) {
        let now = self.now;
        let soon = now + self.dice.between(0, 50 * MS);
        let wall = self.instant().wall.0;
        let outcome = self.may(key, &action);
        self.must(outcome);
        let (at, reply) = match action {
            MailboxAction::Voice { .. } => {
                self.visits.entry(key).or_default();
                let prompts = Some(clip(0, "prompts"));
                let language = Language::default();
                (soon, MailboxReply::Voice { language, prompts })
            }
            MailboxAction::LogIn { said, pin, source } => {
                let outcome = self.log_in(key, &said, &pin, source);
                let Some(reply) = self.must(outcome) else { return };
                (soon, reply)
            }
            MailboxAction::Open { user } => {
                self.mark("somebody called their mailbox");
                let messages = self.desk.store.messages(&user).expect("messages");
                let listed = messages.iter().map(|message| Listed {
                    id: message.id.clone(),
                    from: message.from.clone(),
                    received_at_ms: message.received_at_ms,
                    duration_ms: message.duration_ms,
                    heard: message.heard_at_ms.is_some(),
                    urgent: message.urgent,
                    video: message.kind == Kind::Video,
                    raw: false,
                    // Each visit is judged by itself here.
                    played: segue_mailbox::Played::default(),
                });
                let opened = Opened {
                    messages: listed.collect(),
                    clips: vec![clip(2, "greeting")],
                    greeting: None,
                    beep: Some(clip(3, "beep")),
                    ..Opened::default()
                };
                self.visits.entry(key).or_default().opened(&opened.messages);
                (soon, MailboxReply::Opened(Box::new(opened)))
            }
            MailboxAction::Prepare { message_id, .. } => {
                let takes = if self.dice.chance(20) { 4 * S } else { 200 * MS };
                let at = now + self.dice.between(0, takes);
                let why = match self.desk.store.message(&message_id) {
                    Err(_) => Some(NotReady::Gone),
                    Ok(_) if self.dice.chance(5) => Some(NotReady::Failed {
                        why: "no worker".into(),
                    }),
                    Ok(_) => None,
                };
                match why {
                    Some(why) => (at, MailboxReply::NotReady { message_id, why }),
                    None => {
                        let duration_ms = self.desk.store.message(&message_id).expect("it is there").duration_ms;
                        let id = -1 - i64::try_from(self.media.lengths.len()).expect("few");
                        self.media.lengths.insert(id, duration_ms * MS);
                        self.visits.entry(key).or_default().clips.insert(id, message_id.clone());
                        let mut clip = clip(id, &message_id);
                        clip.duration_ms = duration_ms;
                        (at, MailboxReply::Ready { message_id, clip })
                    }
                }
            }
            MailboxAction::MakeClip { recording, .. } => {
                self.desk.forget(&recording);
                self.mark("a greeting was recorded");
                (
                    now + S,
                    MailboxReply::Recorded {
                        clip: clip(8, "recorded"),
                    },
                )
            }
            MailboxAction::SetDnd { .. } | MailboxAction::UseGreeting { .. } | MailboxAction::UseClip { .. } => {
                (soon, MailboxReply::Done)
            }
            MailboxAction::SetPin { user, pin } => {
                let sealed = pin.digits().as_bytes().to_vec();
                self.desk.store.set_pin(&user, Some(sealed)).expect("a PIN");
                self.pins.set(&user, pin.digits());
                self.mark("a PIN was changed by phone");
                (soon, MailboxReply::Done)
            }
            MailboxAction::Played { .. } => {
                self.mark("a part was played by phone");
                return;
            }
            MailboxAction::Heard { message_id } => {
                let outcome = self.visits.entry(key).or_default().is_heard(now, &message_id);
                self.must(outcome);
                self.mark("heard by phone");
                return self.by_phone(
                    &message_id,
                    |store, id| store.mark_heard(id, wall).is_ok(),
                    |item| item.heard = true,
                );
            }
            MailboxAction::Keep { message_id } => {
                self.mark("kept by phone");
                return self.by_phone(
                    &message_id,
                    |store, id| store.pin_message(id, true, wall).is_ok(),
                    |_| {},
                );
            }
            MailboxAction::Delete { message_id } => {
                let outcome = self.visits.entry(key).or_default().is_deleted(&message_id);
                self.must(outcome);
                self.mark("deleted by phone");
                return self.by_phone(
                    &message_id,
                    |store, id| store.delete_message(id, wall).is_ok(),
                    |item| item.deleted = true,
                );
            }
        };
        self.later(at, Pending::Store(self.life, key, StoreReply::Mailbox(Box::new(reply))));
    }

    /// What becomes of a message by its owner's keys.
    fn by_phone(
        &mut self,
        id: &str,
        act: impl Fn(&segue_store::Store, &str) -> bool,
        change: impl Fn(&mut super::shelf::Item),
    ) {
        let done = act(&self.desk.store, id);
        let owner = self.desk.shelf.owner(id);
        if let (true, Some(owner)) = (done, owner) {
            self.desk.shelf.change(self.now, &owner, id, change);
        }
        self.changed();
    }
}
