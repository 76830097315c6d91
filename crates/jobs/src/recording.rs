//! What a spool file says about itself, without decoding anything.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_mailbox::{RecordingEnd, RecordingManifest};
use segue_media::spool::{RecordKind, SpoolReader};

/// Name's end of spool files.
const SUFFIX: &str = "spool";

/// A spool, read once.
#[derive(Debug)]
pub(crate) struct Recording {
    /// Its first record.
    pub manifest: RecordingManifest,
    /// Its last record; `None`: interrupted.
    pub end: Option<RecordingEnd>,
    /// From the first media packet to the last, milliseconds.
    pub length_ms: u64,
}

impl Recording {
    /// Reads a spool; `None` when it does not begin with a manifest, so that nobody can own it.
    pub fn read(path: &Path) -> io::Result<Option<Recording>> {
        let mut reader = SpoolReader::open(path)?;
        let first = reader.next().filter(|record| record.kind == RecordKind::Meta);
        let Some(manifest) = first.and_then(|record| serde_json::from_slice(&record.packet).ok()) else {
            return Ok(None);
        };
        let (mut end, mut heard) = (None, None);
        for record in reader {
            match record.kind {
                RecordKind::Rtp => {
                    let (first, _) = heard.unwrap_or((record.arrival_ns, 0));
                    heard = Some((first, record.arrival_ns));
                }
                RecordKind::Meta => end = serde_json::from_slice(&record.packet).ok().or(end),
                RecordKind::Rtcp => {}
            }
        }
        let length_ms = heard.map_or(0, |(first, last)| last.saturating_sub(first) / 1_000_000);
        Ok(Some(Recording {
            manifest,
            end,
            length_ms,
        }))
    }

    /// Too short to be a message.
    pub fn too_short(&self) -> bool {
        let length_ms = self.end.as_ref().map_or(self.length_ms, |end| end.duration_ms);
        length_ms < self.manifest.shortest_ms
    }
}

/// Whether nobody has this spool open for writing, nor has for a while.
pub(crate) fn is_left(path: &Path, after: Duration) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let changed = file.metadata().and_then(|about| about.modified());
    let age = changed.ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age >= after) && file.try_lock().is_ok()
}

/// Where a message's spool is.
pub(crate) fn path(spool_dir: &Path, message_id: &str) -> PathBuf {
    spool_dir.join(format!("{message_id}.{SUFFIX}"))
}

/// Ids of the spools in a folder, oldest first (they are ULIDs).
pub(crate) fn ids(spool_dir: &Path) -> io::Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(spool_dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == SUFFIX)
            && let Some(id) = path.file_stem().and_then(|stem| stem.to_str())
        {
            ids.push(id.to_owned());
        }
    }
    ids.sort();
    Ok(ids)
}
