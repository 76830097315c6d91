//! The packet path: ports, player, relay, recorder, DTMF. Knows no call: a *session* is an anchor with a caller's side A and
//! callee sides, a *source* is a number the owner chose.

pub mod cache;
pub mod spool;
pub mod worker;
