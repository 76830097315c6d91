//! UAS: the 2xx, repeated until its ACK (RFC 3261 §13.3.1.4).

use std::{sync::Arc, time::Instant};

use segue_sip_wire::{Message, MessageBuilder};

use super::{
    core::{Core, SUPPORTED, SessionTimer, after},
    incoming::shared_sdp,
    session::{Accept, Answer, Confirmed, Exchange, Phase, Session},
};
use crate::{
    along::Along,
    api::{CommandError, Event},
    transaction::store::TransactionId,
};

impl Session {
    /// UAS: answers the INVITE, as soon as that is allowed.
    pub(crate) fn answer(
        &mut self,
        core: &mut Core,
        now: Instant,
        sdp: Option<Arc<[u8]>>,
        along: Along,
    ) -> Result<(), CommandError> {
        let wrong = self.wrong_state("an answer");
        let answer = Answer { sdp, along };
        let Phase::Ringing(ringing) = &mut self.phase else {
            return Err(wrong);
        };
        if ringing.held.is_some() {
            return Err(CommandError::WrongState {
                command: "an answer",
                state: "the INVITE is answered",
            });
        }
        // If "the final response is 2xx and any of the unacknowledged reliable provisional responses contained a
        // session description … it MUST NOT send a final response until those provisional responses are acknowledged"
        // (RFC 3262 §3).
        // Neither may it while an offer in the early dialog, ours or theirs, has no answer.
        if self.ours.is_some() || self.offer.is_some() {
            ringing.waiting.clear();
            ringing.held = Some(answer);
            self.emit(core, |session| Event::AnswerHeld { session });
            return Ok(());
        }
        if let Some(reliable) = ringing.unacknowledged.as_ref().filter(|reliable| reliable.has_sdp) {
            if reliable.given_up {
                let state = "the PRACK never came";
                return Err(CommandError::WrongState {
                    command: "an answer",
                    state,
                });
            }
            ringing.waiting.clear();
            ringing.held = Some(answer);
            self.emit(core, |session| Event::AnswerHeld { session });
            return Ok(());
        }
        self.accept(core, now, answer);
        Ok(())
    }

    /// Sends the 200 now.
    pub(crate) fn accept(&mut self, core: &mut Core, now: Instant, answer: Answer) {
        let Answer { sdp, along } = answer;
        let Phase::Ringing(ringing) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        core.stop_all(self.id);
        self.late_prack = ringing.unacknowledged.map(|reliable| reliable.rack);
        let cseq = cseq_of(&ringing.invite);
        let offered = match ringing.exchange {
            Exchange::OurOffer => true,
            Exchange::Empty => sdp.is_some(),
            Exchange::Offered | Exchange::Complete => false,
        };
        let mut confirmed = Confirmed {
            dialog: ringing.dialog,
            accept: None,
            bye: None,
        };
        if sdp.is_some() {
            self.interval.said.clone_from(&sdp);
        }
        let headers = self.answer_interval(core, now, &ringing.invite);
        let contact = &confirmed.dialog.contact;
        let builder = accepted(core, &ringing.invite, &self.local_tag, contact, &headers);
        let response = along.with(builder, sdp.as_deref()).build();
        confirmed.accept = Some(Accept {
            transaction: ringing.transaction,
            cseq,
            response,
            interval: core.config.t1,
            offered,
        });
        self.phase = Phase::Confirmed(Box::new(confirmed));
        self.send_accept(core, now);
    }

    /// UAS: 200 to a re-INVITE.
    pub(crate) fn accept_again(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Message,
        sdp: Arc<[u8]>,
        along: &Along,
    ) {
        if !matches!(self.phase, Phase::Confirmed(_)) {
            return;
        }
        self.interval.said = Some(sdp.clone());
        let headers = self.answer_interval(core, now, request);
        let interval = core.config.t1;
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return;
        };
        let contact = &confirmed.dialog.contact;
        let builder = accepted(core, request, &self.local_tag, contact, &headers);
        let response = along.with(builder, Some(&sdp)).build();
        let cseq = cseq_of(request);
        let offered = request.sdp().is_none();
        confirmed.accept = Some(Accept {
            transaction,
            cseq,
            response,
            interval,
            offered,
        });
        self.send_accept(core, now);
    }

    fn send_accept(&mut self, core: &mut Core, now: Instant) {
        let Phase::Confirmed(confirmed) = &self.phase else {
            return;
        };
        let Some(accept) = &confirmed.accept else { return };
        core.respond(now, accept.transaction, &accept.response, false);
        core.set(self.id, SessionTimer::Accept, after(now, accept.interval));
        core.set(self.id, SessionTimer::AckGiveUp, after(now, core.patience()));
    }

    /// "The 2xx response is passed to the transport with an interval that starts at T1 seconds and doubles for each
    /// retransmission until it reaches T2 seconds" (§13.3.1.4), whatever the transport.
    pub(crate) fn repeat_accept(&mut self, core: &mut Core, now: Instant) {
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return;
        };
        let Some(accept) = &mut confirmed.accept else { return };
        core.respond(now, accept.transaction, &accept.response, true);
        accept.interval = accept.interval.saturating_mul(2).min(core.config.t1.saturating_mul(8));
        core.set(self.id, SessionTimer::Accept, after(now, accept.interval));
    }

    /// UAS: an ACK that found this dialog.
    pub(crate) fn on_ack(&mut self, core: &mut Core, now: Instant, ack: &Message) {
        let cseq = cseq_of(ack);
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return core.heard(now, self.id, ack, true);
        };
        let accept = confirmed.accept.take_if(|accept| accept.cseq == cseq);
        core.heard(now, self.id, ack, accept.is_none());
        let Some(accept) = accept else { return };
        core.stop(self.id, SessionTimer::Accept);
        core.stop(self.id, SessionTimer::AckGiveUp);
        let bye = confirmed.bye.take();
        let sdp = shared_sdp(ack).filter(|_| accept.offered);
        self.emit(core, |session| Event::Acked { session, sdp });
        // "The callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx response"
        // (§15): now.
        match bye {
            Some(farewell) => self.send_bye(core, now, farewell),
            None => self.offer_may_go(core, now),
        }
    }

    /// "If the server retransmits the 2xx response for 64*T1 seconds without receiving an ACK, the dialog is confirmed,
    /// but the session SHOULD be terminated. This is accomplished with a BYE" (§13.3.1.4).
    pub(crate) fn give_up_ack(&mut self, core: &mut Core, now: Instant) {
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return;
        };
        confirmed.accept = None;
        let farewell = confirmed.bye.take().unwrap_or_default();
        core.stop(self.id, SessionTimer::Accept);
        core.stats.no_ack = core.stats.no_ack.saturating_add(1);
        self.emit(core, |session| Event::AckTimeout { session });
        self.send_bye(core, now, farewell);
    }
}

fn cseq_of(message: &Message) -> u32 {
    message.cseq().map(|cseq| cseq.number).unwrap_or_default()
}

/// A 200 to an INVITE.
fn accepted(
    core: &Core,
    invite: &Message,
    local_tag: &str,
    contact: &str,
    interval: &[(&str, String)],
) -> MessageBuilder {
    let mut builder = core
        .dialog_response(invite, 200, local_tag, contact)
        .header("Supported", SUPPORTED);
    for (name, value) in interval {
        builder = builder.header(name, value);
    }
    builder
}
