//! What a received message is, and who gets it (RFC 3261 §8.2, §18.2).

use std::{sync::Arc, time::Instant};

use segue_sip_wire::{Message, Method, ParseError, Scheme, Uri};

use super::{
    Endpoint,
    authenticate::Challenged,
    core::{ALLOW, SUPPORTED, TimerKey},
    drive::Outcome,
    respond::reply_to,
    session::Phase,
};
use crate::{
    api::{Event, Peer, SessionId},
    secure::domain_of,
    transaction::{
        ClientInput, ServerInput,
        store::{client_key, merge_key, server_key},
    },
};

/// Whether requests may ask for this: SIP URIs, numbers (RFC 3966) and services, as those for emergencies (RFC 5031).
fn is_served(uri: &Uri) -> bool {
    uri.is_sip() || *uri.scheme() == Scheme::Tel || uri.is_service()
}

/// Server transactions that one session may have at a time: a peer that asks more is told to wait.
const TRANSACTIONS_MAX: u32 = 64;

/// A request that has passed the common checks.
pub(crate) struct Received {
    pub request: Arc<Message>,
    pub peer: Peer,
    /// Key of its server transaction.
    pub key: String,
}

impl Endpoint {
    /// A request or response of a transaction or dialog that we know: it needs no admission check.
    #[must_use]
    pub fn belongs(&self, message: &Message) -> bool {
        let Some(method) = message.method() else {
            return self.transaction_of(message).is_some();
        };
        let transaction = match method {
            Method::Ack | Method::Cancel => server_key(message, &Method::Invite),
            method => server_key(message, method),
        };
        transaction.is_some_and(|key| self.core.transactions.find_server(&key).is_some())
            || self.session_of(message).is_some()
    }

    /// Takes one received message; an urgent one (an emergency call) however full we are. With `nat` its sender may be behind a NAT:
    /// the requests of a dialog that it begins go where its own come from, whatever its Contact says.
    pub fn handle_message_of(&mut self, now: Instant, peer: Peer, message: Message, urgent: bool, nat: bool) {
        (self.core.urgent, self.core.nat) = (urgent, nat);
        self.handle_message(now, peer, message);
        (self.core.urgent, self.core.nat) = (false, false);
    }

    /// Takes one received message.
    pub fn handle_message(&mut self, now: Instant, peer: Peer, message: Message) {
        self.core.stats.received(&message);
        match message.method() {
            None => self.handle_response(now, peer, message),
            Some(Method::Ack) => self.handle_ack(now, peer, &message),
            // "The server transport … MUST add a 'received' parameter" (§18.2.1), and fills in `rport` (RFC 3581 §4).
            Some(_) => self.handle_request(now, peer, message.with_received(peer.remote)),
        }
    }

    /// Answers what is no proper message, where that is possible.
    pub fn handle_unparsable(&mut self, _now: Instant, peer: Peer, error: &ParseError) {
        let tag = self.core.tag();
        let Some(response) = error.response(peer.remote, &tag) else {
            return;
        };
        let domain = domain_of(&response, peer);
        self.core.send(reply_to(peer, &response), domain, response.to_bytes());
    }

    /// The message of this [`Transmit::id`](crate::Transmit::id) could not be sent.
    pub fn handle_transport_error(&mut self, now: Instant, transmit_id: u64) {
        let id = crate::transaction::store::TransactionId(transmit_id);
        let Some(client) = self.core.transactions.client(id) else {
            return;
        };
        let (owner, request) = (client.owner, client.request.clone());
        // An INVITE that is to be cancelled is not tried another way: its callee has heard nothing, and need not.
        let unwanted = owner
            .and_then(|owner| self.sessions.get(&owner))
            .is_some_and(|session| session.is_cancelling(id));
        if unwanted {
            client.fallback = None;
        }
        let outcome = self.core.drive_client(now, id, ClientInput::TransportFailed, None);
        self.no_response(now, id, owner, &request, outcome);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.core.timers.pop(now) {
            match key {
                TimerKey::Session(id, timer) => {
                    if let Some(session) = self.sessions.get_mut(&id) {
                        session.on_timer(&mut self.core, now, timer);
                    }
                    self.sweep(id);
                }
                TimerKey::Transaction(id, timer) if self.core.transactions.is_client(id) => {
                    let Some(client) = self.core.transactions.client(id) else {
                        continue;
                    };
                    let (owner, request) = (client.owner, client.request.clone());
                    let outcome = self.core.drive_client(now, id, ClientInput::Timer(timer), None);
                    self.no_response(now, id, owner, &request, outcome);
                }
                TimerKey::Transaction(id, timer) => {
                    let Some(owner) = self.core.transactions.server(id).map(|server| server.owner) else {
                        continue;
                    };
                    if self.core.drive_server(now, id, ServerInput::Timer(timer)) == Some(Outcome::TimedOut) {
                        self.refusal_acknowledged(owner);
                    }
                }
            }
        }
    }

