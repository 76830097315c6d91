//! UAC: the next of several servers, when one fails (RFC 3263 §4.3), and those that are not to be asked for a while (RFC 3261
//! §21.5.4).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use segue_sip_wire::{Message, Uri};

use super::{
    Endpoint,
    core::{Core, SessionTimer, after},
    session::{Cancel, Phase, Session},
};
use crate::{
    api::{Event, Outgoing, Peer, Protocol},
    dialog::address,
    locate::Candidate,
    transaction::{ClientInput, Timer},
};

/// Servers that are remembered as suspended or silent.
const REMEMBERED_MAX: usize = 1_024;
/// Servers of one call whose failures are told.
const TOLD_MAX: usize = 4;
/// How long a server that did not answer is tried after all others.
const SILENT_FOR: Duration = Duration::from_secs(30);

/// Which servers have failed lately. Bounded: what is forgotten is tried again.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    suspended: BTreeMap<Candidate, Instant>,
    silent: BTreeMap<Candidate, Instant>,
    /// Whoever asks them says that they do not answer.
    down: BTreeSet<Candidate>,
}

/// Why nobody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nobody {
    pub phrase: String,
    /// See [`crate::Event::Failed`].
    pub paused: Option<Duration>,
}

impl Failing {
    /// Whether that is news.
    fn suspend(&mut self, now: Instant, server: Candidate, wait: Duration) -> bool {
        let is_new = !self.is_suspended(now, server);
        remember(&mut self.suspended, now, server, wait);
        is_new
    }

    fn silent(&mut self, now: Instant, server: Candidate) {
        remember(&mut self.silent, now, server, SILENT_FOR);
    }

    /// A server says something.
    pub(super) fn answered(&mut self, peer: Peer) {
        self.silent.remove(&server(peer));
    }

    fn is_suspended(&self, now: Instant, server: Candidate) -> bool {
        self.suspended.get(&server).is_some_and(|until| *until > now)
    }

    /// Whether it is tried after all others.
    fn is_silent(&self, now: Instant, server: Candidate) -> bool {
        self.down.contains(&server) || self.silent.get(&server).is_some_and(|until| *until > now)
    }

    /// Of these servers all are suspended: until when the first one is.
    fn paused(&self, now: Instant, servers: &[Candidate]) -> Option<(Candidate, Duration)> {
        let left = |server: &Candidate| Some((*server, self.suspended.get(server)?.saturating_duration_since(now)));
        let left = servers.iter().map(left).collect::<Option<Vec<_>>>()?;
        left.into_iter().min_by_key(|(_, left)| *left)
    }
}

impl Endpoint {
    /// The server that a URI names whose host is an address; `None`: it names none, or none that is reached from here.
    #[must_use]
    pub fn server_named(&self, uri: &Uri) -> Option<Candidate> {
        let mut sockets = self.core.config.sockets.iter();
        let have_udp = sockets.any(|socket| socket.protocol == Protocol::Udp);
        Some(Candidate {
            protocol: protocol_of(uri, have_udp)?,
            remote: address(uri)?,
        })
    }

    /// The servers that do not answer whoever asks them: they are tried after all others.
    pub fn set_down(&mut self, servers: BTreeSet<Candidate>) {
        self.core.failing.down = servers;
    }

    /// A server has asked for a pause otherwise than by refusing a call.
    pub fn pause(&mut self, now: Instant, server: Candidate, wait: Duration) {
        self.core.suspend(now, server, wait);
    }
}

fn remember(all: &mut BTreeMap<Candidate, Instant>, now: Instant, server: Candidate, wait: Duration) {
    if all.len() >= REMEMBERED_MAX {
        all.retain(|_, until| *until > now);
    }
    if all.len() >= REMEMBERED_MAX {
        all.pop_first();
    }
    all.insert(server, after(now, wait));
}

fn server(peer: Peer) -> Candidate {
    Candidate {
        protocol: peer.protocol,
        remote: peer.remote,
    }
}

impl Core {
    /// "[It] SHOULD NOT forward any other requests to that server for the duration specified in the Retry-After" (§21.5.4): but a
    /// long one would stop all calls by the only server for one refusal, so it is believed for `pause_max` alone.
    fn suspend(&mut self, now: Instant, server: Candidate, wait: Duration) {
        let wait = wait.min(self.config.pause_max);
        if !wait.is_zero() && self.failing.suspend(now, server, wait) {
            self.event(Event::Paused { server, wait });
        }
    }

    /// Where an INVITE goes next: to the first of its servers that is neither suspended nor, while there is another, silent. It is
    /// taken from them. Emergency calls are suspended nowhere.
    ///
    /// # Errors
    /// There is no such server.
    pub(super) fn next_server(&mut self, now: Instant, outgoing: &mut Outgoing) -> Result<Peer, Nobody> {
        let (local, flow) = match outgoing.back_to {
            Some(back) => (back.local, back.flow),
            None => (outgoing.local, None),
        };
        let reach = |core: &Core, candidate: &Candidate| {
            core.localized(Peer {
                protocol: candidate.protocol,
                local,
                remote: candidate.remote,
                flow,
            })
        };
        outgoing.candidates.retain(|candidate| reach(self, candidate).is_some());
        let paused = self.failing.paused(now, &outgoing.candidates);
        if !outgoing.urgent {
            let failing = &self.failing;
            outgoing
                .candidates
                .retain(|candidate| !failing.is_suspended(now, *candidate));
        }
        let mut servers = outgoing.candidates.iter();
        let at = servers.position(|candidate| !self.failing.is_silent(now, *candidate));
        let at = at.unwrap_or_default();
        let nobody = |outgoing: &Outgoing| match paused {
            Some((server, left)) => Nobody {
                phrase: format!(
                    "{} asked for a pause by 503, {} s of it are left",
                    place(server),
                    whole_seconds(left)
                ),
                paused: Some(left),
            },
            None => Nobody {
                phrase: format!("{} has no address that is reached from here", outgoing.next_hop()),
                paused: None,
            },
        };
        if at >= outgoing.candidates.len() {
            return Err(nobody(outgoing));
        }
        let candidate = outgoing.candidates.remove(at);
        reach(self, &candidate).ok_or_else(|| nobody(outgoing))
    }

