//! UAS: a new INVITE, its provisional responses and its refusal (RFC 3261 §13.3.1).

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use segue_sip_wire::Message;

use super::{
    Endpoint,
    ask::Asks,
    core::{Core, SessionTimer, after},
    interval::Interval,
    receive::Received,
    respond::reply_to,
    session::{Exchange, Phase, Repeated, Ringing, Session},
};
use crate::{
    along::Along,
    api::{CommandError, Event, Peer, Progress, SessionId},
    dialog::Dialog,
};

/// How many transactions per allowed session may live before new INVITEs get 503. They outlive short calls by 64·T1.
const TRANSACTIONS_A_SESSION: usize = 16;
/// Reliable provisional responses that may wait for the PRACK of the one before.
const WAITING_MAX: usize = 8;
/// An unreliable 1xx may be lost: it is said again soon …
const REPEAT_FIRST: Duration = Duration::from_millis(500);
/// … and "at every minute, to handle the possibility of lost provisional responses" (§13.3.1.1).
const REPEAT_THEN: Duration = Duration::from_secs(60);

impl Endpoint {
    /// An INVITE outside a dialog.
    pub(super) fn handle_invite(&mut self, now: Instant, received: Received) {
        let Received {
            request: invite,
            peer,
            key,
        } = received;
        if self.is_merged(&invite) {
            return self.refuse_merged(now, &invite, peer, key);
        }
        if let Some((status, headers)) = self.invite_refusal(&invite) {
            return self.answer_stateless(peer, &invite, status, &headers);
        }
        let local_tag = self.core.tag();
        let Some(mut dialog) = Dialog::uas(&invite, &local_tag, self.core.contact(peer), peer) else {
            // §8.1.1.8: "The Contact header field MUST be present … in any request that can result in the establishment
            // of a dialog."
            let why = (
                "Warning",
                "399 segue \"From, Contact or Record-Route cannot be used\"".to_owned(),
            );
            return self.answer_stateless(peer, &invite, 400, &[why]);
        };
        dialog.follows_source = self.core.nat;
        let id = SessionId(self.core.next_id());
        self.core.open_ladder(id);
        self.core.identities.open(id, &local_tag, None);
        self.core.heard(now, id, &invite, false);
        let transaction = self.core.start_server(&invite, key, reply_to(peer, &invite), id);
        // "The server transaction MUST generate a 100 … unless it knows that the TU will generate a … response within
        // 200 ms" (§17.2.1).
        let trying = self.core.response(&invite, 100, &local_tag).build();
        self.core.respond(now, transaction, &trying, false);
        let exchange = if invite.sdp().is_some() {
            Exchange::Offered
        } else {
            Exchange::Empty
        };
        let ringing = Ringing {
            invite: invite.clone(),
            transaction,
            rseq: self.core.first_rseq(),
            unacknowledged: None,
            waiting: VecDeque::new(),
            held: None,
            repeated: None,
            exchange,
            dialog,
        };
        let session = Session {
            id,
            call_id: ringing.dialog.call_id.clone(),
            local_tag: local_tag.clone(),
            phase: Phase::Ringing(Box::new(ringing)),
            made_call_id: false,
            offer: None,
            ours: None,
            late_prack: None,
            interval: Interval::default(),
            asks: Asks::default(),
        };
        self.by_tag.insert(local_tag, id);
        self.sessions.insert(id, session);
        self.core.event(Event::Incoming {
            session: id,
            invite,
            peer,
        });
    }

    /// 482 by a transaction: a copy that comes again after the first INVITE has ended must not begin a call of its own.
    fn refuse_merged(&mut self, now: Instant, invite: &Arc<Message>, peer: Peer, key: String) {
        if self.is_full() {
            return self.answer_stateless(peer, invite, 482, &[]);
        }
        // No session owns it.
        let nobody = SessionId(self.core.next_id());
        let transaction = self.core.start_server(invite, key, reply_to(peer, invite), nobody);
        let tag = self.core.stateless_tag(invite);
        let response = self.core.response(invite, 482, &tag).build();
        self.core.respond(now, transaction, &response, false);
        self.core.event(Event::Refused {
            peer,
            request: invite.clone(),
            status: 482,
        });
    }

