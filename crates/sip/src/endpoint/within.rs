//! Who in a session takes what: requests within its dialogs, responses to its requests, its timers.

use std::{sync::Arc, time::Instant};

use segue_sip_wire::{Message, Method};

use super::{
    core::{ALLOW, Core, SUPPORTED, SessionTimer},
    session::{Phase, Session},
};
use crate::{along::Along, transaction::store::TransactionId};

impl Session {
    /// A request in one of its dialogs, neither ACK nor CANCEL.
    pub(crate) fn on_request(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Arc<Message>,
        remote_tag: &str,
    ) {
        let in_order = match (self.dialog(remote_tag), request.cseq()) {
            (Some(dialog), Ok(cseq)) => dialog.is_next(cseq.number),
            _ => false,
        };
        let method = request.method().cloned().unwrap_or(Method::Options);
        if !in_order {
            return self.reply(core, now, transaction, request, 500, &[]);
        }
        match method {
            Method::Bye => self.on_bye(core, now, transaction, request),
            // The dialog is over for all others.
            _ if matches!(self.phase, Phase::Ending(_)) || self.is_refused() && method != Method::Prack => {
                self.reply(core, now, transaction, request, 481, &[])
            }
            Method::Prack => self.on_prack(core, now, transaction, request),
            Method::Invite | Method::Update => {
                self.on_early_media(core, remote_tag, request);
                self.on_offer(core, now, transaction, request, remote_tag);
            }
            Method::Info => self.on_info(core, now, transaction, request),
            Method::Options => {
                let headers = [
                    ("Allow", ALLOW.to_owned()),
                    ("Accept", "application/sdp".to_owned()),
                    ("Supported", SUPPORTED.to_owned()),
                ];
                self.reply(core, now, transaction, request, 200, &headers);
            }
            _ => self.reply(core, now, transaction, request, 405, &[("Allow", ALLOW.to_owned())]),
        }
    }

    /// A final response without a body.
    pub(crate) fn reply(
        &self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Message,
        status: u16,
        headers: &[(&str, String)],
    ) {
        self.reply_along(core, now, transaction, request, (status, headers), &Along::default());
    }

    /// The same, with what goes along.
    pub(crate) fn reply_along(
        &self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Message,
        (status, headers): (u16, &[(&str, String)]),
        along: &Along,
    ) {
        let mut builder = core.response(request, status, &self.local_tag);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let response = along.with(builder, None).build();
        core.respond(now, transaction, &response, false);
    }

    /// A response, new to us, to a request of ours that is no INVITE.
    pub(crate) fn on_other_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Message,
        response: &Arc<Message>,
    ) {
        let status = response.status().unwrap_or_default();
        if status < 200 {
            return;
        }
        if status < 300
            && let Ok(to) = response.to()
        {
            self.on_early_media(core, to.tag().unwrap_or_default(), response);
        }
        match request.method() {
            // Whatever the final response, 481 and 408 too, the session is over (§15.1.1).
            Some(Method::Bye) => self.on_bye_done(core),
            Some(Method::Update) if self.is_our_offer(transaction) => self.on_offer_response(core, now, response),
            Some(Method::Update) if self.is_refresh(transaction) => self.on_refresh_response(core, now, response),
            Some(Method::Info) if status == 481 => self.on_dialog_lost(core, now, status),
            Some(Method::Info) => self.on_ask_answered(core, transaction, Some(response)),
            _ => {}
        }
    }

    /// A request of ours that nobody answered (408) or that could not be sent (503).
    pub(crate) fn on_no_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Message,
        status: u16,
    ) {
        match request.method() {
            // 481, 408 "or no response at all is received for the UPDATE …, the UAC will terminate the dialog" (RFC
            // 3311 §5.3); so for a re-INVITE (RFC 3261 §14.1).
            Some(Method::Invite | Method::Update) if self.is_our_offer(transaction) => {
                self.offer_failed(core, now, status, None);
            }
            Some(Method::Update) if self.is_refresh(transaction) => self.refresh_failed(core, now, status),
            Some(Method::Invite) => self.on_invite_unanswered(core, now, transaction, status),
            Some(Method::Bye) => self.on_bye_done(core),
            Some(Method::Info) => self.on_ask_answered(core, transaction, None),
            _ => {}
        }
    }

    /// A timer of the session fired.
    pub(crate) fn on_timer(&mut self, core: &mut Core, now: Instant, timer: SessionTimer) {
        match timer {
            SessionTimer::Reliable => self.repeat_reliable(core, now),
            SessionTimer::PrackGiveUp => self.give_up_prack(core),
            SessionTimer::Repeat => self.repeat_provisional(core, now),
            SessionTimer::Accept => self.repeat_accept(core, now),
            SessionTimer::AckGiveUp => self.give_up_ack(core, now),
            SessionTimer::CancelGiveUp => self.give_up_cancel(core, now),
            SessionTimer::OfferAgain => self.offer_again(core, now),
            SessionTimer::OfferGiveUp => self.give_up_offer(core, now),
            SessionTimer::Refresh => self.refresh(core, now),
            SessionTimer::Expiry => self.expire(core, now),
            SessionTimer::NextServer => self.give_up_server(core, now),
            SessionTimer::Patience => {
                let _ = self.cancel(core, now, None);
            }
        }
    }
}
