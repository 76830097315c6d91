//! What subscribers who serve themselves ask for: blocking work, never on the signalling thread.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Instant,
};

use segue_call::{Listed, MailboxReply, NotReady, Opened};
use segue_mailbox::{BEEP_CLIP, ClipInfo, Kind, MediaState, Message, Played, RenditionInfo, RenditionProfile};
use segue_media::cache::Cache;
use segue_policy::{Pin, Profile};
use segue_records::UnixMs;
use segue_sip::BackingOff;
use segue_store::{MessageChanges, NewClip, PinGate, Store, StoreError};

use crate::{ClipCache, clips::Renditions};

/// Messages that are listed by phone, the newest.
const LISTED_MAX: usize = 200;
/// Clips that may be chosen from by phone.
const CLIPS_MAX: usize = 20;
/// Bytes of messages that are ready to be played, of all calls.
const MESSAGES_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Does what takes long, elsewhere. Everything here blocks.
pub trait Mailboxes: Send + Sync {
    /// What a subscriber's PIN is to be checked by; `None`: it cannot be made now.
    fn keep_pin(&self, user: &str, pin: &Pin) -> Option<Vec<u8>>;
    /// Whether this is the PIN that was kept. Without one it takes as long, and is never right.
    fn is_pin(&self, user: &str, kept: Option<&[u8]>, pin: &Pin) -> bool;
    /// A message as packet caches in these renditions, as far as they can be made.
    ///
    /// # Errors
    /// Why there are none, for the record.
    fn message(&self, id: &str, renditions: &[RenditionProfile]) -> Result<NewClip, String>;
    /// Makes a clip of the synced recording of this id, and stores it under a name of its own. The recording is gone afterwards.
    ///
    /// # Errors
    /// Why there is none, for the record.
    fn clip_of(&self, recording: &str) -> Result<ClipInfo, String>;
}

/// An answer with all that playing it will need.
#[derive(Debug)]
pub(crate) struct Served {
    pub reply: MailboxReply,
    pub clips: BTreeMap<i64, Renditions>,
}

impl From<MailboxReply> for Served {
    fn from(reply: MailboxReply) -> Served {
        let clips = BTreeMap::new();
        Served { reply, clips }
    }
}

/// Somebody gives a number and a PIN.
#[derive(Debug)]
pub struct LogIn<'a> {
    /// The number, as it was typed.
    pub said: &'a str,
    /// The PIN.
    pub pin: &'a Pin,
    /// Where the call comes from.
    pub source: IpAddr,
    /// By which its numbers are read.
    pub profile: &'a Profile,
    /// The time, Unix milliseconds: locks outlive the process.
    pub now_ms: i64,
    /// The time, for sources that have to wait.
    pub now: Instant,
}

/// A PIN that has just been locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Whose.
    pub user: String,
    /// Until then.
    pub until: UnixMs,
}

/// Who it is, if number and PIN are right. Everything else takes as long and is answered the same: nobody there, no PIN, a wrong one,
/// one that is locked, a source that has to wait.
///
/// # Errors
/// [`StoreError`], of the store.
pub fn log_in(
    store: &Store,
    mailboxes: &dyn Mailboxes,
    sources: &Mutex<BackingOff>,
    asked: &LogIn<'_>,
) -> Result<(Option<String>, Option<Locked>), StoreError> {
    let sources = || sources.lock().unwrap_or_else(PoisonError::into_inner);
    let user = owner(store, asked.said, asked.profile)?;
    let name = user.as_deref().unwrap_or(asked.said);
    let waits = sources().wait(asked.now, asked.source, name).is_some();
    let gate = match &user {
        Some(user) if !waits => store.try_pin(user, asked.now_ms)?,
        _ => PinGate::None,
    };
    let (right, locks_until) = match &gate {
        PinGate::Open { sealed, locks_until_ms } => (mailboxes.is_pin(name, Some(sealed), asked.pin), *locks_until_ms),
        PinGate::None | PinGate::Locked { .. } => (mailboxes.is_pin(name, None, asked.pin), None),
    };
    if let (true, Some(user), PinGate::Open { sealed, .. }) = (right, &user, &gate) {
        store.pin_was_right(user, sealed)?;
        sources().proven(asked.source, user);
        return Ok((Some(user.clone()), None));
    }
    // Who does not wait as it has to waits no longer for that.
    if !waits {
        sources().failed(asked.now, asked.source, name);
    }
    let locked = user.zip(locks_until).map(|(user, until_ms)| Locked {
        user,
        until: UnixMs(until_ms),
    });
    Ok((None, locked))
}

