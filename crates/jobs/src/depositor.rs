//! The threads that turn recordings into messages, and the salvage of what a crash left.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use segue_mailbox::MediaState;
use segue_store::Store;

use crate::deposit::{self, Context, DepositError, DepositOutcome};
use crate::pool::WorkerPool;
use crate::preview::{self, Preview};
use crate::recording::{self, Recording};
use crate::stats::{DepositCounters, DepositStats};
use crate::work;

/// Recordings that wait; beyond it a recording is tried again later.
const WAITING_MAX: usize = 4096;
/// A recording that could not be stored (a full disk, a busy store) is tried again this often while the server runs.
const AGAIN_EVERY: Duration = Duration::from_secs(60);
/// A spool that is neither written nor asked for after this long is left.
const LEFT_AFTER: Duration = Duration::from_secs(120);
/// Raw messages tried at one start.
const RAW_MAX: u32 = 1000;

/// Gets the outcome, on a thread of the depositor.
type Done = Box<dyn FnOnce(Result<DepositOutcome, DepositError>) + Send>;

/// Gets a recording as a clip, likewise.
type Shown = Box<dyn FnOnce(Result<Preview, String>) + Send>;

enum Order {
    Deposit { id: String, urgent: bool, done: Done },
    Discard(String),
    Preview(String, Shown),
}

/// Takes recordings that ended, one after the other, as many at a time as the pool has workers.
pub struct Depositor {
    orders: SyncSender<Order>,
    threads: Vec<JoinHandle<()>>,
    waiting: Arc<AtomicUsize>,
    counters: Arc<DepositCounters>,
    /// Dropped, it ends the thread that tries again.
    _again: mpsc::Sender<()>,
    cx: Context,
}

impl Depositor {
    /// Starts the threads. Spools are `<spool_dir>/<message id>.spool`; the folder is made if missing.
    ///
    /// # Errors
    /// When the folder or a thread cannot be made.
    pub fn start(store: Store, pool: WorkerPool, spool_dir: PathBuf) -> io::Result<Depositor> {
        std::fs::create_dir_all(&spool_dir)?;
        work::sweep(store.data_dir());
        let (orders, queue) = mpsc::sync_channel(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let waiting = Arc::new(AtomicUsize::new(0));
        let counters = Arc::<DepositCounters>::default();
        let cx = Context {
            store,
            pool,
            spool_dir,
            later: Arc::default(),
            held: Arc::default(),
            salvaging: Arc::default(),
        };
        let mut threads = Vec::new();
        for index in 0..cx.pool.size() {
            let (cx, queue, waiting) = (cx.clone(), Arc::clone(&queue), Arc::clone(&waiting));
            let counters = Arc::clone(&counters);
            let run = move || perform(&cx, &queue, &waiting, &counters);
            threads.push(
                std::thread::Builder::new()
                    .name(format!("deposit-{index}"))
                    .spawn(run)?,
            );
        }
        let (again, ended) = mpsc::channel::<()>();
        let (retrying, at_work) = (cx.clone(), Arc::clone(&waiting));
        // Not waited for at shutdown: what it has not done stays for the next start.
        std::thread::Builder::new()
            .name("deposit-again".to_owned())
            .spawn(move || {
                while ended.recv_timeout(AGAIN_EVERY) == Err(RecvTimeoutError::Timeout) {
                    // What waits has an owner.
                    if at_work.load(Ordering::Relaxed) == 0 {
                        find_left(&retrying, LEFT_AFTER);
                    }
                    try_again(&retrying);
                }
            })?;
        Ok(Depositor {
            orders,
            threads,
            waiting,
            counters,
            _again: again,
            cx,
        })
    }

    /// The caller of this synced recording looks at it: until it is deposited or discarded it is left alone.
    pub fn hold(&self, message_id: &str) {
        self.cx.hold(message_id);
    }

    /// Makes the synced recording of this id a clip, for its caller alone. `shown` is called once, from another thread. Never blocks.
    pub fn preview(&self, message_id: &str, shown: Shown) {
        self.order(Order::Preview(message_id.to_owned(), shown));
    }

    /// Makes the synced recording of this id a message. `done` is called once, from another thread; `Ok(Stored)` is the acknowledgement.
    /// Never blocks.
    pub fn deposit(&self, message_id: &str, urgent: bool, done: Done) {
        self.order(Order::Deposit {
            id: message_id.to_owned(),
            urgent,
            done,
        });
    }

    /// Drops the synced recording of this id. Never blocks.
    pub fn discard(&self, message_id: &str) {
        self.order(Order::Discard(message_id.to_owned()));
    }

    /// Recordings since the start, by what became of them.
    pub fn stats(&self) -> DepositStats {
        self.counters.read(self.waiting())
    }

    /// Recordings that wait or are at work.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes up what was left at the last end: spools that nobody finalised, and messages that are stored raw. Call it once at start, before
    /// calls are taken: every spool there is then has no owner. The work is done in the background, after new recordings where both wait.
    ///
    /// # Errors
    /// When the spool folder cannot be read or a thread not be made.
    pub fn salvage(&self) -> io::Result<()> {
        let left = recording::ids(&self.cx.spool_dir)?;
        let cx = self.cx.clone();
        // Not waited for at shutdown: what it has not done stays for the next start.
        std::thread::Builder::new().name("salvage".to_owned()).spawn(move || {
            let _alone = cx.salvaging.lock().unwrap_or_else(PoisonError::into_inner);
            for id in left {
                salvage(&cx, &id);
            }
            refine_all(&cx);
        })?;
        Ok(())
    }

    /// Tries again what could not be stored, and what nobody has written or asked for since `after`; as is done each minute. Blocks until
    /// it is done.
    pub fn try_again(&self, after: Duration) {
        find_left(&self.cx, after);
        try_again(&self.cx);
    }

    /// Finishes what waits, then ends the threads.
    pub fn shutdown(self) {
        drop(self.orders);
        for thread in self.threads {
            // A thread that panicked has nothing left to finish.
            let _ = thread.join();
        }
    }

    fn order(&self, order: Order) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) = self.orders.try_send(order) else {
            return;
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match order {
            Order::Deposit { id, done, .. } => {
                tracing::error!(
                    message_id = id,
                    "too many recordings wait; this one is tried again later"
                );
                self.cx.let_go(&id);
                self.cx.try_later(&id);
                done(Err(DepositError::Overload));
            }
            Order::Preview(_, shown) => shown(Err("too many recordings wait".to_owned())),
            Order::Discard(_) => {}
        }
    }
}

