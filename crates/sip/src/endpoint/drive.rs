//! Performs what the transaction machines ask for.

use std::{sync::Arc, time::Instant};

use segue_sip_wire::{Message, MessageBuilder, Method};

use super::{
    authenticate::Tried,
    cancel::cancel_of,
    core::{Core, TimerKey, after},
    ladder::summary,
};
use crate::{
    api::{Peer, Protocol, SessionId, Transmit},
    draft::Draft,
    secure::{domain_of, name},
    transaction::{
        Action, ClientInput, ClientInvite, ClientOther, ServerInput, ServerInvite, ServerOther, Timer,
        store::{Client, ClientState, Server, ServerState, TransactionId, Way, client_key, merge_key},
    },
};

/// "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and the path MTU is unknown,
/// the request MUST be sent using [TCP]" (RFC 3261 §18.1.1).
const UDP_REQUEST_MAX: usize = 1300;

/// What a transaction tells its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The response (client) or the ACK of a refusal (server) is the user's.
    Passed,
    /// Nothing came in time.
    TimedOut,
    /// The request could not be sent.
    Unreachable,
}

impl Core {
    /// Sends a request by a new client transaction.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        draft: &Draft,
        peer: Peer,
        owner: Option<SessionId>,
    ) -> TransactionId {
        let identified = self.identified(draft, owner);
        let draft = identified.as_ref().unwrap_or(draft);
        let account = owner.or(draft.account);
        let authorized = self.authorized(draft, account, peer.protocol);
        let draft = authorized.as_ref().unwrap_or(draft);
        let branch = self.branch();
        let peer = self.localized(peer).unwrap_or(peer);
        let request = draft.build(&self.via(peer, &branch));
        let tcp = Peer {
            protocol: Protocol::Tcp,
            flow: None,
            ..peer
        };
        let large = peer.protocol == Protocol::Udp && !draft.same_way && request.to_bytes().len() > UDP_REQUEST_MAX;
        let id = match self
            .localized(tcp)
            .filter(|_| large && self.may_try_tcp(now, peer.remote))
        {
            Some(tcp) => {
                let request = draft.build(&self.via(tcp, &branch));
                let way = Way {
                    peer: tcp,
                    domain: None,
                    fallback: Some(peer),
                };
                self.start_client(now, request, way, owner, &branch)
            }
            None => {
                let udp = Peer {
                    protocol: Protocol::Udp,
                    flow: None,
                    ..peer
                };
                // A phone that sent a large INVITE by TCP may have closed it and listen by UDP, as its Contact says.
                let guessed = draft.any_transport && peer.protocol == Protocol::Tcp;
                let fallback = guessed.then(|| self.localized(udp)).flatten();
                let domain = match &draft.hop {
                    Some(hop) => hop.host().and_then(name).filter(|_| peer.protocol == Protocol::Tls),
                    None => domain_of(&request, peer).or_else(|| draft.domain.clone()),
                };
                let way = Way { peer, domain, fallback };
                self.start_client(now, request, way, owner, &branch)
            }
        };
        if let Some(client) = self.transactions.client(id) {
            client.account = account;
        }
        id
    }

    /// Sends a request that already has its Via.
    pub(crate) fn start_client(
        &mut self,
        now: Instant,
        request: Message,
        way: Way,
        owner: Option<SessionId>,
        branch: &str,
    ) -> TransactionId {
        let id = TransactionId(self.next_id());
        let timing = self.timing(way.peer);
        let method = request.method().cloned().unwrap_or(Method::Options);
        // Replaced by `start` at once.
        let state = match method {
            Method::Invite => ClientState::Invite(ClientInvite::Terminated),
            _ => ClientState::Other(ClientOther::Terminated),
        };
        let mut client = Client {
            state,
            timing,
            request: Arc::new(request),
            peer: way.peer,
            domain: way.domain,
            owner,
            account: None,
            tried: Tried::default(),
            ack: None,
            acked: Vec::new(),
            losing: Vec::new(),
            fallback: way.fallback,
            key: client_key(branch, &method),
        };
        let mut actions = std::mem::take(&mut self.scratch);
        client.start(&mut actions);
        self.stats.client_transactions = self.stats.client_transactions.saturating_add(1);
        self.transactions.insert_client(id, client);
        self.scratch = actions;
        self.perform_client(now, id, None);
        id
    }

    /// Gives an input to a client transaction.
    pub(crate) fn drive_client(
        &mut self,
        now: Instant,
        id: TransactionId,
        input: ClientInput,
        response: Option<&Message>,
    ) -> Option<Outcome> {
        if input == ClientInput::TransportFailed && self.fall_back(now, id) {
            return None;
        }
        let client = self.transactions.client(id)?;
        client.on(input, &mut self.scratch);
        self.perform_client(now, id, response)
    }

    /// Takes what is in `scratch` and does it.
    fn perform_client(&mut self, now: Instant, id: TransactionId, response: Option<&Message>) -> Option<Outcome> {
        let mut actions = std::mem::take(&mut self.scratch);
        let mut outcome = None;
        for action in actions.drain(..) {
            let Some(client) = self.transactions.client(id) else {
                break;
            };
            match action {
                Action::Send | Action::SendAgain => {
                    if action == Action::SendAgain {
                        self.stats.again_out = self.stats.again_out.saturating_add(1);
                    }
                    let transmit = Transmit {
                        peer: client.peer,
                        domain: client.domain.clone(),
                        bytes: client.request.to_bytes(),
                        id: id.0,
                    };
                    if let Some(session) = client.owner {
                        let line = summary(&client.request);
                        self.note(now, session, true, action == Action::SendAgain, line);
                    }
                    self.transmits.push_back(transmit);
                }
                Action::Ack => {
                    let again = client.ack.is_some();
                    if client.ack.is_none() {
                        client.ack = response
                            .and_then(|response| ack_of_refusal(&client.request, response))
                            .map(|ack| ack.to_bytes());
                    }
                    let (peer, ack, owner) = (client.peer, client.ack.clone(), client.owner);
                    let domain = client.domain.clone();
                    if let Some(ack) = ack {
                        self.send(peer, domain, ack);
                    }
                    if let Some(session) = owner {
                        self.note(now, session, true, again, "ACK".to_owned());
                    }
                }
                Action::Cancel => {
                    let (invite, way) = (client.request.clone(), client.way());
                    if let (Some(cancel), Ok(via)) = (cancel_of(&invite, None), invite.top_via()) {
                        self.start_client(now, cancel, way, None, via.branch().unwrap_or_default());
                    }
                }
                Action::Pass => outcome = Some(Outcome::Passed),
                Action::TimedOut => outcome = Some(Outcome::TimedOut),
                Action::Unreachable => outcome = Some(Outcome::Unreachable),
                Action::Set(timer, wait) => self.timers.set(TimerKey::Transaction(id, timer), after(now, wait)),
                Action::Stop(timer) => self.timers.stop(TimerKey::Transaction(id, timer)),
            }
        }
        self.scratch = actions;
        if self.transactions.client(id).is_some_and(|client| client.is_over()) {
            self.forget_transaction(id);
        }
        outcome
    }

    /// If the attempt "generates either an ICMP Protocol Not Supported, or results in a TCP reset, the element SHOULD
    /// retry the request, using UDP" (RFC 3261 §18.1.1).
    fn fall_back(&mut self, now: Instant, id: TransactionId) -> bool {
        let Some(client) = self.transactions.client(id) else {
            return false;
        };
        let Some(udp) = client.fallback.take() else {
            return false;
        };
        let request = client.request.clone();
        let Ok(via) = request.top_via() else { return false };
        let via = self.via(udp, via.branch().unwrap_or_default());
        let rebuilt = with_via(&request, &via);
        let timing = self.timing(udp);
        self.timers
            .stop_range(TimerKey::Transaction(id, Timer::A)..=TimerKey::Transaction(id, Timer::M));
        let Some(client) = self.transactions.client(id) else {
            return false;
        };
        client.request = Arc::new(rebuilt);
        client.peer = udp;
        client.domain = None;
        client.timing = timing;
        client.start(&mut self.scratch);
        self.refuses_tcp(now, udp.remote);
        self.perform_client(now, id, None);
        true
    }

    /// Begins a server transaction for a request of a session.
    pub(crate) fn start_server(
        &mut self,
        request: &Message,
        key: String,
        reply_to: Peer,
        owner: SessionId,
    ) -> TransactionId {
        let id = TransactionId(self.next_id());
        let timing = self.timing(reply_to);
        let invite = request.method() == Some(&Method::Invite);
        let state = match invite {
            true => ServerState::Invite(ServerInvite::Proceeding),
            false => ServerState::Other(ServerOther::Trying),
        };
        // "If the request has no tag in the To header field, the UAS core MUST check the request against ongoing
        // transactions" (§8.2.2.2).
        let first = invite && request.to().is_ok_and(|to| to.tag().is_none());
        let merge_key = first.then(|| merge_key(request)).flatten();
        let server = Server {
            state,
            timing,
            peer: reply_to,
            domain: None,
            owner,
            response: None,
            key,
            merge_key,
        };
        self.stats.server_transactions = self.stats.server_transactions.saturating_add(1);
        self.transactions.insert_server(id, server);
        id
    }

    /// Sends a response by its server transaction.
    pub(crate) fn respond(&mut self, now: Instant, id: TransactionId, response: &Message, again: bool) {
        let Some(server) = self.transactions.server(id) else {
            return;
        };
        let status = response.status().unwrap_or(500);
        server.response = Some((response.to_bytes(), summary(response)));
        server.domain = domain_of(response, server.peer);
        server.on(ServerInput::Respond(status), &mut self.scratch);
        if again {
            for action in &mut self.scratch {
                if *action == Action::Send {
                    *action = Action::SendAgain;
                }
            }
        }
        self.perform_server(now, id);
    }

    /// Gives an input other than a response to a server transaction.
    pub(crate) fn drive_server(&mut self, now: Instant, id: TransactionId, input: ServerInput) -> Option<Outcome> {
        let server = self.transactions.server(id)?;
        server.on(input, &mut self.scratch);
        self.perform_server(now, id)
    }

    fn perform_server(&mut self, now: Instant, id: TransactionId) -> Option<Outcome> {
        let mut actions = std::mem::take(&mut self.scratch);
        let mut outcome = None;
        for action in actions.drain(..) {
            let Some(server) = self.transactions.server(id) else {
                break;
            };
            match action {
                Action::Send | Action::SendAgain => {
                    let Some((bytes, line)) = server.response.clone() else {
                        continue;
                    };
                    let (peer, session, domain) = (server.peer, server.owner, server.domain.clone());
                    if action == Action::SendAgain {
                        self.stats.again_out = self.stats.again_out.saturating_add(1);
                    }
                    self.note(now, session, true, action == Action::SendAgain, line);
                    self.transmits.push_back(Transmit {
                        peer,
                        domain,
                        bytes,
                        id: id.0,
                    });
                }
                Action::Pass => outcome = Some(Outcome::Passed),
                Action::TimedOut => outcome = Some(Outcome::TimedOut),
                Action::Set(timer, wait) => self.timers.set(TimerKey::Transaction(id, timer), after(now, wait)),
                Action::Stop(timer) => self.timers.stop(TimerKey::Transaction(id, timer)),
                Action::Ack | Action::Cancel | Action::Unreachable => {}
            }
        }
        self.scratch = actions;
        if self.transactions.server(id).is_some_and(|server| server.is_over()) {
            self.forget_transaction(id);
        }
        outcome
    }

    /// Ends a transaction, wherever it is.
    pub(crate) fn forget_transaction(&mut self, id: TransactionId) {
        self.transactions.remove(id);
        self.timers
            .stop_range(TimerKey::Transaction(id, Timer::A)..=TimerKey::Transaction(id, Timer::M));
    }
}

