//! Bytes in files: `<data>/media/<last byte of the id>/<id>`, written once, synced, never changed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{BlobId, CHUNK_BYTES};
use crate::StoreError;

/// The folder of the files, in the data directory.
const FOLDER: &str = "media";

#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn new(data_dir: &Path) -> Files {
        Files {
            folder: data_dir.join(FOLDER),
        }
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.folder.join(format!("{:02x}", id.0 & 0xff)).join(id.0.to_string())
    }

    /// Writes a file with everything that `from` gives: file and folder are synced when this returns. Returns how much it was.
    pub(super) fn write(&self, id: BlobId, from: &mut dyn Read) -> Result<u64, StoreError> {
        let path = self.path(id);
        let folder = path.parent().unwrap_or(&self.folder);
        for made in [self.folder.as_path(), folder] {
            make(made)?;
        }
        let mut file = create(&path)?;
        let mut piece = vec![0; CHUNK_BYTES];
        let mut total = 0_u64;
        loop {
            let length = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(StoreError::Io(e.to_string())),
            };
            let Some(read) = piece.get(..length) else {
                return Err(StoreError::Io("a read of more than was asked for".to_owned()));
            };
            file.write_all(read).map_err(|e| failed(&path, &e))?;
            total = total.saturating_add(length as u64);
        }
        file.sync_all().map_err(|e| failed(&path, &e))?;
        sync(folder)?;
        Ok(total)
    }

    /// Opens a file that must be this long. Error: [`StoreError::Corrupt`].
    pub(super) fn open(&self, id: BlobId, expected: u64) -> Result<File, StoreError> {
        let path = self.path(id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(StoreError::Corrupt(format!("{} is missing", path.display())));
            }
            Err(e) => return Err(failed(&path, &e)),
        };
        let found = file.metadata().map_err(|e| failed(&path, &e))?.len();
        if found == expected {
            Ok(file)
        } else {
            Err(StoreError::Corrupt(format!(
                "{} has {found} of its {expected} bytes",
                path.display()
            )))
        }
    }

    /// Hands out a file. Once it is open, whoever removes it takes nothing from us.
    pub(super) fn read(
        &self,
        id: BlobId,
        expected: u64,
        to: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let mut file = self.open(id, expected)?;
        let mut piece = vec![0; CHUNK_BYTES];
        let mut total = 0_u64;
        loop {
            let length = match file.read(&mut piece) {
                Ok(0) => return Ok(total),
                Ok(length) => length,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(failed(&self.path(id), &e)),
            };
            to(piece.get(..length).unwrap_or_default())?;
            total = total.saturating_add(length as u64);
        }
    }

    /// Bytes of a file from one on, at most `max` of them, which are there.
    pub(super) fn read_at(&self, id: BlobId, expected: u64, from: u64, max: usize) -> Result<Vec<u8>, StoreError> {
        let file = self.open(id, expected)?;
        let mut bytes = vec![0; max];
        file.read_exact_at(&mut bytes, from)
            .map_err(|e| failed(&self.path(id), &e))?;
        Ok(bytes)
    }

    /// Removes a file; none is well too. Returns its length.
    pub(super) fn remove(&self, id: BlobId) -> Result<u64, StoreError> {
        let path = self.path(id);
        let length = fs::metadata(&path).map_or(0, |file| file.len());
        match fs::remove_file(&path) {
            // On the disk before the row that tells of it goes: nothing would remove a file that came back.
            Ok(()) => path.parent().map_or(Ok(()), sync).map(|()| length),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
            Err(e) => Err(failed(&path, &e)),
        }
    }

    /// Writes and removes a file.
    pub(super) fn try_writing(&self) -> Result<(), StoreError> {
        make(&self.folder)?;
        let path = self.folder.join(format!("probe-{}", std::process::id()));
        let tried = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(&[0; 512]).and_then(|()| file.sync_all()));
        let removed = fs::remove_file(&path);
        tried.and(removed).map_err(|e| failed(&path, &e))
    }
}

/// Makes a folder, and its name survive a crash.
fn make(folder: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(failed(folder, &e)),
    }
}

/// A new file. Where one of its name is there already, the database is older than the files (a backup that was brought
/// back): that one may be somebody's message, so it is put aside.
fn create(path: &Path) -> Result<File, StoreError> {
    let new = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let created = match new() {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let aside = path.with_extension(format!("aside-{}", crate::now_ms()));
            tracing::warn!(file = %aside.display(), "a file that the database does not know was in the way; it is kept");
            fs::rename(path, &aside).and_then(|()| new())
        }
        other => other,
    };
    created.map_err(|e| failed(path, &e))
}

fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| failed(folder, &e))
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io(format!("{}: {error}", path.display())),
    }
}
