//! A spool becomes a file that browsers play.
use crate::error::JobError;
use crate::serve::Steps;
use segue_media::worker::Outcome;
use std::path::Path;
pub(crate) fn finalise(_spool: &Path, _out_dir: &Path, _steps: &mut Steps) -> Result<Outcome, JobError> {
    Err(JobError::failed("not yet"))
}
