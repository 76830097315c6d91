//! REGISTER as its client (RFC 3261 §10.2), by transactions that belong to no session.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use segue_sip_wire::{Message, Method, NameAddr, Uri};

use super::{Endpoint, core::Core};
use crate::{
    api::{Event, Peer, RegistrationId, SessionId},
    digest::Account,
    draft::Draft,
    locate::Candidate,
    transaction::store::TransactionId,
};

/// What every REGISTER of one registration has in common: "All registrations from a UAC SHOULD use the same Call-ID …", and CSeq rises
/// by one (§10.2).
#[derive(Debug, Clone)]
pub(super) struct Registration {
    call_id: String,
    tag: String,
    cseq: u32,
}

/// One REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Request-URI: the registrar's domain.
    pub registrar: Uri,
    /// The address-of-record (To and From).
    pub identity: Uri,
    /// User part of our Contact.
    pub contact_user: String,
    /// For how long, seconds; 0: it is taken back.
    pub expires_s: u32,
    /// Whom it goes to, by name: proves who is there by TLS.
    pub server: Uri,
    /// The server stands in a Route.
    pub is_route: bool,
}

impl Endpoint {
    /// A registration with credentials of its own; each REGISTER of it goes by [`Endpoint::register`].
    pub fn open_registration(&mut self, account: Option<Arc<Account>>) -> RegistrationId {
        let core = &mut self.core;
        let id = SessionId(core.next_id());
        let (call_id, tag, cseq) = (core.call_id(), core.tag(), core.first_cseq());
        core.registrations.insert(id, Registration { call_id, tag, cseq });
        if let Some(account) = account {
            core.accounts.set(id, account);
        }
        RegistrationId(id.0)
    }

    /// Nothing more is said of it; what is under way is not waited for.
    pub fn close_registration(&mut self, id: RegistrationId) {
        let id = SessionId(id.0);
        self.core.registrations.remove(&id);
        self.core.accounts.forget(id);
        let under_way = self.core.registering.iter().filter(|(_, of)| **of == id);
        let under_way: Vec<TransactionId> = under_way.map(|(transaction, _)| *transaction).collect();
        for transaction in under_way {
            self.core.registering.remove(&transaction);
            self.core.forget_transaction(transaction);
        }
    }

    /// Sends a REGISTER to a server. One [`Event::RegisterAnswered`] follows, at the latest after 64·T1; challenges are answered before
    /// that. Our Contact; `None`: there is no such registration, or no socket that reaches the server.
    pub fn register(
        &mut self,
        now: Instant,
        id: RegistrationId,
        server: Candidate,
        register: &Register,
    ) -> Option<Uri> {
        let core = &mut self.core;
        let peer = core.localized(Peer {
            protocol: server.protocol,
            local: SocketAddr::new(server.remote.ip(), 0),
            remote: server.remote,
            flow: None,
        })?;
        let id = SessionId(id.0);
        let contact = core.contact_of(&register.contact_user, peer);
        let registration = core.registrations.get_mut(&id)?;
        registration.cseq = registration.cseq.wrapping_add(1);
        let Registration { call_id, tag, cseq } = registration.clone();
        let identity = NameAddr::new(register.identity.clone());
        let mut draft = Draft::new(Method::Register, register.registrar.clone());
        if register.is_route {
            draft = draft.header("Route", NameAddr::new(register.server.clone()).to_string());
        }
        let mut draft = draft
            .header("Max-Forwards", "70")
            .header("From", identity.clone().with_tag(&tag).to_string())
            .header("To", identity.to_string())
            .header("Call-ID", call_id)
            .header("CSeq", format!("{cseq} REGISTER"))
            .header("Contact", contact.clone())
            .header("Expires", register.expires_s.to_string())
            // So that proxies on the way may have calls come by them (RFC 3327 §5.1).
            .header("Supported", "path")
            .header("User-Agent", core.config.user_agent.as_str());
        draft.hop = Some(register.server.without_headers());
        draft.account = Some(id);
        let transaction = core.request(now, &draft, peer, None);
        core.registering.insert(transaction, id);
        Some(contact.parse::<NameAddr>().ok()?.uri)
    }

    /// The realm in which this registration has proved who we are.
    #[must_use]
    pub fn realm_of(&self, id: RegistrationId) -> Option<&str> {
        self.core.accounts.realm(SessionId(id.0))
    }
}

impl Core {
    /// A REGISTER was made again with credentials.
    pub(super) fn register_goes_on(&mut self, before: TransactionId, now: TransactionId) {
        let Some(id) = self.registering.remove(&before) else {
            return;
        };
        self.registering.insert(now, id);
        let cseq = self
            .transactions
            .client(now)
            .and_then(|client| client.request.cseq().ok());
        if let (Some(cseq), Some(registration)) = (cseq, self.registrations.get_mut(&id)) {
            registration.cseq = cseq.number;
        }
    }

    /// A final response to a REGISTER, or that there is none. False: this transaction is none.
    pub(super) fn register_answered(&mut self, id: TransactionId, response: Option<&Arc<Message>>) -> bool {
        let Some(registration) = self.registering.get(&id).copied() else {
            return false;
        };
        if response
            .and_then(|response| response.status())
            .is_some_and(|status| status < 200)
        {
            return true;
        }
        self.registering.remove(&id);
        self.event(Event::RegisterAnswered {
            registration: RegistrationId(registration.0),
            response: response.cloned(),
        });
        true
    }
}
