//! `segue config`: every setting with its value, meaning and source.

use serde_json::{Value, json};

use super::{Context, output::Row};
use crate::{config::KEYS, failure::Failure};

pub fn perform(context: &Context) -> Result<(), Failure> {
    let rows = KEYS
        .iter()
        .map(|key| {
            let value = (key.get)(&context.config);
            let source = context.config.source(key).to_string();
            let cells = vec![
                key.name.to_owned(),
                toml_like(&value),
                source.clone(),
                key.meaning.to_owned(),
            ];
            Row {
                value: json!({"key": key.name, "value": value, "meaning": key.meaning, "source": source}),
                cells,
            }
        })
        .collect();
    context.out.rows(rows, &["KEY", "VALUE", "SOURCE", "MEANING"], "")
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
