//! `segue registration list|remove`: who is registered where.

use clap::Subcommand as ClapSubcommand;
use segue_manage::RegistrationView;
use serde_json::json;

use super::{
    Context,
    output::{Row, or_dash},
    value::{DurationMs, User},
};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// List who is registered where, with what phone, and for how long
    List {
        /// Of this subscriber alone
        user: Option<User>,
    },
    /// Remove a subscriber's registrations; the phone may register again
    Remove {
        /// The subscriber
        user: User,
        /// This contact alone, as 'segue registration list' shows it
        #[arg(long, value_name = "URI")]
        contact: Option<String>,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let access = context.access()?;
    match command {
        Command::List { user } => {
            let user = user.map(|User(user)| user);
            if let Some(user) = &user {
                access.subscriber(user)?;
            }
            let rows = access.registrations(user.as_deref())?;
            context.out.rows(
                rows.into_iter().map(row).collect(),
                &["USER", "CONTACT", "SOURCE", "BY", "EXPIRES", "PHONE"],
                "nobody is registered; phones register with the server under their user and password ('segue subscriber set USER --password-file FILE')",
            )
        }
        Command::Remove {
            user: User(user),
            contact,
        } => {
            let removed = access.remove_registrations(&user, contact.as_deref())?;
            if let (0, Some(contact)) = (removed, &contact) {
                return Err(Failure::refused(
                    "not_found",
                    format!("{user} is not registered at {contact}"),
                    format!("see 'segue registration list {user}'"),
                ));
            }
            let runs = context.server_runs();
            context
                .out
                .object(&json!({"user": user, "contact": contact, "removed": removed}), || {
                    let soon = if runs {
                        "; the server forgets them within a second"
                    } else {
                        ""
                    };
                    format!("removed {removed} registrations of {user}{soon}")
                })
        }
    }
}

fn row(view: RegistrationView) -> Row {
    let cells = vec![
        view.user.clone(),
        view.contact.clone(),
        view.source.clone(),
        view.transport.clone(),
        DurationMs(view.expires_in_s.saturating_mul(1_000)).to_string(),
        or_dash(view.user_agent.as_ref()),
    ];
    Row {
        value: serde_json::to_value(&view).unwrap_or_default(),
        cells,
    }
}
