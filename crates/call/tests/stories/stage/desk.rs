//! Who answers a subscriber that serves itself: the mailbox behind the stage.

use segue_call::{
    Input, MailboxAction, MailboxReply, MediaAction, MediaEvent, NotReady, Opened, Source, StoreAction, StoreReply,
};
use segue_mailbox::{ClipInfo, RenditionInfo, RenditionProfile};
use segue_policy::Language;

use super::{PACKET_MS, Stage};

/// The mailbox, and how long things take.
#[derive(Clone)]
pub struct Desk {
    pub opened: Opened,
    /// Number, PIN and name of who can log in.
    pub account: (&'static str, &'static str, &'static str),
    /// A message is ready this long after it was asked for.
    pub ready_ms: u64,
    /// Messages that cannot be played, and why.
    pub not_ready: Vec<(&'static str, NotReady)>,
    /// What cannot be done.
    pub fails: bool,
    /// There are prompts; else what would be said is passed over within a moment.
    pub speaks: bool,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk {
            opened: Opened {
                beep: Some(clip(3, "beep", 1_000)),
                ..Opened::default()
            },
            account: ("101", "2580", "bob"),
            ready_ms: 50,
            not_ready: Vec::new(),
            fails: false,
            speaks: false,
        }
    }
}

impl Stage {
    pub(super) fn react_of_desk(&mut self, action: &MailboxAction) {
        let desk = self.setup.desk.clone();
        let (after, reply) = match action {
            MailboxAction::Voice { .. } => (
                2,
                MailboxReply::Voice {
                    language: Language::En,
                    prompts: desk.speaks.then(|| clip(0, "prompts-en", 0)),
                },
            ),
            MailboxAction::LogIn { said, pin, .. } => {
                let (number, right, user) = desk.account;
                let reply = match said == number && pin.digits() == right {
                    true => MailboxReply::LoggedIn { user: user.to_owned() },
                    false => MailboxReply::NotLoggedIn,
                };
                (40, reply)
            }
            MailboxAction::Open { .. } => (5, MailboxReply::Opened(Box::new(desk.opened))),
            MailboxAction::Prepare { message_id, .. } => {
                let message_id = message_id.clone();
                let why = desk.not_ready.iter().find(|(id, _)| *id == message_id);
                let reply = match why {
                    Some((_, why)) => MailboxReply::NotReady {
                        message_id,
                        why: why.clone(),
                    },
                    None => MailboxReply::Ready {
                        clip: self.message_clip(&message_id),
                        message_id,
                    },
                };
                (desk.ready_ms, reply)
            }
            MailboxAction::Played { .. }
            | MailboxAction::Heard { .. }
            | MailboxAction::Keep { .. }
            | MailboxAction::Delete { .. } => return,
            MailboxAction::MakeClip { .. } => (
                2_000,
                MailboxReply::Recorded {
                    clip: clip(77, "rec-1", 3_000),
                },
            ),
            _ if desk.fails => (5, MailboxReply::Failed { why: "locked".into() }),
            MailboxAction::SetDnd { .. }
            | MailboxAction::UseGreeting { .. }
            | MailboxAction::UseClip { .. }
            | MailboxAction::SetPin { .. } => (5, MailboxReply::Done),
        };
        self.after(after, Input::Store(StoreReply::Mailbox(Box::new(reply))));
    }

    /// A message as a clip: its id counts down with its place.
    fn message_clip(&self, id: &str) -> ClipInfo {
        let messages = &self.setup.desk.opened.messages;
        let at = messages.iter().position(|message| message.id == id).unwrap();
        clip(-1 - i64::try_from(at).unwrap(), id, messages[at].duration_ms)
    }

    /// What plays is over at once for what plays now; its own end comes with its time.
    pub(super) fn react_to_play_from(&mut self, action: &MediaAction) {
        let MediaAction::PlayFrom { source, clip, from_ms } = action else {
            return;
        };
        self.nothing_plays();
        let place = usize::try_from(-1 - clip.clip).unwrap();
        let left = self.setup.desk.opened.messages[place].duration_ms - from_ms;
        self.after(PACKET_MS, Input::Media(MediaEvent::FirstPacket { source: *source }));
        self.after(left, Input::Media(MediaEvent::Played { source: *source }));
    }

