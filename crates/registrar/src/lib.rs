//! Who is registered where: the location service of a registrar (RFC 3261 §10.3), with Path (RFC 3327).
//!
//! Pure: `now` is an argument, and what must outlive the process is told as [`Change`]s. Who may register as whom is decided
//! before: [`Registrar::handle_register`] takes the subscriber whose credentials fit.

#![deny(clippy::arithmetic_side_effects)]

mod asked;
mod binding;
pub mod mwi;
mod registrar;

pub use binding::{Binding, Places, Source, Transport, UnknownTransport};
pub use registrar::{Change, Limits, Refused, Registered, Registrar, What};
