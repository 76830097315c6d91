//! The sans-IO SIP endpoint.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::Instant,
};

use segue_sip_wire::Message;

use crate::api::{CommandError, EndpointConfig, Event, LadderEntry, Outgoing, Peer, Progress, SessionId, Transmit};

/// Transactions, dialogs and sessions of one shard. Bytes and moments in, bytes and events out.
pub struct Endpoint {
    config: EndpointConfig,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Endpoint {
    /// An endpoint without sessions.
    #[must_use]
    pub fn new(config: EndpointConfig) -> Self {
        Self { config, transmits: VecDeque::new(), events: VecDeque::new() }
    }

    /// A request or response of a transaction or dialog that we know: it needs no admission check.
    #[must_use]
    pub fn belongs(&self, _message: &Message) -> bool {
        false
    }

    /// Takes one received message.
    pub fn handle_message(&mut self, _now: Instant, _peer: Peer, _message: Message) {}

    /// The message of this [`Transmit::id`] could not be sent.
    pub fn handle_transport_error(&mut self, _now: Instant, _transmit_id: u64) {}

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When `handle_timeout` is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// UAS: sends a provisional response. A reliable one waits for the PRACK of the one before it (RFC 3262 §3).
    ///
    /// # Errors
    /// When the INVITE has its final response, or the session is a UAC.
    pub fn progress(&mut self, _now: Instant, _session: SessionId, _progress: Progress) -> Result<(), CommandError> {
        Err(CommandError::NoSuchSession)
    }

    /// UAS: sends 200, as soon as no reliable 1xx with SDP waits for its PRACK (RFC 3262 §3).
    ///
    /// # Errors
    /// When the INVITE has its final response, or the session is a UAC.
    pub fn answer(&mut self, _now: Instant, _session: SessionId, _sdp: Option<Arc<[u8]>>) -> Result<(), CommandError> {
        Err(CommandError::NoSuchSession)
    }

    /// UAS: refuses the INVITE with 300 to 699.
    ///
    /// # Errors
    /// When the INVITE has its final response, or the session is a UAC.
    pub fn refuse(&mut self, _now: Instant, _session: SessionId, _status: u16, _headers: &[(&str, String)]) -> Result<(), CommandError> {
        Err(CommandError::NoSuchSession)
    }

    /// UAC: sends an INVITE. What goes wrong comes as `Failed`.
    pub fn invite(&mut self, _now: Instant, _outgoing: Outgoing) -> SessionId {
        let _ = &self.config;
        SessionId(0)
    }

    /// UAC: sends CANCEL, once the peer has answered provisionally (RFC 3261 §9.1). A crossing 2xx gets ACK and BYE.
    ///
    /// # Errors
    /// When the INVITE has its final response, or the session is a UAS.
    pub fn cancel(&mut self, _now: Instant, _session: SessionId, _reason: Option<String>) -> Result<(), CommandError> {
        Err(CommandError::NoSuchSession)
    }

    /// Ends the session, however far it is: BYE in a confirmed dialog (as UAS: after the ACK or its time-out, RFC 3261 §15);
    /// before that CANCEL (UAC) or 480 (UAS).
    ///
    /// # Errors
    /// When the session is ending already.
    pub fn bye(&mut self, _now: Instant, _session: SessionId, _reason: Option<String>) -> Result<(), CommandError> {
        Err(CommandError::NoSuchSession)
    }

    /// Answers the pending `Offer` with 200.
    ///
    /// # Errors
    /// When no offer is pending.
    pub fn accept_offer(&mut self, _now: Instant, _session: SessionId, _sdp: Arc<[u8]>) -> Result<(), CommandError> {
        Err(CommandError::NoSuchSession)
    }

    /// Refuses the pending `Offer`; the session stays as it was.
    ///
    /// # Errors
    /// When no offer is pending.
    pub fn refuse_offer(&mut self, _now: Instant, _session: SessionId, _status: u16) -> Result<(), CommandError> {
        Err(CommandError::NoSuchSession)
    }

    /// INFO with `picture_fast_update` (RFC 5168).
    ///
    /// # Errors
    /// Before the dialog is confirmed.
    pub fn ask_key_frame(&mut self, _now: Instant, _session: SessionId) -> Result<(), CommandError> {
        Err(CommandError::NoSuchSession)
    }

    /// Its Call-ID.
    #[must_use]
    pub fn call_id(&self, _session: SessionId) -> Option<&str> {
        None
    }

    /// Its messages so far, at most 64, and forgets them. Until the event after its `Terminated` is polled.
    pub fn take_ladder(&mut self, _session: SessionId) -> Vec<LadderEntry> {
        Vec::new()
    }

    /// Living sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        0
    }

    /// Living transactions.
    #[must_use]
    pub fn transaction_count(&self) -> usize {
        0
    }

    /// Running timers.
    #[must_use]
    pub fn timer_count(&self) -> usize {
        0
    }
}
