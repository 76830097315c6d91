//! Clips on their way in by HTTP: what has come of each is a file in `<data>/uploads`, the rest a row. How much has come is the length of the
//! file and nothing else, so that a crash loses no more than the system has not written yet, and nobody is told of bytes that are not there.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension, Row, params};
use segue_mailbox::ClipInfo;

use crate::{Deed, NewClip, Role, Store, StoreError};

const FOLDER: &str = "uploads";
/// Most uploads of one name that are not ready.
pub const UPLOADS_OF_ONE_MAX: u32 = 4;
/// Most of all.
pub const UPLOADS_MAX: u32 = 32;
/// Most clips that a subscriber has uploaded.
pub const UPLOADED_MAX: u32 = 20;
/// An upload that nobody goes on with, and one whose end has been told, is kept so long, milliseconds.
pub const UPLOAD_KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// However slowly it comes, it is there no longer, milliseconds.
const UPLOAD_MAX_MS: i64 = 7 * UPLOAD_KEPT_MS;
/// How much may come before it is asked again whether the disk has room, bytes.
const LOOK_EVERY_BYTES: u64 = 1024 * 1024;
/// What must stay free on the disk for messages, bytes.
const LEFT_FREE_BYTES: u64 = 256 * 1024 * 1024;

/// How far an upload has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadState {
    /// Bytes are still to come.
    Open,
    /// All are there; others come first.
    Queued,
    /// A worker is at it.
    Preparing,
    /// It is a clip.
    Ready,
    /// It is none.
    Refused {
        /// Why.
        why: String,
        /// What can be done about it.
        fix: String,
    },
}

impl UploadState {
    /// `open`, `queued`, `preparing`, `ready` or `refused`.
    pub fn name(&self) -> &'static str {
        match self {
            UploadState::Open => "open",
            UploadState::Queued => "queued",
            UploadState::Preparing => "preparing",
            UploadState::Ready => "ready",
            UploadState::Refused { .. } => "refused",
        }
    }

    /// Nothing more becomes of it.
    pub fn is_final(&self) -> bool {
        matches!(self, UploadState::Ready | UploadState::Refused { .. })
    }
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// Who uploads; `what` is `clip.upload`, `object` the clip, `owner` whose clip it will be (`None`: everybody's).
    pub deed: Deed,
    /// How long it is, bytes.
    pub bytes: u64,
    /// How far it has come.
    pub state: UploadState,
    /// When it was begun, Unix milliseconds.
    pub begun_at_ms: i64,
    /// When its state changed, or bytes came, Unix milliseconds.
    pub changed_at_ms: i64,
}

impl Upload {
    /// The name of the clip.
    pub fn clip(&self) -> &str {
        &self.deed.object
    }

    /// Until when it is there, Unix milliseconds.
    pub fn expires_at_ms(&self) -> i64 {
        let kept = self.changed_at_ms.saturating_add(UPLOAD_KEPT_MS);
        match self.state {
            UploadState::Open => kept.min(self.begun_at_ms.saturating_add(UPLOAD_MAX_MS)),
            _ => kept,
        }
    }
}

/// An upload that one writes to; nobody else can meanwhile.
#[derive(Debug)]
pub struct UploadFile {
    id: String,
    file: File,
    left: u64,
    /// Bytes until the disk is looked at.
    unlooked: u64,
    has_come: bool,
}