    /// A client transaction that ends without a response.
    fn no_response(
        &mut self,
        now: Instant,
        id: crate::transaction::store::TransactionId,
        owner: Option<SessionId>,
        request: &Message,
        outcome: Option<Outcome>,
    ) {
        let status = match outcome {
            Some(Outcome::TimedOut) => {
                self.core.stats.timed_out = self.core.stats.timed_out.saturating_add(1);
                408
            }
            Some(Outcome::Unreachable) => 503,
            Some(Outcome::Passed) | None => return,
        };
        if self.core.ponged(id, None)
            || self.core.replied(id, None)
            || self.core.register_answered(id, None)
            || self.core.paged(id, None)
        {
            return;
        }
        let Some(session) = owner.and_then(|owner| self.sessions.get_mut(&owner)) else {
            return;
        };
        session.on_no_response(&mut self.core, now, id, request, status);
        let id = session.id;
        self.sweep(id);
    }

    fn transaction_of(&self, response: &Message) -> Option<crate::transaction::store::TransactionId> {
        let key = client_key(response.top_via().ok()?.branch()?, &response.cseq().ok()?.method);
        self.core.transactions.find_client(&key)
    }

    /// The session whose dialog the request names: our tag, the Call-ID, and not yet the peer's tag.
    fn session_of(&self, request: &Message) -> Option<SessionId> {
        let to = request.to().ok()?;
        let id = *self.by_tag.get(to.tag()?)?;
        self.sessions
            .get(&id)
            .filter(|session| request.call_id() == Some(session.call_id.as_str()))
            .map(|session| session.id)
    }

    fn handle_response(&mut self, now: Instant, peer: Peer, response: Message) {
        let Some(id) = self.transaction_of(&response) else {
            return;
        };
        let (Some(client), Some(status)) = (self.core.transactions.client(id), response.status()) else {
            return;
        };
        // "The method parameter in the CSeq header field matches the method of the request" (§17.1.3).
        let (owner, request) = (client.owner, client.request.clone());
        if request.method() != response.cseq().ok().map(|cseq| cseq.method).as_ref() {
            return;
        }
        // A CANCEL goes by the connection that the response came by.
        if client.peer.protocol == peer.protocol {
            client.peer.flow = peer.flow;
        }
        let challenged = matches!(status, 401 | 407).then(|| Challenged::of(client)).flatten();
        let response = Arc::new(response);
        let invite = request.method() == Some(&Method::Invite);
        if invite && (200..300).contains(&status) {
            return self.handle_2xx(now, peer, id, &request, &response);
        }
        let mut session = owner.and_then(|owner| self.sessions.get_mut(&owner));
        if let Some(session) = &mut session {
            let again = client.is_answered() || invite && session.repeats(&response);
            self.core.heard(now, session.id, &response, again);
        }
        let outcome = self
            .core
            .drive_client(now, id, ClientInput::Response(status), Some(&response));
        if outcome == Some(Outcome::Passed)
            && let Some(challenged) = challenged
            && self.authenticate(now, id, challenged, &response)
        {
            return;
        }
        if outcome == Some(Outcome::Passed)
            && (self.core.ponged(id, Some(&response))
                || self.core.replied(id, Some(&response))
                || self.core.register_answered(id, Some(&response))
                || self.core.paged(id, Some(&response)))
        {
            return;
        }
        let session = owner.and_then(|owner| self.sessions.get_mut(&owner));
        let (Some(Outcome::Passed), Some(session)) = (outcome, session) else {
            return;
        };
        match invite {
            true => session.on_invite_response(&mut self.core, now, peer, id, &request, &response),
            false => session.on_other_response(&mut self.core, now, id, &request, &response),
        }
        let id = session.id;
        self.sweep(id);
    }

    fn handle_request(&mut self, now: Instant, peer: Peer, request: Message) {
        let Some(method) = request.method().cloned() else {
            return;
        };
        if method == Method::Cancel {
            return self.handle_cancel(now, peer, &request);
        }
        let Some(key) = server_key(&request, &method) else {
            return;
        };
        if let Some(id) = self.core.transactions.find_server(&key) {
            if let Some(owner) = self.core.transactions.server(id).map(|server| server.owner) {
                self.core.heard(now, owner, &request, true);
            }
            self.core.drive_server(now, id, ServerInput::Request);
            return;
        }
        if let Some((status, headers)) = self.refusal(&method, &request) {
            return self.answer_stateless(peer, &request, status, &headers);
        }
        let received = Received {
            request: Arc::new(request),
            peer,
            key,
        };
        let tagged = received.request.to().is_ok_and(|to| to.tag().is_some());
        match (tagged, &method) {
            (true, _) => self.handle_within(now, received),
            (false, Method::Invite) => self.handle_invite(now, received),
            (false, Method::Options) => self.handle_options(peer, received.request),
            // BYE, PRACK, UPDATE and INFO exist only in dialogs (§12.2.2).
            (false, _) => self.answer_stateless(peer, &received.request, 481, &[]),
        }
    }

