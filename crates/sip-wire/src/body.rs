//! Finding the session description in a body (RFC 3261 §7.4, RFC 2046 §5.1, RFC 5621).

use crate::{
    limits::PARTS_MAX,
    params::Params,
    split::{cut, take_quoted, unescape_quoted},
};

/// The SDP of a body of this type, if it describes the session.
pub(crate) fn find_sdp<'a>(content_type: &str, disposition: Option<&str>, body: &'a [u8]) -> Option<&'a [u8]> {
    let (essence, _) = media_type(content_type);
    if essence.eq_ignore_ascii_case("application/sdp") {
        return is_session(disposition).then_some(body);
    }
    let multipart = ["multipart/mixed", "multipart/alternative", "multipart/related"];
    if !multipart.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return None;
    }
    parts(body, &boundary(content_type)?).find_map(|part| sdp_part(part))
}

/// The boundary that a multipart type names.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let params = Params::parse(media_type(content_type).1, true).ok()?;
    params.get("boundary").map(|value| match take_quoted(value) {
        Some((inner, _)) => unescape_quoted(inner),
        None => value.to_owned(),
    })
}

/// `type/subtype` without spaces around the slash worth naming, and the parameters with their first `;`.
pub(crate) fn media_type(value: &str) -> (&str, &str) {
    let at = value.find(';').unwrap_or(value.len());
    let (media_type, params) = value.split_at_checked(at).unwrap_or((value, ""));
    (media_type.trim(), params)
}

/// RFC 3261 §20.11: application/sdp without a disposition is `session`; `early-session` (RFC 3959) is another matter.
fn is_session(disposition: Option<&str>) -> bool {
    disposition.is_none_or(|value| {
        value
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("session"))
    })
}

/// The parts between the boundaries, heads included; at most [`PARTS_MAX`], never nested.
pub(crate) fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = &'a [u8]> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let usable = !boundary.is_empty() && boundary.len() <= 70;
    let mut rest = usable
        .then_some(body)
        .and_then(|body| after_delimiter(body, &delimiter, true))
        .map(|(_, rest)| rest);
    std::iter::from_fn(move || {
        let (part, after) = after_delimiter(rest?, &delimiter, false)?;
        rest = Some(after);
        Some(part)
    })
    .take(PARTS_MAX)
}

/// What stands before the next delimiter line and what follows it. The first may open the body; the others begin a line.
fn after_delimiter<'a>(body: &'a [u8], delimiter: &[u8], first: bool) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0usize;
    loop {
        let found = find(body.get(from..)?, delimiter)?.checked_add(from)?;
        let end = found.checked_add(delimiter.len())?;
        let before = body.get(..found)?;
        let starts_line = before.ends_with(b"\r\n") || (found == 0 && first);
        from = end;
        // Before anything else is looked for: a body of nothing but such places is read once all the same.
        if !starts_line {
            continue;
        }
        let rest = body.get(end..)?;
        let line_end = find(rest, b"\r\n");
        let ends_line = match line_end {
            Some(at) => rest.get(..at)?.iter().all(|byte| matches!(byte, b' ' | b'\t')) || rest.starts_with(b"--"),
            None => rest.starts_with(b"--"),
        };
        if ends_line {
            let part = before.strip_suffix(b"\r\n").unwrap_or(before);
            let rest = line_end
                .and_then(|at| rest.get(at.checked_add(2)?..))
                .filter(|_| !rest.starts_with(b"--"));
            return Some((part, rest.unwrap_or_default()));
        }
    }
}

pub(crate) fn sdp_part(part: &[u8]) -> Option<&[u8]> {
    let (head, body) = part_head(part)?;
    let (mut is_sdp, mut disposition) = (false, None);
    for (name, value) in head {
        if crate::name::same(name, "Content-Type") {
            is_sdp = media_type(value).0.eq_ignore_ascii_case("application/sdp");
        } else if name.eq_ignore_ascii_case("Content-Disposition") {
            disposition = Some(value);
        }
    }
    (is_sdp && is_session(disposition)).then_some(body)
}

/// The header fields of a part and what follows them. `None`: it has none, or they are no text.
pub(crate) fn part_head(part: &[u8]) -> Option<(impl Iterator<Item = (&str, &str)>, &[u8])> {
    let head_end = find(part, b"\r\n\r\n")?;
    let body = part.get(head_end.checked_add(4)?..)?;
    let head = std::str::from_utf8(part.get(..head_end)?).ok()?;
    let fields = head.split("\r\n").filter_map(|line| {
        let (name, value) = cut(line, line.find(':')?);
        Some((name.trim(), value))
    });
    Some((fields, body))
}

/// The first place of a short pattern.
pub(crate) fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len().max(1)).position(|window| window == pattern)
}
