//! What a call asks of the store, and what that answers.

use segue_mailbox::{Ask, ClipInfo, Rule};
use segue_policy::{Calling, Plan};

use super::{MailboxAction, MailboxReply};

/// What the store shall do.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreAction {
    /// Who is this, and what do their callers meet?
    Lookup {
        /// User part of the Request-URI; empty: its host is none of ours, and only an alias can name somebody here.
        user: String,
        /// Who is called as an address, by which aliases are found ([`segue_sip_wire::Uri::address_of_record`]).
        alias: Option<String>,
        /// For whom their rules are asked; `None`: nobody is to be kept from them.
        calling: Option<Calling>,
    },
    /// Keep a place for a message: `Reserved`, `MailboxFull` or `ReserveFailed` follows. Once a call.
    Reserve {
        /// The id that the message will have.
        message_id: String,
        /// Whose mailbox.
        mailbox: String,
        /// The caller's URI.
        from: String,
        /// How much room.
        ask: Ask,
    },
    /// Give back a place that was `Reserved`: no message comes. No reply. A `Deposit` does so itself.
    Release {
        /// Whose mailbox.
        mailbox: String,
        /// The id that the message would have had.
        message_id: String,
    },
    /// Leave the synced recording alone until it is deposited or discarded: A looks at it. No reply.
    Hold {
        /// Its id.
        message_id: String,
    },
    /// Make the synced recording a clip for A alone: `Previewed` or `PreviewFailed` follows.
    Preview {
        /// Its id.
        message_id: String,
    },
    /// Make the synced recording a message: `Deposited` or `DepositFailed` follows.
    Deposit {
        /// Its id.
        message_id: String,
        /// A has marked it urgent.
        urgent: bool,
    },
    /// For a subscriber who serves itself.
    Mailbox(Box<MailboxAction>),
    /// Drop the synced recording (too short). No reply.
    Discard {
        /// Its id.
        message_id: String,
    },
}

/// What was found for a callee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The plan for this call.
    pub plan: Plan,
    /// The plan's clip, when it exists.
    pub clip: Option<ClipInfo>,
    /// The plan's greeting, when it exists.
    pub greeting: Option<ClipInfo>,
    /// What else a rule may make the greeting, when it exists.
    pub named: Vec<ClipInfo>,
    /// The beep.
    pub beep: Option<ClipInfo>,
    /// The notice that the mailbox is full.
    pub full: Option<ClipInfo>,
    /// The prompts of the plan's language, as if they were a clip; `None`: they are not prepared.
    pub prompts: Option<ClipInfo>,
}

impl Lookup {
    /// For a callee who is no subscriber: there is a plan, and nothing to play.
    pub(crate) fn plain(plan: Plan) -> Lookup {
        Lookup {
            plan,
            clip: None,
            greeting: None,
            named: Vec::new(),
            beep: None,
            full: None,
            prompts: None,
        }
    }
}

/// What the store answered.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreReply {
    /// The callee is a subscriber.
    Found(Box<Lookup>),
    /// No such subscriber.
    NotFound,
    /// The callee has as many calls as it may (`overload.subscriber_calls_max`).
    TooManyCalls {
        /// How many.
        calls_max: u32,
    },
    /// The store could not answer.
    LookupFailed {
        /// Why.
        why: String,
    },
    /// There is a place for the message, until it is deposited or the place is given back.
    Reserved {
        /// Whose mailbox.
        mailbox: String,
        /// The id that the message will have.
        message_id: String,
        /// It may last this long, milliseconds.
        longest_ms: u64,
        /// And take this much, bytes; `None`: no rule counts them.
        longest_bytes: Option<u64>,
    },
    /// To a subscriber who serves itself.
    Mailbox(Box<MailboxReply>),
    /// There is no place.
    MailboxFull {
        /// The rule that has no room.
        rule: Rule,
    },
    /// The store could not say whether there is a place; there is none to give back.
    ReserveFailed {
        /// Why.
        why: String,
    },
    /// A's recording can be played to A.
    Previewed {
        /// Its id.
        message_id: String,
        /// What to play.
        clip: ClipInfo,
    },
    /// A's recording cannot be played to A; it is what it was.
    PreviewFailed {
        /// Its id.
        message_id: String,
        /// Why.
        why: String,
    },
    /// The message is acknowledged: committed with its media.
    Deposited {
        /// Its id.
        message_id: String,
    },
    /// The message could not be stored; its spool is kept for the next start.
    DepositFailed {
        /// Why.
        why: String,
    },
}
