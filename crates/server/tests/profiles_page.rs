//! docs/profiles.md says what is: every key, its default, and tests that exist.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use segue_policy::{PROFILE_KEYS, Profile};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/profiles.md")).unwrap()
}

/// The rows of the page's table: key, default, meaning, tests.
fn rows(page: &str) -> Vec<[&str; 4]> {
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            cells
                .try_into()
                .unwrap_or_else(|cells| panic!("not four cells: {cells:?}"))
        })
        .collect()
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What the code has: each key with its default.
fn defaults() -> BTreeMap<String, Value> {
    match serde_json::to_value(Profile::default()).unwrap() {
        Value::Object(fields) => fields.into_iter().collect(),
        other => panic!("no table: {other}"),
    }
}

#[test]
fn the_page_names_exactly_the_keys_that_exist() {
    let page = page();
    let written: Vec<&str> = rows(&page).iter().map(|row| quoted(row[0])[0]).collect();
    let mut known: Vec<&str> = PROFILE_KEYS.iter().map(|(key, _)| *key).collect();
    assert_eq!(written, known, "the page has the order of the code's list");
    known.sort_unstable();
    assert_eq!(
        defaults().into_keys().collect::<Vec<_>>(),
        known,
        "every field is a key"
    );
}

#[test]
fn the_page_says_the_defaults_that_hold() {
    let (page, defaults) = (page(), defaults());
    for [key, default, ..] in rows(&page) {
        let written: toml::Table = format!("it = {}", quoted(default)[0]).parse().unwrap();
        let written = serde_json::to_value(&written["it"]).unwrap();
        assert_eq!(written, defaults[quoted(key)[0]], "{key}");
    }
}

#[test]
fn each_key_is_shown_by_tests_that_exist() {
    let page = page();
    for [key, _, _, tests] in rows(&page) {
        assert!(!quoted(tests).is_empty(), "{key} is shown by nothing");
        for test in quoted(tests) {
            let (path, name) = test.split_once(": ").unwrap_or_else(|| panic!("{key}: {test}"));
            let text = fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{key}: {path}: {e}"));
            // A test function, or the name of a story that SIPp plays.
            let there = text.contains(&format!("fn {name}(")) || text.contains(&format!("\"{name}\""));
            assert!(there, "{key}: {path} has no test {name}");
        }
    }
}

#[test]
fn the_example_names_every_key() {
    let text = fs::read_to_string(root().join("sip-profiles/softphone.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    for (key, _) in PROFILE_KEYS {
        assert!(table.contains_key(*key), "softphone.toml leaves {key} out");
    }
}
