//! Clips: prepared by a worker, stored whole.

mod preview;
mod refresh;

pub use preview::preview;
pub use refresh::{made_besides, refresh};

use std::path::Path;
use std::time::Duration;

use segue_mailbox::{BEEP_CLIP, BUILT_IN_FULL_CLIP, ClipInfo, RenditionProfile};
use segue_media::worker::{Job, Outcome, Rendition};
use segue_store::{NewClip, NewRendition, Store, StoreError};

use crate::pool::{WorkerError, WorkerPool};
use crate::work;

/// Longest clip, milliseconds: the whole early phase of a call is shorter.
pub const LONGEST_MS: u64 = 180_000;
/// Longest time a worker takes for a clip.
const LIMIT: Duration = Duration::from_secs(600);

/// Why there is no clip. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// The name is ours.
    #[error("the names '{BEEP_CLIP}' and '{BUILT_IN_FULL_CLIP}' are those of built-in clips")]
    Reserved,
    /// The file is no clip.
    #[error("{0}")]
    Refused(String),
    /// The worker could not.
    #[error(transparent)]
    Worker(WorkerError),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl ClipError {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ClipError::Reserved | ClipError::Refused(_) => "refused",
            ClipError::Worker(_) => "worker_failed",
            ClipError::Store(error) => error.code(),
            ClipError::Io(_) => "disk_failed",
        }
    }

    /// What can be done about it.
    pub fn fix(&self) -> String {
        match self {
            ClipError::Reserved => "choose another name".to_owned(),
            ClipError::Refused(_) => format!("give a file with audio or video of at most {} s", LONGEST_MS / 1000),
            ClipError::Worker(_) => "`segue doctor` tells what the media worker lacks".to_owned(),
            ClipError::Store(error) => error.fix(),
            ClipError::Io(_) => "see that the data directory can be written and has room".to_owned(),
        }
    }
}

/// Prepares a file and stores it as clip `name`, replacing one of that name. `progress` gets 0 to 99.
///
/// # Errors
/// [`ClipError`]; nothing was changed then.
pub fn prepare_and_store(
    pool: &WorkerPool,
    store: &Store,
    name: &str,
    file: &Path,
    progress: &mut dyn FnMut(u8),
) -> Result<ClipInfo, ClipError> {
    prepare_and(pool, store, name, file, progress, |clip| store.put_clip(clip))
}

/// Prepares a file as clip `name` and has it stored by `finish`, which replaces one of that name.
///
/// # Errors
/// [`ClipError`]; nothing was changed then.
pub fn prepare_and(
    pool: &WorkerPool,
    store: &Store,
    name: &str,
    file: &Path,
    progress: &mut dyn FnMut(u8),
    finish: impl FnOnce(NewClip) -> Result<ClipInfo, StoreError>,
) -> Result<ClipInfo, ClipError> {
    Ok(finish(prepare(pool, store.data_dir(), name, file, progress)?)?)
}

/// Prepares a file as clip `name`, in a folder of the data directory, for others to store.
///
/// # Errors
/// [`ClipError`].
pub fn prepare(
    pool: &WorkerPool,
    data_dir: &Path,
    name: &str,
    file: &Path,
    progress: &mut dyn FnMut(u8),
) -> Result<NewClip, ClipError> {
    if [BEEP_CLIP, BUILT_IN_FULL_CLIP].contains(&name) {
        return Err(ClipError::Reserved);
    }
    let input = file
        .to_str()
        .ok_or_else(|| ClipError::Refused("the file's name is not UTF-8".to_owned()))?
        .to_owned();
    let job = |out_dir| Job::PrepareClip {
        input,
        out_dir,
        longest_ms: LONGEST_MS,
    };
    let folder = work::folder(data_dir, work::PREPARE)?;
    prepared(pool, name, folder.path(), job, LIMIT, progress)
}

/// The built-in beep, made if the store does not have it yet in every rendition.
///
/// # Errors
/// [`ClipError`]; there is no beep then.
pub fn ensure_beep(pool: &WorkerPool, store: &Store) -> Result<ClipInfo, ClipError> {
    ensure(pool, store, BEEP_CLIP, |out_dir| Job::PrepareBeep { out_dir })
}

/// The built-in notice of a full mailbox, likewise. It takes some seconds.
///
/// # Errors
/// [`ClipError`]; callers of a full mailbox are refused without a word then.
pub fn ensure_notice(pool: &WorkerPool, store: &Store) -> Result<ClipInfo, ClipError> {
    ensure(pool, store, BUILT_IN_FULL_CLIP, |out_dir| Job::PrepareNotice {
        out_dir,
    })
}

fn ensure(
    pool: &WorkerPool,
    store: &Store,
    name: &str,
    job: impl FnOnce(String) -> Job,
) -> Result<ClipInfo, ClipError> {
    match store.clip(name) {
        Err(StoreError::NotFound { .. }) => {}
        Ok(old) if !old.missing().is_empty() => {}
        known => return Ok(known?),
    }
    let folder = work::folder(store.data_dir(), work::PREPARE)?;
    Ok(store.put_clip(prepared(pool, name, folder.path(), job, LIMIT, &mut |_| {})?)?)
}

/// What a worker makes of such a job, in this empty folder.
pub(crate) fn prepared(
    pool: &WorkerPool,
    name: &str,
    folder: &Path,
    job: impl FnOnce(String) -> Job,
    limit: Duration,
    progress: &mut dyn FnMut(u8),
) -> Result<NewClip, ClipError> {
    let out_dir = folder.to_string_lossy().into_owned();
    let Outcome::Clip {
        duration_ms,
        renditions,
        poster,
    } = run(pool, &job(out_dir), limit, progress)?
    else {
        return Err(something_else());
    };
    let renditions = renditions
        .into_iter()
        .map(|made| read(folder, made))
        .collect::<Result<_, _>>()?;
    let poster = poster.map(|file| std::fs::read(folder.join(file))).transpose()?;
    Ok(NewClip {
        name: name.to_owned(),
        duration_ms,
        renditions,
        poster,
    })
}

pub(crate) fn run(
    pool: &WorkerPool,
    job: &Job,
    limit: Duration,
    progress: &mut dyn FnMut(u8),
) -> Result<Outcome, ClipError> {
    pool.run_brought(job, limit, progress).map_err(|error| match error {
        WorkerError::Refused(why) => ClipError::Refused(why),
        error => ClipError::Worker(error),
    })
}

pub(crate) fn something_else() -> ClipError {
    ClipError::Worker(WorkerError::Failed(
        "the media worker answered something else".to_owned(),
    ))
}

fn read(folder: &Path, made: Rendition) -> Result<NewRendition, ClipError> {
    let Rendition {
        profile,
        file,
        profile_level_id,
    } = made;
    let unknown = |_| {
        ClipError::Worker(WorkerError::Failed(format!(
            "the media worker made an unknown {profile}"
        )))
    };
    let profile: RenditionProfile = serde_json::from_value(profile.clone().into()).map_err(unknown)?;
    Ok(NewRendition {
        profile,
        profile_level_id,
        cache: std::fs::read(folder.join(file))?,
    })
}
