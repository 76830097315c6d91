//! Age rules, once a minute, while the wall clock can be trusted with them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{
    Arc, Mutex, PoisonError,
    mpsc::{self, RecvTimeoutError},
};
use std::thread::JoinHandle;
use std::time::Duration;

use segue_mailbox::ClockGuard;
use segue_store::{Kept, RunReport, Store, StoreError};

/// How often the rules run.
pub const RETENTION_EVERY: Duration = Duration::from_secs(60);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Milliseconds of a clock that nobody sets and that goes on while the machine sleeps.
    pub mono_ms: u64,
    /// Unix milliseconds.
    pub wall_ms: i64,
}

/// What a turn came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// The clocks do not agree, or not for long enough yet: nothing was done.
    Paused,
    /// The rules have run.
    Ran(RunReport),
}

/// Which call records stay; a change holds from the next turn on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct KeptCalls(Arc<Mutex<Kept>>);

impl KeptCalls {
    /// From now on these.
    pub fn set(&self, kept: Kept) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    fn now(&self) -> Kept {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs the rules of all mailboxes.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    guard: ClockGuard,
    calls: KeptCalls,
    /// Said once for each step of the clock.
    has_said_stepped: bool,
}

/// Ends the thread of a [`Keeper`] when dropped, after its turn.
#[derive(Debug)]
pub struct KeeperThread {
    ended: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for KeeperThread {
    fn drop(&mut self) {
        self.ended = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing left to finish.
            let _ = thread.join();
        }
    }
}

impl Keeper {
    /// Nothing is known of the clocks yet.
    pub fn new(store: Store) -> Keeper {
        Keeper {
            store,
            guard: ClockGuard::new(),
            calls: KeptCalls::default(),
            has_said_stepped: false,
        }
    }

    /// The same, and call records beyond these go as well.
    #[must_use]
    pub fn with_calls(self, kept: Kept) -> Keeper {
        self.calls.set(kept);
        self
    }

    /// To change which call records stay.
    pub fn calls(&self) -> KeptCalls {
        self.calls.clone()
    }

    /// One turn: looks at the clocks, and where they agree lets the rules act.
    ///
    /// # Errors
    /// When the store cannot; what it had done stays done, the rest is done at the next turn.
    pub fn turn(&mut self, now: Clocks) -> Result<Turn, StoreError> {
        let may = self.guard.observe(now.mono_ms, now.wall_ms);
        let stepped = self.guard.stepped();
        if stepped && !self.has_said_stepped {
            tracing::warn!(
                "the wall clock has been set: no message goes for its age until it is set back and stays so for two \
                 minutes, or stays as it is for a day"
            );
        }
        self.has_said_stepped = stepped;
        // Counting needs no clock.
        let gone = self.store.prune_calls(&self.calls.now(), may.then_some(now.wall_ms))?;
        if gone > 0 {
            tracing::info!(gone, "call records beyond what is kept are gone");
        }
        if !may {
            return Ok(Turn::Paused);
        }
        let report = self.store.run_retention(None, now.wall_ms)?;
        for (ids, did) in [
            (&report.evicted, "deleted by a rule"),
            (&report.freed, "freed from the trash"),
            (&report.warned, "warned of: it goes in seven days at the earliest"),
        ] {
            for id in ids {
                tracing::info!(message_id = id, "message {did}");
            }
        }
        Ok(Turn::Ran(report))
    }

    /// A thread that takes a turn `every` so long, by these clocks.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(mut self, every: Duration, clocks: impl Fn() -> Clocks + Send + 'static) -> io::Result<KeeperThread> {
        let (sender, ended) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("retention".to_owned())
            .spawn(move || {
                loop {
                    match catch_unwind(AssertUnwindSafe(|| self.turn(clocks()))) {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => {
                            tracing::error!(%error, "retention rules could not run; tried again in a minute")
                        }
                        Err(_) => tracing::error!("a fault of ours in the retention rules; tried again in a minute"),
                    }
                    if ended.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(KeeperThread {
            ended: Some(sender),
            thread: Some(thread),
        })
    }
}
