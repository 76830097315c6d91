//! How a language puts its words together: numbers, how many messages, when, from whom.

use segue_mailbox::Kind;
use segue_policy::Language;

use super::{NUMBER_MAX, Prompt, Word};

/// When something was, by the clock of whoever is told: the wall clock's own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// How many days ago by the calendar; 0: today.
    pub days_ago: u32,
    /// 1: Monday, to 7: Sunday.
    pub weekday: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// A number; above 99 "more than ninety-nine".
pub fn count(number: u64) -> Vec<Prompt> {
    match u8::try_from(number).ok().filter(|number| *number <= NUMBER_MAX) {
        Some(number) => vec![Prompt::Number(number)],
        None => vec![Word::MoreThan.into(), Prompt::Number(NUMBER_MAX)],
    }
}

/// How many messages: "You have two new messages and one old message".
pub fn messages(new: u64, old: u64) -> Vec<Prompt> {
    let mut said = vec![Word::YouHave.into()];
    match (new, old) {
        (0, 0) => said.push(Word::NoMessages.into()),
        (0, old) => {
            said.push(Word::NoNewMessages.into());
            said.push(Word::And.into());
            said.extend(so_many(old, Word::OldMessage, Word::OldMessages));
        }
        (new, 0) => said.extend(so_many(new, Word::NewMessage, Word::NewMessages)),
        (new, old) => {
            said.extend(so_many(new, Word::NewMessage, Word::NewMessages));
            said.push(Word::And.into());
            said.extend(so_many(old, Word::OldMessage, Word::OldMessages));
        }
    }
    said
}

/// One has a word of its own: in German a message is feminine.
fn so_many(number: u64, one: Word, more: Word) -> Vec<Prompt> {
    match number {
        1 => vec![Word::One.into(), one.into()],
        number => [count(number), vec![more.into()]].concat(),
    }
}

/// What a message is: "Video message", "Urgent." before it.
pub fn kind(kind: Kind, urgent: bool) -> Vec<Prompt> {
    let word = match kind {
        Kind::Video => Word::VideoMessage,
        Kind::Audio => Word::VoiceMessage,
    };
    let urgent = urgent.then_some(Word::Urgent.into());
    urgent.into_iter().chain([word.into()]).collect()
}

/// From whom: a number digit by digit, which `number` has as `+` and digits; `None`: the caller has none that could be said, or
/// withholds it (`anonymous`).
pub fn caller(number: Option<&str>, anonymous: bool) -> Vec<Prompt> {
    let digits: Vec<Prompt> = number
        .filter(|_| !anonymous)
        .unwrap_or_default()
        .chars()
        .filter_map(|digit| match digit {
            '+' => Some(Word::Plus.into()),
            digit => Some(Prompt::Number(u8::try_from(digit.to_digit(10)?).ok()?)),
        })
        .collect();
    let who = match digits.is_empty() {
        false => digits,
        true if anonymous => vec![Word::Anonymous.into()],
        true => vec![Word::UnknownCaller.into()],
    };
    [vec![Word::From.into()], who].concat()
}

/// When a message came: "received today at three oh five P M", "erhalten am dritten März um fünfzehn Uhr fünf". Within a week the
/// weekday is said.
pub fn received(language: Language, at: Moment) -> Vec<Prompt> {
    match language {
        Language::En => [vec![Word::Received.into()], day(language, at), time_en(at)].concat(),
        Language::De => [day(language, at), time_de(at), vec![Word::Received.into()]].concat(),
    }
}

fn day(language: Language, at: Moment) -> Vec<Prompt> {
    match (at.days_ago, language) {
        (0, _) => vec![Word::Today.into()],
        (1, _) => vec![Word::Yesterday.into()],
        (2..=6, _) => vec![Word::On.into(), weekday(at.weekday).into()],
        (_, Language::En) => vec![
            Word::On.into(),
            month(at.month).into(),
            Prompt::Day(at.day.clamp(1, 31)),
        ],
        (_, Language::De) => vec![
            Word::On.into(),
            Prompt::Day(at.day.clamp(1, 31)),
            month(at.month).into(),
        ],
    }
}

