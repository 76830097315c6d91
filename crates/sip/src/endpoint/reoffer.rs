//! Our own offers within a dialog: re-INVITE where it is confirmed (RFC 3261 §14.1), UPDATE while it is early (RFC 3311).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use segue_sip_wire::{Message, Method};

use super::{
    cancel::cancel_of,
    core::{ALLOW, Core, SessionTimer, after},
    incoming::shared_sdp,
    session::{Confirmed, Exchange, OfferState, OurOffer, Phase, Session},
};
use crate::{
    along::Along,
    api::{CommandError, Event, Peer},
    dialog::Dialog,
    transaction::store::TransactionId,
};

/// How often an offer that meets 491 is made in all.
const TRIES_MAX: u8 = 4;

impl Session {
    /// Makes an offer. It waits for the ACK of a 2xx of ours: "a UAC MUST NOT initiate a new INVITE transaction within a
    /// dialog while another INVITE transaction is in progress in either direction" (RFC 3261 §14.1).
    pub(crate) fn make_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        sdp: Arc<[u8]>,
        along: Along,
    ) -> Result<(), CommandError> {
        let command = "an offer";
        let wrong = self.wrong_state(command);
        if self.offer.is_some() || self.ours.is_some() {
            let state = "an offer waits for its answer";
            return Err(CommandError::WrongState { command, state });
        }
        let early = self.early().is_some();
        let state = match &self.phase {
            Phase::Confirmed(confirmed) if confirmed.bye.is_some() => return Err(wrong),
            Phase::Confirmed(confirmed) if confirmed.accept.is_some() => OfferState::Waiting,
            Phase::Confirmed(_) => OfferState::Again,
            Phase::Ringing(_) | Phase::Calling(_) if early => OfferState::Again,
            _ => return Err(wrong),
        };
        let waits = matches!(state, OfferState::Waiting);
        self.ours = Some(OurOffer {
            sdp,
            along,
            state,
            tries: 0,
            refreshes: false,
        });
        if !waits {
            self.send_offer(core, now);
        }
        Ok(())
    }

    /// The early dialog that takes an UPDATE with an offer: offer and answer of the INVITE are done, reliably, and the
    /// peer's Allow says so (RFC 3311 §5.1).
    fn early(&mut self) -> Option<&mut Dialog> {
        let dialog = match &mut self.phase {
            Phase::Ringing(ringing) => {
                let unacknowledged = ringing.unacknowledged.as_ref().is_some_and(|reliable| reliable.has_sdp);
                let done = ringing.exchange == Exchange::Complete && !unacknowledged && ringing.held.is_none();
                Some(&mut ringing.dialog).filter(|_| done)
            }
            // Of several forks nobody knows yet which one will be talked to.
            Phase::Calling(calling) => {
                let mut living = calling.forks.iter_mut().filter(|fork| !fork.ended);
                match (living.next(), living.next()) {
                    (Some(fork), None) if fork.sdp.is_some() => Some(&mut fork.dialog),
                    _ => None,
                }
            }
            _ => None,
        };
        dialog.filter(|dialog| dialog.allows_update)
    }

    fn send_offer(&mut self, core: &mut Core, now: Instant) {
        let id = self.id;
        let Some((sdp, along)) = self.ours.as_ref().map(|ours| (ours.sdp.clone(), ours.along.clone())) else {
            return;
        };
        let interval = self.asked_interval();
        let (dialog, method) = match &mut self.phase {
            Phase::Confirmed(confirmed) => (Some(&mut confirmed.dialog), Method::Invite),
            _ => (self.early(), Method::Update),
        };
        let Some(dialog) = dialog else {
            return self.offer_refused(core, now, 491);
        };
        let mut draft = dialog
            .request(method)
            .header("Contact", dialog.contact.as_str())
            .header("Allow", ALLOW)
            .header("User-Agent", core.config.user_agent.as_str());
        draft.headers.extend(interval);
        let draft = along.asked(draft, Some(&sdp));
        let (next_hop, remote_tag) = (dialog.next_hop(), dialog.remote_tag.clone());
        let transaction = core.request(now, &draft, next_hop, Some(id));
        if let Some(ours) = &mut self.ours {
            ours.tries = ours.tries.saturating_add(1);
            ours.state = OfferState::Sent {
                transaction,
                remote_tag,
                cancelled: false,
            };
        }
        core.set(id, SessionTimer::OfferGiveUp, after(now, core.patience()));
    }

    /// Whether this is the transaction of our offer.
    pub(crate) fn is_our_offer(&self, id: TransactionId) -> bool {
        matches!(&self.ours, Some(OurOffer { state: OfferState::Sent { transaction, .. }, .. }) if *transaction == id)
    }

    /// Our offer was challenged, and goes on in another transaction.
    pub(crate) fn offer_goes_on(&mut self, before: TransactionId, now: TransactionId) {
        if let Some(OurOffer {
            state: OfferState::Sent { transaction, .. },
            ..
        }) = &mut self.ours
            && *transaction == before
        {
            *transaction = now;
        }
    }

    /// Whether our offer is on its way.
    pub(crate) fn is_offering(&self) -> bool {
        matches!(&self.ours, Some(ours) if matches!(ours.state, OfferState::Sent { .. }))
    }

    /// The 2xx to our re-INVITE: its ACK is sent (§13.2.2.4).
    pub(crate) fn on_offer_2xx(
        &mut self,
        core: &mut Core,
        now: Instant,
        peer: Peer,
        id: TransactionId,
        invite: &Message,
        response: &Arc<Message>,
    ) {
        if let Phase::Confirmed(confirmed) = &mut self.phase {
            let Confirmed { dialog, .. } = confirmed.as_mut();
            dialog.refresh(response);
            dialog.peer = peer;
            core.acknowledge(now, id, dialog, invite, Some(self.id));
            self.offer_answered(core, now, response);
        }
    }

    /// Another response to our re-INVITE, or any to our UPDATE.
    pub(crate) fn on_offer_response(&mut self, core: &mut Core, now: Instant, response: &Arc<Message>) {
        match response.status().unwrap_or_default() {
            0..=199 => {}
            200..=299 => {
                let tag = response.to().ok().and_then(|to| to.tag().map(str::to_owned));
                if let Some(dialog) = tag.and_then(|tag| self.dialog(&tag)) {
                    dialog.refresh(response);
                }
                self.offer_answered(core, now, response);
            }
            491 => self.offer_collided(core, now),
            422 if self.offers_longer(response) => self.send_offer(core, now),
            status => self.offer_failed(core, now, status, Some(response)),
        }
    }

    /// "If a UAC receives a 491 response to a re-INVITE, it SHOULD start a timer with a value T …: 1. If the UAC is the
    /// owner of the Call-ID of the dialog ID (meaning it generated the value), T has a randomly chosen value between 2.1
    /// and 4 seconds in units of 10 ms. 2. If [it] is not …, between 0 and 2 seconds" (§14.1).
    fn offer_collided(&mut self, core: &mut Core, now: Instant) {
        let made_call_id = self.made_call_id;
        let Some(ours) = self.ours.as_mut().filter(|ours| ours.tries < TRIES_MAX) else {
            return self.offer_refused(core, now, 491);
        };
        ours.state = OfferState::Again;
        let units = match made_call_id {
            true => 210_u32.saturating_add(core.random_below(191)),
            false => core.random_below(201),
        };
        let wait = Duration::from_millis(u64::from(units).saturating_mul(10));
        core.stop(self.id, SessionTimer::OfferGiveUp);
        core.set(self.id, SessionTimer::OfferAgain, after(now, wait));
    }

    /// "When the timer fires, the UAC SHOULD attempt the re-INVITE once more" (§14.1).
    pub(crate) fn offer_again(&mut self, core: &mut Core, now: Instant) {
        if matches!(&self.ours, Some(ours) if matches!(ours.state, OfferState::Again)) {
            self.send_offer(core, now);
        }
    }

    /// The ACK that our offer waited for has come.
    pub(crate) fn offer_may_go(&mut self, core: &mut Core, now: Instant) {
        if matches!(&self.ours, Some(ours) if matches!(ours.state, OfferState::Waiting)) {
            self.send_offer(core, now);
        }
    }

    /// A final refusal, or none at all (408, 503). 481 and 408 end the dialog (§12.2.1.2, §14.1); after all others "the
    /// session parameters MUST remain unchanged" (§14.1).
    pub(crate) fn offer_failed(&mut self, core: &mut Core, now: Instant, status: u16, response: Option<&Arc<Message>>) {
        if !matches!(status, 408 | 481) {
            return self.offer_refused_by(core, now, status, response);
        }
        self.forget_our_offer(core);
        match self.phase {
            Phase::Confirmed(_) => self.on_dialog_lost(core, now, status),
            Phase::Ringing(_) => {
                let reason = Some(format!("SIP;cause={status}"));
                let reasons = reason.into_iter().collect();
                self.emit(core, |session| Event::Bye {
                    session,
                    reasons,
                    request: None,
                });
                let _ = self.refuse(core, now, 487, &[]);
            }
            _ => self.emit(core, |session| Event::OfferRefused {
                session,
                status,
                response: None,
            }),
        }
    }

    /// No final response within 64·T1 although the peer said 1xx: it is cancelled; after as long again the peer counts as
    /// gone.
    pub(crate) fn give_up_offer(&mut self, core: &mut Core, now: Instant) {
        let Some(OurOffer {
            state: OfferState::Sent {
                transaction, cancelled, ..
            },
            ..
        }) = &mut self.ours
        else {
            return;
        };
        let transaction = *transaction;
        let client = core.transactions.client(transaction);
        let invite = client
            .filter(|client| client.request.method() == Some(&Method::Invite) && !*cancelled)
            .map(|client| (client.request.clone(), client.way()));
        let Some((invite, way)) = invite else {
            core.forget_transaction(transaction);
            return self.offer_failed(core, now, 408, None);
        };
        *cancelled = true;
        core.set(self.id, SessionTimer::OfferGiveUp, after(now, core.patience()));
        if let (Some(cancel), Ok(via)) = (cancel_of(&invite, None), invite.top_via()) {
            core.start_client(now, cancel, way, Some(self.id), via.branch().unwrap_or_default());
        }
    }

    /// The peer offers something while ours waits: theirs goes first.
    pub(crate) fn give_way(&mut self, core: &mut Core, now: Instant) {
        if self.ours.is_some() {
            self.offer_refused(core, now, 491);
        }
    }

    /// Another fork than the one that we made an offer to has won.
    pub(crate) fn fork_lost_offer(&mut self, core: &mut Core, now: Instant, winner: &str) {
        let lost = matches!(&self.ours, Some(OurOffer { state: OfferState::Sent { remote_tag, .. }, .. })
            if remote_tag != winner);
        if lost {
            self.offer_refused(core, now, 487);
        }
    }

    /// The early dialog that we made an offer in is over.
    pub(super) fn offer_lost_with(&mut self, core: &mut Core, now: Instant, gone: &str) {
        let lost = matches!(&self.ours, Some(OurOffer { state: OfferState::Sent { remote_tag, .. }, .. })
            if remote_tag == gone);
        if lost {
            self.offer_refused(core, now, 481);
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn forget_our_offer(&mut self, core: &mut Core) {
        self.ours = None;
        core.stop(self.id, SessionTimer::OfferAgain);
        core.stop(self.id, SessionTimer::OfferGiveUp);
    }

    fn offer_answered(&mut self, core: &mut Core, now: Instant, response: &Arc<Message>) {
        let ours = self.ours.take();
        self.forget_our_offer(core);
        self.interval_answered(core, now, response, false);
        let sdp = shared_sdp(response);
        let refreshes = ours.as_ref().is_some_and(|ours| ours.refreshes);
        self.interval.said = ours.map(|ours| ours.sdp).or(self.interval.said.take());
        // Asked nothing new, the peer may still say something new.
        if !refreshes || sdp.is_some() {
            let response = response.clone();
            self.emit(core, |session| Event::OfferAnswered { session, sdp, response });
        }
        self.release_answer(core, now);
    }

    fn offer_refused(&mut self, core: &mut Core, now: Instant, status: u16) {
        self.offer_refused_by(core, now, status, None);
    }

    fn offer_refused_by(&mut self, core: &mut Core, now: Instant, status: u16, response: Option<&Arc<Message>>) {
        let refreshes = self.ours.as_ref().is_some_and(|ours| ours.refreshes);
        self.forget_our_offer(core);
        match refreshes {
            true => self.refresh_failed(core, now, status),
            false => {
                let response = response.cloned();
                self.emit(core, |session| Event::OfferRefused {
                    session,
                    status,
                    response,
                });
            }
        }
        self.release_answer(core, now);
    }
}