    /// What is refused whatever it is about: method (§8.2.1), scheme (§8.2.2.1), extensions (§8.2.2.3).
    fn refusal(&self, method: &Method, request: &Message) -> Option<(u16, Vec<(&'static str, String)>)> {
        if !ALLOW.split(", ").any(|allowed| allowed == method.as_str()) {
            // "If the UAS recognizes but does not support the method … 405"; else 501 (§21.5.2).
            return Some((if method.is_known() { 405 } else { 501 }, Vec::new()));
        }
        if !request.request_uri().is_some_and(is_served) {
            return Some((416, Vec::new()));
        }
        // What an emergency call asks beyond that is left undone rather than the call.
        if self.core.urgent {
            return None;
        }
        // A `sips:` URI wants TLS up to the callee (RFC 5630 §5), which a call that goes on to wherever its callee is cannot
        // promise. Within a dialog it is our own Contact.
        let begins = request.to().is_ok_and(|to| to.tag().is_none());
        if begins && request.request_uri().is_some_and(|uri| uri.is_sips()) {
            let why = "399 segue \"sips is not taken: call by sip with transport=tls\"";
            return Some((416, vec![("Warning", why.to_owned())]));
        }
        let unknown: Vec<String> = request
            .list("Require")
            .into_iter()
            .filter(|option| !SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(option)))
            .collect();
        (!unknown.is_empty()).then(|| (420, vec![("Unsupported", unknown.join(", "))]))
    }

    /// A request with a To tag.
    fn handle_within(&mut self, now: Instant, received: Received) {
        let Received { request, peer, key } = received;
        let remote_tag = request
            .from()
            .ok()
            .and_then(|from| from.tag().map(str::to_owned))
            .unwrap_or_default();
        let known = self.session_of(&request).filter(|id| {
            self.sessions
                .get_mut(id)
                .is_some_and(|session| session.dialog(&remote_tag).is_some())
        });
        // "If the UAS wishes to reject the request because it does not wish to recreate the dialog, it MUST respond to
        // the request with a 481" (§12.2.2).
        let Some(id) = known else {
            return self.answer_stateless(peer, &request, 481, &[]);
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        self.core.heard(now, id, &request, false);
        // Its BYE still gets through.
        let spare = if request.method() == Some(&Method::Bye) { 8 } else { 0 };
        if self.core.transactions.of_session(id) >= TRANSACTIONS_MAX.saturating_add(spare) {
            return self.answer_stateless(peer, &request, 500, &[("Retry-After", "5".to_owned())]);
        }
        session.heard_from(&remote_tag, peer);
        let transaction = self.core.start_server(&request, key, reply_to(peer, &request), id);
        session.on_request(&mut self.core, now, transaction, &request, &remote_tag);
        self.sweep(id);
    }

    fn handle_ack(&mut self, now: Instant, peer: Peer, ack: &Message) {
        // The ACK of a refusal has the INVITE's branch (§17.1.1.3) …
        let invite = server_key(ack, &Method::Invite).and_then(|key| self.core.transactions.find_server(&key));
        if let Some(id) = invite
            && let Some(owner) = self
                .core
                .transactions
                .server(id)
                .filter(|server| server.is_refused())
                .map(|server| server.owner)
        {
            let outcome = self.core.drive_server(now, id, ServerInput::Ack);
            self.core.heard(now, owner, ack, outcome.is_none());
            if outcome == Some(Outcome::Passed) {
                self.refusal_acknowledged(owner);
            }
            return;
        }
        // … that of a 2xx its own, and finds its dialog (§13.2.2.4). All others are ignored.
        let Some(session) = self.session_of(ack).and_then(|id| self.sessions.get_mut(&id)) else {
            return;
        };
        let remote_tag = ack
            .from()
            .ok()
            .and_then(|from| from.tag().map(str::to_owned))
            .unwrap_or_default();
        if session.dialog(&remote_tag).is_none() {
            return;
        }
        session.heard_from(&remote_tag, peer);
        session.on_ack(&mut self.core, now, ack);
        let id = session.id;
        self.sweep(id);
    }

    /// The ACK of a refusal came, or never will.
    fn refusal_acknowledged(&mut self, owner: SessionId) {
        if let Some(session) = self.sessions.get_mut(&owner)
            && session.is_refused()
        {
            session.end(&mut self.core);
        }
        self.sweep(owner);
    }

    /// Another INVITE of the same From tag, Call-ID and CSeq is in progress: it came by two ways (§8.2.2.2).
    pub(super) fn is_merged(&self, invite: &Message) -> bool {
        merge_key(invite).is_some_and(|key| self.core.transactions.find_merged(&key).is_some())
    }

    /// Says `Terminated` of a session that is over.
    pub(super) fn sweep(&mut self, id: SessionId) {
        if !self
            .sessions
            .get(&id)
            .is_some_and(|session| matches!(session.phase, Phase::Over))
        {
            return;
        }
        if let Some(session) = self.sessions.remove(&id) {
            self.by_tag.remove(&session.local_tag);
            self.core.stop_all(id);
            self.ended.insert(id, session.call_id);
            self.core.event(Event::Terminated { session: id });
        }
    }
}
