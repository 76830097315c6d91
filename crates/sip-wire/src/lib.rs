//! SIP bytes to messages and back (RFC 3261 §7, §25); the only crate that names `rsip`.
//!
//! A [`Message`] is the received bytes and a bounded index of spans over them. What the index and the few fields that
//! every element needs accept is proven at the edge ([`Message::parse_datagram`], [`StreamFramer`]); everything else is
//! typed when it is asked for. Unknown methods, headers, schemes and parameters, order, folding and binary bodies
//! survive. A refusal carries its verdict ([`ParseError`]): which answer, or silence.
//!
//! `rsip` supplies the vocabulary: methods, status codes, transports. Its parser is not used on outside input.

#![deny(clippy::arithmetic_side_effects)]

mod address_of_record;
#[cfg(test)]
mod agreement;
mod body;
mod builder;
mod cseq;
mod digest;
mod error;
mod framer;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod index;
mod key_press;
mod message;
mod method;
mod multipart;
mod name;
mod name_addr;
mod params;
mod session_expires;
mod session_id;
mod split;
mod status;
mod uri;
mod validate;
mod via;

pub use builder::MessageBuilder;
pub use cseq::{CSeq, RAck};
pub use digest::{Challenge, Credentials, DigestAlgorithm, DigestError, Protection};
pub use error::{Head, ParseError, Verdict};
pub use framer::{Frame, StreamFramer};
pub use key_press::{KeyPress, NoKey};
pub use message::Message;
pub use method::Method;
pub use multipart::{Body, Parts};
pub use name::full_name;
pub use name_addr::NameAddr;
pub use params::Params;
pub use session_expires::{Refresher, SessionExpires};
pub use session_id::{SessionUuid, session_id};
pub use status::{StatusCode, phrase};
pub use uri::{Host, Scheme, Uri};
pub use via::{Transport, Via};

/// Bounds on what is read (quality.md's sizes).
pub mod limits {
    /// Bytes of one message, head and body.
    pub const MESSAGE_MAX: usize = 65_535;
    /// Bytes of one header field, name, folds and all.
    pub const HEADER_MAX: usize = 8 * 1024;
    /// Header fields in a message.
    pub const HEADERS_MAX: usize = 256;
    /// Bytes of the start line.
    pub const START_LINE_MAX: usize = 8 * 1024;
    /// Parts of a multipart body.
    pub const PARTS_MAX: usize = 16;
    /// Parameters of one URI or header value.
    pub const PARAMS_MAX: usize = 64;
    /// Values in one comma list.
    pub const LIST_MAX: usize = 256;
}
