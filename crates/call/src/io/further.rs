//! What headers of A's INVITE beyond RFC 3261's mean for a call.

use std::{fmt, time::Instant};

use segue_sip_wire::{Parts, Uri};

use crate::io::LegId;

/// See the module; the default is an INVITE without any.
#[derive(Debug, Clone, Default)]
pub struct Further {
    /// Who is shown as the caller in record, message and events; `None`: From.
    pub shown: Option<Shown>,
    /// The charging identifier of the network before us (icid-value of P-Charging-Vector, RFC 7315 §4.6).
    pub icid: Option<String>,
    /// What A's network asserts (Identity, RFC 8224) is fresh until then: B is to be invited before.
    pub invite_by: Option<Instant>,
    /// Another server has tried the callee and sends the caller on to the mailbox: nobody is held, nobody rings.
    pub sent_on: Option<SentOn>,
    /// The subscriber that the caller has proven to be.
    pub proven: Option<String>,
    /// What keys of SRTP are made of; `None`: there is no SRTP.
    pub secret: Option<KeySecret>,
}

/// 32 random bytes that are used for nothing else.
#[derive(Clone)]
pub struct KeySecret(pub [u8; 32]);

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(not shown)")
    }
}

/// A caller whom another server sends to a mailbox (RFC 4458).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentOn {
    /// Whose mailbox.
    pub user: String,
    /// The same as an address, where it is told as one.
    pub uri: Option<Uri>,
    /// Why: the status that the callee's side said, as far as it is told (§2.2).
    pub cause: Option<u16>,
}

/// How a call has come to a target of the callee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Entries of History-Info (RFC 7044), the first for the URI that was dialled with `index=1`, the last for this target.
    pub entries: Vec<String>,
    /// The 3xx that led here, or the status for which a rule of the callee's forwards the caller, if either did.
    pub redirected: Option<u16>,
    /// Who said it, and who said the one before it and so on, the last first.
    pub by: Vec<LegId>,
}

/// What a peer's message has for the other side: passed on as it is, and read by nobody here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// Parts of its body beside the description.
    pub parts: Parts,
}

/// A caller as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Without parameters.
    pub uri: Uri,
    /// Display name.
    pub name: Option<String>,
}
