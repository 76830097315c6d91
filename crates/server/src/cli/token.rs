//! `segue token create|list|revoke`.

use clap::Subcommand as ClapSubcommand;
use segue_manage::{NewToken, Scope, TokenMade, TokenView};
use segue_store::Role;
use serde_json::{Value, json};

use super::{
    Context,
    output::{Row, or_dash},
    value::{DurationMs, User},
};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Make a token; it is printed this once
    Create {
        /// Whose: a subscriber, or with --operator an operator
        name: User,
        /// It is an operator's
        #[arg(long)]
        operator: bool,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "command")]
        label: String,
        /// What it may, e.g. messages:read; again for each further one
        #[arg(long, value_name = "SCOPE", required = true)]
        scope: Vec<Scope>,
        /// How long it counts [default: until it is revoked]
        #[arg(long, value_name = "DURATION")]
        expires: Option<DurationMs>,
    },
    /// List tokens
    List {
        /// Those of one alone
        name: Option<User>,
    },
    /// Revoke a token
    Revoke {
        /// Its id
        id: String,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Create {
            name: User(name),
            operator,
            label,
            scope,
            expires,
        } => {
            let role = if operator { Role::Operator } else { Role::Subscriber };
            let new = NewToken {
                label,
                scopes: scope.iter().map(|scope| scope.name().to_owned()).collect(),
                expires_in_s: expires.map(|DurationMs(ms)| ms / 1_000),
            };
            let made = context.access()?.add_token(Some((&name, role)), new)?;
            let value = serde_json::to_value(&made).unwrap_or_default();
            let TokenMade { token, shown } = made;
            context.out.object(&value, || {
                format!("{token}\nis the token {} of {name}; it is not shown again", shown.id)
            })
        }
        Command::List { name } => {
            let tokens = context
                .access()?
                .tokens(name.as_ref().map(|User(name)| name.as_str()))?;
            context.out.rows(
                tokens.into_iter().map(row).collect(),
                &["ID", "WHOSE", "LABEL", "SCOPES", "USED", "UNTIL"],
                "no tokens; make one with 'segue token create NAME --scope messages:read'",
            )
        }
        Command::Revoke { id } => {
            context.access()?.revoke_token(&id)?;
            context.out.object(&json!({"id": id, "revoked": true}), || {
                format!("revoked the token {id}")
            })
        }
    }
}

fn row(token: TokenView) -> Row {
    Row {
        value: serde_json::to_value(&token).unwrap_or(Value::Null),
        cells: vec![
            token.id,
            format!("{} ({})", token.name, token.role),
            token.label,
            token.scopes.join(" "),
            or_dash(token.used_at),
            or_dash(token.expires_at),
        ],
    }
}
