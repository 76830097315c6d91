//! The sans-IO SIP endpoint.

#![deny(clippy::arithmetic_side_effects)]

mod again;
mod answer;
mod ask;
pub(crate) mod authenticate;
mod bye;
mod cancel;
mod carry;
mod core;
mod drive;
mod early;
mod failover;
mod identity;
mod incoming;
mod info;
mod interval;
mod invite;
mod ladder;
mod offer;
mod outside;
mod page;
mod ping;
mod prack;
mod receive;
mod register;
mod reoffer;
mod respond;
mod session;
mod watch;
mod within;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use segue_sip_wire::KeyPress;

use self::{
    core::Core,
    session::{Farewell, Session},
    watch::Watches,
};
pub use self::{ladder::summary, outside::Outside, page::Page, register::Register, respond::names_callee};
use crate::along::Along;
use crate::api::{CommandError, EndpointConfig, Event, LadderEntry, Progress, SessionId, Transmit};
use crate::stats::Stats;

/// Transactions, dialogs and sessions of one shard. Bytes and moments in, bytes and events out.
///
/// After each `handle_*` and each command, drain `poll_transmit` and `poll_event`, and ask `poll_timeout` anew.
pub struct Endpoint {
    core: Core,
    sessions: BTreeMap<SessionId, Session>,
    /// Sessions by our tag.
    by_tag: BTreeMap<String, SessionId>,
    watches: Watches,
    /// Call-IDs of sessions whose `Terminated` was not followed by another poll yet.
    ended: BTreeMap<SessionId, String>,
    /// Sessions whose `Terminated` was polled last.
    told: Option<SessionId>,
}

impl Endpoint {
    /// An endpoint without sessions.
    #[must_use]
    pub fn new(config: EndpointConfig) -> Self {
        Self {
            core: Core::new(config),
            sessions: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            watches: Watches::default(),
            ended: BTreeMap::new(),
            told: None,
        }
    }

    /// From now on OPTIONS is told what a new INVITE is told by whoever refuses those: 503 (RFC 3261 §11.2).
    pub fn close(&mut self) {
        self.core.closing = true;
    }

