//! Decides everything about one call and performs nothing. Pure: no socket, clock, file, thread or tokio.
//!
//! ```text
//! Call::incoming(invite, config, now, seed) -> Call
//! call.handle(input, now)                 the only mutation
//! call.poll_output() -> Option<Output>    call.poll_timeout() -> Option<Instant>
//! ```
//!
//! An input goes through `legs.rs` first, whatever the phase, then to the phase, which is consumed and gives the next one:
//!
//! ```text
//! LookingUp -> Holding -> Ringing -> Bridged ----------------------------------------------------------> Ending
//!                 |          '-----> Greeting -> Choosing -> Beeping -> Recording -> Reviewing -> Saving -^
//!                 '-----------------^      '---> Full --------------------------------------------------^
//!           '------------------------------------> Serving ----------------------------------------------^
//! ```

mod apart;
mod beeping;
mod branches;
mod bridged;
mod call;
mod caller;
mod choosing;
mod cx;
mod deciding;
mod early;
mod ending;
mod engaging;
mod full;
mod greeting;
mod hearing;
mod holding;
mod ids;
mod io;
mod keys;
mod leaving;
mod legs;
mod looking_up;
mod missed;
mod offers;
mod onward;
mod passing;
mod phase;
mod pictures;
mod place;
pub mod prompts;
mod reason;
mod recording;
mod renditions;
mod reserving;
mod reviewing;
mod ringing;
mod saving;
mod saying;
mod securing;
mod serving;
mod settling;
mod upgrading;
mod whom;

pub use call::Call;
pub use engaging::Engages;
pub use io::{
    CallConfig, ClipUse, Contact, Early, Further, Incoming, Input, KeySecret, LegAction, LegEvent, LegId, Listed,
    Lookup, MailboxAction, MailboxReply, MediaAction, MediaEvent, NotReady, Now, Opened, Operator, Output, Ports,
    RefuseInfo, Said, SentOn, Shown, Source, StoreAction, StoreReply, Towards, Trail, Way,
};
pub use onward::number;
