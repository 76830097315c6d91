//! Where something stands in a file, and which key was probably meant.

use std::{fmt, path::Path};

/// A file while it is read.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

/// Line and column, both from 1. Columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl File<'_> {
    /// Where a byte of the text stands.
    pub fn position(&self, byte: usize) -> Position {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Position {
            line: before.matches('\n').count().saturating_add(1),
            column: line.chars().count().saturating_add(1),
        }
    }

    /// `file:line:column` of a byte of the text.
    pub fn at(&self, byte: usize) -> String {
        format!("{}:{}", self.path.display(), self.position(byte))
    }
}

/// The known name that was probably meant: the one with the fewest letters changed, if few enough.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (distance(name, known), known))
        .filter(|(changed, _)| *changed <= 3)
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for ((y, above_left), above) in b.chars().zip(&row).zip(row.iter().skip(1)) {
            let changed = above_left.saturating_add(usize::from(x != y));
            let left = next.last().copied().unwrap_or(usize::MAX);
            next.push(changed.min(above.saturating_add(1)).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let file = File {
            path: Path::new("f.toml"),
            text: "a = 1\n\u{e4} = 2\n",
        };
        assert_eq!(file.at(0), "f.toml:1:1");
        assert_eq!(file.at(4), "f.toml:1:5");
        assert_eq!(file.at(6), "f.toml:2:1");
        assert_eq!(file.at(8), "f.toml:2:2", "a letter of two bytes is one column");
        assert_eq!(file.at(99), "f.toml:3:1", "past the end is the end");
    }

    #[test]
    fn a_name_with_letters_changed_finds_its_key() {
        let known = || ["hold_ms", "hold_max_ms", "name"].into_iter();
        assert_eq!(nearest("hold_mx", known()), Some("hold_ms"));
        assert_eq!(nearest("Name", known()), Some("name"));
        assert_eq!(nearest("completely_else", known()), None);
    }
}