/// A subscriber by their name or a number of theirs, however the profile's callers write it.
fn owner(store: &Store, said: &str, profile: &Profile) -> Result<Option<String>, StoreError> {
    match store.subscriber(said) {
        Ok(found) => return Ok(Some(found.user)),
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let number = profile.normalise(said).number;
    number.map_or(Ok(None), |number| store.owner_of(&number))
}

/// A subscriber's mailbox, with the clips that may be chosen loaded.
pub(crate) fn open(store: &Store, cache: &ClipCache, user: &str) -> Result<Served, StoreError> {
    let subscriber = store.subscriber(user)?;
    let mut messages = store.messages(user)?;
    let surplus = messages.len().saturating_sub(LISTED_MAX);
    messages.drain(..surplus);
    let mut clips = store.clips_of(user)?;
    clips.truncate(CLIPS_MAX);
    let beep = store.clip(BEEP_CLIP).ok();
    let loaded = clips
        .iter()
        .chain(&beep)
        .map(|clip| (clip.id, cache.load(store, clip)))
        .collect();
    let opened = Opened {
        messages: messages
            .iter()
            .map(|message| listed(store, message))
            .collect::<Result<_, _>>()?,
        clips,
        greeting: subscriber.greeting,
        beep,
        zone: subscriber.zone,
    };
    Ok(Served {
        reply: MailboxReply::Opened(Box::new(opened)),
        clips: loaded,
    })
}

fn listed(store: &Store, message: &Message) -> Result<Listed, StoreError> {
    let played = match message.heard_at_ms {
        None => store.played(&message.id)?,
        Some(_) => Played::default(),
    };
    Ok(Listed {
        played,
        id: message.id.clone(),
        from: message.from.clone(),
        received_at_ms: message.received_at_ms,
        duration_ms: message.duration_ms,
        heard: message.heard_at_ms.is_some(),
        urgent: message.urgent,
        video: message.kind == Kind::Video,
        raw: message.media_state == MediaState::Raw,
    })
}

/// A part of a message was played by phone: as a page says it (`segue_store::MessageChanges::played`).
pub(crate) fn note_played(store: &Store, id: &str, part: (u64, u64), now_ms: i64) -> Result<(), StoreError> {
    let changes = MessageChanges {
        played: vec![part],
        ..MessageChanges::default()
    };
    store.change_message(id, now_ms, changes, |_| true).map(drop)
}

/// Messages that are ready to be played, of all calls: as many as memory is for.
#[derive(Debug, Default)]
pub(crate) struct ReadyMessages {
    /// What is still held by a call, with its bytes.
    held: Vec<(Weak<BTreeMap<RenditionProfile, Cache>>, u64)>,
    /// Ids of clips that are in no store, counted down from 0.
    last: i64,
}

impl ReadyMessages {
    fn has_room(&mut self) -> bool {
        self.held.retain(|(held, _)| held.strong_count() > 0);
        self.held.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add) < MESSAGES_BYTES_MAX
    }

    fn add(&mut self, renditions: &Renditions, bytes: u64) -> i64 {
        self.held.push((Arc::downgrade(renditions), bytes));
        self.last = self.last.saturating_sub(1);
        self.last
    }
}

/// A message, ready to be played in these renditions.
pub(crate) fn prepare(
    store: &Store,
    mailboxes: &dyn Mailboxes,
    ready: &Mutex<ReadyMessages>,
    message_id: &str,
    renditions: &[RenditionProfile],
) -> Served {
    let not = |why| {
        let message_id = message_id.to_owned();
        Served::from(MailboxReply::NotReady { message_id, why })
    };
    match store.message(message_id) {
        Ok(message) if message.media_state == MediaState::Raw => return not(NotReady::Raw),
        Ok(_) => {}
        Err(StoreError::NotFound { .. }) => return not(NotReady::Gone),
        Err(error) => return not(NotReady::Failed { why: error.to_string() }),
    }
    let ready = || ready.lock().unwrap_or_else(PoisonError::into_inner);
    if !ready().has_room() {
        let why = "too many messages are played at once".to_owned();
        return not(NotReady::Failed { why });
    }
    let made = match mailboxes.message(message_id, renditions) {
        Ok(made) => made,
        Err(why) => return not(NotReady::Failed { why }),
    };
    let mut caches = BTreeMap::new();
    let (mut infos, mut bytes) = (Vec::new(), 0_u64);
    for rendition in made.renditions {
        let Ok(cache) = Cache::parse(&rendition.cache) else {
            continue;
        };
        bytes = bytes.saturating_add(rendition.cache.len() as u64);
        infos.push(RenditionInfo {
            profile: rendition.profile,
            bytes: rendition.cache.len() as u64,
            profile_level_id: rendition.profile_level_id,
        });
        caches.insert(rendition.profile, cache);
    }
    let caches = Arc::new(caches);
    let id = ready().add(&caches, bytes);
    let clip = ClipInfo {
        id,
        name: message_id.to_owned(),
        duration_ms: made.duration_ms,
        renditions: infos,
    };
    Served {
        reply: MailboxReply::Ready {
            message_id: message_id.to_owned(),
            clip,
        },
        clips: BTreeMap::from([(id, caches)]),
    }
}

/// A clip of a subscriber's own, of what they have recorded.
pub(crate) fn make_clip(
    store: &Store,
    mailboxes: &dyn Mailboxes,
    cache: &ClipCache,
    user: &str,
    recording: &str,
    now_ms: i64,
) -> Served {
    let clip = match mailboxes.clip_of(recording) {
        Ok(clip) => clip,
        Err(why) => return MailboxReply::Failed { why }.into(),
    };
    match store.own_clip(&clip.name, user, now_ms) {
        Ok(too_many) => {
            for old in too_many {
                if let Err(error) = store.remove_clip(&old) {
                    tracing::warn!(clip = old, %error, "a recorded clip that nobody uses stays");
                }
            }
        }
        Err(error) => {
            let _ = store.remove_clip(&clip.name);
            return MailboxReply::Failed { why: error.to_string() }.into();
        }
    }
    let loaded = cache.load(store, &clip);
    Served {
        clips: BTreeMap::from([(clip.id, loaded)]),
        reply: MailboxReply::Recorded { clip },
    }
}

/// Keeps a message whatever the rules say, also one that they have just taken.
pub(crate) fn keep(store: &Store, message_id: &str, now_ms: i64) -> Result<(), StoreError> {
    match store.pin_message(message_id, true, now_ms) {
        Err(StoreError::Refused { .. }) => store.undelete_message(message_id, true, now_ms).map(drop),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests;
