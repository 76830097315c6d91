//! A new offer within a dialog: re-INVITE (RFC 3261 §14.2) and UPDATE (RFC 3311 §5.2).

use std::{sync::Arc, time::Instant};

use segue_sip_wire::{Message, Method};

use super::{
    ask::says_more,
    core::Core,
    incoming::shared_sdp,
    session::{Exchange, PendingOffer, Phase, Session},
};
use crate::{
    along::Along,
    api::{CommandError, Event},
    transaction::store::TransactionId,
};

impl Session {
    /// The peer's re-INVITE or UPDATE.
    pub(crate) fn on_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Arc<Message>,
        remote_tag: &str,
    ) {
        let invite = request.method() == Some(&Method::Invite);
        let sdp = shared_sdp(request);
        if let Some(status) = self.glare(invite, sdp.is_some(), remote_tag) {
            // "… MUST include a Retry-After header field with a randomly chosen value of between 0 and 10 seconds"
            // (§14.2).
            let retry = ("Retry-After", core.retry_after());
            let headers = if status == 500 { vec![retry] } else { Vec::new() };
            return self.reply(core, now, transaction, request, status, &headers);
        }
        if let Some(min_se_s) = self.refuses_interval(request) {
            let headers = [("Min-SE", min_se_s.to_string())];
            return self.reply(core, now, transaction, request, 422, &headers);
        }
        if invite || sdp.is_some() {
            self.give_way(core, now);
        }
        if !request.body().is_empty() && sdp.is_none() {
            return self.reply(
                core,
                now,
                transaction,
                request,
                415,
                &[("Accept", "application/sdp".to_owned())],
            );
        }
        // Both are target refresh requests.
        if let Some(dialog) = self.dialog(remote_tag) {
            dialog.refresh(request);
        }
        if !invite && sdp.is_none() {
            self.accept_update(core, now, transaction, request, remote_tag, None);
            if matches!(self.phase, Phase::Confirmed(_)) && says_more(request) {
                let request = request.clone();
                self.emit(core, |session| Event::Refreshed { session, request });
            }
            return;
        }
        if invite {
            let trying = core.response(request, 100, &self.local_tag).build();
            core.respond(now, transaction, &trying, false);
        }
        self.offer = Some(PendingOffer::Theirs {
            transaction,
            request: request.clone(),
            remote_tag: remote_tag.to_owned(),
        });
        let fork = self.is_early_caller().then(|| remote_tag.into());
        let request = request.clone();
        self.emit(core, |session| Event::Offer {
            session,
            sdp,
            fork,
            request,
        });
    }

    /// The refusal of an offer that comes at the wrong moment.
    fn glare(&self, invite: bool, offers: bool, remote_tag: &str) -> Option<u16> {
        match &self.phase {
            // "A UAS that receives a second INVITE before it sends the final response to a first … MUST return a 500"
            // (§14.2). An UPDATE with an offer while "the UAS has received an offer … to which it has not yet generated
            // an answer": the same (RFC 3311 §5.2).
            _ if self.offer.is_some() && (invite || offers) => Some(500),
            // "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that dialog is in progress MUST
            // return a 491" (§14.2); so for our UPDATE, and for theirs (RFC 3311 §5.2).
            _ if self.is_offering() && (invite || offers) => Some(491),
            Phase::Ringing(_) if invite => Some(500),
            Phase::Ringing(ringing) if offers => match ringing.exchange {
                Exchange::Complete => None,
                Exchange::Offered => Some(500),
                // "The UAS has generated an offer … to which it has not yet received an answer": 491 (RFC 3311 §5.2).
                Exchange::Empty | Exchange::OurOffer => Some(491),
            },
            // "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that dialog is in progress MUST
            // return a 491" (§14.2).
            Phase::Calling(_) if invite => Some(491),
            // Each early dialog has an offer and an answer of its own (RFC 6337 §2.2).
            Phase::Calling(calling) if offers => (!calling.is_answered(remote_tag)).then_some(491),
            // Our 2xx to the INVITE before has no ACK yet.
            Phase::Confirmed(confirmed) if confirmed.accept.is_some() && (invite || offers) => Some(500),
            _ => None,
        }
    }

    /// Answers the pending offer.
    pub(crate) fn accept_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        sdp: Arc<[u8]>,
        along: &Along,
    ) -> Result<(), CommandError> {
        let Some(PendingOffer::Theirs {
            transaction,
            request,
            remote_tag,
        }) = self.offer.take()
        else {
            return Err(CommandError::NoOffer);
        };
        match request.method() {
            Some(Method::Invite) => self.accept_again(core, now, transaction, &request, sdp, along),
            Some(Method::Update) => {
                self.accept_update(core, now, transaction, &request, &remote_tag, Some((sdp, along)));
            }
            _ => {
                self.interval.said = Some(sdp.clone());
                let response = core.response(&request, 200, &self.local_tag);
                let response = along.with(response, Some(&sdp)).build();
                core.respond(now, transaction, &response, false);
            }
        }
        self.release_answer(core, now);
        Ok(())
    }

    fn accept_update(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Message,
        remote_tag: &str,
        answer: Option<(Arc<[u8]>, &Along)>,
    ) {
        let contact = self
            .dialog(remote_tag)
            .map(|dialog| dialog.contact.clone())
            .unwrap_or_default();
        let mut response = core.dialog_response(request, 200, &self.local_tag, &contact);
        if matches!(self.phase, Phase::Confirmed(_)) {
            for (name, value) in self.answer_interval(core, now, request) {
                response = response.header(name, value);
            }
        }
        if let Some((sdp, along)) = answer {
            response = along.with(response, Some(&sdp));
            self.interval.said = Some(sdp);
        }
        core.respond(now, transaction, &response.build(), false);
    }

    /// Refuses the pending offer.
    pub(crate) fn refuse_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[(&str, String)],
        along: &Along,
    ) -> Result<(), CommandError> {
        if !(300..=699).contains(&status) {
            return Err(self.wrong_state("a refusal"));
        }
        self.end_offer(core, now, status, headers, along)?;
        self.release_answer(core, now);
        Ok(())
    }

    fn end_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[(&str, String)],
        along: &Along,
    ) -> Result<(), CommandError> {
        let Some(PendingOffer::Theirs {
            transaction, request, ..
        }) = self.offer.take()
        else {
            return Err(CommandError::NoOffer);
        };
        // A PRACK that is refused for its offer may come again without one (RFC 6337 §2.3).
        if request.method() == Some(&Method::Prack) {
            self.late_prack = request.rack();
        }
        self.reply_along(core, now, transaction, &request, (status, headers), along);
        Ok(())
    }

    /// The early dialog of the pending offer is over.
    pub(super) fn end_offer_with(&mut self, core: &mut Core, now: Instant, status: u16) {
        let _ = self.end_offer(core, now, status, &[], &Along::default());
    }

    /// UAC before the final response: there may be several dialogs.
    fn is_early_caller(&self) -> bool {
        matches!(self.phase, Phase::Calling(_))
    }

    /// The session ends, or the peer has cancelled: its pending request still gets a response.
    pub(crate) fn withdraw_offer(&mut self, core: &mut Core, now: Instant) {
        let _ = self.end_offer(core, now, 487, &[], &Along::default());
    }

    /// Whether this is the server transaction of an INVITE without final response.
    pub(crate) fn is_pending(&self, invite: TransactionId) -> bool {
        match (&self.phase, &self.offer) {
            (Phase::Ringing(ringing), _) => ringing.transaction == invite,
            (_, Some(PendingOffer::Theirs { transaction, .. })) => *transaction == invite,
            _ => false,
        }
    }
}
