//! What every session needs of its endpoint: names, timers, transactions, and the way out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_sip_wire::Message;

use super::{
    failover::Failing,
    identity::Identities,
    ladder::{Ladder, summary},
    register::Registration,
};
use crate::{
    api::{EndpointConfig, Event, Local, PageId, Peer, Protocol, Served, SessionId, Transmit},
    digest::Accounts,
    stats::Stats,
    timers::Timers,
    transaction::{
        Actions, Timer, Timing,
        store::{MAGIC_COOKIE, TransactionId, Transactions},
    },
};

/// Methods that we take (RFC 3261 §20.5).
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO";
/// The same to those who may register.
const ALLOW_REGISTER: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REGISTER";
/// The same to those who may subscribe to their messages besides.
const ALLOW_SUBSCRIBE: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REGISTER, SUBSCRIBE";
/// Extensions that we know (RFC 3261 §20.37).
pub(crate) const SUPPORTED: &str = "100rel, timer, precondition";

/// Destinations that refused TCP and are remembered.
const NO_TCP_MAX: usize = 256;
/// How long they are remembered.
const NO_TCP_FOR: Duration = Duration::from_secs(600);

/// A timer of a transaction or a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    Transaction(TransactionId, Timer),
    Session(SessionId, SessionTimer),
}

/// The timers of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SessionTimer {
    /// Send the reliable 1xx again (RFC 3262 §3).
    Reliable,
    /// No PRACK within 64·T1 (RFC 3262 §3).
    PrackGiveUp,
    /// Say the provisional state again (RFC 3261 §13.3.1.1, RFC 3262 §3).
    Repeat,
    /// Send the 2xx again (RFC 3261 §13.3.1.4).
    Accept,
    /// No ACK within 64·T1 (RFC 3261 §13.3.1.4).
    AckGiveUp,
    /// No final response within 64·T1 of the CANCEL (RFC 3261 §9.1).
    CancelGiveUp,
    /// Make our offer again after a 491 (RFC 3261 §14.1).
    OfferAgain,
    /// No final response to our offer within 64·T1.
    OfferGiveUp,
    /// The server is silent, and there is another (RFC 3263 §4.3).
    NextServer,
    /// Refresh the session (RFC 4028 §7.2).
    Refresh,
    /// Nobody has refreshed it (RFC 4028 §10).
    Expiry,
    /// The peer has been provisional for too long.
    Patience,
}

/// See the module.
pub(crate) struct Core {
    pub config: EndpointConfig,
    rng: StdRng,
    /// Makes the tags of stateless answers.
    salt: u64,
    last_id: u64,
    pub transactions: Transactions,
    pub timers: Timers<TimerKey>,
    pub transmits: VecDeque<Transmit>,
    pub events: VecDeque<Event>,
    ladders: BTreeMap<SessionId, Ladder>,
    pub identities: Identities,
    pub accounts: Accounts,
    /// No session begins any more.
    pub closing: bool,
    /// What else than calls whoever sends the request that is handled now may send.
    pub served: Served,
    /// What is being handled is taken however full we are.
    pub urgent: bool,
    /// Who sends what is being handled is answered where it comes from, in the dialog that it begins too.
    pub nat: bool,
    no_tcp: BTreeMap<SocketAddr, Instant>,
    pub failing: Failing,
    /// Requests that ask whether a server lives.
    pub pings: BTreeSet<TransactionId>,
    /// Requests of no session.
    pub outside: BTreeSet<TransactionId>,
    /// Our registrations with others, and the requests that say them.
    pub registrations: BTreeMap<SessionId, Registration>,
    pub registering: BTreeMap<TransactionId, SessionId>,
    /// Texts on their way, and who holds the account of each.
    pub pages: BTreeMap<TransactionId, (PageId, Option<SessionId>)>,
    pub stats: Stats,
    /// Emptied after each use.
    pub scratch: Actions,
}

