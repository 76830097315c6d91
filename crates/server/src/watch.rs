//! Everybody who follows what happens gets it from here: `/events`, the metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use segue_b2bua::Watch;
use segue_records::{CallRecord, Event, Happening, UnixMs};
use segue_store::{Follower, Store, StoreError};
use segue_web::Hub;

use crate::metrics::Metrics;

/// How often it is looked whether any process has committed something.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same after a failure.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Changes read at a time.
const AT_ONCE: u32 = 500;

/// Hands on what happens. Cheap to clone.
#[derive(Clone)]
pub struct Watcher {
    /// Those who follow `/events`.
    pub hub: Hub,
    /// Those who ask `/metrics`.
    pub metrics: Metrics,
}

impl Watcher {
    /// Nobody follows yet. `change`: the place of the store's newest change.
    pub fn new(change: i64) -> Watcher {
        Watcher {
            // Moments differ from run to run; two runs within a millisecond do not share a data directory.
            hub: Hub::new(&format!("{:x}", now().0), change),
            metrics: Metrics::new(),
        }
    }

    /// Something happened to the server itself.
    pub fn server(&self, what: Happening) {
        self.event(Event::of_the_server(now(), what));
    }
}

impl Watch for Watcher {
    fn event(&self, event: Event) {
        self.metrics.event(&event);
        self.hub.publish(&event);
    }

    fn refused(&self, status: Option<u16>) {
        self.metrics.refused(status);
    }

    fn ended(&self, record: &CallRecord) {
        self.metrics.ended(record);
    }

    fn unkept(&self) {
        self.metrics.unkept();
    }
}

/// The thread that follows what any process does to messages.
pub struct Changes {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Changes {
    /// Follows the store's changes after a place.
    pub fn follow(store: &Store, after: i64, watcher: Watcher) -> Result<Changes, StoreError> {
        let follower = store.follow(after)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("changes".to_owned())
            .spawn(move || look(follower, &watcher, &stopped))
            .map_err(|e| StoreError::Io(e.to_string()))?;
        Ok(Changes { stop, thread })
    }

    /// Tells what was committed up to now, then ends.
    pub fn finish(self) {
        self.stop.store(true, Relaxed);
        // A thread that panicked has nothing left to tell.
        let _ = self.thread.join();
    }
}

fn look(mut follower: Follower, watcher: &Watcher, stopped: &AtomicBool) {
    let mut failed = false;
    loop {
        let last = stopped.load(Relaxed);
        match follower.poll(AT_ONCE) {
            Ok(changes) if changes.is_empty() => {
                if last {
                    return;
                }
                failed = false;
                thread::sleep(LOOK_EVERY);
            }
            Ok(changes) => {
                for change in &changes {
                    watcher.metrics.event(&change.event);
                    watcher.hub.publish_change(change);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    tracing::error!(%error, "what happens to messages cannot be followed; it is tried again");
                }
                if last {
                    return;
                }
                thread::sleep(LOOK_AGAIN_AFTER);
            }
        }
    }
}

/// Wall clock, for what is written down.
pub fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixMs(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
