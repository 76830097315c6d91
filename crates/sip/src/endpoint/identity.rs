//! Who the two ends of a session are on all its legs: Session-ID (RFC 7989).

use std::collections::BTreeMap;

use segue_sip_wire::{Message, Method, SessionUuid, session_id};

use super::{Endpoint, core::Core};
use crate::{api::SessionId, draft::Draft};

/// The ends of all sessions.
#[derive(Default)]
pub(crate) struct Identities {
    of: BTreeMap<SessionId, Ends>,
    /// Sessions by our tag: responses know no more of theirs.
    by_tag: BTreeMap<String, SessionId>,
}

/// The ends of one session.
struct Ends {
    tag: String,
    /// Whom we speak for; `None`: not known yet.
    ours: Option<SessionUuid>,
    /// Whom we speak to, as it last said.
    theirs: Option<SessionUuid>,
}

impl Identities {
    pub(crate) fn open(&mut self, session: SessionId, tag: &str, ours: Option<SessionUuid>) {
        self.by_tag.insert(tag.to_owned(), session);
        let (tag, theirs) = (tag.to_owned(), None);
        self.of.insert(session, Ends { tag, ours, theirs });
    }

    pub(crate) fn forget(&mut self, session: SessionId) {
        if let Some(ends) = self.of.remove(&session) {
            self.by_tag.remove(&ends.tag);
        }
    }

    /// "Endpoints … MUST take note of any non-nil local-uuid value" (§6). A message without leaves it as it was.
    pub(crate) fn learn(&mut self, session: SessionId, message: &Message) {
        if let (Some(ends), Some(uuid)) = (self.of.get_mut(&session), message.session_sender()) {
            ends.theirs = Some(uuid);
        }
    }

    /// The header of a response with this tag of ours.
    pub(crate) fn of_response(&self, tag: &str) -> Option<String> {
        self.of_request(*self.by_tag.get(tag)?)
    }

    fn of_request(&self, session: SessionId) -> Option<String> {
        let ends = self.of.get(&session)?;
        session_id(ends.ours, ends.theirs)
    }
}

impl Core {
    /// A message of a session came. The 2xx of an INVITE only counts if its fork is the one that is taken.
    pub(crate) fn learn_peer(&mut self, session: SessionId, message: &Message) {
        let accepts = message.status().is_some_and(|status| (200..300).contains(&status))
            && message.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        if !accepts {
            self.identities.learn(session, message);
        }
    }

    /// A request to a fork that has lost: for whom we spoke, to whomever it is.
    pub(crate) fn identified_apart(&self, draft: Draft, session: Option<SessionId>) -> Draft {
        let ends = session.and_then(|session| self.identities.of.get(&session));
        draft.maybe("Session-ID", ends.and_then(|ends| session_id(ends.ours, None)))
    }

    /// A request of a session with its Session-ID.
    pub(crate) fn identified(&self, draft: &Draft, session: Option<SessionId>) -> Option<Draft> {
        let value = self.identities.of_request(session?)?;
        Some(draft.clone().header("Session-ID", value))
    }
}

impl Endpoint {
    /// Who the peer of a session is, as it last said in a Session-ID. Until the event after its `Terminated` is polled.
    #[must_use]
    pub fn peer_uuid(&self, session: SessionId) -> Option<SessionUuid> {
        self.core.identities.of.get(&session)?.theirs
    }

    /// For whom we speak on a session from now on.
    pub fn speak_for(&mut self, session: SessionId, uuid: SessionUuid) {
        if let Some(ends) = self.core.identities.of.get_mut(&session) {
            ends.ours = Some(uuid);
        }
    }

    /// Names a peer that does not name itself (§7).
    pub fn name_peer(&mut self, session: SessionId, uuid: SessionUuid) {
        if let Some(ends) = self.core.identities.of.get_mut(&session) {
            ends.theirs.get_or_insert(uuid);
        }
    }
}
