//! What every element needs of every message, checked once at the edge (RFC 3261 §8.1.1, §16.3).

use crate::{
    Message,
    error::ParseError,
    index::Fault,
    split::{find_outside, split_outside},
};

/// Fields that may stand once (§7.3.1).
const SINGLE: [&str; 6] = ["Call-ID", "CSeq", "From", "To", "Max-Forwards", "Content-Type"];

pub(crate) fn fault(message: &Message) -> Option<Fault> {
    check(message).err()
}

fn check(message: &Message) -> Result<(), Fault> {
    let bad = |why: &str| Fault::new(400, why);
    let refused = |error: ParseError| Fault::new(400, error.why);
    for name in SINGLE {
        if message.headers(name).nth(1).is_some() {
            return Err(Fault::new(400, format!("{name} is said more than once")));
        }
    }
    if message.headers("Via").next().is_none() {
        return Err(bad("Via is missing"));
    }
    message.vias().map_err(refused)?;
    for name in ["From", "To"] {
        let value = message.header(name).unwrap_or_default();
        if find_outside(value, |byte| byte == b',').is_some() {
            return Err(Fault::new(400, format!("{name} has more than one value")));
        }
    }
    message.from().map_err(refused)?;
    message.to().map_err(refused)?;
    let call_id = message.call_id().ok_or_else(|| bad("Call-ID is missing"))?;
    if call_id.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Err(bad("Call-ID has more than one word"));
    }
    let cseq = message.cseq().map_err(refused)?;
    // §8.1.1.5: below 2^31.
    if cseq.number > i32::MAX.unsigned_abs() {
        return Err(bad("CSeq is 2^31 or more"));
    }
    message.max_forwards().map_err(refused)?;
    message.contacts().map_err(refused)?;
    for name in ["Route", "Record-Route"] {
        message.routes(name).map_err(refused)?;
    }
    match message.method() {
        Some(method) => request(message, method == &cseq.method, method.is_known()),
        None => Ok(()),
    }
}

fn request(message: &Message, same_method: bool, known: bool) -> Result<(), Fault> {
    if !same_method {
        // RFC 4475 §3.1.2.18: for a method that nobody knows, 501 keeps the door open.
        let status = if known { 400 } else { 501 };
        return Err(Fault::new(status, "the method of CSeq is another than the request's"));
    }
    let via = message.top_via().map_err(|error| Fault::new(400, error.why))?;
    if via.branch() == Some("z9hG4bK") {
        return Err(Fault::new(400, "the branch holds no transaction identifier"));
    }
    let expires = message.headers("Expires").flat_map(|value| split_outside(value, b','));
    for value in expires {
        if crate::cseq::parse_u32(value).is_none() {
            return Err(Fault::new(400, "Expires is no proper number"));
        }
    }
    Ok(())
}