    fn invite_refusal(&mut self, invite: &Message) -> Option<(u16, Vec<(&'static str, String)>)> {
        if !matches!(invite.max_forwards(), Ok(None | Some(1..))) {
            return Some((483, Vec::new()));
        }
        if let Some(refusal) = body_refusal(invite, self.core.urgent) {
            return Some(refusal);
        }
        if !accepts_sdp(invite) && !self.core.urgent {
            return Some((406, Vec::new()));
        }
        // Overload is said to new INVITEs only.
        (self.is_full() && !self.core.urgent).then(|| (503, vec![("Retry-After", "5".to_owned())]))
    }

    pub(super) fn is_full(&self) -> bool {
        let sessions_max = self.core.config.sessions_max;
        self.sessions.len() >= sessions_max
            || self.core.transactions.len() >= sessions_max.saturating_mul(TRANSACTIONS_A_SESSION)
    }
}

/// Whether the answer may be SDP (§20.1; without Accept it may).
fn accepts_sdp(invite: &Message) -> bool {
    let accepted = |range: &str| {
        ["application/sdp", "application/*", "*/*"]
            .iter()
            .any(|ours| range.eq_ignore_ascii_case(ours))
    };
    let ranges = invite.list("Accept");
    ranges.is_empty()
        || ranges
            .iter()
            .any(|range| accepted(range.split(';').next().unwrap_or_default().trim()))
}

/// A body that we cannot read (§8.2.3). In an emergency call one that may be no description goes along, and we offer.
fn body_refusal(request: &Message, urgent: bool) -> Option<(u16, Vec<(&'static str, String)>)> {
    if request.body().is_empty() {
        return None;
    }
    let encoding = request.header("Content-Encoding").map(str::trim);
    if encoding.is_some_and(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")) {
        return Some((415, vec![("Accept-Encoding", "identity".to_owned())]));
    }
    let optional = request.header("Content-Disposition").is_some_and(|value| {
        value
            .to_ascii_lowercase()
            .replace(' ', "")
            .contains("handling=optional")
    });
    let known = request.sdp().is_some() || optional || urgent;
    (!known).then(|| (415, vec![("Accept", "application/sdp".to_owned())]))
}

impl Session {
    /// UAS: says a provisional state.
    pub(crate) fn progress(
        &mut self,
        core: &mut Core,
        now: Instant,
        mut progress: Progress,
    ) -> Result<(), CommandError> {
        let wrong = self.wrong_state("a provisional response");
        let Phase::Ringing(ringing) = &mut self.phase else {
            return Err(wrong);
        };
        if ringing.held.is_some() {
            return Err(CommandError::WrongState {
                command: "a provisional response",
                state: "the INVITE is answered",
            });
        }
        if !(101..=199).contains(&progress.status) {
            return Err(CommandError::WrongState {
                command: "a provisional response",
                state: "its status is none",
            });
        }
        // "The UAS MUST send any non-100 provisional response reliably if the initial request contained a Require
        // header field with the option tag 100rel"; with Supported it may, with neither it must not (RFC 3262 §3).
        if ringing.invite.has_token("Require", "100rel") {
            progress.reliable = true;
        } else if progress.reliable && !ringing.invite.has_token("Supported", "100rel") {
            let state = "the peer does not support 100rel";
            return Err(CommandError::WrongState {
                command: "a reliable provisional response",
                state,
            });
        }
        if progress.sdp.is_some() {
            self.interval.said.clone_from(&progress.sdp);
        }
        if !progress.reliable {
            self.send_unreliable(core, now, &progress);
            return Ok(());
        }
        if ringing.unacknowledged.is_some() {
            if ringing.waiting.len() >= WAITING_MAX {
                return Err(CommandError::QueueFull);
            }
            ringing.waiting.push_back(progress);
            return Ok(());
        }
        self.send_reliable(core, now, &progress);
        Ok(())
    }

    fn send_unreliable(&mut self, core: &mut Core, now: Instant, progress: &Progress) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        let contact = &ringing.dialog.contact;
        let mut builder = core.dialog_response(&ringing.invite, progress.status, &self.local_tag, contact);
        for (name, value) in &progress.headers {
            builder = builder.header(name, value);
        }
        let response = progress.along.with(builder, progress.sdp.as_deref()).build();
        core.respond(now, ringing.transaction, &response, false);
        ringing.repeated = Some(Repeated::Unreliable(response));
        core.set(self.id, SessionTimer::Repeat, after(now, REPEAT_FIRST));
    }

    /// The INVITE is still unanswered: say so again.
    pub(crate) fn repeat_provisional(&mut self, core: &mut Core, now: Instant) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        match &ringing.repeated {
            Some(Repeated::Unreliable(response)) => {
                core.respond(now, ringing.transaction, response, true);
                core.set(self.id, SessionTimer::Repeat, after(now, REPEAT_THEN));
            }
            // One that waits for its PRACK is being repeated anyway, and sets the timer anew.
            Some(Repeated::Reliable(status)) if ringing.unacknowledged.is_none() => {
                let again = Progress {
                    status: *status,
                    reliable: true,
                    ..Progress::default()
                };
                self.send_reliable(core, now, &again);
            }
            Some(Repeated::Reliable(_)) | None => {}
        }
    }

    /// UAS: refuses the INVITE.
    pub(crate) fn refuse(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[(&str, String)],
    ) -> Result<(), CommandError> {
        self.refuse_along(core, now, status, headers, None, &Along::default())
    }

    /// The same, with a description of what was wrong, and what goes along.
    pub(crate) fn refuse_along(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[(&str, String)],
        sdp: Option<&[u8]>,
        along: &Along,
    ) -> Result<(), CommandError> {
        if !matches!(self.phase, Phase::Ringing(_)) || !(300..=699).contains(&status) {
            return Err(self.wrong_state("a refusal"));
        }
        self.withdraw_offer(core, now);
        let Phase::Ringing(ringing) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Ok(());
        };
        core.stop_all(self.id);
        // "It MUST be prepared to process PRACK requests for those outstanding responses" (RFC 3262 §3).
        self.late_prack = ringing.unacknowledged.map(|reliable| reliable.rack);
        let mut builder = core.response(&ringing.invite, status, &self.local_tag);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let response = along.with(builder, sdp).build();
        self.phase = Phase::Refused(Box::new(ringing.dialog));
        core.respond(now, ringing.transaction, &response, false);
        Ok(())
    }
}

/// The body as a shared slice.
pub(crate) fn shared_sdp(message: &Message) -> Option<Arc<[u8]>> {
    message.sdp().map(Arc::from)
}