impl UploadFile {
    /// Appends. Errors: [`StoreError::Refused`] for more than was said, of which nothing is written; [`StoreError::Full`], also when what
    /// must stay free is reached; [`StoreError::NotFound`] when the upload was deleted meanwhile.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let length = bytes.len() as u64;
        let Some(left) = self.left.checked_sub(length) else {
            return Err(StoreError::Refused {
                why: "there are more bytes than Upload-Length says".to_owned(),
                fix: "begin another upload".to_owned(),
            });
        };
        // A file without a name takes room that nobody counts.
        if self.file.metadata().map_err(|error| failed(&error))?.nlink() == 0 {
            return Err(StoreError::not_found("upload", &self.id));
        }
        if self.unlooked < length {
            if free(rustix::fs::fstatvfs(&self.file))? < LEFT_FREE_BYTES {
                return Err(StoreError::Full);
            }
            self.unlooked = LOOK_EVERY_BYTES.saturating_add(length);
        }
        self.file.write_all(bytes).map_err(|error| failed(&error))?;
        self.unlooked = self.unlooked.saturating_sub(length);
        self.left = left;
        self.has_come |= length > 0;
        Ok(())
    }

    /// How many bytes there are now.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        Ok(self.file.metadata().map_err(|error| failed(&error))?.len())
    }

    /// Brings it to the disk. Whether anything has come, and whether all is there now.
    pub fn close(self) -> Result<(bool, bool), StoreError> {
        self.file.sync_data().map_err(|error| failed(&error))?;
        Ok((self.has_come, self.left == 0))
    }
}

fn failed(error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io(error.to_string()),
    }
}

