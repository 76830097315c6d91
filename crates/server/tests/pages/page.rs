//! Reads pages of `docs/` whose tables name the tests that show what they say.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A page by its path from the root, as text.
pub fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The cells of one row of a table.
pub fn cells<const N: usize>(line: &str) -> [&str; N] {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    cells
        .try_into()
        .unwrap_or_else(|cells: Vec<&str>| panic!("{} cells in place of {N}: {cells:?}", cells.len()))
}

/// What stands in backticks.
pub fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Fails unless the cell names tests, each as `path: name`, and all of them exist.
pub fn shown(what: &str, tests: &str) {
    assert!(!quoted(tests).is_empty(), "{what} is shown by nothing");
    for test in quoted(tests) {
        let (path, name) = test.split_once(": ").unwrap_or_else(|| panic!("{what}: {test}"));
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{what}: {path}: {e}"));
        // A test function, or the name of a story that SIPp plays.
        let there = text.contains(&format!("fn {name}(")) || text.contains(&format!("\"{name}\""));
        assert!(there, "{what}: {path} has no test {name}");
    }
}
