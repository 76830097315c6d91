//! Numbers as they are dialled or said, to E.164 by a profile's numbering (RFC 3966 for how they are written).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Profile;

/// Longest number in E.164, digits.
const E164_DIGITS_MAX: usize = 15;

/// Most rules of a profile.
pub(crate) const RULES_MAX: usize = 100;

/// One rule of a profile: what is dialled so becomes that. `?` is any digit, `*` at the end any more, and in the replacement they are
/// what they stood for, each `?` the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NumberRule {
    pattern: String,
    replacement: String,
}

/// Why a rule is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no rule: a pattern of digits, + and ?, maybe with * at its end, \" -> \" and a number, with ? and * where what they stood for goes"
)]
pub struct NumberRuleError(String);

impl NumberRule {
    /// What a number becomes, if the rule is for it.
    fn apply(&self, digits: &str) -> Option<String> {
        let (fixed, more) = match self.pattern.strip_suffix('*') {
            Some(fixed) => (fixed, true),
            None => (self.pattern.as_str(), false),
        };
        let (head, rest) = digits.split_at_checked(fixed.len())?;
        let same = |(pattern, digit): (u8, u8)| pattern == digit || pattern == b'?' && digit.is_ascii_digit();
        let fits = head.len() == fixed.len() && fixed.bytes().zip(head.bytes()).all(same);
        (fits && (more || rest.is_empty())).then(|| {
            let mut digits = fixed.chars().zip(head.chars()).filter(|(pattern, _)| *pattern == '?');
            let next = |c| match c {
                '?' => digits.next().map(|(_, digit)| digit),
                other => Some(other),
            };
            let made: String = self.replacement.chars().filter_map(next).collect();
            made.replace('*', rest)
        })
    }
}

impl TryFrom<String> for NumberRule {
    type Error = NumberRuleError;

    fn try_from(text: String) -> Result<NumberRule, NumberRuleError> {
        let wrong = || NumberRuleError(text.clone());
        let (pattern, replacement) = text.split_once("->").ok_or_else(wrong)?;
        let (pattern, replacement) = (pattern.trim(), replacement.trim());
        let fixed = pattern.strip_suffix('*').unwrap_or(pattern);
        let is_pattern = fixed.bytes().all(|b| b.is_ascii_digit() || b"+?".contains(&b)) && !pattern.is_empty();
        let count = |text: &str, sign: u8| text.bytes().filter(|b| *b == sign).count();
        let is_replacement = replacement.bytes().all(|b| b.is_ascii_digit() || b"+?*".contains(&b))
            && !replacement.is_empty()
            && count(replacement, b'?') <= count(pattern, b'?')
            && count(replacement, b'*') <= usize::from(pattern.ends_with('*'));
        if !is_pattern || !is_replacement {
            return Err(wrong());
        }
        Ok(NumberRule {
            pattern: pattern.to_owned(),
            replacement: replacement.to_owned(),
        })
    }
}

impl From<NumberRule> for String {
    fn from(rule: NumberRule) -> String {
        format!("{} -> {}", rule.pattern, rule.replacement)
    }
}

/// What became of a number, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Normalised {
    /// The digits as they were said, without visual separators and parameters.
    pub said: String,
    /// The number in E.164, if it is one.
    pub number: Option<String>,
    /// Which key or rule made it so, or why nothing did.
    pub rule: String,
}

impl Profile {
    /// The E.164 number of a SIP or tel URI, or of a number as people write it.
    pub fn normalise(&self, value: &str) -> Normalised {
        let Some(written) = Written::read(value) else {
            return Normalised {
                said: String::new(),
                number: None,
                rule: "it is no number".to_owned(),
            };
        };
        let said = written.digits;
        let (number, rule) = self.by_rules(&said, written.context.as_deref());
        let (number, rule) = match number {
            Some(number) if is_e164(&number) => (Some(number), rule),
            Some(number) => (None, format!("{rule} makes {number} of it, which is no E.164 number")),
            None => (None, rule),
        };
        Normalised { said, number, rule }
    }

    fn by_rules(&self, said: &str, context: Option<&str>) -> (Option<String>, String) {
        let of_rule = |rule: &NumberRule| Some((rule.apply(said)?, String::from(rule.clone())));
        if let Some((number, rule)) = self.number_rules.iter().find_map(of_rule) {
            return (Some(number), format!("number_rules: {rule}"));
        }
        if said.starts_with('+') {
            return (Some(said.to_owned()), "it is in E.164 already".to_owned());
        }
        if let Some(context) = context {
            return (Some(format!("{context}{said}")), format!("phone-context={context}"));
        }
        let beyond = |prefix: &str| said.strip_prefix(prefix).filter(|_| !prefix.is_empty());
        if let Some(rest) = beyond(&self.international_prefix) {
            let rule = format!("international_prefix = {:?}", self.international_prefix);
            return (Some(format!("+{rest}")), rule);
        }
        if self.country_code.is_empty() {
            return (
                None,
                "no rule is for it, and the profile has no country_code".to_owned(),
            );
        }
        let country = &self.country_code;
        if let Some(rest) = beyond(&self.national_prefix) {
            let rule = format!(
                "national_prefix = {:?}, country_code = {country:?}",
                self.national_prefix
            );
            return (Some(format!("+{country}{rest}")), rule);
        }
        if self.area_code.is_empty() {
            return (None, "no rule is for it, and the profile has no area_code".to_owned());
        }
        let area = &self.area_code;
        let rule = format!("country_code = {country:?}, area_code = {area:?}");
        (Some(format!("+{country}{area}{said}")), rule)
    }
}

/// A number as it is written.
struct Written {
    digits: String,
    /// A phone-context that is a number (RFC 3966 §5.1.5).
    context: Option<String>,
}

