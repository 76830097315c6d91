//! What a message, a clip and a greeting is, and how long it lives. Pure.
//!
//! Times are wall-clock milliseconds since 1970 (`i64`), as arguments.

mod clip;
mod message;
mod played;
mod recording;
mod retention;
mod waiting;

pub use clip::{
    AmrForm, BEEP_CLIP, BUILT_IN_FULL_CLIP, ClipInfo, FULL_CLIP, NameError, RenditionInfo, RenditionProfile,
    check_clip_name,
};
pub use message::{Keeping, Kind, MediaState, Message, State, heard_after_ms};
pub use played::Played;
pub use recording::{Purpose, RecordingEnd, RecordingManifest, StopCause, StreamInfo};
pub use retention::{
    Act, Ask, ClockGuard, Deletion, Due, Grant, Held, Kept, Limit, OwnRules, Retention, Rule, Scope, TRASH_MS,
    WARNING_MS, admit, conversation, sweep,
};
pub use waiting::{Count, Waiting};
