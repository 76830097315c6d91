//! `segue message list|export|heard|unheard|delete`.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Subcommand as ClapSubcommand;
use segue_mailbox::{MediaState, Message, State};
use segue_records::UnixMs;
use segue_store::{Exported, Store, StoreError};
use serde_json::{Value, json};

use super::{
    Context,
    output::{Row, or_dash},
    shown,
    value::User,
};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// List a subscriber's messages, oldest first
    List {
        /// The subscriber
        user: User,
    },
    /// Write a message's media to a file; it does not count as heard
    Export {
        /// The message
        id: String,
        /// The file to write; replaced if it exists
        file: PathBuf,
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
    /// Delete a message
    Delete {
        /// The message
        id: String,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    match command {
        Command::List { user: User(user) } => {
            let messages = store.messages(&user)?;
            if messages.is_empty() {
                // An empty mailbox is no error; one that is not there is.
                store.subscriber(&user)?;
            }
            let columns = ["ID", "STATE", "RECEIVED", "FROM", "KIND", "LENGTH", "BYTES", "NOTES"];
            context.out.rows(
                messages.iter().map(row).collect(),
                &columns,
                &format!("no messages for {user}"),
            )
        }
        Command::Export { id, file } => {
            let Exported { media_type, bytes } = export(&store, &id, &file)?;
            let value = json!({"id": id, "file": shown(&file), "media_type": media_type, "bytes": bytes});
            context.out.object(&value, || {
                format!("wrote {} ({media_type}, {bytes} bytes)", file.display())
            })
        }
        Command::Heard { id } => {
            let marked = store.mark_heard(&id, now_ms())?;
            let value = json!({"id": id, "state": "heard", "changed": marked.changed, "evicted": marked.evicted});
            context.out.object(&value, || {
                let mut text = match marked.changed {
                    true => format!("{id} is heard"),
                    false => format!("{id} was heard already"),
                };
                if !marked.evicted.is_empty() {
                    text.push_str(&format!("; past the threshold, deleted: {}", marked.evicted.join(", ")));
                }
                text
            })
        }
        Command::Unheard { id } => {
            let marked = store.mark_unheard(&id)?;
            let value = json!({"id": id, "state": "unheard", "changed": marked.changed});
            context.out.object(&value, || match marked.changed {
                true => format!("{id} is unheard"),
                false => format!("{id} was unheard already"),
            })
        }
        Command::Delete { id } => {
            store.delete_message(&id)?;
            context
                .out
                .object(&json!({"id": id, "deleted": true}), || format!("deleted {id}"))
        }
    }
}

/// Writes beside the target and renames, so that a failure leaves no half file in its place.
fn export(store: &Store, id: &str, file: &Path) -> Result<Exported, Failure> {
    let unwritable = |e: &io::Error| {
        Failure::refused(
            "unwritable",
            format!("{} cannot be written: {e}", file.display()),
            "name a file in a directory you may write to",
        )
    };
    // A device or pipe (/dev/stdout) is written as it is.
    let special = fs::metadata(file).is_ok_and(|m| !m.is_file());
    let beside = match (special, file.file_name()) {
        (false, Some(name)) => {
            let mut name = name.to_owned();
            name.push(format!(".{}.part", std::process::id()));
            file.with_file_name(name)
        }
        _ => file.to_owned(),
    };
    // Whether it is there is asked first: a wrong id makes no file.
    store.message(id)?;
    let mut out = BufWriter::new(fs::File::create(&beside).map_err(|e| unwritable(&e))?);
    let written = store.export_media(id, &mut out).map_err(|e| match e {
        StoreError::Io(why) => unwritable(&io::Error::other(why)),
        other => Failure::from(other),
    });
    let finished = written.and_then(|exported| {
        out.flush().map_err(|e| unwritable(&e))?;
        if !special {
            out.get_ref().sync_all().map_err(|e| unwritable(&e))?;
            fs::rename(&beside, file).map_err(|e| unwritable(&e))?;
        }
        Ok(exported)
    });
    if finished.is_err() && !special {
        let _ = fs::remove_file(&beside);
    }
    finished
}

fn row(message: &Message) -> Row {
    let mut notes = Vec::new();
    if message.media_state == MediaState::Raw {
        notes.push("raw");
    }
    if message.interrupted {
        notes.push("interrupted");
    }
    let from = match &message.from_name {
        Some(name) => format!("{name} <{}>", message.from),
        None => message.from.clone(),
    };
    let cells = vec![
        message.id.clone(),
        state(message).to_owned(),
        UnixMs(message.received_at_ms).rfc3339(),
        from,
        super::output::or_dash(json!(message.kind).as_str()),
        format!("{}.{} s", message.duration_ms / 1_000, message.duration_ms / 100 % 10),
        message.bytes.to_string(),
        or_dash((!notes.is_empty()).then(|| notes.join(", "))),
    ];
    Row {
        value: json_row(message),
        cells,
    }
}

/// A message as programs see it.
pub fn json_row(message: &Message) -> Value {
    json!({
        "id": message.id,
        "mailbox": message.mailbox,
        "call_id": message.call_id,
        "sip_call_id": message.sip_call_id,
        "from": message.from,
        "from_name": message.from_name,
        "received_at": UnixMs(message.received_at_ms).rfc3339(),
        "heard_at": message.heard_at_ms.map(|at| UnixMs(at).rfc3339()),
        "duration_ms": message.duration_ms,
        "kind": message.kind,
        "state": state(message),
        "media_state": message.media_state,
        "bytes": message.bytes,
        "interrupted": message.interrupted,
    })
}

fn state(message: &Message) -> &'static str {
    match message.state() {
        State::Heard => "heard",
        State::Unheard => "unheard",
    }
}

/// Wall clock, Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
