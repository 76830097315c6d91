//! Uploads become clips, one after the other, on a thread of its own: messages of callers, whose jobs the pool has besides, never wait for more
//! than one of them. Which wait is in the store, so that nothing is forgotten by a restart.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use segue_mailbox::ClipInfo;
use segue_store::{Deed, NewClip, Store, StoreError, Upload};

use crate::{
    clips::{self, ClipError},
    pool::WorkerPool,
};

/// How often uploads whose time is over are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Most previews, and clips that are brought up to date, that are waited for at a time.
const ASKED_MAX: usize = 8;

type Made = Box<dyn FnOnce(Result<(), ClipError>) + Send>;

enum Ask {
    Look,
    Preview(ClipInfo, Made),
    Refresh(String, Deed, Made),
}

/// Where what is to be prepared is said. Cheap to clone; the thread ends with the last.
#[derive(Clone)]
pub struct Preparer {
    ask: SyncSender<Ask>,
    at: At,
}

/// What is being prepared: the upload's id and the percent.
type At = Arc<Mutex<Option<(String, u8)>>>;

impl Preparer {
    /// Starts the thread. What a former server left is gone on with.
    pub fn start(store: Store, pool: WorkerPool, now: fn() -> i64) -> io::Result<Preparer> {
        let (ask, asked) = sync_channel(ASKED_MAX);
        let at = At::default();
        let worker = Worker {
            store,
            pool,
            now,
            at: Arc::clone(&at),
        };
        thread::Builder::new()
            .name("uploads".to_owned())
            .spawn(move || worker.work(&asked))?;
        Ok(Preparer { ask, at })
    }

    /// There is an upload that waits.
    pub fn wake(&self) {
        // A full queue has it look anyway.
        let _ = self.ask.try_send(Ask::Look);
    }

    /// How far this upload has been prepared, percent; `None`: it is not being prepared.
    pub fn percent(&self, id: &str) -> Option<u8> {
        let at = lock(&self.at);
        at.as_ref().filter(|(one, _)| one == id).map(|(_, percent)| *percent)
    }

    /// Has it made what browsers play of a clip; `made` is told, unless too many wait: false.
    pub fn preview(&self, clip: ClipInfo, made: impl FnOnce(Result<(), ClipError>) + Send + 'static) -> bool {
        self.ask.try_send(Ask::Preview(clip, Box::new(made))).is_ok()
    }

    /// Has it made what this version makes besides of a clip, which is put down as this deed; `made` is told, unless too many wait: false.
    pub fn refresh(&self, clip: &str, deed: Deed, made: impl FnOnce(Result<(), ClipError>) + Send + 'static) -> bool {
        let ask = Ask::Refresh(clip.to_owned(), deed, Box::new(made));
        self.ask.try_send(ask).is_ok()
    }
}

fn lock(at: &At) -> MutexGuard<'_, Option<(String, u8)>> {
    at.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Worker {
    store: Store,
    pool: WorkerPool,
    now: fn() -> i64,
    at: At,
}

impl Worker {
    fn work(self, asked: &Receiver<Ask>) {
        if let Err(error) = self.store.resume_uploads() {
            tracing::error!(%error, "uploads that waited are not gone on with");
        }
        self.sweep();
        let mut last = String::new();
        let mut swept = Instant::now();
        loop {
            let one_was_done = self.one_upload(&mut last);
            if swept.elapsed() >= SWEEP_EVERY {
                swept = Instant::now();
                self.sweep();
            }
            let patience = if one_was_done { Duration::ZERO } else { SWEEP_EVERY };
            match asked.recv_timeout(patience) {
                Ok(Ask::Preview(clip, made)) => made(clips::preview(&self.pool, &self.store, &clip)),
                Ok(Ask::Refresh(clip, deed, made)) => {
                    let store = self.store.acting(deed);
                    made(clips::refresh(&self.pool, &store, &clip, &mut |_| {}).map(drop));
                }
                Ok(Ask::Look) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn sweep(&self) {
        if let Err(error) = self.store.sweep_uploads((self.now)()) {
            tracing::warn!(%error, "uploads whose time is over stay");
        }
    }

    /// Prepares the next that waits; whether there was one. Who has uploaded the last does not come first again.
    fn one_upload(&self, last: &mut String) -> bool {
        match self.store.next_upload(last, (self.now)()) {
            Ok(Some((upload, file))) => {
                last.clone_from(&upload.deed.name);
                *lock(&self.at) = Some((upload.id.clone(), 0));
                self.prepare(&upload, &file);
                *lock(&self.at) = None;
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::error!(%error, "uploads cannot be read");
                false
            }
        }
    }

    fn prepare(&self, upload: &Upload, file: &Path) {
        let mut show = |percent| *lock(&self.at) = Some((upload.id.clone(), percent));
        let finish = |clip: NewClip| self.store.finish_upload(upload, clip, (self.now)());
        match clips::prepare_and(&self.pool, &self.store, upload.clip(), file, &mut show, finish) {
            Ok(clip) => {
                // Who has uploaded it looks at it next.
                if let Err(error) = clips::preview(&self.pool, &self.store, &clip) {
                    tracing::warn!(clip = clip.name, %error, "what browsers play of a clip could not be made");
                }
            }
            // It was deleted meanwhile.
            Err(ClipError::Store(StoreError::NotFound { what: "upload", .. })) => {}
            Err(error) => {
                tracing::info!(clip = upload.clip(), %error, "an upload is no clip");
                let fix = error.fix();
                if let Err(error) = self
                    .store
                    .refuse_upload(&upload.id, &error.to_string(), &fix, (self.now)())
                {
                    tracing::error!(%error, "what became of an upload is not kept");
                }
            }
        }
    }
}
