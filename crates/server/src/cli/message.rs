//! `segue message list|export|open|heard|unheard|pin|unpin|delete|undelete`.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Subcommand as ClapSubcommand;
use segue_mailbox::{MediaState, Message, State};
use segue_records::UnixMs;
use segue_store::{Deleted, Exported, MarkOutcome, Store, StoreError};
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
    let store = context.store()?;
    match command {
        Command::List {
            user: User(user),
            trash,
        } => {
            let messages = match trash {
                true => store.trash(&user)?,
                false => store.messages(&user)?,
            };
            if messages.is_empty() {
                // An empty mailbox is no error; one that is not there is.
                store.subscriber(&user)?;
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
            let message = store.message(&id)?;
            let others = store.shared_with(&id)?;
            let mut value = json_row(&message);
            let shared: Vec<Value> = others.iter().map(json_row).collect();
            if let Value::Object(fields) = &mut value {
                fields.insert("others".to_owned(), shared.into());
            }
            context.out.object(&value, || {
                let line = |message: &Message| format!("{}: {}", message.mailbox, standing(message));
                let lines: Vec<String> = std::iter::once(&message).chain(&others).map(line).collect();
                format!("{} from {}\n{}", message.id, message.from, lines.join("\n"))
            })
        }
        Command::Export { id, file, force } => {
            let file = named(&store, &id, file, force)?;
            let Exported { media_type, bytes } = export(&store, &id, &file, force)?;
            let value = json!({"id": id, "file": shown(&file), "media_type": media_type, "bytes": bytes});
            context.out.object(&value, || {
                format!("wrote {} ({media_type}, {bytes} bytes)", file.display())
            })
        }
        Command::Open { id } => {
            let message = store.message(&id)?;
            let player = super::play::play(&store, &message, context.out.is_watched())?;
            let value = json!({"id": id, "player": player});
            context.out.object(&value, || format!("played {id} with {player}"))
        }
        Command::Heard { id } => {
            let marked = store.mark_heard(&id, now_ms())?;
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
            let marked = store.mark_unheard(&id, now_ms())?;
            let value = json!({"id": id, "state": "unheard", "changed": marked.changed});
            say(
                context,
                &value,
                marked,
                &format!("{id} is unheard"),
                &format!("{id} was unheard already"),
            )
        }
        Command::Pin { id } => pin(context, &store, &id, true),
        Command::Unpin { id } => pin(context, &store, &id, false),
        Command::Delete { id, now } => {
            let deleted = match now {
                true => store.free_message(&id).map(|()| Deleted::Freed)?,
                false => store.delete_message(&id, now_ms())?,
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
            let back = store.undelete_message(&id, pin, now_ms())?;
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

fn pin(context: &Context, store: &Store, id: &str, pinned: bool) -> Result<(), Failure> {
    let done = store.pin_message(id, pinned, now_ms())?;
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

/// Endings of the files that messages are, by media type.
fn ending(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "video/mp4" | "audio/mp4" => "mp4",
        "video/webm" | "audio/webm" => "webm",
        "audio/ogg" => "ogg",
        _ => "bin",
    }
}

/// The file to write: what it is called must be what is in it.
fn named(store: &Store, id: &str, file: PathBuf, force: bool) -> Result<PathBuf, Failure> {
    if fs::metadata(&file).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        // A device or pipe (/dev/stdout) is written as it is.
        return Ok(file);
    }
    let media_type = store.media_type(id)?;
    let ending = ending(&media_type);
    let file = if file.is_dir() { file.join(id) } else { file };
    let said = file
        .extension()
        .and_then(|said| said.to_str())
        .map(str::to_ascii_lowercase);
    let known = ["mp4", "m4a", "webm", "mkv", "ogg", "opus", "mov", "avi", "wav", "mp3"];
    let file = match said {
        Some(said) if said == ending || (ending == "mp4" && said == "m4a") => file,
        Some(said) if known.contains(&said.as_str()) => {
            return Err(Failure::refused(
                "other_format",
                format!(
                    "{id} is {media_type}, and {} is named as something else",
                    file.display()
                ),
                format!(
                    "name it {}, or leave the ending out",
                    file.with_extension(ending).display()
                ),
            ));
        }
        // `bob.monday` has no ending but a name with a dot.
        _ => {
            let mut name = file.into_os_string();
            name.push(format!(".{ending}"));
            PathBuf::from(name)
        }
    };
    if !force && file.exists() {
        return Err(there(&file));
    }
    Ok(file)
}

fn there(file: &Path) -> Failure {
    Failure::refused(
        "exists",
        format!("{} is there already", file.display()),
        "name another file, or say --force to replace it",
    )
}

/// Writes beside the target and renames, so that a failure leaves no half file in its place.
fn export(store: &Store, id: &str, file: &Path, force: bool) -> Result<Exported, Failure> {
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
            put(&beside, file, force).map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => there(file),
                _ => unwritable(&e),
            })?;
        }
        Ok(exported)
    });
    if finished.is_err() && !special {
        let _ = fs::remove_file(&beside);
    }
    finished
}

/// Renames. Without `force` nothing is replaced, whoever was quicker.
fn put(from: &Path, to: &Path, force: bool) -> io::Result<()> {
    use rustix::{
        fs::{CWD, RenameFlags, renameat_with},
        io::Errno,
    };
    if force {
        return fs::rename(from, to);
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !to.exists() => fs::rename(from, to),
        done => done.map_err(io::Error::from),
    }
}

fn row(message: &Message) -> Row {
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
    if message.keeping.pinned {
        notes.push("pinned");
    }
    let keeping = &message.keeping;
    let dated = match (keeping.deleted_at_ms, keeping.warned_at_ms) {
        (Some(at), _) => Some(format!(
            "deleted {} by {}",
            UnixMs(at).rfc3339(),
            keeping.deleted_by.as_deref().unwrap_or("somebody")
        )),
        (None, Some(at)) => Some(format!("will go, warned {}", UnixMs(at).rfc3339())),
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
        "urgent": message.urgent,
        "pinned": message.keeping.pinned,
        "warned_at": message.keeping.warned_at_ms.map(|at| UnixMs(at).rfc3339()),
        "deleted_at": message.keeping.deleted_at_ms.map(|at| UnixMs(at).rfc3339()),
        "deleted_by": message.keeping.deleted_by,
    })
}

fn state(message: &Message) -> &'static str {
    match message.state() {
        State::Heard => "heard",
        State::Unheard => "unheard",
    }
}

/// How a message stands with whom it is for.
fn standing(message: &Message) -> String {
    let pinned = if message.keeping.pinned { ", pinned" } else { "" };
    let trash = if message.keeping.deleted_at_ms.is_some() {
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
