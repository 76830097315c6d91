//! A spool becomes a message. The spool's file goes only after the message's transaction has committed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use segue_mailbox::{Keeping, Kind, MediaState, Message, Purpose};
use segue_media::worker::{Job, Outcome};
use segue_store::{Deposit, Deposited, MediaSource, Store, StoreError};

use crate::pool::{WorkerError, WorkerPool};
use crate::recording::{self, Recording};
use crate::work;

/// Type of a raw spool as a message's media.
const RAW_TYPE: &str = "application/x-segue-spool";
/// A recording that a caller looks at is left alone this long; no call looks longer.
const HELD_MAX: Duration = Duration::from_secs(1_800);
/// Longest time a worker takes to finalise; the longest message takes a few seconds.
const LIMIT: Duration = Duration::from_secs(120);
/// A store that is busy is asked again after these pauses.
const PATIENCE: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// What became of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DepositOutcome {
    /// It is a message: acknowledged.
    Stored(Box<Message>),
    /// It was a message and has been deleted since.
    Gone,
    /// Too short or without any media; nothing is kept.
    Dropped,
}

/// Why a recording is no message. Its spool is kept, and tried again: soon where waiting may help, else at the next start.
#[derive(Debug, thiserror::Error)]
pub enum DepositError {
    /// The store could not.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Its spool cannot be read, or the folder not be used.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        error: io::Error,
    },
    /// The spool is no recording of that message.
    #[error("{} is no recording of message {id}", path.display())]
    NotItsSpool {
        /// The file.
        path: PathBuf,
        /// The message.
        id: String,
    },
    /// Too many wait.
    #[error("too many recordings wait to be finalised")]
    Overload,
    /// A fault of ours.
    #[error("a fault of ours while it was stored")]
    Fault,
}

impl DepositError {
    /// Whether the same recording may be stored a minute later.
    fn may_pass(&self) -> bool {
        match self {
            DepositError::Store(_) | DepositError::Overload => true,
            DepositError::Io { error, .. } => error.kind() != io::ErrorKind::NotFound,
            DepositError::NotItsSpool { .. } | DepositError::Fault => false,
        }
    }
}

/// Everything a deposit needs.
#[derive(Clone)]
pub(crate) struct Context {
    pub store: Store,
    pub pool: WorkerPool,
    pub spool_dir: PathBuf,
    /// Recordings that are to be tried again.
    pub later: Arc<Mutex<Later>>,
    /// Recordings whose callers may still record them again, and until when they are left alone.
    pub held: Arc<Mutex<BTreeMap<String, Instant>>>,
    /// Held by whoever takes up what was left: one at a time.
    pub salvaging: Arc<Mutex<()>>,
}

/// Recordings whose spools are left; no more than there are on the disk.
#[derive(Debug, Default)]
pub(crate) struct Later {
    /// To be tried again.
    wanted: BTreeSet<String>,
    /// Of no use before the next start.
    given_up: BTreeSet<String>,
}

impl Context {
    pub fn try_later(&self, id: &str) {
        let mut later = self.later();
        if !later.given_up.contains(id) {
            later.wanted.insert(id.to_owned());
        }
    }

    /// A recording that failed: tried again where that may help.
    pub fn failed(&self, id: &str, error: &DepositError) {
        if error.may_pass() {
            self.try_later(id);
        } else {
            self.later().given_up.insert(id.to_owned());
        }
    }

    /// A caller looks at this recording and will say what becomes of it.
    pub fn hold(&self, id: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.retain(|_, until| *until > now);
        held.insert(id.to_owned(), now + HELD_MAX);
    }

    /// It has been said.
    pub fn let_go(&self, id: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub fn is_held(&self, id: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(id).is_some_and(|until| *until > Instant::now())
    }

    pub fn take_later(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.later().wanted)
    }

    pub fn later_is_empty(&self) -> bool {
        self.later().wanted.is_empty()
    }

