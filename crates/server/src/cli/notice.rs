//! `segue notice list|show|retry|drop`: what subscribers are told of, and what could not be told.

use clap::Subcommand as ClapSubcommand;
use segue_records::UnixMs;
use segue_store::{Delivery, DeliveryState, WhichDeliveries};
use serde_json::{Value, json};

use super::{
    Context, now_ms,
    output::{Row, or_dash},
    value::User,
};
use crate::failure::Failure;

/// Rows listed, the newest.
const LISTED_MAX: u32 = 1_000;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// List notices: those that wait, the dead letters, and those delivered within a week; the newest 1000
    List {
        /// To this subscriber alone
        user: Option<User>,
        /// Dead letters alone: what was given up
        #[arg(long, conflicts_with = "waiting")]
        dead: bool,
        /// Those alone that wait
        #[arg(long)]
        waiting: bool,
    },
    /// Show all of one notice
    Show {
        /// The notice
        id: i64,
    },
    /// Try a notice again now, or all dead letters
    Retry {
        /// The notice
        #[arg(required_unless_present = "all")]
        id: Option<i64>,
        /// All dead letters
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Take a notice out of the queue; nobody is told
    Drop {
        /// The notice
        id: i64,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    let now = now_ms();
    match command {
        Command::List { user, dead, waiting } => {
            let user = user.map(|User(user)| user);
            if let Some(user) = &user {
                store.subscriber(user)?;
            }
            let which = WhichDeliveries {
                recipient: user,
                state: match (dead, waiting) {
                    (true, _) => Some(DeliveryState::Dead),
                    (_, true) => Some(DeliveryState::Waiting),
                    (false, false) => None,
                },
            };
            let found = store.deliveries(&which, LISTED_MAX, now)?;
            context.out.rows(
                found.iter().map(row).collect(),
                &["ID", "USER", "CHANNEL", "EVENT", "STATE", "TRIED", "NEXT", "SAID"],
                match dead {
                    true => "no dead letters",
                    false => "no notices; 'segue subscriber set USER --notify ...' says who is told, and how",
                },
            )
        }
        Command::Show { id } => {
            let found = store.delivery(id, now)?;
            context.out.object(&json_row(&found), || describe(&found))
        }
        Command::Retry { id: Some(id), .. } => {
            let tried = store.retry_notice(id, now)?;
            context.out.object(&json_row(&tried), || {
                format!("notice {id} to {} by {} is tried again", tried.recipient, tried.channel)
            })
        }
        Command::Retry { id: None, .. } => {
            let tried = store.retry_dead_notices(now)?;
            context.out.object(&json!({"retried": tried}), || {
                format!("{tried} dead letters are tried again")
            })
        }
        Command::Drop { id } => {
            let dropped = store.drop_notice(id, now)?;
            context.out.object(&json!({"id": id.to_string(), "dropped": true}), || {
                format!("dropped notice {id} to {} by {}", dropped.recipient, dropped.channel)
            })
        }
    }
}

fn row(found: &Delivery) -> Row {
    let cells = vec![
        found.id.to_string(),
        found.recipient.clone(),
        found.channel.clone(),
        found.event.clone(),
        state(found),
        found.attempts.to_string(),
        or_dash(found.next_at.map(UnixMs::rfc3339)),
        or_dash(found.said.as_ref()),
    ];
    Row {
        value: json_row(found),
        cells,
    }
}

fn state(found: &Delivery) -> String {
    match found.is_tried {
        true => "being tried".to_owned(),
        false => found.state.name().to_owned(),
    }
}

fn json_row(found: &Delivery) -> Value {
    json!({
        "id": found.id.to_string(),
        "key": found.key,
        "event": found.event,
        "user": found.recipient,
        "channel": found.channel,
        "state": found.state.name(),
        "is_tried": found.is_tried,
        "created_at": found.created_at.rfc3339(),
        "attempts": found.attempts,
        "next_at": found.next_at.map(UnixMs::rfc3339),
        "settled_at": found.settled_at.map(UnixMs::rfc3339),
        "said": found.said,
        "message_id": found.facts.as_ref().and_then(|facts| facts.message_id.clone()),
        "call_id": found.facts.as_ref().and_then(|facts| facts.call_id.clone()),
    })
}

fn describe(found: &Delivery) -> String {
    let mut lines = vec![
        format!(
            "notice {}: {} to {} by {}",
            found.id, found.event, found.recipient, found.channel
        ),
        format!("key {}", found.key),
        format!(
            "made {}, {} after {} attempts",
            found.created_at.rfc3339(),
            state(found),
            found.attempts
        ),
    ];
    lines.extend(found.next_at.map(|at| format!("tried next {}", at.rfc3339())));
    lines.extend(
        found
            .settled_at
            .map(|at| format!("{} {}", found.state.name(), at.rfc3339())),
    );
    lines.extend(found.said.as_ref().map(|said| format!("said: {said}")));
    let of = found.facts.as_ref();
    lines.extend(of.and_then(|f| f.message_id.as_ref()).map(|id| format!("message {id}")));
    lines.extend(of.and_then(|f| f.call_id.as_ref()).map(|id| format!("call {id}")));
    let lines: Vec<String> = lines.iter().map(|line| super::output::clean(line)).collect();
    lines.join("\n")
}
