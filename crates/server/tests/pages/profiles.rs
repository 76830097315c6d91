//! docs/profiles.md says what is: every key, its default, and tests that exist.

use std::collections::BTreeMap;

use segue_policy::{PROFILE_KEYS, Profile};
use serde_json::Value;

use crate::page::{cells, quoted, shown};

fn page() -> String {
    crate::page::page("docs/profiles.md")
}

/// The rows of the page's table: key, default, meaning, tests.
fn rows(page: &str) -> Vec<[&str; 4]> {
    page.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
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
        shown(key, tests);
    }
}

#[test]
fn the_example_names_every_key() {
    let text = crate::page::page("sip-profiles/softphone.toml");
    let table: toml::Table = text.parse().unwrap();
    for (key, _) in PROFILE_KEYS {
        assert!(table.contains_key(*key), "softphone.toml leaves {key} out");
    }
}
