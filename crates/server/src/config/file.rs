//! `segue.toml`: each key by its line.

use std::{fs, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Config, KEYS, Source,
    place::{self, nearest},
    trunks,
    value::Raw,
};
use crate::failure::Failure;

/// Largest file read, bytes.
const BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn read(config: &mut Config, path: &Path) -> Result<(), Failure> {
    let text = text(path)?;
    let file = place::File { path, text: &text };
    let table = DeTable::parse(&text).map_err(|e| {
        let at = file.at(e.span().map_or(0, |span| span.start));
        Failure::refused(
            "bad_configuration",
            format!("{at}: {}", e.message()),
            "correct that line (TOML, see 'segue config' for the keys)",
        )
    })?;
    let base = path.parent().unwrap_or(Path::new(""));
    table_into(config, table.get_ref(), "", file)?;
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
    for (key, dir) in [
        ("prompts.dir", &mut config.prompts_dir),
        ("prompts.prepared", &mut config.prompts_prepared),
    ] {
        if config.sources.iter().any(|(name, _)| *name == key) {
            *dir = dir.take().map(|dir| base.join(dir));
        }
    }
    config.records.based(base);
    config.notices.based(base);
    config.sip_tls_paths.based(base);
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

fn table_into(config: &mut Config, table: &DeTable<'_>, prefix: &str, file: place::File<'_>) -> Result<(), Failure> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        if name == "trunk" {
            config.trunks = trunks::read(value, file)?;
            let position = file.position(key.span().start);
            let path = file.path.to_owned();
            config.sources.push(("trunk", Source::File { path, position }));
            continue;
        }
        if let Some(known) = KEYS.iter().find(|k| k.name == name) {
            let source = Source::File {
                path: file.path.to_owned(),
                position: file.position(key.span().start),
            };
            config.set(known, &raw(value), source)?;
        } else if let (DeValue::Table(inner), "") = (value.get_ref(), prefix)
            && KEYS.iter().any(|k| k.name.starts_with(&format!("{name}.")))
        {
            table_into(config, inner, &format!("{name}."), file)?;
        } else {
            return Err(Failure::refused(
                "bad_configuration",
                format!("{}: unknown key {name}", file.at(key.span().start)),
                match nearest(&name, KEYS.iter().map(|key| key.name)) {
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
