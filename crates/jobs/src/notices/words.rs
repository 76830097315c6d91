//! What notices say, in English and German.
//!
//! What came over SIP is cleaned: no control character, nothing that turns the direction of text, and not more than fits a line.

use jiff::{Timestamp, tz::TimeZone};
use segue_mailbox::conversation;
use segue_policy::{Language, Zone};
use segue_records::{CallResult, NoticeEvent, NoticeFacts, NoticeLimit, UnixMs};

/// The words of one language, by one clock.
pub(super) struct Words {
    language: Language,
    zone: TimeZone,
}

/// What is said in mail.
pub(super) struct Text {
    pub subject: String,
    /// Paragraphs.
    pub lines: Vec<String>,
}

/// Longest name or address shown, characters.
const SHOWN_MAX: usize = 80;

impl Words {
    pub(super) fn of(language: Language, zone: &Zone) -> Words {
        Words {
            language,
            zone: TimeZone::get(&zone.to_string()).unwrap_or(TimeZone::UTC),
        }
    }

    fn say<T>(&self, en: T, de: T) -> T {
        match self.language {
            Language::En => en,
            Language::De => de,
        }
    }

    /// One line, for SIP MESSAGE.
    pub(super) fn short(&self, facts: &NoticeFacts) -> String {
        let (who, when) = (self.caller(facts), self.moment(facts.at));
        match facts.event {
            NoticeEvent::MessageCommitted => {
                let length = length(facts);
                self.say(
                    format!("{} ({length}) from {who}, {when}", self.kind(facts)),
                    format!("{} ({length}) von {who}, {when}", self.kind(facts)),
                )
            }
            NoticeEvent::CallMissed => self.say(
                format!("Missed call from {who}, {when}"),
                format!("Anruf in Abwesenheit von {who}, {when}"),
            ),
            NoticeEvent::MessageExpires | NoticeEvent::MailboxNearlyFull => self.text(facts).lines.join(" "),
        }
    }

    /// Subject and paragraphs, for mail.
    pub(super) fn text(&self, facts: &NoticeFacts) -> Text {
        let (who, when) = (self.caller(facts), self.moment(facts.at));
        match facts.event {
            NoticeEvent::MessageCommitted => {
                let (kind, length) = (self.kind(facts), length(facts));
                Text {
                    subject: self.say(format!("{kind} from {who}"), format!("{kind} von {who}")),
                    lines: vec![
                        self.say(format!("{kind} from {who}."), format!("{kind} von {who}.")),
                        self.say(
                            format!("Left on {when}. Length: {length}."),
                            format!("Aufgenommen am {when}. Länge: {length}."),
                        ),
                    ],
                }
            }
            NoticeEvent::CallMissed => Text {
                subject: self.say(
                    format!("Missed call from {who}"),
                    format!("Anruf in Abwesenheit von {who}"),
                ),
                lines: vec![
                    self.say(
                        format!("{who} called on {when} and left no message."),
                        format!("{who} hat am {when} angerufen und keine Nachricht hinterlassen."),
                    ),
                    self.how_missed(facts.result).to_owned(),
                ],
            },
            NoticeEvent::MessageExpires => {
                let goes = facts.expires_at.map_or_else(String::new, |at| self.moment(at));
                Text {
                    subject: self.say(
                        format!("A message from {who} will be deleted"),
                        format!("Eine Nachricht von {who} wird gelöscht"),
                    ),
                    lines: vec![self.say(
                        format!(
                            "Nobody has heard the message from {who}. It will be deleted, on {goes} at the earliest."
                        ),
                        format!(
                            "Die Nachricht von {who} hat niemand abgehört. Sie wird gelöscht, frühestens am {goes}."
                        ),
                    )],
                }
            }
            NoticeEvent::MailboxNearlyFull => {
                let used = facts.limit.as_ref().map_or_else(String::new, |limit| self.used(limit));
                Text {
                    subject: self
                        .say("Your mailbox is nearly full", "Ihre Mailbox ist fast voll")
                        .to_owned(),
                    lines: vec![self.say(
                        format!("Your mailbox is nearly full: {used} of messages that you have not heard. When it is full, callers can leave no more."),
                        format!("Ihre Mailbox ist fast voll: {used} an Nachrichten, die Sie nicht abgehört haben. Ist sie voll, kann niemand mehr eine hinterlassen."),
                    )],
                }
            }
        }
    }

    /// What is said in place of a message that does not come along.
    pub(super) fn not_attached(&self, why: NotAttached) -> String {
        match why {
            NotAttached::TooLong(bytes) => {
                let size = size(bytes);
                self.say(
                    format!("It is too large to be attached ({size}) and waits in your mailbox."),
                    format!("Sie ist zu groß für einen Anhang ({size}) und liegt in Ihrer Mailbox."),
                )
            }
            NotAttached::Unfinished => self
                .say(
                    "It is still being prepared and waits in your mailbox.",
                    "Sie wird noch aufbereitet und liegt in Ihrer Mailbox.",
                )
                .to_owned(),
        }
    }

