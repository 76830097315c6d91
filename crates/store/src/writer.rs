//! The one writer: a thread that lets several queued writes share one transaction, and so one sync to disk.
//!
//! Each write runs inside its own savepoint and gets its own result, but only after the COMMIT that carries it: a write
//! that was answered `Ok` is on the disk.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tracing::{error, warn};

use crate::{
    StoreError,
    blobs::{BlobId, Blobs},
    stats::{Counters, Stats},
};

/// Writes that may wait. A caller beyond that waits for a place ([`Writer::write`]) or is refused ([`Writer::submit`]).
/// Room for the calls that end while a slow disk syncs for seconds.
const QUEUE_MAX: usize = 4096;

/// How long a write that nobody waits for lets others join it, so that many share one sync.
const LINGER: Duration = Duration::from_millis(100);

/// Writes in one transaction.
const BATCH_MAX: usize = 64;

/// Bytes of media in one transaction.
pub(crate) const TRANSACTION_BYTES_MAX: usize = 1024 * 1024;

/// Free pages that stay in the file for reuse (4 MiB).
const FREE_PAGES_KEPT: i64 = 512;

/// Bytes of a page (`schema.rs`).
const PAGE_BYTES: u64 = 8192;

/// The file is given back in steps of this many pages, so that a write never waits long for it.
const VACUUM_PAGES: i64 = 256;

/// How long the writer must have been idle before it gives back space.
const VACUUM_IDLE: Duration = Duration::from_secs(1);

/// One queued write.
trait Work: Send {
    /// Bytes of media that it brings.
    fn weight(&self) -> usize;
    /// Whether nobody waits for it.
    fn is_patient(&self) -> bool;
    /// Does it, inside a transaction.
    fn run(&mut self, conn: &Connection) -> Result<(), StoreError>;
    /// Answers whoever asked, after the transaction.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Task<F, T, D> {
    weight: usize,
    is_patient: bool,
    work: Option<F>,
    value: Option<T>,
    done: D,
}

impl<F, T, D> Work for Task<F, T, D>
where
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
    T: Send,
    D: FnOnce(Result<T, StoreError>) + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn is_patient(&self) -> bool {
        self.is_patient
    }

    fn run(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let work = self.work.take().ok_or(StoreError::Stopped)?;
        self.value = Some(work(conn)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Task { value, done, .. } = *self;
        done(committed.and_then(|()| value.ok_or(StoreError::Stopped)));
    }
}

/// Handle of the writer thread. Dropping it lets the queue run empty, then ends the thread.
pub(crate) struct Writer {
    queue: Option<SyncSender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl Writer {
    /// Starts the thread on its own connection. When nothing waits it removes the files of dropped bytes.
    pub(crate) fn start(conn: Connection, blobs: Arc<Blobs>) -> Result<Writer, StoreError> {
        let (queue, inbox) = sync_channel(QUEUE_MAX);
        let counters = Arc::<Counters>::default();
        let counted = Arc::clone(&counters);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                serve(&conn, &inbox, &blobs, &counted);
                // Nothing comes any more: all of them.
                unlink_dropped(&conn, &inbox, &mut None, &blobs, &counted);
            })
            .map_err(|e| StoreError::Io(e.to_string()))?;
        Ok(Writer {
            queue: Some(queue),
            thread: Some(thread),
            counters,
        })
    }

    /// What has been written so far.
    pub(crate) fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Does one write and waits until it is committed.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_bytes(0, work)
    }

    /// The same for a write that brings `weight` bytes of media.
    pub(crate) fn write_bytes<T: Send + 'static>(
        &self,
        weight: usize,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        let done = move |result| {
            let _ = reply.send(result);
        };
        let task = Task {
            weight,
            is_patient: false,
            work: Some(work),
            value: None,
            done,
        };
        let queue = self.queue.as_ref().ok_or(StoreError::Stopped)?;
        self.counters.queued.fetch_add(1, Relaxed);
        queue.send(Box::new(task)).map_err(|_| StoreError::Stopped)?;
        answer.recv().map_err(|_| StoreError::Stopped)?
    }

    /// Queues one write and returns at once; `done` runs on the writer thread after the commit, which may wait for others to
    /// share it.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let task = Task {
            weight: 0,
            is_patient: true,
            work: Some(work),
            value: None,
            done,
        };
        let queue = self.queue.as_ref().ok_or(StoreError::Stopped)?;
        self.counters.queued.fetch_add(1, Relaxed);
        queue.try_send(Box::new(task)).map_err(|e| {
            self.counters.queued.fetch_sub(1, Relaxed);
            match e {
                TrySendError::Full(_) => StoreError::QueueFull,
                TrySendError::Disconnected(_) => StoreError::Stopped,
            }
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A `done` may hold the last handle of the store: the thread cannot wait for itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                error!("the store's writer thread had panicked");
            }
        }
    }
}

