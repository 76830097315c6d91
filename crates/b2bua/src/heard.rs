//! What one side says in responses and within the dialog, on its way to the other side.
//!
//! The call says what it says because of what it hears. So what it says to the other side while a message is handled, in a message of
//! the same kind, takes along what that one has for others: what a fork says that has lost, or one whose caller hears the mailbox,
//! goes nowhere. A refusal may be told later, when the others have refused too: the call keeps what it said.

use segue_call::{LegAction, LegId, Said};
use segue_records::PhaseName;
use segue_sip::{Event, SessionId};
use segue_sip_wire::Message;

use crate::{
    entry::Entry,
    headers::{Carried, Received, Stands, returned},
};

/// The message of a leg that is being handled.
#[derive(Debug)]
pub(crate) struct Heard {
    leg: LegId,
    what: What,
    carried: Carried,
    /// Of a response; 0: it is none.
    status: u16,
    /// What it says of the call's way, where its side is trusted.
    way: Received,
}

/// What kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A 1xx to our INVITE.
    Early,
    /// The 2xx to our INVITE.
    Answer,
    /// A refusal of our INVITE.
    Refusal,
    /// A BYE.
    Bye,
    /// An offer within the dialog.
    Offer,
    /// The 2xx to ours.
    Agreement,
    /// The refusal of ours.
    OfferRefusal,
    /// An INFO that means nothing here.
    Ask,
    /// An UPDATE without an offer.
    Refresh,
}

/// The message of an event, and what kind it is.
pub(crate) fn message_of(event: &Event) -> Option<(SessionId, What, &Message)> {
    Some(match event {
        Event::Provisional { session, response } => (*session, What::Early, response),
        Event::Answered { session, response, .. } => (*session, What::Answer, response),
        Event::Failed {
            session,
            response: Some(response),
            ..
        } => (*session, What::Refusal, response),
        Event::Bye {
            session,
            request: Some(request),
            ..
        } => (*session, What::Bye, request),
        Event::Offer { session, request, .. } => (*session, What::Offer, request),
        Event::Asked { session, request, .. } => (*session, What::Ask, request),
        Event::Refreshed { session, request } => (*session, What::Refresh, request),
        Event::OfferAnswered { session, response, .. } => (*session, What::Agreement, response),
        Event::OfferRefused {
            session,
            response: Some(response),
            ..
        } => (*session, What::OfferRefusal, response),
        _ => return None,
    })
}

impl Heard {
    pub(crate) fn new(leg: LegId, what: What, message: &Message, trusted: bool) -> Heard {
        let stands = match (what, message.status()) {
            (What::Bye | What::Offer | What::Ask | What::Refresh, _) | (_, None) => Stands::Dialog,
            // Where a 3xx points to within a dialog is nothing for others.
            (What::OfferRefusal, Some(status)) => Stands::Response(status.max(400)),
            (_, Some(status)) => Stands::Response(status),
        };
        let carried = Carried::of_any(message, stands, trusted);
        Heard {
            leg,
            what,
            status: message.status().unwrap_or_default(),
            way: Received::of(message, trusted),
            carried: match what {
                // The call passes that on itself, or says its own.
                What::Bye => carried.without_reason(),
                What::Ask => carried.with_body_of(message),
                _ => carried,
            },
        }
    }

    /// Whether what is said on another leg says it on.
    fn goes_with(&self, leg: LegId, action: &LegAction, phase: PhaseName) -> bool {
        let across = leg != self.leg && [leg, self.leg].contains(&LegId::A);
        across
            && match (self.what, action) {
                // A callee whose answer is of no use may send the caller to the mailbox at once.
                (What::Answer, LegAction::Answer { .. }) => phase == PhaseName::Bridged,
                (What::Early, LegAction::Progress { .. })
                | (What::Bye, LegAction::Bye { .. })
                | (What::Offer, LegAction::Offer { .. })
                | (What::Ask, LegAction::Ask { .. })
                | (What::Refresh, LegAction::Refresh)
                | (What::Agreement, LegAction::AcceptOffer { .. })
                | (What::OfferRefusal, LegAction::RefuseOffer { .. }) => true,
                _ => false,
            }
    }
}

impl Entry {
    /// A message of one of its legs is handled from now on. What of it the other side may hear.
    pub(crate) fn hear(&mut self, leg: LegId, what: What, message: &Message) -> Said {
        let mut heard = Heard::new(leg, what, message, self.trusts(leg));
        // Who has asked for privacy once need not ask again in the dialog (RFC 3323 §5, RFC 3325 §7).
        if heard.carried.withheld {
            self.withheld.insert(leg);
        }
        heard.carried.withheld = self.withholds(leg);
        let mut said = match leg {
            // Which of B's legs hears it nobody knows yet.
            LegId::A => Said::default(),
            _ => heard.carried.said_to(self.trusts(LegId::A), self.takes_parts),
        };
        // The way is news where it goes on behind the target, and part of each refusal.
        let is_refusal = what == What::Refusal;
        if is_refusal || what == What::Early && heard.way.says_way() {
            said.headers.extend(self.way_to(&heard));
        }
        if is_refusal && heard.status < 400 {
            said.headers.extend(self.diversion_of(&heard));
            self.diverted.insert(leg, heard.way.clone());
        }
        self.heard = Some(heard);
        said
    }

    /// Whether a leg has asked for privacy in any of its messages.
    fn withholds(&self, leg: LegId) -> bool {
        leg == LegId::A && self.carried.withheld || self.withheld.contains(&leg)
    }

    /// History-Info for a trusted caller, of a response of one of B's legs.
    fn way_to(&self, heard: &Heard) -> Option<(String, String)> {
        let trail = self.trails.get(&heard.leg).filter(|_| self.trusts(LegId::A))?;
        let way = returned(&self.carried.received, &trail.entries, &heard.way, heard.status)?;
        Some(("History-Info".to_owned(), way))
    }

    /// Diversion of a 3xx that is not followed: "SHOULD forward [it] … unchanged" (RFC 5806 §5.4), within the trust domain.
    fn diversion_of(&self, heard: &Heard) -> Option<(String, String)> {
        let diversion = heard.way.diversion().filter(|_| self.trusts(LegId::A))?;
        Some(("Diversion".to_owned(), diversion))
    }

    /// What the answer of a leg to what another asked has for that one.
    pub(crate) fn heard_answer(&self, leg: LegId, asker: LegId, response: &Message, status: u16) -> Said {
        let mut carried = Carried::of_any(response, Stands::InfoResponse(status), self.trusts(leg));
        carried.withheld |= self.withholds(leg);
        carried.with_body_of(response).said_to(self.trusts(asker), true)
    }

    /// What goes along with what is said on a leg; once.
    pub(crate) fn said_with(&mut self, leg: LegId, action: &LegAction) -> Said {
        let phase = self.call.phase();
        let Some(heard) = self.heard.take_if(|heard| heard.goes_with(leg, action, phase)) else {
            return Said::default();
        };
        let takes_parts = leg != LegId::A || self.takes_parts || heard.what == What::Ask;
        let mut said = heard.carried.said_to(self.trusts(leg), takes_parts);
        if matches!(heard.what, What::Early | What::Answer) {
            said.headers.extend(self.way_to(&heard));
        }
        said
    }
}
