//! What a shard is made of, what it wants done and what it counts.

use std::sync::Arc;

use segue_call::{CallConfig, KeySecret, MediaAction, StoreAction};
use segue_policy::Profile;
use segue_records::{CallRecord, Event as Told, NoticeFacts, RegistrationRecord};
use segue_sip::{EndpointConfig, Place, Transmit};
use segue_store::Spent;

use super::{TextKey, TextOutcome};
use crate::{
    Admission, Refusal,
    overload::{Limits, TurnedAway},
};

/// One call of this shard, for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// What a shard is made of.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// SIP.
    pub endpoint: EndpointConfig,
    /// Settings of every call.
    pub call: Arc<CallConfig>,
    /// Who is admitted.
    pub admission: Admission,
    /// When there are too many.
    pub limits: Limits,
    /// Fixes call identifiers.
    pub seed: u64,
    /// What the keys of all calls' SRTP and of digest nonces are made of: 32 random bytes; `None`: there is no SRTP, and nonces
    /// can be guessed by who knows the seed.
    pub secret: Option<KeySecret>,
}

/// What a shard wants done, in order.
#[derive(Debug)]
pub enum ShardOutput {
    /// Bytes to send.
    Transmit(Transmit),
    /// On the packet path.
    Media(CallKey, MediaAction),
    /// In the store; `profile` is the one that admitted the call.
    Store(CallKey, StoreAction, Arc<Profile>),
    /// Give back a place in a mailbox whose call is gone.
    Release {
        /// Whose mailbox.
        mailbox: String,
        /// The id that the message would have had.
        message_id: String,
    },
    /// Where is this place? `handle_resolved` gives the answer.
    Resolve {
        /// Whose call.
        key: CallKey,
        /// Which.
        place: Place,
        /// Draws among servers of equal priority.
        seed: u64,
    },
    /// Where are the servers of this domain of a trunk? `handle_located` gives the answer.
    Locate {
        /// Which.
        place: Place,
        /// Draws among servers of equal priority.
        seed: u64,
    },
    /// A call has ended.
    Ended(CallKey, Box<CallRecord>),
    /// A subscriber missed a call. True: who says nothing of it is told of it.
    Missed(Box<NoticeFacts>, bool),
    /// What became of a text.
    Texted(TextKey, TextOutcome),
    /// A request was dropped or refused for who sent it or whom it asked for.
    Refused(Box<Refusal>),
    /// One of a flood was refused with this status; there are too many to tell each.
    RefusedUntold(u16),
    /// Something for those who follow what happens.
    Event(Box<Told>),
    /// A subscriber's registrations have changed: these are to be kept.
    Registrations(String, Vec<RegistrationRecord>),
    /// An account's call has ended: so long it has called today, which is to be kept.
    Spent(Spent),
    /// How many messages has this subscriber? `handle_waiting` gives the answer.
    CountMessages(String),
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Calls begun.
    pub calls: u64,
    /// Requests from sources that no profile knows.
    pub unknown_source: u64,
    /// Messages that could not be read.
    pub unparsable: u64,
    /// Calls ended by a panic in the call core.
    pub panics: u64,
    /// New calls turned away.
    pub turned_away: TurnedAway,
    /// New calls a second that are let in; `None`: as many as come.
    pub rate: Option<u64>,
    /// Calls whose caller has no final response.
    pub early: u64,
    /// Contacts registered now.
    pub registrations: u64,
    /// Subscriptions to message counts.
    pub subscriptions: u64,
    /// Pauses that servers asked for by 503 with Retry-After.
    pub pauses: u64,
    /// Calls that found no server but those.
    pub paused_calls: u64,
    /// What SIP counts.
    pub sip: segue_sip::Stats,
}
