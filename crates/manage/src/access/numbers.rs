//! What becomes of a number, and whose it is.

use segue_policy::Profile;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Refusal, Scope};

/// Longest number that is looked at, bytes.
const NUMBER_MAX: usize = 256;

/// What becomes of a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NumberView {
    /// As it was given.
    pub value: String,
    /// By the numbering of this profile.
    pub profile: String,
    /// In E.164; `null`: it is none.
    pub number: Option<String>,
    /// By which rule, or why it is none.
    pub rule: String,
    /// Who has it; `null`: nobody here, or for a subscriber another.
    pub subscriber: Option<String>,
}

impl Access {
    /// What becomes of a number as it is dialled, or in a `tel:` or SIP URI, by a profile's numbering; and who has it.
    pub fn explain_number(&self, value: &str, profile: &Profile) -> Result<NumberView, Refusal> {
        self.need(Scope::SettingsRead)?;
        if value.len() > NUMBER_MAX {
            return Err(Refusal::invalid("value", format!("it has {NUMBER_MAX} bytes at most")));
        }
        let made = profile.normalise(value);
        let owner = match &made.number {
            Some(number) => self.store().owner_of(number)?,
            None => None,
        };
        // Whose a number is that is not one's own is for operators.
        let is_told = |owner: &String| self.own_name().is_none_or(|own| own == owner);
        Ok(NumberView {
            value: value.to_owned(),
            profile: profile.name.clone(),
            number: made.number,
            rule: made.rule,
            subscriber: owner.filter(is_told),
        })
    }
}
