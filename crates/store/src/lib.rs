//! The only SQL: SQLite. `<data>/segue.db` is the whole state, but for media that is kept in files under `<data>/media`.
//!
//! - [`Store`] is a handle: cheap to clone, usable from any thread. Writes go through one thread that shares syncs
//!   (`writer.rs`); a write that returned `Ok` is on the disk. Reads see one snapshot each.
//! - Several processes work on one file: the server ([`Store::open_server`]) and commands ([`Store::open`]). What a
//!   command has committed, the server's next read sees.
//! - Bytes of media are brought in ahead, into the database or into files beside it ([`MediaStore`]); the transaction that stores a message links them, the
//!   row and its notice at once ([`Store::deposit`]). A crash before it leaves no message, one after it a whole one.
//! - Adding a table: a step in `migrations.rs`; `schema.rs` describes every table.

mod audit;
mod blobs;
mod calls;
mod calls_between;
mod changes;
mod clips;
mod deposit;
mod error;
mod groups;
mod identities;
mod leases;
mod looking;
mod mailbox_pages;
mod message_changes;
mod messages;
mod migrations;
mod names;
mod notices;
mod own_clips;
mod pins;
#[cfg(test)]
mod plans;
mod readers;
mod record_files;
mod refused;
mod registrations;
mod retention;
mod rules;
mod schema;
mod stats;
mod subscribers;
mod tokens;
mod trunks;
mod uploads;
mod waiting;
mod writer;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::Connection;
use segue_mailbox::Retention;

pub use audit::{Deed, Done};
pub use calls::CallsOfHour;
pub use calls_between::{Begins, Begun, CallsSought};
pub use changes::{Change, Follower};
pub use clips::{ClipUsed, ClipUsedAs, NewClip, NewRendition};
pub use deposit::{Deposit, Deposited, MediaSource};
pub use error::StoreError;
pub use groups::{Group, MEMBERS_MAX};
pub use identities::{Identity, NewSession, Role, SecretHash, Session};
pub use looking::{LOOKED_AT_MAX, Looked};
pub use mailbox_pages::{MediaFile, MessageQuery, MessageRow};
pub use message_changes::MessageChanges;
pub use messages::Exported;
pub use notices::{Attempt, Delivery, DeliveryState, Due, NoticeCounts, WhichDeliveries};
pub use pins::{PinGate, PinState};
pub use record_files::{Committed, Kept, REJECTED_MAX, Unreadable};
pub use refused::REFUSED_MAX;
pub use registrations::{Directory, Listed, Removal, Spent};
pub use retention::{AuditRow, ChangedRules, Deleted, Fate, Foreseen, MarkOutcome, Reserve, Rules, RunReport};
pub use schema::{VERSION, version};
pub use stats::{COMMIT_US, Space, Stats};
pub use subscribers::{Found, NewProofs, NewSubscriber};
pub use tokens::{ApiToken, TOKENS_MAX};
pub use trunks::{KeptTrunk, KeptTrunks};
pub use uploads::{UPLOAD_KEPT_MS, UPLOADED_MAX, UPLOADS_MAX, UPLOADS_OF_ONE_MAX, Upload, UploadFile, UploadState};

pub use blobs::MediaStore;
use blobs::{Blobs, Stager};
use readers::Readers;
use retention::Reservations;
use writer::Writer;

/// Held by the server that works on a data directory.
const LOCK_FILE: &str = "server.lock";

/// How often a command asks for the lock of a data directory that is to be brought up to date, 0.2 s each.
const MIGRATION_TRIES: u32 = 10;

/// Ids of deleted messages are remembered this long, so that a spool found later does not bring one back.
const GONE_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Handle of the store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// What this handle's writes are put down as.
    deed: Option<Arc<Deed>>,
}

struct Inner {
    // Dropped in this order: the writer empties its queue before the lock is given back.
    writer: Writer,
    readers: Readers,
    blobs: Arc<Blobs>,
    stager: Stager,
    data_dir: PathBuf,
    /// The rules of mailboxes that say nothing themselves.
    defaults: Mutex<Retention>,
    reservations: Reservations,
    _lock: Option<fs::File>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("data_dir", &self.inner.data_dir)
            .finish_non_exhaustive()
    }
}

/// How much is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Subscribers.
    pub subscribers: u64,
    /// Messages in mailboxes.
    pub messages: u64,
    /// Those of them that nobody has heard.
    pub unheard: u64,
    /// Those whose media is a raw spool.
    pub raw: u64,
    /// Bytes of all messages in mailboxes.
    pub message_bytes: u64,
    /// Messages in the trash.
    pub trash: u64,
    /// Their bytes.
    pub trash_bytes: u64,
    /// Ended calls.
    pub calls: u64,
}

