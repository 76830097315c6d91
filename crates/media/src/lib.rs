//! The packet path: ports, player, relay, recorder, DTMF. Knows no call: a *session* is an anchor with a caller's side A and
//! callee sides, a *source* is a number the owner chose.

mod api;
mod bell;
pub mod cache;
mod carrier;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod media;
mod path;
mod ports;
mod rest;
mod session;
pub mod spool;
mod spool_link;
mod spool_thread;
mod stats;
mod syscall;
mod thread;
pub mod transcode;
mod wheel;
pub mod worker;

pub use api::{
    Command, Event, LegKey, MediaAddress, MediaConfig, MediaError, Ports, RecordingStop, SessionKey, SwitchTo, Tally,
    Trust,
};
pub use media::{Events, Media};
pub use path::losses::{LOSSES_MAX, Loss};
pub use path::{amr, g722, h264, opus, srtp, vp8};
pub use segue_sdp::Kind;
pub use stats::{LATENESS_US, Stats};