    /// While there is another server, nobody waits for this one as long as for the only one.
    pub(super) fn limit_silence(&mut self, now: Instant, session: crate::SessionId, outgoing: &Outgoing) {
        if !outgoing.candidates.is_empty() || outgoing.has_other_way {
            let wait = self.config.t1.saturating_mul(8);
            self.set(session, SessionTimer::NextServer, after(now, wait));
        }
    }
}

impl Session {
    /// The server has said nothing yet, and there is another.
    pub(crate) fn give_up_server(&mut self, core: &mut Core, now: Instant) {
        let Phase::Calling(calling) = &self.phase else { return };
        let id = calling.transaction;
        // What comes of it later is acknowledged and ended by its transaction.
        if core.drive_client(now, id, ClientInput::Timer(Timer::B), None).is_some() {
            self.on_invite_unanswered(core, now, id, 408);
        }
    }

    /// "If a failure occurs, the client SHOULD create a new request, which is identical to the previous, but has a different value of
    /// the Via branch ID … That request is sent to the next element in the list" (RFC 3263 §4.3). A failure is a 503, a fault of the
    /// transport, or silence. False: there is nobody else, or it was another failure.
    pub(super) fn try_next_server(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        refusal: Option<&Message>,
    ) -> bool {
        let Phase::Calling(calling) = &mut self.phase else {
            return false;
        };
        let asked = server(calling.peer);
        match (status, refusal) {
            (503, Some(refusal)) => {
                // Where somebody behind it has been reached it serves: this 503 is that one's, passed on against §16.7.
                if let Some(wait) = retry_after(refusal).filter(|_| calling.forks.is_empty()) {
                    core.suspend(now, asked, wait);
                }
            }
            (408 | 503, None) => core.failing.silent(now, asked),
            _ => return false,
        }
        let became = match (status, refusal) {
            (_, Some(_)) => "refused with 503",
            (503, None) => "could not be reached",
            _ => "said nothing",
        };
        if calling.tried.len() < TOLD_MAX {
            calling.tried.push(format!("{} {became}", place(asked)));
        }
        if calling.cancel != Cancel::No {
            return false;
        }
        let Ok(peer) = core.next_server(now, &mut calling.outgoing) else {
            return false;
        };
        let cseq = core
            .transactions
            .client(calling.transaction)
            .and_then(|client| client.request.cseq().ok());
        let Some(cseq) = cseq.map(|cseq| cseq.number) else {
            return false;
        };
        self.withdraw_offer(core, now);
        let Phase::Calling(calling) = &mut self.phase else {
            return false;
        };
        calling.leave_forks(core);
        core.stop_all(self.id);
        calling.provisional = false;
        calling.peer = peer;
        let draft = core.draft_invite(&calling.outgoing, peer, &self.local_tag, &self.call_id, cseq);
        calling.transaction = core.request(now, &draft, peer, Some(self.id));
        core.limit_silence(now, self.id, &calling.outgoing);
        true
    }
}

/// `192.0.2.1:5060`, and the transport where that is not UDP.
fn place(server: Candidate) -> String {
    match server.protocol {
        Protocol::Udp => server.remote.to_string(),
        other => format!("{} by {}", server.remote, other.as_str()),
    }
}

/// Begun seconds, for people and Retry-After.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// The seconds of a Retry-After (RFC 3261 §20.33), at least one.
pub(super) fn retry_after(refusal: &Message) -> Option<Duration> {
    let value = refusal.header("Retry-After")?;
    let digits: String = value.trim().chars().take_while(char::is_ascii_digit).collect();
    let seconds = match digits.parse::<u64>() {
        Ok(seconds) => seconds,
        // A number too long for us is longer than we believe.
        Err(_) if !digits.is_empty() => u64::MAX,
        Err(_) => return None,
    };
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Without transport: as the protocol that a server of this URI speaks, when its host is an address.
pub(super) fn protocol_of(uri: &Uri, have_udp: bool) -> Option<Protocol> {
    match uri.param("transport") {
        // A `sips:` URI wants TLS, over TCP (§19.1.4, RFC 5630 §3.1.3): there is no other way.
        Some(name) if uri.is_sips() && !crate::secure::is_secure(name) => None,
        _ if uri.is_sips() => Some(Protocol::Tls),
        Some(name) if name.eq_ignore_ascii_case("tls") => Some(Protocol::Tls),
        Some(name) if name.eq_ignore_ascii_case("tcp") => Some(Protocol::Tcp),
        Some(name) if name.eq_ignore_ascii_case("udp") => Some(Protocol::Udp),
        // WebSocket and the like: not ours.
        Some(_) => None,
        None if !have_udp => Some(Protocol::Tcp),
        None => Some(Protocol::Udp),
    }
}
