//! The four transaction state machines (RFC 3261 §17 as amended by RFC 6026), free of messages and time: an input and a
//! state give actions and the next state. The [`store`](crate::transaction::store) beside them carries messages and
//! timers.

#![deny(clippy::arithmetic_side_effects)]

mod client_invite;
mod client_other;
mod server_invite;
mod server_other;
pub(crate) mod store;

use std::time::Duration;

pub(crate) use client_invite::ClientInvite;
pub(crate) use client_other::ClientOther;
pub(crate) use server_invite::ServerInvite;
pub(crate) use server_other::ServerOther;

/// The timers of RFC 3261 table 4, and L and M of RFC 6026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// INVITE request retransmission, UDP only.
    A,
    /// INVITE transaction time-out.
    B,
    /// Wait for response retransmissions.
    D,
    /// Non-INVITE request retransmission, UDP only.
    E,
    /// Non-INVITE transaction time-out.
    F,
    /// INVITE response retransmission.
    G,
    /// Wait for the ACK.
    H,
    /// Wait for ACK retransmissions.
    I,
    /// Wait for non-INVITE request retransmissions.
    J,
    /// Wait for response retransmissions.
    K,
    /// Wait for retransmissions of an accepted INVITE (RFC 6026 §8.7).
    L,
    /// Wait for retransmissions and other forks' 2xx (RFC 6026 §8.4).
    M,
}

/// How long timers are, for one transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Round-trip estimate.
    pub t1: Duration,
    /// TCP: nothing is retransmitted.
    pub reliable: bool,
}

impl Timing {
    /// The longest interval between retransmissions: 4 s when T1 is 500 ms.
    pub(crate) fn t2(self) -> Duration {
        self.t1.saturating_mul(8)
    }

    /// The longest that a message stays in the network: 5 s when T1 is 500 ms.
    pub(crate) fn t4(self) -> Duration {
        self.t1.saturating_mul(10)
    }

    /// What timers B, D, F, H, J, L and M are. (D is "at least 32 seconds", which is this at the default T1.)
    pub(crate) fn patience(self) -> Duration {
        self.t1.saturating_mul(64)
    }

    fn doubled(self, interval: Duration) -> Duration {
        interval.saturating_mul(2).min(self.t2())
    }
}

/// What can happen to a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientInput {
    /// A response with this status.
    Response(u16),
    /// A timer fired.
    Timer(Timer),
    /// The request could not be sent.
    TransportFailed,
    /// The user waits no longer: it has been cancelled, and nothing came of that.
    GivenUp,
}

/// What can happen to a server transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerInput {
    /// The request came again.
    Request,
    /// The ACK of a non-2xx response came.
    Ack,
    /// The user wants this status sent; its message is already the stored response.
    Respond(u16),
    /// A timer fired.
    Timer(Timer),
}

/// What a transaction wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the request or the stored response for the first time.
    Send,
    /// Send it again.
    SendAgain,
    /// Acknowledge the non-2xx response at hand.
    Ack,
    /// Cancel the request: nobody waits for it any more.
    Cancel,
    /// Hand the response to the user.
    Pass,
    /// Tell the user: 408 in effect (RFC 3261 §8.1.3.1), or an ACK that never came.
    TimedOut,
    /// Tell the user: 503 in effect (RFC 3261 §8.1.3.1).
    Unreachable,
    /// Start a timer.
    Set(Timer, Duration),
    /// Stop a timer.
    Stop(Timer),
}

/// Where actions are collected.
pub(crate) type Actions = Vec<Action>;
