//! Trunks as they are now: which of their servers live (`way.rs`: by which of them a call goes).
//! Without clock and socket: what is to be sent or looked up is told to the shard (`shard/trunks.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use segue_policy::{Algorithm, DigestOver, Trunk};
use segue_sip::{
    Account, Candidate, Change, Condition, PingId, Pinging, Place, Probe, RegistrationId, Seen, SessionId,
};
use segue_sip_wire::{DigestAlgorithm, Uri};

mod line;
mod sources;
mod status;
mod way;

pub use status::{LineStatus, ServerStatus, TrunkStatus};

pub(crate) use line::{Asking, Line, Stands};
pub(crate) use way::rank;

/// How often the domain of a trunk's servers is looked up; the resolver keeps answers for as long as they hold.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);
/// The longest that an answer to a ping is waited for, in T1.
const WAIT_T1: u32 = 8;

/// A trunk with what it keeps secret.
#[derive(Debug, Clone)]
pub struct TrunkSetup {
    /// Its configuration.
    pub trunk: Trunk,
    /// Our credentials for its servers; `None`: those of the profile of their addresses.
    pub account: Option<Arc<Account>>,
}

impl TrunkSetup {
    /// With the password of its account.
    pub fn new(trunk: Trunk, password: Option<String>) -> TrunkSetup {
        let of = |algorithm: &Algorithm| match algorithm {
            Algorithm::Md5 => DigestAlgorithm::Md5,
            Algorithm::Sha256 => DigestAlgorithm::Sha256,
            Algorithm::Sha512_256 => DigestAlgorithm::Sha512_256,
        };
        let account = password.filter(|_| !trunk.digest_user.is_empty()).map(|secret| {
            Arc::new(Account {
                realm: trunk.digest_realm.clone(),
                username: trunk.digest_user.clone(),
                secret,
                algorithms: trunk.digest_algorithms.iter().map(of).collect(),
                tls_only: trunk.digest_over == DigestOver::Tls,
            })
        });
        TrunkSetup { trunk, account }
    }
}

/// One way of a call to its next server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hop {
    pub uri: Uri,
    /// It stands in a Route.
    pub is_route: bool,
    /// The trunk that it belongs to.
    pub trunk: Option<Arc<str>>,
    pub condition: Condition,
}

/// One address of a server of a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeId {
    trunk: Arc<str>,
    /// Which of its servers.
    server: usize,
    pub at: Candidate,
}

/// Something that the shard is to do.
#[derive(Debug)]
pub(crate) enum Wish {
    Ping(NodeId, Uri),
    Forget(PingId),
    LookUp(Place, u64),
    Register(Box<Asking>),
    /// Nothing more comes of this registration.
    Close(RegistrationId),
    /// A line stands otherwise than before.
    Stands(Stands),
    /// A server's condition has changed.
    Told(Told),
}

/// A server's condition has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub trunk: Arc<str>,
    pub server: Candidate,
    pub change: Change,
    pub why: String,
}

impl Node {
    fn new(now: Instant, pinging: Pinging, rng: &mut StdRng) -> Node {
        Node {
            probe: Probe::new(now, pinging, rng.next_u64()),
            ping: None,
            pings: 0,
            failures: 0,
        }
    }

    fn due(&mut self, now: Instant, id: NodeId, uri: &Uri, wishes: &mut Vec<Wish>) {
        let before = self.probe.condition();
        match self.probe.due(now) {
            Ok(true) => wishes.push(Wish::Ping(id, uri.clone())),
            // A pause is over, and nobody asks.
            Ok(false) if before == Condition::Suspended && self.probe.condition() != before => {
                let change = Change {
                    from: before,
                    to: self.probe.condition(),
                };
                wishes.push(Wish::Told(tell(&id, change, "the pause is over")));
            }
            Ok(false) => {}
            Err(change) => {
                self.failures = self.failures.saturating_add(1);
                wishes.extend(self.ping.take().map(|(ping, _)| Wish::Forget(ping)));
                let told = change.map(|change| tell(&id, change, "OPTIONS got no answer"));
                wishes.extend(told.map(Wish::Told));
            }
        }
    }
}

