//! What a REGISTER asks for (RFC 3261 §10.2).

use segue_sip_wire::{Message, NameAddr, Uri};

use crate::{Refused, Transport};

/// Longest URI of a contact, bytes.
const CONTACT_BYTES_MAX: usize = 512;
/// Longest Call-ID and `+sip.instance`, bytes.
const NAME_BYTES_MAX: usize = 256;
/// Longest Path, hops and bytes.
const PATH_HOPS_MAX: usize = 8;
const PATH_BYTES_MAX: usize = 2_048;
/// Longest User-Agent that is kept, characters.
const USER_AGENT_MAX: usize = 128;
/// "Malformed values SHOULD be treated as equivalent to 3600" (§20.10, §20.19).
const EXPIRES_MALFORMED_S: u32 = 3_600;
/// Extensions that a REGISTER may require.
const SUPPORTED: &str = "path";

/// What is to become of the bindings.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Nothing: they are asked for.
    Query,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// These are added, refreshed or removed.
    Change(Vec<Contact>),
}

/// One Contact value.
#[derive(Debug)]
pub(crate) struct Contact {
    pub uri: Uri,
    pub q: u16,
    /// Its own `expires`, else the Expires header; `None`: neither.
    pub expires_s: Option<u32>,
    pub instance: Option<String>,
    pub reg_id: Option<u32>,
}

/// A REGISTER that can be served.
#[derive(Debug)]
pub(crate) struct Asked {
    pub wish: Wish,
    pub call_id: String,
    pub cseq: u32,
    pub path: Vec<String>,
    pub supports_path: bool,
    pub user_agent: Option<String>,
}

impl Asked {
    pub(crate) fn of(request: &Message) -> Result<Asked, Refused> {
        let unknown: Vec<String> = request
            .list("Require")
            .into_iter()
            .filter(|option| !option.eq_ignore_ascii_case(SUPPORTED))
            .collect();
        if !unknown.is_empty() {
            let options = unknown.join(", ");
            let why = format!("it requires {options}, which is not supported");
            return Err(Refused::new(420, why).with("Unsupported", options));
        }
        let call_id = request.call_id().unwrap_or_default();
        if call_id.is_empty() || call_id.len() > NAME_BYTES_MAX {
            return Err(Refused::bad("Its Call-ID is missing or too long"));
        }
        let Ok(cseq) = request.cseq() else {
            return Err(Refused::bad("Its CSeq cannot be read"));
        };
        let agent = request.header("User-Agent").map(|agent| {
            let plain = agent.chars().filter(|c| !c.is_control());
            plain.take(USER_AGENT_MAX).collect::<String>()
        });
        Ok(Asked {
            wish: wish(request)?,
            call_id: call_id.to_owned(),
            cseq: cseq.number,
            path: path(request)?,
            supports_path: request.has_token("Supported", "path") || request.has_token("Require", "path"),
            user_agent: agent.filter(|agent| !agent.is_empty()),
        })
    }
}

fn wish(request: &Message) -> Result<Wish, Refused> {
    let values = request.list("Contact");
    let all = request.header("Expires").map(seconds);
    if values.is_empty() {
        return Ok(Wish::Query);
    }
    if values.iter().any(|value| value == "*") {
        // "If the request has additional Contact fields or an expiration time other than zero, the request is invalid" (§10.3 step 6).
        if values.len() > 1 || all != Some(0) {
            return Err(Refused::bad("Contact: * stands alone, with Expires: 0"));
        }
        return Ok(Wish::RemoveAll);
    }
    let contacts = values.iter().map(|value| contact(value, all));
    Ok(Wish::Change(contacts.collect::<Result<_, _>>()?))
}

fn contact(value: &str, all: Option<u32>) -> Result<Contact, Refused> {
    let Ok(NameAddr { uri, params, .. }) = value.parse::<NameAddr>() else {
        return Err(Refused::bad("A Contact cannot be read"));
    };
    let uri = uri.without_headers();
    if !uri.is_sip() || uri.is_sips() {
        return Err(Refused::bad("A Contact is no sip: address"));
    }
    if uri.to_string().len() > CONTACT_BYTES_MAX {
        return Err(Refused::bad("A Contact is too long"));
    }
    if uri
        .param("transport")
        .is_some_and(|name| name.parse::<Transport>().is_err())
    {
        return Err(Refused::bad("A Contact has a transport that is not spoken here"));
    }
    let instance = params.get("+sip.instance").filter(|id| !id.is_empty());
    if instance.is_some_and(|id| id.len() > NAME_BYTES_MAX) {
        return Err(Refused::bad("A Contact's +sip.instance is too long"));
    }
    Ok(Contact {
        q: params.get("q").and_then(thousandths).unwrap_or(1_000),
        expires_s: params.get("expires").map(seconds).or(all),
        instance: instance.map(str::to_owned),
        reg_id: params.get("reg-id").and_then(|id| id.parse().ok()),
        uri,
    })
}

/// A number of seconds up to 2**32-1 (§20.19).
fn seconds(text: &str) -> u32 {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).unwrap_or(EXPIRES_MALFORMED_S)
}

/// A qvalue (§25.1): 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !digits(decimals) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    let whole: u16 = if whole == "1" { 1_000 } else { 0 };
    whole.checked_add(decimals).filter(|q| *q <= 1_000)
}

fn path(request: &Message) -> Result<Vec<String>, Refused> {
    let hops = request.list("Path");
    let bytes = hops.iter().map(String::len).fold(0, usize::saturating_add);
    if hops.len() > PATH_HOPS_MAX || bytes > PATH_BYTES_MAX {
        return Err(Refused::bad("Its Path is too long"));
    }
    let is_hop = |hop: &String| hop.parse::<NameAddr>().is_ok_and(|hop| hop.uri.is_sip());
    match hops.iter().all(is_hop) {
        true => Ok(hops),
        false => Err(Refused::bad("Its Path has a hop that is no SIP address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_qvalues_are_read_as_the_grammar_has_them() {
        for (text, read) in [("0", 0), ("60", 60), (" 7 ", 7), ("4294967295", u32::MAX)] {
            assert_eq!(seconds(text), read, "{text}");
        }
        for malformed in ["", "-1", "+5", "1h", "4294967296", "6 0"] {
            assert_eq!(seconds(malformed), 3_600, "{malformed}");
        }
        for (text, read) in [
            ("1", 1_000),
            ("0", 0),
            ("0.5", 500),
            ("0.25", 250),
            ("1.000", 1_000),
            ("0.", 0),
        ] {
            assert_eq!(thousandths(text), Some(read), "{text}");
        }
        for malformed in ["", "2", "1.001", "0.1234", ".5", "0.x", "-0"] {
            assert_eq!(thousandths(malformed), None, "{malformed}");
        }
    }
}
