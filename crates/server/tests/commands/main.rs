//! The commands of the real binary, each on a data directory of its own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod admin;
mod call;
mod check;
mod clip;
mod configuration;
mod events;
mod fixture;
mod group;
mod message;
mod notice;
mod number;
mod rule;
mod subscriber;
mod trunks;
