//! What a call asks for a subscriber who serves itself by phone, and what is answered.

use std::net::IpAddr;

use segue_mailbox::{ClipInfo, Played, RenditionProfile};
use segue_policy::{Language, Pin, Zone};

/// What shall be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxAction {
    /// How is the caller to be spoken to? `Voice` follows.
    Voice {
        /// Who it is, where that is known.
        user: Option<String>,
    },
    /// Whose number or name is this, and is this their PIN? `LoggedIn` or `NotLoggedIn` follows.
    LogIn {
        /// As it was typed.
        said: String,
        /// What they gave for their PIN.
        pin: Pin,
        /// Where the call came from.
        source: IpAddr,
    },
    /// They want not to be disturbed, or may be again. `Done` or `Failed` follows, as after all that name no other reply.
    SetDnd {
        /// Who.
        user: String,
        /// On or off.
        on: bool,
    },
    /// What is in the mailbox? `Opened` follows.
    Open {
        /// Whose.
        user: String,
    },
    /// Make a message ready to be played: `Ready` or `NotReady` follows. The three that were made ready last can be played.
    Prepare {
        /// Its id.
        message_id: String,
        /// What A's audio stream is to be sent.
        audio: Option<RenditionProfile>,
        /// What A's video stream is to be sent.
        video: Option<RenditionProfile>,
    },
    /// A part of an unheard message was played, by what was sent: with those of other calls and sittings it may be heard. No reply.
    Played {
        /// Its id.
        message_id: String,
        /// Where the part begins, milliseconds from its start.
        from_ms: u64,
        /// Where it ends.
        to_ms: u64,
    },
    /// The message was played past 80 %. No reply.
    Heard {
        /// Its id.
        message_id: String,
    },
    /// No rule shall delete it. No reply.
    Keep {
        /// Its id.
        message_id: String,
    },
    /// Delete it. No reply.
    Delete {
        /// Its id.
        message_id: String,
    },
    /// Make a clip of the synced recording: `Recorded` follows.
    MakeClip {
        /// Whose it is.
        user: String,
        /// The id that the recording has.
        recording: String,
    },
    /// This is their greeting from now on.
    UseGreeting {
        /// Whose.
        user: String,
        /// The clip's name.
        clip: String,
    },
    /// This is what their callers see while they wait from now on.
    UseClip {
        /// Whose.
        user: String,
        /// The clip's name.
        clip: String,
    },
    /// This is their PIN from now on.
    SetPin {
        /// Whose.
        user: String,
        /// The new one.
        pin: Pin,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxReply {
    /// How the caller is to be spoken to.
    Voice {
        /// In which language.
        language: Language,
        /// The prompts, as if they were a clip; `None`: they are not prepared.
        prompts: Option<ClipInfo>,
    },
    /// It is who it says.
    LoggedIn {
        /// The subscriber.
        user: String,
    },
    /// There is nobody of that number with that PIN, or it may not be tried now.
    NotLoggedIn,
    /// What is in the mailbox.
    Opened(Box<Opened>),
    /// The message can be played.
    Ready {
        /// Its id.
        message_id: String,
        /// In these renditions, which are loaded.
        clip: ClipInfo,
    },
    /// It cannot.
    NotReady {
        /// Its id.
        message_id: String,
        /// Why.
        why: NotReady,
    },
    /// The recording has become a clip, which is loaded.
    Recorded {
        /// The clip.
        clip: ClipInfo,
    },
    /// It is done.
    Done,
    /// It was not.
    Failed {
        /// Why, for the record.
        why: String,
    },
}

/// Why a message cannot be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReady {
    /// It is still stored as it was recorded.
    Raw,
    /// It is there no more.
    Gone,
    /// It could not be made ready.
    Failed {
        /// Why, for the record.
        why: String,
    },
}

/// A mailbox as its owner finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// Its messages, oldest first; the newest that are listed by phone.
    pub messages: Vec<Listed>,
    /// The clips that its owner may choose, which are loaded: those they have recorded, and those in use.
    pub clips: Vec<ClipInfo>,
    /// Their greeting, by name.
    pub greeting: Option<String>,
    /// Before a recording.
    pub beep: Option<ClipInfo>,
    /// Its owner's clock.
    pub zone: Zone,
}

/// A message as its owner hears of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The caller's URI.
    pub from: String,
    /// When, Unix milliseconds.
    pub received_at_ms: i64,
    /// How long.
    pub duration_ms: u64,
    /// It was heard before.
    pub heard: bool,
    /// What was played of it before, where it was not heard by that.
    pub played: Played,
    /// Its caller says that it is urgent.
    pub urgent: bool,
    /// It has pictures.
    pub video: bool,
    /// It is still stored as it was recorded.
    pub raw: bool,
}
