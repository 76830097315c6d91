//! `segue trunk list`: the trunks of the running server, server by server.

use clap::Subcommand as ClapSubcommand;
use serde_json::Value;

use super::{Context, beside, output::Row};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Each trunk with its servers: their state and since when, calls now, the last answer to OPTIONS and how long it took
    List,
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let Command::List = command;
    let trunks = beside::json(context, "/trunks")?;
    if context.out.is_json() {
        return context.out.object(&trunks, String::new);
    }
    let rows = trunks.as_array().into_iter().flatten().flat_map(rows).collect();
    let columns = [
        "TRUNK",
        "SERVER",
        "STATE",
        "SINCE",
        "CALLS",
        "LAST ANSWER",
        "RTT",
        "REGISTRATION",
    ];
    context
        .out
        .rows(rows, &columns, "no trunks; docs/trunks.md says how to make one")
}

/// A row for each server of a trunk.
fn rows(trunk: &Value) -> Vec<Row> {
    let number = |key: &str| trunk.get(key).and_then(Value::as_u64).unwrap_or_default();
    let calls = match (number("calls"), number("calls_max")) {
        (calls, 0) => calls.to_string(),
        (calls, max) => format!("{calls} of {max}"),
    };
    let registration = registration(trunk);
    let servers = trunk.get("servers").and_then(Value::as_array).into_iter().flatten();
    let row = |server: &Value| {
        let text = |key: &str| server.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
        let shown = match text("address").as_str() {
            "-" => text("uri"),
            address => address.to_owned(),
        };
        let rtt = server.get("rtt_ms").and_then(Value::as_f64);
        Row {
            value: server.clone(),
            cells: vec![
                trunk.get("name").and_then(Value::as_str).unwrap_or("-").to_owned(),
                shown,
                text("state"),
                text("since"),
                calls.clone(),
                text("last_answer"),
                rtt.map_or("-".to_owned(), |ms| format!("{ms} ms")),
                registration.clone(),
            ],
        }
    };
    servers.map(row).collect()
}

/// `registered until TIME as WHOM`, or why not.
fn registration(trunk: &Value) -> String {
    let Some(line) = trunk.get("registration").filter(|line| !line.is_null()) else {
        return "-".to_owned();
    };
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or("-");
    match text("state") {
        "registered" => format!("registered until {} as {}", text("until"), text("identity")),
        state => format!("{state}: {}, again at {}", text("last_answer"), text("next_at")),
    }
}
