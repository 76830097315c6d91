//! `segue config`: every setting with its value, meaning and source; `segue config check`.

use clap::Subcommand as ClapSubcommand;
use serde_json::{Value, json};

use super::{Context, now_ms, output::Row};
use crate::{
    check,
    config::{KEYS, unknown_variables},
    failure::Failure,
};

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Read the configuration, every profile and the files that they name as the server would; say what is wrong by file,
    /// line and column
    Check,
}

pub fn perform(command: Option<Command>, context: &Context) -> Result<(), Failure> {
    match command {
        None => print(context),
        Some(Command::Check) => check(context),
    }
}

/// The configuration itself has been read when we come here.
fn check(context: &Context) -> Result<(), Failure> {
    let checked = check::check(&context.config, now_ms())?;
    let names = checked.names();
    let warnings: Vec<String> = checked.warnings.iter().map(ToString::to_string).collect();
    let unknown = unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    let value = json!({"ok": true, "profiles": names, "warnings": warnings, "unknown_variables": unknown});
    context.out.object(&value, || {
        let mut text = format!("the configuration and its profiles read well: {}", names.join(", "));
        for warning in &warnings {
            text.push_str(&format!("\nwarning: {warning}"));
        }
        for name in &unknown {
            text.push_str(&format!(
                "\nwarning: {name} means nothing ('segue config' prints every key)"
            ));
        }
        text
    })
}

fn print(context: &Context) -> Result<(), Failure> {
    let rows = KEYS
        .iter()
        .map(|key| {
            let value = (key.get)(&context.config);
            let source = context.config.source(key).to_string();
            let cells = vec![
                key.name.to_owned(),
                toml_like(&value),
                source.clone(),
                key.holds().to_owned(),
                key.meaning.to_owned(),
            ];
            Row {
                value: json!({"key": key.name, "value": value, "meaning": key.meaning, "source": source, "holds": key.holds()}),
                cells,
            }
        })
        .collect();
    context
        .out
        .rows(rows, &["KEY", "VALUE", "SOURCE", "CHANGE", "MEANING"], "")
}

/// As it would stand in the file.
fn toml_like(value: &Value) -> String {
    match value {
        Value::Null => "(absent)".to_owned(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
        ),
        other => other.to_string(),
    }
}
