//! Registrations, and how long accounts have called, on the disk, on a thread of its own: written together a few times a second, and what commands have changed is read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use segue_policy::Trunk;
use segue_records::{RegistrationRecord, UnixMs};
use segue_registrar::mwi::Summary;
use segue_store::{KeptTrunk, KeptTrunks, Removal, Spent, Store, StoreError};
use tokio::sync::mpsc;

use crate::{
    TrunkSetup,
    counting::Counting,
    registrations::{Directory, Unseal},
};

/// How long a registration may wait for others before all are written, and how often it is looked what commands did.
const EVERY: Duration = Duration::from_millis(250);
/// The same after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Notes that wait for the shard; beyond it the thread waits.
const NOTES_MAX: usize = 16;

/// What the shard is told.
#[derive(Debug)]
pub(crate) enum Learnt {
    /// Subscribers have changed.
    Directory(Directory),
    /// A command wants these gone.
    Removal(Removal),
    /// How many messages a subscriber has.
    Waiting(String, Summary),
    /// Trunks that commands have added have changed.
    Trunks(Vec<TrunkSetup>),
    /// A trunk is to be asked anew.
    AskTrunk(String),
}

/// What is there at the start.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub directory: Directory,
    pub registrations: Vec<RegistrationRecord>,
    pub spent: Vec<Spent>,
    pub trunks: Vec<TrunkSetup>,
}

/// What is still to be written, by subscriber.
#[derive(Debug, Default)]
struct Pending {
    changed: BTreeMap<String, Vec<RegistrationRecord>>,
    spent: BTreeMap<String, Spent>,
    is_last: bool,
}

/// Handle of the thread.
pub(crate) struct Keeping {
    pending: Arc<(Mutex<Pending>, Condvar)>,
    thread: JoinHandle<()>,
    counting: Counting,
}

impl Keeping {
    /// Reads what is there, then keeps it true.
    pub fn start(store: Store, keys: Arc<dyn Unseal>) -> Result<(Keeping, Kept, mpsc::Receiver<Learnt>), StoreError> {
        // What was wanted gone while nobody served is gone.
        store.take_removals()?;
        let listed = store.directory()?;
        let version = listed.version;
        let trunks = store.trunks()?;
        let versions = (version, trunks.version);
        let kept = Kept {
            trunks: setups(trunks, &*keys),
            directory: Directory::of(listed, &*keys),
            registrations: store.registrations(None, wall())?,
            spent: store.spent()?,
        };
        let pending = Arc::<(Mutex<Pending>, Condvar)>::default();
        let (notes, end) = mpsc::channel(NOTES_MAX);
        let shared = Arc::clone(&pending);
        let counting = Counting::start(store.clone(), notes.clone())?;
        let thread = thread::Builder::new()
            .name("registrations".to_owned())
            .spawn(move || keep(&store, &*keys, &shared, &notes, versions))
            .map_err(|e| StoreError::Io(e.to_string()))?;
        let keeping = Keeping {
            pending,
            thread,
            counting,
        };
        Ok((keeping, kept, end))
    }

    /// Writes a subscriber's registrations soon: all there are now.
    pub fn save(&self, user: String, registrations: Vec<RegistrationRecord>) {
        let (pending, _) = &*self.pending;
        let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.changed.insert(user, registrations);
    }

    /// Writes soon how long an account has called today.
    pub fn spend(&self, spent: Spent) {
        let (pending, _) = &*self.pending;
        let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.spent.insert(spent.account.clone(), spent);
    }

    /// Counts a subscriber's messages as soon as can be.
    pub fn count(&self, user: String) {
        self.counting.want(user);
    }

    /// Writes what is left and ends. The shard's end of the notes is gone by then.
    pub fn finish(self) {
        let (pending, wake) = &*self.pending;
        pending.lock().unwrap_or_else(PoisonError::into_inner).is_last = true;
        wake.notify_one();
        // A thread that panicked has nothing left to write.
        let _ = self.thread.join();
        self.counting.finish();
    }
}

