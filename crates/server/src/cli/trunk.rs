//! `segue trunk`: the trunks of the running server, and those that commands add, change and remove.

use clap::Subcommand as ClapSubcommand;
use segue_manage::{TrunkChange, TrunkGiven, TrunkView};
use serde_json::{Value, json};

use super::{Context, beside, output::Row};
use crate::{config::load_files, failure::Failure, in_force::InForce, passwords};

mod asking;
mod options;

use options::Options;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Each trunk with its servers: their state and since when, calls now, the last answer to OPTIONS and how long it took, and whether
    /// we are registered
    List,
    /// Add a trunk; a running server has it within a second
    Add {
        /// Its name, as profiles name it by next_hop = "trunk:NAME"
        name: String,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Change a trunk that was added; what is not named stays
    Set {
        /// Its name
        name: String,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Remove a trunk that was added; what was registered is taken back, calls go on
    Remove {
        /// Its name
        name: String,
    },
    /// Have the running server ask a trunk at once by OPTIONS, and by REGISTER if it registers
    Test {
        /// Its name
        name: String,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List => {
            let trunks = beside::json(context, "/trunks")?;
            if context.out.is_json() {
                return context.out.object(&trunks, String::new);
            }
            shown(trunks.as_array().map_or(&[][..], Vec::as_slice), context)
        }
        Command::Add { name, options } => add(&name, &options, context),
        Command::Set { name, options } => set(&name, &options, context),
        Command::Remove { name } => {
            // It goes also where a profile cannot be read.
            let host = InForce::new(Vec::new(), context.config.clone());
            context.access()?.remove_trunk(&name, &host, |_| true)?;
            passwords::wait_for_server(&context.config.data_dir);
            let said = json!({"name": name, "removed": true});
            context.out.object(&said, || format!("removed the trunk {name}"))
        }
        Command::Test { name } => asking::perform(&name, context),
    }
}

fn add(name: &str, options: &Options, context: &Context) -> Result<(), Failure> {
    let (password, settings) = options.given()?;
    let given = TrunkGiven {
        name: name.to_owned(),
        password,
        settings,
    };
    let host = configured(context)?;
    let added = context
        .new_access()?
        .add_trunk(given, &host)
        .map_err(options::refused)?;
    say(added, context, || {
        format!("added the trunk {name}; next_hop = \"trunk:{name}\" or \"trunk:*\" in a profile sends calls there")
    })
}

fn set(name: &str, options: &Options, context: &Context) -> Result<(), Failure> {
    let (password, settings) = options.given()?;
    let change = TrunkChange { password, settings };
    let host = configured(context)?;
    let changed = context.access()?.change_trunk(name, change, &host, |_| true);
    say(changed.map_err(options::refused)?, context, || {
        format!("changed the trunk {name}")
    })
}

/// By the files as they are: what a running server has read of them says no more of what fits.
fn configured(context: &Context) -> Result<InForce, Failure> {
    Ok(InForce::new(load_files(&context.config)?, context.config.clone()))
}

fn say(trunk: TrunkView, context: &Context, words: impl FnOnce() -> String) -> Result<(), Failure> {
    passwords::wait_for_server(&context.config.data_dir);
    let mut said = trunk.settings;
    if let Some(members) = said.as_object_mut() {
        members.insert("name".to_owned(), trunk.name.into());
        members.insert("has_password".to_owned(), trunk.has_password.into());
    }
    context.out.object(&said, words)
}

/// These trunks as a table.
fn shown(trunks: &[Value], context: &Context) -> Result<(), Failure> {
    let rows = trunks.iter().flat_map(rows).collect();
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
    context.out.rows(
        rows,
        &columns,
        "no trunks; 'segue trunk add' makes one, see docs/trunks.md",
    )
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
