//! `segue trunk`: the trunks of the running server, and those that commands add, change and remove.

use clap::Subcommand as ClapSubcommand;
use segue_b2bua::{TRUNK_REALM, trunk_key};
use segue_policy::Trunk;
use segue_store::KeptTrunk;
use serde_json::{Value, json};

use super::{Context, beside, output::Row};
use crate::{
    check,
    failure::Failure,
    kept_trunks,
    passwords::{self, Sealer},
};

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
            context.access()?.remove_trunk(&name)?;
            passwords::wait_for_server(&context.config.data_dir);
            let said = json!({"name": name, "removed": true});
            context.out.object(&said, || format!("removed the trunk {name}"))
        }
        Command::Test { name } => asking::perform(&name, context),
    }
}

fn add(name: &str, options: &Options, context: &Context) -> Result<(), Failure> {
    let trunk = Trunk {
        name: name.to_owned(),
        ..Trunk::default()
    };
    let trunk = options.apply(&trunk)?;
    check::added_trunk(&context.config, &trunk)?;
    let store = context.new_store()?;
    keep(&store, trunk, None, options, true, context)
}

fn set(name: &str, options: &Options, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    let mut all = kept_trunks::read(&store)?.into_iter();
    let Some(before) = all.find(|added| added.trunk.name == name) else {
        let fix = match context.config.trunks.iter().find(|table| table.trunk.name == name) {
            Some(table) => format!("it stands in segue.toml, at {}: change it there", table.at("name")),
            None => "see 'segue trunk list'; 'segue trunk add' makes one".to_owned(),
        };
        return Err(Failure::not_found(format!("no command has added a trunk {name}"), fix));
    };
    let trunk = options.apply(&before.trunk)?;
    check::added_trunk(&context.config, &trunk)?;
    keep(&store, trunk, before.sealed, options, false, context)
}

fn keep(
    store: &segue_store::Store,
    trunk: Trunk,
    before: Option<Vec<u8>>,
    options: &Options,
    is_new: bool,
    context: &Context,
) -> Result<(), Failure> {
    let sealed = match &options.password_file {
        _ if options.forgets_password() => None,
        None => before,
        Some(file) => {
            let password = passwords::secret_line("--password-file", file)?;
            let sealer = Sealer::of(&context.config.data_dir)?;
            let failed = || Failure::refused("system", "no random numbers are to be had", "see 'segue doctor'");
            let sealed = sealer.seal_text(&trunk_key(&trunk.name), TRUNK_REALM, password);
            Some(sealed.ok_or_else(failed)?)
        }
    };
    let settings =
        serde_json::to_string(&trunk).map_err(|e| Failure::refused("bad_trunk", e.to_string(), "report this"))?;
    let name = trunk.name.clone();
    let kept = KeptTrunk {
        name: name.clone(),
        settings,
        sealed,
    };
    store.put_trunk(kept, is_new)?;
    passwords::wait_for_server(&context.config.data_dir);
    let said = serde_json::to_value(&trunk).unwrap_or(Value::Null);
    context.out.object(&said, || match is_new {
        true => {
            format!("added the trunk {name}; next_hop = \"trunk:{name}\" or \"trunk:*\" in a profile sends calls there")
        }
        false => format!("changed the trunk {name}"),
    })
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