impl Store {
    /// Begins an upload under a fresh id.
    ///
    /// # Errors
    /// [`StoreError::Refused`]: too many are under way, the subscriber has too many clips, or the clip of that name is another's;
    /// [`StoreError::Full`]: the disk has no room for it; [`StoreError::NotFound`]: the subscriber.
    pub fn begin_upload(&self, id: &str, deed: Deed, bytes: u64, now_ms: i64) -> Result<Upload, StoreError> {
        let folder = self.uploads_folder();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| failed(&error))?;
        let uploads = self.uploads()?;
        let under_way = uploads.iter().filter(|one| !one.state.is_final());
        let promised = under_way.map(|one| one.bytes).fold(bytes, u64::saturating_add);
        if room(&folder)? < promised.saturating_add(LEFT_FREE_BYTES) {
            return Err(StoreError::Full);
        }
        let upload = Upload {
            id: id.to_owned(),
            deed,
            bytes,
            state: UploadState::Open,
            begun_at_ms: now_ms,
            changed_at_ms: now_ms,
        };
        let mut new = OpenOptions::new();
        new.write(true).create_new(true).mode(0o600);
        new.open(self.upload_path(id)).map_err(|error| failed(&error))?;
        let row = upload.clone();
        let begun = self.write(move |tx| {
            may_be_made(tx, &row)?;
            let under_way = |of: Option<&str>| -> Result<u32, StoreError> {
                let count = "SELECT count(*) FROM upload WHERE state IN ('open', 'queued', 'preparing')
                             AND (?1 IS NULL OR name = ?1)";
                Ok(tx.prepare_cached(count)?.query_row([of], |row| row.get(0))?)
            };
            if under_way(Some(&row.deed.name))? >= UPLOADS_OF_ONE_MAX || under_way(None)? >= UPLOADS_MAX {
                return Err(StoreError::Refused {
                    why: "too many uploads are under way".to_owned(),
                    fix: "finish or delete one of them, or wait".to_owned(),
                });
            }
            tx.prepare_cached(
                "INSERT INTO upload (id, name, role, by, source, subscriber, clip, bytes, state, begun_at, changed_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?)",
            )?
            .execute(params![
                row.id,
                row.deed.name,
                row.deed.role.name(),
                row.deed.by,
                row.deed.source,
                row.deed.owner,
                row.deed.object,
                i64::try_from(row.bytes).unwrap_or(i64::MAX),
                now_ms,
                now_ms
            ])?;
            Ok(())
        });
        if begun.is_err() {
            let _ = fs::remove_file(self.upload_path(id));
        }
        begun.map(|()| upload)
    }

    /// One upload. Error: [`StoreError::NotFound`].
    pub fn upload(&self, id: &str) -> Result<Upload, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!("{SELECT} WHERE id = ?"))?
                .query_row([id], upload)
                .optional()?
                .ok_or_else(|| StoreError::not_found("upload", id))
        })
    }

    /// All, the oldest first.
    pub fn uploads(&self) -> Result<Vec<Upload>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(&format!("{SELECT} ORDER BY begun_at, id"))?
                .query_map([], upload)?
                .collect::<Result<_, _>>()?)
        })
    }

    /// How many of its bytes are there.
    pub fn upload_offset(&self, upload: &Upload) -> Result<u64, StoreError> {
        match fs::metadata(self.upload_path(&upload.id)) {
            Ok(found) => Ok(found.len()),
            // It is a clip, or none: its file has gone.
            Err(_) if upload.state != UploadState::Open => Ok(upload.bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::not_found("upload", &upload.id)),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Opens an upload to go on with from a byte on; `None`: another does.
    ///
    /// Error: [`StoreError::Changed`] when another byte comes next, or none.
    pub fn go_on_with_upload(&self, found: &Upload, offset: u64) -> Result<Option<UploadFile>, StoreError> {
        if found.state != UploadState::Open {
            return Err(StoreError::Changed);
        }
        let file = OpenOptions::new().append(true).open(self.upload_path(&found.id));
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::not_found("upload", &found.id),
            _ => failed(&error),
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(failed(&error)),
        }
        // Asked under the lock: whoever had it may have gone on, or ended it.
        let there = file.metadata().map_err(|error| failed(&error))?.len();
        if there != offset || self.upload(&found.id)?.state != UploadState::Open {
            return Err(StoreError::Changed);
        }
        Ok(Some(UploadFile {
            id: found.id.clone(),
            file,
            left: found.bytes.saturating_sub(offset),
            unlooked: 0,
            has_come: false,
        }))
    }

    /// Notes that bytes have come; if these were the last, that it waits to be prepared.
    pub fn touch_upload(&self, id: &str, is_whole: bool, now_ms: i64) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |tx| {
            let state = if is_whole { "queued" } else { "open" };
            tx.prepare_cached("UPDATE upload SET state = ?, changed_at = ? WHERE id = ? AND state = 'open'")?
                .execute(params![state, now_ms, id])?;
            Ok(())
        })
    }

    /// So many bytes are all: it waits to be prepared.
    pub fn end_upload(&self, id: &str, bytes: u64, now_ms: i64) -> Result<(), StoreError> {
        let id = id.to_owned();
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.write(move |tx| {
            let end = "UPDATE upload SET state = 'queued', bytes = ?, changed_at = ? WHERE id = ? AND state = 'open'";
            tx.prepare_cached(end)?.execute(params![bytes, now_ms, id])?;
            Ok(())
        })
    }

    /// The next that is whole and waits, marked as being prepared; its file. Names take turns: after one of `last` comes that of the next name.
    pub fn next_upload(&self, last: &str, now_ms: i64) -> Result<Option<(Upload, PathBuf)>, StoreError> {
        let last = last.to_owned();
        let next = self.write(move |tx| {
            let next = tx
                .prepare_cached(&format!(
                    "{SELECT} WHERE state = 'queued' ORDER BY name <= ?, name, changed_at, id LIMIT 1"
                ))?
                .query_row([last], upload)
                .optional()?;
            if let Some(next) = &next {
                tx.prepare_cached("UPDATE upload SET state = 'preparing', changed_at = ? WHERE id = ?")?
                    .execute(params![now_ms, next.id])?;
            }
            Ok(next)
        })?;
        Ok(next.map(|next| {
            let path = self.upload_path(&next.id);
            (next, path)
        }))
    }

    /// The upload is this clip, by whoever uploaded it and as theirs: all in one transaction. Its file goes.
    ///
    /// Errors: as [`Store::put_clip`]; [`StoreError::Refused`] when the name has become another's meanwhile; [`StoreError::NotFound`]
    /// when the upload was deleted.
    pub fn finish_upload(&self, found: &Upload, clip: NewClip, now_ms: i64) -> Result<ClipInfo, StoreError> {
        let row = found.clone();
        let made = self.acting(found.deed.clone()).put_clip_if(clip, move |tx| {
            may_be_made(tx, &row)?;
            let done = tx
                .prepare_cached("UPDATE upload SET state = 'ready', changed_at = ? WHERE id = ?")?
                .execute(params![now_ms, row.id])?;
            if done == 0 {
                return Err(StoreError::not_found("upload", &row.id));
            }
            if let Some(owner) = &row.deed.owner {
                tx.prepare_cached(
                    "INSERT OR REPLACE INTO own_clip (clip, subscriber, recorded_at, uploaded) VALUES (?, ?, ?, 1)",
                )?
                .execute(params![row.deed.object, owner, now_ms])?;
            }
            Ok(())
        })?;
        let _ = fs::remove_file(self.upload_path(&found.id));
        Ok(made)
    }

    /// Whether a clip of this name may be for all. Error: [`StoreError::Refused`] when one of that name is a subscriber's.
    pub fn may_put_clip_for_all(&self, name: &str) -> Result<(), StoreError> {
        self.read(|db| is_for_all(db, name))
    }

    /// Stores a clip that is nobody's own, for all to use.
    ///
    /// Errors: as [`Store::put_clip`]; [`StoreError::Refused`] when one of that name is a subscriber's.
    pub fn put_clip_for_all(&self, clip: NewClip) -> Result<ClipInfo, StoreError> {
        let name = clip.name.clone();
        self.put_clip_if(clip, move |tx| is_for_all(tx, &name))
    }

    /// Nothing becomes of it; why is kept, its file goes.
    pub fn refuse_upload(&self, id: &str, why: &str, fix: &str, now_ms: i64) -> Result<(), StoreError> {
        let (row, why, fix) = (id.to_owned(), why.to_owned(), fix.to_owned());
        self.write(move |tx| {
            tx.prepare_cached("UPDATE upload SET state = 'refused', why = ?, fix = ?, changed_at = ? WHERE id = ?")?
                .execute(params![why, fix, now_ms, row])?;
            Ok(())
        })?;
        let _ = fs::remove_file(self.upload_path(id));
        Ok(())
    }

    /// Forgets an upload, also while bytes of it come; a clip that it became stays. Error: [`StoreError::NotFound`].
    pub fn remove_upload(&self, id: &str) -> Result<(), StoreError> {
        let row = id.to_owned();
        self.write(move |tx| {
            let gone = tx.prepare_cached("DELETE FROM upload WHERE id = ?")?.execute([&row])?;
            if gone == 0 {
                return Err(StoreError::not_found("upload", &row));
            }
            Ok(())
        })?;
        // Whoever is writing to it keeps nothing but an empty file.
        let path = self.upload_path(id);
        let _ = OpenOptions::new().write(true).truncate(true).open(&path);
        let _ = fs::remove_file(path);
        Ok(())
    }

    /// What a server left half prepared waits again, at the next one's start.
    pub fn resume_uploads(&self) -> Result<(), StoreError> {
        // One whose last byte came just before the end has all that it needs.
        for open in self.uploads()?.into_iter().filter(|one| one.state == UploadState::Open) {
            if self.upload_offset(&open).is_ok_and(|there| there == open.bytes) {
                self.touch_upload(&open.id, true, open.changed_at_ms)?;
            }
        }
        self.write(|tx| {
            tx.execute("UPDATE upload SET state = 'queued' WHERE state = 'preparing'", [])?;
            Ok(())
        })
    }

    /// Removes uploads whose time is over, and files that no upload names.
    pub fn sweep_uploads(&self, now_ms: i64) -> Result<(), StoreError> {
        let before = now_ms.saturating_sub(UPLOAD_KEPT_MS);
        let begun_before = now_ms.saturating_sub(UPLOAD_MAX_MS);
        let gone = self.write(move |tx| {
            Ok(tx
                .prepare_cached(
                    "DELETE FROM upload WHERE changed_at < ?1 AND state IN ('open', 'ready', 'refused')
                                           OR begun_at < ?2 AND state = 'open' RETURNING id",
                )?
                .query_map([before, begun_before], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()?)
        })?;
        for id in gone {
            let _ = fs::remove_file(self.upload_path(&id));
        }
        let Ok(files) = fs::read_dir(self.uploads_folder()) else {
            return Ok(());
        };
        for file in files.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            // A file is there before its row: only one that has been for a while is a leftover.
            let is_old = file
                .metadata()
                .and_then(|found| found.modified())
                .ok()
                .and_then(|at| at.elapsed().ok())
                .is_some_and(|age| age.as_secs() > 60);
            let needless = match self.upload(&name) {
                Err(StoreError::NotFound { .. }) => is_old,
                Ok(found) => found.state.is_final(),
                Err(_) => false,
            };
            if needless {
                let _ = fs::remove_file(file.path());
            }
        }
        Ok(())
    }

    fn uploads_folder(&self) -> PathBuf {
        self.data_dir().join(FOLDER)
    }

    /// Ids are made by us, of letters and digits.
    fn upload_path(&self, id: &str) -> PathBuf {
        let plain: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
        self.uploads_folder().join(plain)
    }
}

