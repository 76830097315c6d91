//! Decides everything about one call and performs nothing. Pure: no socket, clock, file, thread or tokio.
//!
//! ```text
//! Call::incoming(invite, now, seed) -> Call
//! call.handle(input, now)                 the only mutation
//! call.poll_output() -> Option<Output>    call.poll_timeout() -> Option<Instant>
//! ```

mod call;
mod io;

pub use call::Call;
pub use io::{
    CallConfig, ClipUse, Incoming, Input, LegAction, LegEvent, LegId, Lookup, MediaAction, MediaEvent, Now,
    Operator, Output, Ports, RefuseInfo, Source, StoreAction, StoreReply,
};
