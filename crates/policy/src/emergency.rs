//! Which calls are emergency calls: they go on at once, whatever else would hold.

use crate::Profile;

/// An emergency call, by what makes it one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emergency {
    /// Somebody calls for help: `urn:service:sos` and what is below it (RFC 5031 §4.2), or a number of the profile.
    Call,
    /// An emergency service calls back (RFC 7090 §4).
    CallBack,
}

/// The service of emergencies (RFC 5031 §4.2).
const SOS: &str = "urn:service:sos";

impl Profile {
    /// Whether a call is one. `priority` is the value of its Priority header: anybody can write that, so that only peers in our trust
    /// domain are believed (RFC 7090 §5.2).
    pub fn emergency(&self, request_uri: &str, number: Option<&str>, priority: Option<&str>) -> Option<Emergency> {
        let is_number = |own: &String| number == Some(own.as_str());
        if is_sos(request_uri) || self.emergency_numbers.iter().any(is_number) {
            return Some(Emergency::Call);
        }
        let calls_back = priority.is_some_and(|value| value.trim().eq_ignore_ascii_case("psap-callback"));
        (calls_back && self.trusted).then_some(Emergency::CallBack)
    }
}

/// Whether a URI is that of emergencies or of a service below it.
fn is_sos(uri: &str) -> bool {
    let (head, rest) = uri.split_at_checked(SOS.len()).unwrap_or_default();
    head.eq_ignore_ascii_case(SOS) && (rest.is_empty() || rest.starts_with(['.', ';', '?', '#']))
}

/// Whether this can be a number of emergencies: few digits, as they are dialled.
pub(crate) fn is_emergency_number(text: &str) -> bool {
    let bare = text.strip_prefix('+').unwrap_or(text);
    (2..=15).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sos_and_the_services_below_it_are_emergencies() {
        let profile = Profile::default();
        for uri in [
            "urn:service:sos",
            "urn:service:sos.fire",
            "URN:Service:SOS.police.x",
            "urn:service:sos?a=b",
        ] {
            assert_eq!(profile.emergency(uri, None, None), Some(Emergency::Call), "{uri}");
        }
        for uri in [
            "urn:service:sosx",
            "urn:service:counseling",
            "urn:servic",
            "sip:sos@x",
            "sip:112@x",
        ] {
            assert_eq!(profile.emergency(uri, Some("112"), None), None, "{uri}");
        }
    }

    #[test]
    fn numbers_are_those_of_the_profile() {
        let profile = Profile {
            emergency_numbers: vec!["112".into(), "110".into()],
            ..Profile::default()
        };
        assert_eq!(profile.emergency("sip:112@x", Some("112"), None), Some(Emergency::Call));
        assert_eq!(profile.emergency("sip:1120@x", Some("1120"), None), None);
        for (text, is) in [("112", true), ("+112", true), ("1", false), ("", false), ("11a", false)] {
            assert_eq!(is_emergency_number(text), is, "{text}");
        }
    }

    #[test]
    fn only_a_trusted_peer_calls_back() {
        for (trusted, priority, is) in [
            (true, Some("psap-callback"), Some(Emergency::CallBack)),
            (true, Some(" PSAP-Callback "), Some(Emergency::CallBack)),
            (true, Some("urgent"), None),
            (true, None, None),
            (false, Some("psap-callback"), None),
        ] {
            let profile = Profile {
                trusted,
                ..Profile::default()
            };
            assert_eq!(
                profile.emergency("sip:bob@x", None, priority),
                is,
                "{trusted} {priority:?}"
            );
        }
    }
}
