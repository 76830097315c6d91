//! What carriers' extensions come to on the wire: one shard between a caller and a callee who are written by hand, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // A test that goes wrong fails.

mod early_media;
mod preconditions;
#[path = "../shard/mod.rs"]
mod shard;
mod video_upgrade;
mod wire;
