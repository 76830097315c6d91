//! `segue message list|export|open|heard|unheard|pin|unpin|delete|undelete`.

mod export;

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Subcommand as ClapSubcommand;
use segue_mailbox::{MediaState, State};
use segue_manage::{Access, MessageView, MessagesAsked, PageAsked};
use segue_records::UnixMs;
use segue_store::{Deleted, Exported, MarkOutcome};
use serde_json::{Value, json};

use super::{
    Context,
    output::{Row, or_dash},
    shown,
    value::User,
};
use crate::failure::Failure;
use export::{export, named};

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// List a subscriber's messages, oldest first
    List {
        /// The subscriber
        user: User,
        /// Those in the trash instead
        #[arg(long)]
        trash: bool,
    },
    /// Show all of one message, and how it stands with others who have it
    Show {
        /// The message
        id: String,
    },
    /// Write a message's media to a file; it does not count as heard
    Export {
        /// The message
        id: String,
        /// The file to write, or a folder; without its ending (.mp4, .webm) it gets the one of what is in it
        file: PathBuf,
        /// Replace the file if it is there
        #[arg(long)]
        force: bool,
    },
    /// Play a message here; it does not count as heard
    Open {
        /// The message
        id: String,
    },
    /// Mark a message heard
    Heard {
        /// The message
        id: String,
    },
    /// Mark a message unheard
    Unheard {
        /// The message
        id: String,
    },
    /// Keep a message whatever the rules: none counts or deletes it
    Pin {
        /// The message
        id: String,
    },
    /// Let the rules count and delete a message again
    Unpin {
        /// The message
        id: String,
    },
    /// Delete a message: it goes to the trash
    Delete {
        /// The message
        id: String,
        /// Free it at once; nothing brings it back
        #[arg(long)]
        now: bool,
    },
    /// Bring a message back from the trash
    Undelete {
        /// The message
        id: String,
        /// And pin it, so that no rule takes it again
        #[arg(long)]
        pin: bool,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let access = context.access()?;
    match command {
        Command::List {
            user: User(user),
            trash,
        } => {
            let messages = all(&access, &user, trash)?;
            if messages.is_empty() {
                // An empty mailbox is no error; one that is not there is.
                access.subscriber(&user)?;
            }
            let columns = ["ID", "STATE", "RECEIVED", "FROM", "KIND", "LENGTH", "BYTES", "NOTES"];
            context.out.rows(
                messages.iter().map(row).collect(),
                &columns,
                &match trash {
                    true => format!("nothing in the trash of {user}"),
                    false => format!("no messages for {user}"),
                },
            )
        }
        Command::Show { id } => {
            let message = access.message(&id)?;
            let others = access.shared_with(&id)?;
            let mut value = json!(message);
            if let Value::Object(fields) = &mut value {
                fields.insert("others".to_owned(), json!(others));
            }
            context.out.object(&value, || {
                let line = |message: &MessageView| format!("{}: {}", message.mailbox, standing(message));
                let lines: Vec<String> = std::iter::once(&message).chain(&others).map(line).collect();
                format!("{} from {}\n{}", message.id, message.from, lines.join("\n"))
            })
        }
        Command::Export { id, file, force } => {
            let file = named(&access, &id, file, force)?;
            let Exported { media_type, bytes } = export(&access, &id, &file, force)?;
            let value = json!({"id": id, "file": shown(&file), "media_type": media_type, "bytes": bytes});
            context.out.object(&value, || {
                format!("wrote {} ({media_type}, {bytes} bytes)", file.display())
            })
        }
        Command::Open { id } => {
            let message = access.message(&id)?;
            let player = super::play::play(&access, &message, context.out.is_watched())?;
            let value = json!({"id": id, "player": player});
            context.out.object(&value, || format!("played {id} with {player}"))
        }
        Command::Heard { id } => {
            let marked = access.mark_message(&id, true)?;
            let value = json!({"id": id, "state": "heard", "changed": marked.changed, "evicted": marked.evicted});
            say(
                context,
                &value,
                marked,
                &format!("{id} is heard"),
                &format!("{id} was heard already"),
            )
        }
        Command::Unheard { id } => {
            let marked = access.mark_message(&id, false)?;
            let value = json!({"id": id, "state": "unheard", "changed": marked.changed});
            say(
                context,
                &value,
                marked,
                &format!("{id} is unheard"),
                &format!("{id} was unheard already"),
            )
        }
        Command::Pin { id } => pin(context, &access, &id, true),
        Command::Unpin { id } => pin(context, &access, &id, false),
        Command::Delete { id, now } => {
            let deleted = match now {
                true => access.free_message(&id).map(|()| Deleted::Freed)?,
                false => access.delete_message(&id)?,
            };
            let until = match deleted {
                Deleted::ToTrash { until_ms } => Some(UnixMs(until_ms).rfc3339()),
                Deleted::Already | Deleted::Freed => None,
            };
            let value = json!({
                "id": id, "deleted": true, "changed": deleted != Deleted::Already, "freed": deleted == Deleted::Freed,
                "undelete_until": until,
            });
            context.out.object(&value, || match (deleted, &until) {
                (Deleted::Already, _) => format!("{id} is in the trash already; --now frees it"),
                (_, Some(until)) => {
                    format!("{id} is in the trash until {until}; 'segue message undelete {id}' brings it back")
                }
                (_, None) => format!("deleted {id}"),
            })
        }
        Command::Undelete { id, pin } => {
            let back = access.restore_message(&id, pin)?;
            let value = json!({"id": id, "deleted": false, "changed": back.changed, "evicted": back.evicted});
            say(
                context,
                &value,
                back,
                &format!("{id} is back"),
                &format!("{id} was not in the trash"),
            )
        }
    }
}

