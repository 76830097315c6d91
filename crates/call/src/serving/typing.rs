//! Numbers and PINs that are typed, each ended by `#` or a pause.

use segue_policy::Pin;

use super::{At, Awaited, LOGINS_MAX, Line, Serving};
use crate::{cx::Cx, io::MailboxAction};

/// Longest number.
const NUMBER_MAX: usize = 32;
/// Nothing more comes after this long.
const DIGIT_MS_MAX: u64 = 4_000;

/// What is typed; what prints it for debugging has none of its digits.
pub(super) struct Typing {
    what: What,
    digits: String,
}

enum What {
    Number,
    Pin { number: String },
    NewPin,
    NewPinAgain(Pin),
}

impl std::fmt::Debug for Typing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Typing").finish_non_exhaustive()
    }
}

impl Typing {
    pub fn has_digits(&self) -> bool {
        !self.digits.is_empty()
    }

    /// What asks for it.
    pub fn asks(&self) -> Line {
        match self.what {
            What::Number => Line::AskNumber,
            What::Pin { .. } => Line::AskPin,
            What::NewPin => Line::AskNewPin,
            What::NewPinAgain(_) => Line::AskNewPinAgain,
        }
    }
}

impl Serving {
    /// Whose mailbox it is, is asked.
    pub(super) fn ask_number(&mut self, cx: &mut Cx) {
        self.type_in(What::Number, &[Line::AskNumber], cx);
    }

    /// A new PIN is asked.
    pub(super) fn ask_new_pin(&mut self, cx: &mut Cx) {
        self.type_in(What::NewPin, &[Line::AskNewPin], cx);
    }

    fn type_in(&mut self, what: What, lines: &[Line], cx: &mut Cx) {
        let digits = String::new();
        self.at = At::Typing(Typing { what, digits });
        self.say(lines, cx);
    }

    pub(super) fn typed(&mut self, key: char, cx: &mut Cx) {
        let At::Typing(typing) = &mut self.at else { return };
        match key {
            '#' => return self.typed_all(cx),
            // Once more; or back, where nothing was typed yet.
            '*' if typing.digits.is_empty() && matches!(typing.what, What::NewPin | What::NewPinAgain(_)) => {
                return self.greetings(&[], cx);
            }
            '*' => typing.digits.clear(),
            key if key.is_ascii_digit() && typing.digits.len() < NUMBER_MAX => typing.digits.push(key),
            _ => {}
        }
        self.hush(cx);
        self.until = Some(cx.in_ms(DIGIT_MS_MAX));
    }

    fn typed_all(&mut self, cx: &mut Cx) {
        let At::Typing(Typing { what, digits }) = std::mem::replace(&mut self.at, At::Menu) else {
            return;
        };
        match what {
            What::Number if digits.is_empty() => self.ask_number(cx),
            What::Number => self.type_in(What::Pin { number: digits }, &[Line::AskPin], cx),
            What::Pin { number } => match Pin::given(&digits) {
                Some(pin) => {
                    let source = cx.invite.source;
                    let said = number;
                    self.ask(MailboxAction::LogIn { said, pin, source }, Awaited::LoggingIn, cx);
                }
                None => self.not_logged_in(cx),
            },
            What::NewPin => match Pin::chosen(&digits) {
                Ok(pin) => self.type_in(What::NewPinAgain(pin), &[Line::AskNewPinAgain], cx),
                Err(_) => self.type_in(What::NewPin, &[Line::PinRefused, Line::AskNewPin], cx),
            },
            What::NewPinAgain(pin) if pin.digits() == digits => {
                let Some(user) = self.user.clone() else { return };
                self.did.push("changed their PIN".to_owned());
                self.ask(MailboxAction::SetPin { user, pin }, Awaited::Setting(Line::PinSet), cx);
            }
            What::NewPinAgain(_) => self.type_in(What::NewPin, &[Line::PinsDiffer, Line::AskNewPin], cx),
        }
    }

    /// The number or the PIN is wrong, or may not be tried now: which, nobody is told.
    pub(super) fn not_logged_in(&mut self, cx: &mut Cx) {
        self.wrong = self.wrong.saturating_add(1);
        if self.wrong >= LOGINS_MAX {
            self.did.push("gave wrong numbers or PINs".to_owned());
            return self.leave(&[Line::WrongLogin, Line::Goodbye], cx);
        }
        self.type_in(What::Number, &[Line::WrongLogin, Line::AskNumber], cx);
    }
}
