//! SIP transactions and dialogs as pure cores, and the transports that carry their bytes.
//!
//! [`Endpoint`] is sans-IO: bytes and moments in, bytes and events out. It does what the RFCs demand unasked
//! (retransmission, 100, ACK, BYE of late and losing 2xx, RAck matching, merged requests, 481/405/420/501) and knows no
//! call.

mod along;
mod api;
mod dialog;
mod digest;
mod draft;
mod endpoint;
mod enrolment;
mod locate;
mod probe;
mod secure;
mod stats;
mod timers;
mod transaction;
pub mod transport;

pub use along::Along;
pub use api::{
    Ask, CommandError, EndpointConfig, Event, FlowId, LadderEntry, Local, Outgoing, PageId, Peer, PingId, Progress,
    Protocol, Refreshes, RegistrationId, RequestId, Served, SessionId, SessionInterval, Transmit, WatchId,
};
pub use digest::{Account, BackingOff, Guard, Hashes, Proof, Realm, Secret, User};
pub use endpoint::{Endpoint, Outside, Page, Register, names_callee, summary};
pub use enrolment::{Enrolment, Standing, Verdict};
pub use locate::{CANDIDATES_MAX, Candidate, Known, Place, Question, Record, Speaks, Step, locate};
pub use probe::{Answer, Change, Condition, Pinging, Probe, Seen};
pub use stats::{METHODS, Stats};
