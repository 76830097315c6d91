//! What is said, line by line.

use segue_mailbox::Kind;
use segue_policy::{Calling, Language, Service, Zone};

use super::Serving;
use crate::{
    cx::Cx,
    io::Listed,
    prompts::{self, Moment, Picture, Prompt, Word},
};

/// A line that cannot be said lasts so long: who knows the keys finds their way.
const UNSAID_MS: u64 = 300;

/// One thing that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    AskNumber,
    AskPin,
    WrongLogin,
    Goodbye,
    Trouble,
    DndOn,
    DndOff,
    Counts { new: usize, urgent: usize, old: usize },
    NoMessages,
    NoMore,
    MainMenu,
    Envelope(Envelope),
    OneMoment,
    NotYetReady,
    CannotPlay,
    AfterMenu,
    CallingBack,
    CannotCallBack,
    NotReached,
    Deleted,
    Restored,
    Kept,
    GreetingsMenu,
    RecordNow,
    RecordedMenu,
    TooShort,
    NoGreeting,
    GreetingSet,
    ClipMenu,
    NoClips,
    ClipSet,
    AskNewPin,
    AskNewPinAgain,
    PinsDiffer,
    PinRefused,
    PinSet,
}

/// What is said of a message before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub from: String,
    pub received_at_ms: i64,
    pub urgent: bool,
    pub video: bool,
}

impl Envelope {
    pub fn of(message: &Listed) -> Envelope {
        Envelope {
            from: message.from.clone(),
            received_at_ms: message.received_at_ms,
            urgent: message.urgent,
            video: message.video,
        }
    }
}

/// What was called, for the last sentence.
pub(super) fn service(service: Service) -> &'static str {
    match service {
        Service::Mailbox => "their mailbox",
        Service::Greetings => "their greetings",
        Service::DndOn | Service::DndOff => "do not disturb",
    }
}

impl Line {
    /// What of it is shown, where that is another picture than before.
    fn picture(&self) -> Option<Picture> {
        Some(match self {
            Line::AskNumber | Line::Counts { .. } | Line::MainMenu | Line::Envelope(_) => Picture::Mailbox,
            Line::AskPin | Line::AskNewPin | Line::AskNewPinAgain => Picture::Pin,
            Line::DndOn | Line::DndOff => Picture::DoNotDisturb,
            Line::OneMoment => Picture::OneMoment,
            Line::AfterMenu => Picture::MessageMenu,
            Line::CallingBack => Picture::CallingBack,
            Line::GreetingsMenu => Picture::SettingsMenu,
            Line::RecordedMenu => Picture::GreetingMenu,
            Line::ClipMenu => Picture::ChooseClip,
            _ => return None,
        })
    }

    fn prompts(&self, language: Language, cx: &Cx, zone: &Zone) -> Vec<Prompt> {
        let word = match self {
            Line::Counts { new, urgent, old } => return counts(*new, *urgent, *old),
            Line::Envelope(envelope) => return envelope.prompts(language, cx, zone),
            Line::NoMessages => return prompts::messages(0, 0),
            Line::AskNumber => Word::EnterMailbox,
            Line::AskPin => Word::EnterPin,
            Line::WrongLogin => Word::WrongPin,
            Line::Goodbye => Word::Goodbye,
            Line::Trouble | Line::NotYetReady => Word::NotPossible,
            Line::DndOn => Word::DndOn,
            Line::DndOff => Word::DndOff,
            Line::NoMore => Word::NoMoreMessages,
            Line::MainMenu => Word::MainMenu,
            Line::OneMoment => Word::OneMoment,
            Line::CannotPlay => Word::CannotPlay,
            Line::AfterMenu => Word::MessageMenu,
            Line::CallingBack => Word::CallingBack,
            Line::CannotCallBack => Word::CannotCallBack,
            Line::NotReached => Word::NotReached,
            Line::Deleted => Word::Deleted,
            Line::Restored => Word::Restored,
            Line::Kept => Word::Kept,
            Line::GreetingsMenu => Word::SettingsMenu,
            Line::RecordNow => Word::RecordGreeting,
            Line::RecordedMenu => Word::GreetingMenu,
            Line::TooShort => Word::TooShort,
            Line::NoGreeting => Word::NoGreeting,
            Line::GreetingSet => Word::GreetingSaved,
            Line::ClipMenu => Word::ChooseClip,
            Line::NoClips => Word::NoClips,
            Line::ClipSet => Word::ClipChosen,
            Line::AskNewPin => Word::NewPin,
            Line::AskNewPinAgain => Word::RepeatPin,
            Line::PinsDiffer => Word::PinDiffers,
            Line::PinRefused => Word::PinBad,
            Line::PinSet => Word::PinChanged,
        };
        vec![word.into()]
    }
}

/// "You have two new messages and one old message. One urgent message."
fn counts(new: usize, urgent: usize, old: usize) -> Vec<Prompt> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let mut said = prompts::messages(number(new), number(old));
    match urgent {
        0 => {}
        1 => said.extend::<[Prompt; 2]>([Word::One.into(), Word::UrgentMessage.into()]),
        more => {
            said.extend(prompts::count(number(more)));
            said.push(Word::UrgentMessages.into());
        }
    }
    said
}

impl Envelope {
    /// What it is, from whom, and when it came.
    fn prompts(&self, language: Language, cx: &Cx, zone: &Zone) -> Vec<Prompt> {
        let calling = Calling {
            from: self.from.clone(),
            at_ms: self.received_at_ms,
        };
        let number = cx.invite.profile.normalise(&self.from);
        let number = number.number.or(Some(number.said).filter(|said| !said.is_empty()));
        let (at, now) = (zone.local(self.received_at_ms), zone.local(cx.now.wall.0));
        let (hour, minute) = at.time();
        let moment = Moment {
            days_ago: now.days_since(at),
            weekday: at.weekday().saturating_add(1),
            month: at.month(),
            day: at.day_of_month(),
            hour,
            minute,
        };
        [
            prompts::kind(if self.video { Kind::Video } else { Kind::Audio }, self.urgent),
            prompts::caller(number.as_deref(), calling.is_anonymous()),
            prompts::received(language, moment),
        ]
        .concat()
    }
}

impl Serving {
    /// Says lines one after the other; a key cuts them short. Where there is no voice yet, they are passed over.
    pub(super) fn say(&mut self, lines: &[Line], cx: &mut Cx) {
        self.until = None;
        let Some(voice) = self.voice.clone() else {
            let lines = u64::try_from(lines.len()).unwrap_or(u64::MAX);
            self.saying = Some(cx.in_ms(lines.saturating_mul(UNSAID_MS)));
            return;
        };
        let zone = &self.mailbox.opened.zone;
        let said = lines
            .iter()
            .flat_map(|line| line.prompts(voice.language, cx, zone))
            .collect();
        let picture = lines.iter().rev().find_map(Line::picture);
        let turn = cx.say(&voice, said, picture);
        (self.turn, self.saying) = (Some(turn), Some(turn.until));
    }

    /// Nothing more is said: somebody types.
    pub(super) fn hush(&mut self, cx: &mut Cx) {
        if self.saying.take().is_some() && self.turn.take().is_some() {
            cx.hush();
        }
    }
}
