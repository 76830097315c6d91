//! What a worker may take from the machine. Set by the worker itself before it reads its first job.

use rustix::process::{Resource, Rlimit, nice, setrlimit};

/// Address space; a 4K decoder with its threads needs about half of it.
const MEMORY_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Added to our niceness: calls come first.
const NICE: i32 = 10;

/// Lowers the priority, bounds memory, and turns core dumps off. What the system does not allow is left as it is.
pub(crate) fn apply() {
    for (resource, value) in [(Resource::As, MEMORY_MAX), (Resource::Core, 0)] {
        if let Err(error) = setrlimit(
            resource,
            Rlimit {
                current: Some(value),
                maximum: Some(value),
            },
        ) {
            eprintln!("media-worker: limit {resource:?} not set: {error}");
        }
    }
    if let Err(error) = nice(NICE) {
        eprintln!("media-worker: priority not lowered: {error}");
    }
}
