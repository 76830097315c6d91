//! The commands whose message takes something along for who is behind the peer.

use std::{sync::Arc, time::Instant};

use super::{Endpoint, session::Farewell};
use crate::{
    along::Along,
    api::{CommandError, SessionId},
};

impl Endpoint {
    /// [`Endpoint::answer`], with what goes along.
    ///
    /// # Errors
    /// As there; so for the others.
    pub fn answer_along(
        &mut self,
        now: Instant,
        session: SessionId,
        sdp: Option<Arc<[u8]>>,
        along: Along,
    ) -> Result<(), CommandError> {
        self.command(session, |session, core| session.answer(core, now, sdp, along))
    }

    /// [`Endpoint::refuse_saying`], with what goes along, and maybe without a description.
    ///
    /// # Errors
    /// As there.
    pub fn refuse_along(
        &mut self,
        now: Instant,
        session: SessionId,
        status: u16,
        headers: &[(&str, String)],
        sdp: Option<&[u8]>,
        along: &Along,
    ) -> Result<(), CommandError> {
        self.command(session, |session, core| {
            session.refuse_along(core, now, status, headers, sdp, along)
        })
    }

    /// [`Endpoint::bye`], with what goes along. A CANCEL takes nothing along but its Reason: it goes from hop to hop (RFC 3261 §9.1).
    ///
    /// # Errors
    /// As there.
    pub fn bye_along(
        &mut self,
        now: Instant,
        session: SessionId,
        reason: Option<String>,
        along: Along,
    ) -> Result<(), CommandError> {
        let farewell = Farewell { reason, along };
        self.command(session, |session, core| session.bye(core, now, farewell))
    }

    /// [`Endpoint::offer`], with what goes along.
    ///
    /// # Errors
    /// As there.
    pub fn offer_along(
        &mut self,
        now: Instant,
        session: SessionId,
        sdp: Arc<[u8]>,
        along: Along,
    ) -> Result<(), CommandError> {
        self.command(session, |session, core| session.make_offer(core, now, sdp, along))
    }

    /// [`Endpoint::accept_offer`], with what goes along.
    ///
    /// # Errors
    /// As there.
    pub fn accept_offer_along(
        &mut self,
        now: Instant,
        session: SessionId,
        sdp: Arc<[u8]>,
        along: &Along,
    ) -> Result<(), CommandError> {
        self.command(session, |session, core| session.accept_offer(core, now, sdp, along))
    }

    /// [`Endpoint::refuse_offer`], with what goes along.
    ///
    /// # Errors
    /// As there.
    pub fn refuse_offer_along(
        &mut self,
        now: Instant,
        session: SessionId,
        status: u16,
        headers: &[(&str, String)],
        along: &Along,
    ) -> Result<(), CommandError> {
        self.command(session, |session, core| {
            session.refuse_offer(core, now, status, headers, along)
        })
    }
}