/// Twelve hours, AM and PM: "three o'clock P M", "three oh five P M", "twelve thirty A M".
fn time_en(at: Moment) -> Vec<Prompt> {
    let hour = match at.hour % 12 {
        0 => 12,
        hour => hour,
    };
    let minutes: Vec<Prompt> = match at.minute {
        0 => vec![Word::Oclock.into()],
        minute @ 1..=9 => vec![Word::Oh.into(), Prompt::Number(minute)],
        minute => vec![Prompt::Number(minute.min(59))],
    };
    let half = if at.hour < 12 { Word::Am } else { Word::Pm };
    [vec![Word::At.into(), Prompt::Number(hour)], minutes, vec![half.into()]].concat()
}

/// "um fünfzehn Uhr", "um fünfzehn Uhr fünf".
fn time_de(at: Moment) -> Vec<Prompt> {
    let minute = (at.minute > 0).then_some(Prompt::Number(at.minute.min(59)));
    let hour = [Word::At.into(), Prompt::Number(at.hour.min(23)), Word::Oclock.into()];
    hour.into_iter().chain(minute).collect()
}

fn weekday(number: u8) -> Word {
    match number {
        1 => Word::Monday,
        2 => Word::Tuesday,
        3 => Word::Wednesday,
        4 => Word::Thursday,
        5 => Word::Friday,
        6 => Word::Saturday,
        _ => Word::Sunday,
    }
}

fn month(number: u8) -> Word {
    match number {
        1 => Word::January,
        2 => Word::February,
        3 => Word::March,
        4 => Word::April,
        5 => Word::May,
        6 => Word::June,
        7 => Word::July,
        8 => Word::August,
        9 => Word::September,
        10 => Word::October,
        11 => Word::November,
        _ => Word::December,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids in a row.
    fn said(prompts: Vec<Prompt>) -> String {
        let ids: Vec<String> = prompts.into_iter().map(Prompt::id).collect();
        ids.join(" ")
    }

    const AFTERNOON: Moment = Moment {
        days_ago: 0,
        weekday: 3,
        month: 3,
        day: 4,
        hour: 15,
        minute: 5,
    };

    #[test]
    fn numbers_are_said_to_ninety_nine() {
        assert_eq!(said(count(0)), "n0");
        assert_eq!(said(count(99)), "n99");
        assert_eq!(said(count(100)), "more-than n99");
        assert_eq!(said(count(u64::MAX)), "more-than n99");
    }

    #[test]
    fn one_message_is_not_some_messages() {
        assert_eq!(said(messages(0, 0)), "you-have no-messages");
        assert_eq!(said(messages(1, 0)), "you-have one new-message");
        assert_eq!(said(messages(2, 1)), "you-have n2 new-messages and one old-message");
        assert_eq!(said(messages(0, 7)), "you-have no-new-messages and n7 old-messages");
    }

    #[test]
    fn english_has_twelve_hours_and_the_month_first() {
        let at = |days_ago, hour, minute| {
            let moment = Moment {
                days_ago,
                hour,
                minute,
                ..AFTERNOON
            };
            said(received(Language::En, moment))
        };
        assert_eq!(at(0, 15, 5), "received today at n3 oh n5 pm");
        assert_eq!(at(1, 0, 30), "received yesterday at n12 n30 am");
        assert_eq!(at(6, 12, 0), "received on wednesday at n12 oclock pm");
        assert_eq!(at(7, 9, 59), "received on march d4 at n9 n59 am");
    }

    #[test]
    fn german_has_twenty_four_hours_and_the_day_first() {
        let at = |days_ago, hour, minute| {
            let moment = Moment {
                days_ago,
                hour,
                minute,
                ..AFTERNOON
            };
            said(received(Language::De, moment))
        };
        assert_eq!(at(0, 15, 5), "today at n15 oclock n5 received");
        assert_eq!(at(1, 0, 0), "yesterday at n0 oclock received");
        assert_eq!(at(2, 8, 30), "on wednesday at n8 oclock n30 received");
        assert_eq!(at(400, 8, 30), "on d4 march at n8 oclock n30 received");
    }

    #[test]
    fn a_caller_is_a_number_or_nobody() {
        assert_eq!(said(caller(Some("+4930"), false)), "from plus n4 n9 n3 n0");
        assert_eq!(said(caller(Some("+4930"), true)), "from anonymous");
        assert_eq!(said(caller(Some("bob"), false)), "from unknown-caller");
        assert_eq!(said(caller(None, false)), "from unknown-caller");
        assert_eq!(said(kind(Kind::Video, true)), "urgent video-message");
        assert_eq!(said(kind(Kind::Audio, false)), "voice-message");
    }
}
