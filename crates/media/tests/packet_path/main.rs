//! The packet path over real loopback sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // Test helpers may panic.

mod burst;
mod clip;
mod dtmf;
mod families;
mod hold;
mod latch;
mod peer;
mod recording;
mod srtp;
mod takeover;
