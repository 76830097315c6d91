//! A few long-lived worker processes, and what is done when one fails.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_media::worker::{Job, Outcome};

use crate::process::{Broken, Process};
use crate::stats::{WorkCounters, WorkStats};

/// A job is tried this often.
const ATTEMPTS: u32 = 2;

/// How a worker is started: the server's own binary with `media-worker`.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// Why a job was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The input is at fault; the job was tried once.
    #[error("{0}")]
    Refused(String),
    /// The worker could not, twice.
    #[error("{0}")]
    Failed(String),
    /// The worker crashed, twice.
    #[error("the media worker crashed: {0}")]
    Crashed(String),
    /// The worker was killed at its time limit, by the last attempt.
    #[error("the media worker took longer than {} s", limit.as_secs())]
    TimedOut {
        /// The limit of one attempt.
        limit: Duration,
    },
    /// No worker can be started.
    #[error("the media worker {} cannot be started: {why}", program.display())]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// The system's reason.
        why: String,
    },
}

/// Worker processes, started when needed and kept. Cheap to clone; the processes end with the last clone.
#[derive(Clone)]
pub struct WorkerPool {
    shared: Arc<Shared>,
}

struct Shared {
    command: WorkerCommand,
    size: usize,
    state: Mutex<State>,
    freed: Condvar,
    counters: WorkCounters,
}

#[derive(Default)]
struct State {
    idle: Vec<Process>,
    busy: usize,
    /// The last attempt to start a process failed.
    cannot_start: bool,
}

impl WorkerPool {
    /// A pool of at most `size` processes (at least one). Starts none yet.
    pub fn new(command: WorkerCommand, size: usize) -> WorkerPool {
        let shared = Shared {
            command,
            size: size.max(1),
            state: Mutex::default(),
            freed: Condvar::new(),
            counters: WorkCounters::default(),
        };
        WorkerPool {
            shared: Arc::new(shared),
        }
    }

    /// How many processes there are at most.
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// Jobs since the start.
    pub fn stats(&self) -> WorkStats {
        let state = self.state();
        self.shared.counters.read(state.busy as u64, state.cannot_start)
    }

    /// Does one job, waiting for a free worker. `limit` is for one attempt: a worker past it is killed. Whatever fails is tried once more by
    /// another process, unless the input is at fault.
    ///
    /// # Errors
    /// [`WorkerError`], by the second attempt.
    pub fn run(&self, job: &Job, limit: Duration, progress: &mut dyn FnMut(u8)) -> Result<Outcome, WorkerError> {
        self.run_unless(job, limit, progress, |_| false)
    }

    /// The same for a file that anybody may bring: what takes too long is not tried again, as others wait meanwhile.
    ///
    /// # Errors
    /// As [`WorkerPool::run`].
    pub fn run_brought(
        &self,
        job: &Job,
        limit: Duration,
        progress: &mut dyn FnMut(u8),
    ) -> Result<Outcome, WorkerError> {
        self.run_unless(job, limit, progress, |error| {
            matches!(error, WorkerError::TimedOut { .. })
        })
    }

    fn run_unless(
        &self,
        job: &Job,
        limit: Duration,
        progress: &mut dyn FnMut(u8),
        is_final: impl Fn(&WorkerError) -> bool,
    ) -> Result<Outcome, WorkerError> {
        let _turn = self.turn();
        let counters = &self.shared.counters;
        let mut error = WorkerError::Failed("not tried".to_owned());
        for attempt in 1..=ATTEMPTS {
            error = match self.attempt(job, limit, progress) {
                Ok(Outcome::Failed { refused: true, why }) => {
                    counters.refused.fetch_add(1, Relaxed);
                    return Err(WorkerError::Refused(why));
                }
                Ok(Outcome::Failed { why, .. }) => WorkerError::Failed(why),
                Ok(outcome) => {
                    counters.done.fetch_add(1, Relaxed);
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            tracing::warn!(attempt, %error, "a media job failed");
            if is_final(&error) {
                break;
            }
            if attempt < ATTEMPTS {
                counters.retried.fetch_add(1, Relaxed);
            }
        }
        counters.failed.fetch_add(1, Relaxed);
        Err(error)
    }

    fn attempt(&self, job: &Job, limit: Duration, progress: &mut dyn FnMut(u8)) -> Result<Outcome, WorkerError> {
        let mut process = self.process()?;
        match process.run(job, limit, progress) {
            // One that failed may be in a bad state: only a good one is kept.
            Ok(outcome @ Outcome::Failed { refused: false, .. }) => Ok(outcome),
            Ok(outcome) => {
                self.state().idle.push(process);
                Ok(outcome)
            }
            Err(Broken::Ended(how)) => Err(WorkerError::Crashed(how)),
            Err(Broken::TimedOut) => Err(WorkerError::TimedOut { limit }),
        }
    }

    fn process(&self) -> Result<Process, WorkerError> {
        loop {
            // Bound first: the lock must not be held while a process is asked or started.
            let kept = self.state().idle.pop();
            let Some(mut process) = kept else { break };
            if process.lives() {
                return Ok(process);
            }
        }
        let command = &self.shared.command;
        let started = Process::start(command);
        self.state().cannot_start = started.is_err();
        started.map_err(|error| WorkerError::Start {
            program: command.program.clone(),
            why: error.to_string(),
        })
    }

    /// Waits until fewer than `size` jobs run.
    fn turn(&self) -> Turn<'_> {
        let full = |state: &mut State| state.busy >= self.shared.size;
        let mut state = self
            .shared
            .freed
            .wait_while(self.state(), full)
            .unwrap_or_else(PoisonError::into_inner);
        state.busy = state.busy.saturating_add(1);
        Turn(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run one job.
struct Turn<'a>(&'a WorkerPool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy = state.busy.saturating_sub(1);
        self.0.shared.freed.notify_one();
    }
}
