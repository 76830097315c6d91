//! `segue notice list|show|retry|drop`: what subscribers are told of, and what could not be told.

use clap::Subcommand as ClapSubcommand;
use segue_manage::{NoticeQuery, NoticeView};
use serde_json::json;

use super::{
    Context,
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
    let access = context.access()?;
    match command {
        Command::List { user, dead, waiting } => {
            let query = NoticeQuery {
                user: user.map(|User(user)| user),
                state: match (dead, waiting) {
                    (true, _) => Some("dead".to_owned()),
                    (_, true) => Some("waiting".to_owned()),
                    (false, false) => None,
                },
            };
            let mut found = access.notices_before(&query, None, LISTED_MAX)?;
            found.reverse();
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
            let found = access.notice(id)?;
            context.out.object(&json!(found), || describe(&found))
        }
        Command::Retry { id: Some(id), .. } => {
            let tried = access.retry_notice(id)?;
            context.out.object(&json!(tried), || {
                format!("notice {id} to {} by {} is tried again", tried.user, tried.channel)
            })
        }
        Command::Retry { id: None, .. } => {
            let tried = access.retry_dead_notices()?;
            context.out.object(&json!({"retried": tried}), || {
                format!("{tried} dead letters are tried again")
            })
        }
        Command::Drop { id } => {
            let dropped = access.drop_notice(id)?;
            context.out.object(&json!({"id": id.to_string(), "dropped": true}), || {
                format!("dropped notice {id} to {} by {}", dropped.user, dropped.channel)
            })
        }
    }
}

fn row(found: &NoticeView) -> Row {
    let cells = vec![
        found.id.clone(),
        found.user.clone(),
        found.channel.clone(),
        found.event.clone(),
        state(found),
        found.attempts.to_string(),
        or_dash(found.next_at.as_ref()),
        or_dash(found.said.as_ref()),
    ];
    Row {
        value: json!(found),
        cells,
    }
}

fn state(found: &NoticeView) -> String {
    match found.is_tried {
        true => "being tried".to_owned(),
        false => found.state.clone(),
    }
}

fn describe(found: &NoticeView) -> String {
    let mut lines = vec![
        format!(
            "notice {}: {} to {} by {}",
            found.id, found.event, found.user, found.channel
        ),
        format!("key {}", found.key),
        format!(
            "made {}, {} after {} attempts",
            found.created_at,
            state(found),
            found.attempts
        ),
    ];
    lines.extend(found.next_at.as_ref().map(|at| format!("tried next {at}")));
    lines.extend(found.settled_at.as_ref().map(|at| format!("{} {at}", found.state)));
    lines.extend(found.said.as_ref().map(|said| format!("said: {said}")));
    lines.extend(found.message_id.as_ref().map(|id| format!("message {id}")));
    lines.extend(found.call_id.as_ref().map(|id| format!("call {id}")));
    let lines: Vec<String> = lines.iter().map(|line| super::output::clean(line)).collect();
    lines.join("\n")
}
