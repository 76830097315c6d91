//! Why a peer says something (Reason, RFC 3326), as far as that goes on to the other.

use std::time::Duration;

/// Protocols whose causes mean the same at both sides: RFC 3326 §2, RFC 4411 §2, RFC 9410 §2.
const PROTOCOLS: [&str; 4] = ["SIP", "Q.850", "Preemption", "STIR"];

/// The longest value that goes on, bytes.
const VALUE_MAX: usize = 256;

/// Those of a message's Reason values that go on, as one header value.
pub(crate) fn passed_on(values: &[String]) -> Option<String> {
    let known = |value: &&String| {
        let protocol = value.split(';').next().unwrap_or_default().trim();
        value.len() <= VALUE_MAX
            && !value.contains(char::is_control)
            && PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol))
    };
    let values: Vec<&str> = values.iter().filter(known).map(String::as_str).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// What a caller is told whom no server is to be had for, since all have asked for a pause or do not answer: when to try again
/// (RFC 3261 §21.5.1), and why.
pub(crate) fn try_later(wait: Duration) -> Vec<(String, String)> {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    let reason = "SIP;cause=503;text=\"No server takes calls\"";
    vec![
        ("Retry-After".to_owned(), seconds.max(1).to_string()),
        ("Reason".to_owned(), reason.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_protocols_go_on_and_nothing_else() {
        let on = |values: &[&str]| passed_on(&values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            on(&["q.850 ;cause=16;text=\"a, b\"", "FreeSWITCH;cause=200", "SIP;cause=200"]).as_deref(),
            Some("q.850 ;cause=16;text=\"a, b\", SIP;cause=200")
        );
        assert_eq!(on(&["FreeSWITCH;cause=200", "SIPX;cause=200", ""]), None);
        assert_eq!(on(&["SIP;cause=200\r\nVia: x"]), None);
        assert_eq!(on(&[&format!("SIP;text=\"{}\"", "x".repeat(300))]), None);
    }
}
