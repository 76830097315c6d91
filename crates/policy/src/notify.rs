//! What a subscriber is told of, and by which way.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Language;

/// How a subscriber is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notify {
    /// By which ways; none: not at all.
    pub by: Vec<Channel>,
    /// Of what; absent: of messages and of what is soon lost, of missed calls where the profile of the call says so.
    pub on: Option<Vec<About>>,
    /// Where mail goes.
    pub mail: Option<String>,
    /// What of a message goes along with mail.
    pub attach: Attach,
    /// Where the webhook is; absent: where the configuration says.
    pub webhook: Option<String>,
    /// Where SIP MESSAGE goes, a SIP URI; absent: wherever they are registered.
    pub message_to: Option<String>,
    /// In which language; absent: the configuration's.
    pub language: Option<Language>,
}

impl Notify {
    /// Whether they are told of this, by each of their ways. `missed`: whether missed calls are told of where they say nothing.
    pub fn wants(&self, about: About, missed: bool) -> bool {
        match &self.on {
            Some(on) => on.contains(&about),
            None => about != About::Missed || missed,
        }
    }
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident, $needed:literal: $($(#[$means:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$means])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// Its word.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = NotifyError;

            fn from_str(text: &str) -> Result<$name, NotifyError> {
                let found = $name::ALL.iter().find(|known| known.name() == text);
                found.copied().ok_or(NotifyError($needed))
            }
        }
    };
}

/// A word that means nothing; what would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotifyError(&'static str);

words! {
    /// A way to a subscriber.
    Channel, "mail, webhook or message is needed":
    /// Mail by SMTP.
    Mail = "mail",
    /// A signed POST by HTTP.
    Webhook = "webhook",
    /// SIP MESSAGE (RFC 3428).
    Message = "message",
}

words! {
    /// What there is to tell.
    About, "message, missed or warning is needed":
    /// A message is there.
    Message = "message",
    /// Somebody called and left none.
    Missed = "missed",
    /// A message is soon deleted unheard, or the mailbox is nearly full.
    Warning = "warning",
}

words! {
    /// What of a message goes along with mail.
    Attach, "yes, no or poster is needed":
    /// The message itself where it is short enough, with its picture.
    Yes = "yes",
    /// Nothing.
    No = "no",
    /// Its picture.
    Poster = "poster",
}

#[allow(clippy::derivable_impls, reason = "the macro makes the enum")]
impl Default for Attach {
    fn default() -> Attach {
        Attach::Poster
    }
}

/// Longest mail address, bytes (RFC 5321 §4.5.3.1.3, without the angle brackets).
const MAIL_BYTES_MAX: usize = 254;
/// Longest URL of a webhook, bytes.
const URL_BYTES_MAX: usize = 2_000;

/// Whether mail may go there: a dot-string and a domain or an address literal in ASCII (RFC 5321 §4.1.2), as people write them.
///
/// # Errors
/// What is needed.
pub fn check_mail(address: &str) -> Result<(), NotifyError> {
    const WRONG: NotifyError = NotifyError("a mail address is needed, e.g. bob@example.com");
    let (user, host) = address.rsplit_once('@').ok_or(WRONG)?;
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_user =
        (1..=64).contains(&user.len()) && user.chars().all(atom) && user.split('.').all(|part| !part.is_empty());
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match literal {
        Some(literal) => literal
            .strip_prefix("IPv6:")
            .unwrap_or(literal)
            .parse::<IpAddr>()
            .is_ok(),
        None => host.split('.').all(|label| {
            let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
        }),
    };
    match is_user && is_host && address.len() <= MAIL_BYTES_MAX {
        true => Ok(()),
        false => Err(WRONG),
    }
}

/// Whether a webhook may be there. Which addresses are allowed is seen when it is called.
///
/// # Errors
/// What is needed.
pub fn check_webhook(url: &str) -> Result<(), NotifyError> {
    const WRONG: NotifyError =
        NotifyError("an http:// or https:// URL without user and fragment is needed, e.g. https://example.com/segue");
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = rest.ok_or(WRONG)?.split(['/', '?']).next().unwrap_or_default();
    let printable = url
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"#<>\"\\^`{|}".contains(&b));
    match printable && !authority.is_empty() && !authority.contains('@') && url.len() <= URL_BYTES_MAX {
        true => Ok(()),
        false => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_calls_are_told_of_where_the_subscriber_or_else_the_profile_says_so() {
        let says_nothing = Notify::default();
        for (about, missed, wanted) in [
            (About::Message, false, true),
            (About::Warning, false, true),
            (About::Missed, false, false),
            (About::Missed, true, true),
        ] {
            assert_eq!(says_nothing.wants(about, missed), wanted, "{about} {missed}");
        }
        let only_missed = Notify {
            on: Some(vec![About::Missed]),
            ..Notify::default()
        };
        assert!(only_missed.wants(About::Missed, false));
        assert!(!only_missed.wants(About::Message, true));
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for channel in Channel::ALL {
            assert_eq!(channel.name().parse(), Ok(*channel));
            assert_eq!(serde_json::to_value(channel).unwrap(), channel.name());
        }
        let unknown: Result<Channel, NotifyError> = "pigeon".parse();
        assert_eq!(unknown.unwrap_err().to_string(), "mail, webhook or message is needed");
    }

    #[test]
    fn addresses_that_mail_or_a_webhook_may_go_to() {
        for good in [
            "bob@example.com",
            "b.o+b@localhost",
            "bob@[192.0.2.1]",
            "bob@[IPv6:2001:db8::1]",
        ] {
            assert_eq!(check_mail(good), Ok(()), "{good}");
        }
        for bad in [
            "bob",
            "@example.com",
            "bob@",
            "bob@exa mple.com",
            "bob@example.com\r\nBcc: eve@example.com",
            "Bob <bob@example.com>",
            "bob@example.com,eve@example.com",
            "bob..b@example.com",
            "bob@-example.com",
            "bob@example..com",
            "bob@[nowhere]",
        ] {
            assert!(check_mail(bad).is_err(), "{bad}");
        }
        for good in ["https://example.com", "http://[::1]:8080/hook?a=b%20c"] {
            assert_eq!(check_webhook(good), Ok(()), "{good}");
        }
        for bad in [
            "ftp://example.com",
            "https://",
            "https://user:pass@example.com/",
            "https://example.com/#part",
            "https://example.com/\r\nHost: evil",
            "example.com",
        ] {
            assert!(check_webhook(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_kept_by_an_older_segue_is_read() {
        let read: Notify = serde_json::from_str("{}").unwrap();
        assert_eq!(read, Notify::default());
    }
}
