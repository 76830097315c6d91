//! Performs what calls decide: carries between [`segue_call::Call`], `sip`, `media` and `store`.
//!
//! [`Shard`] is sans-IO: it owns one [`segue_sip::Endpoint`] and the calls of one signalling thread. [`perform()`] is the tokio
//! side that only carries: sockets, the packet path, the store.

mod admission;
mod challenge;
#[cfg(test)]
mod circles;
mod clips;
mod counting;
mod early_media;
mod emergency;
mod entry;
#[cfg(test)]
mod faults;
mod gauges;
mod headers;
mod heard;
mod identity;
mod inbox;
mod keep_alive;
mod keeping;
mod look_up;
mod mailboxes;
mod outside;
mod overload;
mod own;
mod packet_path;
mod perform;
mod places;
mod prompts;
mod reach;
mod refusal;
mod refusals;
mod registrations;
mod shard;
mod tallies;
mod translate;
mod trunks;

pub use admission::{Admission, Secrets};
pub use clips::ClipCache;
pub use gauges::Gauges;
pub use headers::{Fate, HEADERS, HeaderRule};
pub use inbox::{Inbox, InboxEnd};
pub use keeping::{TRUNK_REALM, trunk_key};
pub use mailboxes::{Locked, LogIn, Mailboxes, log_in};
pub use overload::{Caps, Limits, TurnedAway};
pub use perform::{
    Deposits, LIVE_AT_ONCE, LiveCalls, LiveEnd, NoAnswer, Node, Order, Take, TextDone, TextSender, TextsEnd,
    Transcoding, Watch, perform,
};
pub use prompts::{PromptSet, Prompts, Row};
pub use refusal::Refusal;
pub use registrations::{Directory, Unseal};
pub use segue_registrar::Limits as RegistrationLimits;
pub use shard::{CallKey, Shard, ShardConfig, ShardOutput, ShardStats, Text, TextKey, TextOutcome};
pub use trunks::{LineStatus, ServerStatus, TrunkSetup, TrunkStatus};