impl Store {
    /// Opens the store of a data directory for a command, and makes it if there is none. Works beside a server. A data
    /// directory of an older version is brought up to ours first, unless an older server works on it.
    ///
    /// Errors: [`StoreError::OtherVersion`], [`StoreError::NotSegue`], [`StoreError::InUse`] (all leave the directory as
    /// it was), [`StoreError::Path`].
    pub fn open(data_dir: &Path) -> Result<Store, StoreError> {
        let mut tries = 0_u32;
        let path = loop {
            let schema::Ensured { path, is_old } = schema::ensure(data_dir)?;
            if !is_old {
                break path;
            }
            match locked(data_dir) {
                Ok(_lock) => schema::migrate(&path)?,
                // Another command may be doing it.
                Err(_) if tries < MIGRATION_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        };
        Store::open_as(path, data_dir, Stager::Command, None)
    }

    /// Opens the store for the server: only one at a time, and what a crash left half brought in is swept.
    ///
    /// Errors: as [`Store::open`], and [`StoreError::InUse`].
    pub fn open_server(data_dir: &Path) -> Result<Store, StoreError> {
        let schema::Ensured { path, is_old } = schema::ensure(data_dir)?;
        let lock = locked(data_dir)?;
        if is_old {
            schema::migrate(&path)?;
        }
        let store = Store::open_as(path, data_dir, Stager::Server, Some(lock))?;
        let blobs = store.inner.blobs.clone();
        let swept = store.write(move |tx| {
            let now_ms = now_ms();
            tx.execute("DELETE FROM gone WHERE at < ?", [now_ms.saturating_sub(GONE_MS)])?;
            Store::end_leases_of_notices(tx)?;
            blobs.sweep(tx, now_ms)
        })?;
        if swept > 0 {
            tracing::info!(
                swept,
                "bytes that were brought in but never became part of anything are gone"
            );
        }
        Ok(store)
    }

    fn open_as(path: PathBuf, data_dir: &Path, stager: Stager, lock: Option<fs::File>) -> Result<Store, StoreError> {
        let blobs = Arc::new(Blobs::new(data_dir));
        let writer = Writer::start(schema::connect(&path)?, Arc::clone(&blobs))?;
        Ok(Store {
            inner: Arc::new(Inner {
                writer,
                readers: Readers::new(path),
                blobs,
                stager,
                data_dir: data_dir.to_owned(),
                defaults: Mutex::default(),
                reservations: Reservations::default(),
                _lock: lock,
            }),
            deed: None,
        })
    }

    /// Whether a server works on this data directory now.
    pub fn server_runs(data_dir: &Path) -> bool {
        // A shared lock: two who ask at once do not take each other for the server.
        match fs::File::open(data_dir.join(LOCK_FILE)) {
            Ok(file) => matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)),
            Err(_) => false,
        }
    }

    /// Where the media of messages and clips goes that comes from now on; what is there already stays where it is.
    pub fn set_media_store(&self, place: MediaStore) {
        self.inner.blobs.set_place(place);
    }

    /// What of the media in files is missing or cut, said in words; at most `max`.
    pub fn damaged_media(&self, max: usize) -> Result<Vec<String>, StoreError> {
        self.read(|db| self.inner.blobs.damaged_files(db, max))
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.inner.data_dir
    }

    /// How much is stored.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        self.read(|db| {
            let mut totals = Totals {
                raw: db
                    .prepare_cached("SELECT count(*) FROM message WHERE media_state = 'raw'")?
                    .query_row([], |row| row.get(0))?,
                ..Totals::default()
            };
            let mut counted = db.prepare_cached("SELECT what, count, bytes FROM total")?;
            let mut rows = counted.query([])?;
            while let Some(row) = rows.next()? {
                let (count, bytes): (u64, u64) = (row.get(1)?, row.get(2)?);
                match row.get_ref(0)?.as_str()? {
                    "subscriber" => totals.subscribers = count,
                    "call" => totals.calls = count,
                    "trash" => (totals.trash, totals.trash_bytes) = (count, bytes),
                    place @ ("new" | "heard") => {
                        totals.messages = totals.messages.saturating_add(count);
                        totals.message_bytes = totals.message_bytes.saturating_add(bytes);
                        if place == "new" {
                            totals.unheard = count;
                        }
                    }
                    _ => {}
                }
            }
            Ok(totals)
        })
    }

    /// What this process has written so far.
    pub fn stats(&self) -> Stats {
        self.inner.writer.stats()
    }

    /// The size of the database file and of the media beside it.
    pub fn space(&self) -> Result<Space, StoreError> {
        self.read(|db| {
            let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0));
            let (page, pages, free) = (pragma("page_size")?, pragma("page_count")?, pragma("freelist_count")?);
            let files = "SELECT bytes FROM total WHERE what = 'file'";
            Ok(Space {
                file_bytes: db.query_row(files, [], |row| row.get(0))?,
                used_bytes: pages.saturating_sub(free).saturating_mul(page),
                free_bytes: free.saturating_mul(page),
            })
        })
    }

    /// Writes and takes back a row: whether a message could be stored now. Waits for the disk.
    pub fn try_writing(&self) -> Result<(), StoreError> {
        self.inner.blobs.try_writing()?;
        self.write(|tx| {
            tx.execute("INSERT INTO gone (id, at) VALUES ('', 0)", [])?;
            tx.execute("DELETE FROM gone WHERE id = ''", [])?;
            Ok(())
        })
    }

    /// Waits until everything queued so far is on the disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(()))
    }

    fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.inner.readers.read(f)
    }

    /// The same for media without a lease: a file may go between its row and its opening, so that what looks damaged is looked
    /// at once more.
    fn read_media<T>(&self, f: impl Fn(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.read(&f) {
            Err(StoreError::Corrupt(_)) => self.read(&f),
            other => other,
        }
    }

    fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(deed) = self.deed.clone() else {
            return self.inner.writer.write(f);
        };
        self.inner.writer.write(move |tx| {
            let done = f(tx)?;
            audit::insert(tx, &deed)?;
            Ok(done)
        })
    }
}

