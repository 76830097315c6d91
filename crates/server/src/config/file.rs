//! `segue.toml`: each key by its line.

use std::{fs, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, KEYS, Source, value::Raw};
use crate::failure::Failure;

/// Largest file read, bytes.
const BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn read(config: &mut Config, path: &Path) -> Result<(), Failure> {
    let text = text(path)?;
    let table = DeTable::parse(&text).map_err(|e| {
        let at = e.span().map_or(1, |span| line(&text, span.start));
        Failure::refused(
            "bad_configuration",
            format!("{}:{at}: {}", path.display(), e.message()),
            "correct that line (TOML, see 'segue config' for the keys)",
        )
    })?;
    let base = path.parent().unwrap_or(Path::new(""));
    table_into(config, table.get_ref(), "", &Place { path, text: &text })?;
    // Paths in a file are meant from where the file stands.
    for key in ["data_dir", "profiles_dir"] {
        if !config.sources.iter().any(|(name, _)| *name == key) {
            continue;
        }
        if key == "data_dir" {
            config.data_dir = base.join(&config.data_dir);
        } else {
            config.profiles_dir = config.profiles_dir.take().map(|dir| base.join(dir));
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, Failure> {
    let fail = |why: String| {
        Failure::refused(
            "bad_configuration",
            format!("the configuration {} cannot be read: {why}", path.display()),
            "name a readable file with --config, or leave it out to use the defaults",
        )
    };
    let size = fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > BYTES_MAX {
        return Err(fail(format!("{size} bytes are too many")));
    }
    fs::read_to_string(path).map_err(|e| fail(e.to_string()))
}

struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

fn table_into(config: &mut Config, table: &DeTable<'_>, prefix: &str, place: &Place<'_>) -> Result<(), Failure> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        let at = line(place.text, key.span().start);
        if let Some(known) = KEYS.iter().find(|k| k.name == name) {
            let source = Source::File {
                path: place.path.to_owned(),
                line: at,
            };
            config.set(known, &raw(value), source)?;
        } else if let (DeValue::Table(inner), "") = (value.get_ref(), prefix)
            && KEYS.iter().any(|k| k.name.starts_with(&format!("{name}.")))
        {
            table_into(config, inner, &format!("{name}."), place)?;
        } else {
            return Err(Failure::refused(
                "bad_configuration",
                format!("{}:{at}: unknown key {name}", place.path.display()),
                match nearest(&name) {
                    Some(meant) => format!("did you mean {meant}? 'segue config' prints every key"),
                    None => "remove it; 'segue config' prints every key".to_owned(),
                },
            ));
        }
    }
    Ok(())
}

fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or(Raw::Other("integer too large"), Raw::Number),
        DeValue::Array(items) => Raw::List(items.iter().map(raw).collect()),
        other => Raw::Other(other.type_str()),
    }
}

/// The line (from 1) of a byte in the text.
fn line(text: &str, byte: usize) -> usize {
    text.bytes()
        .take(byte)
        .filter(|b| *b == b'\n')
        .count()
        .saturating_add(1)
}

/// The known key that was probably meant: the one with the fewest letters changed, if few enough.
fn nearest(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|key| (distance(name, key.name), key.name))
        .filter(|(changed, _)| *changed <= 3)
        .min()
        .map(|(_, name)| name)
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