/// Whether a clip of this name may be made by who uploads it: a subscriber replaces none but their own, and has not too many.
fn may_be_made(tx: &Connection, upload: &Upload) -> Result<(), StoreError> {
    let Some(owner) = &upload.deed.owner else {
        return is_for_all(tx, &upload.deed.object);
    };
    if !tx
        .prepare_cached("SELECT 1 FROM subscriber WHERE user = ?")?
        .exists([owner])?
    {
        return Err(StoreError::not_found("subscriber", owner));
    }
    let is_theirs = tx
        .prepare_cached("SELECT 1 FROM own_clip WHERE clip = ? AND subscriber = ?")?
        .exists([&upload.deed.object, owner])?;
    if is_theirs {
        return Ok(());
    }
    if tx
        .prepare_cached("SELECT 1 FROM clip WHERE name = ?")?
        .exists([&upload.deed.object])?
    {
        return Err(taken(&upload.deed.object));
    }
    let has: u32 = tx
        .prepare_cached("SELECT count(*) FROM own_clip WHERE subscriber = ? AND uploaded = 1")?
        .query_row([owner], |row| row.get(0))?;
    if has >= UPLOADED_MAX {
        return Err(StoreError::Refused {
            why: format!("{owner} has {has} clips, and there may be {UPLOADED_MAX}"),
            fix: "delete one that is not needed any more".to_owned(),
        });
    }
    Ok(())
}

