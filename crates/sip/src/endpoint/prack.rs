//! Reliable provisional responses, both sides (RFC 3262).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_sip_wire::{Message, Method, RAck};

use super::{
    core::{Core, SessionTimer, after},
    incoming::shared_sdp,
    session::{Exchange, Fork, PendingOffer, Phase, Reliable, Repeated, Session},
};
use crate::{
    api::{Event, Progress, SessionId},
    transaction::store::TransactionId,
};

/// A reliable 1xx is sent every two and a half minutes, so that proxies do not time out (RFC 3262 §3).
const REFRESH: Duration = Duration::from_secs(150);

impl Session {
    /// UAS: sends a reliable 1xx. None may be unacknowledged: "The UAS MUST NOT send a second reliable provisional
    /// response until the first is acknowledged" (§3); we keep to it for all.
    pub(crate) fn send_reliable(&mut self, core: &mut Core, now: Instant, progress: &Progress) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        let Ok(cseq) = ringing.invite.cseq() else { return };
        let rack = RAck {
            rseq: ringing.rseq,
            cseq: cseq.number,
            method: Method::Invite,
        };
        // "The value of the RSeq in each subsequent reliable provisional response for the same request MUST be greater
        // by exactly one" (§3).
        ringing.rseq = ringing.rseq.wrapping_add(1);
        let mut builder = core
            .dialog_response(
                &ringing.invite,
                progress.status,
                &self.local_tag,
                &ringing.dialog.contact,
            )
            .header("Require", "100rel")
            .header("RSeq", rack.rseq.to_string());
        for (name, value) in &progress.headers {
            builder = builder.header(name, value);
        }
        if progress.sdp.is_some() {
            ringing.exchange = ringing.exchange.after_our_sdp();
        }
        let response = progress.along.with(builder, progress.sdp.as_deref()).build();
        core.respond(now, ringing.transaction, &response, false);
        let interval = core.config.t1;
        ringing.repeated = Some(Repeated::Reliable(progress.status));
        ringing.unacknowledged = Some(Reliable {
            response,
            rack,
            has_sdp: progress.sdp.is_some(),
            interval,
            given_up: false,
        });
        core.set(self.id, SessionTimer::Reliable, after(now, interval));
        core.set(self.id, SessionTimer::PrackGiveUp, after(now, core.patience()));
        core.set(self.id, SessionTimer::Repeat, after(now, REFRESH));
    }

    /// "… with an interval that starts at T1 seconds and doubles for each retransmission" (§3).
    pub(crate) fn repeat_reliable(&mut self, core: &mut Core, now: Instant) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        let Some(reliable) = &mut ringing.unacknowledged else {
            return;
        };
        core.respond(now, ringing.transaction, &reliable.response, true);
        reliable.interval = reliable.interval.saturating_mul(2);
        core.set(self.id, SessionTimer::Reliable, after(now, reliable.interval));
    }

    /// "If a reliable provisional response is retransmitted for 64*T1 seconds without reception of a corresponding
    /// PRACK, the UAS SHOULD reject the original request with a 5xx response" (§3): which one is the user's choice.
    pub(crate) fn give_up_prack(&mut self, core: &mut Core) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        // It stays unacknowledged, so that no 2xx can follow it.
        if let Some(reliable) = &mut ringing.unacknowledged {
            reliable.given_up = true;
        }
        ringing.waiting.clear();
        ringing.held = None;
        ringing.repeated = None;
        core.stop(self.id, SessionTimer::Reliable);
        core.stop(self.id, SessionTimer::Repeat);
        core.stats.no_prack = core.stats.no_prack.saturating_add(1);
        self.emit(core, |session| Event::PrackTimeout { session });
    }

    /// UAS: a PRACK.
    pub(crate) fn on_prack(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Arc<Message>,
    ) {
        let rack = request.rack();
        if rack.is_some() && rack == self.late_prack {
            // Its offer comes too late to be answered. The same without one is still welcome (RFC 6337 §2.3).
            if request.sdp().is_some() {
                return self.reply(core, now, transaction, request, 488, &[]);
            }
            self.late_prack = None;
            return self.reply(core, now, transaction, request, 200, &[]);
        }
        let matching = match &mut self.phase {
            Phase::Ringing(ringing) => ringing
                .unacknowledged
                .take_if(|reliable| rack.as_ref() == Some(&reliable.rack))
                .map(|_| ringing),
            _ => None,
        };
        // "If a PRACK request … does not match any unacknowledged reliable provisional response, the UAS MUST respond …
        // with a 481" (§3).
        let Some(ringing) = matching else {
            return self.reply(core, now, transaction, request, 481, &[]);
        };
        core.stop(self.id, SessionTimer::Reliable);
        core.stop(self.id, SessionTimer::PrackGiveUp);
        let sdp = shared_sdp(request);
        let answers = ringing.exchange == Exchange::OurOffer && sdp.is_some();
        if answers {
            ringing.exchange = Exchange::Complete;
        }
        if sdp.is_none() || answers {
            self.reply(core, now, transaction, request, 200, &[]);
            self.emit(core, |session| Event::Prack { session, sdp });
        } else if self.offer.is_none() && ringing.exchange == Exchange::Complete {
            // An offer in the PRACK gets its answer in the 2xx to the PRACK (§5).
            let remote_tag = ringing.dialog.remote_tag.clone();
            self.offer = Some(PendingOffer::Theirs {
                transaction,
                request: request.clone(),
                remote_tag,
            });
            self.emit(core, |session| Event::Prack { session, sdp: None });
            let fork = None;
            let request = request.clone();
            self.emit(core, |session| Event::Offer {
                session,
                sdp,
                fork,
                request,
            });
        } else {
            // There is no answer yet that it could go on from (RFC 6337 §2.2). It "may send again a PRACK request without
            // an offer" (§2.3).
            self.late_prack = rack;
            self.reply(core, now, transaction, request, 488, &[]);
            self.emit(core, |session| Event::Prack { session, sdp: None });
        }
        self.after_prack(core, now);
    }

    /// Sends the 200 that waited for a PRACK or for the answer to an offer in the early dialog.
    pub(crate) fn release_answer(&mut self, core: &mut Core, now: Instant) {
        if let Phase::Ringing(ringing) = &mut self.phase
            && self.ours.is_none()
            && self.offer.is_none()
            && !ringing.unacknowledged.as_ref().is_some_and(|reliable| reliable.has_sdp)
            && let Some(answer) = ringing.held.take()
        {
            self.accept(core, now, answer);
            self.emit(core, |session| Event::AnswerSent { session });
        }
    }

    /// What waited for the PRACK: the 200, or else the next reliable 1xx.
    fn after_prack(&mut self, core: &mut Core, now: Instant) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        if ringing.held.is_some() {
            self.release_answer(core, now);
        } else if let Some(next) = ringing.waiting.pop_front() {
            self.send_reliable(core, now, &next);
        }
    }
}

impl Fork {
    /// Whether a reliable 1xx is the next of its fork. One that is not, repeated or early, "MUST NOT be acknowledged
    /// with a PRACK, and MUST NOT be processed further" (§4).
    pub(crate) fn is_next(&mut self, rseq: u32) -> bool {
        let next = self.rseq.is_none_or(|last| rseq == last.wrapping_add(1));
        if next {
            self.rseq = Some(rseq);
        }
        next
    }

    /// UAC: each reliable provisional response in order gets a PRACK (§4).
    pub(crate) fn prack(&mut self, core: &mut Core, now: Instant, owner: SessionId, invite: &Message, rseq: u32) {
        let Ok(cseq) = invite.cseq() else { return };
        let rack = RAck {
            rseq,
            cseq: cseq.number,
            method: Method::Invite,
        };
        let draft = self
            .dialog
            .request(Method::Prack)
            .header("RAck", rack.to_string())
            .header("User-Agent", core.config.user_agent.as_str());
        core.request(now, &draft, self.dialog.next_hop(), Some(owner));
    }
}
