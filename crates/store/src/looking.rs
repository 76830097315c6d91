//! Looking for a text in what callers said. Each look has a bound; where it ended the next one goes on.

/// Entries that one look goes through, whatever is found.
pub const LOOKED_AT_MAX: usize = 20_000;

/// Sorts after every id.
pub(crate) const END: &str = "~";

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked<T> {
    /// What fits, the newest first.
    pub found: Vec<T>,
    /// The look ended at this id, for its bound: what is older was not looked at.
    pub ended_at: Option<String>,
}

/// A text that is looked for in whatever case.
pub(crate) struct Sought {
    lower: String,
    is_ascii: bool,
}

impl Sought {
    pub(crate) fn new(text: &str) -> Sought {
        Sought {
            lower: text.to_lowercase(),
            is_ascii: text.is_ascii(),
        }
    }

    /// Compared here: SQLite knows the case of ASCII alone.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if self.is_ascii && text.is_ascii() {
            let (text, sought) = (text.as_bytes(), self.lower.as_bytes());
            return sought.is_empty() || text.windows(sought.len()).any(|part| part.eq_ignore_ascii_case(sought));
        }
        text.to_lowercase().contains(&self.lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_whatever_case() {
        let has = |sought: &str, text: &str| Sought::new(sought).is_in(text);
        assert!(
            has("ALI", "sip:alice@h") && has("", "x") && has("ÄR", "Bär") && has("r", "Bär") && has("\u{212A}", "k")
        );
        assert!(!has("bob", "alice") && !has("alice and more", "alice") && !has("x", ""));
    }
}
