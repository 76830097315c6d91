//! Numbers that go out by a trunk: which it takes, how it wants them written, and who calls as far as it is told.

use serde::{Deserialize, Serialize};

use super::Trunk;
use crate::Profile;

/// How a trunk wants the numbers that are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberFormat {
    /// As the caller wrote it.
    #[default]
    AsDialled,
    /// `+4930123456`.
    E164,
    /// `4930123456`.
    Plain,
    /// `0030123456` for other countries, `030123456` within the profile's.
    National,
    /// `004930123456`.
    International,
}

/// Where a trunk says who calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerIdentity {
    /// `from` where it registers, else `untouched`.
    #[default]
    Auto,
    /// As the caller's own request says it.
    Untouched,
    /// The number in From.
    From,
    /// The account in From, the number in P-Preferred-Identity (RFC 3325 §9.2).
    Preferred,
    /// The account in From and no number.
    Account,
}

/// Where a provider says whom a call is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CalleeFrom {
    /// In the Request-URI; where that is our registered Contact, in P-Called-Party-ID, else in To.
    #[default]
    Auto,
    /// In the Request-URI.
    RequestUri,
    /// In To.
    To,
    /// In P-Called-Party-ID (RFC 7315 §4.2), else in the Request-URI.
    PCalledPartyId,
}

/// A number on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outward {
    /// In E.164, where it is such a number; else as it was dialled.
    pub number: String,
    /// As it was dialled, without visual separators.
    pub dialled: String,
    /// As the trunk wants it.
    pub written: String,
}

impl Trunk {
    /// What becomes of a number that a caller of this profile dials.
    pub fn outward(&self, profile: &Profile, dialled: &str) -> Outward {
        let bare = dialled.strip_prefix(&self.strip).filter(|rest| !rest.is_empty());
        let bare = bare.unwrap_or(dialled);
        let made = profile.normalise(bare);
        let said = match made.said.as_str() {
            "" => bare.to_owned(),
            said => said.to_owned(),
        };
        let written = match &made.number {
            Some(number) => self.number_format.write(profile, number, &said),
            None => said.clone(),
        };
        Outward {
            number: made.number.unwrap_or_else(|| said.clone()),
            dialled: said,
            written: format!("{}{written}", self.add),
        }
    }

    /// How well a number fits, in E.164 and as it was dialled: how many characters of it the best entry of `allow` names. `None`: the
    /// trunk does not take it.
    pub fn takes(&self, called: &Outward) -> Option<usize> {
        let fit = |entry: &crate::Destination| entry.fits(&called.number).max(entry.fits(&called.dialled));
        let best = |entries: &[crate::Destination]| entries.iter().filter_map(fit).max();
        let allowed = match self.allow.is_empty() {
            true => Some(0),
            false => best(&self.allow),
        }?;
        // The longer entry counts; what costs too much is denied where both say as much.
        let denied = best(&self.deny).is_some_and(|denied| denied >= allowed);
        (!denied).then_some(allowed)
    }

    /// Where it says who calls.
    pub fn caller_identity(&self) -> CallerIdentity {
        match self.identity {
            CallerIdentity::Auto if self.register => CallerIdentity::From,
            CallerIdentity::Auto => CallerIdentity::Untouched,
            said => said,
        }
    }

    /// Who we are at its registrar: the user of our address-of-record.
    pub fn account_user(&self) -> &str {
        match self.user.as_str() {
            "" => &self.digest_user,
            user => user,
        }
    }

    /// The URI of its domain: of our address-of-record, and of whom we call by it. `None`: addresses stay as they are.
    pub fn domain_uri(&self) -> Option<&str> {
        let named = self.domain.as_ref().or(self.registrar.as_ref());
        let first = || self.servers.first().map(|server| &server.uri).filter(|_| self.register);
        named.or_else(first).map(crate::NextHop::uri)
    }

    /// Where REGISTER is meant to go: the registrar's URI, else that of its first server.
    pub fn registrar_uri(&self) -> Option<&str> {
        let first = || self.servers.first().map(|server| &server.uri);
        self.registrar.as_ref().or_else(first).map(crate::NextHop::uri)
    }
}