    fn later(&self) -> MutexGuard<'_, Later> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The media of a message.
pub(crate) struct Media {
    pub source: MediaSource,
    media_type: String,
    poster: Option<Vec<u8>>,
    state: MediaState,
    kind: Kind,
    duration_ms: u64,
}

/// Finalises and stores the recording of `id`. Doing it again changes nothing.
pub(crate) fn deposit(cx: &Context, id: &str, urgent: bool) -> Result<DepositOutcome, DepositError> {
    let path = recording::path(&cx.spool_dir, id);
    let recording = match Recording::read(&path) {
        Ok(recording) => recording,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return without_spool(cx, &path, id, error),
        Err(error) => {
            return Err(DepositError::Io {
                what: format!("reading {}", path.display()),
                error,
            });
        }
    };
    let Some(recording) = recording.filter(|recording| recording.manifest.message_id == id) else {
        return Err(DepositError::NotItsSpool {
            path,
            id: id.to_owned(),
        });
    };
    if recording.manifest.purpose == Purpose::Greeting {
        tracing::info!(recording = id, "a greeting whose recording was broken off is dropped");
        remove(&path);
        return Ok(DepositOutcome::Dropped);
    }
    if let Ok(message) = cx.store.message(id) {
        // Committed before a crash that kept the spool.
        remove(&path);
        return Ok(DepositOutcome::Stored(Box::new(message)));
    }
    let folder = work::folder(cx.store.data_dir(), work::FINALISE).map_err(|error| DepositError::Io {
        what: "making a work folder".to_owned(),
        error,
    })?;
    let media = match finalise(&cx.pool, &path, folder.path()) {
        Ok(media) => media,
        Err(WorkerError::Refused(why)) => {
            tracing::info!(message_id = id, why, "a recording without media is dropped");
            remove(&path);
            return Ok(DepositOutcome::Dropped);
        }
        Err(error) => {
            tracing::error!(message_id = id, %error, "a recording cannot be finalised; it is stored raw");
            raw(&path, &recording)
        }
    };
    let deposited = patiently(|| cx.store.deposit(row(&recording, &media, urgent)))?;
    remove(&path);
    match deposited {
        Deposited::Gone => Ok(DepositOutcome::Gone),
        Deposited::New | Deposited::Already => Ok(DepositOutcome::Stored(Box::new(cx.store.message(id)?))),
    }
}

/// Finalises a message that is stored raw, once more. `false`: it stays raw.
pub(crate) fn refine(cx: &Context, message: &Message) -> Result<bool, DepositError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |error| DepositError::Io { what, error }
    };
    let folder = work::folder(cx.store.data_dir(), work::FINALISE).map_err(io("making a work folder"))?;
    let path = recording::path(folder.path(), &message.id);
    let mut file = std::fs::File::create(&path).map_err(io("writing a raw recording"))?;
    cx.store.export_media(&message.id, &mut file)?;
    match finalise(&cx.pool, &path, folder.path()) {
        Ok(Media {
            source,
            media_type,
            poster,
            duration_ms,
            ..
        }) => Ok(patiently(|| {
            cx.store
                .replace_media(&message.id, source.clone(), &media_type, poster.clone(), duration_ms)
        })?),
        Err(error) => {
            tracing::warn!(message_id = message.id, %error, "a raw message stays raw");
            Ok(false)
        }
    }
}

/// Removes a recording that shall be no message.
pub(crate) fn discard(cx: &Context, id: &str) {
    remove(&recording::path(&cx.spool_dir, id));
}

/// A spool that is gone was deposited before, or never written.
fn without_spool(cx: &Context, path: &Path, id: &str, error: io::Error) -> Result<DepositOutcome, DepositError> {
    match cx.store.message(id) {
        Ok(message) => Ok(DepositOutcome::Stored(Box::new(message))),
        Err(StoreError::NotFound { .. }) => Err(DepositError::Io {
            what: format!("reading {}", path.display()),
            error,
        }),
        Err(error) => Err(error.into()),
    }
}

/// Has a worker make a file of a spool, in this folder.
pub(crate) fn finalise(pool: &WorkerPool, spool: &Path, folder: &Path) -> Result<Media, WorkerError> {
    let job = Job::Finalise {
        spool: spool.to_string_lossy().into_owned(),
        out_dir: folder.to_string_lossy().into_owned(),
    };
    match pool.run(&job, LIMIT, &mut |_| {})? {
        Outcome::Recording {
            file,
            media_type,
            poster,
            duration_ms,
            has_video,
        } => Ok(Media {
            source: MediaSource::File(folder.join(file)),
            media_type,
            // A message without its poster is one still.
            poster: poster.and_then(|file| std::fs::read(folder.join(file)).ok()),
            state: MediaState::Ready,
            kind: if has_video { Kind::Video } else { Kind::Audio },
            duration_ms,
        }),
        other => Err(WorkerError::Failed(format!(
            "the media worker answered something else: {other:?}"
        ))),
    }
}

fn raw(spool: &Path, recording: &Recording) -> Media {
    Media {
        source: MediaSource::File(spool.to_owned()),
        media_type: RAW_TYPE.to_owned(),
        poster: None,
        state: MediaState::Raw,
        kind: recording.manifest.kind,
        duration_ms: recording.length_ms,
    }
}

fn row(recording: &Recording, media: &Media, urgent: bool) -> Deposit {
    let manifest = recording.manifest.clone();
    Deposit {
        message: Message {
            id: manifest.message_id,
            mailbox: manifest.mailbox,
            call_id: manifest.call_id,
            sip_call_id: manifest.sip_call_id,
            from: manifest.from,
            from_name: manifest.from_name,
            received_at_ms: manifest.started_at_ms,
            heard_at_ms: None,
            duration_ms: media.duration_ms,
            kind: media.kind,
            media_state: media.state,
            bytes: 0,
            interrupted: recording.end.is_none(),
            urgent,
            keeping: Keeping::default(),
        },
        media: media.source.clone(),
        media_type: media.media_type.clone(),
        poster: media.poster.clone(),
    }
}

/// Asks again where waiting helps; a disk that failed or is full is not asked again, its message fails loudly.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for pause in PATIENCE {
        match ask() {
            Err(StoreError::Busy | StoreError::QueueFull) => std::thread::sleep(pause),
            done => return done,
        }
    }
    ask()
}

pub(crate) fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a spool stays; the next start removes it");
        }
        _ => {}
    }
}
