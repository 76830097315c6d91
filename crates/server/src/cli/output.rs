//! How results are printed: JSON for programs, aligned columns for people.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::failure::Failure;

/// Where results go.
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Output {
        Output { json }
    }

    /// Whether a program reads.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person watches: then progress is worth showing.
    pub fn is_watched(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// One object; `text` for people.
    pub fn object(&self, value: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            print(&value.to_string())
        } else {
            print(&text())
        }
    }

    /// A text as it is, whoever reads.
    pub fn plain(&self, text: &str) -> Result<(), Failure> {
        print(text)
    }

    /// One array; for people a table with these columns, or `nothing` when it is empty.
    pub fn rows(&self, rows: Vec<Row>, columns: &[&str], nothing: &str) -> Result<(), Failure> {
        if self.json {
            let all: Vec<Value> = rows.into_iter().map(|row| row.value).collect();
            print(&Value::Array(all).to_string())
        } else if rows.is_empty() {
            print(nothing)
        } else {
            let mut lines = vec![columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()];
            lines.extend(rows.into_iter().map(|row| row.cells));
            print(&table(&lines))
        }
    }
}

/// One row: as JSON, and as cells.
pub struct Row {
    pub value: Value,
    pub cells: Vec<String>,
}

/// Columns as wide as their widest cell; the last one as it is.
pub fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|l| l.get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{:width$}", clean(cell)))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What came over the wire may hold control characters; a terminal shall not obey them.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// `-` for what is absent.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

fn print(text: &str) -> Result<(), Failure> {
    line(text).map(|_| ())
}

/// Prints one line at once. `false`: whoever read has seen enough (`| head`).
pub fn line(text: &str) -> Result<bool, Failure> {
    print_raw(&format!("{text}\n"))
}

/// The same of text that has its own ends of lines.
pub fn print_raw(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Failure::refused(
            "output",
            format!("the output cannot be written: {e}"),
            "check where it goes",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_obey_no_control_character() {
        let lines = [["a", "long heading"], ["wide cell", "\u{1b}[2J"]].map(|l| l.map(str::to_owned).to_vec());
        assert_eq!(table(&lines), "a          long heading\nwide cell  \u{fffd}[2J");
    }
}
