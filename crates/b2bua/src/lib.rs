//! Performs what calls decide: carries between [`segue_call::Call`], `sip`, `media` and `store`.
//!
//! [`Shard`] is sans-IO: it owns one [`segue_sip::Endpoint`] and the calls of one signalling thread. [`perform()`] is the tokio
//! side that only carries: sockets, the packet path, the store.

mod admission;
mod clips;
mod entry;
#[cfg(test)]
mod faults;
mod look_up;
mod packet_path;
mod perform;
mod places;
mod refusals;
mod shard;
mod translate;

pub use admission::{Admission, Refusal};
pub use clips::ClipCache;
pub use perform::{Deposits, Gauges, Inbox, InboxEnd, Node, Order, perform};
pub use places::Place;
pub use shard::{CallKey, Shard, ShardConfig, ShardOutput, ShardStats};
