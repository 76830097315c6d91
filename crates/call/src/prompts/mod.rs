//! What can be said to a caller, and shown meanwhile. The sounds and texts are data (`media/prompts/<language>/`); how sentences are
//! put together is each language's own (`grammar`).

mod grammar;

pub use grammar::{Moment, caller, count, kind, messages, received};

/// Declares ids as an enum with their names.
macro_rules! ids {
    ($(#[$meta:meta])* $name:ident { $($(#[$of:meta])* $id:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $(#[$of])* $id,)*
        }

        impl $name {
            /// Each of them.
            pub const ALL: &[$name] = &[$($name::$id,)*];

            /// Its id: the name of its file and of its text.
            pub fn id(self) -> &'static str {
                match self {
                    $($name::$id => $text,)*
                }
            }
        }
    };
}

ids! {
    /// A word or a sentence. A new one wants a line in `media/prompts/*/spoken.txt` and a row in `docs/prompts.md`.
    Word {
        Choose = "choose",
        ChooseVoice = "choose-voice",
        AfterVideo = "after-video",
        AfterVoice = "after-voice",
        Sent = "sent",
        Cancelled = "cancelled",
        TooShort = "too-short",
        OneMoment = "one-moment",
        RecordAgain = "record-again",
        MarkedUrgent = "marked-urgent",
        UnmarkedUrgent = "unmarked-urgent",
        CannotPlay = "cannot-play",
        NotAChoice = "not-a-choice",
        Goodbye = "goodbye",
        YouHave = "you-have",
        And = "and",
        NoMessages = "no-messages",
        NoNewMessages = "no-new-messages",
        NewMessage = "new-message",
        NewMessages = "new-messages",
        OldMessage = "old-message",
        OldMessages = "old-messages",
        UrgentMessage = "urgent-message",
        UrgentMessages = "urgent-messages",
        One = "one",
        MoreThan = "more-than",
        Message = "message",
        VideoMessage = "video-message",
        VoiceMessage = "voice-message",
        Urgent = "urgent",
        From = "from",
        Anonymous = "anonymous",
        UnknownCaller = "unknown-caller",
        Plus = "plus",
        Received = "received",
        NoMoreMessages = "no-more-messages",
        Deleted = "deleted",
        Restored = "restored",
        Kept = "kept",
        Today = "today",
        Yesterday = "yesterday",
        On = "on",
        At = "at",
        Oclock = "oclock",
        Oh = "oh",
        Am = "am",
        Pm = "pm",
        Monday = "monday",
        Tuesday = "tuesday",
        Wednesday = "wednesday",
        Thursday = "thursday",
        Friday = "friday",
        Saturday = "saturday",
        Sunday = "sunday",
        January = "january",
        February = "february",
        March = "march",
        April = "april",
        May = "may",
        June = "june",
        July = "july",
        August = "august",
        September = "september",
        October = "october",
        November = "november",
        December = "december",
        EnterMailbox = "enter-mailbox",
        EnterPin = "enter-pin",
        WrongPin = "wrong-pin",
        Locked = "locked",
        MainMenu = "main-menu",
        MessageMenu = "message-menu",
        CallingBack = "calling-back",
        CannotCallBack = "cannot-call-back",
        NotReached = "not-reached",
        Ringing = "ringing",
        SettingsMenu = "settings-menu",
        RecordGreeting = "record-greeting",
        GreetingMenu = "greeting-menu",
        GreetingSaved = "greeting-saved",
        NoGreeting = "no-greeting",
        ChooseClip = "choose-clip",
        ClipChosen = "clip-chosen",
        NoClips = "no-clips",
        NewPin = "new-pin",
        RepeatPin = "repeat-pin",
        PinChanged = "pin-changed",
        PinDiffers = "pin-differs",
        PinBad = "pin-bad",
        DndOn = "dnd-on",
        DndOff = "dnd-off",
        NotPossible = "not-possible",
    }
}

ids! {
    /// A picture. A new one wants a line in `media/prompts/*/pictures.txt` and a row in `docs/prompts.md`.
    Picture {
        Choose = "choose",
        ChooseVoice = "choose-voice",
        VoiceMessage = "voice-message",
        AfterVideo = "after-video",
        AfterVoice = "after-voice",
        OneMoment = "one-moment",
        Sent = "sent",
        Mailbox = "mailbox",
        MessageMenu = "message-menu",
        CallingBack = "calling-back",
        SettingsMenu = "settings-menu",
        GreetingMenu = "greeting-menu",
        ChooseClip = "choose-clip",
        Pin = "pin",
        DoNotDisturb = "do-not-disturb",
    }
}

/// Something that can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prompt {
    /// A word or a sentence.
    Word(Word),
    /// A number, 0 to 99: `n0` to `n99`.
    Number(u8),
    /// A day of the month, 1 to 31: `d1` to `d31`.
    Day(u8),
}

/// The numbers that there are sounds of.
pub const NUMBER_MAX: u8 = 99;

impl Prompt {
    /// Everything that can be said.
    pub fn all() -> impl Iterator<Item = Prompt> {
        let words = Word::ALL.iter().map(|word| Prompt::Word(*word));
        words
            .chain((0..=NUMBER_MAX).map(Prompt::Number))
            .chain((1..=31).map(Prompt::Day))
    }

    /// Its id: the name of its file.
    pub fn id(self) -> String {
        match self {
            Prompt::Word(word) => word.id().to_owned(),
            Prompt::Number(number) => format!("n{number}"),
            Prompt::Day(day) => format!("d{day}"),
        }
    }
}

impl From<Word> for Prompt {
    fn from(word: Word) -> Prompt {
        Prompt::Word(word)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TEXTS: [(&str, &str, &str); 2] = [
        (
            "en",
            include_str!("../../../../media/prompts/en/spoken.txt"),
            include_str!("../../../../media/prompts/en/pictures.txt"),
        ),
        (
            "de",
            include_str!("../../../../media/prompts/de/spoken.txt"),
            include_str!("../../../../media/prompts/de/pictures.txt"),
        ),
    ];

    fn ids(text: &str) -> Vec<&str> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| Some(line.split_once(" = ")?.0)).collect()
    }

    #[test]
    fn every_language_has_a_text_for_each_id_and_no_other() {
        let words: BTreeSet<String> = Prompt::all()
            .filter(|prompt| !matches!(prompt, Prompt::Number(_)))
            .map(Prompt::id)
            .collect();
        let pictures: BTreeSet<String> = Picture::ALL.iter().map(|picture| picture.id().to_owned()).collect();
        for (language, spoken, shown) in TEXTS {
            let sorted = |text| ids(text).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(sorted(spoken), words, "{language}");
            assert_eq!(sorted(shown), pictures, "{language}");
            assert_eq!(ids(spoken).len(), words.len(), "an id stands twice in {language}");
        }
    }

    #[test]
    fn ids_are_names_of_files() {
        let ids: Vec<String> = Prompt::all().map(Prompt::id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        let plain = |id: &String| {
            id.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        assert!(ids.iter().all(plain));
    }
}
