//! All living transactions and how messages find them (RFC 3261 §17.1.3, §17.2.3).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use bytes::Bytes;
use segue_sip_wire::{Message, Method};

use super::{Actions, ClientInput, ClientInvite, ClientOther, ServerInput, ServerInvite, ServerOther, Timing};
use crate::{
    api::{Peer, SessionId, Transmit},
    dialog::Dialog,
    endpoint::authenticate::Tried,
};

/// RFC 3261 §8.1.1.7.
pub(crate) const MAGIC_COOKIE: &str = "z9hG4bK";

/// A transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TransactionId(pub u64);

/// A client transaction's state.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ClientState {
    Invite(ClientInvite),
    Other(ClientOther),
}

/// A request of ours and what became of it.
#[derive(Debug)]
pub(crate) struct Client {
    pub state: ClientState,
    pub timing: Timing,
    /// As sent.
    pub request: Arc<Message>,
    pub peer: Peer,
    /// See [`Transmit::domain`].
    pub domain: Option<Arc<str>>,
    /// Whose it is; nobody's is the BYE of a fork that lost.
    pub owner: Option<SessionId>,
    /// Whose credentials it may use.
    pub account: Option<SessionId>,
    /// How often it was challenged.
    pub tried: Tried,
    /// Our ACK of a refusal.
    pub ack: Option<Bytes>,
    /// Forks whose 2xx was acknowledged: their tag and the ACK, for when the 2xx comes again. At most [`FORKS_MAX`].
    pub acked: Vec<(String, Transmit)>,
    /// Early dialogs whose session has gone on without them: a late 2xx of theirs goes on with their CSeq.
    pub losing: Vec<Dialog>,
    /// UDP, when TCP was only tried for the request's size (RFC 3261 §18.1.1) or because the peer was last heard by it.
    pub fallback: Option<Peer>,
    /// Key in the index.
    pub key: String,
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub peer: Peer,
    /// See [`Transmit::domain`].
    pub domain: Option<Arc<str>>,
    /// See [`Client::fallback`].
    pub fallback: Option<Peer>,
}

/// More forks than this of one INVITE are ignored.
pub(crate) const FORKS_MAX: usize = 16;

impl Client {
    /// The same way, for the CANCEL of its INVITE.
    pub(crate) fn way(&self) -> Way {
        Way {
            peer: self.peer,
            domain: self.domain.clone(),
            fallback: None,
        }
    }

    pub(crate) fn on(&mut self, input: ClientInput, out: &mut Actions) {
        self.state = match self.state {
            ClientState::Invite(state) => ClientState::Invite(state.on(input, self.timing, out)),
            ClientState::Other(state) => ClientState::Other(state.on(input, self.timing, out)),
        };
    }

    /// A final response other than 2xx to INVITE has come.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(
            self.state,
            ClientState::Invite(ClientInvite::Completed) | ClientState::Other(ClientOther::Completed)
        )
    }

    pub(crate) fn start(&mut self, out: &mut Actions) {
        self.state = match self.state {
            ClientState::Invite(_) => ClientState::Invite(ClientInvite::start(self.timing, out)),
            ClientState::Other(_) => ClientState::Other(ClientOther::start(self.timing, out)),
        };
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.state,
            ClientState::Invite(ClientInvite::Terminated) | ClientState::Other(ClientOther::Terminated)
        )
    }
}

/// A server transaction's state.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ServerState {
    Invite(ServerInvite),
    Other(ServerOther),
}

/// A request of a peer and our answer so far.
#[derive(Debug)]
pub(crate) struct Server {
    pub state: ServerState,
    pub timing: Timing,
    /// Where responses go.
    pub peer: Peer,
    /// See [`Transmit::domain`].
    pub domain: Option<Arc<str>>,
    pub owner: SessionId,
    /// The last response, with what the ladder calls it.
    pub response: Option<(Bytes, String)>,
    /// Key in the index.
    pub key: String,
    /// What merged requests have in common with it.
    pub merge_key: Option<String>,
}

impl Server {
    pub(crate) fn on(&mut self, input: ServerInput, out: &mut Actions) {
        self.state = match self.state {
            ServerState::Invite(state) => ServerState::Invite(state.on(input, self.timing, out)),
            ServerState::Other(state) => ServerState::Other(state.on(input, self.timing, out)),
        };
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.state,
            ServerState::Invite(ServerInvite::Terminated) | ServerState::Other(ServerOther::Terminated)
        )
    }
}

