//! Addresses of record in one form, so that they can be looked up.

use crate::{Host, Scheme, Uri};

impl Uri {
    /// The port, where it is not written the default one of its transport: 5061 for TLS, else 5060 (RFC 3261 §19.1.2).
    pub fn port_or_default(&self) -> u16 {
        self.port().unwrap_or(if self.wants_tls() { 5061 } else { 5060 })
    }

    /// Who is meant, in canonical form (RFC 3261 §10.3 step 5): user and host of a SIP URI, parameters and escapes that need not be
    /// removed, the host in lower case. Scheme and port tell apart how somebody is reached, not who it is: they are left out, too. With
    /// `user=phone` the user is a number (§19.1.6), without its parameters and visual separators.
    ///
    /// `None`: no SIP URI, or none with a user that can be read.
    pub fn address_of_record(&self) -> Option<Uri> {
        let user = self.user()?;
        let is_phone = self
            .param("user")
            .is_some_and(|value| value.eq_ignore_ascii_case("phone"));
        let user = match is_phone {
            true => {
                let number = user.split(';').next().unwrap_or_default();
                number.chars().filter(|c| !"-.()".contains(*c)).collect()
            }
            false => user.into_owned(),
        };
        // What is no UTF-8 was replaced: two users could look alike.
        let unreadable = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        if user.is_empty() || user.contains(unreadable) {
            return None;
        }
        let host = match self.host()? {
            Host::Name(name) => Host::Name(name.trim_end_matches('.').to_ascii_lowercase().into()),
            address => address.clone(),
        };
        Some(Uri::sip(Some(&user), host, None))
    }

    /// Whether it is a `tel:` URI (RFC 3966).
    pub fn is_tel(&self) -> bool {
        *self.scheme() == Scheme::Tel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        let uri: Uri = text.parse().unwrap();
        uri.address_of_record().map(|uri| uri.to_string())
    }

    #[test]
    fn one_who_is_meant_is_written_one_way() {
        for same in [
            "sip:robert@example.org",
            "sips:robert@Example.ORG:5061",
            "sip:%72obert@example.org;transport=tcp",
            "sip:robert:secret@example.org.",
            "sip:r%6Fbert@example.org?subject=x",
        ] {
            assert_eq!(of(same).as_deref(), Some("sip:robert@example.org"), "{same}");
        }
        // "The userinfo of a SIP URI is compared case-sensitive" (§19.1.4), and what must be escaped stays so.
        assert_eq!(of("sip:Robert@example.org").as_deref(), Some("sip:Robert@example.org"));
        assert_eq!(of("sip:a%40b@example.org").as_deref(), Some("sip:a%40b@example.org"));
        assert_eq!(of("sip:r@[2001:DB8::1]:5060").as_deref(), Some("sip:r@[2001:db8::1]"));
        for number in [
            "sip:+49-30-123@example.org;user=phone",
            "sips:%2B4930(123);isub=1@example.org;user=PHONE",
        ] {
            assert_eq!(of(number).as_deref(), Some("sip:+4930123@example.org"), "{number}");
        }
        assert_eq!(of("sip:a-b@example.org").as_deref(), Some("sip:a-b@example.org"));
        for nobody in [
            "sip:example.org",
            "tel:+4930123",
            "sip:%FF@example.org",
            "sip:a%00@b",
            "sip:-@b;user=phone",
        ] {
            assert_eq!(of(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn tls_has_a_port_of_its_own() {
        for (text, port) in [
            ("sip:a@b", 5060),
            ("sips:a@b", 5061),
            ("sip:a@b;transport=tls", 5061),
            ("sip:a@b;transport=tcp", 5060),
            ("sips:a@b:5070", 5070),
        ] {
            assert_eq!(text.parse::<Uri>().unwrap().port_or_default(), port, "{text}");
        }
    }
}
