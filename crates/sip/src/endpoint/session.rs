//! A session: one INVITE and what became of it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use segue_sip_wire::{Message, RAck};

use crate::{
    along::Along,
    api::{CommandError, Event, Outgoing, Peer, Progress, SessionId},
    dialog::Dialog,
    transaction::store::TransactionId,
};

use super::{ask::Asks, core::Core, interval::Interval};

/// See the module.
pub(crate) struct Session {
    pub id: SessionId,
    pub call_id: String,
    pub local_tag: String,
    pub phase: Phase,
    /// We are the "owner of the Call-ID" (RFC 3261 §14.1): the UAC.
    pub made_call_id: bool,
    /// The peer's offer that waits for our answer.
    pub offer: Option<PendingOffer>,
    /// Our offer that waits for the peer's answer.
    pub ours: Option<OurOffer>,
    /// A PRACK that may still come after the final response and then gets its 200 (RFC 3262 §3).
    pub late_prack: Option<RAck>,
    /// Its session timer.
    pub interval: Interval,
    /// What waits for an answer within the dialog.
    pub asks: Asks,
}

/// How far it is.
pub(crate) enum Phase {
    /// UAS: no final response yet.
    Ringing(Box<Ringing>),
    /// UAS: refused, the ACK is awaited.
    Refused(Box<Dialog>),
    /// UAC: no final response yet.
    Calling(Box<Calling>),
    /// A 2xx was sent or received.
    Confirmed(Box<Confirmed>),
    /// Our BYE is on its way.
    Ending(Box<Dialog>),
    /// Nothing more will happen.
    Over,
}

impl Phase {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Phase::Ringing(_) => "the INVITE from the peer is unanswered",
            Phase::Refused(_) => "the INVITE from the peer was refused",
            Phase::Calling(_) => "our INVITE is unanswered",
            Phase::Confirmed(_) => "the dialog is confirmed",
            Phase::Ending(_) => "the session is ending",
            Phase::Over => "the session is over",
        }
    }
}

/// UAS before the final response.
pub(crate) struct Ringing {
    pub invite: Arc<Message>,
    pub transaction: TransactionId,
    pub dialog: Dialog,
    /// The RSeq of the next reliable 1xx.
    pub rseq: u32,
    /// The reliable 1xx that waits for its PRACK.
    pub unacknowledged: Option<Reliable>,
    /// Those that wait for that.
    pub waiting: VecDeque<Progress>,
    /// A 200 that waits for that PRACK (RFC 3262 §3).
    pub held: Option<Answer>,
    /// What `Repeat` says again.
    pub repeated: Option<Repeated>,
    /// Offer and answer of this INVITE.
    pub exchange: Exchange,
}

/// Where offer and answer of the INVITE are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// The peer's offer has no reliable answer of ours yet.
    Offered,
    /// The peer's INVITE had no offer; ours was not sent yet.
    Empty,
    /// Our offer went out reliably; the PRACK or ACK brings the answer.
    OurOffer,
    /// Done.
    Complete,
}

impl Exchange {
    /// After our SDP went out in a reliable response.
    pub(crate) fn after_our_sdp(self) -> Self {
        match self {
            Exchange::Empty => Exchange::OurOffer,
            Exchange::Offered => Exchange::Complete,
            other => other,
        }
    }
}

/// A reliable 1xx on the wire.
pub(crate) struct Reliable {
    pub response: Message,
    pub rack: RAck,
    pub has_sdp: bool,
    pub interval: Duration,
    /// Its 64·T1 are over.
    pub given_up: bool,
}

/// What is to be said again and again while the INVITE is unanswered.
pub(crate) enum Repeated {
    /// The very same bytes (RFC 3261 §13.3.1.1).
    Unreliable(Message),
    /// This status, newly, without SDP (RFC 3262 §3).
    Reliable(u16),
}

/// UAC before the final response.
pub(crate) struct Calling {
    pub transaction: TransactionId,
    pub cancel: Cancel,
    /// A provisional response came.
    pub provisional: bool,
    pub forks: Vec<Fork>,
    /// What was asked, to be asked again otherwise where the callee says how.
    pub outgoing: Box<Outgoing>,
    /// Where it went.
    pub peer: Peer,
    /// How often it was made.
    pub tries: u8,
    /// The servers that failed, and how, for people.
    pub tried: Vec<String>,
}

/// Whether the INVITE is to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cancel {
    No,
    /// As soon as a provisional response comes, with this Reason.
    Wanted(Option<String>),
    Sent,
}

