//! Cutting header values at separators that stand outside quotes and angle brackets (RFC 3261 §7.3, §25.1).

/// `token` characters (§25.1).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// The first place of a byte that `wanted` accepts, outside `"..."` and `<...>`.
pub(crate) fn find_outside(value: &str, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (mut quoted, mut angled, mut escaped) = (false, false, false);
    for (at, byte) in value.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        if angled {
            angled = byte != b'>';
            continue;
        }
        if wanted(byte) {
            return Some(at);
        }
        quoted = byte == b'"';
        angled = byte == b'<';
    }
    None
}

/// The text before and after the byte at `at`.
pub(crate) fn cut(value: &str, at: usize) -> (&str, &str) {
    (
        value.get(..at).unwrap_or_default(),
        value.get(at.saturating_add(1)..).unwrap_or_default(),
    )
}

/// The pieces between separators outside quotes and angle brackets, trimmed. Empty pieces are given too.
pub(crate) fn split_outside(value: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let piece = match find_outside(value, |byte| byte == separator) {
            Some(at) => {
                let (piece, after) = cut(value, at);
                rest = Some(after);
                piece
            }
            None => {
                rest = None;
                value
            }
        };
        Some(piece.trim())
    })
}

/// The content and the rest of a text that starts with a quoted string, quoted pairs kept. `None` if it never ends.
pub(crate) fn take_quoted(value: &str) -> Option<(&str, &str)> {
    let inner = value.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(cut(inner, at)),
            _ => {}
        }
    }
    None
}

/// A quoted string's content with its quoted pairs resolved.
pub(crate) fn unescape_quoted(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => out.extend(chars.next()),
            other => out.push(other),
        }
    }
    out
}

/// As a quoted string. Control characters cannot be said in one and become spaces.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                out.push('\\');
                out.push(char);
            }
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_quotes_or_angle_brackets_separates_nothing() {
        let value = r#""Bell, A \", x" <sip:a@b;x=1,2>;q=1 , sip:c@d"#;
        assert_eq!(
            split_outside(value, b',').collect::<Vec<_>>(),
            [r#""Bell, A \", x" <sip:a@b;x=1,2>;q=1"#, "sip:c@d"]
        );
    }

    #[test]
    fn quoting_and_reading_back_gives_the_same_text() {
        let text = r#"J "Q" \ Rosenberg"#;
        let quoted = quote(text);
        let (inner, rest) = take_quoted(&quoted).unwrap();
        assert_eq!((unescape_quoted(inner).as_str(), rest), (text, ""));
    }
}