impl Server {
    /// An INVITE that got no 2xx: the ACK with its branch is this transaction's.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(
            self.state,
            ServerState::Invite(ServerInvite::Completed(_) | ServerInvite::Confirmed)
        )
    }
}

/// All transactions.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    clients: BTreeMap<TransactionId, Client>,
    servers: BTreeMap<TransactionId, Server>,
    client_keys: BTreeMap<String, TransactionId>,
    server_keys: BTreeMap<String, TransactionId>,
    merge_keys: BTreeMap<String, TransactionId>,
    /// Server transactions by session.
    of_session: BTreeMap<SessionId, u32>,
}

impl Transactions {
    pub(crate) fn insert_client(&mut self, id: TransactionId, client: Client) {
        self.client_keys.insert(client.key.clone(), id);
        self.clients.insert(id, client);
    }

    pub(crate) fn insert_server(&mut self, id: TransactionId, server: Server) {
        self.server_keys.insert(server.key.clone(), id);
        if let Some(key) = &server.merge_key {
            self.merge_keys.insert(key.clone(), id);
        }
        let count = self.of_session.entry(server.owner).or_default();
        *count = count.saturating_add(1);
        self.servers.insert(id, server);
    }

    pub(crate) fn client(&mut self, id: TransactionId) -> Option<&mut Client> {
        self.clients.get_mut(&id)
    }

    pub(crate) fn server(&mut self, id: TransactionId) -> Option<&mut Server> {
        self.servers.get_mut(&id)
    }

    pub(crate) fn is_client(&self, id: TransactionId) -> bool {
        self.clients.contains_key(&id)
    }

    pub(crate) fn find_client(&self, key: &str) -> Option<TransactionId> {
        self.client_keys.get(key).copied()
    }

    pub(crate) fn find_server(&self, key: &str) -> Option<TransactionId> {
        self.server_keys.get(key).copied()
    }

    pub(crate) fn find_merged(&self, key: &str) -> Option<TransactionId> {
        self.merge_keys.get(key).copied()
    }

    pub(crate) fn remove(&mut self, id: TransactionId) {
        if let Some(client) = self.clients.remove(&id) {
            self.client_keys.remove(&client.key);
        }
        if let Some(server) = self.servers.remove(&id) {
            self.server_keys.remove(&server.key);
            if let Entry::Occupied(mut count) = self.of_session.entry(server.owner) {
                *count.get_mut() = count.get().saturating_sub(1);
                if *count.get() == 0 {
                    count.remove();
                }
            }
            if let Some(key) = &server.merge_key
                && self.merge_keys.get(key) == Some(&id)
            {
                self.merge_keys.remove(key);
            }
        }
    }

    pub(crate) fn of_session(&self, session: SessionId) -> u32 {
        self.of_session.get(&session).copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len().saturating_add(self.servers.len())
    }
}

/// A response is a transaction's if it has the same branch in the top Via and the method of the request in its CSeq
/// (§17.1.3): a CANCEL shares its INVITE's branch.
pub(crate) fn client_key(branch: &str, method: &Method) -> String {
    match method {
        Method::Cancel => format!("{branch};CANCEL"),
        _ => branch.to_owned(),
    }
}

/// What a request has in common with the request (of `method`) whose transaction it is to find: branch, sent-by and
/// method (§17.2.3), or for peers of RFC 2543 nearly everything.
pub(crate) fn server_key(request: &Message, method: &Method) -> Option<String> {
    let via = request.top_via().ok()?;
    match via.branch() {
        Some(branch) if branch.starts_with(MAGIC_COOKIE) => {
            Some(format!("{branch};{}:{};{method}", via.host, via.port_or_default()))
        }
        _ => Some(format!(
            "{};{}:{};{};{};{};{};{method}",
            via.branch().unwrap_or_default(),
            via.host,
            via.port_or_default(),
            request.request_uri()?,
            request.from().ok()?.tag().unwrap_or_default(),
            request.call_id()?,
            request.cseq().ok()?.number,
        )),
    }
}

/// "The From tag, Call-ID, and CSeq" (§8.2.2.2).
pub(crate) fn merge_key(request: &Message) -> Option<String> {
    let cseq = request.cseq().ok()?;
    Some(format!(
        "{};{};{cseq}",
        request.from().ok()?.tag().unwrap_or_default(),
        request.call_id()?
    ))
}
