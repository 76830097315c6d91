//! The span index over a message's bytes: one pass, bounded, tolerant. The first fault is noted and reading goes on, so
//! that an answer to a broken request can still copy what it needs.

use crate::{
    limits::{HEADER_MAX, HEADERS_MAX, START_LINE_MAX},
    method::Method,
    split::is_token,
    uri::Uri,
};

/// A range of the message's bytes. Messages are below 4 GiB ([`crate::limits::MESSAGE_MAX`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Span {
        let clip = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            start: clip(start),
            end: clip(end),
        }
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        let wide = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        wide(self.start)..wide(self.end)
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }

    pub(crate) fn text(self, bytes: &[u8]) -> &str {
        std::str::from_utf8(self.of(bytes)).unwrap_or_default()
    }
}

/// One header field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: Span,
    /// The value as received, trimmed, folds and all.
    pub(crate) value: Span,
    /// The value unfolded (§7.3.1) or made UTF-8; `None` where the received bytes are already that.
    pub(crate) text: Option<Box<str>>,
}

/// The start line.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    Request {
        method: Method,
        uri: Uri,
    },
    Response {
        status: u16,
        phrase: Span,
    },
    /// Unreadable; the method if at least that could be read.
    Broken {
        method: Option<Method>,
        response: bool,
    },
}

/// What is wrong, and the status code that says so.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) status: u16,
    pub(crate) why: String,
}

impl Fault {
    pub(crate) fn new(status: u16, why: impl Into<String>) -> Fault {
        Fault {
            status,
            why: why.into(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) start: Start,
    pub(crate) fields: Vec<Field>,
    /// Where the body begins.
    pub(crate) body_at: usize,
    /// The first thing that was wrong.
    pub(crate) fault: Option<Fault>,
}

/// Index a message that begins at the first byte (leading CRLFs already skipped).
pub(crate) fn index(bytes: &[u8]) -> Index {
    let mut fault = None;
    let mut note = |status: u16, why: &str| {
        fault.get_or_insert_with(|| Fault::new(status, why));
    };
    let mut lines = Lines { bytes, at: 0 };
    let start = match lines.next() {
        Some(line) => start_line(bytes, line, &mut note),
        None => {
            note(400, "the start line does not end in CRLF");
            Start::Broken {
                method: None,
                response: bytes.starts_with(b"SIP/"),
            }
        }
    };
    let mut fields: Vec<Field> = Vec::with_capacity(24);
    // Whether the field that a folded line would continue was taken.
    let mut open = false;
    let body_at = loop {
        let Some(mut line) = lines.next() else {
            note(400, "no empty line ends the head");
            break bytes.len();
        };
        if let Some(end) = rack_ends(&start, bytes, line) {
            lines.at = end.saturating_add(1);
            line.end = Span::new(0, end).end;
        }
        let text = line.of(bytes);
        if text.is_empty() {
            break lines.at;
        }
        if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            note(400, "a CR or LF stands alone");
            open = false;
            continue;
        }
        if matches!(text.first(), Some(b' ' | b'\t')) {
            match fields.last_mut() {
                Some(last) if open => last.value.end = line.end,
                _ => note(400, "a folded line continues nothing"),
            }
            continue;
        }
        open = false;
        if fields.len() >= HEADERS_MAX {
            note(513, "too many header fields");
            break bytes.len();
        }
        let colon = text.iter().position(|byte| *byte == b':');
        let Some((name, _)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
            note(400, "a header line has no colon");
            continue;
        };
        let name = name.trim_ascii_end();
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            note(400, "a header name is no token");
            continue;
        }
        let from = line.range().start;
        let value_at = from.saturating_add(colon.unwrap_or(0)).saturating_add(1);
        fields.push(Field {
            name: Span::new(from, from.saturating_add(name.len())),
            value: Span::new(value_at, line.range().end),
            text: None,
        });
        open = true;
    };
    for field in &mut fields {
        if field.value.range().end.saturating_sub(field.name.range().start) > HEADER_MAX {
            note(513, "a header field is too long");
        }
        finish(bytes, field);
    }
    Index {
        start,
        fields,
        body_at,
        fault,
    }
}

/// Where the RAck of a PRACK ends in a lone LF. Phones with libre (baresip 2 to 4) write it so whenever no body follows;
/// without their PRACKs nobody who holds them could show them early media. No other line ends so: an element before us
/// may have read it as one field.
fn rack_ends(start: &Start, bytes: &[u8], line: Span) -> Option<usize> {
    let Start::Request {
        method: Method::Prack, ..
    } = start
    else {
        return None;
    };
    let text = line.of(bytes);
    let rack = text.get(..5)?.eq_ignore_ascii_case(b"RAck:");
    let at = text.iter().position(|byte| *byte == b'\n').filter(|_| rack)?;
    let clean = text.get(..at).is_some_and(|value| !value.contains(&b'\r'));
    clean.then(|| line.range().start.saturating_add(at))
}

