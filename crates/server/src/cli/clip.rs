//! `segue clip add|list|refresh|remove`.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand as ClapSubcommand;
use segue_jobs::{WorkerCommand, WorkerPool, clips};
use segue_mailbox::{ClipInfo, RenditionProfile};
use segue_manage::{Access, ClipView, PageAsked, Refusal};
use serde_json::{Value, json};

use super::{
    Context,
    output::{Row, or_dash},
    value::ClipName,
};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Prepare a file of audio or video as a clip; one of that name is replaced
    Add {
        /// Its name: letters, digits, '.', '_', '-'
        name: ClipName,
        /// Any audio or video file that GStreamer reads
        file: PathBuf,
    },
    /// List clips
    List,
    /// Make what this version knows besides of clips that an older one prepared; calls that play them go on
    Refresh {
        /// The clip [default: all that lack something]
        name: Option<ClipName>,
    },
    /// Remove a clip that no subscriber and no rule uses
    Remove {
        /// The clip
        name: ClipName,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Add {
            name: ClipName(name),
            file,
        } => {
            readable(&file)?;
            let clip = prepare(context, &name, &file)?;
            context.out.object(&json_row(&clip), || describe(&clip))
        }
        Command::List => {
            let access = context.access()?;
            let mut page = PageAsked::default();
            let mut rows = Vec::new();
            loop {
                let found = access.clips(&page)?;
                for clip in &found.items {
                    rows.push(row(clip)?);
                }
                match found.next {
                    Some(next) => page.cursor = Some(next),
                    None => break,
                }
            }
            let columns = ["NAME", "LENGTH", "RENDITIONS", "BYTES", "USED BY", "MISSING"];
            context
                .out
                .rows(rows, &columns, "no clips; add one with 'segue clip add NAME FILE'")
        }
        Command::Refresh { name } => refresh(context, name.map(|ClipName(name)| name)),
        Command::Remove { name: ClipName(name) } => {
            context.access()?.remove_clip(&name)?;
            context
                .out
                .object(&json!({"name": name, "removed": true}), || format!("removed {name}"))
        }
    }
}

fn unreadable(file: &Path, why: String) -> Failure {
    Failure::refused(
        "unreadable",
        format!("{} cannot be read: {why}", file.display()),
        "name a file of audio or video that this user may read",
    )
}

/// What can be said before a worker is started.
fn readable(file: &Path) -> Result<(), Failure> {
    let unreadable = |why: String| unreadable(file, why);
    let found = fs::metadata(file).map_err(|e| unreadable(e.to_string()))?;
    if !found.is_file() {
        return Err(unreadable("it is no file".to_owned()));
    }
    if found.len() == 0 {
        return Err(unreadable("it is empty".to_owned()));
    }
    fs::File::open(file).map(drop).map_err(|e| unreadable(e.to_string()))
}

/// Prepares and stores it in a worker process; the share done is shown to a person who watches.
fn prepare(context: &Context, name: &str, file: &Path) -> Result<ClipInfo, Failure> {
    // Absolute: a name such as `-x.mp4` or `http:...` can mean nothing but a file here.
    let file = fs::canonicalize(file).map_err(|e| unreadable(file, e.to_string()))?;
    let access = context.new_access()?;
    // A name that is a subscriber's own stays theirs; said before a worker takes its time.
    access.may_put_clip_for_all(name)?;
    let (pool, folder) = (pool()?, &context.config.data_dir);
    let made = watched(context, name, |show| clips::prepare(&pool, folder, name, &file, show))?;
    Ok(access.put_clip_for_all(made)?)
}

/// Of one worker process, which is this same program.
fn pool() -> Result<WorkerPool, Failure> {
    let broken = |e: io::Error| {
        Failure::refused(
            "worker_failed",
            format!("no worker: {e}"),
            "run 'segue' from an installed binary",
        )
    };
    let command = WorkerCommand {
        program: std::env::current_exe().map_err(broken)?,
        args: ["media-worker", "--quiet"].map(str::to_owned).to_vec(),
    };
    Ok(WorkerPool::new(command, 1))
}

/// Shows a person who watches how far a job on a clip is.
fn watched<T>(
    context: &Context,
    name: &str,
    job: impl FnOnce(&mut dyn FnMut(u8)) -> Result<T, clips::ClipError>,
) -> Result<T, Failure> {
    let watched = context.out.is_watched();
    let done = job(&mut |percent| {
        if watched {
            eprint!("\rpreparing {name}: {percent} %");
            let _ = io::stderr().flush();
        }
    });
    if watched {
        // The line that showed progress is given back.
        eprint!("\r\x1b[K");
    }
    done.map_err(|e| match e {
        clips::ClipError::Store(error) => error.into(),
        other => Failure::refused(other.code(), format!("{name}: {other}"), other.fix()),
    })
}

