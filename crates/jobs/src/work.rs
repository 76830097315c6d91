//! Folders for jobs: `<data_dir>/work/`, gone with the job, swept at the server's start.

use std::io;
use std::path::Path;

use tempfile::TempDir;

const FOLDER: &str = "work";
/// Of the server alone: its leftovers may be swept when it starts.
pub(crate) const FINALISE: &str = "finalise-";
/// Of any process.
pub(crate) const PREPARE: &str = "prepare-";

/// A fresh folder that is removed when dropped.
pub(crate) fn folder(data_dir: &Path, prefix: &str) -> io::Result<TempDir> {
    let parent = data_dir.join(FOLDER);
    std::fs::create_dir_all(&parent)?;
    tempfile::Builder::new().prefix(prefix).tempdir_in(parent)
}

/// Removes what a killed server left behind.
pub(crate) fn sweep(data_dir: &Path) {
    let Ok(entries) = std::fs::read_dir(data_dir.join(FOLDER)) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(FINALISE)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "a left-over work folder stays");
        }
    }
}
