//! Service codes: what a subscriber dials for itself, e.g. `*97` for its mailbox.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Profile;

/// Most codes of a profile.
pub(crate) const CODES_MAX: usize = 32;

/// Longest code, bytes.
const CODE_BYTES_MAX: usize = 32;

/// What a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// Messages are listened to.
    Mailbox,
    /// Greetings and clips are recorded and chosen, the PIN is changed.
    Greetings,
    /// Do not disturb.
    DndOn,
    /// May be disturbed again.
    DndOff,
}

/// All services with their words.
const WORDS: [(Service, &str); 4] = [
    (Service::Mailbox, "mailbox"),
    (Service::Greetings, "greetings"),
    (Service::DndOn, "dnd-on"),
    (Service::DndOff, "dnd-off"),
];

impl Service {
    /// Its word, as in profiles.
    pub fn as_str(self) -> &'static str {
        WORDS
            .iter()
            .find(|(service, _)| *service == self)
            .map_or("", |(_, word)| word)
    }
}

/// A code, or a number, that is dialled for a service: `*97 -> mailbox`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceCode {
    code: String,
    service: Service,
}

/// Why a code is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no service code: *, #, digits or a number in E.164, then \" -> \" and one of mailbox, greetings, dnd-on, dnd-off"
)]
pub struct ServiceCodeError(String);

impl TryFrom<String> for ServiceCode {
    type Error = ServiceCodeError;

    fn try_from(text: String) -> Result<ServiceCode, ServiceCodeError> {
        let wrong = || ServiceCodeError(text.clone());
        let (code, word) = text.split_once("->").ok_or_else(wrong)?;
        let (code, word) = (code.trim(), word.trim());
        let (service, _) = WORDS.iter().find(|(_, known)| *known == word).ok_or_else(wrong)?;
        let is_code = |code: &str| {
            let bare = code.strip_prefix('+').unwrap_or(code);
            !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b))
        };
        if code.len() > CODE_BYTES_MAX || !is_code(code) {
            return Err(wrong());
        }
        Ok(ServiceCode {
            code: code.to_owned(),
            service: *service,
        })
    }
}

impl From<ServiceCode> for String {
    fn from(code: ServiceCode) -> String {
        format!("{} -> {}", code.code, code.service.as_str())
    }
}

impl Profile {
    /// The service that is dialled: by its code as it is said, or by its number, however the numbering has that.
    ///
    /// `dialled`: the user part of the Request-URI, unescaped, or a whole tel URI.
    pub fn service(&self, dialled: &str) -> Option<Service> {
        if self.service_codes.is_empty() {
            return None;
        }
        let said = dialled.strip_prefix("tel:").unwrap_or(dialled);
        let said = said.split(';').next().unwrap_or(said);
        let of = |said: &str| {
            let known = self.service_codes.iter().find(|known| known.code == said);
            known.map(|known| known.service)
        };
        of(said).or_else(|| of(&self.normalise(dialled).number?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Result<ServiceCode, ServiceCodeError> {
        ServiceCode::try_from(text.to_owned())
    }

    #[test]
    fn a_service_is_dialled_by_its_code_or_its_number_in_any_form() {
        let codes = [
            "*97 -> mailbox",
            "+4930990 -> mailbox",
            "*98->greetings",
            "*78 -> dnd-on",
            "#79 -> dnd-off",
        ];
        let profile = Profile {
            country_code: "49".into(),
            area_code: "30".into(),
            service_codes: codes.map(|text| code(text).unwrap()).to_vec(),
            ..Profile::default()
        };
        for (dialled, service) in [
            ("*97", Some(Service::Mailbox)),
            ("tel:*97;phone-context=example.com", Some(Service::Mailbox)),
            ("*97;phone-context=+4930", Some(Service::Mailbox)),
            ("+4930990", Some(Service::Mailbox)),
            ("0049 30 990", Some(Service::Mailbox)),
            ("tel:990;phone-context=+4930", Some(Service::Mailbox)),
            ("030-990", Some(Service::Mailbox)),
            ("*98", Some(Service::Greetings)),
            ("*78", Some(Service::DndOn)),
            ("#79", Some(Service::DndOff)),
            ("*9", None),
            ("*970", None),
            ("97", None),
            ("bob", None),
            ("", None),
        ] {
            assert_eq!(profile.service(dialled), service, "{dialled}");
        }
        assert_eq!(Profile::default().service("*97"), None, "off by default");
    }

    #[test]
    fn codes_are_keys_and_numbers_and_name_a_service() {
        for good in [
            "*97 -> mailbox",
            "#97#->greetings",
            "+4930990 -> mailbox",
            "97 -> dnd-on",
        ] {
            let read = code(good).unwrap();
            assert_eq!(code(&String::from(read.clone())), Ok(read), "{good}");
        }
        for bad in [
            "",
            "*97",
            "-> mailbox",
            "+ -> mailbox",
            "*97 -> fax",
            "9+7 -> mailbox",
            "bob -> mailbox",
        ] {
            assert!(code(bad).is_err(), "{bad}");
        }
        assert!(code(&format!("{} -> mailbox", "9".repeat(33))).is_err());
    }
}
