//! The packet path over real loopback sockets.

mod clip;
mod dtmf;
mod hold;
mod latch;
mod peer;
mod recording;
mod takeover;
