//! Session-ID (RFC 7989 §5): `ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2`.

use std::{fmt, num::NonZeroU128};

use crate::Message;

/// What names an endpoint of a session on all legs, never nil.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionUuid(NonZeroU128);

impl SessionUuid {
    /// A version 4 UUID out of random bits (RFC 7989 §4.1).
    pub fn random(bits: u128) -> SessionUuid {
        let marked = bits & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        SessionUuid(NonZeroU128::new(marked).unwrap_or(NonZeroU128::MIN))
    }

    /// 32 hexadecimal digits; nil and anything else: `None`.
    fn parse(text: &str) -> Option<SessionUuid> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits)?;
        NonZeroU128::new(number).map(SessionUuid)
    }
}

impl fmt::Display for SessionUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The value of a Session-ID for a message whose sender and receiver are these; `None` when neither is known.
pub fn session_id(sender: Option<SessionUuid>, receiver: Option<SessionUuid>) -> Option<String> {
    let word = |uuid: Option<SessionUuid>| uuid.map_or_else(|| "0".repeat(32), |uuid| uuid.to_string());
    (sender.is_some() || receiver.is_some()).then(|| format!("{};remote={}", word(sender), word(receiver)))
}

impl Message {
    /// Who sent it, by its Session-ID. One that is none, is nil, or is there twice says nothing.
    pub fn session_sender(&self) -> Option<SessionUuid> {
        let mut values = self.headers("Session-ID");
        let value = values.next().filter(|_| values.next().is_none())?;
        SessionUuid::parse(value.split(';').next()?.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(lines: &str) -> Option<String> {
        let text = format!(
            "OPTIONS sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:x@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n{lines}\r\n"
        );
        let message = Message::parse_datagram(text.as_bytes()).unwrap();
        message.session_sender().map(|uuid| uuid.to_string())
    }

    #[test]
    fn the_sender_is_the_first_uuid() {
        let uuid = "ab30317f1a784dc48ff824d0d3715d86";
        let nil = "0".repeat(32);
        assert_eq!(
            sender(&format!("Session-ID: {uuid};remote={nil}\r\n")).as_deref(),
            Some(uuid)
        );
        // As RFC 7329 had it.
        assert_eq!(sender(&format!("session-id: {uuid}\r\n")).as_deref(), Some(uuid));
    }

    #[test]
    fn what_names_nobody_says_nothing() {
        let nil = "0".repeat(32);
        let uuid = "ab30317f1a784dc48ff824d0d3715d86";
        for lines in [
            String::new(),
            format!("Session-ID: {nil};remote={uuid}\r\n"),
            "Session-ID: ab30\r\n".to_owned(),
            format!("Session-ID: +{}\r\n", &uuid[1..]),
            format!("Session-ID: {uuid}0\r\n"),
            format!("Session-ID: {uuid}\r\nSession-ID: {uuid}\r\n"),
        ] {
            assert_eq!(sender(&lines), None, "{lines}");
        }
    }

    #[test]
    fn a_random_one_is_of_version_4() {
        for bits in [0, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let text = SessionUuid::random(bits).to_string();
            assert_eq!((text.len(), &text[12..13]), (32, "4"));
            assert!("89ab".contains(&text[16..17]), "{text}");
        }
        let one = SessionUuid::random(1);
        let nil = "0".repeat(32);
        assert_eq!(session_id(None, None), None);
        assert_eq!(session_id(None, Some(one)).unwrap(), format!("{nil};remote={one}"));
        assert_eq!(session_id(Some(one), None).unwrap(), format!("{one};remote={nil}"));
    }
}