fn perform(cx: &Context, queue: &Mutex<Receiver<Order>>, waiting: &AtomicUsize, counters: &DepositCounters) {
    loop {
        // One thread waits in recv with the lock; the others wait for the lock.
        let order = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match order {
            Ok(Order::Preview(id, shown)) => {
                let made = catch_unwind(AssertUnwindSafe(|| preview::prepare(cx, &id)));
                shown(made.unwrap_or_else(|_| Err("a fault of ours".to_owned())));
            }
            Ok(Order::Deposit { id, urgent, done }) => {
                cx.let_go(&id);
                // Its call waits for `done`, whatever happens.
                let outcome = catch_unwind(AssertUnwindSafe(|| deposit::deposit(cx, &id, urgent)));
                let outcome = outcome.unwrap_or(Err(DepositError::Fault));
                let counter = match &outcome {
                    Ok(DepositOutcome::Stored(message)) if message.media_state == MediaState::Raw => &counters.raw,
                    Ok(DepositOutcome::Stored(_)) => &counters.ready,
                    Ok(_) => &counters.dropped,
                    Err(_) => &counters.failed,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                match &outcome {
                    Ok(DepositOutcome::Stored(message)) => {
                        tracing::info!(
                            sip_call_id = message.sip_call_id,
                            message_id = id,
                            duration_ms = message.duration_ms,
                            "message committed"
                        );
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(message_id = id, %error, "a recording is no message yet");
                        cx.failed(&id, error);
                    }
                }
                done(outcome);
            }
            Ok(Order::Discard(id)) => {
                counters.dropped.fetch_add(1, Ordering::Relaxed);
                cx.let_go(&id);
                deposit::discard(cx, &id);
            }
            Err(_) => return,
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Spools that nobody writes or asks for any more: their call, or the disk, broke off. They are tried with the others.
fn find_left(cx: &Context, after: Duration) {
    let ids = recording::ids(&cx.spool_dir).unwrap_or_else(|error| {
        tracing::error!(%error, "the spools cannot be listed");
        Vec::new()
    });
    for id in ids {
        if !cx.is_held(&id) && recording::is_left(&recording::path(&cx.spool_dir, &id), after) {
            cx.try_later(&id);
        }
    }
}

/// In the order of their ids, until one fails again: what keeps one from being stored keeps the others.
fn try_again(cx: &Context) {
    let Ok(_alone) = cx.salvaging.try_lock() else { return };
    for id in cx.take_later() {
        if cx.later_is_empty() {
            salvage(cx, &id);
        } else {
            cx.try_later(&id);
        }
    }
}

fn salvage(cx: &Context, id: &str) {
    let path = recording::path(&cx.spool_dir, id);
    match Recording::read(&path) {
        Ok(Some(recording)) if recording.too_short() => {
            tracing::info!(message_id = id, "a short recording that was left is dropped");
            deposit::discard(cx, id);
        }
        Ok(Some(_)) => match deposit::deposit(cx, id, false) {
            Ok(outcome) => tracing::info!(message_id = id, ?outcome, "a recording that was left is salvaged"),
            Err(error) => {
                tracing::error!(message_id = id, %error, "a recording that was left cannot be salvaged yet");
                cx.failed(id, &error);
            }
        },
        Ok(None) => {
            // Cut before its manifest was whole: nobody can own it.
            tracing::info!(message_id = id, "a spool without manifest is dropped");
            deposit::discard(cx, id);
        }
        Err(error) => tracing::error!(path = %path.display(), %error, "a spool cannot be read"),
    }
}

fn refine_all(cx: &Context) {
    let raw = cx.store.raw_messages(RAW_MAX).unwrap_or_else(|error| {
        tracing::error!(%error, "raw messages cannot be listed");
        Vec::new()
    });
    for message in raw {
        match deposit::refine(cx, &message) {
            Ok(true) => tracing::info!(message_id = message.id, "a raw message is finalised"),
            Ok(false) => {}
            Err(error) => tracing::error!(message_id = message.id, %error, "a raw message cannot be finalised"),
        }
    }
}