    pub(super) fn react_to_desk_clip(&mut self, source: Source, clip: i64) {
        let duration_ms = self.desk_clip(clip).unwrap();
        self.nothing_plays();
        self.after(PACKET_MS, Input::Media(MediaEvent::FirstPacket { source }));
        self.after(duration_ms, Input::Media(MediaEvent::Played { source }));
    }

    /// What played before is followed by nothing.
    pub(super) fn nothing_plays(&mut self) {
        self.due.retain(|_, input| {
            !matches!(
                input,
                Input::Media(MediaEvent::Played { .. } | MediaEvent::FirstPacket { .. })
            )
        });
    }

    /// A clip of the desk's that is played.
    pub(super) fn desk_clip(&self, id: i64) -> Option<u64> {
        let desk = &self.setup.desk.opened;
        let made = clip(77, "rec-1", 3_000);
        let mut all = desk.clips.iter().chain(&desk.beep).chain([&made]);
        all.find(|clip| clip.id == id).map(|clip| clip.duration_ms)
    }

    /// What the store was told to have been played of messages: id, from and to.
    pub fn noted_as_played(&self) -> Vec<(String, u64, u64)> {
        let part = |action: StoreAction| match action {
            StoreAction::Mailbox(action) => match *action {
                MailboxAction::Played {
                    message_id,
                    from_ms,
                    to_ms,
                } => Some((message_id, from_ms, to_ms)),
                _ => None,
            },
            _ => None,
        };
        self.stored().into_iter().filter_map(part).collect()
    }

    /// What was asked of the mailbox, in short.
    pub fn asked_of_desk(&self) -> Vec<String> {
        let word = |action: StoreAction| match action {
            StoreAction::Mailbox(action) => Some(match *action {
                MailboxAction::Voice { .. } | MailboxAction::Played { .. } => return None,
                MailboxAction::LogIn { said, .. } => format!("log in {said}"),
                MailboxAction::SetDnd { user, on } => format!("dnd {user} {on}"),
                MailboxAction::Open { user } => format!("open {user}"),
                MailboxAction::Prepare { message_id, .. } => format!("prepare {message_id}"),
                MailboxAction::Heard { message_id } => format!("heard {message_id}"),
                MailboxAction::Keep { message_id } => format!("keep {message_id}"),
                MailboxAction::Delete { message_id } => format!("delete {message_id}"),
                MailboxAction::MakeClip { user, .. } => format!("make clip {user}"),
                MailboxAction::UseGreeting { user, clip } => format!("greeting {user} {clip}"),
                MailboxAction::UseClip { user, clip } => format!("clip {user} {clip}"),
                MailboxAction::SetPin { user, pin } => format!("pin {user} {}", pin.digits()),
            }),
            _ => None,
        };
        self.stored().into_iter().filter_map(word).collect()
    }

    /// Keys, one after the other.
    pub fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.run_ms(150);
            self.press(key);
        }
    }
}

pub fn clip(id: i64, name: &str, duration_ms: u64) -> ClipInfo {
    let video = |profile, level| RenditionInfo {
        profile,
        bytes: 1,
        profile_level_id: Some([0x42, 0xc0, level]),
    };
    let audio = |profile| RenditionInfo {
        profile,
        bytes: 1,
        profile_level_id: None,
    };
    let renditions = vec![
        audio(RenditionProfile::Pcmu),
        audio(RenditionProfile::Pcma),
        video(RenditionProfile::H264W640Mode1, 30),
        video(RenditionProfile::H264W640Mode0, 30),
        video(RenditionProfile::H264W320Mode1, 12),
        video(RenditionProfile::H264W320Mode0, 12),
    ];
    ClipInfo {
        id,
        name: name.into(),
        duration_ms,
        renditions,
    }
}
