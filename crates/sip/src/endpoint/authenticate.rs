//! UAC: a request that is challenged is made again with our credentials (RFC 3261 §22.2, RFC 8760 §2.4).

use std::{sync::Arc, time::Instant};

use segue_sip_wire::{Message, Method};

use super::{
    Endpoint,
    core::Core,
    session::{Calling, Cancel, Phase, Session},
};
use crate::{
    api::{Peer, Protocol, SessionId},
    digest::{Account, Kind},
    draft::Draft,
    transaction::store::{Client, TransactionId},
};

/// How often one request is made again with credentials.
const TRIES_MAX: u8 = 2;

/// How often a request was made again because it was challenged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tried {
    user: u8,
    proxy: u8,
}

impl Tried {
    fn of(&mut self, kind: Kind) -> &mut u8 {
        match kind {
            Kind::User => &mut self.user,
            Kind::Proxy => &mut self.proxy,
        }
    }

    /// Credentials that were refused are not sent again, unless only their nonce was too old: "the client … MUST NOT
    /// re-attempt [with the same credentials]" (§22.2 in effect), and never without end.
    fn may(&mut self, kind: Kind, stale: bool) -> bool {
        self.user.saturating_add(self.proxy) < TRIES_MAX && (*self.of(kind) == 0 || stale)
    }
}

/// A request of ours that was challenged.
pub(super) struct Challenged {
    request: Arc<Message>,
    peer: Peer,
    domain: Option<Arc<str>>,
    owner: Option<SessionId>,
    account: SessionId,
    tried: Tried,
}

impl Challenged {
    /// `None`: nobody's.
    pub(super) fn of(client: &Client) -> Option<Challenged> {
        Some(Challenged {
            request: client.request.clone(),
            peer: client.peer,
            domain: client.domain.clone(),
            owner: client.owner,
            account: client.account?,
            tried: client.tried,
        })
    }
}

impl Endpoint {
    /// The credentials of a session, for when its peer asks for them.
    pub fn set_account(&mut self, session: SessionId, account: Arc<Account>) {
        if self.sessions.contains_key(&session) {
            self.core.accounts.set(session, account);
        }
    }

    /// Makes a request again. False: its refusal stands.
    pub(super) fn authenticate(
        &mut self,
        now: Instant,
        id: TransactionId,
        mut challenged: Challenged,
        refusal: &Message,
    ) -> bool {
        let Some(kind) = refusal.status().and_then(Kind::of) else {
            return false;
        };
        let (account, peer) = (challenged.account, challenged.peer);
        let Some(challenge) = self.core.accounts.choose(account, kind, refusal, peer.protocol) else {
            return false;
        };
        let request = challenged.request;
        let (Some(mut draft), Ok(cseq)) = (Draft::again(&request), request.cseq()) else {
            return false;
        };
        if !challenged.tried.may(kind, challenge.stale) {
            return false;
        }
        let mut session = challenged.owner.and_then(|owner| self.sessions.get_mut(&owner));
        let mut next = cseq.number.wrapping_add(1);
        if let Some(session) = &mut session {
            match session.next_try(&mut self.core, now, id, &request) {
                Again::No => return false,
                Again::Dialog(number) => next = number,
                Again::Yes => {}
            }
        }
        self.core.accounts.answer(account, kind, challenge);
        let tried = challenged.tried.of(kind);
        *tried = tried.saturating_add(1);
        draft = draft.header("CSeq", format!("{next} {}", cseq.method));
        // The same server as before, whatever the Request-URI names.
        draft.hop = match challenged.domain {
            Some(domain) => format!("sip:{domain}").parse().ok(),
            None => format!("sip:{}", peer.remote).parse().ok(),
        };
        draft.account = Some(account);
        let again = self.core.request(now, &draft, peer, challenged.owner);
        if let Some(client) = self.core.transactions.client(again) {
            client.tried = challenged.tried;
        }
        self.core.register_goes_on(id, again);
        self.core.page_again(id, again);
        if let Some(session) = session {
            session.tried_again(id, again);
        }
        true
    }
}

/// Whether a session still wants its request.
enum Again {
    No,
    Yes,
    /// With this CSeq.
    Dialog(u32),
}

impl Session {
    fn next_try(&mut self, core: &mut Core, now: Instant, id: TransactionId, request: &Message) -> Again {
        if let Phase::Calling(calling) = &mut self.phase
            && calling.transaction == id
        {
            if calling.cancel != Cancel::No {
                return Again::No;
            }
            self.withdraw_offer(core, now);
            if let Phase::Calling(calling) = &mut self.phase {
                leave(calling, core);
            }
            core.stop_all(self.id);
            return Again::Yes;
        }
        let tag = request.to().ok().and_then(|to| to.tag().map(str::to_owned));
        match tag.and_then(|tag| self.dialog(&tag)) {
            Some(dialog) => {
                dialog.local_seq = dialog.local_seq.wrapping_add(1);
                Again::Dialog(dialog.local_seq)
            }
            None => Again::Yes,
        }
    }

    /// Its request has another transaction now.
    fn tried_again(&mut self, before: TransactionId, now: TransactionId) {
        if let Phase::Calling(calling) = &mut self.phase
            && calling.transaction == before
        {
            calling.transaction = now;
        }
        self.offer_goes_on(before, now);
        self.refresh_goes_on(before, now);
        self.ask_goes_on(before, now);
    }
}

/// The forks of the INVITE that was refused are no forks of the next.
fn leave(calling: &mut Calling, core: &mut Core) {
    calling.leave_forks(core);
    calling.provisional = false;
}

impl Core {
    /// A request with the credentials that its session was asked for.
    pub(crate) fn authorized(&mut self, draft: &Draft, session: Option<SessionId>, by: Protocol) -> Option<Draft> {
        let session = session.filter(|session| self.accounts.are_wanted(*session))?;
        if matches!(draft.method, Method::Ack | Method::Cancel) {
            return None;
        }
        let cnonce = self.tag();
        Some(self.accounts.authorize(session, draft.clone(), by, &cnonce))
    }
}
