//! The real worker as a program, and its processes.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../../../media-worker/tests/common/mod.rs"]
mod media;

use std::path::Path;
use std::process::Command;

pub use media::*;
use segue_jobs::WorkerCommand;

/// The real worker. `tag` is an argument that it does not read: its processes are found by it.
pub fn worker(tag: &str) -> WorkerCommand {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("examples/segue-jobs-test-worker");
    WorkerCommand {
        program,
        args: vec![tag.to_owned()],
    }
}

/// Processes that live and have `tag` among their arguments.
pub fn processes(tag: &str) -> Vec<u32> {
    let has = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == tag.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(has)
        .collect()
}

pub fn kill_9(pid: u32) {
    assert!(
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Half a minute that takes a worker a moment.
pub fn long_clip(path: &Path) {
    let arguments = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=640x360:r=25:d=30",
        "-c:v",
        "mpeg4",
        "-q:v",
        "9",
    ];
    ffmpeg(&arguments, path);
}
