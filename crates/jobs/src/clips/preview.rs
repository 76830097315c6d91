//! A clip as browsers play it: the best sound and picture of what callers get, as they get them, in a file.

use std::time::Duration;

use segue_mailbox::ClipInfo;
use segue_store::{Store, StoreError};

use super::{ClipError, WorkerPool, refresh::file_again};
use crate::work;

/// Longest time a worker takes for it.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// Makes and stores it, if it is not there yet; callers' renditions stay as they are.
///
/// # Errors
/// [`ClipError`]; there is none then.
pub fn preview(pool: &WorkerPool, store: &Store, clip: &ClipInfo) -> Result<(), ClipError> {
    if store.clip_media(&clip.name, false)?.is_some() {
        return Ok(());
    }
    let folder = work::folder(store.data_dir(), work::PREPARE)?;
    let read = |profile| Ok(store.rendition(clip.id, profile)?);
    let (file, media_type) = file_again(pool, &read, clip, folder.path(), LIMIT)?;
    match store.set_clip_preview(clip.id, &media_type, &folder.path().join(file)) {
        // It was replaced meanwhile, or another has made it.
        Err(StoreError::NotFound { .. }) => Ok(()),
        other => Ok(other?),
    }
}