fn keep(
    store: &Store,
    keys: &dyn Unseal,
    shared: &(Mutex<Pending>, Condvar),
    notes: &mpsc::Sender<Learnt>,
    mut versions: (i64, i64),
) {
    let mut wait = EVERY;
    loop {
        let (changed, spent, is_last) = {
            let (pending, wake) = shared;
            let pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = wake.wait_timeout_while(pending, wait, |pending| !pending.is_last);
            let (mut pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let pending = &mut *pending;
            let changed = std::mem::take(&mut pending.changed);
            (changed, std::mem::take(&mut pending.spent), pending.is_last)
        };
        wait = EVERY;
        if !changed.is_empty()
            && let Err(error) = store.save_registrations(changed.clone().into_iter().collect())
        {
            tracing::error!(%error, "registrations could not be kept: it is tried again");
            put_back(shared, changed);
            wait = AGAIN_AFTER;
        }
        if !spent.is_empty()
            && let Err(error) = store.save_spent(spent.clone().into_values().collect())
        {
            tracing::error!(%error, "how long accounts have called could not be kept: it is tried again");
            let mut pending = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (account, before) in spent {
                pending.spent.entry(account).or_insert(before);
            }
            wait = AGAIN_AFTER;
        }
        if is_last {
            return;
        }
        match learn(store, keys, &mut versions) {
            Ok(learnt) => {
                for note in learnt {
                    // Nobody listens any more: the last writing follows.
                    if notes.blocking_send(note).is_err() {
                        break;
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "what has changed of subscribers cannot be read: it is tried again");
                wait = AGAIN_AFTER;
            }
        }
    }
}

/// What was not written waits, unless something newer does.
fn put_back(shared: &(Mutex<Pending>, Condvar), changed: BTreeMap<String, Vec<RegistrationRecord>>) {
    let mut pending = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    for (user, registrations) in changed {
        pending.changed.entry(user).or_insert(registrations);
    }
}

fn learn(store: &Store, keys: &dyn Unseal, (version, trunks): &mut (i64, i64)) -> Result<Vec<Learnt>, StoreError> {
    let mut learnt = Vec::new();
    if store.directory_version()? != *version {
        let listed = store.directory()?;
        *version = listed.version;
        learnt.push(Learnt::Directory(Directory::of(listed, keys)));
    }
    learnt.extend(store.take_removals()?.into_iter().map(Learnt::Removal));
    if store.trunks_version()? != *trunks {
        let kept = store.trunks()?;
        *trunks = kept.version;
        learnt.push(Learnt::Trunks(setups(kept, keys)));
    }
    learnt.extend(store.take_asked_trunks()?.into_iter().map(Learnt::AskTrunk));
    Ok(learnt)
}

/// Trunks as they were added; one that cannot be read, or whose password cannot be opened, is left out.
fn setups(kept: KeptTrunks, keys: &dyn Unseal) -> Vec<TrunkSetup> {
    let one = |kept: KeptTrunk| {
        let name = kept.name;
        let trunk: Trunk = match serde_json::from_str(&kept.settings) {
            Ok(trunk) => trunk,
            Err(why) => {
                tracing::error!(trunk = name, %why, "a trunk cannot be read: remove it by 'segue trunk remove' and add it anew");
                return None;
            }
        };
        let open = |sealed: &Vec<u8>| keys.unseal(&trunk_key(&name), TRUNK_REALM, sealed);
        let password = kept.sealed.as_ref().map(open);
        if let Some(None) = password {
            tracing::error!(
                trunk = name,
                "the password of a trunk cannot be opened: set it again by 'segue trunk set NAME --password-file'"
            );
            return None;
        }
        Some(TrunkSetup::new(trunk, password.flatten()))
    };
    kept.trunks.into_iter().filter_map(one).collect()
}

/// For whom a trunk's password is sealed …
pub fn trunk_key(name: &str) -> String {
    format!("trunk {name}")
}

/// … and for what.
pub const TRUNK_REALM: &str = "trunk";

fn wall() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixMs(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
