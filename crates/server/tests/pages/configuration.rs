//! docs/configuration.md has every key, and says which wait for a restart.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

use crate::page::{cells, page, quoted};

/// What the page says of each key: `live` or `restart`. A row may name several: `.y` after `x.z` is `x.y`.
fn written(page: &str) -> BTreeMap<String, String> {
    let table = page.split("| key | default | change | |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut all = BTreeMap::new();
    for [keys, _default, change, _meaning] in rows.map(cells) {
        let mut group = "";
        for key in quoted(keys) {
            let name = match key.strip_prefix('.') {
                Some(rest) => format!("{group}.{rest}"),
                None => {
                    group = key.split('.').next().unwrap();
                    key.to_owned()
                }
            };
            assert_eq!(all.insert(name, change.to_owned()), None, "{key} stands there twice");
        }
    }
    all
}

#[test]
fn the_page_has_every_key_and_says_when_its_new_value_holds() {
    let folder = tempfile::tempdir().unwrap();
    let asked = Command::new(env!("CARGO_BIN_EXE_segue"))
        .args(["config", "--json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&asked.stdout).unwrap();
    let known: BTreeMap<String, String> = rows
        .iter()
        .map(|row| {
            [&row["key"], &row["holds"]]
                .map(|value| value.as_str().unwrap().to_owned())
                .into()
        })
        .collect();
    assert_eq!(written(&page("docs/configuration.md")), known);
}
