//! What a worker may take from the machine. Set by the worker itself before it reads its first job.

use rustix::process::{Resource, Rlimit, nice, setrlimit};

/// Address space; a 4K decoder with its threads needs about half of it.
const MEMORY_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Of a process that transcodes one call's sound.
const LIVE_MEMORY_MAX: u64 = 1024 * 1024 * 1024;
/// Added to our niceness: calls come first.
const NICE: i32 = 10;

/// Lowers the priority, bounds memory, and turns core dumps off. What the system does not allow is left as it is.
pub(crate) fn apply() {
    bound(MEMORY_MAX);
    if let Err(error) = nice(NICE) {
        eprintln!("media-worker: priority not lowered: {error}");
    }
}

/// The same for what is part of a call: it keeps its priority.
pub(crate) fn apply_live() {
    bound(LIVE_MEMORY_MAX);
}

fn bound(memory: u64) {
    for (resource, value) in [(Resource::As, memory), (Resource::Core, 0)] {
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
}
