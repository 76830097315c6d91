//! Session descriptions: offers in, answers out (RFC 8866, RFC 3264). Pure.
//!
//! [`Description::parse`] reads what a peer sent, [`Side`] makes what we say and turns both into [`Stream`]s for the packet path.

mod accepted;
mod amr;
mod capneg;
mod crypto;
mod description;
mod error;
mod family;
mod fmtp;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod h264;
mod offer;
mod precondition;
mod secure;
mod side;
mod stream;
mod vp8;
mod wider;
mod write;

pub use amr::{Amr, Band, Modes, Packing};
pub use crypto::{Keys, MasterKey, Mki, Suite};
pub use description::Description;
pub use error::{SdpError, WarnCode, Warning};
pub use family::Family;
pub use h264::{H264Need, h264_receives};
pub use precondition::Reserved;
pub use secure::Srtp;
pub use side::{Agreed, Choice, Side};
pub use stream::{Carried, Codec, Direction, ForeignFormat, Format, Kind, Stream};
pub use vp8::{Vp8Need, vp8_receives};