/// "The ACK request constructed by the client transaction MUST contain values for the Call-ID, From, and Request-URI
/// that are equal to the [INVITE's] … a single Via header field … equal to the top Via header field of the original
/// request … the To header field … of the response … If the INVITE request … had Route header fields, those header
/// fields MUST appear in the ACK" (§17.1.1.3).
fn ack_of_refusal(invite: &Message, response: &Message) -> Option<Message> {
    let mut ack = MessageBuilder::request(&Method::Ack, invite.request_uri()?).header("Via", invite.header("Via")?);
    for route in invite.headers("Route") {
        ack = ack.header("Route", route);
    }
    Some(
        ack.header("Max-Forwards", "70")
            .copy(invite, "From")
            .copy(response, "To")
            .copy(invite, "Call-ID")
            .header("CSeq", format!("{} ACK", invite.cseq().ok()?.number))
            .copy(invite, "Session-ID")
            .build(),
    )
}

/// The same request by another transport.
fn with_via(request: &Message, via: &str) -> Message {
    let (Some(method), Some(uri)) = (request.method(), request.request_uri()) else {
        return request.clone();
    };
    let mut builder = MessageBuilder::request(method, uri).header("Via", via);
    for (name, value) in request
        .all_headers()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("Via"))
    {
        builder = builder.header(name, value);
    }
    if let Some(content_type) = request.content_type() {
        builder = builder.body(content_type, bytes::Bytes::copy_from_slice(request.body()));
    }
    builder.build()
}