impl NumberFormat {
    fn write(self, profile: &Profile, number: &str, said: &str) -> String {
        let digits = number.strip_prefix('+').unwrap_or(number);
        let abroad = || format!("{}{digits}", profile.international_prefix);
        match self {
            NumberFormat::AsDialled => said.to_owned(),
            NumberFormat::E164 => number.to_owned(),
            NumberFormat::Plain => digits.to_owned(),
            NumberFormat::International => abroad(),
            NumberFormat::National => {
                let country = profile.country_code.as_str();
                match digits.strip_prefix(country).filter(|_| !country.is_empty()) {
                    Some(rest) => format!("{}{rest}", profile.national_prefix),
                    None => abroad(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Profile {
        Profile {
            country_code: "49".into(),
            area_code: "30".into(),
            ..Profile::default()
        }
    }

    fn trunk(change: impl FnOnce(&mut Trunk)) -> Trunk {
        let mut trunk = Trunk::default();
        change(&mut trunk);
        trunk
    }

    #[test]
    fn numbers_are_written_as_the_trunk_wants_them() {
        for (format, home, abroad) in [
            (NumberFormat::AsDialled, "123456", "0044207946"),
            (NumberFormat::E164, "+4930123456", "+44207946"),
            (NumberFormat::Plain, "4930123456", "44207946"),
            (NumberFormat::National, "030123456", "0044207946"),
            (NumberFormat::International, "004930123456", "0044207946"),
        ] {
            let trunk = trunk(|trunk| trunk.number_format = format);
            let of = |dialled| trunk.outward(&berlin(), dialled);
            assert_eq!(of("123456").written, home, "{format:?}");
            assert_eq!(of("0044 20-7946").written, abroad, "{format:?}");
            assert_eq!(of("123456").number, "+4930123456");
        }
    }

    #[test]
    fn what_is_dialled_for_a_line_goes_and_what_the_provider_wants_comes() {
        let trunk = trunk(|trunk| {
            (trunk.strip, trunk.add) = ("9".into(), "1010".into());
            trunk.number_format = NumberFormat::National;
        });
        let of = |dialled| trunk.outward(&berlin(), dialled);
        assert_eq!(of("9030123456").written, "1010030123456");
        assert_eq!(of("9030123456").number, "+4930123456");
        assert_eq!(of("030123456").written, "1010030123456", "without it, too");
        assert_eq!(of("9").number, "+49309", "it is not all of a number");
        assert_eq!(of("bob").written, "1010bob");
    }

    #[test]
    fn the_longest_entry_counts_and_what_is_denied_as_long_is_denied() {
        let entry = |text: &&str| text.parse().unwrap();
        let trunk = |allow: &[&str], deny: &[&str]| {
            trunk(|trunk| {
                trunk.allow = allow.iter().map(entry).collect();
                trunk.deny = deny.iter().map(entry).collect();
            })
        };
        let of = |dialled: &str| Trunk::default().outward(&berlin(), dialled);
        let german = trunk(&["+49*", "+4930123"], &["+49900*"]);
        assert_eq!(german.takes(&of("+4930123")), Some(8));
        assert_eq!(german.takes(&of("+4940999")), Some(3));
        assert_eq!(german.takes(&of("+499001")), None);
        assert_eq!(german.takes(&of("+43123")), None);
        assert_eq!(trunk(&["*"], &["+4*"]).takes(&of("+43123")), None);
        assert_eq!(trunk(&[], &[]).takes(&of("bob")), Some(0));
        assert_eq!(trunk(&[], &["+881*"]).takes(&of("+8811")), None);
        assert_eq!(trunk(&["+4990011*"], &["+49900*"]).takes(&of("+49900112")), Some(8));
        assert_eq!(trunk(&["+49*"], &["+49*"]).takes(&of("+491")), None);
        // What is written as people dial it means what they dial.
        let dear = trunk(&["+49*"], &["0900*"]);
        assert_eq!(
            (dear.takes(&of("0900123")), dear.takes(&of("+4930123"))),
            (None, Some(3))
        );
        assert_eq!(trunk(&["030*"], &[]).takes(&of("030123")), Some(3));
    }
}
