//! `segue run`: the server.

use std::{path::Path, process::ExitCode};

use crate::{config::Config, failure::Failure};

/// Runs the server until it is told to stop. When it is ready it writes the bound addresses as JSON to `ready_file`.
pub fn run(config: Config, ready_file: Option<&Path>) -> Result<ExitCode, Failure> {
    let _ = (config, ready_file);
    Err(Failure::refused("not_built", "the server is not part of this build", "use a later build"))
}
