//! Callers whom another server sends on to a mailbox here: by the Request-URI (RFC 4458), or to a number that stands for the
//! mailboxes, with the history of the call.

use segue_call::SentOn;
use segue_sip_wire::{Message, Scheme, Uri};

use super::history::Received;

/// Whose mailbox, and why.
pub(crate) fn sent_on(invite: &Message, received: &Received, mailbox_users: &[String]) -> Option<SentOn> {
    let uri = invite.request_uri()?;
    let cause = uri.param("cause").and_then(status);
    if let Some(target) = uri.param("target").filter(|target| !target.is_empty()) {
        return to(&unescaped(target)?, cause);
    }
    let user = uri.user()?;
    if !mailbox_users.iter().any(|known| *known == user) {
        return None;
    }
    let (whom, why) = received.last_diversion()?;
    to(&whom.to_string(), cause.or(why))
}

fn to(whom: &str, cause: Option<u16>) -> Option<SentOn> {
    let user = user_of(whom)?;
    // `bob@example.com` is an address, too.
    let uri = whom.parse().ok().filter(Uri::is_sip);
    let uri = uri.or_else(|| {
        format!("sip:{whom}")
            .parse()
            .ok()
            .filter(|uri: &Uri| uri.user_raw().is_some())
    });
    Some(SentOn { user, uri, cause })
}

fn status(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|status| digits && (300..=699).contains(status))
}

/// The user of `sip:bob@example.com`, `tel:+4930123`, `bob@example.com` or `bob`.
fn user_of(target: &str) -> Option<String> {
    let user = match target.parse::<Uri>() {
        Ok(uri) if uri.is_sip() => uri.user()?.into_owned(),
        Ok(uri) if *uri.scheme() == Scheme::Tel => {
            let number = target.split_once(':')?.1;
            number.split(';').next()?.to_owned()
        }
        _ => {
            let bare = target.strip_prefix("mailto:").unwrap_or(target);
            bare.split(['@', ';']).next()?.to_owned()
        }
    };
    let proper = !user.is_empty() && !user.contains(char::is_control);
    proper.then_some(user)
}

/// With `%40` and the like resolved (RFC 3261 §25.1 escaped).
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()?.checked_mul(16)?.checked_add(digit()?)?;
        out.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(uri: &str, lines: &str) -> Option<(String, Option<u16>)> {
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:x@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
        );
        let invite = Message::parse_datagram(text.as_bytes()).unwrap();
        let sent_on = sent_on(&invite, &Received::of(&invite, true), &["voicemail".to_owned()]);
        sent_on.map(|sent_on| (sent_on.user, sent_on.cause))
    }

    fn whose(user: &str, cause: Option<u16>) -> Option<(String, Option<u16>)> {
        Some((user.to_owned(), cause))
    }

    #[test]
    fn the_target_of_the_request_uri_is_whose_mailbox_it_is() {
        assert_eq!(
            sent("sip:mailbox@segue;target=bob%40example.com;cause=486", ""),
            whose("bob", Some(486))
        );
        assert_eq!(
            sent("sip:mailbox@segue;target=sip:bob%40example.com;cause=408", ""),
            whose("bob", Some(408))
        );
        let phone = "sip:+15555551001@segue;target=sip:+15555551002%40example.com;user=phone;cause=302";
        assert_eq!(sent(phone, ""), whose("+15555551002", Some(302)));
        assert_eq!(
            sent("sip:mailbox@segue;target=tel:+15555551002;cause=999", ""),
            whose("+15555551002", None)
        );
        assert_eq!(sent("sip:mailbox@segue;target=bob", ""), whose("bob", None));
        assert_eq!(
            sent("sip:mailbox@segue;target=mailto:bob%40example.com", ""),
            whose("bob", None)
        );
    }

    #[test]
    fn whose_mailbox_it_is_is_told_as_an_address_too() {
        for (target, address) in [
            ("robert%40example.org", Some("sip:robert@example.org")),
            ("sip:robert%40example.org", Some("sip:robert@example.org")),
            ("tel:+15555551002", None),
            ("robert", None),
        ] {
            let told = to(&unescaped(target).unwrap(), None).unwrap().uri;
            assert_eq!(told.map(|uri| uri.to_string()).as_deref(), address, "{target}");
        }
    }

    #[test]
    fn what_names_no_mailbox_is_a_call_as_any() {
        for uri in [
            "sip:bob@segue",
            "sip:bob@segue;cause=302",
            "sip:bob@segue;target=",
            "sip:bob@segue;target=%4",
            "sip:bob@segue;target=%ff%fe",
            "sip:bob@segue;target=%00x",
            "sip:voicemail@segue",
        ] {
            assert_eq!(sent(uri, ""), None, "{uri}");
        }
        assert_eq!(
            sent("sip:bob@segue", "Diversion: <sip:carol@x>;reason=user-busy\r\n"),
            None
        );
    }

    #[test]
    fn a_number_for_all_mailboxes_goes_by_the_last_who_diverted() {
        let diversion = "Diversion: <sip:carol@x>;reason=\"no-answer\", <sip:bob@x>;reason=unconditional\r\n";
        assert_eq!(sent("sip:voicemail@segue", diversion), whose("carol", Some(408)));
        let history = "History-Info: <sip:bob@x?Reason=SIP%3Bcause%3D302>;index=1, <sip:carol@x>;index=1.1;mp=1\r\n\
                       History-Info: <sip:voicemail@segue;cause=486>;index=1.2;mp=1.1\r\n";
        assert_eq!(sent("sip:voicemail@segue", history), whose("carol", Some(486)));
        assert_eq!(
            sent("sip:voicemail@segue;cause=408", history),
            whose("carol", Some(408))
        );
    }
}
