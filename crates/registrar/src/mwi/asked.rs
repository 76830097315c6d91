//! What a SUBSCRIBE asks for (RFC 6665 §4.2.1).

use segue_sip_wire::{Message, NameAddr};

use crate::Refused;

/// The event package (RFC 3842 §3.1).
pub const PACKAGE: &str = "message-summary";
/// The body of its NOTIFY.
const BODY: &str = "application/simple-message-summary";
/// Longest Event and Contact, bytes.
const VALUE_BYTES_MAX: usize = 512;

/// A SUBSCRIBE that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Event with its `id`, for each NOTIFY: "the same Event header field value" (RFC 6665 §8.2.1 in effect).
    pub event: String,
    /// The URI of its Contact.
    pub contact: String,
    /// Expires, seconds; `None`: the package's.
    pub expires_s: Option<u32>,
}

impl Asked {
    /// Reads it.
    ///
    /// # Errors
    /// 400, 406, 420 and 489.
    pub fn of(request: &Message) -> Result<Asked, Refused> {
        let unknown = request.list("Require");
        if !unknown.is_empty() {
            let options = unknown.join(", ");
            let why = format!("it requires {options}, which is not supported");
            return Err(Refused::new(420, why).with("Unsupported", options));
        }
        let event = request.header("Event").unwrap_or_default();
        let mut parts = event.split(';').map(str::trim);
        let package = parts.next().unwrap_or_default();
        if !package.eq_ignore_ascii_case(PACKAGE) {
            let why = format!("it asks for the event package {package:?}");
            return Err(Refused::new(489, why).with("Allow-Events", PACKAGE.to_owned()));
        }
        let id = parts.find_map(|param| {
            param
                .split_once('=')
                .filter(|(name, _)| name.trim().eq_ignore_ascii_case("id"))
        });
        if event.len() > VALUE_BYTES_MAX {
            return Err(Refused::bad("Its Event is too long"));
        }
        let takes = request.list("Accept");
        let fits = |range: &String| {
            let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            range == BODY || range == "application/*" || range == "*/*"
        };
        if !takes.is_empty() && !takes.iter().any(fits) {
            let why = format!("it takes no {BODY}");
            return Err(Refused::new(406, why).with("Accept", BODY.to_owned()));
        }
        let contacts = request.list("Contact");
        let contact = match contacts.as_slice() {
            [one] => one.parse::<NameAddr>().ok().filter(|contact| contact.uri.is_sip()),
            _ => None,
        };
        let Some(contact) = contact else {
            return Err(Refused::bad("It needs one Contact with a SIP address"));
        };
        let contact = contact.uri.without_headers().to_string();
        if contact.len() > VALUE_BYTES_MAX {
            return Err(Refused::bad("Its Contact is too long"));
        }
        // More digits than fit are a long time; what is no number has not been read as a message at all.
        let expires = request.header("Expires");
        let expires_s = expires.map(|seconds| seconds.trim().parse().unwrap_or(u32::MAX));
        Ok(Asked {
            event: match id {
                Some((_, id)) => format!("{PACKAGE};id={}", id.trim()),
                None => PACKAGE.to_owned(),
            },
            contact,
            expires_s,
        })
    }
}