fn pin(context: &Context, access: &Access, id: &str, pinned: bool) -> Result<(), Failure> {
    let done = access.pin_message(id, pinned)?;
    let value = json!({"id": id, "pinned": pinned, "changed": done.changed, "evicted": done.evicted});
    let word = if pinned { "pinned" } else { "unpinned" };
    say(
        context,
        &value,
        done,
        &format!("{id} is {word}"),
        &format!("{id} was {word} already"),
    )
}

/// What a change did, and what the rules took.
fn say(context: &Context, value: &Value, done: MarkOutcome, now: &str, already: &str) -> Result<(), Failure> {
    context.out.object(value, || {
        let mut text = if done.changed { now } else { already }.to_owned();
        if !done.evicted.is_empty() {
            text.push_str(&format!("; past the threshold, deleted: {}", done.evicted.join(", ")));
        }
        text
    })
}

/// All of a mailbox or of its trash, the oldest first.
fn all(access: &Access, user: &str, trash: bool) -> Result<Vec<MessageView>, Failure> {
    let asked = MessagesAsked {
        mailbox: Some(user.to_owned()),
        trash,
        ..MessagesAsked::default()
    };
    let mut page = PageAsked {
        cursor: None,
        limit: Some(200),
    };
    let mut found = Vec::new();
    loop {
        let part = access.messages(&asked, &page)?;
        found.extend(part.items);
        if part.next.is_none() {
            break;
        }
        page.cursor = part.next;
    }
    found.reverse();
    Ok(found)
}

fn row(message: &MessageView) -> Row {
    let mut notes = Vec::new();
    if message.media_state == MediaState::Raw {
        notes.push("raw");
    }
    if message.interrupted {
        notes.push("interrupted");
    }
    if message.urgent {
        notes.push("urgent");
    }
    if message.pinned {
        notes.push("pinned");
    }
    let dated = match (&message.deleted_at, &message.warned_at) {
        (Some(at), _) => Some(format!(
            "deleted {at} by {}",
            message.deleted_by.as_deref().unwrap_or("somebody")
        )),
        (None, Some(at)) => Some(format!("will go, warned {at}")),
        (None, None) => None,
    };
    notes.extend(dated.as_deref());
    let from = match &message.from_name {
        Some(name) => format!("{name} <{}>", message.from),
        None => message.from.clone(),
    };
    let cells = vec![
        message.id.clone(),
        state(message).to_owned(),
        message.received_at.clone(),
        from,
        or_dash(json!(message.kind).as_str()),
        format!("{}.{} s", message.duration_ms / 1_000, message.duration_ms / 100 % 10),
        message.bytes.to_string(),
        or_dash((!notes.is_empty()).then(|| notes.join(", "))),
    ];
    Row {
        value: json!(message),
        cells,
    }
}

fn state(message: &MessageView) -> &'static str {
    match message.state {
        State::Heard => "heard",
        State::Unheard => "unheard",
    }
}

/// How a message stands with whom it is for.
fn standing(message: &MessageView) -> String {
    let pinned = if message.pinned { ", pinned" } else { "" };
    let trash = if message.deleted_at.is_some() {
        ", in the trash"
    } else {
        ""
    };
    format!("{}{pinned}{trash}", state(message))
}

/// Wall clock, Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
