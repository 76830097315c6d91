//! What of one side's messages the other side gets to see, and what is kept of who calls.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

mod attack;
mod challenge;
mod history;
mod in_dialog;
mod invite;
mod node;
mod privacy;
mod reason;
mod responses;
mod session_id;
#[path = "../shard/mod.rs"]
mod shard;