impl Core {
    /// The methods that whoever is answered now may send outside a dialog.
    pub fn allowed(&self) -> &'static str {
        match self.served {
            Served::Calls => ALLOW,
            Served::Registrations => ALLOW_REGISTER,
            Served::Subscriptions => ALLOW_SUBSCRIBE,
        }
    }

    pub(crate) fn new(config: EndpointConfig) -> Self {
        let mut rng = StdRng::seed_from_u64(config.seed);
        let salt = rng.next_u64();
        Self {
            config,
            rng,
            salt,
            last_id: 0,
            transactions: Transactions::default(),
            timers: Timers::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            ladders: BTreeMap::new(),
            identities: Identities::default(),
            accounts: Accounts::default(),
            closing: false,
            served: Served::Calls,
            urgent: false,
            nat: false,
            no_tcp: BTreeMap::new(),
            failing: Failing::default(),
            pings: BTreeSet::new(),
            outside: BTreeSet::new(),
            registrations: BTreeMap::new(),
            registering: BTreeMap::new(),
            pages: BTreeMap::new(),
            stats: Stats::default(),
            scratch: Actions::new(),
        }
    }

    /// A number that no transaction, session or transmit has had.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// 64 random bits: a tag "MUST be globally unique and cryptographically random with at least 32 bits of randomness"
    /// (RFC 3261 §19.3).
    pub(crate) fn tag(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }

    pub(crate) fn branch(&mut self) -> String {
        format!("{MAGIC_COOKIE}{:016x}", self.rng.next_u64())
    }

    pub(crate) fn call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64())
    }

    /// A first RSeq: "between 1 and 2**31 - 1 … chosen uniformly in this range" (RFC 3262 §3).
    pub(crate) fn first_rseq(&mut self) -> u32 {
        (self.rng.next_u32() >> 1).max(1)
    }

    /// A first CSeq, below 2**31 (RFC 3261 §8.1.1.5).
    pub(crate) fn first_cseq(&mut self) -> u32 {
        (self.rng.next_u32() >> 16).max(1)
    }

    /// 0 to 10 seconds, for Retry-After (RFC 3261 §14.2).
    pub(crate) fn retry_after(&mut self) -> String {
        (self.rng.next_u32() % 11).to_string()
    }

    /// A random number below `limit`.
    pub(crate) fn random_below(&mut self, limit: u32) -> u32 {
        self.rng.next_u32().checked_rem(limit).unwrap_or_default()
    }

    /// "A stateless UAS MUST … generate the same [To] tag for the same request" (RFC 3261 §8.2.7): one that follows
    /// from the request and a secret.
    pub(crate) fn stateless_tag(&self, request: &Message) -> String {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.salt.hash(&mut hasher);
        for name in ["Call-ID", "From", "CSeq", "Via"] {
            request.header(name).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    /// A number that nobody outside can foretell.
    pub(crate) fn hash(&self, value: &str) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (self.salt, value).hash(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn timing(&self, peer: Peer) -> Timing {
        Timing {
            t1: self.config.t1,
            reliable: peer.protocol.is_stream(),
        }
    }

    /// 64·T1.
    pub(crate) fn patience(&self) -> Duration {
        self.config.t1.saturating_mul(64)
    }

    /// Our socket for a peer: of its protocol and address family, the one named, or the one beside that at the same address, or
    /// any.
    fn socket(&self, peer: Peer) -> Option<&Local> {
        let (near, ipv4) = (peer.local, peer.remote.is_ipv4());
        let of = || {
            self.config
                .sockets
                .iter()
                .filter(move |socket| socket.protocol == peer.protocol && socket.bind.is_ipv4() == ipv4)
        };
        of().find(|socket| socket.bind == near)
            .or_else(|| of().find(|socket| socket.bind.ip() == near.ip()))
            .or_else(|| of().next())
    }

    /// The same way, by our socket for its protocol. `None` when we have no such socket.
    pub(crate) fn localized(&self, peer: Peer) -> Option<Peer> {
        Some(Peer {
            local: self.socket(peer)?.bind,
            ..peer
        })
    }

    /// `<sip:…>` for our Contact.
    pub(crate) fn contact(&self, peer: Peer) -> String {
        self.contact_of("segue", peer)
    }

    /// The same with another user.
    pub(crate) fn contact_of(&self, user: &str, peer: Peer) -> String {
        let advertise = self.advertise(peer);
        match peer.protocol {
            Protocol::Udp => format!("<sip:{user}@{advertise}>"),
            Protocol::Tcp => format!("<sip:{user}@{advertise};transport=tcp>"),
            Protocol::Tls => format!("<sip:{user}@{advertise};transport=tls>"),
        }
    }

    /// Our Contact towards who is called by a `sips:` URI: "the Contact … MUST contain a SIPS URI as well" (§8.1.1.8).
    pub(crate) fn secure_contact(&self, peer: Peer) -> String {
        format!("<sips:segue@{}>", self.advertise(peer))
    }

    /// Our Via, asking for `rport` (RFC 3581).
    pub(crate) fn via(&self, peer: Peer, branch: &str) -> String {
        let protocol = peer.protocol.as_str();
        // What the peer proved by its certificate holds for requests of its own on the connection too (RFC 5923 §8.1).
        let alias = if peer.protocol == Protocol::Tls { ";alias" } else { "" };
        format!(
            "SIP/2.0/{protocol} {};branch={branch};rport{alias}",
            self.advertise(peer)
        )
    }

    fn advertise(&self, peer: Peer) -> String {
        self.socket(peer)
            .map_or_else(|| peer.local.to_string(), |socket| socket.advertise.clone())
    }

    /// Sends bytes that no transaction repeats.
    pub(crate) fn send(&mut self, peer: Peer, domain: Option<Arc<str>>, bytes: Bytes) -> Transmit {
        let transmit = Transmit {
            peer,
            domain,
            bytes,
            id: self.next_id(),
        };
        self.transmits.push_back(transmit.clone());
        transmit
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn set(&mut self, session: SessionId, timer: SessionTimer, at: Instant) {
        self.timers.set(TimerKey::Session(session, timer), at);
    }

    pub(crate) fn stop(&mut self, session: SessionId, timer: SessionTimer) {
        self.timers.stop(TimerKey::Session(session, timer));
    }

    pub(crate) fn stop_all(&mut self, session: SessionId) {
        let first = TimerKey::Session(session, SessionTimer::Reliable);
        self.timers
            .stop_range(first..=TimerKey::Session(session, SessionTimer::Patience));
    }

    /// Opens a session's ladder.
    pub(crate) fn open_ladder(&mut self, session: SessionId) {
        self.ladders.insert(session, Ladder::default());
    }

    pub(crate) fn ladder(&self, session: SessionId) -> &[crate::api::LadderEntry] {
        self.ladders.get(&session).map(Ladder::entries).unwrap_or_default()
    }

    pub(crate) fn take_ladder(&mut self, session: SessionId) -> Vec<crate::api::LadderEntry> {
        self.ladders.get_mut(&session).map(Ladder::take).unwrap_or_default()
    }

    pub(crate) fn drop_ladder(&mut self, session: SessionId) {
        self.ladders.remove(&session);
        self.identities.forget(session);
        self.accounts.forget(session);
    }

    /// Writes a received message into a session's ladder.
    pub(crate) fn heard(&mut self, now: Instant, session: SessionId, message: &Message, again: bool) {
        self.learn_peer(session, message);
        if again {
            self.stats.again_in = self.stats.again_in.saturating_add(1);
        }
        self.note(now, session, false, again, summary(message));
    }

    /// Writes a line into a session's ladder.
    pub(crate) fn note(&mut self, now: Instant, session: SessionId, out: bool, again: bool, summary: String) {
        if let Some(ladder) = self.ladders.get_mut(&session) {
            ladder.add(now, out, again, summary);
        }
    }

    /// Large requests need not try TCP there for a while.
    pub(crate) fn refuses_tcp(&mut self, now: Instant, remote: SocketAddr) {
        if self.no_tcp.len() >= NO_TCP_MAX {
            self.no_tcp.retain(|_, until| *until > now);
        }
        if self.no_tcp.len() >= NO_TCP_MAX {
            self.no_tcp.pop_first();
        }
        self.no_tcp.insert(remote, now.checked_add(NO_TCP_FOR).unwrap_or(now));
    }

    pub(crate) fn may_try_tcp(&self, now: Instant, remote: SocketAddr) -> bool {
        self.no_tcp.get(&remote).is_none_or(|until| *until <= now)
    }
}

/// The moment after a while.
pub(crate) fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}
