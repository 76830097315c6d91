//! Addresses, numbers and targets as people write them: on a command line, in a form, in JSON.

use segue_policy::{AS_CALLED, Address, Normalised, Profile, REGISTERED, Who};
use segue_sip_wire::Uri;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// An address of callers, a number also as it is dialled: by the first profile that knows it.
///
/// # Errors
/// Why it is none, in words.
pub fn address(text: &str, profiles: &[Profile]) -> Result<Address, String> {
    let is_dialled = text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '(') && !text.contains('*');
    let dialled = || profiles.iter().find_map(|profile| profile.normalise(text).number);
    let written = Address::try_from(text.to_owned());
    written.or_else(|wrong| match is_dialled.then(dialled).flatten() {
        Some(number) => Ok(Address::Number(number)),
        None => Err(wrong.to_string()),
    })
}

/// A moment, Unix milliseconds.
///
/// # Errors
/// Why it is none, in words.
pub fn moment(text: &str) -> Result<i64, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok())
        .ok_or_else(|| "a moment as RFC 3339 writes it, e.g. 2026-03-01T12:00:00Z".to_owned())
}

/// For whom a rule is.
///
/// # Errors
/// Why it is for nobody, in words.
pub fn who(text: &str, profiles: &[Profile]) -> Result<Who, String> {
    match Who::try_from(text.to_owned()) {
        Ok(who) => Ok(who),
        Err(_) if text.starts_with(|c: char| c.is_ascii_digit() || "+(".contains(c)) || text.contains(':') => {
            address(text, profiles).map(Who::Address)
        }
        Err(_) => Err(format!("{text:?} is nobody")),
    }
}

/// What [`who`] takes.
pub const WHO: &str =
    "name a group (a-z, 0-9, -), anonymous, unknown, +4930123456, +4930*, sip:alice@example.com or sip:*@example.com";

/// Whether a subscriber can be reached there: a `sip:` or `sips:` URI that can be called, `tel:` and a number in E.164, `as-called` or
/// `registered`.
///
/// # Errors
/// Why not, in words.
pub fn target(text: &str) -> Result<(), String> {
    // As the caller called them: back by the call's Route, or to the profile's next_hop.
    if text == AS_CALLED || text == REGISTERED {
        return Ok(());
    }
    let uri: Uri = text
        .parse()
        .map_err(|e| format!("{e}; a target is e.g. sip:bob@192.0.2.7:5060"))?;
    // A number has no host: the next hop of the caller's profile knows the way.
    if uri.is_tel() && uri.opaque().is_some_and(segue_policy::is_e164) {
        return Ok(());
    }
    if !uri.is_sip() {
        return Err("a target is a SIP URI, e.g. sip:bob@192.0.2.7:5060, or tel: and a number in E.164".to_owned());
    }
    if uri.headers().is_some() {
        return Err("a target carries no headers ('?...')".to_owned());
    }
    if uri.port() == Some(0) {
        return Err("port 0 cannot be called".to_owned());
    }
    match uri.param("transport").map(str::to_ascii_lowercase).as_deref() {
        Some("udp") if uri.is_sips() => Err("sips: needs TLS: leave transport=udp out".to_owned()),
        None | Some("udp" | "tcp" | "tls") => Ok(()),
        Some(other) => Err(format!("transport={other} is not built yet; use udp, tcp or tls")),
    }
}

/// A number in E.164, by the first profile that knows it.
///
/// # Errors
/// Why it is none, in words.
pub fn number(value: &str, profiles: &[Profile]) -> Result<String, String> {
    let made: Vec<Normalised> = profiles.iter().map(|profile| profile.normalise(value)).collect();
    made.iter().find_map(|made| made.number.clone()).ok_or_else(|| {
        let why = made.first().map_or("there is no profile", |made| made.rule.as_str());
        format!("{value:?} is no number that any profile knows: {why}")
    })
}

/// An alias in the one form in which it is looked up (`Subscriber::aliases`).
///
/// # Errors
/// Why it is none, in words.
pub fn alias(value: &str, profiles: &[Profile]) -> Result<String, String> {
    let wrong = |why: &str| format!("{value:?} is no alias: {why}");
    let uri: Uri = value.parse().map_err(|error| wrong(&format!("{error}")))?;
    if uri.is_tel() {
        return Ok(format!("tel:{}", number(value, profiles)?));
    }
    let plain = uri.params().all(|(name, _)| name.eq_ignore_ascii_case("user"));
    if uri.port().is_some() || uri.headers().is_some() || !plain {
        return Err(wrong(
            "it is found whatever the port and the parameters are, and names none",
        ));
    }
    let address = uri.address_of_record().filter(|_| uri.is_sip());
    let address = address.ok_or_else(|| wrong("it is neither a SIP URI with a user nor a tel: URI"))?;
    Ok(address.to_string())
}