/// See the module.
pub(crate) struct Trunks {
    all: BTreeMap<Arc<str>, Running>,
    /// The legs that are out by a trunk.
    legs: BTreeMap<SessionId, Arc<str>>,
    pings: BTreeMap<PingId, NodeId>,
    /// Registrations that are to be taken back, of trunks that are gone or have changed.
    leaving: Vec<Line>,
    next_line: u64,
    /// Nothing registers any more.
    has_left: bool,
    /// Which trunks have a server at an address.
    sources: BTreeMap<IpAddr, Vec<(SocketAddr, Arc<str>)>>,
    wait: Duration,
    /// The earliest moment at which one of them has something to do; `None`: nothing has, or `due` was never asked.
    next: Option<Instant>,
    /// The last moment that was told.
    seen: Option<Instant>,
    idle: bool,
    rng: StdRng,
    /// Something has changed since the last `status`.
    pub changed: bool,
}

struct Running {
    setup: TrunkSetup,
    /// Where it stands among the others as they are configured.
    place: usize,
    servers: Vec<Server>,
    calls: u32,
    carried: u64,
    full: u64,
    /// Its registration, if it registers.
    line: Option<Line>,
}

struct Server {
    uri: Uri,
    is_route: bool,
    order: u16,
    weight: u16,
    /// Where its host is a name, and when that is looked up next; `None`: at once.
    place: Option<(Place, Option<Instant>)>,
    nodes: BTreeMap<Candidate, Node>,
    /// The addresses as name servers order them.
    located: Vec<Candidate>,
}

struct Node {
    probe: Probe,
    ping: Option<(PingId, Instant)>,
    pings: u64,
    failures: u64,
}

impl Server {
    fn condition(&self) -> Condition {
        let best = self.nodes.values().map(|node| node.probe.condition()).min();
        best.unwrap_or(Condition::Unchecked)
    }
}

impl Trunks {
    pub(crate) fn new(setups: &[TrunkSetup], t1: Duration, seed: u64) -> Trunks {
        let mut trunks = Trunks {
            all: BTreeMap::new(),
            legs: BTreeMap::new(),
            pings: BTreeMap::new(),
            leaving: Vec::new(),
            next_line: 0,
            has_left: false,
            sources: BTreeMap::new(),
            wait: t1.saturating_mul(WAIT_T1),
            next: None,
            seen: None,
            idle: true,
            rng: StdRng::seed_from_u64(seed),
            changed: true,
        };
        trunks.set(setups);
        trunks
    }

    /// Other trunks. Servers that stay keep what is known of them, if they are asked as before.
    pub(crate) fn set(&mut self, setups: &[TrunkSetup]) {
        let mut before = std::mem::take(&mut self.all);
        for (place, setup) in setups.iter().enumerate() {
            let name: Arc<str> = Arc::from(setup.trunk.name.as_str());
            let mut old = before.remove(&name);
            let line = self.line_of(old.as_mut().and_then(|old| old.line.take()), setup);
            let (calls, carried, full) = old.as_ref().map_or((0, 0, 0), |old| (old.calls, old.carried, old.full));
            let pings_alike = old.as_ref().is_some_and(|old| {
                let of = |trunk: &Trunk| (trunk.ping_ms, trunk.ping_up, trunk.ping_down);
                of(&old.setup.trunk) == of(&setup.trunk)
            });
            let mut kept: Vec<(Uri, BTreeMap<Candidate, Node>)> = old
                .into_iter()
                .flat_map(|old| old.servers)
                .map(|server| (server.uri, server.nodes))
                .collect();
            let mut servers = Vec::new();
            for server in &setup.trunk.servers {
                let Ok(uri) = server.uri.uri().parse::<Uri>() else {
                    continue;
                };
                let known = kept.iter_mut().find(|(known, _)| *known == uri && pings_alike);
                let nodes = known.map(|(_, nodes)| std::mem::take(nodes)).unwrap_or_default();
                servers.push(Server {
                    is_route: server.uri.is_route(),
                    order: server.order,
                    weight: server.weight,
                    place: Place::of(&uri).map(|place| (place, None)),
                    uri,
                    nodes,
                    located: Vec::new(),
                });
            }
            let running = Running {
                setup: setup.clone(),
                place,
                servers,
                calls,
                carried,
                full,
                line,
            };
            self.all.insert(name, running);
        }
        // Those of trunks that are gone.
        for mut line in before.into_values().filter_map(|old| old.line) {
            if self.seen.is_some_and(|now| line.enrolment.leave(now)) {
                self.leaving.push(line);
            }
        }
        let pings = self.nodes().filter_map(|(id, node)| Some((node.ping?.0, id)));
        self.pings = pings.collect();
        self.index();
        self.idle = self.all.is_empty() && self.leaving.is_empty();
        self.next = self.seen;
        self.changed = true;
    }

    fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.all.iter().flat_map(|(name, running)| {
            running.servers.iter().enumerate().flat_map(move |(server, of)| {
                let id = move |at: &Candidate| NodeId {
                    trunk: Arc::clone(name),
                    server,
                    at: *at,
                };
                of.nodes.iter().map(move |(at, node)| (id(at), node))
            })
        })
    }

    fn node(&mut self, id: &NodeId) -> Option<&mut Node> {
        let server = self.all.get_mut(&id.trunk)?.servers.get_mut(id.server)?;
        server.nodes.get_mut(&id.at)
    }

    /// Those that do not answer.
    pub(crate) fn down(&self) -> BTreeSet<Candidate> {
        let down = self
            .nodes()
            .filter(|(_, node)| node.probe.condition() == Condition::Down);
        down.map(|(id, _)| id.at).collect()
    }

    /// When `due` is wanted; it may have passed. Of new `Trunks` nothing is known before `due` is asked for the first time.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next.filter(|_| !self.idle)
    }

    /// What is to be done now; `Forget` what is not known any more. `named`: the server that a URI with an address names.
    pub(crate) fn due(&mut self, now: Instant, named: impl Fn(&Uri) -> Option<Candidate>) -> Vec<Wish> {
        self.seen = Some(now);
        if self.idle || self.next.is_some_and(|next| next > now) {
            return Vec::new();
        }
        let mut wishes = Vec::new();
        let mut found = false;
        let (wait, rng) = (self.wait, &mut self.rng);
        let mut next: Option<Instant> = None;
        let mut sooner = |at: Option<Instant>| next = [next, at].into_iter().flatten().min();
        for (name, running) in &mut self.all {
            let pinging = pinging(&running.setup.trunk, wait);
            for (at, server) in running.servers.iter_mut().enumerate() {
                match &mut server.place {
                    Some((place, due)) => {
                        if due.is_none_or(|due| due <= now) {
                            wishes.push(Wish::LookUp(place.clone(), rng.next_u64()));
                            *due = now.checked_add(LOOK_UP_EVERY);
                        }
                        sooner(*due);
                    }
                    None if server.nodes.is_empty() => {
                        let node = named(&server.uri).map(|candidate| (candidate, Node::new(now, pinging, rng)));
                        server.nodes.extend(node);
                        found = true;
                    }
                    None => {}
                }
                for (candidate, node) in &mut server.nodes {
                    let id = NodeId {
                        trunk: Arc::clone(name),
                        server: at,
                        at: *candidate,
                    };
                    node.due(now, id, &server.uri, &mut wishes);
                    sooner(node.probe.poll_timeout());
                }
            }
        }
        if found {
            self.index();
        }
        let line = self.tend_lines(now, &mut wishes);
        self.next = [next, line].into_iter().flatten().min();
        self.forget(&wishes);
        wishes
    }

    /// What comes of these pings is not waited for.
    fn forget(&mut self, wishes: &[Wish]) {
        for wish in wishes {
            if let Wish::Forget(ping) = wish {
                self.pings.remove(ping);
            }
        }
    }

    /// The ping that was wished for is on its way; `None`: nothing reaches the server.
    pub(crate) fn pinged(&mut self, now: Instant, id: &NodeId, ping: Option<PingId>) -> Option<Told> {
        self.changed = true;
        self.next = Some(now);
        let node = self.node(id)?;
        node.pings = node.pings.saturating_add(1);
        let Some(ping) = ping else {
            node.failures = node.failures.saturating_add(1);
            let change = node.probe.seen(now, Seen::Unreachable)?;
            return Some(tell(id, change, "no socket of ours reaches it"));
        };
        node.ping = Some((ping, now));
        self.pings.insert(ping, id.clone());
        None
    }

    /// What became of a ping: who was asked, and what that changes.
    pub(crate) fn ponged(
        &mut self,
        now: Instant,
        ping: PingId,
        status: Option<u16>,
    ) -> Option<(Candidate, Option<Told>)> {
        let id = self.pings.remove(&ping)?;
        self.changed = true;
        self.next = Some(now);
        let node = self.node(&id)?;
        let (_, asked) = node.ping.take()?;
        let seen = status.map_or(Seen::Unreachable, |status| {
            Seen::Status(status, now.saturating_duration_since(asked))
        });
        if matches!(seen, Seen::Unreachable | Seen::Status(408 | 503, _)) {
            node.failures = node.failures.saturating_add(1);
        }
        let change = node.probe.seen(now, seen);
        let why = match status {
            Some(status) => format!("OPTIONS got {status}"),
            None => "OPTIONS could not be sent".to_owned(),
        };
        Some((id.at, change.map(|change| tell(&id, change, &why))))
    }

    /// A server has asked for a pause.
    pub(crate) fn paused(&mut self, now: Instant, server: Candidate, wait: Duration) -> Vec<Told> {
        let of: Vec<NodeId> = self.nodes().map(|(id, _)| id).filter(|id| id.at == server).collect();
        let why = format!(
            "it asked for a pause by 503: no calls for {} s",
            wait.as_secs_f64().ceil()
        );
        let mut told = Vec::new();
        for id in of {
            let Some(node) = self.node(&id) else { continue };
            // What comes of a ping under way says no more than this.
            node.ping = None;
            let change = node.probe.pauses(now, wait);
            told.extend(change.map(|change| tell(&id, change, &why)));
        }
        self.pings.retain(|_, id| id.at != server);
        self.changed = true;
        self.next = Some(now);
        told
    }

    /// Where the servers of a domain are; those that are gone are asked no more. Nobody: what was known stays.
    pub(crate) fn located(&mut self, now: Instant, place: &Place, found: &[Candidate]) -> Vec<Wish> {
        if found.is_empty() {
            return Vec::new();
        }
        let mut wishes = Vec::new();
        let (wait, rng) = (self.wait, &mut self.rng);
        for running in self.all.values_mut() {
            let pinging = pinging(&running.setup.trunk, wait);
            let of = |server: &&mut Server| server.place.as_ref().is_some_and(|(of, _)| of == place);
            for server in running.servers.iter_mut().filter(of) {
                server.nodes.retain(|candidate, node| {
                    let stays = found.contains(candidate);
                    wishes.extend(node.ping.filter(|_| !stays).map(|(ping, _)| Wish::Forget(ping)));
                    stays
                });
                server.located = found.to_vec();
                for candidate in found {
                    server
                        .nodes
                        .entry(*candidate)
                        .or_insert_with(|| Node::new(now, pinging, rng));
                }
            }
        }
        self.index();
        self.forget(&wishes);
        self.next = Some(now);
        self.changed = true;
        wishes
    }
}

fn pinging(trunk: &Trunk, wait: Duration) -> Pinging {
    let every = Duration::from_millis(trunk.ping_ms);
    Pinging {
        every,
        wait: wait.min(every),
        up_after: trunk.ping_up,
        down_after: trunk.ping_down,
    }
}

fn tell(id: &NodeId, change: Change, why: &str) -> Told {
    Told {
        trunk: Arc::clone(&id.trunk),
        server: id.at,
        change,
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