    /// When `handle_timeout` is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.core.transmits.pop_front();
        if let Some(transmit) = &transmit {
            self.core.stats.sent(&transmit.bytes);
        }
        transmit
    }

    /// What has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(id) = self.told.take() {
            self.core.drop_ladder(id);
            self.ended.remove(&id);
        }
        let event = self.core.events.pop_front();
        if let Some(Event::Terminated { session }) = event {
            self.told = Some(session);
        }
        event
    }

    fn command(
        &mut self,
        id: SessionId,
        command: impl FnOnce(&mut Session, &mut Core) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let session = self.sessions.get_mut(&id).ok_or(CommandError::NoSuchSession)?;
        let result = command(session, &mut self.core);
        self.sweep(id);
        result
    }

    /// UAS: sends a provisional response. A reliable one waits for the PRACK of the one before it (RFC 3262 §3). If the
    /// INVITE requires 100rel all are sent reliably.
    ///
    /// # Errors
    /// When the INVITE has its final response, the session is a UAC, or the peer does not support 100rel.
    pub fn progress(&mut self, now: Instant, session: SessionId, progress: Progress) -> Result<(), CommandError> {
        self.command(session, |session, core| session.progress(core, now, progress))
    }

    /// UAS: sends 200, as soon as no reliable 1xx with SDP waits for its PRACK (RFC 3262 §3).
    ///
    /// # Errors
    /// When the INVITE has its final response, or the session is a UAC.
    pub fn answer(&mut self, now: Instant, session: SessionId, sdp: Option<Arc<[u8]>>) -> Result<(), CommandError> {
        self.answer_along(now, session, sdp, Along::default())
    }

    /// UAS: refuses the INVITE with 300 to 699.
    ///
    /// # Errors
    /// When the INVITE has its final response, or the session is a UAC.
    pub fn refuse(
        &mut self,
        now: Instant,
        session: SessionId,
        status: u16,
        headers: &[(&str, String)],
    ) -> Result<(), CommandError> {
        self.refuse_along(now, session, status, headers, None, &Along::default())
    }

    /// UAS: the same, with a description of what was wrong (RFC 3312 §8); it is neither offer nor answer.
    ///
    /// # Errors
    /// As for `refuse`.
    pub fn refuse_saying(
        &mut self,
        now: Instant,
        session: SessionId,
        status: u16,
        headers: &[(&str, String)],
        sdp: &[u8],
    ) -> Result<(), CommandError> {
        self.refuse_along(now, session, status, headers, Some(sdp), &Along::default())
    }

    /// UAC: sends CANCEL, once the peer has answered provisionally (RFC 3261 §9.1). A crossing 2xx gets ACK and BYE.
    ///
    /// # Errors
    /// When the INVITE has its final response, or the session is a UAS.
    pub fn cancel(&mut self, now: Instant, session: SessionId, reason: Option<String>) -> Result<(), CommandError> {
        self.command(session, |session, core| session.cancel(core, now, reason))
    }

    /// Ends the session, however far it is: BYE in a confirmed dialog (as UAS: after the ACK or its time-out, RFC 3261
    /// §15); before that CANCEL (UAC) or 480 (UAS).
    ///
    /// # Errors
    /// When the session is ending already.
    pub fn bye(&mut self, now: Instant, session: SessionId, reason: Option<String>) -> Result<(), CommandError> {
        let farewell = Farewell::from(reason);
        self.command(session, |session, core| session.bye(core, now, farewell))
    }

    /// Answers the pending `Offer` with 200.
    ///
    /// # Errors
    /// When no offer is pending.
    pub fn accept_offer(&mut self, now: Instant, session: SessionId, sdp: Arc<[u8]>) -> Result<(), CommandError> {
        self.accept_offer_along(now, session, sdp, &Along::default())
    }

    /// Refuses the pending `Offer` with 300 to 699; the session stays as it was.
    ///
    /// # Errors
    /// When no offer is pending.
    pub fn refuse_offer(
        &mut self,
        now: Instant,
        session: SessionId,
        status: u16,
        headers: &[(&str, String)],
    ) -> Result<(), CommandError> {
        self.refuse_offer_along(now, session, status, headers, &Along::default())
    }

    /// Offers something new within the dialog: by re-INVITE, or by UPDATE while the dialog is early. One
    /// `OfferAnswered` or `OfferRefused` follows, unless the session ends. A 491 is tried again as RFC 3261 §14.1 says.
    ///
    /// # Errors
    /// When an offer waits for its answer, the dialog takes none now, or the peer of an early one does not allow UPDATE.
    pub fn offer(&mut self, now: Instant, session: SessionId, sdp: Arc<[u8]>) -> Result<(), CommandError> {
        self.offer_along(now, session, sdp, Along::default())
    }

    /// INFO with `picture_fast_update` (RFC 5168).
    ///
    /// # Errors
    /// Before the dialog is confirmed.
    pub fn ask_key_frame(&mut self, now: Instant, session: SessionId) -> Result<(), CommandError> {
        self.command(session, |session, core| session.ask_key_frame(core, now))
    }

    /// INFO with a key, as `application/dtmf-relay`.
    ///
    /// # Errors
    /// Before the dialog is confirmed.
    pub fn tell_key(&mut self, now: Instant, session: SessionId, press: KeyPress) -> Result<(), CommandError> {
        self.command(session, |session, core| session.tell_key(core, now, press))
    }

    /// Its Call-ID. Until the event after its `Terminated` is polled.
    #[must_use]
    pub fn call_id(&self, session: SessionId) -> Option<&str> {
        let living = self.sessions.get(&session).map(|session| &session.call_id);
        living.or_else(|| self.ended.get(&session)).map(String::as_str)
    }

    /// Its messages so far, at most 64.
    #[must_use]
    pub fn ladder(&self, session: SessionId) -> &[LadderEntry] {
        self.core.ladder(session)
    }

    /// Its messages so far, at most 64, and forgets them. Until the event after its `Terminated` is polled.
    pub fn take_ladder(&mut self, session: SessionId) -> Vec<LadderEntry> {
        self.core.take_ladder(session)
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            transactions: self.core.transactions.len() as u64,
            sessions: self.sessions.len() as u64,
            ..self.core.stats
        }
    }

    /// Living sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Living transactions.
    #[must_use]
    pub fn transaction_count(&self) -> usize {
        self.core.transactions.len()
    }

    /// Running timers.
    #[must_use]
    pub fn timer_count(&self) -> usize {
        self.core.timers.len()
    }
}
