//! docs/trunks.md has every key of a trunk, and the defaults that hold.

use segue_policy::{TRUNK_KEYS, Trunk};

use crate::page::{cells, page, quoted};

#[test]
fn the_page_has_every_key_of_a_trunk_and_its_default() {
    let page = page("docs/trunks.md");
    let table = page.split("| key | default | |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<[&str; 3]> = rows.map(cells).collect();
    let written: Vec<&str> = rows.iter().map(|row| quoted(row[0])[0]).collect();
    let known: Vec<&str> = TRUNK_KEYS.iter().map(|(key, _)| *key).collect();
    assert_eq!(written, known);
    let defaults = toml::Table::try_from(Trunk::default()).unwrap();
    // Name and servers have none.
    for [key, default, _] in &rows[2..] {
        let it: toml::Table = format!("it = {}", quoted(default)[0]).parse().unwrap();
        assert_eq!(it["it"], defaults[quoted(key)[0]], "{key}");
    }
}
