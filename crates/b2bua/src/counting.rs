//! How many messages mailboxes hold, on a thread of its own: asked for, and told unasked whenever any process has changed one.

use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use segue_mailbox::Waiting;
use segue_records::Happening;
use segue_registrar::mwi::{Count, Summary};
use segue_store::{Follower, Store, StoreError};
use tokio::sync::mpsc;

use crate::keeping::Learnt;

/// How often it is looked whether any process has committed something.
const EVERY: Duration = Duration::from_millis(50);
/// The same after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Changes read at a time.
const AT_ONCE: u32 = 500;

/// Whose messages are to be counted.
#[derive(Debug, Default)]
struct Wanted {
    users: BTreeSet<String>,
    is_last: bool,
}

/// Handle of the thread.
pub(crate) struct Counting {
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Counting {
    /// Follows what happens from now on.
    pub fn start(store: Store, notes: mpsc::Sender<Learnt>) -> Result<Counting, StoreError> {
        let follower = store.follow(store.last_change()?)?;
        let wanted = Arc::<(Mutex<Wanted>, Condvar)>::default();
        let shared = Arc::clone(&wanted);
        let thread = thread::Builder::new()
            .name("counting".to_owned())
            .spawn(move || count(&store, follower, &shared, &notes))
            .map_err(|e| StoreError::Io(e.to_string()))?;
        Ok(Counting { wanted, thread })
    }

    /// Counts a subscriber's messages as soon as can be.
    pub fn want(&self, user: String) {
        let (wanted, wake) = &*self.wanted;
        wanted.lock().unwrap_or_else(PoisonError::into_inner).users.insert(user);
        wake.notify_one();
    }

    /// Ends. The shard's end of the notes is gone by then.
    pub fn finish(self) {
        let (wanted, wake) = &*self.wanted;
        wanted.lock().unwrap_or_else(PoisonError::into_inner).is_last = true;
        wake.notify_one();
        // A thread that panicked has nothing left to tell.
        let _ = self.thread.join();
    }
}

fn count(store: &Store, mut follower: Follower, shared: &(Mutex<Wanted>, Condvar), notes: &mpsc::Sender<Learnt>) {
    let mut left = BTreeSet::new();
    let mut wait = EVERY;
    loop {
        {
            let (wanted, wake) = shared;
            let wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = |wanted: &mut Wanted| wanted.users.is_empty() && !wanted.is_last;
            let waited = wake.wait_timeout_while(wanted, wait, idle);
            let (mut wanted, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if wanted.is_last {
                return;
            }
            left.append(&mut wanted.users);
        }
        match tell(store, &mut follower, &mut left, notes) {
            Ok(()) => wait = EVERY,
            Err(error) => {
                if wait == EVERY {
                    tracing::error!(%error, "messages cannot be counted for those who are told of them; it is tried again");
                }
                wait = AGAIN_AFTER;
            }
        }
    }
}

/// Counts what is wanted and what has changed. Who was told is left no longer.
fn tell(
    store: &Store,
    follower: &mut Follower,
    left: &mut BTreeSet<String>,
    notes: &mpsc::Sender<Learnt>,
) -> Result<(), StoreError> {
    left.extend(
        follower
            .poll(AT_ONCE)?
            .into_iter()
            .filter_map(|change| mailbox(change.event.what)),
    );
    while let Some(user) = left.first() {
        let summary = summary(store.waiting(user)?);
        let Some(user) = left.pop_first() else { break };
        // Nobody listens any more: the end follows.
        if notes.blocking_send(Learnt::Waiting(user, summary)).is_err() {
            left.clear();
        }
    }
    Ok(())
}

fn mailbox(what: Happening) -> Option<String> {
    match what {
        Happening::MessageCommitted(message)
        | Happening::MessageHeard(message)
        | Happening::MessageUnheard(message)
        | Happening::MessageRestored(message)
        | Happening::MessageDeleted { message, .. } => Some(message.mailbox),
        _ => None,
    }
}

/// As phones are told.
fn summary(waiting: Waiting) -> Summary {
    let count = |count: segue_mailbox::Count| Count {
        new: count.new,
        old: count.old,
        urgent_new: count.urgent_new,
        urgent_old: count.urgent_old,
    };
    Summary {
        voice: count(waiting.voice),
        video: count(waiting.video),
    }
}