/// Trim the value and unfold it.
fn finish(bytes: &[u8], field: &mut Field) {
    let range = field.value.range();
    let raw = field.value.of(bytes);
    let (left, right) = (raw.trim_ascii_start(), raw.trim_ascii_end());
    if left.is_empty() {
        field.value = Span::new(range.start, range.start);
        return;
    }
    let start = range.end.saturating_sub(left.len());
    field.value = Span::new(start, range.start.saturating_add(right.len()));
    let raw = field.value.of(bytes);
    let folded = raw.contains(&b'\r');
    match std::str::from_utf8(raw) {
        Ok(_) if !folded => {}
        _ => field.text = Some(unfold(&String::from_utf8_lossy(raw)).into()),
    }
}

/// §7.3.1: a fold is one space.
fn unfold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split("\r\n") {
        if !out.is_empty() {
            while out.ends_with([' ', '\t']) {
                out.pop();
            }
            out.push(' ');
        }
        out.push_str(if out.is_empty() {
            line
        } else {
            line.trim_start_matches([' ', '\t'])
        });
    }
    out
}

fn start_line(bytes: &[u8], line: Span, note: &mut impl FnMut(u16, &str)) -> Start {
    let raw = line.of(bytes);
    if raw.starts_with(b"SIP/") {
        return status_line(bytes, line, note);
    }
    let broken = |method| Start::Broken {
        method,
        response: false,
    };
    if raw.len() > START_LINE_MAX {
        note(414, "the start line is too long");
        return broken(None);
    }
    let Ok(text) = std::str::from_utf8(raw) else {
        note(400, "the request line is no UTF-8");
        return broken(None);
    };
    let Some((method, rest)) = text.split_once(' ') else {
        note(400, "no proper request line");
        return broken(None);
    };
    let Ok(method) = method.parse::<Method>() else {
        note(400, "the method is no token");
        return broken(None);
    };
    let Some((uri, version)) = rest.rsplit_once(' ') else {
        note(400, "no proper request line");
        return broken(Some(method));
    };
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let other = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
            && version
                .bytes()
                .skip(4)
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
            && version.len() > 4;
        match other {
            true => note(505, "only SIP/2.0 is spoken here"),
            false => note(400, "no proper SIP version"),
        }
        return broken(Some(method));
    }
    match uri.parse::<Uri>() {
        // §19.1.1: no headers in a Request-URI; they would become header fields of what is sent on.
        Ok(uri) if uri.headers().is_some() => {
            note(400, "the Request-URI holds headers");
            broken(Some(method))
        }
        Ok(uri) => Start::Request { method, uri },
        Err(error) => {
            note(400, &format!("Request-URI: {error}"));
            broken(Some(method))
        }
    }
}

fn status_line(bytes: &[u8], line: Span, note: &mut impl FnMut(u16, &str)) -> Start {
    const VERSION: &[u8] = b"SIP/2.0 ";
    let broken = Start::Broken {
        method: None,
        response: true,
    };
    let Some(rest) = line.of(bytes).strip_prefix(VERSION) else {
        note(505, "only SIP/2.0 is spoken here");
        return broken;
    };
    let (code, after) = rest.split_at_checked(3).unwrap_or((rest, b""));
    let code = std::str::from_utf8(code).ok().and_then(crate::cseq::parse_u32);
    let status = code
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| (100..=699).contains(code));
    let Some(status) = status.filter(|_| after.is_empty() || after.starts_with(b" ")) else {
        note(400, "no proper status code");
        return broken;
    };
    let phrase = after.trim_ascii();
    let end = line.range().end;
    let start = end.saturating_sub(after.trim_ascii_start().len());
    Start::Response {
        status,
        phrase: Span::new(start, start.saturating_add(phrase.len())),
    }
}

/// Lines that end in CRLF.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> Option<Span> {
        let rest = self.bytes.get(self.at..)?;
        let mut from = 0usize;
        loop {
            let found = rest
                .get(from..)?
                .iter()
                .position(|byte| *byte == b'\n')?
                .checked_add(from)?;
            if let Some(end) = found.checked_sub(1).filter(|end| rest.get(*end) == Some(&b'\r')) {
                let line = Span::new(self.at, self.at.checked_add(end)?);
                self.at = self.at.checked_add(found)?.checked_add(1)?;
                return Some(line);
            }
            from = found.checked_add(1)?;
        }
    }
}
