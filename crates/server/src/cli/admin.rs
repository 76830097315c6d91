//! `segue admin create|password|link|list|remove`: operators.

use clap::Subcommand as ClapSubcommand;
use segue_manage::LINK_MS;
use segue_records::UnixMs;
use segue_store::Role;
use serde_json::json;

use super::{
    Context, beside,
    chosen::ChosenPassword,
    now_ms,
    output::Row,
    value::{DurationMs, User},
};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Make an operator; without a password a link is printed by which they log in once
    Create {
        /// Their name
        name: User,
        #[command(flatten)]
        password: ChosenPassword,
    },
    /// Set an operator's password; whoever is logged in by the old one is out
    Password {
        /// The operator
        name: User,
        #[command(flatten)]
        password: ChosenPassword,
    },
    /// A link by which an operator logs in once
    Link {
        /// The operator
        name: User,
        /// How long it opens
        #[arg(long, value_name = "DURATION", default_value = "1h")]
        within: DurationMs,
    },
    /// List operators
    List,
    /// Remove an operator; whatever they are logged in by counts no more
    Remove {
        /// The operator
        name: User,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Create {
            name: User(name),
            password,
        } => {
            let password = password.read()?;
            // Made with the data directory, where there is none yet.
            let access = context.new_access()?;
            access.add_operator(&name, password.as_deref())?;
            match password {
                Some(_) => {
                    let said = json!({"name": name, "role": "operator"});
                    context.out.object(&said, || format!("made the operator {name}"))
                }
                None => link(&name, Role::Operator, LINK_MS, context),
            }
        }
        Command::Password {
            name: User(name),
            password,
        } => {
            let password = password.needed()?;
            context.access()?.set_password(&name, Role::Operator, Some(&password))?;
            let said = json!({"name": name, "role": "operator"});
            context.out.object(&said, || format!("set the password of {name}"))
        }
        Command::Link {
            name: User(name),
            within: DurationMs(ms),
        } => link(&name, Role::Operator, ms, context),
        Command::List => {
            let operators = context.access()?.operators()?;
            let row = |one: &segue_store::Identity| {
                let since = UnixMs(one.created_at_ms).rfc3339();
                let by = if one.has_password { "password" } else { "links" };
                Row {
                    value: json!({"name": one.name, "has_password": one.has_password, "created_at": since}),
                    cells: vec![one.name.clone(), by.to_owned(), since],
                }
            };
            context.out.rows(
                operators.iter().map(row).collect(),
                &["NAME", "LOGS IN BY", "SINCE"],
                "no operators; make one with 'segue admin create NAME'",
            )
        }
        Command::Remove { name: User(name) } => {
            context.access()?.remove_operator(&name)?;
            let said = json!({"name": name, "removed": true});
            context.out.object(&said, || format!("removed the operator {name}"))
        }
    }
}

/// Makes a link by which somebody logs in once, and prints it.
pub fn link(name: &str, role: Role, for_ms: u64, context: &Context) -> Result<(), Failure> {
    let link = context.access()?.login_link(name, role, for_ms)?;
    let url = format!("{}/login/link/{}", address(context), link.text());
    let until_ms = now_ms().saturating_add(i64::try_from(for_ms).unwrap_or(i64::MAX));
    let until = UnixMs(until_ms).rfc3339();
    let said = json!({"name": name, "link": url, "expires_at": until});
    context.out.object(&said, || {
        format!("{url}\nlogs {name} in once, within {}", DurationMs(for_ms))
    })
}

/// By which the pages are reached: as configured, or where the running server listens.
fn address(context: &Context) -> String {
    let config = &context.config;
    match &config.http.public {
        Some(public) => public.to_string(),
        None => {
            let listens = beside::server(config).unwrap_or(config.http_listen);
            format!("http://{listens}")
        }
    }
}
