//! `[[trunk]]`: one table a trunk.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use segue_policy::{TRUNK_KEYS, TRUNKS_MAX, Trunk};
use serde::{Deserialize, de::IntoDeserializer};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::place::{File, Position, nearest};
use crate::failure::Failure;

/// A trunk, and where its keys stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkTable {
    pub trunk: Trunk,
    path: PathBuf,
    table: Position,
    values: BTreeMap<&'static str, Position>,
}

impl TrunkTable {
    /// Where the value of a key stands, or the table: `file:line:column`.
    pub fn at(&self, key: &str) -> String {
        let position = self.values.get(key).unwrap_or(&self.table);
        format!("{}:{position}", self.path.display())
    }

    /// Its paths are meant from here.
    pub fn base(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// Reads all tables. Every error names file, line and column, and what the key wants.
pub(super) fn read(value: &Spanned<DeValue<'_>>, file: File<'_>) -> Result<Vec<TrunkTable>, Failure> {
    let here = || file.at(value.span().start);
    let DeValue::Array(items) = value.get_ref() else {
        return Err(wrong(format!("{}: trunk is no list of tables", here()), TABLES));
    };
    if items.len() > TRUNKS_MAX {
        let why = format!("{}: {} trunks are more than {TRUNKS_MAX}", here(), items.len());
        return Err(wrong(why, "take some out"));
    }
    let mut all: Vec<TrunkTable> = Vec::new();
    for item in items.iter() {
        let DeValue::Table(table) = item.get_ref() else {
            let why = format!("{}: a trunk is no table", file.at(item.span().start));
            return Err(wrong(why, TABLES));
        };
        let read = one(item, table, file)?;
        if let Some(other) = all.iter().find(|other| other.trunk.name == read.trunk.name) {
            let why = format!(
                "{}: name: {:?} is the name of another trunk, at {}",
                read.at("name"),
                read.trunk.name,
                other.at("name")
            );
            return Err(wrong(why, "give each trunk a name of its own"));
        }
        all.push(read);
    }
    Ok(all)
}

const TABLES: &str = "write a table for each trunk: [[trunk]], then name = \"carrier\" and servers = [\"192.0.2.1:5060\"]; see docs/trunks.md";

fn one(item: &Spanned<DeValue<'_>>, table: &DeTable<'_>, file: File<'_>) -> Result<TrunkTable, Failure> {
    if let Some((key, _)) = table.iter().find(|(key, _)| wants(key.get_ref()).is_none()) {
        let names = TRUNK_KEYS.iter().map(|(name, _)| *name);
        let fix = match nearest(key.get_ref(), names) {
            Some(meant) => format!("did you mean {meant}? docs/trunks.md has every key"),
            None => "remove it; docs/trunks.md has every key".to_owned(),
        };
        let why = format!("{}: unknown key trunk.{}", file.at(key.span().start), key.get_ref());
        return Err(wrong(why, fix));
    }
    let start = |span: Option<Range<usize>>| span.map_or(item.span().start, |span| span.start);
    let trunk = Trunk::deserialize(item.clone().into_deserializer()).map_err(|e| {
        let at = start(e.span());
        let mut keys = table.iter();
        let key = keys.find(|(key, value)| key.span().start <= at && at <= value.span().end);
        let key = key.map(|(key, _)| key.get_ref().as_ref()).unwrap_or_default();
        let fix = wants(key).map_or_else(|| TABLES.to_owned(), |wants| format!("{key} is {wants}"));
        wrong(format!("{}: trunk.{key}: {}", file.at(at), e.message()), fix)
    })?;
    let values = TRUNK_KEYS.iter().filter_map(|(name, _)| {
        let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
        Some((*name, file.position(value.span().start)))
    });
    let read = TrunkTable {
        path: file.path.to_owned(),
        table: file.position(item.span().start),
        values: values.collect(),
        trunk: trunk.completed(),
    };
    read.trunk.check().map_err(|e| {
        let why = format!("{}: trunk.{e}", read.at(e.key));
        wrong(why, format!("{} is {}", e.key, wants(e.key).unwrap_or("wrong")))
    })?;
    Ok(read)
}

/// What a key wants; `None`: there is no such key.
fn wants(key: &str) -> Option<&'static str> {
    TRUNK_KEYS
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, wants)| *wants)
}

fn wrong(message: String, fix: impl Into<String>) -> Failure {
    Failure::refused("bad_configuration", message, fix)
}
