//! A recording as a clip, for the caller who wants to see it again before it is sent.

use std::time::Duration;

use segue_mailbox::{RenditionInfo, RenditionProfile};
use segue_media::cache::Cache;
use segue_media::worker::{Job, Outcome};
use segue_store::MediaSource;

use crate::deposit::{Context, finalise};
use crate::recording;
use crate::work;

/// Longest time a worker takes for it: who waits has hung up by then.
const LIMIT: Duration = Duration::from_secs(60);
/// Longest recording that is shown again, milliseconds.
const LONGEST_MS: u64 = 600_000;

/// A recording in every rendition.
#[derive(Debug)]
pub struct Preview {
    /// Playing time, milliseconds.
    pub duration_ms: u64,
    /// What was prepared.
    pub renditions: Vec<(RenditionInfo, Cache)>,
}

/// Prepares the synced recording of this id. Its spool stays as it is.
pub(crate) fn prepare(cx: &Context, id: &str) -> Result<Preview, String> {
    let folder = work::folder(cx.store.data_dir(), work::FINALISE).map_err(|error| error.to_string())?;
    let (whole, out) = (folder.path().join("whole"), folder.path().join("clip"));
    for dir in [&whole, &out] {
        std::fs::create_dir(dir).map_err(|error| error.to_string())?;
    }
    let spool = recording::path(&cx.spool_dir, id);
    let media = finalise(&cx.pool, &spool, &whole).map_err(|error| error.to_string())?;
    let MediaSource::File(file) = media.source else {
        return Err("the media worker made no file".to_owned());
    };
    let job = Job::PrepareClip {
        input: file.to_string_lossy().into_owned(),
        out_dir: out.to_string_lossy().into_owned(),
        longest_ms: LONGEST_MS,
    };
    let made = cx
        .pool
        .run(&job, LIMIT, &mut |_| {})
        .map_err(|error| error.to_string())?;
    let Outcome::Clip {
        duration_ms,
        renditions,
        ..
    } = made
    else {
        return Err("the media worker answered something else".to_owned());
    };
    let renditions = renditions.into_iter().map(|made| {
        let bytes = std::fs::read(out.join(&made.file)).map_err(|error| error.to_string())?;
        let cache = Cache::parse(&bytes).map_err(|error| error.to_string())?;
        let profile = RenditionProfile::from_name(&made.profile).ok_or("the media worker made something unknown")?;
        let info = RenditionInfo {
            profile,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            profile_level_id: made.profile_level_id,
        };
        Ok((info, cache))
    });
    Ok(Preview {
        duration_ms,
        renditions: renditions.collect::<Result<_, String>>()?,
    })
}
