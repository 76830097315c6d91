//! For subscribers who call their own mailbox: stored messages made ready to be played, and recordings made clips.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use segue_mailbox::{ClipInfo, Purpose, RenditionProfile};
use segue_media::worker::{Job, Outcome};
use segue_store::{NewClip, Store};

use crate::clips::{self, ClipError};
use crate::deposit;
use crate::pool::WorkerPool;
use crate::recording::{self, Recording};
use crate::work;

/// Longest time a worker takes for a message.
const LIMIT: Duration = Duration::from_secs(110);
/// What a message may be longer than its row says, milliseconds.
const LONGER_MS: u64 = 5_000;

/// Makes them, one after the other as it is asked. Cheap to clone.
#[derive(Clone)]
pub struct Phone {
    store: Store,
    pool: WorkerPool,
    spool_dir: PathBuf,
}

impl Phone {
    /// Recordings are `<spool_dir>/<id>.spool`.
    pub fn new(store: Store, pool: WorkerPool, spool_dir: PathBuf) -> Phone {
        Phone { store, pool, spool_dir }
    }

    /// A stored message as packet caches in these renditions, as far as they can be made. Its media is read piece by piece under a lease: one
    /// that is deleted meanwhile is played all the same. Nothing is stored.
    ///
    /// # Errors
    /// [`ClipError`].
    pub fn message(&self, id: &str, renditions: &[RenditionProfile]) -> Result<NewClip, ClipError> {
        let longest_ms = self.store.message(id)?.duration_ms.saturating_add(LONGER_MS);
        let folder = work::folder(self.store.data_dir(), work::FINALISE)?;
        let (input, made) = (folder.path().join("message"), folder.path().join("made"));
        self.store.export_media(id, &mut File::create(&input)?)?;
        std::fs::create_dir(&made)?;
        let names = renditions.iter().map(|profile| profile.name().to_owned()).collect();
        let job = |out_dir| Job::PrepareMessage {
            input: input.to_string_lossy().into_owned(),
            out_dir,
            longest_ms,
            renditions: names,
        };
        clips::prepared(&self.pool, id, &made, job, LIMIT, &mut |_| {})
    }

    /// Makes a clip of the synced recording of this id, in all renditions, under a name of its own. The recording is gone afterwards, also when
    /// it fails.
    ///
    /// # Errors
    /// [`ClipError`].
    pub fn clip_of(&self, id: &str) -> Result<ClipInfo, ClipError> {
        let spool = recording::path(&self.spool_dir, id);
        let not_ours = || ClipError::Refused("it is no recording of a greeting".to_owned());
        let found = Recording::read(&spool)?.ok_or_else(not_ours)?;
        if found.manifest.purpose != Purpose::Greeting {
            return Err(not_ours());
        }
        let folder = work::folder(self.store.data_dir(), work::FINALISE)?;
        let job = Job::Finalise {
            spool: spool.to_string_lossy().into_owned(),
            out_dir: folder.path().to_string_lossy().into_owned(),
        };
        let finalised = clips::run(&self.pool, &job, LIMIT, &mut |_| {});
        let made = finalised.and_then(|outcome| match outcome {
            Outcome::Recording { file, .. } => {
                let name = format!("rec-{}", id.to_ascii_lowercase());
                let file = folder.path().join(file);
                clips::prepare_and_store(&self.pool, &self.store, &name, &file, &mut |_| {})
            }
            _ => Err(clips::something_else()),
        });
        deposit::remove(&spool);
        made
    }
}
