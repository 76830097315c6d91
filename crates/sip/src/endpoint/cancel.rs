//! CANCEL, both ways (RFC 3261 §9).

use std::time::Instant;

use segue_sip_wire::{Message, MessageBuilder, Method, phrase};

use super::{
    Endpoint,
    core::{Core, SessionTimer, after},
    session::{Cancel, Phase, Session},
};
use crate::{
    api::{CommandError, Event, Peer},
    transaction::{
        ClientInput, ServerInput,
        store::{TransactionId, server_key},
    },
};

impl Endpoint {
    /// The peer's CANCEL. It is a transaction of its own, so that one that comes again gets the same answer, even when
    /// its INVITE has been forgotten meanwhile.
    pub(super) fn handle_cancel(&mut self, now: Instant, peer: Peer, cancel: &Message) {
        let Some(key) = server_key(cancel, &Method::Cancel) else {
            return;
        };
        if let Some(id) = self.core.transactions.find_server(&key) {
            if let Some(owner) = self.core.transactions.server(id).map(|server| server.owner) {
                self.core.heard(now, owner, cancel, true);
            }
            self.core.drive_server(now, id, ServerInput::Request);
            return;
        }
        let invite = server_key(cancel, &Method::Invite).and_then(|key| self.core.transactions.find_server(&key));
        // "If the UAS did not find a matching transaction … it SHOULD respond to the CANCEL with a 481" (§9.2).
        let Some(transaction) = invite else {
            return self.answer_stateless(peer, cancel, 481, &[]);
        };
        let Some(owner) = self.core.transactions.server(transaction).map(|server| server.owner) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&owner) else {
            return self.answer_stateless(peer, cancel, 200, &[]);
        };
        let pending = session.is_pending(transaction);
        self.core.heard(now, owner, cancel, false);
        let reply_to = super::respond::reply_to(peer, cancel);
        let answering = self.core.start_server(cancel, key, reply_to, owner);
        // "The To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be
        // the same" (§9.2).
        session.reply(&mut self.core, now, answering, cancel, 200, &[]);
        // If "it has already sent a final response …, the CANCEL request has no effect" (§9.2).
        if !pending {
            return;
        }
        if matches!(session.phase, Phase::Ringing(_)) {
            let _ = session.refuse(&mut self.core, now, 487, &[]);
            let reasons = cancel.list("Reason");
            session.emit(&mut self.core, |session| Event::Cancelled { session, reasons });
        } else {
            session.withdraw_offer(&mut self.core, now);
            session.emit(&mut self.core, |session| Event::OfferWithdrawn { session });
        }
        self.sweep(owner);
    }
}

impl Session {
    /// UAC: whether this INVITE of ours has been cancelled.
    pub(super) fn is_cancelling(&self, invite: TransactionId) -> bool {
        matches!(&self.phase, Phase::Calling(calling) if calling.transaction == invite && calling.cancel != Cancel::No)
    }

    /// UAC: cancels the INVITE, as soon as that is allowed.
    pub(crate) fn cancel(&mut self, core: &mut Core, now: Instant, reason: Option<String>) -> Result<(), CommandError> {
        let wrong = self.wrong_state("CANCEL");
        let Phase::Calling(calling) = &mut self.phase else {
            return Err(wrong);
        };
        if calling.cancel != Cancel::No {
            return Err(CommandError::WrongState {
                command: "CANCEL",
                state: "our INVITE is cancelled",
            });
        }
        calling.cancel = Cancel::Wanted(reason);
        // "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client MUST
        // wait" (§9.1).
        if calling.provisional {
            self.send_cancel(core, now);
        }
        Ok(())
    }

    /// UAC: sends the CANCEL that is wanted, if any.
    pub(crate) fn send_cancel(&mut self, core: &mut Core, now: Instant) {
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        let Cancel::Wanted(reason) = &calling.cancel else {
            return;
        };
        let Some(client) = core.transactions.client(calling.transaction) else {
            return;
        };
        let (invite, way) = (client.request.clone(), client.way());
        let built = cancel_of(&invite, reason.as_deref());
        calling.cancel = Cancel::Sent;
        core.stop(self.id, SessionTimer::Patience);
        core.set(self.id, SessionTimer::CancelGiveUp, after(now, core.patience()));
        if let Some(cancel) = built
            && let Ok(via) = invite.top_via()
        {
            core.start_client(now, cancel, way, Some(self.id), via.branch().unwrap_or_default());
        }
    }

    /// "If there is no final response for the original request in 64*T1 seconds … the client SHOULD then consider the
    /// original transaction cancelled and SHOULD destroy the client transaction" (§9.1). It lives on without its session, for who
    /// answers late: a 2xx "MUST" get its ACK (§13.2.2.4).
    pub(crate) fn give_up_cancel(&mut self, core: &mut Core, now: Instant) {
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        calling.leave_forks(core);
        core.drive_client(now, calling.transaction, ClientInput::GivenUp, None);
        self.withdraw_offer(core, now);
        self.emit(core, |session| Event::Failed {
            session,
            status: 487,
            phrase: phrase(487).to_owned(),
            response: None,
            paused: None,
        });
        self.end(core);
    }
}

/// "The Request-URI, Call-ID, To, the numeric part of CSeq, and From header fields in the CANCEL request MUST be
/// identical to those in the request being cancelled …, a single Via header field value matching the top Via … [and]
/// that Route header field's values" (§9.1).
pub(super) fn cancel_of(invite: &Message, reason: Option<&str>) -> Option<Message> {
    let mut cancel =
        MessageBuilder::request(&Method::Cancel, invite.request_uri()?).header("Via", invite.header("Via")?);
    for route in invite.headers("Route") {
        cancel = cancel.header("Route", route);
    }
    cancel = cancel
        .header("Max-Forwards", "70")
        .copy(invite, "From")
        .copy(invite, "To")
        .copy(invite, "Call-ID")
        .header("CSeq", format!("{} CANCEL", invite.cseq().ok()?.number))
        // "The Session-ID … in a CANCEL request MUST be identical to [that of] the request being cancelled" (RFC 7989 §7).
        .copy(invite, "Session-ID");
    if let Some(reason) = reason {
        cancel = cancel.header("Reason", reason);
    }
    Some(cancel.build())
}