/// The server's lock, held until dropped.
fn locked(data_dir: &Path) -> Result<fs::File, StoreError> {
    let path = data_dir.join(LOCK_FILE);
    let lock = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| StoreError::Path {
            path,
            why: e.to_string(),
        })?;
    take(&lock).map_err(|()| StoreError::InUse {
        path: data_dir.to_owned(),
    })?;
    Ok(lock)
}

/// Takes the server's lock. Tries for a moment: whoever asks [`Store::server_runs`] holds it for an instant.
fn take(lock: &fs::File) -> Result<(), ()> {
    const TRIES: u32 = 10;
    for _ in 0..TRIES {
        if lock.try_lock().is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(())
}

/// Wall clock, Unix milliseconds. Only for what is written down.
fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use segue_mailbox::{Kind, MediaState, Message};

    use super::*;

    fn deposit(id: &str, media: Vec<u8>) -> Deposit {
        Deposit {
            message: Message {
                id: id.to_owned(),
                mailbox: "bob".to_owned(),
                call_id: String::new(),
                sip_call_id: String::new(),
                from: String::new(),
                from_name: None,
                received_at_ms: 0,
                heard_at_ms: None,
                duration_ms: 1,
                kind: Kind::Audio,
                media_state: MediaState::Ready,
                bytes: 0,
                interrupted: false,
                urgent: false,
                keeping: segue_mailbox::Keeping::default(),
            },
            media: MediaSource::Bytes(media),
            media_type: "audio/ogg".to_owned(),
            poster: None,
        }
    }

    #[test]
    fn a_full_disk_fails_loudly_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        // The database may grow by no more than this: to SQLite that is a full disk.
        let limit = |more: i64| {
            store
                .write(move |tx| {
                    let pages: i64 = tx.query_row("PRAGMA page_count", [], |row| row.get(0))?;
                    let max = pages.saturating_add(more);
                    Ok(tx.query_row(&format!("PRAGMA max_page_count = {max}"), [], |row| {
                        row.get::<_, i64>(0)
                    })?)
                })
                .unwrap();
        };
        limit(150);
        assert_eq!(store.deposit(deposit("01A", vec![7; 3_000_000])), Err(StoreError::Full));
        assert!(store.messages("bob").unwrap().is_empty());
        let blobs = store.read(|db| Ok(db.query_row("SELECT count(*) FROM blob", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(blobs, Ok(0));
        assert_eq!(store.deposit(deposit("01B", vec![7; 100_000])), Ok(Deposited::New));
    }

    #[test]
    fn a_write_that_panics_harms_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let panicked: Result<(), _> = store.write(|tx| {
            tx.execute("INSERT INTO retention (mailbox) VALUES ('bob')", [])?;
            panic!("a bug");
        });
        assert!(matches!(panicked, Err(StoreError::Sql(_))));
        assert_eq!(store.deposit(deposit("01B", vec![7; 10])), Ok(Deposited::New));
        let left = store.read(|db| Ok(db.query_row("SELECT count(*) FROM retention", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(left, Ok(0));
    }

    #[test]
    fn space_of_deleted_messages_is_given_back_when_idle() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.deposit(deposit("01A", vec![7; 12_000_000])).unwrap();
        store.free_message("01A").unwrap();
        let pages = || {
            store
                .read(|db| Ok(db.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))?))
                .unwrap()
        };
        let before = pages();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while pages() > before / 2 {
            assert!(
                std::time::Instant::now() < deadline,
                "{before} pages, still {}",
                pages()
            );
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}