/// Error: [`StoreError::Refused`] when a clip of this name is a subscriber's, who may change it as they like.
fn is_for_all(tx: &Connection, clip: &str) -> Result<(), StoreError> {
    let own = "SELECT 1 FROM own_clip JOIN clip ON name = clip WHERE clip = ?";
    match tx.prepare_cached(own)?.exists([clip])? {
        true => Err(taken(clip)),
        false => Ok(()),
    }
}

fn taken(clip: &str) -> StoreError {
    StoreError::Refused {
        why: format!("the name '{clip}' is taken"),
        fix: "choose another name".to_owned(),
    }
}

/// Free bytes of the disk.
fn room(folder: &Path) -> Result<u64, StoreError> {
    free(rustix::fs::statvfs(folder))
}

fn free(disk: rustix::io::Result<rustix::fs::StatVfs>) -> Result<u64, StoreError> {
    let disk = disk.map_err(|error| StoreError::Io(error.to_string()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

const SELECT: &str =
    "SELECT id, name, by, source, subscriber, clip, bytes, state, why, fix, begun_at, changed_at, role FROM upload";

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let state: String = row.get(7)?;
    Ok(Upload {
        id: row.get(0)?,
        deed: Deed {
            name: row.get(1)?,
            role: Role::from_name(row.get_ref(12)?.as_str()?),
            by: row.get(2)?,
            source: row.get(3)?,
            what: "clip.upload".to_owned(),
            object: row.get(5)?,
            owner: row.get(4)?,
            detail: String::new(),
        },
        bytes: row.get(6)?,
        state: match state.as_str() {
            "open" => UploadState::Open,
            "queued" => UploadState::Queued,
            "preparing" => UploadState::Preparing,
            "ready" => UploadState::Ready,
            _ => UploadState::Refused {
                why: row.get(8)?,
                fix: row.get(9)?,
            },
        },
        begun_at_ms: row.get(10)?,
        changed_at_ms: row.get(11)?,
    })
}
