//! The languages in which callers are spoken to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A language that there are prompts and a grammar for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// Each of them.
    pub const ALL: &[Language] = &[Language::En, Language::De];

    /// Its tag (RFC 5646), also the name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::De => "de",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not a language of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the language is 'en' or 'de'")]
pub struct LanguageError;

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(text: &str) -> Result<Language, LanguageError> {
        Language::ALL
            .iter()
            .copied()
            .find(|language| language.name() == text)
            .ok_or(LanguageError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_as_it_is_written() {
        for language in Language::ALL.iter().copied() {
            assert_eq!(language.to_string().parse(), Ok(language));
            assert_eq!(serde_json::to_value(language).unwrap(), language.name());
        }
        assert_eq!("fr".parse::<Language>(), Err(LanguageError));
    }
}