/// One early dialog of our INVITE.
pub(crate) struct Fork {
    pub dialog: Dialog,
    /// RSeq of its last reliable 1xx.
    pub rseq: Option<u32>,
    /// Its answer in a reliable 1xx.
    pub sdp: Option<Arc<[u8]>>,
    /// Its last 1xx, to know a repetition.
    pub last: Option<Said>,
    /// 199 has ended it (RFC 6228).
    pub ended: bool,
}

/// What in a 1xx is news.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub status: Option<u16>,
    pub body: Arc<[u8]>,
    pub rseq: Option<u32>,
    /// A digest of what its headers say that are not of one message alone.
    pub headers: u64,
}

/// A confirmed dialog.
pub(crate) struct Confirmed {
    pub dialog: Dialog,
    /// Our 2xx whose ACK is awaited.
    pub accept: Option<Accept>,
    /// A BYE that waits for that ACK (RFC 3261 §15).
    pub bye: Option<Farewell>,
}

/// What a 200 to the INVITE says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub sdp: Option<Arc<[u8]>>,
    pub along: Along,
}

/// What a BYE says.
#[derive(Debug, Default)]
pub(crate) struct Farewell {
    /// Reason.
    pub reason: Option<String>,
    pub along: Along,
}

impl From<Option<String>> for Farewell {
    fn from(reason: Option<String>) -> Self {
        Self {
            reason,
            ..Self::default()
        }
    }
}

/// A 2xx of ours that is repeated until its ACK.
pub(crate) struct Accept {
    pub transaction: TransactionId,
    pub cseq: u32,
    pub response: Message,
    pub interval: Duration,
    /// Our offer was in it: the ACK has the answer.
    pub offered: bool,
}

/// An offer without its answer.
pub(crate) enum PendingOffer {
    /// The peer's, in a PRACK, UPDATE or re-INVITE.
    Theirs {
        transaction: TransactionId,
        request: Arc<Message>,
        remote_tag: String,
    },
}

/// An offer of ours within the dialog.
pub(crate) struct OurOffer {
    pub sdp: Arc<[u8]>,
    pub along: Along,
    pub state: OfferState,
    /// How often it was sent.
    pub tries: u8,
    /// It says nothing new and only refreshes the session: nobody waits for its answer.
    pub refreshes: bool,
}

/// Where an offer of ours is.
pub(crate) enum OfferState {
    /// The ACK of a 2xx of ours is awaited first.
    Waiting,
    /// On its way.
    Sent {
        transaction: TransactionId,
        /// Of the early dialog, or the only one.
        remote_tag: String,
        /// It took too long and was cancelled.
        cancelled: bool,
    },
    /// To be sent (again): it met an offer of the peer.
    Again,
}

impl Session {
    /// The dialog with this peer: a fork of ours, or the only one.
    pub(crate) fn dialog(&mut self, remote_tag: &str) -> Option<&mut Dialog> {
        let dialog = match &mut self.phase {
            Phase::Ringing(ringing) => &mut ringing.dialog,
            Phase::Calling(calling) => {
                return calling
                    .forks
                    .iter_mut()
                    .filter(|fork| !fork.ended)
                    .map(|fork| &mut fork.dialog)
                    .find(|dialog| dialog.remote_tag == remote_tag);
            }
            Phase::Confirmed(confirmed) => &mut confirmed.dialog,
            Phase::Refused(dialog) | Phase::Ending(dialog) => dialog,
            Phase::Over => return None,
        };
        Some(dialog).filter(|dialog| dialog.remote_tag == remote_tag)
    }

    /// The peer was last heard here.
    pub(crate) fn heard_from(&mut self, remote_tag: &str, peer: Peer) {
        if let Some(dialog) = self.dialog(remote_tag) {
            dialog.peer = peer;
        }
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.phase, Phase::Refused(_))
    }

    pub(crate) fn wrong_state(&self, command: &'static str) -> CommandError {
        CommandError::WrongState {
            command,
            state: self.phase.name(),
        }
    }

    /// Ends it: the endpoint sweeps it up and says `Terminated`.
    pub(crate) fn end(&mut self, core: &mut Core) {
        self.phase = Phase::Over;
        self.ours = None;
        core.stop_all(self.id);
    }

    pub(crate) fn emit(&self, core: &mut Core, event: impl FnOnce(SessionId) -> Event) {
        core.event(event(self.id));
    }
}
