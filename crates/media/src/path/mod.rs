//! The pure pieces of the packet path: no socket, no clock, no thread.

pub mod amr;
pub mod dtmf;
pub mod g711;
pub mod g722;
pub mod h264;
pub mod keyframe;
pub mod keys;
pub mod latch;
pub mod losses;
pub mod opus;
pub mod out;
pub mod player;
pub mod reception;
pub mod relay;
pub mod rtcp;
pub mod rtp;
pub mod silence;
pub mod srtp;
pub mod vp8;
