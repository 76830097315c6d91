//! Who wants privacy (RFC 3323, RFC 3325 §7), and what stands in the place of who calls then.

use segue_sip_wire::{Message, NameAddr, Uri};

/// RFC 3323 §4.1.1.3.
pub(crate) const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// From as nobody's.
pub(crate) fn anonymous() -> Option<NameAddr> {
    let mut nobody = NameAddr::new(ANONYMOUS.parse::<Uri>().ok()?);
    nobody.display = Some("Anonymous".to_owned());
    Some(nobody)
}

/// Whether who calls is to stay unknown: `Privacy: id` or `user`. `header` and `session` are kept by every call through us: no
/// address of one side is told to the other.
pub(crate) fn is_withheld(message: &Message) -> bool {
    let values = message.headers("Privacy").flat_map(|value| value.split([';', ',']));
    values
        .map(str::trim)
        .any(|value| value.eq_ignore_ascii_case("id") || value.eq_ignore_ascii_case("user"))
}

/// Who is shown as the caller in place of From: nobody to whom privacy is due; else whom a trusted side asserts, by a SIP URI
/// before others (RFC 3325 §9.1).
pub(crate) fn shown(invite: &Message, trusted: bool) -> Option<NameAddr> {
    if is_withheld(invite) {
        return anonymous();
    }
    let asserted = invite.routes("P-Asserted-Identity").ok().filter(|_| trusted)?;
    let sip = asserted.iter().position(|asserted| asserted.uri.is_sip());
    asserted.into_iter().nth(sip.unwrap_or(0))
}

/// The charging identifier that a trusted side gave the call (RFC 7315 §4.6).
pub(crate) fn icid(invite: &Message, trusted: bool) -> Option<String> {
    let values = invite.list("P-Charging-Vector");
    let params = values.first().filter(|_| trusted)?.split(';');
    let value = params
        .filter_map(|param| param.split_once('='))
        .find_map(|(name, value)| {
            let named = name.trim().eq_ignore_ascii_case("icid-value");
            named.then(|| value.trim().trim_matches('"').to_owned())
        })?;
    let proper = !value.is_empty() && value.len() <= ICID_MAX && !value.contains(char::is_control);
    proper.then_some(value)
}

/// The longest charging identifier that is kept, bytes.
const ICID_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(lines: &str) -> Message {
        let text = format!(
            "INVITE sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: \"A\" <sip:a@b>;tag=1\r\n\
             To: <sip:x@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
        );
        Message::parse_datagram(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_trusted_side_says_who_calls_and_nobody_else() {
        let lines = "P-Asserted-Identity: <tel:+491>, \"Real\" <sip:real@x>\r\n";
        let who = |lines: &str, trusted| shown(&invite(lines), trusted).map(|who| who.to_string());
        assert_eq!(who(lines, true).as_deref(), Some("\"Real\" <sip:real@x>"));
        assert_eq!(who(lines, false), None);
        assert_eq!(
            who("P-Asserted-Identity: tel:+491\r\n", true).as_deref(),
            Some("<tel:+491>")
        );
        assert_eq!(who("P-Asserted-Identity: ,,<\r\n", true), None);
        assert_eq!(who("", true), None);
        let nobody = format!("\"Anonymous\" <{ANONYMOUS}>");
        for trusted in [true, false] {
            assert_eq!(who(&format!("{lines}Privacy: id\r\n"), trusted).as_ref(), Some(&nobody));
        }
    }

    #[test]
    fn the_charging_identifier_is_read_from_a_trusted_side() {
        let lines =
            "P-Charging-Vector: orig-ioi=home1.net; ICID-Value = \"1234bc;9876e\" ;icid-generated-at=192.0.2.1\r\n";
        let read = |lines: &str, trusted| icid(&invite(lines), trusted);
        assert_eq!(
            read(&lines.replace(";9876e", "9876e"), true).as_deref(),
            Some("1234bc9876e")
        );
        assert_eq!(read(lines, false), None);
        assert_eq!(
            read(&format!("P-Charging-Vector: icid-value={}\r\n", "x".repeat(300)), true),
            None
        );
        assert_eq!(read("P-Charging-Vector: icid-value=\r\n", true), None);
    }
}