impl Written {
    fn read(value: &str) -> Option<Written> {
        let value = value.trim();
        let scheme = value
            .split_once(':')
            .map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        let user = match &scheme {
            Some((scheme, rest)) if scheme == "sip" || scheme == "sips" => rest.split_once('@')?.0,
            Some((scheme, rest)) if scheme == "tel" => rest.split('?').next()?,
            Some(_) => return None,
            None => value,
        };
        // A telephone-subscriber carries its parameters in the user part (RFC 3261 §19.1.6): isub and ext do not count here.
        let mut parts = user.split(';');
        let digits = digits(parts.next()?)?;
        let context = parts.find_map(|param| {
            let (name, value) = param.split_once('=')?;
            name.eq_ignore_ascii_case("phone-context")
                .then(|| digits_of_context(value))?
        });
        Some(Written { digits, context })
    }
}

fn digits_of_context(value: &str) -> Option<String> {
    digits(value).filter(|context| context.starts_with('+'))
}

/// Digits without visual separators (RFC 3966 §3), and spaces as people write them.
fn digits(text: &str) -> Option<String> {
    let text = text.replace("%2B", "+").replace("%2b", "+");
    let digits: String = text.chars().filter(|c| !"-.() ".contains(*c)).collect();
    let bare = digits.strip_prefix('+').unwrap_or(&digits);
    let is_number = !bare.is_empty() && bare.len() <= 40 && bare.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(digits)
}

/// Whether this is a number in E.164: a + and 2 to 15 digits, the first no 0.
pub fn is_e164(number: &str) -> bool {
    let bare = number.strip_prefix('+').unwrap_or_default();
    (2..=E164_DIGITS_MAX).contains(&bare.len()) && !bare.starts_with('0') && bare.bytes().all(|b| b.is_ascii_digit())
}

/// Whether this can be a code or prefix: a few digits, or nothing.
pub(crate) fn is_code(text: &str) -> bool {
    text.len() <= 8 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Profile {
        let rule = |text: &str| NumberRule::try_from(text.to_owned()).unwrap();
        Profile {
            country_code: "49".into(),
            area_code: "30".into(),
            number_rules: vec![
                rule("1?? -> +49307654100"),
                rule("8* -> +4930765*"),
                rule("0800* -> +49800*"),
            ],
            ..Profile::default()
        }
    }

    #[test]
    fn numbers_become_e164_however_they_are_written() {
        for (written, number, rule) in [
            ("+49 30 123-456", "+4930123456", "in E.164 already"),
            ("tel:+49-(30)-123.456", "+4930123456", "in E.164 already"),
            ("tel:+4930123456;isub=12;ext=9", "+4930123456", "in E.164 already"),
            (
                "sip:+4930123456@ims.example;user=phone",
                "+4930123456",
                "in E.164 already",
            ),
            ("sips:%2B4930123456@ims.example", "+4930123456", "in E.164 already"),
            (
                "sip:+4930123456;ext=12@ims.example;user=phone",
                "+4930123456",
                "in E.164 already",
            ),
            ("tel:7654;phone-context=+4940", "+49407654", "phone-context=+4940"),
            ("tel:1234567;phone-context=example.com", "+49301234567", "area_code"),
            ("0044 20 7946 0000", "+442079460000", "international_prefix = \"00\""),
            ("sip:030123456@pbx", "+4930123456", "national_prefix = \"0\""),
            ("123456", "+4930123456", "country_code = \"49\", area_code = \"30\""),
            // Rules come first, in their order.
            ("0800 1234", "+498001234", "number_rules: 0800* -> +49800*"),
            ("8123", "+4930765123", "number_rules: 8* -> +4930765*"),
            ("142", "+49307654100", "number_rules: 1?? -> +49307654100"),
        ] {
            let made = berlin().normalise(written);
            assert_eq!(made.number.as_deref(), Some(number), "{written}: {}", made.rule);
            assert!(made.rule.contains(rule), "{written}: {}", made.rule);
        }
    }

    #[test]
    fn what_is_none_stays_none_and_says_why() {
        for (written, why) in [
            ("sip:bob@pbx", "no number"),
            ("bob", "no number"),
            ("", "no number"),
            ("sip:pbx", "no number"),
            ("mailto:1@x", "no number"),
            ("+0301", "no E.164"),
            ("+1234567890123456", "no E.164"),
            ("00", "no E.164"),
        ] {
            let made = berlin().normalise(written);
            assert_eq!(made.number, None, "{written}");
            assert!(made.rule.contains(why), "{written}: {}", made.rule);
        }
        let none = Profile::default();
        assert!(none.normalise("030123").rule.contains("country_code"));
        assert_eq!(
            none.normalise("+4930123").number.as_deref(),
            Some("+4930123"),
            "needs no rule"
        );
    }

    #[test]
    fn rules_are_patterns_and_replacements() {
        for good in ["0* -> +49*", "100->+4930100", "1?? -> +4930", "2?? -> +49307652??"] {
            assert!(NumberRule::try_from(good.to_owned()).is_ok(), "{good}");
        }
        let made = |rule: &str, said: &str| NumberRule::try_from(rule.to_owned()).unwrap().apply(said);
        assert_eq!(made("2?? -> +49307652??", "207").as_deref(), Some("+4930765207"));
        assert_eq!(made("?1?* -> +49??*", "31456").as_deref(), Some("+493456"));
        assert_eq!(made("2?? -> +49307652??", "2070"), None);
        for bad in [
            "",
            "0*",
            "-> +49",
            "0* ->",
            "a* -> +49*",
            "0 -> +49*",
            "0*1 -> +49",
            "0* -> +4*9*",
            "* -> b",
            "2? -> +4930??",
        ] {
            assert!(NumberRule::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
