//! Header field names: without case, and with compact forms (RFC 3261 §7.3.3, §20; RFC 3515, 3841, 3891, 4028, 4474, 6665,
//! 8224).

const COMPACT: [(u8, &str); 20] = [
    (b'a', "Accept-Contact"),
    (b'b', "Referred-By"),
    (b'c', "Content-Type"),
    (b'd', "Request-Disposition"),
    (b'e', "Content-Encoding"),
    (b'f', "From"),
    (b'i', "Call-ID"),
    (b'j', "Reject-Contact"),
    (b'k', "Supported"),
    (b'l', "Content-Length"),
    (b'm', "Contact"),
    (b'n', "Identity-Info"),
    (b'o', "Event"),
    (b'r', "Refer-To"),
    (b's', "Subject"),
    (b't', "To"),
    (b'u', "Allow-Events"),
    (b'v', "Via"),
    (b'x', "Session-Expires"),
    (b'y', "Identity"),
];

/// The full name of a compact one; other names as they are.
pub fn full_name(name: &str) -> &str {
    expand(name)
}

pub(crate) fn expand(name: &str) -> &str {
    let &[letter] = name.as_bytes() else { return name };
    let letter = letter.to_ascii_lowercase();
    COMPACT
        .iter()
        .find(|(compact, _)| *compact == letter)
        .map_or(name, |(_, full)| full)
}

/// Whether two names mean the same header field.
pub(crate) fn same(a: &str, b: &str) -> bool {
    expand(a).eq_ignore_ascii_case(expand(b))
}