/// Adds what clips lack. One that fails keeps none of the others from it; the first failure is told at the end.
fn refresh(context: &Context, name: Option<String>) -> Result<(), Failure> {
    let access = context.access()?;
    let stale = match name {
        Some(name) => vec![access.clip_to_refresh(&name)?.0],
        None => access.clips_to_refresh()?,
    };
    let (mut rows, mut failed) = (Vec::new(), None);
    let pool = pool()?;
    for clip in stale {
        match refresh_one(context, &access, &pool, clip) {
            Ok(row) => rows.push(row),
            Err(failure) => {
                failed.get_or_insert(failure);
            }
        }
    }
    let nothing = "every clip has all that this version makes";
    context.out.rows(rows, &["NAME", "ADDED", "MISSING"], nothing)?;
    failed.map_or(Ok(()), Err)
}

fn refresh_one(context: &Context, access: &Access, pool: &WorkerPool, clip: ClipInfo) -> Result<Row, Failure> {
    let read = |profile| {
        access.clip_rendition(&clip, profile).map_err(|refusal| match refusal {
            Refusal::Store(error) => error.into(),
            other => clips::ClipError::Refused(other.to_string()),
        })
    };
    let folder = &context.config.data_dir;
    let made = watched(context, &clip.name, |show| {
        clips::made_besides(pool, folder, &clip, &read, show)
    })?;
    let added: Vec<RenditionProfile> = made.iter().map(|made| made.profile).collect();
    match added.is_empty() {
        true => Ok(refreshed(&clip, added)),
        false => Ok(refreshed(&access.add_renditions(&clip, made)?, added)),
    }
}

fn refreshed(clip: &ClipInfo, added: Vec<RenditionProfile>) -> Row {
    let missing = clip.missing();
    let none = |list: &[RenditionProfile]| or_dash((!list.is_empty()).then(|| names(list.iter().copied())));
    Row {
        cells: vec![clip.name.clone(), none(&added), none(&missing)],
        value: json!({
            "name": clip.name,
            "added": added.iter().map(|profile| profile.name()).collect::<Vec<_>>(),
            "missing": missing.iter().map(|profile| profile.name()).collect::<Vec<_>>(),
        }),
    }
}

fn bytes(clip: &ClipInfo) -> u64 {
    clip.renditions.iter().map(|r| r.bytes).sum()
}

fn renditions(clip: &ClipInfo) -> String {
    names(clip.renditions.iter().map(|r| r.profile))
}

fn names(profiles: impl IntoIterator<Item = RenditionProfile>) -> String {
    let names: Vec<_> = profiles.into_iter().map(RenditionProfile::name).collect();
    names.join(", ")
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms / 100 % 10)
}

fn row(clip: &ClipView) -> Result<Row, Failure> {
    let some = |list: Vec<&str>| or_dash((!list.is_empty()).then(|| list.join(", ")));
    let cells = vec![
        clip.name.clone(),
        seconds(clip.duration_ms),
        some(clip.renditions.iter().map(|one| one.profile).collect()),
        clip.bytes.to_string(),
        some(clip.used_by.iter().map(String::as_str).collect()),
        some(clip.missing.clone()),
    ];
    let value = serde_json::to_value(clip)
        .map_err(|e| Failure::refused("system", format!("{} cannot be shown: {e}", clip.name), "report this"))?;
    Ok(Row { value, cells })
}

fn json_row(clip: &ClipInfo) -> Value {
    let renditions: Vec<Value> = clip
        .renditions
        .iter()
        .map(|r| json!({"profile": r.profile.name(), "bytes": r.bytes}))
        .collect();
    json!({
        "id": clip.id.to_string(),
        "name": clip.name,
        "duration_ms": clip.duration_ms,
        "bytes": bytes(clip),
        "renditions": renditions,
        "missing": clip.missing().into_iter().map(RenditionProfile::name).collect::<Vec<_>>(),
        "used_by": [],
    })
}

fn describe(clip: &ClipInfo) -> String {
    let kind = match (
        clip.renditions.iter().any(|r| r.profile.is_video()),
        clip.renditions.iter().any(|r| !r.profile.is_video()),
    ) {
        (true, true) => "video and audio",
        (true, false) => "video without sound",
        (false, _) => "audio alone",
    };
    format!(
        "clip {}: {}, {kind}, as {} ({} bytes)",
        clip.name,
        seconds(clip.duration_ms),
        renditions(clip),
        bytes(clip)
    )
}
