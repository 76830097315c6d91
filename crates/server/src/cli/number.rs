//! `segue number explain`: what becomes of a number, by which rule, and whose it is.

use clap::Subcommand as ClapSubcommand;
use serde_json::json;

use super::Context;
use crate::{config::load_profiles, failure::Failure};

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Say what becomes of a number, by which rule, and who has it
    Explain {
        /// A number as it is dialled, a tel: or a SIP URI
        value: String,
        /// By the numbering of this profile [default: the first]
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let Command::Explain { value, profile } = command;
    let profiles = load_profiles(&context.config)?;
    let named = |name: &String| profiles.iter().find(|profile| profile.name == *name);
    let chosen = match &profile {
        Some(name) => named(name),
        None => profiles.first(),
    };
    let Some(chosen) = chosen else {
        let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
        return Err(Failure::usage(
            format!("there is no profile {}", profile.unwrap_or_default()),
            format!("name one of {}", names.join(", ")),
        ));
    };
    let made = context.access()?.explain_number(&value, chosen)?;
    context.out.object(&json!(made), || {
        let number = made.number.as_deref().unwrap_or("no number");
        let owner = made.subscriber.as_deref().unwrap_or("nobody here");
        format!(
            "{value} is {number} ({}; profile {}); {owner} has it",
            made.rule, made.profile
        )
    })
}
