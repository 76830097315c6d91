//! `segue retention set|show`.

use clap::Subcommand as ClapSubcommand;
use segue_mailbox::Retention;
use serde_json::json;

use super::{
    Context,
    value::{Count, OrNone, User},
};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Set a subscriber's rules; they act at once
    Set {
        /// The subscriber
        user: User,
        /// Keep at most this many heard messages (the oldest heard goes first), or 'none' for no limit
        #[arg(long, value_name = "N")]
        heard_max: Option<OrNone<Count>>,
    },
    /// Show a subscriber's rules
    Show {
        /// The subscriber
        user: User,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    match command {
        Command::Set {
            user: User(user),
            heard_max,
        } => {
            let OrNone(heard_max) = heard_max.ok_or_else(|| {
                Failure::usage(
                    "nothing to set",
                    format!("e.g. 'segue retention set {user} --heard-max 20'"),
                )
            })?;
            let rules = Retention {
                heard_max: heard_max.map(|Count(n)| n),
            };
            let evicted = store.set_retention(&user, rules)?;
            context.out.object(
                &json!({"user": user, "heard_max": rules.heard_max, "evicted": evicted}),
                || {
                    let mut text = sentence(&user, rules);
                    if !evicted.is_empty() {
                        text.push_str(&format!("\n{} deleted at once: {}", evicted.len(), evicted.join(", ")));
                    }
                    text
                },
            )
        }
        Command::Show { user: User(user) } => {
            let rules = store.retention(&user)?;
            context
                .out
                .object(&json!({"user": user, "heard_max": rules.heard_max}), || {
                    sentence(&user, rules)
                })
        }
    }
}

fn sentence(user: &str, rules: Retention) -> String {
    let heard = match rules.heard_max {
        Some(n) => format!("heard messages are kept up to {n}; past that the oldest heard goes"),
        None => "heard messages are kept without limit".to_owned(),
    };
    format!("{user}: {heard}; unheard ones are never deleted by rules")
}
