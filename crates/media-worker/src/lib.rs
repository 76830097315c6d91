//! The worker process: GStreamer turns files into packet caches and spools into files that browsers play.
//!
//! A separate process because a codec may abort; the server only ever sees a worker that ended. It speaks
//! [`segue_media::worker`] on its standard input and output, one job at a time, and logs to standard error.

mod amr;
mod beep;
mod caches;
mod card;
mod decode;
mod elements;
mod encode;
mod error;
mod finalise;
mod g711;
mod g722;
mod h264;
mod letters;
mod limits;
mod live;
mod loudness;
mod notice;
mod pipeline;
mod poster;
mod prepare;
mod prompts;
mod serve;
mod voices;
mod vp8;

pub use elements::{Missing, missing_elements};
pub use live::live;
pub use serve::main;
