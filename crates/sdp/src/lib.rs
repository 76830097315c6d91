//! Session descriptions: offers in, answers out (RFC 8866, RFC 3264). Pure.

mod stream;

pub use stream::{Codec, Direction, Format, Kind, Stream};