    /// In front of a link.
    pub(super) fn watch_it(&self) -> &'static str {
        self.say("Watch it:", "Ansehen:")
    }

    /// Its code (RFC 5646).
    pub(super) fn code(&self) -> &'static str {
        self.language.name()
    }

    fn kind(&self, facts: &NoticeFacts) -> &'static str {
        match facts.kind.as_deref() {
            Some("audio") => self.say("Voice message", "Sprachnachricht"),
            _ => self.say("Video message", "Videonachricht"),
        }
    }

    fn caller(&self, facts: &NoticeFacts) -> String {
        let Some(from) = &facts.from else {
            return self.say("an anonymous caller", "unbekannt").to_owned();
        };
        let address = clean(&conversation(from));
        match facts.from_name.as_deref().map(clean) {
            Some(name) if !name.is_empty() && name != address => format!("{name} ({address})"),
            _ => address,
        }
    }

    fn moment(&self, at: UnixMs) -> String {
        let moment = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
        let form = self.say("%Y-%m-%d %H:%M %Z", "%d.%m.%Y %H:%M %Z");
        moment.to_zoned_datetime(self.zone.clone()).strftime(form).to_string()
    }

    fn how_missed(&self, result: Option<CallResult>) -> &'static str {
        match result {
            Some(CallResult::AbandonedWhileHeld) => self.say(
                "The caller hung up before your phone rang.",
                "Es wurde aufgelegt, bevor Ihr Telefon klingelte.",
            ),
            Some(CallResult::Abandoned) => self.say(
                "The caller hung up while your phone rang.",
                "Es wurde aufgelegt, während Ihr Telefon klingelte.",
            ),
            Some(CallResult::Greeted) => self.say("The caller heard your greeting.", "Ihre Ansage wurde gehört."),
            Some(CallResult::TooShort) => self.say(
                "What was recorded was too short to be kept.",
                "Die Aufnahme war zu kurz, um sie aufzuheben.",
            ),
            Some(CallResult::MailboxFull) => self.say(
                "Your mailbox had no room for a message.",
                "Ihre Mailbox hatte keinen Platz für eine Nachricht.",
            ),
            _ => self.say("Nobody took the call.", "Niemand hat abgenommen."),
        }
    }

    fn used(&self, limit: &NoticeLimit) -> String {
        let (used, allowed) = (limit.used, limit.allowed);
        match limit.rule.as_str() {
            "max_bytes" => {
                let (used, allowed) = (size(used), size(allowed));
                self.say(format!("{used} of {allowed}"), format!("{used} von {allowed}"))
            }
            "max_seconds" => {
                let (used, allowed) = (used.div_ceil(60), allowed / 60);
                self.say(
                    format!("{used} of {allowed} minutes"),
                    format!("{used} von {allowed} Minuten"),
                )
            }
            _ => self.say(format!("{used} of {allowed}"), format!("{used} von {allowed}")),
        }
    }
}

/// Why a message does not come along with mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAttached {
    /// It has so many bytes.
    TooLong(u64),
    /// Its media is not final.
    Unfinished,
}

fn length(facts: &NoticeFacts) -> String {
    let seconds = facts.duration_ms.unwrap_or_default() / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn size(bytes: u64) -> String {
    match bytes {
        ..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

/// One line that shows what it says.
fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept: String = text.chars().filter(|c| !c.is_control() && !turns(*c)).collect();
    let kept = kept.trim();
    match kept.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", kept.get(..at).unwrap_or_default()),
        None => kept.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(language: Language) -> Words {
        Words::of(language, &Zone::try_from("Europe/Berlin".to_owned()).unwrap())
    }

    fn facts(event: NoticeEvent) -> NoticeFacts {
        NoticeFacts {
            from: Some("sip:+49301234@trunk.example;user=phone".to_owned()),
            from_name: Some("Ann".to_owned()),
            kind: Some("video".to_owned()),
            duration_ms: Some(42_900),
            ..NoticeFacts::new(event, "bob", UnixMs(1_767_225_600_000))
        }
    }

    #[test]
    fn each_event_is_told_in_each_language_by_the_recipients_clock() {
        let of = |language, event| words(language).short(&facts(event));
        assert_eq!(
            of(Language::En, NoticeEvent::MessageCommitted),
            "Video message (0:42) from Ann (+49301234), 2026-01-01 01:00 CET"
        );
        assert_eq!(
            of(Language::De, NoticeEvent::CallMissed),
            "Anruf in Abwesenheit von Ann (+49301234), 01.01.2026 01:00 CET"
        );
        let mut going = facts(NoticeEvent::MessageExpires);
        going.expires_at = Some(UnixMs(1_767_830_400_000));
        assert_eq!(
            words(Language::En).short(&going),
            "Nobody has heard the message from Ann (+49301234). It will be deleted, on 2026-01-08 01:00 CET at the earliest."
        );
        let mut full = facts(NoticeEvent::MailboxNearlyFull);
        full.limit = Some(NoticeLimit {
            rule: "max_bytes".to_owned(),
            used: 1_850_000_000,
            allowed: 2_000_000_000,
        });
        let said = words(Language::De).text(&full);
        assert_eq!(said.subject, "Ihre Mailbox ist fast voll");
        assert!(said.lines[0].contains("1.8 GB von 2.0 GB"), "{}", said.lines[0]);
    }

    #[test]
    fn an_anonymous_caller_stays_so() {
        let mut anonymous = facts(NoticeEvent::MessageCommitted);
        (anonymous.from, anonymous.from_name) = (None, None);
        let said = words(Language::En).text(&anonymous);
        assert_eq!(said.subject, "Video message from an anonymous caller");
    }

    #[test]
    fn what_came_over_sip_is_one_short_line_that_shows_what_it_says() {
        let mut evil = facts(NoticeEvent::MessageCommitted);
        evil.from_name = Some(format!(
            "Ann\r\nBcc: eve@example.com\u{202e}\u{1b}[2J{}",
            "x".repeat(200)
        ));
        let subject = words(Language::En).text(&evil).subject;
        assert!(
            subject.starts_with("Video message from AnnBcc: eve@example.com[2Jxxx"),
            "{subject}"
        );
        assert!(
            subject.chars().count() < 140 && !subject.contains(char::is_control),
            "{subject}"
        );
    }
}
