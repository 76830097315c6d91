//! Pages of `docs/` whose tables say what the code has, and by which tests that is shown.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod configuration;
mod headers;
mod page;
mod profiles;
mod standards;
mod trunks;
