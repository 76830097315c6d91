//! The store's tests again with media in files: one behaviour, wherever the bytes are.
#![allow(clippy::duplicate_mod, reason = "each of them has the fixture of its own place")]

#[path = "clips_subscribers_calls.rs"]
mod clips_subscribers_calls;
#[path = "data_directory.rs"]
mod data_directory;
#[path = "deposit.rs"]
mod deposit;
#[path = "looking.rs"]
mod looking;
#[path = "reservations.rs"]
mod reservations;
#[path = "retention.rs"]
mod retention;