fn serve(conn: &Connection, inbox: &Receiver<Box<dyn Work>>, blobs: &Blobs, counters: &Counters) {
    let mut carried = None;
    let mut tidy = false;
    loop {
        let first = match carried.take() {
            Some(work) => work,
            None if tidy => match inbox.recv_timeout(VACUUM_IDLE) {
                Ok(work) => work,
                Err(RecvTimeoutError::Timeout) => {
                    tidy = unlink_dropped(conn, inbox, &mut carried, blobs, counters)
                        || give_back_space(conn, inbox, &mut carried, counters);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            },
            None => match inbox.recv() {
                Ok(work) => work,
                Err(_) => return,
            },
        };
        transaction(conn, gather(first, inbox), inbox, &mut carried, counters);
        tidy = true;
    }
}

/// `first` and, while nobody waits for any of them, what joins it within [`LINGER`].
fn gather(first: Box<dyn Work>, inbox: &Receiver<Box<dyn Work>>) -> VecDeque<Box<dyn Work>> {
    let until = Instant::now() + LINGER;
    let mut works = VecDeque::from([first]);
    while works.len() < BATCH_MAX && works.back().is_some_and(|work| work.is_patient()) {
        match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(work) => works.push_back(work),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    works
}

/// One transaction: `works`, then whatever waits, within the bounds. What does not fit is carried to the next.
fn transaction(
    conn: &Connection,
    mut works: VecDeque<Box<dyn Work>>,
    inbox: &Receiver<Box<dyn Work>>,
    carried: &mut Option<Box<dyn Work>>,
    counters: &Counters,
) {
    if let Err(e) = conn.execute_batch("BEGIN IMMEDIATE") {
        counters.failed(works.len());
        for work in works {
            work.finish(Err(StoreError::from(&e)));
        }
        return;
    }
    let mut weight = 0_usize;
    let mut finished: Vec<(Box<dyn Work>, Result<(), StoreError>)> = Vec::new();
    let mut next = works.pop_front();
    while let Some(mut work) = next.take() {
        weight = weight.saturating_add(work.weight());
        let result = in_savepoint(conn, work.as_mut());
        // After a full disk or an I/O error SQLite may have rolled back everything, not only the savepoint.
        let lost = conn.is_autocommit();
        if lost {
            let why = result.as_ref().err().cloned().unwrap_or(StoreError::Stopped);
            for (_, earlier) in &mut finished {
                *earlier = earlier.clone().and(Err(why.clone()));
            }
            finished.push((work, Err(why.clone())));
            finished.extend(works.drain(..).map(|work| (work, Err(why.clone()))));
            break;
        }
        finished.push((work, result));
        next = works.pop_front();
        if next.is_none() && finished.len() < BATCH_MAX {
            match inbox.try_recv() {
                Ok(work) if weight.saturating_add(work.weight()) <= TRANSACTION_BYTES_MAX => next = Some(work),
                Ok(work) => *carried = Some(work),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
            }
        }
    }
    let began = Instant::now();
    let lost = conn.is_autocommit();
    let committed = if lost { Ok(()) } else { commit(conn) };
    match committed {
        Ok(()) if !lost => counters.committed(began.elapsed(), finished.len()),
        Ok(()) | Err(_) => counters.failed(finished.len()),
    }
    for (work, result) in finished {
        work.finish(result.and(committed.clone()));
    }
}

fn in_savepoint(conn: &Connection, work: &mut dyn Work) -> Result<(), StoreError> {
    conn.execute_batch("SAVEPOINT one")?;
    let result = catch_unwind(AssertUnwindSafe(|| work.run(conn))).unwrap_or_else(|_| {
        error!("a write to the store panicked; it is rolled back");
        Err(StoreError::Sql("the write panicked".to_owned()))
    });
    match result {
        Ok(()) => conn.execute_batch("RELEASE one").map_err(StoreError::from),
        Err(e) => {
            if !conn.is_autocommit() {
                conn.execute_batch("ROLLBACK TO one; RELEASE one")?;
            }
            Err(e)
        }
    }
}

fn commit(conn: &Connection) -> Result<(), StoreError> {
    conn.execute_batch("COMMIT").map_err(|e| {
        error!(error = %e, "a transaction could not be committed; everything in it failed");
        if !conn.is_autocommit() && conn.execute_batch("ROLLBACK").is_err() {
            warn!("the rollback after it failed too");
        }
        StoreError::from(e)
    })
}

/// Removes the files of dropped bytes until something waits: then it is `carried`, and there may be more to do.
fn unlink_dropped(
    conn: &Connection,
    inbox: &Receiver<Box<dyn Work>>,
    carried: &mut Option<Box<dyn Work>>,
    blobs: &Blobs,
    counters: &Counters,
) -> bool {
    let mut after = BlobId(0);
    loop {
        match blobs.unlink_dropped(conn, after) {
            Ok(None) => return false,
            Ok(Some(unlinked)) => {
                counters.freed(unlinked.bytes);
                after = unlinked.last;
            }
            Err(error) => {
                warn!(%error, "files of deleted media were not removed; tried again later");
                return false;
            }
        }
        if let Ok(work) = inbox.try_recv() {
            *carried = Some(work);
            return true;
        }
    }
}

/// Shrinks the file by a step when nothing waits. Whether there is more to do.
fn give_back_space(
    conn: &Connection,
    inbox: &Receiver<Box<dyn Work>>,
    carried: &mut Option<Box<dyn Work>>,
    counters: &Counters,
) -> bool {
    loop {
        match inbox.try_recv() {
            Ok(work) => {
                *carried = Some(work);
                return true;
            }
            Err(TryRecvError::Disconnected) => return false,
            Err(TryRecvError::Empty) => {}
        }
        let free: i64 = conn
            .query_row("PRAGMA freelist_count", [], |row| row.get(0))
            .unwrap_or(0);
        if free <= FREE_PAGES_KEPT {
            return false;
        }
        let pages = VACUUM_PAGES.min(free.saturating_sub(FREE_PAGES_KEPT));
        if let Err(e) = conn.execute_batch(&format!("PRAGMA incremental_vacuum({pages})")) {
            warn!(error = %e, "free space of the database was not given back; tried again later");
            return false;
        }
        counters.freed(u64::try_from(pages).unwrap_or(0).saturating_mul(PAGE_BYTES));
    }
}
